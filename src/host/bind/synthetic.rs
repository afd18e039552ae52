//! `synthetic::`: data with known true features, and how well a dictionary recovers them.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, INT, Map, NativeCallContext, exported_module};
use serde_json::json;

use crate::error::Result;
use crate::host::bind::compare::matched;
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::host::remember::to_value;
use crate::host::value::values;
use crate::ops::Rows;
use crate::progress::Monitor;
use crate::synthetic as core;

/// Registers the namespace.
pub fn register(engine: &mut Engine) {
    engine.register_static_module("synthetic", exported_module!(synthetic).into());
}

/// Makes a toy and takes it apart for the script.
fn make(mut options: Options) -> Result<Map> {
    let directions: Option<Tensor> = options.take_native("directions")?;
    let options: core::SuperpositionOptions = options.read()?;
    let (n, d) = (options.features, options.d);
    let toy = Arc::new(core::Superposition::new(options, directions.map(|t| values(&t)).transpose()?)?);
    let parent = |parent: &Option<usize>| parent.map_or(Dynamic::UNIT, |p| Dynamic::from(p as INT));
    let rates: Vec<f32> = toy.rates.iter().map(|p| *p as f32).collect();
    Ok(Map::from([
        ("activations".into(), Dynamic::from(toy.activations()?)),
        ("features".into(), Dynamic::from(Tensor::from_slice(&toy.features, (n, d), &Device::Cpu)?)),
        ("rates".into(), Dynamic::from(Tensor::new(rates, &Device::Cpu)?)),
        ("parents".into(), Dynamic::from_array(toy.parents.iter().map(parent).collect::<Array>())),
    ]))
}

/// The functions of the namespace `synthetic`.
#[export_module]
pub mod synthetic {
    /// Makes activations that are sums of a few known features each (the toy of Sharkey, Braun and Millidge 2022).
    ///
    /// Feature i fires in proportion to `decay^i`, never more often than always or than its parent, so that `active` fire on a token on average;
    /// each that fires adds its direction times a strength. A row depends on the options and its number alone. Up to 256 MiB of
    /// activations are kept in memory, more are made whenever they are read.
    ///
    /// * `options`: `features`, `d`, `tokens` (required): how many features, the width of the activations, the number of rows; `active`: 5.0;
    ///   `decay`: 0.99^(512 / features), so that the rarest feature fires 0.006 times as often as the commonest; `strength_min`: 0.0,
    ///   `strength_max`: 1.0, strengths are uniform in between; `noise`: 0.0, standard deviation of Gaussian noise on each
    ///   coordinate; `directions`: a Tensor [features, d] to use for the features, such as `geometry::packing(512, 256, #{ sign: "abs" }).vectors`, by
    ///   default random unit rows; `seed`: 0.
    ///   Firing together: `correlation`: 0.0, to below 1, the share that common factors have in a Gaussian copula of rank
    ///   `correlation_rank`: 25; each feature keeps its rate. Costs features x rank a token, where independent features cost as many steps as fire.
    ///   Firing within each other: `trees`: 0, how many; `branching`: 4 children of a feature; `depth`: 3 levels below the root;
    ///   `exclusive`: false, whether at most one child of a parent fires. The first features are the roots, then all their children, and so on. With
    ///   correlation too, children's rates hold only nearly.
    ///
    /// Returns a map: `activations` (Activations [tokens, d]), `features` (Tensor [features, d], the truth), `rates` (Tensor [features], how often
    /// each fires), `parents` (array, `()` for features without).
    /// Errors: `out-of-range`, naming the option; `shape-mismatch` for directions of another shape.
    ///
    /// ```rhai
    /// let toy = synthetic::superposition(#{ features: 32, d: 16, tokens: 1000, active: 2.0 });
    /// assert_eq(toy.activations.shape, [1000, 16]);
    /// assert((toy.rates.sum().item() - 2.0).abs() < 1e-5);
    /// assert_eq(synthetic::recovery(toy.features, toy.features).mcc, 1.0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn superposition(ctx: NativeCallContext, options: Map) -> Raised<Map> {
        make(Options::new("synthetic::superposition", options)).at(&ctx)
    }

    /// Scores how well a dictionary recovers known features. Exact; large ones are remembered by content.
    ///
    /// * `dictionary`: a Tensor [n, d] or an Sae (its decoder).
    /// * `features`: the truth, a Tensor [features, d].
    ///
    /// Returns a map. Recall, over features: `mmcs` (mean of the best cosine of a latent), `recall_above_07`, `recall_above_09` (share of best cosines above).
    /// Precision, over latents: `mmcs_precision`, `precision_above_07`, `precision_above_09`. One to one: `mcc` (mean absolute cosine of the
    /// Hungarian matching over matched pairs), `mcc_all` (what has no partner counts 0), `mcc_signed` (matching of signed cosines).
    /// `uniqueness`: different features among the latents' best by absolute cosine, over the number of latents. `invalid`: latents left
    /// out, as they are zero or not finite. What is undefined is `()`.
    /// Errors: `shape-mismatch` when the rows differ in length, `too-large`.
    ///
    /// ```rhai
    /// let truth = tensor::eye(2);
    /// let merged = tensor::from_rows([[1, 1], [1, 0]]);
    /// let found = synthetic::recovery(merged, truth);
    /// assert((found.mmcs - (1.0 + 0.5.sqrt()) / 2.0).abs() < 1e-9);
    /// assert_eq(found.recall_above_07, 1.0);
    /// assert_eq(found.recall_above_09, 0.5);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn recovery(ctx: NativeCallContext, dictionary: Dynamic, features: Dynamic) -> Raised<Dynamic> {
        let compute = |w: Rows, truth: Rows, monitor: &dyn Monitor| to_value(&core::recovery(w, truth, monitor)?);
        matched(&ctx, "synthetic::recovery", json!({}), (&dictionary, &features), Arc::new(compute)).at(&ctx)
    }
}
