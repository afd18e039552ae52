//! `reg::`: penalties on a dictionary, as values that add and scale.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rhai::plugin::*;
use rhai::{
    Array, Dynamic, Engine, FLOAT, FnPtr, FuncRegistration, INT, Map, Module, NativeCallContext, exported_module,
};
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::host::apart::{apart, product};
use crate::host::bind::dictionary::{dictionary, encoder, with_rows};
use crate::host::bind::{language, reg_kinds, reg_select};
use crate::host::callback::Callback;
use crate::host::raise::{At, Raised};
use crate::host::session::session;
use crate::ops::Rows;
use crate::regularizer::{Dictionary, Entry, Kind, Regularizer as Core};

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
    format!("Regularizer {}", name_of(regularizer))
}

/// The terms in words: `1 x three_term`, `0.5 x mean_max_cos (abs, encoder) + 2 x spread`; `none` for the baseline.
pub fn name_of(regularizer: &Core) -> String {
    let description = regularizer.describe();
    let terms = description.as_array().map_or(&[] as &[Value], Vec::as_slice);
    let mut words = Vec::new();
    let mut at = 0;
    while at < terms.len() {
        let (kind, length) = match is_three_term(&terms[at..]) {
            true => ("three_term", 3),
            false => (text(&terms[at]["name"]).or(text(&terms[at]["kind"])).unwrap_or("?"), 1),
        };
        words.push(format!("{} x {kind}{}", terms[at]["coefficient"].as_f64().unwrap_or(0.0), scope(&terms[at])));
        at += length;
    }
    if words.is_empty() { "none".to_string() } else { words.join(" + ") }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

/// Whether the first three terms are those of `reg::three_term` with equal weights.
fn is_three_term(terms: &[Value]) -> bool {
    let kinds = ["mean_cos", "mean_max_cos", "max_max_cos"];
    let alike = |term: &Value| term["scope"] == terms[0]["scope"] && term["coefficient"] == terms[0]["coefficient"];
    terms.len() >= 3 && terms.iter().zip(kinds).all(|(term, kind)| term["kind"] == kind && alike(term))
}

/// What of a term's options is not the default, in parentheses: `(abs, encoder, beta 50)`.
fn scope(term: &Value) -> String {
    // What the Babel function counts by default is absolute.
    let sign = if term["kind"] == "babel" { "abs" } else { "signed" };
    let parts = [("sign", sign), ("matrix", "decoder"), ("rows", "all")];
    let other = parts.iter().filter_map(|(key, default)| text(&term["scope"][key]).filter(|given| given != default));
    let words = [("neighbor_gradient", "both"), ("over", "global"), ("target", "identity")];
    let word = words.iter().filter_map(|(key, default)| text(&term[key]).filter(|given| given != default));
    let mut all: Vec<String> = other.chain(word).map(str::to_string).collect();
    all.extend(["beta", "tau", "power", "k"].iter().filter(|key| term[**key].is_number()).map(|key| {
        let value = term[*key].as_f64().unwrap_or(0.0);
        format!("{key} {value}")
    }));
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
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
fn with_dictionary<T>(value: &Dynamic, f: impl FnOnce(&Dictionary) -> Result<T>) -> Result<T> {
    let (w_dec, w_enc) = (dictionary(value)?, encoder(value)?);
    let both = |w_dec: Rows, w_enc: Rows| f(&Dictionary { w_dec, w_enc, alive: None, seed: 0, step: 0 });
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
    apart(&session(ctx), size, move || with_dictionary(&value, |weights| regularizer.value(weights)))?
}

/// About how many operations a penalty takes: each value meets every other row, or every other column.
fn size_of_pairs(value: &Dynamic) -> Result<u64> {
    let w = dictionary(value)?;
    Ok(product(&[w.elem_count(), w.dims().iter().sum()]))
}

fn gradient_here(regularizer: &Core, value: &Dynamic) -> Result<Tensor> {
    let is_both = encoder(value)?.is_none();
    with_dictionary(value, |dictionary| {
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

/// A row of the table of penalties as a map.
fn entry_map(entry: Entry) -> Map {
    let option = |(name, default, meaning): &(&'static str, &'static str, &'static str)| {
        let pairs = [("name", *name), ("default", *default), ("meaning", *meaning)];
        Dynamic::from_map(pairs.map(|(key, value)| (key.into(), value.into())).into())
    };
    let options: Array = entry.options.iter().map(option).collect();
    let plain = [("name", entry.name), ("formula", entry.formula), ("source", entry.source)];
    let mut map: Map = plain.map(|(key, value)| (key.into(), value.into())).into();
    map.insert("options".into(), Dynamic::from_array(options));
    map
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
        Kind::ALL.into_iter().map(|kind| Dynamic::from_map(entry_map(kind.entry()))).collect()
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
        name_of(regularizer)
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
