//! `activations::`: rows of a target model at a hook.

use candle_core::Device;
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, INT, NativeCallContext, exported_module};

use crate::activations::Activations as Core;
use crate::error::{Code, Error};
use crate::host::bind::language;
use crate::host::raise::{At, Raised, count};
use crate::host::session::session;
use crate::host::value::values;
use crate::{memory, store};

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<Core>(engine, "Activations", Core::to_string);
    engine.register_static_module("activations", exported_module!(activations).into());
}

/// The functions of the namespace `activations`.
#[export_module]
pub mod activations {
    /// The script type: rows `[tokens, d_in]` in shuffled order, in memory or in a file.
    pub type Activations = crate::activations::Activations;
    /// The script type: an f32 tensor.
    pub type Tensor = candle_core::Tensor;

    /// Makes activations of a tensor's rows, in their order.
    ///
    /// * `t`: a Tensor [tokens, d_in].
    ///
    /// Returns Activations without a hook.
    /// Errors: `shape-mismatch` for another number of dimensions, `out-of-range` for a value that is not finite, with its row and
    /// column.
    ///
    /// ```rhai
    /// assert_eq(activations::from_tensor(tensor::ones([3, 2])).shape, [3, 2]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_tensor(ctx: NativeCallContext, t: Tensor) -> Raised<Activations> {
        let &[_, d] = t.dims() else {
            return Err(Error::new(Code::ShapeMismatch, "activations are rows")
                .fact("expected", "a Tensor [tokens, d_in]")
                .fact("given", format!("{:?}", t.dims())))
            .at(&ctx);
        };
        memory::check_shape("the activations", t.dims(), "use fewer rows").at(&ctx)?;
        Core::from_rows(values(&t).at(&ctx)?, d, "").at(&ctx)
    }

    /// Loads activations from a file of the project.
    ///
    /// * `path`: a `.safetensors` file that `a.save` or another tool wrote, with one tensor `activations` (or one tensor alone), or an `.npy` file;
    ///   of f32, f16, bf16 or f64, read as f32; two dimensions.
    ///
    /// Returns Activations, backed by the file.
    /// Errors: `missing-file`; `damaged-file`, with the row and column of a value that is not a finite number; `outside-project`.
    ///
    /// ```rhai
    /// activations::from_tensor(tensor::eye(2)).save("rows.safetensors");
    /// assert_eq(activations::load("rows.safetensors").shape, [2, 2]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, path: &str) -> Raised<Activations> {
        let session = session(&ctx);
        let loaded = Core::load(&session.readable(path).at(&ctx)?).at(&ctx)?;
        session.record_input(path, loaded.digest().at(&ctx)?);
        Ok(loaded)
    }

    /// Writes the rows as a `.safetensors` file with one tensor `activations`.
    ///
    /// * `a`: the activations.
    /// * `path`: where, inside the project.
    ///
    /// Errors: `outside-project`, `write-failed`, also for a file that holds something else.
    ///
    /// ```rhai
    /// activations::from_tensor(tensor::eye(3)).save("rows.safetensors");
    /// assert_eq(tensor::load("rows.safetensors"), tensor::eye(3));
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn save(ctx: NativeCallContext, a: &mut Activations, path: &str) -> Raised<()> {
        let full = session(&ctx).writable(path).at(&ctx)?;
        // Whatever its ending, the file of an earlier run may be replaced; any other file would be lost.
        if full.exists() && !Core::are_saved_at(&full) {
            let error = Error::new(Code::WriteFailed, format!("`{path}` is there and holds no activations"));
            return Err(error.help("name a new file: this one would be replaced")).at(&ctx);
        }
        store::write_atomic(&full, &a.to_bytes().at(&ctx)?).at(&ctx)
    }

    /// How many rows, and how long they are.
    ///
    /// * `a`: the activations.
    ///
    /// Returns an array of two ints.
    ///
    /// ```rhai
    /// assert_eq(activations::from_tensor(tensor::ones([3, 2])).shape, [3, 2]);
    /// ```
    #[rhai_fn(global, get = "shape", pure)]
    pub fn shape(a: &mut Activations) -> Array {
        vec![Dynamic::from(a.len() as INT), Dynamic::from(a.d_in() as INT)]
    }

    /// Where they were read, by TransformerLens name; empty when unknown.
    ///
    /// * `a`: the activations.
    ///
    /// ```rhai
    /// assert_eq(activations::from_tensor(tensor::eye(2)).hook, "");
    /// ```
    #[rhai_fn(global, get = "hook", pure)]
    pub fn hook(a: &mut Activations) -> String {
        a.hook().to_string()
    }

    /// The mean row.
    ///
    /// * `a`: the activations.
    ///
    /// Returns a Tensor [d_in].
    ///
    /// ```rhai
    /// assert_eq(activations::from_tensor(tensor::eye(2)).mean().to_array(), [0.5, 0.5]);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn mean(ctx: NativeCallContext, a: &mut Activations) -> Raised<Tensor> {
        let mean: Vec<f32> = a.mean().at(&ctx)?.into_iter().map(|x| x as f32).collect();
        Tensor::new(mean, &Device::Cpu).at(&ctx)
    }

    /// Draws different rows.
    ///
    /// * `a`: the activations.
    /// * `n`: how many.
    /// * `seed`: an int, 0 or more.
    ///
    /// Returns a Tensor [n, d_in].
    /// Errors: `out-of-range` for more rows than there are.
    ///
    /// ```rhai
    /// let a = activations::from_tensor(tensor::eye(4));
    /// assert_eq(a.sample(2, 0).sum().item(), 2.0);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn sample(ctx: NativeCallContext, a: &mut Activations, n: INT, seed: INT) -> Raised<Tensor> {
        let n = count(n, "the number of rows").at(&ctx)?;
        let rows = a.sample(n, count(seed, "the seed").at(&ctx)? as u64).at(&ctx)?;
        Tensor::from_vec(rows, (n, a.d_in()), &Device::Cpu).at(&ctx)
    }
}
