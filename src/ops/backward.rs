//! Gradients of the dictionary from sparse codes, latent by latent.
//!
//! For the loss `sum over tokens of |x̂ - x|² / n + sparsity * sum of f_ti norm_i` (n tokens, `g = 2 (x̂ - x) / n`):
//!
//! ```text
//! df_ti   = g_t · w_dec_i + sparsity norm_i          where f_ti > 0
//! d w_dec_i = sum_t f_ti g_t   (+ sparsity sum_t f_ti  w_dec_i / norm_i  where the sparsity counts |w_dec_i|)
//! d w_enc_i = sum_t df_ti (x_t - b_dec)
//! d b_enc_i = sum_t df_ti
//! d b_dec   = sum_t g_t - sum_i d b_enc_i w_enc_i
//! ```
//!
//! Other activation rules differ in how `f` depends on the pre-activation: see [`Rule`]. A latent may also read another residual than
//! its neighbors do (nested and auxiliary reconstructions): see [`Stream`].
//!
//! All sums run over active pairs only, and are exact. One task owns a latent's rows, so the bits are the same at any thread count,
//! and the gradient is handed to a [`Latents`] while it is in cache: Adam updates the rows in place.

use rayon::prelude::*;

use super::codes::ByLatent;
use super::dense::Padded;
use super::dense::dense_gradients;
use super::gated::gated_gradient;
use super::jump::jump_gradient;
use super::simd::{add_scaled, add_scaled_lanes, dot_lanes, wide};
use crate::progress::Stop;

/// Latents that one task owns.
pub const LATENT_CHUNK: usize = 128;

/// How a latent's activation depends on its pre-activation, and what sparsity costs. Coefficients are over tokens: lambda / n.
#[derive(Debug, Clone, Copy)]
pub enum Rule<'a> {
    /// f is the pre-activation wherever it is kept (ReLU, the top-k family); L1 on f.
    Plain {
        /// The L1 coefficient.
        sparsity: f32,
    },
    /// f is a multiple of exp(pre-activation), as in ghost gradients; no sparsity.
    Exponential,
    /// f jumps from 0 to the pre-activation at the latent's threshold; L0. See [`super::jump`].
    Jump {
        /// Width of the rectangle that stands for the derivative of the step.
        bandwidth: f32,
        /// The L0 coefficient.
        sparsity: f32,
    },
    /// A gate decides whether, a magnitude how much; L1 on the gate. See [`super::gated`].
    Gated {
        /// The L1 coefficient.
        sparsity: f32,
        /// `2 (x̂ - x) / n` of the reconstruction from the gates.
        gate: &'a Padded,
    },
}

impl Rule<'_> {
    fn sparsity(&self) -> f32 {
        match self {
            Rule::Plain { sparsity } | Rule::Gated { sparsity, .. } => *sparsity,
            Rule::Jump { .. } | Rule::Exponential => 0.0,
        }
    }
}

/// A reconstruction that some latents take part in: its residual and their codes.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    /// `2 (x̂ - x) / n`; padding rows are zero.
    pub g: &'a Padded,
    /// Pre-activations latent by latent; without them (plain rule only) every activation is computed again by products: the dense way.
    pub codes: Option<&'a ByLatent>,
    /// The activation rule of its latents.
    pub rule: Rule<'a>,
}

/// What the gradients are made of.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The centered inputs, x - b_dec.
    pub x: &'a Padded,
    /// The reconstructions.
    pub streams: &'a [Stream<'a>],
    /// For each latent its place in `streams`; empty where there is but one.
    pub stream_of: &'a [u8],
    /// The weight of each latent's activation in the sparsity term: 1, or the norm of its decoder row.
    pub norms: &'a [f32],
    /// Whether `norms` are the decoder's, and so have a gradient themselves.
    pub free: bool,
    /// Gradients to start from (a regularizer's), decoder and encoder, `[d_sae, d_in]` each.
    pub start: Option<(&'a [f32], &'a [f32])>,
}

/// The weights of a run of latents.
#[derive(Debug, Clone, Copy)]
pub struct Lent<'a> {
    /// `[run, d_in]`
    pub w_enc: &'a [f32],
    /// `[run]`
    pub b_enc: &'a [f32],
    /// `[run, d_in]`
    pub w_dec: &'a [f32],
    /// What the activation rule learns besides, `[run]` each.
    pub extra: [&'a [f32]; 2],
}

/// A run of [`LATENT_CHUNK`] latents: lends its weights, takes their gradients.
pub trait Latents: Send {
    /// The weights of the run.
    fn weights(&self) -> Lent<'_>;

    /// Takes the gradients of the latent at this place in the run; it may change them and the weights.
    fn take(&mut self, place: usize, gradients: LatentGradients<'_>);
}

/// The gradients of one latent.
pub struct LatentGradients<'a> {
    /// Of its decoder row.
    pub w_dec: &'a mut [f32],
    /// Of its encoder row.
    pub w_enc: &'a mut [f32],
    /// Of its encoder bias.
    pub b_enc: f32,
    /// Of what the activation rule learns besides.
    pub extra: [f32; 2],
}

/// A latent's sums over tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    /// The gradient of `w_enc · (x - b_dec)`: what `b_dec` loses along the encoder row.
    pub input: f32,
    /// The gradient of the encoder bias.
    pub b_enc: f32,
    /// The gradient of what the rule learns besides.
    pub extra: [f32; 2],
    /// The sum of what the sparsity term counts.
    pub counted: f32,
}

/// Gives every latent its gradient, run after run, and returns `sum_i (gradient of w_enc_i · x) w_enc_i`: what the encoder's input takes
/// from `d b_dec`.
///
/// Sparse: `3 active d_in` multiply-adds. Dense: four products. A stop that is [`Stop::overdue`] leaves runs out.
pub fn backward<L: Latents>(runs: impl IndexedParallelIterator<Item = L>, batch: &Batch<'_>) -> Vec<f64> {
    let d = batch.x.d;
    let stop = Stop::here();
    let parts: Vec<Vec<f32>> = runs
        .enumerate()
        .map(|(run, mut latents)| {
            let first = run * LATENT_CHUNK;
            let mut input = vec![0.0f32; d];
            if stop.overdue() {
                return input;
            }
            match batch.streams {
                [Stream { codes: None, g, rule }] => {
                    dense_run(&mut latents, first, (g, rule.sparsity()), batch, &mut input);
                }
                _ => sparse_run(&mut latents, first, batch, &mut input),
            }
            input
        })
        .collect();
    let mut sum = vec![0.0f64; d];
    for part in &parts {
        for (s, p) in sum.iter_mut().zip(part) {
            *s += f64::from(*p);
        }
    }
    sum
}

fn sparse_run<L: Latents>(latents: &mut L, first: usize, batch: &Batch<'_>, input: &mut [f32]) {
    let d = batch.x.d;
    let (mut dec, mut enc) = (vec![0.0f32; d], vec![0.0f32; d]);
    for place in 0..latents.weights().b_enc.len() {
        let i = first + place;
        start(batch, i..i + 1, &mut dec, &mut enc);
        let Lent { w_enc, b_enc, w_dec, extra } = latents.weights();
        let (w_enc, w_dec) = (&w_enc[place * d..(place + 1) * d], &w_dec[place * d..(place + 1) * d]);
        let Stream { g, codes, rule } = batch.streams[batch.stream_of.get(i).map_or(0, |stream| usize::from(*stream))];
        let fires = codes.map_or((&[][..], &[][..]), |codes| codes.latent(i));
        let (g, x) = (g.data.as_slice(), batch.x.data.as_slice());
        let sums = match rule {
            Rule::Plain { sparsity } => {
                plain_gradient(fires, g, x, w_dec, sparsity * batch.norms[i], &mut dec, &mut enc)
            }
            Rule::Exponential => exponential_gradient(fires, g, x, w_dec, &mut dec, &mut enc),
            Rule::Jump { bandwidth, sparsity } => {
                let threshold = extra[0][place].exp();
                jump_gradient(fires, g, x, w_dec, &[threshold, bandwidth, sparsity], &mut dec, &mut enc)
            }
            Rule::Gated { sparsity, gate } => {
                let latent = [extra[0][place], b_enc[place], extra[1][place], sparsity * batch.norms[i]];
                gated_gradient(fires, (g, gate.data.as_slice()), x, w_dec, &latent, &mut dec, &mut enc)
            }
        };
        if batch.free {
            add_norm_gradient(batch.norms[i], rule.sparsity() * sums.counted, w_dec, &mut dec);
        }
        add_scaled(input, sums.input, w_enc);
        let Sums { b_enc, extra, .. } = sums;
        latents.take(place, LatentGradients { w_dec: &mut dec, w_enc: &mut enc, b_enc, extra });
    }
}

fn dense_run<L: Latents>(
    latents: &mut L,
    first: usize,
    (g, sparsity): (&Padded, f32),
    batch: &Batch<'_>,
    input: &mut [f32],
) {
    let d = batch.x.d;
    let n = latents.weights().b_enc.len();
    let (mut dec, mut enc) = (vec![0.0f32; n * d], vec![0.0f32; n * d]);
    start(batch, first..first + n, &mut dec, &mut enc);
    let norms = &batch.norms[first..first + n];
    let sums = dense_gradients(latents.weights(), batch.x, g, sparsity, norms, &mut dec, &mut enc);
    for (place, sums) in sums.into_iter().enumerate() {
        let row = place * d..(place + 1) * d;
        let (dec, enc) = (&mut dec[row.clone()], &mut enc[row.clone()]);
        let Lent { w_enc, w_dec, .. } = latents.weights();
        if batch.free {
            add_norm_gradient(norms[place], sparsity * sums.counted, &w_dec[row.clone()], dec);
        }
        add_scaled(input, sums.input, &w_enc[row]);
        latents.take(place, LatentGradients { w_dec: dec, w_enc: enc, b_enc: sums.b_enc, extra: [0.0; 2] });
    }
}

/// Sets the gradients of some latents to what they start from.
fn start(batch: &Batch<'_>, latents: std::ops::Range<usize>, dec: &mut [f32], enc: &mut [f32]) {
    let range = latents.start * batch.x.d..latents.end * batch.x.d;
    match batch.start {
        Some((start_dec, start_enc)) => {
            dec.copy_from_slice(&start_dec[range.clone()]);
            enc.copy_from_slice(&start_enc[range]);
        }
        None => {
            dec.fill(0.0);
            enc.fill(0.0);
        }
    }
}

/// The gradient of `counted * |w_dec_i|` in the decoder row; a zero row gets none.
fn add_norm_gradient(norm: f32, counted: f32, w_dec: &[f32], dec: &mut [f32]) {
    if norm > 0.0 {
        add_scaled(dec, counted / norm, w_dec);
    }
}

wide! {
    /// The sums of a latent whose activation is its pre-activation.
    fn plain_gradient(
        fires: (&[u32], &[f32]),
        g: &[f32],
        x: &[f32],
        w_dec: &[f32],
        penalty: f32,
        dec: &mut [f32],
        enc: &mut [f32],
    ) -> Sums {
        let d = w_dec.len();
        let mut bias = 0.0;
        for (t, f) in fires.0.iter().zip(fires.1) {
            let at = *t as usize * d;
            let (g, x) = (&g[at..at + d], &x[at..at + d]);
            let df = dot_lanes(g, w_dec) + penalty;
            add_scaled_lanes(dec, *f, g);
            add_scaled_lanes(enc, df, x);
            bias += df;
        }
        Sums { input: bias, b_enc: bias, extra: [0.0; 2], counted: fires.1.iter().sum() }
    }
}

wide! {
    /// The sums of a latent whose activation is a multiple of the exponential of its pre-activation: its own derivative.
    fn exponential_gradient(
        fires: (&[u32], &[f32]),
        g: &[f32],
        x: &[f32],
        w_dec: &[f32],
        dec: &mut [f32],
        enc: &mut [f32],
    ) -> Sums {
        let d = w_dec.len();
        let mut bias = 0.0;
        for (t, f) in fires.0.iter().zip(fires.1) {
            let at = *t as usize * d;
            let (g, x) = (&g[at..at + d], &x[at..at + d]);
            let df = f * dot_lanes(g, w_dec);
            add_scaled_lanes(dec, *f, g);
            add_scaled_lanes(enc, df, x);
            bias += df;
        }
        Sums { input: bias, b_enc: bias, extra: [0.0; 2], counted: 0.0 }
    }
}
