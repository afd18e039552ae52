//! The dense way through the same mathematics, for codes that are not sparse (early training): products by tiles, nothing
//! of the size tokens x latents ever held.

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use std::cell::RefCell;

use rayon::prelude::*;

use super::Rows;
use super::backward::{LATENT_CHUNK, Lent, Sums};
use super::matmul::{Threads, View, matmul};
use crate::progress::Stop;

/// Tokens in a tile of the dense way's products.
pub const TOKEN_TILE: usize = 1024;
/// Latents in a tile of the dense way's products.
pub const LATENT_TILE: usize = 1024;

thread_local! {
    static TILE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's tile buffer, at least `len` long, with whatever the last borrower left in it.
pub(crate) fn with_tile<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    TILE.with_borrow_mut(|tile| {
        if tile.len() < len {
            tile.resize(len, 0.0);
        }
        work(&mut tile[..len])
    })
}

/// Rows padded with zero rows to a multiple of [`TOKEN_TILE`].
#[derive(Debug, Clone, Default)]
pub struct Padded {
    /// The rows, and the zero rows after them.
    pub data: Vec<f32>,
    /// How many rows are real.
    pub n: usize,
    /// How long a row is.
    pub d: usize,
}

impl Padded {
    /// `n` zero rows of length `d`.
    pub fn zeros(n: usize, d: usize) -> Padded {
        Padded { data: vec![0.0; n.div_ceil(TOKEN_TILE) * TOKEN_TILE * d], n, d }
    }

    /// The rows of `x`, each of length `d`.
    pub fn of(x: &[f32], d: usize) -> Padded {
        let mut padded = Padded::zeros(x.len() / d.max(1), d);
        padded.data[..x.len()].copy_from_slice(x);
        padded
    }

    /// The rows of `x` less `shift`.
    pub fn centered(x: &[f32], shift: &[f32]) -> Padded {
        let d = shift.len();
        let mut padded = Padded::zeros(x.len() / d.max(1), d);
        padded.center(x, shift);
        padded
    }

    /// Overwrites the real rows with the rows of `x`, which has as many, less `shift`.
    pub fn center(&mut self, x: &[f32], shift: &[f32]) {
        let d = self.d;
        self.data[..self.n * d].par_chunks_mut(d * 64).zip(x.par_chunks(d * 64)).for_each(|(out, x)| {
            for (out, x) in out.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                for ((o, x), s) in out.iter_mut().zip(x).zip(shift) {
                    *o = x - s;
                }
            }
        });
    }

    /// How many token tiles.
    pub fn tiles(&self) -> usize {
        self.n.div_ceil(TOKEN_TILE)
    }

    /// Token tile `t`, always [`TOKEN_TILE`] rows, and how many of them are real.
    pub fn tile(&self, t: usize) -> (&[f32], usize) {
        let size = TOKEN_TILE * self.d;
        (&self.data[t * size..(t + 1) * size], TOKEN_TILE.min(self.n - t * TOKEN_TILE))
    }

    /// The real rows.
    pub fn rows(&self) -> &[f32] {
        &self.data[..self.n * self.d]
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.d..(i + 1) * self.d]
    }
}

/// The share of active pairs above which the dense way is faster.
///
/// Measured at d_in 512, d_sae 8192, batch 4096 on two cores, by the median time of whole steps of both ways at densities from 0.3 % to
/// 12 %: the dense step costs six products whatever the density, the sparse step one product and a part that grows with it. With AVX2 the
/// sparse step took 0.8 of the dense one's time at 8 %, 1.1 at 12 %; with AVX-512 1.03 at 8 %, 1.12 at 10 %, 1.45 at 12 %
/// (`results/bench/crossover.csv`). The two ways round differently, so one number holds for every CPU.
pub const DENSE_ABOVE: f64 = 0.1;

/// What the forward pass counts on its way.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Active pairs.
    pub active: u64,
    /// Sum over active pairs of activation times the latent's norm weight.
    pub weighted: f64,
    /// Which latents fired.
    pub fired: Vec<bool>,
}

/// Writes `relu(x w_encᵀ + b_enc) w_dec + b_dec` to `out` and counts; `x` is centered. Two products.
pub fn dense_forward(
    x: &Padded,
    (w_enc, b_enc, w_dec): (Rows<'_>, &[f32], Rows<'_>),
    b_dec: &[f32],
    norms: &[f32],
    out: &mut Padded,
) -> Counts {
    let (d, d_sae) = (x.d, w_enc.n);
    let stop = Stop::here();
    let parts: Vec<Counts> = out
        .data
        .par_chunks_mut((TOKEN_TILE * d).max(1))
        .enumerate()
        .map(|(t, out)| {
            let (rows, real) = x.tile(t);
            let mut counts = Counts { fired: vec![false; d_sae], ..Counts::default() };
            for (token, row) in out.chunks_exact_mut(d).enumerate() {
                if token < real { row.copy_from_slice(b_dec) } else { row.fill(0.0) }
            }
            for first in (0..d_sae).step_by(LATENT_TILE).take_while(|_| !stop.requested()) {
                let width = LATENT_TILE.min(d_sae - first);
                let range = first * d..(first + width) * d;
                with_tile(TOKEN_TILE * width, |tile| {
                    let weights = View::new(&w_enc.data[range.clone()], width, d);
                    matmul(tile, width, 0.0, View::new(rows, TOKEN_TILE, d), weights.t(), Threads::One);
                    rectify(tile, &b_enc[first..first + width], real);
                    for row in tile.chunks_exact(width).take(real) {
                        for (i, f) in row.iter().enumerate().filter(|(_, f)| **f > 0.0) {
                            counts.active += 1;
                            counts.weighted += f64::from(*f * norms[first + i]);
                            counts.fired[first + i] = true;
                        }
                    }
                    let weights = View::new(&w_dec.data[range], width, d);
                    matmul(out, d, 1.0, View::new(tile, TOKEN_TILE, width), weights, Threads::One);
                });
            }
            counts
        })
        .collect();
    let mut all = Counts { fired: vec![false; d_sae], ..Counts::default() };
    for part in parts {
        all.active += part.active;
        all.weighted += part.weighted;
        all.fired.iter_mut().zip(part.fired).for_each(|(all, fired)| *all |= fired);
    }
    all
}

/// Adds the bias, sets what is not positive to 0, and clears the padding rows.
fn rectify(tile: &mut [f32], bias: &[f32], real: usize) {
    for (t, row) in tile.chunks_exact_mut(bias.len()).enumerate() {
        for (x, bias) in row.iter_mut().zip(bias) {
            let pre = *x + bias;
            *x = if t < real && pre > 0.0 { pre } else { 0.0 };
        }
    }
}

/// Adds the gradients of a run of latents, by four products a token tile, token tiles in order, and returns the sums of each.
pub(super) fn dense_gradients(
    latents: Lent<'_>,
    x: &Padded,
    g: &Padded,
    sparsity: f32,
    norms: &[f32],
    dec: &mut [f32],
    enc: &mut [f32],
) -> Vec<Sums> {
    let Lent { w_enc, b_enc, w_dec, .. } = latents;
    let (d, n) = (x.d, b_enc.len());
    let (mut bias, mut counted) = (vec![0.0f32; n], vec![0.0f32; n]);
    debug_assert!(n <= LATENT_CHUNK);
    with_tile(2 * TOKEN_TILE * n, |buffer| {
        let (f, df) = buffer.split_at_mut(TOKEN_TILE * n);
        for t in 0..x.tiles() {
            let ((x, real), (g, _)) = (x.tile(t), g.tile(t));
            let (x, g) = (View::new(x, TOKEN_TILE, d), View::new(g, TOKEN_TILE, d));
            matmul(f, n, 0.0, x, View::new(w_enc, n, d).t(), Threads::One);
            rectify(f, b_enc, real);
            matmul(df, n, 0.0, g, View::new(w_dec, n, d).t(), Threads::One);
            for (f, df) in f.chunks_exact(n).zip(df.chunks_exact_mut(n)) {
                for i in 0..n {
                    df[i] = if f[i] > 0.0 { df[i] + sparsity * norms[i] } else { 0.0 };
                    bias[i] += df[i];
                    counted[i] += f[i];
                }
            }
            matmul(dec, d, 1.0, View::new(f, TOKEN_TILE, n).t(), g, Threads::One);
            matmul(enc, d, 1.0, View::new(df, TOKEN_TILE, n).t(), x, Threads::One);
        }
    });
    let sums = |(b_enc, counted)| Sums { input: b_enc, b_enc, extra: [0.0; 2], counted };
    bias.into_iter().zip(counted).map(sums).collect()
}
