//! Evaluation: how sparse, how faithful, and what it costs the target model. The definitions are SAELens's (its evaluation of
//! version 6.45.2 and later) unless a field says otherwise; sums are in f64.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::totals::{Mean, Totals};
use super::{Sae, encode};
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
    /// Share of latents that fire on none of these tokens.
    pub dead_fraction: f64,
    /// Share of latents that fire on less than one token in 100,000, the dead among them: "ultra-rare" below a million tokens means dead.
    pub fraction_below_1e_5: f64,
    /// Share of latents that fire on less than one token in a million, the dead among them.
    pub fraction_below_1e_6: f64,
    /// How many tokens.
    pub tokens: u64,
}

/// [`Evaluation`], and what replacing the activations by their reconstruction does to the target model. Cross-entropies are nats a token.
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
    /// The same ratio in each batch of 48 contexts, then the mean over batches: dictionary_learning's "frac_recovered".
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
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions { tokens: None, seed: 0, skip_first: 1 }
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
    for_rows(sae, activations, monitor, |rows| totals.add(sae, rows).map(|_| ()))?;
    totals.finish()
}

/// For each latent the share of tokens on which it is above 0, `[d_sae]`.
///
/// # Errors
/// As [`evaluate`].
pub fn firing_rates(sae: &Sae, activations: &Activations, monitor: &dyn Monitor) -> Result<Vec<f32>> {
    let mut fires = vec![0u64; sae.config.d_sae];
    for_rows(sae, activations, monitor, |rows| {
        encode(sae, rows)?.latents.iter().for_each(|i| fires[*i as usize] += 1);
        Ok(())
    })?;
    let n = activations.len() as f64;
    Ok(fires.iter().map(|fires| (*fires as f64 / n) as f32).collect())
}

/// Measures an SAE in its target model, on contexts of a corpus.
///
/// # Errors
/// `unknown-name` when the model lacks the SAE's hook, `shape-mismatch` when the hook has another width, `interrupted`, and what the model gives.
pub fn evaluate_in_model(
    sae: &Sae,
    model: &TargetModel,
    corpus: &Corpus,
    options: &EvaluateOptions,
    monitor: &dyn Monitor,
) -> Result<ModelEvaluation> {
    let hook = sae.config.hook_name.as_str();
    check_width(sae, model.hook_width(hook)?)?;
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
        let reconstruction = totals.lock().map_err(|_| poisoned())?.add(sae, rows)?;
        rows.copy_from_slice(&reconstruction);
        Ok(())
    };
    let patches = [Patch::Zero, Patch::Mean(&mean), Patch::Replace(&replace)];
    let losses = model.patched(&contexts, hook, options.skip_first, &patches, monitor)?;
    let [zero, mean, with_sae] = losses.patched.as_slice() else {
        return Err(Error::new(Code::Internal, "the model did not score every patch"));
    };
    let by_batch = losses.batches.iter().map(|(without, patched)| ratio(patched[0] - patched[2], patched[0] - without));
    let by_batch: Option<Vec<f64>> = by_batch.collect();
    Ok(ModelEvaluation {
        activations: totals.into_inner().map_err(|_| poisoned())?.finish()?,
        ce_loss: losses.ce_loss,
        ce_loss_with_sae: with_sae.ce_loss,
        ce_loss_with_zero_ablation: zero.ce_loss,
        ce_loss_with_mean_ablation: mean.ce_loss,
        ce_loss_score: ratio(zero.ce_loss - with_sae.ce_loss, zero.ce_loss - losses.ce_loss),
        ce_loss_score_mean_of_ratios: by_batch.and_then(|all| ratio(all.iter().sum(), all.len() as f64)),
        ce_loss_score_over_mean_ablation: ratio(mean.ce_loss - with_sae.ce_loss, mean.ce_loss - losses.ce_loss),
        kl_div_with_sae: with_sae.kl_div,
        kl_div_with_zero_ablation: zero.kl_div,
        kl_div_score: ratio(zero.kl_div - with_sae.kl_div, zero.kl_div),
    })
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
