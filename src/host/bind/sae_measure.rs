//! `sae::`: measuring sparse autoencoders.

use std::sync::Arc;

use candle_core::Device;
use rhai::plugin::*;
use rhai::{Dynamic, Map, Module, NativeCallContext, exported_module};
use serde_json::Value as Json;

use crate::activations::Activations;
use crate::corpus::Corpus;
use crate::error::{Code, Error, Result};
use crate::geometry::{HistogramOptions, histogram};
use crate::host::bind::geometry::to_table;
use crate::host::bind::sae::Sae;
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::host::remember::{self, key, resolved};
use crate::host::session::{Session, session};
use crate::host::value::from_json;
use crate::model::TargetModel;
use crate::sae::{self as core, EvaluateOptions, agreement};

/// The functions of this file, for the namespace `sae`.
pub(super) fn module() -> Module {
    exported_module!(measure)
}

/// Versions of what is remembered: raised when the same arguments would give another result.
const EVALUATE_VERSION: u32 = 4;
const RATES_VERSION: u32 = 3;

/// Says where an SAE is measured on other activations than it was trained on.
fn warn_of(session: &Arc<Session>, disagreements: &[String]) {
    disagreements.iter().for_each(|text| session.monitor().warn(text));
}

/// The firing rates, measured or remembered.
fn rates(ctx: &NativeCallContext, s: &Sae, activations: &Activations) -> Result<Vec<f32>> {
    let session = session(ctx);
    warn_of(&session, &agreement::with_activations(&s.core, activations)?);
    let inputs = [("sae", &*s.digest), ("activations", activations.digest()?)];
    let key = key("s.firing_rates", RATES_VERSION, serde_json::json!({}), &inputs);
    let measure = &mut || remember::to_value(&core::firing_rates(&s.core, activations, session.monitor())?);
    serde_json::from_value(remember::json(&session, key, measure)?)
        .map_err(|e| Error::new(Code::DamagedFile, "cached firing rates are damaged").fact("reason", e))
}

/// What the SAE does to activations, or did when the same was asked before.
pub(super) fn scores(session: &Arc<Session>, s: &Sae, activations: &Activations) -> Result<Json> {
    warn_of(session, &agreement::with_activations(&s.core, activations)?);
    let inputs = [("sae", &*s.digest), ("activations", activations.digest()?)];
    let key = key("s.evaluate", EVALUATE_VERSION, serde_json::json!({}), &inputs);
    let measure = &mut || remember::to_value(&core::evaluate(&s.core, activations, session.monitor())?);
    remember::json_if(session, key, &current, measure)
}

/// Whether a remembered result has all that is measured now: those of versions before are measured again.
fn current(scores: &Json) -> bool {
    scores.get("silent_fraction").is_some()
}

/// [`scores`], and what the SAE does to its target model.
pub(super) fn scores_in_model(
    session: &Arc<Session>,
    s: &Sae,
    (model, corpus): (&TargetModel, &Corpus),
    options: &EvaluateOptions,
) -> Result<Json> {
    let hook = options.hook(&s.core)?;
    // Before anything is said of how they differ: at a hook that is not there, they do not meet at all.
    model.hook_width(hook)?;
    warn_of(session, &agreement::with_model(&s.core, model, hook, options.skip_first)?);
    let inputs = [("sae", &*s.digest), ("model", model.digest()?), ("corpus", corpus.digest())];
    let key = key("s.evaluate in model", EVALUATE_VERSION, resolved(options, &[]), &inputs);
    let measure =
        &mut || remember::to_value(&core::evaluate_in_model(&s.core, model, corpus, options, session.monitor())?);
    remember::json_if(session, key, &current, measure)
}

/// Scores of an SAE.
#[export_module]
mod measure {
    /// The script type: a sparse autoencoder.
    pub type Sae = crate::host::bind::sae::Sae;
    /// The script type: rows of a target model at a hook.
    pub type Activations = crate::activations::Activations;
    /// The script type: an f32 tensor.
    pub type Tensor = candle_core::Tensor;
    /// The script type: a language model whose activations can be read.
    pub type TargetModel = crate::model::TargetModel;
    /// The script type: a table of results.
    pub type Table = crate::report::table::Table;
    /// The script type: a list of documents.
    pub type Corpus = crate::corpus::Corpus;

    /// Measures the SAE on activations. Remembered by content.
    ///
    /// * `s`: the SAE.
    /// * `activations`: rows that it was not trained on.
    ///
    /// Returns a map: `l0`, `l1`, `mse` (squared error summed over coordinates, mean over tokens), `fvu` (squared error over squared distance from the
    /// mean, sums over all tokens), `explained_variance` = 1 - fvu (SAELens from 6.45.1 on), `explained_variance_legacy` (the mean over tokens of
    /// 1 - |x̂ - x|² / |x - mean|²: SAELens before, SAEBench's published numbers), `frac_variance_explained` (dictionary_learning: by variances, blind to
    /// a constant error), `cosine_similarity`, `l2_norm_in`, `l2_norm_out`, `l2_ratio`, `relative_reconstruction_bias`,
    /// `silent_fraction` (the share of latents that fire on none of these tokens: the fewer the tokens, the larger it is) and the same number as
    /// `dead_fraction`, `fraction_below_1e_5` and `fraction_below_1e_6` (latents that fire more rarely, the silent among them), `tokens`. A warning says
    /// where the activations were made in another way than those that the SAE was trained on: another model, hook, loading, context or position.
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([64, 4], 0));
    /// let scores = sae::train(x, #{ d_sae: 8, batch_size: 32 }).evaluate(x);
    /// assert(abs(scores.fvu + scores.explained_variance - 1.0) < 1e-12);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn evaluate(ctx: NativeCallContext, s: &mut Sae, activations: Activations) -> Raised<Dynamic> {
        Ok(from_json(&scores(&session(&ctx), s, &activations).at(&ctx)?))
    }

    /// Measures the SAE on activations, and in its target model when a reconstruction takes the activations' place. Remembered by content.
    ///
    /// * `s`: the SAE.
    /// * `model`: its target model.
    /// * `corpus`: text that neither was trained on.
    /// * `options`: `tokens`: how many, all by default; `seed` 0: which contexts; `skip_first` 1: positions of each context that are left as they are
    ///   and not scored (SAELens replaces and scores position 0 too); `hook`: where, by default at the hook that the SAE names.
    ///
    /// Returns the map of `s.evaluate(activations)` and `ce_loss`, `ce_loss_with_sae`, `ce_loss_with_zero_ablation`,
    /// `ce_loss_with_mean_ablation`, `ce_loss_score` = (zero - with_sae) / (zero - without), a ratio of means (Nanda, SAELens),
    /// `ce_loss_score_mean_of_ratios` (the mean of that ratio over batches of 48 contexts, each weighted by its contexts, in an order of their
    /// tokens: dictionary_learning), `ce_loss_score_over_mean_ablation`, `kl_div_with_sae`, `kl_div_with_zero_ablation`, and `kl_div_score` = (kl_zero - kl_sae) / kl_zero.
    /// A warning says where the model, its loading, hook, contexts or positions are not those of the activations that the SAE was trained on.
    /// Errors: `unknown-name` when neither names a hook or the model lacks it, `shape-mismatch`, `unsupported` for an SAE of one head, `out-of-range`
    /// for more tokens than there are.
    ///
    /// ```rhai
    /// let m = model::load("sotu-1l");
    /// let text = corpus::load("sotu").split();
    /// let x = m.activations(text.train, #{ hook: "blocks.0.hook_mlp_out", tokens: 256 });
    /// let scores = sae::train(x, #{ d_sae: 64, batch_size: 64 }).evaluate(m, text.test, #{ tokens: 512 });
    /// assert(scores.ce_loss_with_zero_ablation > scores.ce_loss);
    /// ```
    #[rhai_fn(global, name = "evaluate", return_raw, pure)]
    pub fn evaluate_in_model(
        ctx: NativeCallContext,
        s: &mut Sae,
        model: TargetModel,
        corpus: Corpus,
        options: Map,
    ) -> Raised<Dynamic> {
        let options: EvaluateOptions = Options::new("s.evaluate", options).read().at(&ctx)?;
        Ok(from_json(&scores_in_model(&session(&ctx), s, (&model, &corpus), &options).at(&ctx)?))
    }

    /// For each latent the share of tokens on which it is above 0. Remembered by content.
    ///
    /// * `s`: the SAE.
    /// * `activations`: rows [tokens, d_in].
    ///
    /// Returns a Tensor [d_sae].
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([64, 4], 0));
    /// assert(sae::train(x, #{ d_sae: 8, batch_size: 32 }).firing_rates(x).max().item() <= 1.0);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn firing_rates(ctx: NativeCallContext, s: &mut Sae, activations: Activations) -> Raised<Tensor> {
        let rates = rates(&ctx, s, &activations).at(&ctx)?;
        Tensor::new(rates, &Device::Cpu).at(&ctx)
    }

    /// How often latents fire, by powers of ten: the histogram of log10 of the firing rates. Latents that never fire are in no bin.
    ///
    /// * `s`: the SAE.
    /// * `activations`: rows [tokens, d_in].
    ///
    /// Returns a Table with a row for each quarter of a power of ten: `from`, `to` (log10 of the share of tokens), `count`, `density` (share of the
    /// latents that fire over the width).
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([64, 4], 0));
    /// let t = sae::train(x, #{ d_sae: 8, batch_size: 32 }).firing_histogram(x);
    /// assert(t.column("to")[t.height - 1] <= 0.25);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn firing_histogram(ctx: NativeCallContext, s: &mut Sae, activations: Activations) -> Raised<Table> {
        let rates = rates(&ctx, s, &activations).at(&ctx)?;
        let logs: Vec<f64> = rates.iter().map(|rate| f64::from(*rate).log10()).collect();
        let bins = HistogramOptions { bin_width: 0.25, ..HistogramOptions::default() };
        histogram(&logs, &bins).and_then(to_table).at(&ctx)
    }
}
