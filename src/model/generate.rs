//! Text from a target model, to see that it is one.

use serde::{Deserialize, Serialize};

use super::TargetModel;
use super::autograd::with_values;
use super::inference::Pass;
use crate::error::Result;
use crate::progress::Monitor;
use crate::rng::Rng;

/// What `m.generate` takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateOptions {
    /// Tokens to add.
    pub tokens: usize,
    /// 0 takes the likeliest token; 1 draws from the model's distribution.
    pub temperature: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions { tokens: 50, temperature: 0.0, seed: 0 }
    }
}

impl TargetModel {
    /// The text and its continuation, from the last `n_ctx - 1` tokens at each step.
    ///
    /// # Errors
    /// `interrupted`.
    pub fn generate(&self, text: &str, options: &GenerateOptions, monitor: &dyn Monitor) -> Result<String> {
        let (n_ctx, d) = (self.config().n_ctx, self.config().d_model);
        let bos = self.tokenizer().bos();
        let mut ids = self.tokenizer().encode(text)?;
        let mut rng = Rng::new(options.seed, "generate");
        for _ in 0..options.tokens {
            monitor.check()?;
            let seen = &ids[ids.len().saturating_sub(n_ctx - 1)..];
            let mut context = vec![bos];
            context.extend(seen);
            let last = context.len() - 1;
            context.resize(n_ctx, bos);
            let hidden = self.inference()?.run(&context, Pass::default())?.hidden;
            let h = &hidden[last * d..(last + 1) * d];
            let logits: Vec<f64> = with_values(&self.parameters().w_e, |w| {
                w.chunks_exact(d).map(|row| row.iter().zip(h).map(|(a, b)| f64::from(a * b)).sum()).collect()
            })?;
            let next = pick(&logits, options.temperature, &mut rng);
            if next as u32 == bos {
                break;
            }
            ids.push(next as u32);
        }
        self.tokenizer().decode(&ids)
    }
}

fn pick(logits: &[f64], temperature: f64, rng: &mut Rng) -> usize {
    let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    if temperature <= 0.0 {
        return best;
    }
    let weights: Vec<f64> = logits.iter().map(|l| ((l - logits[best]) / temperature).exp()).collect();
    let mut left = rng.uniform() * weights.iter().sum::<f64>();
    weights
        .iter()
        .position(|w| {
            left -= w;
            left < 0.0
        })
        .unwrap_or(best)
}
