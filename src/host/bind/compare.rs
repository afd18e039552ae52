//! `compare::`: one dictionary, one run, one target model against another.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, NativeCallContext, exported_module};
use serde_json::{Value, json};

use crate::compare as core;
use crate::error::Result;
use crate::host::apart::{apart, product};
use crate::host::bind::dictionary::{dictionary, encoder, number_list, with_rows};
use crate::host::bind::neighbors::read_sign;
use crate::host::bind::sae::Sae;
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::host::remember::{self, key, resolved, to_value};
use crate::host::session::{Session, session};
use crate::host::value::{from_json, to_script, values};
use crate::memory;
use crate::ops::{Rows, Sign};
use crate::progress::Monitor;

/// Registers the namespace.
pub fn register(engine: &mut Engine) {
    engine.register_static_module("compare", exported_module!(compare).into());
}

/// Version of what is remembered: raised when the same arguments would give another result.
const VERSION: u32 = 1;

/// Pairs of rows from which a matching takes a second or more, and is remembered.
const LARGE: usize = 1 << 25;

/// What names a dictionary's content.
fn digest(value: &Dynamic) -> Result<String> {
    if let Some(sae) = value.read_lock::<Sae>() {
        return Ok(sae.digest.to_string());
    }
    let tensor = dictionary(value)?;
    let mut hasher = blake3::Hasher::new_derive_key("saerun 1 dictionary");
    hasher.update(format!("{:?}", tensor.dims()).as_bytes());
    values(&tensor)?.iter().for_each(|x| _ = hasher.update(&x.to_le_bytes()));
    Ok(hasher.finalize().to_hex().to_string())
}

/// Calls `f` with the rows of two matrices.
fn with_both<T>(a: &Tensor, b: &Tensor, f: impl FnOnce(Rows, Rows) -> Result<T>) -> Result<T> {
    with_rows(a, |a| with_rows(b, |b| f(a, b)))??
}

/// As [`with_both`], heard by a stop.
fn with_both_apart<T: Send + 'static>(
    session: &Session,
    a: &Tensor,
    b: &Tensor,
    f: impl FnOnce(Rows, Rows) -> Result<T> + Send + 'static,
) -> Result<T> {
    // Each value meets a row or a column of the other side.
    let passes = b.elem_count() / b.dims().iter().copied().min().unwrap_or(1).max(1);
    let size = product(&[a.elem_count(), passes]);
    let (a, b) = (a.clone(), b.clone());
    apart(session, size, move || with_both(&a, &b, f))?
}

/// A comparison of two dictionaries.
pub(super) type Compute = dyn Fn(Rows, Rows, &dyn Monitor) -> Result<Value> + Send + Sync;

/// What a matching of two dictionaries gives; remembered where it takes long.
pub fn matched(
    ctx: &NativeCallContext,
    function: &'static str,
    options: Value,
    (a, b): (&Dynamic, &Dynamic),
    compute: Arc<Compute>,
) -> Result<Dynamic> {
    let session = session(ctx);
    let (left, right) = (dictionary(a)?, dictionary(b)?);
    let mut run = || {
        let (compute, watched) = (Arc::clone(&compute), Arc::clone(&session));
        with_both_apart(&session, &left, &right, move |a, b| compute(a, b, watched.monitor()))
    };
    if left.dims()[0].saturating_mul(right.dims()[0]) < LARGE {
        return Ok(from_json(&run()?));
    }
    let inputs = [("first", &*digest(a)?), ("second", &*digest(b)?)];
    Ok(from_json(&remember::json(&session, key(function, VERSION, options, &inputs), &mut run)?))
}

/// Reads both matrices of each side and asks what they share. A Tensor is its own encoder.
fn share(ctx: &NativeCallContext, s: &Dynamic, t: &Dynamic, options: &core::SharedOptions) -> Result<Dynamic> {
    let (encoders, options) = ([encoder(s)?, encoder(t)?], *options);
    let compute = move |a: Rows, b: Rows, monitor: &dyn Monitor| {
        let [c, d] = [(&encoders[0], a), (&encoders[1], b)].map(|(encoder, decoder)| match encoder {
            Some(tensor) => values(tensor),
            None => Ok(decoder.data.to_vec()),
        });
        let (c, d) = (c?, d?);
        let s = core::Weights { decoder: a, encoder: Rows::new(&c, a.n, a.d)? };
        let t = core::Weights { decoder: b, encoder: Rows::new(&d, b.n, b.d)? };
        to_value(&core::shared_latents(s, t, &options, monitor)?)
    };
    matched(ctx, "compare::shared_latents", resolved(&options, &[]), (s, t), Arc::new(compute))
}

fn align(ctx: &NativeCallContext, x: &Dynamic, y: &Dynamic, options: core::AlignOptions) -> Result<Map> {
    let (x, y) = (dictionary(x)?, dictionary(y)?);
    let d = x.dims()[1];
    let found = with_both_apart(&session(ctx), &x, &y, move |x, y| core::procrustes(x, y, &options))?;
    Ok(Map::from([
        ("rotation".into(), Dynamic::from(Tensor::from_vec(found.rotation, (d, d), &Device::Cpu)?)),
        ("residual".into(), to_script(&found.residual)?),
        ("distance".into(), found.distance.into()),
        ("invalid".into(), Dynamic::from(found.invalid as rhai::INT)),
    ]))
}

/// A distance of two samples.
fn distance(
    ctx: &NativeCallContext,
    x: &Dynamic,
    y: &Dynamic,
    of: fn(&[f64], &[f64]) -> Option<f64>,
) -> Result<Option<f64>> {
    let (x, y) = (number_list(ctx, x, "x")?, number_list(ctx, y, "y")?);
    memory::check("the comparison", 8 * (x.len() + y.len()) as u64, "try fewer values")?;
    apart(&session(ctx), product(&[x.len() + y.len(), 32]), move || of(&x, &y))
}

/// The functions of the namespace `compare`.
#[export_module]
pub mod compare {
    /// The script type: rows of a target model at a hook.
    pub type Activations = crate::activations::Activations;

    #[rhai_fn(return_raw)]
    pub fn mmcs(ctx: NativeCallContext, a: Dynamic, b: Dynamic) -> Raised<Dynamic> {
        mmcs_with(ctx, a, b, Map::new())
    }

    /// How well the rows of one dictionary are found in another: the mean over rows of `a` of the best cosine in `b`. Exact.
    ///
    /// Not symmetric, and rows may share a best match. Against chance: `geometry::random_null(n + 1, d).mean`, with n the rows of `b`.
    ///
    /// * `a`, `b`: dictionaries in the same basis, a Tensor [n, d] or an Sae (its decoder).
    /// * `options`: `sign`: `"signed"` (default), or `"abs"` for absolute cosines.
    ///
    /// Returns a float, `()` when a side has no valid row.
    /// Errors: `shape-mismatch` when the rows differ in length.
    ///
    /// ```rhai
    /// let a = tensor::from_rows([[1, 0], [0, 1]]);
    /// let b = tensor::from_rows([[3, 4], [0, -1]]);
    /// assert((compare::mmcs(a, b) - 0.7).abs() < 1e-9);
    /// assert((compare::mmcs(a, b, #{ sign: "abs" }) - 0.8).abs() < 1e-9);
    /// ```
    #[rhai_fn(name = "mmcs", return_raw)]
    pub fn mmcs_with(ctx: NativeCallContext, a: Dynamic, b: Dynamic, options: Map) -> Raised<Dynamic> {
        let sign = read_sign("compare::mmcs", options).at(&ctx)?;
        let (a, b) = (dictionary(&a).at(&ctx)?, dictionary(&b).at(&ctx)?);
        let found = with_both_apart(&session(&ctx), &a, &b, move |a, b| core::mmcs(a, b, sign));
        to_script(&found.at(&ctx)?).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn matching(ctx: NativeCallContext, a: Dynamic, b: Dynamic) -> Raised<Dynamic> {
        matching_with(ctx, a, b, Map::new())
    }

    /// Matches the rows of two dictionaries one to one so that the sum of cosines is the largest (Hungarian matching), exactly. Large
    /// ones are remembered by content.
    ///
    /// * `a`, `b`: dictionaries in the same basis, a Tensor [n, d] or an Sae (its decoder).
    /// * `options`: `sign`: `"signed"` (default), or `"abs"` for absolute cosines.
    ///
    /// Returns a map: over matched pairs `mean` (PW-MCC when signed, MCC when absolute), `median`, `share_above_07`, `share_above_09`;
    /// `mean_all`, where rows of the larger dictionary without a partner count 0; `pairs`, an array of maps `a`, `b` (rows),
    /// `similarity`, by `a`; `unmatched` and `invalid` (zero or not finite), maps `a`, `b` of numbers of rows. What is undefined is `()`.
    /// Errors: `shape-mismatch` when the rows differ in length, `too-large` before the work starts: 4 n_a n_b bytes.
    ///
    /// ```rhai
    /// let a = tensor::eye(3);
    /// let m = compare::matching(a, a.select([2, 0]));
    /// assert_eq(m.pairs, [#{ a: 0, b: 1, similarity: 1.0 }, #{ a: 2, b: 0, similarity: 1.0 }]);
    /// assert_eq(m.mean, 1.0);
    /// assert((m.mean_all - 2.0 / 3.0).abs() < 1e-12 && m.unmatched.a == 1);
    /// ```
    #[rhai_fn(name = "matching", return_raw)]
    pub fn matching_with(ctx: NativeCallContext, a: Dynamic, b: Dynamic, options: Map) -> Raised<Dynamic> {
        let sign: Sign = read_sign("compare::matching", options).at(&ctx)?;
        let compute = move |a: Rows, b: Rows, monitor: &dyn Monitor| to_value(&core::matching(a, b, sign, monitor)?);
        matched(&ctx, "compare::matching", json!({ "sign": sign }), (&a, &b), Arc::new(compute)).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn shared_latents(ctx: NativeCallContext, s: Dynamic, t: Dynamic) -> Raised<Dynamic> {
        shared_latents_with(ctx, s, t, Map::new())
    }

    /// Which latents two SAEs share (Paulo and Belrose 2025): those that an exact one-to-one matching of the decoders and another of the
    /// encoders give the same partner, with both cosines at the threshold. Large ones are remembered by content.
    ///
    /// * `s`, `t`: SAEs of the same activations; a Tensor stands for its decoder and its encoder.
    /// * `options`: `threshold`: 0.7, the least cosine.
    ///
    /// Returns a map: `share` of the latents (of the smaller SAE), `count`, `mean_cos` of the shared latents (each the mean of decoder and encoder
    /// cosine), `share_same_partner` whatever the cosine, `mean_cos_same_partner`, `mean_cos_other_partner`, `decoder_mean` and `encoder_mean` of
    /// the two matchings, `invalid` (map `a`, `b`), `pairs` (array of maps `a`, `b`, `similarity`). What is undefined is `()`.
    /// Errors: `out-of-range` for a threshold that is no cosine, `shape-mismatch`, `too-large`.
    ///
    /// ```rhai
    /// let s = tensor::random_directions(20, 8, 0);
    /// assert_eq(compare::shared_latents(s, s).share, 1.0);
    /// assert(compare::shared_latents(s, tensor::random_directions(20, 8, 1), #{ threshold: 0.9 }).share < 0.5);
    /// ```
    #[rhai_fn(name = "shared_latents", return_raw)]
    pub fn shared_latents_with(ctx: NativeCallContext, s: Dynamic, t: Dynamic, options: Map) -> Raised<Dynamic> {
        let options = Options::new("compare::shared_latents", options).read().at(&ctx)?;
        share(&ctx, &s, &t, &options).at(&ctx)
    }

    /// Matches the latents of two SAEs one to one by the Pearson correlation of their activations on the same tokens, so that the sum of
    /// correlations is the largest. The SAEs may belong to different target models. Remembered by content.
    ///
    /// * `s`, `t`: the SAEs.
    /// * `x`, `y`: Activations for each: row i of both is of the same token.
    ///
    /// Returns the map of `compare::matching`, with correlations for cosines; `invalid` counts latents that are constant on these
    /// tokens (most are dead), which are left out.
    /// Errors: `shape-mismatch` when widths or numbers of tokens differ, `too-large`.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([256, 4], 0));
    /// let s = sae::train(x, #{ d_sae: 8, batch_size: 32 });
    /// let m = compare::activation_matching(s, x, s, x);
    /// assert((m.mean - 1.0).abs() < 1e-6 && m.pairs.all(|p| p.a == p.b));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn activation_matching(
        ctx: NativeCallContext,
        s: Sae,
        x: Activations,
        t: Sae,
        y: Activations,
    ) -> Raised<Dynamic> {
        let (session, [x_name, y_name]) = (session(&ctx), [x.digest().at(&ctx)?, y.digest().at(&ctx)?]);
        let inputs = [("s", &*s.digest), ("x", x_name), ("t", &*t.digest), ("y", y_name)];
        let key = key("compare::activation_matching", VERSION, json!({}), &inputs);
        let size = product(&[s.core.config.d_sae, t.core.config.d_sae, x.len()]);
        let compute = &mut || {
            let (s, x, t, y) = (Arc::clone(&s.core), x.clone(), Arc::clone(&t.core), y.clone());
            let watched = Arc::clone(&session);
            let work = move || to_value(&core::activation_matching(&s, &x, &t, &y, watched.monitor())?);
            apart(&session, size, work)?
        };
        Ok(from_json(&remember::json(&session, key, compute).at(&ctx)?))
    }

    /// The Wasserstein-1 distance of two samples: the area between their distribution functions, in the unit of the values.
    ///
    /// * `x`, `y`: arrays, Tensors of one dimension, or Neighbors (their `cos`); `()`, NaN and infinities are left out.
    ///
    /// Returns a float, 0 or more; `()` when a side has no value.
    ///
    /// ```rhai
    /// assert_eq(compare::wasserstein([0, 1, 3], [5, 6, 8]), 5.0);
    /// assert_eq(compare::wasserstein([0, 0], [0, 1, 1, 0]), 0.5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn wasserstein(ctx: NativeCallContext, x: Dynamic, y: Dynamic) -> Raised<Dynamic> {
        to_script(&distance(&ctx, &x, &y, core::wasserstein).at(&ctx)?).at(&ctx)
    }

    /// The Kolmogorov-Smirnov distance of two samples: the largest difference of their distribution functions.
    ///
    /// It has no p-value: the rows of a dictionary are not independent. Compare it between runs with other seeds.
    ///
    /// * `x`, `y`: arrays, Tensors of one dimension, or Neighbors (their `cos`); `()`, NaN and infinities are left out.
    ///
    /// Returns a float from 0 to 1; `()` when a side has no value.
    ///
    /// ```rhai
    /// assert_eq(compare::ks([1, 2, 3, 4], [3, 4, 5, 6]), 0.5);
    /// assert_eq(compare::ks([1, 1], [1]), 0.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn ks(ctx: NativeCallContext, x: Dynamic, y: Dynamic) -> Raised<Dynamic> {
        to_script(&distance(&ctx, &x, &y, core::ks).at(&ctx)?).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn procrustes(ctx: NativeCallContext, x: Dynamic, y: Dynamic) -> Raised<Map> {
        procrustes_with(ctx, x, y, Map::new())
    }

    /// The rotation that brings rows nearest to others: the orthogonal R with the least |X R - Y| (Frobenius norm).
    ///
    /// Fit it on activations of two target models on the same held-out tokens, then bring a dictionary into the other basis:
    /// `s.decoder.matmul(rotation)`. Fitted on the dictionaries that are then compared, it would fit chance.
    ///
    /// * `x`, `y`: Tensors [n, d], row i of both of the same token. Pairs with a value that is not finite are left out.
    /// * `options`: `center`: true, takes the mean row of each side away first.
    ///
    /// Returns a map: `rotation` (Tensor [d, d], may reflect), `residual` = |X R - Y| / |Y| after centering (0 is a perfect fit, `()` when Y is
    /// constant), `distance` = |X R - Y|, `invalid` pairs.
    /// Errors: `shape-mismatch` when the shapes differ, `out-of-range` without a valid pair.
    ///
    /// ```rhai
    /// let x = tensor::randn([50, 2], 0);
    /// let quarter = tensor::from_rows([[0, 1], [-1, 0]]);
    /// let found = compare::procrustes(x, x.matmul(quarter));
    /// assert((found.rotation - quarter).abs().max().item() < 1e-6 && found.residual < 1e-6);
    /// ```
    #[rhai_fn(name = "procrustes", return_raw)]
    pub fn procrustes_with(ctx: NativeCallContext, x: Dynamic, y: Dynamic, options: Map) -> Raised<Map> {
        let options = Options::new("compare::procrustes", options).read().at(&ctx)?;
        align(&ctx, &x, &y, options).at(&ctx)
    }

    /// Linear CKA: how alike two sets of paired rows are, whatever rotation and scale lie between them. Centered.
    ///
    /// With fewer rows than some ten times the width it is near 1 for anything.
    ///
    /// * `x`, `y`: Tensors [n, d_x] and [n, d_y], row i of both of the same token. Pairs with a value that is not finite are left out.
    ///
    /// Returns a float from 0 to 1; `()` with fewer than two rows or when a side is constant.
    /// Errors: `shape-mismatch` when there are not equally many rows.
    ///
    /// ```rhai
    /// let x = tensor::randn([50, 2], 0);
    /// let turned = 3.0 * x.matmul(tensor::from_rows([[0, 1], [-1, 0]])) + 7.0;
    /// assert((compare::cka(x, turned) - 1.0).abs() < 1e-6);
    /// assert(compare::cka(x, tensor::randn([50, 2], 1)) < 0.5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn cka(ctx: NativeCallContext, x: Dynamic, y: Dynamic) -> Raised<Dynamic> {
        let (x, y) = (dictionary(&x).at(&ctx)?, dictionary(&y).at(&ctx)?);
        to_script(&with_both_apart(&session(&ctx), &x, &y, core::cka).at(&ctx)?).at(&ctx)
    }
}
