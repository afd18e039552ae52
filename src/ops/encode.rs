//! The encoder: one dense product by tiles, with bias, floor and compaction to sparse codes fused into each tile.
//!
//! The dense pre-activations exist one small tile at a time, in the first cache. A token's codes do not depend on the tokens beside
//! it, nor on the order of latents: see [`super::kernel`]. Where few pairs fire, a first look in integers ([`super::screen`]) leaves only
//! those to the f32 product, and the codes are the same to the bit.

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::dense::Padded;
use super::entries::{entries, near};
use super::kernel::kernel;
use super::panels::Panels;
use super::screen::{Marks, Pair, Screen, rounding, screen};
use super::simd::wide;
use crate::progress::Stop;

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
    encode_above_by(screen(), x, w_enc, b_enc, floor, limit)
}

/// [`encode_above`] by a first look of choice; without one it is what others are tested against.
pub fn encode_above_by(
    screen: Option<&Screen>,
    x: &Padded,
    w_enc: Rows<'_>,
    b_enc: &[f32],
    floor: Floor<'_>,
    limit: Option<f64>,
) -> Option<Codes> {
    let job = Job::new(x, w_enc, b_enc, floor);
    let looked = screen.and_then(|screen| job.look(screen));
    job.finish(looked, limit)
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
    stop: Stop,
}

/// Tasks below each other that look together: rows of latents that are computed again are then near, and tokens stay in the second cache.
const TOGETHER: usize = 4;
/// More pairs than this share are too many to be computed one by one as the kernel does.
const FEW: f64 = 0.01;
/// And these too many to be looked at again in f32.
const MANY: f64 = 0.05;

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
        Job {
            x: Rows { data: x.rows(), n: x.n, d: x.d },
            w_enc,
            bias,
            floors,
            columns: d_sae.div_ceil(LATENTS),
            stop: Stop::here(),
        }
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
    fn panels(at: usize, size: usize, width: usize, all: usize) -> Range<usize> {
        let each = size / width;
        at * each..((at + 1) * each).min(all)
    }

    /// The tasks in which few pairs fire, by a first look; `None` for the others. No task at all when a row has no bound.
    fn look(&self, screen: &Screen) -> Option<Vec<Option<TileCodes>>> {
        let pair = Pair::new(screen, self.x, self.w_enc)?;
        // What a product must be above, in f32, less what rounding may add.
        let mark = |(bias, floor): (&f32, &f32)| floor - bias - (bias.abs() + floor.abs()) * (2.0 * f32::EPSILON);
        let mut marks: Vec<f32> = self.bias.iter().zip(&self.floors).map(mark).collect();
        marks[self.w_enc.n..].fill(f32::INFINITY);
        let (blocks, columns) = (self.x.n.div_ceil(TOKENS), self.columns);
        let groups = blocks.div_ceil(TOGETHER) * columns;
        let looked: Vec<Vec<Option<TileCodes>>> = (0..groups)
            .into_par_iter()
            .map(|group| {
                let blocks = group / columns * TOGETHER..blocks.min((group / columns + 1) * TOGETHER);
                self.look_together(screen, &pair, &marks, blocks, group % columns)
            })
            .collect();
        let mut tasks: Vec<Option<TileCodes>> = (0..self.tasks()).map(|_| None).collect();
        for (group, codes) in looked.into_iter().enumerate() {
            let first = group / columns * TOGETHER * columns + group % columns;
            codes.into_iter().enumerate().for_each(|(at, codes)| tasks[first + at * columns] = codes);
        }
        Some(tasks)
    }

    /// A first look at some blocks of tokens with one column of tasks: the codes of each block, or nothing where too many pairs may fire.
    fn look_together(
        &self,
        screen: &Screen,
        pair: &Pair,
        marks: &[f32],
        blocks: Range<usize>,
        column: usize,
    ) -> Vec<Option<TileCodes>> {
        let tokens = blocks.start * TOKENS..self.x.n.min(blocks.end * TOKENS);
        let rows = tokens.start / screen.rows..tokens.end.div_ceil(screen.rows);
        let any = vec![f32::INFINITY; screen.rows];
        let (mut hits, mut found, mut seen, mut looked) = (Vec::new(), Vec::new(), 0, 0);
        if self.stop.requested() {
            return blocks.map(|_| None).collect();
        }
        for panel in Self::panels(column, LATENTS, screen.columns, pair.right.len()) {
            let marks = Marks { rows: &any, columns: &marks[panel * screen.columns..(panel + 1) * screen.columns] };
            screen.tiles(pair, rows.clone(), panel..panel + 1, |row, column, tile| {
                screen.find(pair, (row, column, tile), &marks, &mut hits);
            });
            (seen, looked) = (seen + tokens.len() * screen.columns, looked + hits.len());
            if looked as f64 <= MANY * seen as f64 + 256.0 {
                self.settle(pair, &mut hits, &mut found);
            }
            if !hits.is_empty() || found.len() as f64 > FEW * seen as f64 + 256.0 {
                return blocks.map(|_| None).collect();
            }
        }
        let mut parts: Vec<Vec<(u32, u32, f32)>> = blocks.clone().map(|_| Vec::new()).collect();
        for (t, i, pre) in found {
            let within = t as usize - tokens.start;
            parts[within / TOKENS].push(((within % TOKENS) as u32, i, pre));
        }
        let of = |(block, found): (usize, &Vec<_>)| Some(by_token(found, TOKENS.min(self.x.n - block * TOKENS)));
        blocks.zip(&parts).map(of).collect()
    }

    /// Computes the pairs that may fire, and keeps those that do.
    fn settle(&self, pair: &Pair, hits: &mut Vec<(u32, u32)>, found: &mut Vec<(u32, u32, f32)>) {
        let rows = |t: u32, i: u32| (self.x.row(t as usize), self.w_enc.row(i as usize));
        let rounding = rounding(self.x.d);
        hits.retain(|(t, i)| {
            let (at, of) = (*t as usize, *i as usize);
            if at >= self.x.n {
                return false;
            }
            let off = pair.left.norm[at] * pair.right.norm[of] * rounding;
            let ((x, w), floor, bias) = (rows(*t, *i), self.floors[of], self.bias[of]);
            near(x, w) + off + (bias.abs() + floor.abs()) * (2.0 * f32::EPSILON) + bias > floor
        });
        let mut at = 0;
        entries(hits.iter().map(|(t, i)| rows(*t, *i)), |product| {
            let (t, i) = hits[at];
            let pre = product + self.bias[i as usize];
            if pre > self.floors[i as usize] {
                found.push((t, i, pre));
            }
            at += 1;
        });
        hits.clear();
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
        if self.stop.requested() {
            return Some(by_token(&found, real));
        }
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
