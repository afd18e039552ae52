//! The encoder: one dense product by tiles, with bias, floor and compaction to sparse codes fused into each tile.
//!
//! The dense pre-activations exist one small tile at a time, in the first cache. A token's codes do not depend on the tokens beside
//! it, nor on the order of latents: see [`super::kernel`].

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use std::cell::RefCell;

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::kernel::kernel;
use super::panels::Panels;
use super::simd::wide;

/// Tokens that one task encodes: at 512 values a token, they stay in the second cache. A multiple of every kernel's rows.
const TOKENS: usize = 192;
/// Latents that one task takes them through. A multiple of every kernel's columns.
const LATENTS: usize = 2048;

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

/// The codes of one task: how many each token has, and the entries token after token.
#[derive(Default)]
struct TileCodes {
    counts: Vec<u32>,
    latents: Vec<u32>,
    values: Vec<f32>,
}

/// What a pre-activation must be above to be kept.
#[derive(Debug, Clone, Copy)]
pub enum Floor<'a> {
    /// The same for every latent.
    All(f32),
    /// One for each latent.
    Each(&'a [f32]),
}

/// `relu(x w_encᵀ + b_enc)` as sparse codes: [`encode_above`] 0.
pub fn encode(x: &Padded, w_enc: Rows<'_>, b_enc: &[f32], limit: Option<f64>) -> Option<Codes> {
    encode_above(x, w_enc, b_enc, Floor::All(0.0), limit)
}

/// The pre-activations `x w_encᵀ + b_enc` that lie above a floor; `x` is already centered, `w_enc` is `[d_sae, d_in]`.
///
/// Costs `n d_sae d_in` multiply-adds, and little more: each tile of pre-activations is looked at while it is in the first cache. With a
/// `limit` on the share of kept pairs it gives up and returns `None` when any task's share is denser: the caller then takes the dense
/// way, and no memory is spent on dense codes.
pub fn encode_above(x: &Padded, w_enc: Rows<'_>, b_enc: &[f32], floor: Floor<'_>, limit: Option<f64>) -> Option<Codes> {
    let (d_sae, kernel) = (w_enc.n, kernel());
    let tokens = Panels::new(Rows { data: x.rows(), n: x.n, d: x.d }, kernel.rows);
    let latents = Panels::new(w_enc, kernel.columns);
    // Padding never fires.
    let mut bias = b_enc.to_vec();
    bias.resize(latents.len() * kernel.columns, f32::NEG_INFINITY);
    let mut floors = match floor {
        Floor::All(floor) => vec![floor; d_sae],
        Floor::Each(floors) => floors.to_vec(),
    };
    floors.resize(bias.len(), 0.0);
    let columns = d_sae.div_ceil(LATENTS);
    let part = |at: usize, size: usize, panels: &Panels| {
        let each = size / panels.width;
        at * each..((at + 1) * each).min(panels.len())
    };
    let tasks: Vec<Option<TileCodes>> = (0..x.n.div_ceil(TOKENS) * columns)
        .into_par_iter()
        .map(|task| {
            let first = task / columns * TOKENS;
            let real = TOKENS.min(x.n - first);
            let width = LATENTS.min(d_sae - task % columns * LATENTS);
            let most = limit.map_or(usize::MAX, |share| (share * (real * width) as f64) as usize);
            let mut found = Vec::new();
            let rows = (&tokens, part(task / columns, TOKENS, &tokens));
            kernel.tiles(rows, (&latents, part(task % columns, LATENTS, &latents)), |row, column, tile| {
                let columns = column..column + kernel.columns;
                let (bias, floors) = (&bias[columns.clone()], &floors[columns]);
                if found.len() <= most && fires(tile, bias, floors) {
                    let within = row - first;
                    compact(tile, (bias, floors), within, real - within.min(real), column, &mut found);
                }
            });
            (found.len() <= most).then(|| by_token(&found, real))
        })
        .collect();
    let tasks: Vec<TileCodes> = tasks.into_iter().collect::<Option<_>>()?;
    Some(join(&tasks, x.n, d_sae, columns))
}

wide! {
    /// Whether any entry of some rows of a tile plus its column's bias is above its column's floor. Rows are whole lines of sixteen.
    fn fires(tile: &[f32], bias: &[f32], floors: &[f32]) -> bool {
        let (bias, floors) = (bias.as_chunks::<16>().0, floors.as_chunks::<16>().0);
        let mut any = [0u32; 16];
        for row in tile.as_chunks::<16>().0.chunks_exact(bias.len()) {
            for ((row, bias), floor) in row.iter().zip(bias).zip(floors) {
                for l in 0..16 {
                    any[l] |= u32::from(row[l] + bias[l] > floor[l]);
                }
            }
        }
        any.iter().fold(0, |all, any| all | any) != 0
    }
}

/// Appends a tile's entries above their floor as (token, latent, value): token `row + r` for the first `real` rows, latent `column + c`.
fn compact(
    tile: &[f32],
    (bias, floors): (&[f32], &[f32]),
    row: usize,
    real: usize,
    column: usize,
    found: &mut Vec<(u32, u32, f32)>,
) {
    let rows = tile.chunks_exact(bias.len()).take(real).enumerate();
    for (r, values) in rows.filter(|(_, values)| fires(values, bias, floors)) {
        for (c, ((x, bias), floor)) in values.iter().zip(bias).zip(floors).enumerate() {
            let pre = x + bias;
            if pre > *floor {
                found.push(((row + r) as u32, (column + c) as u32, pre));
            }
        }
    }
}

/// Sorts a task's entries by token; those of a token keep their order, which is that of latents.
fn by_token(found: &[(u32, u32, f32)], tokens: usize) -> TileCodes {
    let mut codes =
        TileCodes { counts: vec![0; tokens], latents: vec![0; found.len()], values: vec![0.0; found.len()] };
    found.iter().for_each(|(t, ..)| codes.counts[*t as usize] += 1);
    let mut next: Vec<usize> = Vec::with_capacity(tokens);
    let mut sum = 0;
    for count in &codes.counts {
        next.push(sum);
        sum += *count as usize;
    }
    for (t, latent, value) in found {
        let place = &mut next[*t as usize];
        codes.latents[*place] = *latent;
        codes.values[*place] = *value;
        *place += 1;
    }
    codes
}

/// Puts the codes of each token's tasks beside each other.
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
