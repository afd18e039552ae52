//! Evaluation: how sparse, how faithful, and what it costs the target model. The definitions are SAELens's (its evaluation of
//! version 6.45.2 and later) unless a field says otherwise; sums are in f64.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::totals::{Mean, Totals};
use super::{Sae, encode_with};
use crate::activations::Activations;
use crate::corpus::Corpus;
use crate::error::{Code, Error, Result};
use crate::model::{Patch, TargetModel};
use crate::progress::Monitor;

/// Rows that are measured at once.
const CHUNK: usize = 2048;

/// What an SAE does to activations. A number that is not defined (the explained variance of constant activations, say) is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Active latents a token, mean over tokens.
    pub l0: f64,
    /// Sum of activations, mean over tokens; not weighted by decoder norms.
    pub l1: f64,
    /// |x̂ - x|², summed over coordinates, mean over tokens.
    pub mse: f64,
    /// sum |x̂ - x|² / sum |x - mean|², the mean taken over these tokens.
    pub fvu: Option<f64>,
    /// 1 - fvu: the streaming R² of SAELens since 6.45.1.
    pub explained_variance: Option<f64>,
    /// The mean over tokens of 1 - |x̂ - x|² / |x - mean|²: SAELens before 6.45.1, and the published numbers of SAEBench.
    pub explained_variance_legacy: Option<f64>,
    /// 1 - (variance of x - x̂) / (variance of x), summed over coordinates: dictionary_learning's, blind to a constant error.
    pub frac_variance_explained: Option<f64>,
    /// Mean of the cosine between x and x̂, over tokens where both have a direction.
    pub cosine_similarity: Option<f64>,
    /// Mean of |x|.
    pub l2_norm_in: f64,
    /// Mean of |x̂|.
    pub l2_norm_out: f64,
    /// Mean of |x̂| / |x| over tokens with |x| > 0: below 1 is shrinkage.
    pub l2_ratio: Option<f64>,
    /// mean |x̂|² / mean x·x̂ (Rajamanoharan et al. 2024, equation 10): below 1 is shrinkage.
    pub relative_reconstruction_bias: Option<f64>,
    /// Share of latents that fire on none of these tokens. The fewer tokens, the more are silent: a latent that fires on one token in a million is
    /// among them on most samples of 100,000, and is not dead.
    pub dead_fraction: f64,
    /// The same number under the name that says what it is.
    pub silent_fraction: f64,
    /// Share of latents that fire on less than one token in 100,000, the dead among them: "ultra-rare" below a million tokens means dead.
    pub fraction_below_1e_5: f64,
    /// Share of latents that fire on less than one token in a million, the dead among them.
    pub fraction_below_1e_6: f64,
    /// How many tokens.
    pub tokens: u64,
}

/// [`Evaluation`], and what replacing the activations by their reconstruction does to the target model. Cross-entropies are nats a token, over the
/// positions from `skip_first` on; those before are neither replaced nor scored (SAELens replaces and scores position 0 too).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelEvaluation {
    /// What the SAE does to the activations at the same tokens.
    #[serde(flatten)]
    pub activations: Evaluation,
    /// Cross-entropy of the model as it is.
    pub ce_loss: f64,
    /// With the reconstruction in place of the activations.
    pub ce_loss_with_sae: f64,
    /// With zeros.
    pub ce_loss_with_zero_ablation: f64,
    /// With the mean activation over the same tokens.
    pub ce_loss_with_mean_ablation: f64,
    /// (zero - with_sae) / (zero - without): the "reconstruction score" of Nanda's 1L SAEs and SAELens, a ratio of means.
    pub ce_loss_score: Option<f64>,
    /// The same ratio in each batch of 48 contexts, then the mean over batches, each by how many contexts it holds: dictionary_learning's
    /// "frac_recovered". Batches are of contexts in the order of their tokens, so that the order in which they came does not count.
    pub ce_loss_score_mean_of_ratios: Option<f64>,
    /// (mean ablation - with_sae) / (mean ablation - without): stricter, where losing the mean alone costs much.
    pub ce_loss_score_over_mean_ablation: Option<f64>,
    /// KL(model || model with the reconstruction), nats a token.
    pub kl_div_with_sae: f64,
    /// KL(model || model with zeros), nats a token.
    pub kl_div_with_zero_ablation: f64,
    /// (kl_zero - kl_sae) / kl_zero, as SAELens and SAEBench.
    pub kl_div_score: Option<f64>,
}

/// The options of [`evaluate_in_model`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateOptions {
    /// Tokens of the corpus to use, in whole contexts. Default: all.
    pub tokens: Option<usize>,
    /// Chooses the contexts.
    pub seed: u64,
    /// Positions of each context, from its start, that are left as they are and not measured.
    pub skip_first: usize,
    /// The hook to measure at. Default: the one that the SAE names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
}

impl EvaluateOptions {
    /// The hook at which this SAE is measured.
    ///
    /// # Errors
    /// `unknown-name` when neither the SAE nor the options name one.
    pub fn hook<'a>(&'a self, sae: &'a Sae) -> Result<&'a str> {
        let hook = self.hook.as_deref().unwrap_or(&sae.config.hook_name);
        if hook.is_empty() {
            return Err(Error::new(Code::UnknownName, "this SAE does not say at which hook it was trained").help(
                "name it: `s.evaluate(model, corpus, #{ hook: \"blocks.0.hook_mlp_out\" })`, one of `model.hooks`",
            ));
        }
        Ok(hook)
    }
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions { tokens: None, seed: 0, skip_first: 1, hook: None }
    }
}

/// Measures an SAE on stored activations.
///
/// # Errors
/// `shape-mismatch` when their widths differ, `out-of-range` when there are none, `interrupted`, and what reading gives.
pub fn evaluate(sae: &Sae, activations: &Activations, monitor: &dyn Monitor) -> Result<Evaluation> {
    let mut mean = Mean::new(sae.config.d_in);
    for_rows(sae, activations, monitor, |rows| {
        mean.add(rows);
        Ok(())
    })?;
    let mut totals = Totals::new(sae, mean.finish());
    for_rows(sae, activations, monitor, |rows| totals.add(sae, rows, monitor).map(|_| ()))?;
    totals.finish()
}

/// For each latent the share of tokens on which it is above 0, `[d_sae]`.
///
/// # Errors
/// As [`evaluate`].
pub fn firing_rates(sae: &Sae, activations: &Activations, monitor: &dyn Monitor) -> Result<Vec<f32>> {
    let mut fires = vec![0u64; sae.config.d_sae];
    for_rows(sae, activations, monitor, |rows| {
        encode_with(sae, rows, monitor)?.latents.iter().for_each(|i| fires[*i as usize] += 1);
        Ok(())
    })?;
    let n = activations.len() as f64;
    Ok(fires.iter().map(|fires| (*fires as f64 / n) as f32).collect())
}

/// Measures an SAE in its target model, on contexts of a corpus.
///
/// # Errors
/// `unknown-name` when no hook is named or the model lacks it, `shape-mismatch` when the hook has another width, `interrupted`, and what the
/// model gives.
pub fn evaluate_in_model(
    sae: &Sae,
    model: &TargetModel,
    corpus: &Corpus,
    options: &EvaluateOptions,
    monitor: &dyn Monitor,
) -> Result<ModelEvaluation> {
    let hook = options.hook(sae)?;
    check_width(sae, model.hook_width(hook)?).map_err(|error| error.fact("hook", hook).fact("model", model.name()))?;
    let contexts = model.contexts(corpus, options.tokens, options.seed)?;

    let mut mean = Mean::new(sae.config.d_in);
    let (context, skipped) = (model.config().n_ctx * sae.config.d_in, options.skip_first * sae.config.d_in);
    model.rows_at(&contexts, hook, &mut |rows| {
        monitor.check()?;
        rows.chunks(context).for_each(|rows| mean.add(&rows[skipped.min(rows.len())..]));
        Ok(())
    })?;
    let mean = mean.finish();

    let totals = Mutex::new(Totals::new(sae, mean.clone()));
    let replace = |rows: &mut [f32]| {
        let reconstruction = totals.lock().map_err(|_| poisoned())?.add(sae, rows, monitor)?;
        rows.copy_from_slice(&reconstruction);
        Ok(())
    };
    let patches = [Patch::Zero, Patch::Mean(&mean), Patch::Replace(&replace)];
    let losses = model.patched(&contexts, hook, options.skip_first, &patches, monitor)?;
    let [zero, mean, with_sae] = losses.patched.as_slice() else {
        return Err(Error::new(Code::Internal, "the model did not score every patch"));
    };
    Ok(ModelEvaluation {
        activations: totals.into_inner().map_err(|_| poisoned())?.finish()?,
        ce_loss: losses.ce_loss,
        ce_loss_with_sae: with_sae.ce_loss,
        ce_loss_with_zero_ablation: zero.ce_loss,
        ce_loss_with_mean_ablation: mean.ce_loss,
        ce_loss_score: ratio(zero.ce_loss - with_sae.ce_loss, zero.ce_loss - losses.ce_loss),
        ce_loss_score_mean_of_ratios: mean_of_ratios(&contexts, model.config().n_ctx, &losses.contexts),
        ce_loss_score_over_mean_ablation: ratio(mean.ce_loss - with_sae.ce_loss, mean.ce_loss - losses.ce_loss),
        kl_div_with_sae: with_sae.kl_div,
        kl_div_with_zero_ablation: zero.kl_div,
        kl_div_score: ratio(zero.kl_div - with_sae.kl_div, zero.kl_div),
    })
}

/// The losses of a context: as the model is, and by patch.
type Losses = (f64, Vec<f64>);

/// Contexts of a batch, as in dictionary_learning's evaluation.
const BATCH: usize = 48;

/// The mean over batches of (zero - with_sae) / (zero - without), weighted by contexts; `losses` are those of each context: as the model is, and
/// by patch. Batches are made by the contexts' tokens: neither their order nor a remainder changes the mean.
fn mean_of_ratios(contexts: &[u32], n_ctx: usize, losses: &[Losses]) -> Option<f64> {
    let mut order: Vec<(&[u32], &Losses)> = contexts.chunks_exact(n_ctx).zip(losses).collect();
    order.sort_by(|a, b| a.0.cmp(b.0));
    let mut sum = 0.0;
    for batch in order.chunks(BATCH) {
        let of = |loss: fn(&Losses) -> f64| batch.iter().map(|(_, losses)| loss(losses)).sum::<f64>();
        let (without, zero, with_sae) = (of(|l| l.0), of(|l| l.1[0]), of(|l| l.1[2]));
        sum += ratio(zero - with_sae, zero - without)? * batch.len() as f64;
    }
    ratio(sum, order.len() as f64)
}

fn poisoned() -> Error {
    Error::new(Code::Internal, "a measurement panicked")
}

fn check_width(sae: &Sae, width: usize) -> Result<()> {
    if width == sae.config.d_in {
        return Ok(());
    }
    Err(Error::new(Code::ShapeMismatch, "the activations are not as wide as the SAE's input")
        .fact("expected", format!("d_in {}", sae.config.d_in))
        .fact("given", width))
}

fn for_rows(
    sae: &Sae,
    activations: &Activations,
    monitor: &dyn Monitor,
    mut work: impl FnMut(&[f32]) -> Result<()>,
) -> Result<()> {
    check_width(sae, activations.d_in())?;
    let (len, d) = (activations.len(), activations.d_in());
    if len == 0 {
        return Err(Error::new(Code::OutOfRange, "there are no activations to measure"));
    }
    let mut rows = vec![0.0; CHUNK.min(len) * d];
    for from in (0..len).step_by(CHUNK) {
        monitor.check()?;
        let n = CHUNK.min(len - from);
        let rows = &mut rows[..n * d];
        activations.read(from, rows)?;
        work(rows)?;
        monitor.update("evaluate", (from + n) as u64, len as u64, "");
    }
    Ok(())
}

/// `a / b` where that is a finite number.
pub(super) fn ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|ratio| ratio.is_finite())
}
