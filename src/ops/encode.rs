//! The encoder: one dense product by tiles, with bias, floor and compaction to sparse codes fused into each tile.
//!
//! The dense pre-activations exist one small tile at a time, in the first cache. A token's codes do not depend on the tokens beside
//! it, nor on the order of latents: see [`super::kernel`]. Where few pairs fire, a first look in integers ([`super::screen`]) leaves only
//! those to the f32 product, and the codes are the same to the bit.

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::dense::Padded;
use super::kernel::kernel;
use super::panels::Panels;
use super::screen::{Rounded, Screen, bound, entries, screen};
use super::simd::wide;

/// Tokens that one task encodes: at 512 values a token, they stay in the second cache. A multiple of every kernel's rows.
const TOKENS: usize = 192;
/// Latents that one task takes them through. A multiple of every kernel's columns.
const LATENTS: usize = 2048;

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
    let job = Job::new(x, w_enc, b_enc, floor);
    let looked = screen().and_then(|screen| job.look(screen));
    job.finish(looked, limit)
}

/// [`encode_above`] without the first look: what it is tested against.
pub fn encode_above_whole(
    x: &Padded,
    w_enc: Rows<'_>,
    b_enc: &[f32],
    floor: Floor<'_>,
    limit: Option<f64>,
) -> Option<Codes> {
    Job::new(x, w_enc, b_enc, floor).finish(None, limit)
}

/// The work, in tasks of [`TOKENS`] by [`LATENTS`].
struct Job<'a> {
    x: Rows<'a>,
    w_enc: Rows<'a>,
    /// A column of the padding never fires: its bias is minus infinity.
    bias: Vec<f32>,
    floors: Vec<f32>,
    /// Tasks beside each other.
    columns: usize,
}

/// The pairs above this share are too many to be computed one by one.
const FEW: f64 = 0.02;

impl<'a> Job<'a> {
    fn new(x: &'a Padded, w_enc: Rows<'a>, b_enc: &[f32], floor: Floor<'_>) -> Self {
        let d_sae = w_enc.n;
        let (mut bias, mut floors) = (
            b_enc.to_vec(),
            match floor {
                Floor::All(floor) => vec![floor; d_sae],
                Floor::Each(floors) => floors.to_vec(),
            },
        );
        bias.resize(d_sae.next_multiple_of(LATENTS), f32::NEG_INFINITY);
        floors.resize(bias.len(), 0.0);
        Job { x: Rows { data: x.rows(), n: x.n, d: x.d }, w_enc, bias, floors, columns: d_sae.div_ceil(LATENTS) }
    }

    fn tasks(&self) -> usize {
        self.x.n.div_ceil(TOKENS) * self.columns
    }

    /// A task's first token, and how many it has.
    fn tokens(&self, task: usize) -> (usize, usize) {
        let first = task / self.columns * TOKENS;
        (first, TOKENS.min(self.x.n - first))
    }

    /// A task's panels of `width` rows, of tokens or of latents.
    fn panels(at: usize, size: usize, width: usize, all: usize) -> std::ops::Range<usize> {
        let each = size / width;
        at * each..((at + 1) * each).min(all)
    }

    /// The tasks in which few pairs fire, by a first look; `None` for the others. No task at all when a row has no bound.
    fn look(&self, screen: &Screen) -> Option<Vec<Option<TileCodes>>> {
        let (tokens, latents) = (Rounded::new(self.x, screen.rows)?, Rounded::new(self.w_enc, screen.columns)?);
        // In f32, and what rounding may take away.
        let over = |(bias, floor): (&f32, &f32)| bias - floor + (bias.abs() + floor.abs()) * (2.0 * f32::EPSILON);
        let mut over: Vec<f32> = self.bias.iter().zip(&self.floors).map(over).collect();
        over[self.w_enc.n..].fill(f32::NEG_INFINITY);
        let bound = bound(self.x.d);
        let looked = (0..self.tasks()).into_par_iter().map(|task| {
            let (first, real) = self.tokens(task);
            let rows = Self::panels(task / self.columns, TOKENS, screen.rows, tokens.len());
            let (mut near, mut found, mut seen) = (Vec::new(), Vec::new(), 0);
            for panel in Self::panels(task % self.columns, LATENTS, screen.columns, latents.len()) {
                let columns = panel * screen.columns..(panel + 1) * screen.columns;
                let (over, units) = (&over[columns.clone()], &latents.unit[columns]);
                screen.tiles((&tokens, rows.clone()), (&latents, panel..panel + 1), |row, column, tile| {
                    let row_units = &tokens.unit[row..row + screen.rows];
                    if !may_fire(tile, bound, row_units, units, over) {
                        return;
                    }
                    let lines = tile.chunks_exact(screen.columns).zip(row_units).enumerate().take(first + real - row);
                    for (r, (line, unit)) in
                        lines.filter(|(_, (line, unit))| may_fire(line, bound, &[**unit], units, over))
                    {
                        for (c, product) in line.iter().enumerate() {
                            if (product + bound) as f32 * unit * units[c] + over[c] > 0.0 {
                                near.push(((row + r) as u32, (column + c) as u32));
                            }
                        }
                    }
                });
                seen += real * screen.columns;
                if (near.len() + found.len()) as f64 > FEW * seen as f64 + 256.0 {
                    return None;
                }
                self.settle(first, &mut near, &mut found);
            }
            Some(by_token(&found, real))
        });
        Some(looked.collect())
    }

    /// Computes the pairs that may fire, and keeps those that do.
    fn settle(&self, first: usize, near: &mut Vec<(u32, u32)>, found: &mut Vec<(u32, u32, f32)>) {
        let pairs = near.iter().map(|(t, i)| (self.x.row(*t as usize), self.w_enc.row(*i as usize)));
        let mut at = 0;
        entries(pairs, |product| {
            let (t, i) = near[at];
            let pre = product + self.bias[i as usize];
            if pre > self.floors[i as usize] {
                found.push((t - first as u32, i, pre));
            }
            at += 1;
        });
        near.clear();
    }

    /// The codes, from those tasks that are done, and the f32 product for the others.
    fn finish(&self, looked: Option<Vec<Option<TileCodes>>>, limit: Option<f64>) -> Option<Codes> {
        let mut looked = looked.unwrap_or_else(|| (0..self.tasks()).map(|_| None).collect());
        let most = |task: usize| {
            let width = LATENTS.min(self.w_enc.n - task % self.columns * LATENTS);
            limit.map_or(usize::MAX, |share| (share * (self.tokens(task).1 * width) as f64) as usize)
        };
        if looked.iter().any(Option::is_none) {
            let kernel = kernel();
            let panels = (Panels::new(self.x, kernel.rows), Panels::new(self.w_enc, kernel.columns));
            looked.par_iter_mut().enumerate().filter(|(_, done)| done.is_none()).for_each(|(task, done)| {
                *done = self.whole(task, (&panels.0, &panels.1), most(task));
            });
        }
        let within = |(task, codes): (usize, Option<TileCodes>)| codes.filter(|codes| codes.values.len() <= most(task));
        let tasks: Vec<TileCodes> = looked.into_iter().enumerate().map(within).collect::<Option<_>>()?;
        Some(join(&tasks, self.x.n, self.w_enc.n, self.columns))
    }

    /// A task by the f32 product; `None` when more than `most` pairs are kept.
    fn whole(&self, task: usize, (tokens, latents): (&Panels, &Panels), most: usize) -> Option<TileCodes> {
        let (kernel, (first, real)) = (kernel(), self.tokens(task));
        let rows = Self::panels(task / self.columns, TOKENS, kernel.rows, tokens.len());
        let mut found = Vec::new();
        for panel in Self::panels(task % self.columns, LATENTS, kernel.columns, latents.len()) {
            kernel.tiles((tokens, rows.clone()), (latents, panel..panel + 1), |row, column, tile| {
                let columns = column..column + kernel.columns;
                let (bias, floors) = (&self.bias[columns.clone()], &self.floors[columns]);
                if fires(tile, bias, floors) {
                    let within = row - first;
                    compact(tile, (bias, floors), within, real - within.min(real), column, &mut found);
                }
            });
            if found.len() > most {
                return None;
            }
        }
        Some(by_token(&found, real))
    }
}

wide! {
    /// Whether any entry of a tile may fire, for all that rounding may have taken from it: `product` lies within `bound` of what the f32
    /// kernel makes, in units of its row and its column. Rows are whole lines of sixteen.
    fn may_fire(tile: &[i32], bound: i32, rows: &[f32], columns: &[f32], over: &[f32]) -> bool {
        let (columns, over) = (columns.as_chunks::<16>().0, over.as_chunks::<16>().0);
        let mut any = [0u32; 16];
        for (tile, row) in tile.as_chunks::<16>().0.chunks_exact(columns.len()).zip(rows) {
            for ((tile, column), over) in tile.iter().zip(columns).zip(over) {
                for l in 0..16 {
                    let pre = (tile[l] + bound) as f32 * row * column[l];
                    any[l] |= u32::from(pre + over[l] > 0.0);
                }
            }
        }
        any.iter().fold(0, |all, any| all | any) != 0
    }
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
