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
//! All sums run over active pairs only, and are exact. One task owns a latent's rows, so the bits are the same at any thread count,
//! and the gradient is handed to a [`Latents`] while it is in cache: Adam updates the rows in place.

use rayon::prelude::*;

use super::codes::ByLatent;
use super::dense::dense_gradients;
use super::encode::Padded;
use super::simd::{add_scaled, add_scaled_lanes, dot_lanes, wide};

/// Latents that one task owns.
pub const LATENT_CHUNK: usize = 128;

/// What the gradients are made of.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The centered inputs, x - b_dec.
    pub x: &'a Padded,
    /// `2 (x̂ - x) / n`; padding rows are zero.
    pub g: &'a Padded,
    /// The codes latent by latent; without them every activation is computed again by products (the dense way).
    pub codes: Option<&'a ByLatent>,
    /// Sparsity coefficient over tokens: l1 / n.
    pub sparsity: f32,
    /// The weight of each latent's activation in the sparsity term: 1, or the norm of its decoder row.
    pub norms: &'a [f32],
    /// Whether `norms` are the decoder's, and so have a gradient themselves.
    pub free: bool,
    /// Gradients to start from (a regularizer's), decoder and encoder, `[d_sae, d_in]` each.
    pub start: Option<(&'a [f32], &'a [f32])>,
}

/// A run of [`LATENT_CHUNK`] latents: lends its weights, takes their gradients.
pub trait Latents: Send {
    /// `w_enc`, `b_enc` and `w_dec` of the run.
    fn weights(&self) -> (&[f32], &[f32], &[f32]);

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
}

/// Gives every latent its gradient, run after run, and returns `sum_i d b_enc_i w_enc_i`: what the encoder's input takes from `d b_dec`.
///
/// Sparse: `3 active d_in` multiply-adds. Dense: four products.
pub fn backward<L: Latents>(runs: impl IndexedParallelIterator<Item = L>, batch: &Batch<'_>) -> Vec<f64> {
    let d = batch.x.d;
    let parts: Vec<Vec<f32>> = runs
        .enumerate()
        .map(|(run, mut latents)| {
            let first = run * LATENT_CHUNK;
            let mut input = vec![0.0f32; d];
            match batch.codes {
                Some(codes) => sparse_run(&mut latents, first, codes, batch, &mut input),
                None => dense_run(&mut latents, first, batch, &mut input),
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

fn sparse_run<L: Latents>(latents: &mut L, first: usize, codes: &ByLatent, batch: &Batch<'_>, input: &mut [f32]) {
    let d = batch.x.d;
    let (mut dec, mut enc) = (vec![0.0f32; d], vec![0.0f32; d]);
    for place in 0..latents.weights().1.len() {
        let i = first + place;
        start(batch, i..i + 1, &mut dec, &mut enc);
        let (w_enc, _, w_dec) = latents.weights();
        let (w_enc, w_dec) = (&w_enc[place * d..(place + 1) * d], &w_dec[place * d..(place + 1) * d]);
        let (tokens, values) = codes.latent(i);
        let penalty = batch.sparsity * batch.norms[i];
        let b_enc = latent_gradient((tokens, values), &batch.g.data, &batch.x.data, w_dec, penalty, &mut dec, &mut enc);
        if batch.free {
            add_norm_gradient(batch, i, values.iter().sum(), w_dec, &mut dec);
        }
        add_scaled(input, b_enc, w_enc);
        latents.take(place, LatentGradients { w_dec: &mut dec, w_enc: &mut enc, b_enc });
    }
}

fn dense_run<L: Latents>(latents: &mut L, first: usize, batch: &Batch<'_>, input: &mut [f32]) {
    let d = batch.x.d;
    let n = latents.weights().1.len();
    let (mut dec, mut enc) = (vec![0.0f32; n * d], vec![0.0f32; n * d]);
    start(batch, first..first + n, &mut dec, &mut enc);
    let sums = dense_gradients(latents.weights(), first, batch, &mut dec, &mut enc);
    for place in 0..n {
        let row = place * d..(place + 1) * d;
        let (dec, enc) = (&mut dec[row.clone()], &mut enc[row.clone()]);
        let (w_enc, _, w_dec) = latents.weights();
        if batch.free {
            add_norm_gradient(batch, first + place, sums.activation[place], &w_dec[row.clone()], dec);
        }
        add_scaled(input, sums.b_enc[place], &w_enc[row]);
        latents.take(place, LatentGradients { w_dec: dec, w_enc: enc, b_enc: sums.b_enc[place] });
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

/// The gradient of `sparsity * (sum of f_i) * |w_dec_i|` in the decoder row; a zero row gets none.
fn add_norm_gradient(batch: &Batch<'_>, i: usize, activation: f32, w_dec: &[f32], dec: &mut [f32]) {
    if batch.norms[i] > 0.0 {
        add_scaled(dec, batch.sparsity * activation / batch.norms[i], w_dec);
    }
}

wide! {
    /// One latent's sums over the tokens it fires on; returns the gradient of its bias.
    fn latent_gradient(
        fires: (&[u32], &[f32]),
        g: &[f32],
        x: &[f32],
        w_dec: &[f32],
        penalty: f32,
        dec: &mut [f32],
        enc: &mut [f32],
    ) -> f32 {
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
        bias
    }
}
