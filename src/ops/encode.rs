//! The encoder: one dense product by tiles, with bias, ReLU and compaction to sparse codes fused into each tile.
//!
//! The dense pre-activations exist one tile at a time. A token's codes do not depend on the tokens beside it: token tiles are
//! padded with zero rows to one shape, and latent tiles are a property of the dictionary.

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use std::cell::RefCell;

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::product::{Strided, product};
use super::simd::wide;

/// Tokens in a tile of the product.
pub const TOKEN_TILE: usize = 1024;
/// Latents in a tile of the product: with [`TOKEN_TILE`], 4 MiB of pre-activations a thread. Tall tiles pack the weights less often.
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

/// The codes of one tile: how many each token has, and the entries token after token.
#[derive(Default)]
struct TileCodes {
    counts: Vec<u32>,
    latents: Vec<u32>,
    values: Vec<f32>,
}

/// `relu(x w_encᵀ + b_enc)` as sparse codes; `x` is already centered, `w_enc` is `[d_sae, d_in]`.
///
/// Costs `n d_sae d_in` multiply-adds and one read of each tile while it is in cache. With a `limit` on the share of active pairs
/// it gives up and returns `None` when any tile is denser: the caller then takes the dense way, and no memory is spent on dense codes.
pub fn encode(x: &Padded, w_enc: Rows<'_>, b_enc: &[f32], limit: Option<f64>) -> Option<Codes> {
    let (d, d_sae) = (x.d, w_enc.n);
    let columns = d_sae.div_ceil(LATENT_TILE);
    let tiles: Vec<Option<TileCodes>> = (0..x.tiles() * columns)
        .into_par_iter()
        .map(|task| {
            let (rows, real) = x.tile(task / columns);
            let first = task % columns * LATENT_TILE;
            let width = LATENT_TILE.min(d_sae - first);
            let bias = &b_enc[first..first + width];
            let most = limit.map_or(usize::MAX, |share| (share * (real * width) as f64) as usize);
            with_tile(TOKEN_TILE * width, |tile| {
                let weights = Strided::rows(&w_enc.data[first * d..(first + width) * d], d);
                product((TOKEN_TILE, d, width), tile, false, Strided::rows(rows, d), weights.t());
                let mut codes = TileCodes { counts: Vec::with_capacity(real), ..TileCodes::default() };
                for row in tile.chunks_exact(width).take(real) {
                    let before = codes.latents.len();
                    compact(row, bias, first as u32, &mut codes.latents, &mut codes.values);
                    codes.counts.push((codes.latents.len() - before) as u32);
                    if codes.latents.len() > most {
                        return None;
                    }
                }
                Some(codes)
            })
        })
        .collect();
    let tiles: Vec<TileCodes> = tiles.into_iter().collect::<Option<_>>()?;
    Some(join(&tiles, x.n, d_sae, columns))
}

/// Puts the tiles of each token beside each other.
fn join(tiles: &[TileCodes], n: usize, d_sae: usize, columns: usize) -> Codes {
    let active = tiles.iter().map(|tile| tile.latents.len()).sum();
    let mut codes = Codes {
        d_sae,
        offsets: Vec::with_capacity(n + 1),
        latents: Vec::with_capacity(active),
        values: Vec::with_capacity(active),
    };
    codes.offsets.push(0);
    for row in tiles.chunks(columns.max(1)) {
        let mut next = vec![0usize; row.len()];
        for t in 0..row.first().map_or(0, |tile| tile.counts.len()) {
            for (tile, next) in row.iter().zip(&mut next) {
                let range = *next..*next + tile.counts[t] as usize;
                codes.latents.extend_from_slice(&tile.latents[range.clone()]);
                codes.values.extend_from_slice(&tile.values[range.clone()]);
                *next = range.end;
            }
            codes.offsets.push(codes.latents.len());
        }
    }
    codes.offsets.resize(n + 1, codes.latents.len());
    codes
}

wide! {
    /// Appends the positive entries of `row + bias`; entry `i` belongs to latent `first + i`. Blocks without one are skipped.
    fn compact(row: &[f32], bias: &[f32], first: u32, latents: &mut Vec<u32>, values: &mut Vec<f32>) {
        const BLOCK: usize = 64;
        for (b, (row, bias)) in row.chunks(BLOCK).zip(bias.chunks(BLOCK)).enumerate() {
            if let (Ok(row), Ok(bias)) = (<&[f32; BLOCK]>::try_from(row), <&[f32; BLOCK]>::try_from(bias)) {
                let mut any = [0u32; 16];
                for q in 0..BLOCK / 16 {
                    for l in 0..16 {
                        any[l] |= u32::from(row[q * 16 + l] + bias[q * 16 + l] > 0.0);
                    }
                }
                if any.iter().fold(0, |all, any| all | any) == 0 {
                    continue;
                }
            }
            for (l, (x, bias)) in row.iter().zip(bias).enumerate() {
                let pre = x + bias;
                if pre > 0.0 {
                    latents.push(first + (b * BLOCK + l) as u32);
                    values.push(pre);
                }
            }
        }
    }
}

/// The encoder by three loops in f64: what [`encode`] is tested against. `x` is centered, row-major `[n, d]`; the result `[n, d_sae]`.
pub fn encode_reference(x: Rows<'_>, w_enc: Rows<'_>, b_enc: &[f32]) -> Vec<f64> {
    let mut dense = Vec::with_capacity(x.n * w_enc.n);
    for t in 0..x.n {
        for (i, bias) in b_enc.iter().enumerate() {
            dense.push((super::simd::dot_reference(x.row(t), w_enc.row(i)) + f64::from(*bias)).max(0.0));
        }
    }
    dense
}
