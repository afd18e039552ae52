//! One training step: forward, gradients, update. Sparse, but for a ReLU SAE while its codes are dense.
//!
//! The loss is `mean over tokens of (|x̂ - x|² + coefficient * sparsity)` (nested and gated SAEs add reconstructions: see [`Rule`]), plus a penalty
//! on the dictionary whose gradient comes from outside.

use candle_core::Device;
use rayon::prelude::*;

use super::on_device::Dense;
use super::options::DecoderNorm;
pub use super::pass::Auxiliary;
use super::pass::Pass;
pub use super::weights::{Param, Weights};
use super::weights::{WeightRun, normalize};
use crate::error::Result;
use crate::ops::adam::{AdamStep, adam};
use crate::ops::backward::{Batch, LATENT_CHUNK, LatentGradients, Latents, Lent, backward};
use crate::ops::dense::Padded;
use crate::ops::simd::{add_scaled, dot};

/// The lowest logarithm of a threshold.
const LOWEST: f32 = -60.0;

/// How a training turns pre-activations into codes and a loss.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// `relu(pre)`; sparsity is L1, weighted by decoder norms where those are free.
    Relu,
    /// Each token's `k` largest.
    TopK {
        /// Active latents a token.
        k: usize,
    },
    /// The batch's `k * tokens` largest.
    BatchTopK {
        /// Active latents a token, on average.
        k: usize,
    },
    /// `pre` above a learned threshold; sparsity is L0. See [`crate::ops::jump`].
    JumpRelu {
        /// Width of the straight-through estimator.
        bandwidth: f32,
    },
    /// Gate and magnitude; sparsity is L1 on the gate. See [`crate::ops::gated`].
    Gated,
    /// As [`Rule::BatchTopK`]; the error is the mean over the reconstructions from each prefix of the latents. See [`crate::ops::nested`].
    Matryoshka {
        /// Active latents a token, on average.
        k: usize,
        /// Latents in each prefix, ascending, the last all of them.
        widths: Vec<usize>,
    },
}

/// Which way a ReLU step takes; the other rules are always sparse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the density of the last step, and of this one as it is encoded.
    Measured,
    /// Sparse, however dense the codes are.
    Sparse,
    /// Dense products.
    Dense,
}

/// What a forward pass measures, means over tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Squared error of the reconstruction, summed over coordinates.
    pub mse: f64,
    /// The loss without sparsity: `mse`, or with the rule's other reconstructions.
    pub error: f64,
    /// Active latents.
    pub l0: f64,
    /// Sum of activations, weighted by the decoder's norms where those are free; of a gated SAE, of its gates.
    pub l1: f64,
    /// What the sparsity coefficient multiplies: `l1` (relu, gated), `l0` (jumprelu) or 0 (the top-k family).
    pub sparsity: f64,
    /// Of a jumprelu SAE, the share of latents whose threshold gets a gradient.
    pub learning: Option<f64>,
    /// Of batch-wise top-k, the least activation that was kept.
    pub least: Option<f32>,
}

/// The gradients of every parameter, as a test wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// `[d_sae, d_in]`
    pub w_enc: Vec<f32>,
    /// `[d_sae]`
    pub b_enc: Vec<f32>,
    /// `[d_sae, d_in]`
    pub w_dec: Vec<f32>,
    /// `[d_in]`
    pub b_dec: Vec<f32>,
    /// Of what the rule learns besides, `[d_sae]` each.
    pub extra: [Vec<f32>; 2],
}

/// The weights and what one step leaves for the next.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The weights.
    pub weights: Weights,
    /// Share of active pairs in the last forward pass.
    pub density: f64,
    /// What revives latents in this step; gone with the next forward pass.
    pub auxiliary: Option<Auxiliary>,
    rule: Rule,
    norm: DecoderNorm,
    pass: Pass,
}

impl Engine {
    /// An engine that begins with these weights; `density` is that of the step before, 0 if there was none.
    pub fn new(weights: Weights, norm: DecoderNorm, rule: Rule, density: f64) -> Engine {
        let pass = Pass::new(&weights, &rule);
        Engine { weights, density, auxiliary: None, rule, norm, pass }
    }

    /// Which latents fired in the last forward pass.
    pub fn fired(&self) -> &[bool] {
        &self.pass.fired
    }

    /// The centered inputs of the last forward pass.
    pub fn input(&self) -> &Padded {
        &self.pass.x
    }

    /// `x - x̂` of the last forward pass, `[n, d_in]`.
    pub fn error(&self) -> Vec<f32> {
        self.pass.error(&self.rule)
    }

    /// Encodes and decodes a batch `[n, d_in]` and keeps what the gradients need.
    pub fn forward(&mut self, x: &[f32], way: Way) -> Measured {
        let Engine { weights, density, rule, norm, pass, .. } = self;
        let measured = pass.run(weights, rule, x, (way, *density, *norm == DecoderNorm::Free));
        *density = measured.l0 / weights.d_sae() as f64;
        self.auxiliary = None;
        measured
    }

    /// [`Engine::forward`] by dense products on a device. What it keeps for the gradients it gives back.
    ///
    /// # Errors
    /// What the device gives.
    pub fn forward_on(&mut self, device: &Device, x: &[f32]) -> Result<(Dense, Measured)> {
        let free = self.norm == DecoderNorm::Free;
        let (dense, measured, fired) = Dense::forward(device, &self.weights, (&self.rule, free), x)?;
        self.density = measured.l0 / self.weights.d_sae() as f64;
        (self.pass.fired, self.auxiliary) = (fired, None);
        Ok((dense, measured))
    }

    /// Moves every parameter by one Adam step on the gradients of the last forward pass, plus `penalty`: gradients of the decoder and
    /// the encoder that a regularizer left, `[d_sae, d_in]` each. `coefficient` is that of the rule's sparsity.
    pub fn update(&mut self, coefficient: f64, step: &AdamStep, penalty: Option<(&[f32], &[f32])>) {
        let Engine { weights, auxiliary, rule, norm, pass, .. } = self;
        let (d, unit) = (weights.d_in(), *norm == DecoderNorm::Unit);
        let learns = matches!(rule, Rule::JumpRelu { .. } | Rule::Gated);
        let (streams, stream_of) = pass.streams(rule, coefficient, auxiliary.as_ref());
        let batch = Batch {
            x: &pass.x,
            streams: &streams,
            stream_of: &stream_of,
            norms: &pass.norms,
            free: !unit,
            start: penalty,
        };
        let (runs, b_dec) = weights.split();
        let input = backward(runs.map(|weights| Update { weights, d, unit, learns, step }), &batch);
        let gradient = input_gradient(&pass.g_sum, &input);
        adam(step, &mut b_dec.value, &mut b_dec.first, &mut b_dec.second, &gradient);
    }

    /// [`Engine::update`] on gradients that were made elsewhere.
    pub fn update_by(&mut self, mut gradients: Gradients, step: &AdamStep, penalty: Option<(&[f32], &[f32])>) {
        let Engine { weights, rule, norm, .. } = self;
        let (d, unit) = (weights.d_in(), *norm == DecoderNorm::Unit);
        let learns = matches!(rule, Rule::JumpRelu { .. } | Rule::Gated);
        let Gradients { w_enc, b_enc, w_dec, b_dec: input, extra: [first, second] } = &mut gradients;
        if let Some((dec, enc)) = penalty {
            add_scaled(w_dec, 1.0, dec);
            add_scaled(w_enc, 1.0, enc);
        }
        let (runs, b_dec) = weights.split();
        let rows = w_enc.par_chunks_mut(LATENT_CHUNK * d).zip(w_dec.par_chunks_mut(LATENT_CHUNK * d));
        let extra = first.par_chunks(LATENT_CHUNK).zip(second.par_chunks(LATENT_CHUNK));
        runs.zip(rows).zip(b_enc.par_chunks(LATENT_CHUNK).zip(extra)).for_each(|((weights, rows), (b_enc, extra))| {
            let mut update = Update { weights, d, unit, learns, step };
            let rows = rows.0.chunks_exact_mut(d).zip(rows.1.chunks_exact_mut(d));
            for (place, (w_enc, w_dec)) in rows.enumerate() {
                let extra = [extra.0[place], extra.1[place]];
                update.take(place, LatentGradients { w_dec, w_enc, b_enc: b_enc[place], extra });
            }
        });
        adam(step, &mut b_dec.value, &mut b_dec.first, &mut b_dec.second, input);
    }

    /// Multiplies jumprelu's thresholds by `exp(shift)`, and with them a bandwidth that follows them.
    pub fn shift_thresholds(&mut self, shift: f64, bandwidth: Option<&mut f64>) {
        self.weights.extra[0].value.iter_mut().for_each(|log| *log = (*log + shift as f32).max(LOWEST));
        if let (Some(width), Rule::JumpRelu { bandwidth }) = (bandwidth, &mut self.rule) {
            *width *= shift.exp();
            *bandwidth = *width as f32;
        }
    }

    /// The gradients that [`Engine::update`] would use, before the projection of unit rows.
    pub fn gradients(&self, coefficient: f64, penalty: Option<(&[f32], &[f32])>) -> Gradients {
        let Engine { weights, auxiliary, rule, norm, pass, .. } = self;
        let (d, n) = (weights.d_in(), weights.d_sae());
        let (streams, stream_of) = pass.streams(rule, coefficient, auxiliary.as_ref());
        let batch = Batch {
            x: &pass.x,
            streams: &streams,
            stream_of: &stream_of,
            norms: &pass.norms,
            free: *norm == DecoderNorm::Free,
            start: penalty,
        };
        let (mut w_enc, mut b_enc, mut w_dec) = (vec![0.0; n * d], vec![0.0; n], vec![0.0; n * d]);
        let mut extra = [vec![0.0; n], vec![0.0; n]];
        let [first, second] = &mut extra;
        let runs = w_enc
            .par_chunks_mut(LATENT_CHUNK * d)
            .zip(b_enc.par_chunks_mut(LATENT_CHUNK))
            .zip(w_dec.par_chunks_mut(LATENT_CHUNK * d))
            .zip(first.par_chunks_mut(LATENT_CHUNK).zip(second.par_chunks_mut(LATENT_CHUNK)))
            .enumerate()
            .map(|(run, (((w_enc, b_enc), w_dec), (first, second)))| Collect {
                weights,
                first: run * LATENT_CHUNK,
                w_enc,
                b_enc,
                w_dec,
                extra: [first, second],
            });
        let input = backward(runs, &batch);
        Gradients { b_dec: input_gradient(&pass.g_sum, &input), w_enc, b_enc, w_dec, extra }
    }
}

fn input_gradient(g_sum: &[f64], input: &[f64]) -> Vec<f32> {
    g_sum.iter().zip(input).map(|(g, input)| (g - input) as f32).collect()
}

/// Takes gradients by an Adam step; unit decoder rows stay on the sphere.
struct Update<'a> {
    weights: WeightRun<'a>,
    d: usize,
    unit: bool,
    /// Whether the rule learns anything besides.
    learns: bool,
    step: &'a AdamStep,
}

impl Latents for Update<'_> {
    fn weights(&self) -> Lent<'_> {
        let WeightRun { w_enc, b_enc, w_dec, extra: [first, second] } = &self.weights;
        Lent { w_enc: w_enc.value, b_enc: b_enc.value, w_dec: w_dec.value, extra: [first.value, second.value] }
    }

    fn take(&mut self, place: usize, gradients: LatentGradients<'_>) {
        let WeightRun { w_enc, b_enc, w_dec, extra } = &mut self.weights;
        let range = place * self.d..(place + 1) * self.d;
        if self.unit {
            let row = &w_dec.value[range.clone()];
            let radial = dot(gradients.w_dec, row);
            add_scaled(gradients.w_dec, -radial, row);
        }
        let row = w_dec.step(range.clone(), self.step, gradients.w_dec);
        if self.unit {
            normalize(row);
        }
        w_enc.step(range, self.step, gradients.w_enc);
        b_enc.step(place..place + 1, self.step, &[gradients.b_enc]);
        if self.learns {
            for (param, gradient) in extra.iter_mut().zip(gradients.extra) {
                param.step(place..place + 1, self.step, &[gradient]);
            }
        }
    }
}

/// Takes gradients by keeping them.
struct Collect<'a> {
    weights: &'a Weights,
    first: usize,
    w_enc: &'a mut [f32],
    b_enc: &'a mut [f32],
    w_dec: &'a mut [f32],
    extra: [&'a mut [f32]; 2],
}

impl Latents for Collect<'_> {
    fn weights(&self) -> Lent<'_> {
        let d = self.weights.d_in();
        let rows = self.first..self.first + self.b_enc.len();
        let values = rows.start * d..rows.end * d;
        let Weights { w_enc, b_enc, w_dec, extra: [first, second], .. } = self.weights;
        Lent {
            w_enc: &w_enc.value[values.clone()],
            b_enc: &b_enc.value[rows.clone()],
            w_dec: &w_dec.value[values],
            extra: [&first.value[rows.clone()], &second.value[rows]],
        }
    }

    fn take(&mut self, place: usize, gradients: LatentGradients<'_>) {
        let d = self.weights.d_in();
        self.w_enc[place * d..(place + 1) * d].copy_from_slice(gradients.w_enc);
        self.w_dec[place * d..(place + 1) * d].copy_from_slice(gradients.w_dec);
        self.b_enc[place] = gradients.b_enc;
        for (extra, gradient) in self.extra.iter_mut().zip(gradients.extra) {
            extra[place] = gradient;
        }
    }
}
