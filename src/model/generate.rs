//! Text from a target model, to see that it is one.

use serde::{Deserialize, Serialize};

use super::TargetModel;
use super::inference::Pass;
use crate::error::{Code, Error, Result};
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

/// A context is filled up to a multiple of this, so that its bits depend on its length only in steps.
const STEP: usize = 128;

impl TargetModel {
    /// The text and its continuation, from as many of the last tokens as fit a context at each step, up to the token that ends a
    /// document.
    ///
    /// # Errors
    /// `interrupted`.
    pub fn generate(&self, text: &str, options: &GenerateOptions, monitor: &dyn Monitor) -> Result<String> {
        let (first, end) = (self.tokenizer().bos(), self.tokenizer().separator());
        let mut ids = self.tokenizer().encode(text)?;
        let mut rng = Rng::new(options.seed, "generate");
        for _ in 0..options.tokens {
            monitor.check()?;
            let mut context: Vec<u32> = first.into_iter().collect();
            context.extend(&ids[ids.len().saturating_sub(self.config().n_ctx - context.len())..]);
            if context.is_empty() {
                context.push(end);
            }
            let last = context.len() - 1;
            let logits = self.logits_from(&context, last)?;
            let next = pick(&logits, options.temperature, &mut rng) as u32;
            if next == end || Some(next) == first {
                break;
            }
            ids.push(next);
        }
        self.tokenizer().decode(&ids)
    }

    /// The logits `[ids, d_vocab]` after each token of a context, `n_ctx` tokens at most.
    ///
    /// # Errors
    /// `out-of-range` for too many tokens, or one that there is not.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f64>> {
        self.logits_from(ids, 0)
    }

    /// The logits after the tokens from `place` on.
    fn logits_from(&self, ids: &[u32], place: usize) -> Result<Vec<f64>> {
        let n_ctx = ids.len().next_multiple_of(STEP).min(self.config().n_ctx);
        if ids.len() > n_ctx || ids.iter().any(|id| *id as usize >= self.config().d_vocab) {
            return Err(Error::new(Code::OutOfRange, "no context of this model")
                .fact("expected", format!("{n_ctx} tokens below {}", self.config().d_vocab))
                .fact("given", ids.len()));
        }
        let mut context = ids.to_vec();
        context.resize(n_ctx, self.tokenizer().separator());
        let pass = Pass { n_ctx: Some(n_ctx), ..Pass::default() };
        let hidden = self.inference().run(self.weights(), &context, pass)?.hidden;
        let unembedding = self.inference().unembedding(self.weights());
        let hidden = hidden.chunks_exact(unembedding.d).take(ids.len()).skip(place);
        let logit = |row: &[f32], h: &[f32]| row.iter().zip(h).map(|(a, b)| f64::from(a * b)).sum();
        Ok(hidden.flat_map(|h| unembedding.data.chunks_exact(unembedding.d).map(move |row| logit(row, h))).collect())
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
