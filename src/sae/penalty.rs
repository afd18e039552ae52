//! The regularizer's part of a training step.

use rayon::prelude::*;

use super::engine::Engine;
use crate::error::Result;
use crate::regularizer::{Dictionary, Regularizer};

/// The regularizer and room for its gradients.
pub(super) struct Penalty<'a> {
    regularizer: &'a Regularizer,
    dec: Vec<f32>,
    enc: Vec<f32>,
}

impl<'a> Penalty<'a> {
    /// A penalty on dictionaries of `size` values.
    pub fn new(regularizer: &'a Regularizer, size: usize) -> Penalty<'a> {
        let size = if regularizer.is_none() { 0 } else { size };
        Penalty { regularizer, dec: vec![0.0; size], enc: vec![0.0; size] }
    }

    /// The penalty; its gradients are kept.
    pub fn measure(&mut self, engine: &Engine, alive: impl Fn() -> Vec<bool>, seed: u64, step: u64) -> Result<f64> {
        if self.regularizer.is_none() {
            return Ok(0.0);
        }
        for gradient in [&mut self.dec, &mut self.enc] {
            gradient.par_chunks_mut(1 << 16).for_each(|part| part.fill(0.0));
        }
        let alive = alive();
        let (w_dec, w_enc) = (engine.weights.decoder(), engine.weights.encoder());
        let dictionary = Dictionary { w_dec, w_enc, alive: Some(&alive), seed, step };
        self.regularizer.add_gradient(&dictionary, &mut self.dec, &mut self.enc)
    }

    /// Of the decoder and of the encoder; none without a regularizer.
    pub fn gradients(&self) -> Option<(&[f32], &[f32])> {
        if self.regularizer.is_none() { None } else { Some((&self.dec, &self.enc)) }
    }
}
