//! The end of a training: thresholds from the finished weights, what was missed, and the SAE.

use super::architecture::Architecture;
use super::calibrate::{Sample, Unit, sample_rows};
use super::outcome;
use super::train::Run;
use super::{Config, Sae};
use crate::activations::Origin;
use crate::error::Result;
use crate::progress::Monitor;

/// Below this share of latents with a gradient on their threshold, a jumprelu training warns.
const SATURATED: f64 = 0.05;

impl Run<'_> {
    /// Says when the sparsity coefficient had nothing to act on.
    pub fn warn(&self, monitor: &dyn Monitor) {
        let Some(share) = self.progress.learning.filter(|share| *share < SATURATED) else { return };
        monitor.warn(&format!(
            "only {:.1} % of jumprelu's thresholds were within reach of a pre-activation at the end of the training: the sparsity coefficient \
             hardly acts on the others; try a larger `bandwidth` (it was {})",
            100.0 * share,
            self.options.bandwidth.unwrap_or(self.progress.bandwidth)
        ));
    }

    /// Sets the threshold of batch-wise top-k, and the factor of jumprelu's thresholds that gives its target, from the finished weights; with
    /// the resolved options, and what was missed.
    fn measure(&self, monitor: &dyn Monitor) -> Result<(f32, serde_json::Value)> {
        let Run { options, architecture, .. } = self;
        let mut training = serde_json::to_value(options).unwrap_or_default();
        let Some(target) = options.k.map(|k| k as f64).or(options.target_l0) else { return Ok((1.0, training)) };
        let (weights, scale) = (&self.engine.weights, self.progress.scale);
        let sample = Sample::new(self.activations, sample_rows(target), options.seed, scale)?;
        let cut = match architecture {
            _ if architecture.batch_wise() => {
                let guess = 0.5 * self.progress.least.unwrap_or(0.0);
                sample.threshold(weights, Unit::One, target, guess, monitor)?
            }
            Architecture::JumpRelu => {
                let thresholds: Vec<f32> = weights.extra[0].value.iter().map(|log| log.exp()).collect();
                sample.threshold(weights, Unit::Each(&thresholds), target, 0.5, monitor)?
            }
            _ => 1.0,
        };
        let activation = architecture.activation(options, weights, 1.0, cut);
        let l0 = sample.l0(weights, &activation, monitor)?;
        let start = self.progress.history.first().map_or(l0, |row| row.l0);
        outcome::note(&mut training, l0, target, self.schedule.steps, start);
        Ok((cut, training))
    }

    /// Folds the scale of the activations into the biases: `f` and `x̂` shrink by it alike, so both dictionaries stay.
    pub fn finish(self, monitor: &dyn Monitor) -> Result<Sae> {
        let (cut, training) = self.measure(monitor)?;
        let Run { activations, options, architecture, mut engine, progress, .. } = self;
        let activation = architecture.activation(options, &engine.weights, progress.scale, cut);
        for bias in [&mut engine.weights.b_enc.value, &mut engine.weights.b_dec.value] {
            bias.iter_mut().for_each(|x| *x /= progress.scale);
        }
        let config = Config {
            architecture: architecture.name().to_string(),
            d_in: activations.d_in(),
            d_sae: options.d_sae,
            hook_name: activations.hook().to_string(),
            model_name: activations.model().to_string(),
            context_size: Some(activations.header().n_ctx).filter(|n| *n > 0),
            decoder_norm: options.decoder_norm,
            apply_b_dec_to_input: true,
            normalize_activations: "none".to_string(),
            training,
            metadata: activations.header().origin.clone(),
            other: Origin::new(),
        };
        let weights = engine.weights;
        let (w_enc, b_enc) = (weights.w_enc.value, weights.b_enc.value);
        let mut sae = Sae::new(config, activation, w_enc, b_enc, weights.w_dec.value, weights.b_dec.value)?;
        sae.history = progress.history;
        Ok(sae)
    }
}
