//! `tensor::`: making, reading, writing and taking apart f32 tensors. The arithmetic is in `tensor_math`.

use candle_core::{DType, Device};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, INT, Map, Module, NativeCallContext, exported_module};

use crate::error::{Code, Error, Result};
use crate::host::bind::tensor_work::{make, room, row_range, shape_of, worked};
use crate::host::bind::{language, tensor_math};
use crate::host::options::Options;
use crate::host::raise::{At, Raised, count, numbers, wrong_type};
use crate::host::session::session;
use crate::host::tensor_file;
use crate::host::value::{nested, values};
use crate::memory;
use crate::rng::Rng;

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<candle_core::Tensor>(engine, "Tensor", summary);
    let mut module: Module = exported_module!(tensor);
    module.combine(tensor_math::module());
    engine.register_static_module("tensor", module.into());
}

/// Values that are shown.
const SHOWN: usize = 16;

/// `Tensor [8192, 512] f32`; of a small one the values too.
pub fn summary(tensor: &candle_core::Tensor) -> String {
    let shape = format!("Tensor {:?} f32", tensor.dims());
    let small =
        (tensor.elem_count() <= SHOWN && tensor.dims().iter().all(|n| *n <= SHOWN)).then(|| values(tensor).ok());
    let small = small.flatten();
    small.map_or(shape.clone(), |values| format!("{shape}: {}", nested(&values, tensor.dims())))
}

/// The functions of the namespace `tensor`.
#[export_module]
pub mod tensor {
    /// The script type: an f32 tensor on the CPU.
    pub type Tensor = candle_core::Tensor;

    /// Makes a matrix from an array of rows.
    ///
    /// * `rows`: an array of arrays of numbers, all of one length.
    ///
    /// Returns a Tensor [rows, columns].
    /// Errors: `shape-mismatch` when the rows differ in length, `wrong-type` for what is no number.
    ///
    /// ```rhai
    /// let t = tensor::from_rows([[1, 2], [3, 4.5]]);
    /// assert_eq(t.shape, [2, 2]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_rows(ctx: NativeCallContext, rows: Array) -> Raised<Tensor> {
        let mut all: Vec<f32> = Vec::new();
        let mut d = None;
        for (i, row) in rows.iter().enumerate() {
            let Some(row) = row.read_lock::<Array>() else {
                return Err(wrong_type(&format!("rows[{i}]"), "an array of numbers", row)).at(&ctx);
            };
            if *d.get_or_insert(row.len()) != row.len() {
                let error = Error::new(Code::ShapeMismatch, "the rows differ in length");
                return Err(error.fact("row 0", d.unwrap_or(0)).fact(&format!("row {i}"), row.len())).at(&ctx);
            }
            all.extend(numbers(&row, &format!("rows[{i}]")).at(&ctx)?.iter().map(|x| *x as f32));
        }
        make(all, &[rows.len(), d.unwrap_or(0)]).at(&ctx)
    }

    /// Makes a vector from an array of numbers.
    ///
    /// * `array`: numbers; an int serves for a float.
    ///
    /// Returns a Tensor [n].
    /// Errors: `wrong-type` for what is no number.
    ///
    /// ```rhai
    /// assert_eq(tensor::from_values([1, 2.5]).to_array(), [1.0, 2.5]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_values(ctx: NativeCallContext, array: Array) -> Raised<Tensor> {
        let all: Vec<f32> = numbers(&array, "array").at(&ctx)?.iter().map(|x| *x as f32).collect();
        let n = all.len();
        make(all, &[n]).at(&ctx)
    }

    /// Makes a tensor of zeros.
    ///
    /// * `shape`: an array of lengths.
    ///
    /// Returns a Tensor of that shape.
    /// Errors: `out-of-range` for a negative length, `too-large`.
    ///
    /// ```rhai
    /// assert_eq(tensor::zeros([2, 3]).sum().item(), 0.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn zeros(ctx: NativeCallContext, shape: Array) -> Raised<Tensor> {
        Tensor::zeros(shape_of(&shape).at(&ctx)?, DType::F32, &Device::Cpu).at(&ctx)
    }

    /// Makes a tensor of ones.
    ///
    /// * `shape`: an array of lengths.
    ///
    /// Returns a Tensor of that shape.
    /// Errors: `out-of-range` for a negative length, `too-large`.
    ///
    /// ```rhai
    /// assert_eq(tensor::ones([2, 3]).sum().item(), 6.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ones(ctx: NativeCallContext, shape: Array) -> Raised<Tensor> {
        Tensor::ones(shape_of(&shape).at(&ctx)?, DType::F32, &Device::Cpu).at(&ctx)
    }

    /// Makes the identity matrix.
    ///
    /// * `n`: its size.
    ///
    /// Returns a Tensor [n, n].
    /// Errors: `out-of-range` for a negative size, `too-large`.
    ///
    /// ```rhai
    /// assert_eq(tensor::eye(2).to_array(), [[1.0, 0.0], [0.0, 1.0]]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn eye(ctx: NativeCallContext, n: INT) -> Raised<Tensor> {
        let dims = shape_of(&vec![Dynamic::from(n), Dynamic::from(n)]).at(&ctx)?;
        let mut all = vec![0.0; dims[0] * dims[1]];
        all.iter_mut().step_by(dims[0] + 1).for_each(|x| *x = 1.0);
        make(all, &dims).at(&ctx)
    }

    /// Draws independent standard normals.
    ///
    /// * `shape`: an array of lengths.
    /// * `seed`: an int, 0 or more; the same seed gives the same tensor on every machine.
    ///
    /// Returns a Tensor of that shape.
    /// Errors: `out-of-range` for a negative length or seed, `too-large`.
    ///
    /// ```rhai
    /// assert_eq(tensor::randn([4], 1), tensor::randn([4], 1));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn randn(ctx: NativeCallContext, shape: Array, seed: INT) -> Raised<Tensor> {
        let (dims, seed) = (shape_of(&shape).at(&ctx)?, count(seed, "the seed").at(&ctx)? as u64);
        worked(&ctx, &dims.clone(), move || {
            let mut all = vec![0.0; dims.iter().product()];
            Rng::new(seed, "tensor::randn").fill_normal(&mut all, 1.0);
            make(all, &dims)
        })
        .at(&ctx)
    }

    /// Draws independent uniforms on [0, 1).
    ///
    /// * `shape`: an array of lengths.
    /// * `seed`: an int, 0 or more; the same seed gives the same tensor on every machine.
    ///
    /// Returns a Tensor of that shape.
    /// Errors: `out-of-range` for a negative length or seed, `too-large`.
    ///
    /// ```rhai
    /// assert(tensor::rand([100], 1).max().item() <= 1.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn rand(ctx: NativeCallContext, shape: Array, seed: INT) -> Raised<Tensor> {
        let (dims, seed) = (shape_of(&shape).at(&ctx)?, count(seed, "the seed").at(&ctx)? as u64);
        worked(&ctx, &dims.clone(), move || {
            let mut all = vec![0.0; dims.iter().product()];
            Rng::new(seed, "tensor::rand").fill_uniform(&mut all, 0.0, 1.0);
            make(all, &dims)
        })
        .at(&ctx)
    }

    /// Draws unit rows, uniform on the sphere.
    ///
    /// * `n`: how many rows.
    /// * `d`: their length.
    /// * `seed`: an int, 0 or more.
    ///
    /// Returns a Tensor [n, d].
    /// Errors: `out-of-range` for a negative argument, `too-large`.
    ///
    /// ```rhai
    /// let w = tensor::random_directions(8, 3, 0);
    /// assert((w.norm_rows() - 1.0).abs().max().item() < 1e-6);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn random_directions(ctx: NativeCallContext, n: INT, d: INT, seed: INT) -> Raised<Tensor> {
        let dims = shape_of(&vec![Dynamic::from(n), Dynamic::from(d)]).at(&ctx)?;
        let seed = count(seed, "the seed").at(&ctx)? as u64;
        let draw = move || make(Rng::new(seed, "tensor::random_directions").directions(dims[0], dims[1]), &dims);
        worked(&ctx, &[count(n, "n").at(&ctx)?, count(d, "d").at(&ctx)?], draw).at(&ctx)
    }

    /// Reads a tensor from a file of the project, as f32.
    ///
    /// * `path`: a `.npy` file (of floats, ints or bools, in C or Fortran order), or a `.safetensors` file that holds one tensor.
    ///
    /// Returns the Tensor.
    /// Errors: `missing-file`, `damaged-file`, `unsupported` for another kind of file, `outside-project`.
    ///
    /// ```rhai
    /// tensor::eye(2).save("eye.npy");
    /// assert_eq(tensor::load("eye.npy"), tensor::eye(2));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, path: &str) -> Raised<Tensor> {
        load_with(ctx, path, Map::new())
    }

    /// Reads one of several tensors from a file of the project, as f32.
    ///
    /// * `path`: a `.npy` or `.safetensors` file.
    /// * `options`: `name`: which tensor of a `.safetensors` file.
    ///
    /// Returns the Tensor.
    /// Errors: `missing-file`, `damaged-file`, `unknown-name` when the file has no such tensor, `outside-project`.
    ///
    /// ```rhai
    /// tensor::eye(2).save("eye.safetensors", #{ name: "W" });
    /// assert_eq(tensor::load("eye.safetensors", #{ name: "W" }), tensor::eye(2));
    /// ```
    #[rhai_fn(name = "load", return_raw)]
    pub fn load_with(ctx: NativeCallContext, path: &str, options: Map) -> Raised<Tensor> {
        let mut options = Options::new("tensor::load", options);
        let name = options.take_native::<rhai::ImmutableString>("name").at(&ctx)?;
        options.finish().at(&ctx)?;
        let session = session(&ctx);
        let full = session.readable(path).at(&ctx)?;
        let tensor = tensor_file::read(&full, path, name.as_deref()).at(&ctx)?;
        session.record_file(path, &full).at(&ctx)?;
        Ok(tensor)
    }

    /// Writes the tensor to a file of the project, whole or not at all.
    ///
    /// * `path`: ends in `.npy` or `.safetensors`.
    ///
    /// Errors: `unsupported` for another ending, `outside-project`, `write-failed`.
    ///
    /// ```rhai
    /// tensor::ones([2]).save("ones.npy");
    /// assert_eq(tensor::load("ones.npy").shape, [2]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn save(ctx: NativeCallContext, tensor: &mut Tensor, path: &str) -> Raised<()> {
        save_with(ctx, tensor, path, Map::new())
    }

    /// Writes the tensor to a file of the project under a name.
    ///
    /// * `path`: ends in `.npy` or `.safetensors`.
    /// * `options`: `name`: its name in a `.safetensors` file, `"tensor"` by default.
    ///
    /// Errors: `unsupported` for another ending, `outside-project`, `write-failed`.
    ///
    /// ```rhai
    /// tensor::ones([2]).save("two.safetensors", #{ name: "b" });
    /// assert_eq(tensor::load("two.safetensors", #{ name: "b" }).sum().item(), 2.0);
    /// ```
    #[rhai_fn(name = "save", global, pure, return_raw)]
    pub fn save_with(ctx: NativeCallContext, tensor: &mut Tensor, path: &str, options: Map) -> Raised<()> {
        let mut options = Options::new("Tensor.save", options);
        let name = options.take_native::<rhai::ImmutableString>("name").at(&ctx)?;
        options.finish().at(&ctx)?;
        let full = session(&ctx).writable(path).at(&ctx)?;
        tensor_file::write(&full, path, name.as_deref().unwrap_or("tensor"), tensor).at(&ctx)
    }

    /// The lengths of the dimensions.
    ///
    /// * `tensor`: a Tensor.
    ///
    /// Returns an array of ints.
    ///
    /// ```rhai
    /// assert_eq(tensor::zeros([2, 3]).shape, [2, 3]);
    /// ```
    #[rhai_fn(global, get = "shape", pure)]
    pub fn shape(tensor: &mut Tensor) -> Array {
        tensor.dims().iter().map(|d| Dynamic::from(*d as INT)).collect()
    }

    /// Takes one row.
    ///
    /// * `i`: the row, from 0.
    ///
    /// Returns a Tensor without the first dimension.
    /// Errors: `out-of-range` when there is no such row.
    ///
    /// ```rhai
    /// assert_eq(tensor::eye(3).row(1).to_array(), [0.0, 1.0, 0.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn row(ctx: NativeCallContext, tensor: &mut Tensor, i: INT) -> Raised<Tensor> {
        let (from, _) = row_range(tensor, i, i.saturating_add(1)).at(&ctx)?;
        tensor.get(from).at(&ctx)
    }

    /// Takes the rows `from` to `to`, the latter left out.
    ///
    /// * `from`: the first row, from 0.
    /// * `to`: the row after the last.
    ///
    /// Returns a Tensor of to - from rows.
    /// Errors: `out-of-range` when there are not so many rows.
    ///
    /// ```rhai
    /// assert_eq(tensor::eye(4).rows(1, 3).shape, [2, 4]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn rows(ctx: NativeCallContext, tensor: &mut Tensor, from: INT, to: INT) -> Raised<Tensor> {
        let (from, to) = row_range(tensor, from, to).at(&ctx)?;
        tensor.narrow(0, from, to - from).at(&ctx)
    }

    /// Takes rows by their indices, in that order, repeats allowed.
    ///
    /// * `indices`: an array of ints, from 0.
    ///
    /// Returns a Tensor of as many rows.
    /// Errors: `out-of-range` when there is no such row, `wrong-type` for what is no int.
    ///
    /// ```rhai
    /// assert_eq(tensor::eye(3).select([2, 2]).to_array(), [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn select(ctx: NativeCallContext, tensor: &mut Tensor, indices: Array) -> Raised<Tensor> {
        let one = |value: &Dynamic| match value.as_int() {
            Ok(i) => row_range(tensor, i, i.saturating_add(1)).map(|(i, _)| i as u32),
            Err(_) => Err(wrong_type("an index", "an int", value)),
        };
        let indices: Vec<u32> = indices.iter().map(one).collect::<Result<_>>().at(&ctx)?;
        let n = indices.len();
        let shape = match tensor.dims() {
            [rows, rest @ ..] if *rows > 0 => [&[n], rest].concat(),
            _ => {
                return Err(Error::new(Code::OutOfRange, "the tensor has no rows").fact("given", summary(tensor)))
                    .at(&ctx);
            }
        };
        room(&shape).at(&ctx)?;
        if shape.contains(&0) {
            return make(Vec::new(), &shape).at(&ctx);
        }
        let indices = candle_core::Tensor::from_vec(indices, n, &Device::Cpu).at(&ctx)?;
        tensor.contiguous().and_then(|t| t.index_select(&indices, 0)).at(&ctx)
    }

    /// Copies the values into arrays, nested as the shape is; a float for a tensor without dimensions.
    ///
    /// ```rhai
    /// assert_eq(tensor::ones([2]).to_array(), [1.0, 1.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn to_array(ctx: NativeCallContext, tensor: &mut Tensor) -> Raised<Dynamic> {
        let bytes = size_of::<Dynamic>() * tensor.elem_count();
        memory::check("the array", bytes as u64, "work on the Tensor, or on some of its rows").at(&ctx)?;
        Ok(nested(&values(tensor).at(&ctx)?, tensor.dims()))
    }

    /// The value of a tensor of one element.
    ///
    /// Returns a float.
    /// Errors: `shape-mismatch` when it has none or several.
    ///
    /// ```rhai
    /// assert_eq(tensor::ones([1, 1]).item(), 1.0);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn item(ctx: NativeCallContext, tensor: &mut Tensor) -> Raised<f64> {
        match values(tensor).at(&ctx)?.as_slice() {
            [x] => Ok(f64::from(*x)),
            _ => Err(Error::new(Code::ShapeMismatch, "`item` needs a tensor of one element")
                .fact("expected", "one element")
                .fact("given", summary(tensor)))
            .at(&ctx),
        }
    }
}
