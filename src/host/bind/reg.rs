//! `reg::`: penalties on a dictionary, as values that add and scale.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rhai::plugin::*;
use rhai::{
    Array, Dynamic, Engine, FLOAT, FnPtr, FuncRegistration, INT, Map, Module, NativeCallContext, exported_module,
};

use crate::error::{Code, Error, Result};
use crate::host::apart::{apart, product};
use crate::host::bind::dictionary::{dictionary, encoder, with_rows};
use crate::host::bind::{language, reg_kinds, reg_select};
use crate::host::callback::Callback;
use crate::host::raise::{At, Raised};
use crate::host::session::session;
use crate::memory;
use crate::ops::Rows;
use crate::options::Field;
use crate::regularizer::{ALL, Dictionary, Regularizer as Core};

/// Registers the namespace and the type `Regularizer`.
pub fn register(engine: &mut Engine) {
    language::register_type::<Core>(engine, "Regularizer", summary);
    let mut module: Module = exported_module!(reg);
    reg_kinds::register(&mut module);
    module.combine(reg_select::module());
    multiplication(&mut module);
    engine.register_static_module("reg", module.into());
}

/// `Regularizer 1 x three_term`
pub fn summary(regularizer: &Core) -> String {
    format!("Regularizer {}", regularizer.label())
}

/// Registers `*` between a regularizer and a number, in both orders.
fn multiplication(module: &mut Module) {
    const DOC: &str = "/// Multiplies every weight of a regularizer; an int serves for a float.\n///\n\
        /// Errors: `out-of-range` for a factor that is not finite.\n///\n/// ```rhai\n\
        /// let r = reg::max_max_cos();\n/// assert_eq((0.5 * r).name, \"0.5 x max_max_cos\");\n\
        /// assert_eq((r * 2).name, (2 * r).name);\n/// ```";
    let with = |a: &str, b: &str| {
        let params = [format!("a: {a}"), format!("b: {b}"), "Regularizer".to_string()];
        FuncRegistration::new("*").with_params_info(params).with_comments([DOC]).in_global_namespace()
    };
    with("float", "Regularizer")
        .set_into_module(module, |ctx: NativeCallContext, a: FLOAT, b: Core| scaled(&b, a).at(&ctx));
    with("int", "Regularizer")
        .set_into_module(module, |ctx: NativeCallContext, a: INT, b: Core| scaled(&b, a as FLOAT).at(&ctx));
    with("Regularizer", "float")
        .set_into_module(module, |ctx: NativeCallContext, a: Core, b: FLOAT| scaled(&a, b).at(&ctx));
    with("Regularizer", "int")
        .set_into_module(module, |ctx: NativeCallContext, a: Core, b: INT| scaled(&a, b as FLOAT).at(&ctx));
}

fn scaled(regularizer: &Core, factor: f64) -> Result<Core> {
    if !factor.is_finite() {
        return Err(Error::new(Code::OutOfRange, "a regularizer is not multiplied with this")
            .fact("expected", "a finite number")
            .fact("given", factor));
    }
    Ok(regularizer.scale(factor))
}

/// Calls `f` with the decoder and the encoder that `value` stands for; which latents fire is not known.
fn with_dictionary<T>(
    regularizer: &Core,
    gradient: bool,
    value: &Dynamic,
    f: impl FnOnce(&Dictionary) -> Result<T>,
) -> Result<T> {
    let (w_dec, w_enc) = (dictionary(value)?, encoder(value)?);
    let both = |w_dec: Rows, w_enc: Rows| {
        let needed = regularizer.bytes(w_dec.n, w_dec.d) + if gradient { 8.0 * w_dec.data.len() as f64 } else { 0.0 };
        memory::check("the penalty", needed as u64, "a dictionary of fewer or shorter rows")?;
        f(&Dictionary { w_dec, w_enc, alive: None, seed: 0, step: 0 })
    };
    match w_enc {
        Some(w_enc) => with_rows(&w_dec, |w_dec| with_rows(&w_enc, |w_enc| both(w_dec, w_enc)))??,
        None => with_rows(&w_dec, |w| both(w, w))?,
    }
}

/// The derivative by the decoder; a tensor is decoder and encoder at once, so that both parts count.
fn gradient_of(ctx: &NativeCallContext, regularizer: &Core, value: &Dynamic) -> Result<Tensor> {
    let (size, regularizer, value) = (size_of_pairs(value)?, regularizer.clone(), value.clone());
    apart(&session(ctx), size, move || gradient_here(&regularizer, &value))?
}

/// The penalty of a dictionary.
fn value_of(ctx: &NativeCallContext, regularizer: &Core, value: &Dynamic) -> Result<FLOAT> {
    let (size, regularizer, value) = (size_of_pairs(value)?, regularizer.clone(), value.clone());
    apart(&session(ctx), size, move || {
        with_dictionary(&regularizer, false, &value, |weights| regularizer.value(weights))
    })?
}

/// About how many operations a penalty takes: each value meets every other row, or every other column.
fn size_of_pairs(value: &Dynamic) -> Result<u64> {
    let w = dictionary(value)?;
    Ok(product(&[w.elem_count(), w.dims().iter().sum()]))
}

fn gradient_here(regularizer: &Core, value: &Dynamic) -> Result<Tensor> {
    let is_both = encoder(value)?.is_none();
    with_dictionary(regularizer, true, value, |dictionary| {
        let Rows { data, n, d } = dictionary.w_dec;
        let mut dec = vec![0.0; data.len()];
        let mut enc = dec.clone();
        regularizer.add_gradient(dictionary, &mut dec, &mut enc)?;
        if is_both {
            dec.iter_mut().zip(enc).for_each(|(dec, enc)| *dec += enc);
        }
        Ok(Tensor::from_vec(dec, (n, d), &Device::Cpu)?)
    })
}

/// A row of the list of penalties.
fn listed(name: &str, formula: &str, source: &str, options: Vec<Field>) -> Dynamic {
    let option = |field: Field| {
        let pairs = [("name", field.name), ("default", &field.default), ("meaning", &field.meaning)];
        Dynamic::from_map(pairs.map(|(key, value)| (key.into(), value.into())).into())
    };
    let plain = [("name", name), ("formula", formula), ("source", source)];
    let mut map: Map = plain.map(|(key, value)| (key.into(), value.into())).into();
    map.insert("options".into(), Dynamic::from_array(options.into_iter().map(option).collect()));
    Dynamic::from_map(map)
}

/// The list of penalties: the baseline first, the script's own last.
fn all() -> Array {
    let built_in = ALL.iter().map(|entry| listed(entry.name, entry.formula, entry.source, (entry.options)()));
    let none = listed("none", "0", "the baseline without a penalty", Vec::new());
    let formula = "the script's function of the decoder [d_sae, d_in], differentiated by candle autograd";
    let custom = listed("custom", formula, "the script", Vec::new());
    std::iter::once(none).chain(built_in).chain([custom]).collect()
}

/// The functions of the namespace `reg`; the penalties with options are in the table of the core.
#[export_module]
pub mod reg {
    /// The script type: a weighted sum of penalties.
    pub type Regularizer = crate::regularizer::Regularizer;

    /// The baseline without a penalty.
    ///
    /// Returns a Regularizer that is 0 for every dictionary.
    ///
    /// ```rhai
    /// assert_eq(reg::none().value(tensor::ones([2, 2])), 0.0);
    /// assert_eq(reg::none().name, "none");
    /// ```
    pub fn none() -> Regularizer {
        Regularizer::none()
    }

    /// Makes a penalty of your own from a closure, differentiated by automatic differentiation.
    ///
    /// * `name`: its name in tables.
    /// * `penalty`: a closure from the decoder, a Tensor [d_sae, d_in] of raw rows, to a Tensor of one element, made of
    ///   it by tensor operations alone. It is called at every step of a training, and holds what its operations hold: at [4096, 256]
    ///   `mean_max_cos` written this way, over the whole matrix of cosines, took eight times as long as the built-in and 670 MB for 50 MB.
    ///
    /// Returns a Regularizer. What the closure gets wrong shows when it is first called:
    /// Errors: `wrong-type` when it returns no Tensor of one element, or one that does not depend on the decoder.
    ///
    /// ```rhai
    /// let r = reg::custom("frame", |w| w.matmul(w.t()).sqr().sum());
    /// assert_eq(r.value(tensor::eye(2)), 2.0);
    /// assert_eq(r.gradient(tensor::eye(2)), 4.0 * tensor::eye(2));
    /// ```
    pub fn custom(ctx: NativeCallContext, name: &str, penalty: FnPtr) -> Regularizer {
        let callback = Callback::new(&ctx, penalty);
        let digest = callback.digest();
        Regularizer::custom(name.to_string(), Arc::new(move |w: &Tensor| callback.call((w.clone(),))), digest)
    }

    /// Lists every penalty.
    ///
    /// Returns an array of maps: `name`, `formula` (c_ij: cosines of the N valid rows), `options` (an array of maps
    /// `name`, `default`, `meaning`), `source`.
    ///
    /// ```rhai
    /// let names = reg::list().map(|r| r.name);
    /// assert(names.contains("three_term"));
    /// ```
    pub fn list() -> Array {
        super::all()
    }

    /// Adds two regularizers.
    ///
    /// ```rhai
    /// let sum = reg::mean_cos() + 2.0 * reg::max_max_cos();
    /// assert_eq(sum.name, "1 x mean_cos + 2 x max_max_cos");
    /// ```
    #[rhai_fn(global, name = "+")]
    pub fn add(a: Regularizer, b: Regularizer) -> Regularizer {
        a.add(&b)
    }

    /// The terms of a regularizer with their weights, in one line of text.
    ///
    /// * `regularizer`: a Regularizer.
    ///
    /// Returns a string, `"none"` for the baseline; what of `sign`, `matrix`, `rows` is not the default is in
    /// parentheses.
    ///
    /// ```rhai
    /// assert_eq(reg::three_term().name, "1 x three_term");
    /// assert_eq(reg::mean_cos(#{ sign: "abs", matrix: "both" }).name, "1 x mean_cos (abs, both)");
    /// ```
    #[rhai_fn(global, get = "name", pure)]
    pub fn name(regularizer: &mut Regularizer) -> String {
        regularizer.label()
    }

    /// Computes the penalty of a dictionary.
    ///
    /// * `dictionary`: an Sae, or a Tensor [n, d] that is decoder and encoder at once; all its rows take part.
    ///
    /// Returns a float.
    /// Errors: `wrong-type` for what is no dictionary, `shape-mismatch` for a tensor that is no matrix, what a closure
    /// raises.
    ///
    /// ```rhai
    /// assert_eq(reg::max_max_cos().value(tensor::eye(3)), 0.0);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn value(ctx: NativeCallContext, regularizer: &mut Regularizer, dictionary: Dynamic) -> Raised<FLOAT> {
        value_of(&ctx, regularizer, &dictionary).at(&ctx)
    }

    /// Computes the derivative of the penalty by the raw rows of a dictionary, of an Sae by those of its decoder.
    ///
    /// * `dictionary`: an Sae, or a Tensor [n, d] that is decoder and encoder at once; all its rows take part.
    ///
    /// Returns a Tensor of the dictionary's shape; 0 for rows that are zero or not finite.
    /// Errors: `wrong-type` for what is no dictionary, `shape-mismatch` for a tensor that is no matrix, what a closure
    /// raises.
    ///
    /// ```rhai
    /// // The two rows are pulled apart, across themselves.
    /// let g = reg::max_max_cos().gradient(tensor::eye(2));
    /// assert_eq(g.to_array(), [[0.0, 1.0], [1.0, 0.0]]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn gradient(ctx: NativeCallContext, regularizer: &mut Regularizer, dictionary: Dynamic) -> Raised<Tensor> {
        gradient_of(&ctx, regularizer, &dictionary).at(&ctx)
    }
}
