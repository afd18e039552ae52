//! Losses that give dead latents a gradient: they learn to reconstruct what the living leave, `e = x - x̂`, held fixed.
//!
//! Aux-k (Gao et al. 2024, arXiv 2406.04093): of each token the `k_aux` dead latents with the largest positive pre-activations make
//! `ê = sum f_i w_dec_i`; the loss is `|ê - e|²` times the coefficient, less where fewer than `k_aux` are dead (as SAELens: times dead / k_aux).
//!
//! Ghost gradients (Jermyn and Templeton, January 2024): all dead latents make `ê = c_t sum exp(pre_i) w_dec_i`, with `c_t` such that `|ê|` is half of
//! `|e|`, and the loss `|ê - e|²` is scaled to the size of the reconstruction's. `c_t` and that scale are held fixed. Every pair of token and
//! dead latent takes part, so it is slow where many are dead.

use rayon::prelude::*;

use super::activation::largest;
use super::engine::{Auxiliary, Engine};
use crate::ops::Rows;
use crate::ops::codes::Codes;
use crate::ops::decode::decode;
use crate::ops::dense::Padded;
use crate::ops::encode::{Floor, encode_above};
use crate::ops::simd::dot;

/// The largest pre-activation whose exponential counts in full: beyond it f32 would overflow.
const LARGEST: f32 = 60.0;

/// The dead latents' own dictionary.
struct Dead {
    w_enc: Vec<f32>,
    b_enc: Vec<f32>,
    w_dec: Vec<f32>,
    n: usize,
    d: usize,
}

impl Dead {
    fn of(engine: &Engine, dead: &[usize]) -> Dead {
        let weights = &engine.weights;
        let rows = |rows: Rows<'_>| dead.iter().flat_map(|i| rows.row(*i).iter().copied()).collect::<Vec<f32>>();
        Dead {
            w_enc: rows(weights.encoder()),
            b_enc: dead.iter().map(|i| weights.b_enc.value[*i]).collect(),
            w_dec: rows(weights.decoder()),
            n: dead.len(),
            d: weights.d_in(),
        }
    }

    fn encoder(&self) -> Rows<'_> {
        Rows { data: &self.w_enc, n: self.n, d: self.d }
    }

    /// `[tokens, d_in]`, without the decoder's bias.
    fn decode(&self, codes: &Codes) -> Vec<f32> {
        let mut out = vec![0.0; codes.tokens() * self.d];
        decode(codes, Rows { data: &self.w_dec, n: self.n, d: self.d }, &vec![0.0; self.d], &mut out);
        out
    }
}

/// The codes with each latent's place among `dead` turned into its own number.
fn numbered(codes: Codes, dead: &[usize], d_sae: usize) -> Codes {
    let latents = codes.latents.iter().map(|i| dead[*i as usize] as u32).collect();
    Codes { d_sae, latents, ..codes }
}

/// Adds the aux-k loss to the step whose forward pass `engine` has just made, and returns it, a mean over tokens. `dead` ascends.
pub fn aux_k(engine: &mut Engine, dead: &[usize], k: usize, coefficient: f64) -> f64 {
    let latents = Dead::of(engine, dead);
    let codes = largest(engine.input(), latents.encoder(), &latents.b_enc, k, &mut None);
    let weight = coefficient * (dead.len() as f64 / k as f64).min(1.0);
    let (loss, g) = residual(&latents.decode(&codes), &engine.error(), weight, latents.d);
    let codes = numbered(codes, dead, engine.weights.d_sae()).by_latent();
    engine.auxiliary = Some(Auxiliary { g, codes, exponential: false });
    loss
}

/// Adds the ghost loss to the step whose forward pass `engine` has just made, and returns it: the reconstruction's own, `mse`. `dead` ascends.
pub fn ghost(engine: &mut Engine, dead: &[usize], mse: f64) -> f64 {
    let latents = Dead::of(engine, dead);
    let all = Floor::All(f32::NEG_INFINITY);
    let Some(mut codes) = encode_above(engine.input(), latents.encoder(), &latents.b_enc, all, None) else {
        return 0.0;
    };
    codes.values.par_iter_mut().for_each(|pre| *pre = pre.min(LARGEST).exp());
    let mut ghost = latents.decode(&codes);
    let error = engine.error();
    let d = latents.d;
    for (t, (ghost, error)) in ghost.chunks_exact_mut(d).zip(error.chunks_exact(d)).enumerate() {
        let norm = dot(ghost, ghost).sqrt();
        let scale = if norm > 0.0 { 0.5 * dot(error, error).sqrt() / norm } else { 0.0 };
        ghost.iter_mut().for_each(|x| *x *= scale);
        codes.values[codes.offsets[t]..codes.offsets[t + 1]].iter_mut().for_each(|f| *f *= scale);
    }
    let (loss, _) = residual(&ghost, &error, 1.0, d);
    let weight = if loss > 0.0 { mse / loss } else { 0.0 };
    let (loss, g) = residual(&ghost, &error, weight, d);
    let codes = numbered(codes, dead, engine.weights.d_sae()).by_latent();
    engine.auxiliary = Some(Auxiliary { g, codes, exponential: true });
    loss
}

/// `weight |ê - e|²`, a mean over tokens, and its gradient by `ê`.
fn residual(guess: &[f32], error: &[f32], weight: f64, d: usize) -> (f64, Padded) {
    let mut g = Padded::of(guess, d);
    let n = g.n;
    let scale = (2.0 * weight / n as f64) as f32;
    let squares: Vec<f64> = g.data[..n * d]
        .par_chunks_mut(d)
        .zip(error.par_chunks(d))
        .map(|(g, e)| {
            g.iter_mut().zip(e).for_each(|(g, e)| *g -= e);
            let square = f64::from(dot(g, g));
            g.iter_mut().for_each(|g| *g *= scale);
            square
        })
        .collect();
    (weight * squares.iter().sum::<f64>() / n as f64, g)
}
