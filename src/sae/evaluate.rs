//! Evaluation: how sparse, how faithful, and what it costs the target model. The definitions are SAELens's (its evaluation of
//! version 6.45.2 and later) unless a field says otherwise; sums are in f64.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{Sae, decode, encode};
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
    /// 1 - fvu: the streaming R² of SAELens since 6.45.1, not the older mean of ratios.
    pub explained_variance: Option<f64>,
    /// Mean of |x̂| / |x| over tokens with |x| > 0: below 1 is shrinkage.
    pub l2_ratio: Option<f64>,
    /// mean |x̂|² / mean x·x̂ (Rajamanoharan et al. 2024, equation 10): below 1 is shrinkage.
    pub relative_reconstruction_bias: Option<f64>,
    /// Share of latents that fire on none of these tokens.
    pub dead_fraction: f64,
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
    /// (zero - with_sae) / (zero - without): the "reconstruction score" of Nanda's 1L SAEs, a ratio of means.
    pub ce_loss_score: Option<f64>,
    /// (kl_zero - kl_sae) / kl_zero, with KL(model || patched model), as SAELens and SAEBench.
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
    let mut totals = Totals::new(sae);
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

    let mean = Mutex::new((0u64, vec![0.0f64; sae.config.d_in]));
    let record = |rows: &mut [f32]| {
        let mut mean = mean.lock().map_err(|_| poisoned())?;
        for row in rows.chunks_exact(sae.config.d_in) {
            mean.0 += 1;
            mean.1.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        Ok(())
    };
    model.patched(&contexts, hook, options.skip_first, &[Patch::Replace(&record)], monitor)?;
    let (count, sums) = mean.into_inner().map_err(|_| poisoned())?;
    let mean: Vec<f32> = sums.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect();

    let totals = Mutex::new(Totals::new(sae));
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
    Ok(ModelEvaluation {
        activations: totals.into_inner().map_err(|_| poisoned())?.finish()?,
        ce_loss: losses.ce_loss,
        ce_loss_with_sae: with_sae.ce_loss,
        ce_loss_with_zero_ablation: zero.ce_loss,
        ce_loss_with_mean_ablation: mean.ce_loss,
        ce_loss_score: ratio(zero.ce_loss - with_sae.ce_loss, zero.ce_loss - losses.ce_loss),
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
fn ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|ratio| ratio.is_finite())
}

/// Sums over tokens.
struct Totals {
    tokens: u64,
    active: u64,
    activation: f64,
    error: f64,
    sum: Vec<f64>,
    square: f64,
    ratios: (u64, f64),
    cross: f64,
    reconstruction_square: f64,
    fired: Vec<bool>,
}

impl Totals {
    fn new(sae: &Sae) -> Totals {
        Totals {
            tokens: 0,
            active: 0,
            activation: 0.0,
            error: 0.0,
            sum: vec![0.0; sae.config.d_in],
            square: 0.0,
            ratios: (0, 0.0),
            cross: 0.0,
            reconstruction_square: 0.0,
            fired: vec![false; sae.config.d_sae],
        }
    }

    /// Takes rows in and returns their reconstructions.
    fn add(&mut self, sae: &Sae, rows: &[f32]) -> Result<Vec<f32>> {
        let d = sae.config.d_in;
        let codes = encode(sae, rows)?;
        let reconstruction = decode(sae, &codes)?;
        self.active += codes.active() as u64;
        self.activation += codes.values.iter().map(|f| f64::from(*f)).sum::<f64>();
        codes.latents.iter().for_each(|i| self.fired[*i as usize] = true);
        for (x, y) in rows.chunks_exact(d).zip(reconstruction.chunks_exact(d)) {
            let (mut xx, mut xy, mut yy, mut error) = (0.0, 0.0, 0.0, 0.0);
            for ((x, y), sum) in x.iter().zip(y).zip(&mut self.sum) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                xx += x * x;
                xy += x * y;
                yy += y * y;
                error += (x - y) * (x - y);
                *sum += x;
            }
            self.tokens += 1;
            self.error += error;
            self.square += xx;
            self.cross += xy;
            self.reconstruction_square += yy;
            if xx > 0.0 {
                self.ratios.0 += 1;
                self.ratios.1 += (yy / xx).sqrt();
            }
        }
        Ok(reconstruction)
    }

    fn finish(self) -> Result<Evaluation> {
        if self.tokens == 0 {
            return Err(Error::new(Code::OutOfRange, "there are no tokens to measure"));
        }
        let n = self.tokens as f64;
        let variance = self.square - self.sum.iter().map(|sum| sum * sum).sum::<f64>() / n;
        // What rounding leaves of the variance of constant rows is no variance.
        let varies = variance > 1e-12 * self.square;
        let fvu = if varies { ratio(self.error, variance) } else { None };
        let dead = self.fired.iter().filter(|fired| !**fired).count();
        Ok(Evaluation {
            l0: self.active as f64 / n,
            l1: self.activation / n,
            mse: self.error / n,
            fvu,
            explained_variance: fvu.map(|fvu| 1.0 - fvu),
            l2_ratio: ratio(self.ratios.1, self.ratios.0 as f64),
            relative_reconstruction_bias: ratio(self.reconstruction_square, self.cross),
            dead_fraction: dead as f64 / self.fired.len() as f64,
            tokens: self.tokens,
        })
    }
}
