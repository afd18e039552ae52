//! How unit rows push each other apart: for every row the sum of its close neighbors, each weighted by how close it is.
//!
//! One pass over the tiles on and above the diagonal serves both rows of a pair. A tile's close pairs are few, so they are
//! collected and summed one by one instead of by a second matrix product. Tiles go in rounds in which no tile meets two
//! others (a tournament by the circle method): a round is parallel without sharing, and every row adds up its
//! neighbors in the order of the rounds, at any thread count.
//!
//! Cost: n^2 d / 2 multiply-adds for the cosines and 2 d for each close pair; memory n d for the result, and a tile and its close
//! pairs a thread.

// Loops over lanes by index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::Sign;
use super::elementary::exp;
use super::gram::{tile_product, with_tile};
use super::simd::{add_scaled_lanes, max_lanes, wide};
use super::unit::{TILE, UnitRows};
use crate::error::Result;
use crate::progress::Monitor;

/// The exponential push ends this many widths below its center, where it is 6e-6 of what it is there.
const REACH: f32 = 12.0;
/// It grows no further this many widths above its center, so that no sum overflows.
const MOST: f32 = 8.0;
/// Values of a row that are summed in registers.
const LANES: usize = 64;

/// How hard two rows push, by their cosine c as the sign convention counts it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Push {
    /// c - from, where that is above 0: the slope of (c - from)^2 / 2.
    Hinge {
        /// Where it begins.
        from: f32,
    },
    /// width * exp((c - center) / width), where c is neither far below nor far above the center: a multiple of the slope of the log-sum-exp.
    Exponential {
        /// Where the push is `width`.
        center: f32,
        /// Over which difference it grows by e.
        width: f32,
    },
}

impl Push {
    /// Only pairs above this cosine push.
    fn from(self) -> f32 {
        match self {
            Push::Hinge { from } => from,
            Push::Exponential { center, width } => center - REACH * width,
        }
    }

    /// The push of a pair above [`Push::from`], and its slope.
    fn at(self, c: f32) -> (f32, f32) {
        match self {
            Push::Hinge { from } => (c - from, 1.0),
            Push::Exponential { center, width } => {
                let slope = exp(((c - center) / width).min(MOST));
                (width * slope, slope)
            }
        }
    }
}

/// What [`repel`] finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Repulsion {
    /// For each row i the sum over j != i of push(c_ij) u_j, `[n, d]`; times sign(c_ij) where cosines are absolute.
    pub pull: Vec<f32>,
    /// The cosine of each row to its nearest, as the sign convention counts it.
    pub nearest: Vec<f32>,
    /// The sum of the push's slope over ordered pairs.
    pub stiffness: f64,
    /// How many ordered pairs push.
    pub pairs: u64,
}

/// Sums up the pushes on every row.
///
/// # Errors
/// `interrupted` when `monitor` says so, which is asked before every round.
pub fn repel(unit: &UnitRows, sign: Sign, push: Push, monitor: &dyn Monitor) -> Result<Repulsion> {
    let d = unit.raw.d;
    let blocks: Vec<Mutex<Block>> = (0..unit.tiles()).map(|b| Mutex::new(Block::new(unit.tile_len(b), d))).collect();
    let lock = |b: usize| blocks[b].lock().unwrap_or_else(PoisonError::into_inner);
    for round in rounds(unit.tiles()) {
        monitor.check()?;
        round.into_par_iter().for_each(|(i, j)| {
            let (close, columns) = with_tile(|cos| close_pairs(unit, (i, j), sign, push, cos, &mut lock(i)));
            close.add_to(&mut lock(i), unit.tile(j), d);
            if i != j {
                let mut block = lock(j);
                block.nearest.iter_mut().zip(columns).for_each(|(most, c)| *most = most.max(c));
                close.transposed(unit.tile_len(j)).add_to(&mut block, unit.tile(i), d);
            }
        });
    }
    let mut all = Repulsion { pull: Vec::with_capacity(unit.len() * d), nearest: Vec::new(), stiffness: 0.0, pairs: 0 };
    for block in blocks {
        let block = block.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.pull.extend(block.pull);
        all.nearest.extend(block.nearest);
        all.stiffness += block.stiffness;
        all.pairs += block.pairs;
    }
    Ok(all)
}

/// [`repel`] the slow, obvious way, in f64: pull and nearest cosines.
pub fn repel_reference(unit: &UnitRows, sign: Sign, push: Push) -> (Vec<f64>, Vec<f64>) {
    let (n, d) = (unit.len(), unit.raw.d);
    let (mut pull, mut nearest) = (vec![0.0; n * d], vec![f64::NEG_INFINITY; n]);
    for (i, row) in pull.chunks_exact_mut(d.max(1)).enumerate() {
        for j in (0..n).filter(|&j| j != i) {
            let c = unit.cos(i, j);
            let counted = sign.of(c);
            nearest[i] = nearest[i].max(counted);
            let weight = match push {
                Push::Hinge { from } => (counted - f64::from(from)).max(0.0),
                Push::Exponential { center, width } => {
                    let widths = (counted - f64::from(center)) / f64::from(width);
                    f64::from(width) * widths.min(f64::from(MOST)).exp()
                }
            };
            unit.add_to(j, if sign == Sign::Abs && c < 0.0 { -weight } else { weight }, row);
        }
    }
    (pull, nearest)
}

/// All pairs of tiles i <= j, each once, in rounds in which no tile occurs twice: first the diagonal, then a tournament.
pub fn rounds(tiles: usize) -> Vec<Vec<(usize, usize)>> {
    let mut all = vec![(0..tiles).map(|i| (i, i)).collect::<Vec<_>>()];
    // The last seat stays while the others turn; with an odd number of tiles it is empty.
    let turning = tiles.next_multiple_of(2).saturating_sub(1);
    for round in 0..turning {
        let across = (1..=turning / 2).map(|k| ((round + k) % turning, (round + turning - k) % turning));
        let pairs = std::iter::once((round, turning)).chain(across).filter(|&(i, j)| i.max(j) < tiles);
        all.push(pairs.map(|(i, j)| (i.min(j), i.max(j))).collect());
    }
    all
}

/// What is known about the rows of one tile.
struct Block {
    pull: Vec<f32>,
    nearest: Vec<f32>,
    stiffness: f64,
    pairs: u64,
}

impl Block {
    fn new(rows: usize, d: usize) -> Self {
        Block { pull: vec![0.0; rows * d], nearest: vec![f32::NEG_INFINITY; rows], stiffness: 0.0, pairs: 0 }
    }
}

/// The close pairs of a tile, row after row: those of row r are `starts[r]..starts[r + 1]`.
struct Close {
    starts: Vec<usize>,
    /// Column, weight in the sum, slope of the push.
    pairs: Vec<(u32, f32, f32)>,
}

/// Fills the tile, finds its close pairs, offers the nearest of each row to `rows` and returns the nearest of each column.
fn close_pairs(
    unit: &UnitRows,
    (i, j): (usize, usize),
    sign: Sign,
    push: Push,
    cos: &mut [f32],
    rows: &mut Block,
) -> (Close, Vec<f32>) {
    tile_product(unit, i, j, cos);
    let width = unit.tile_len(j);
    let mut columns = vec![f32::NEG_INFINITY; width];
    let mut close = Close { starts: vec![0], pairs: Vec::new() };
    let (mut counted, mut found) = ([0.0f32; TILE], [0u32; TILE]);
    let counted = &mut counted[..width];
    let from = push.from();
    for (r, most) in rows.nearest.iter_mut().enumerate() {
        let line = &mut cos[r * TILE..r * TILE + width];
        if i == j {
            // No comparison with a row itself holds.
            line[r] = f32::NAN;
        }
        counted.iter_mut().zip(&*line).for_each(|(out, &c)| *out = if sign == Sign::Abs { c.abs() } else { c });
        columns.iter_mut().zip(&*counted).for_each(|(most, &c)| *most = if c > *most { c } else { *most });
        *most = most.max(max_lanes(counted));
        let mut count = 0;
        for (column, &c) in counted.iter().enumerate() {
            // Written every time and kept when it counts: a branch would be guessed wrong too often.
            found[count] = column as u32;
            count += usize::from(c > from);
        }
        close.pairs.extend(found[..count].iter().map(|&column| {
            let (weight, slope) = push.at(counted[column as usize]);
            let weight = if sign == Sign::Abs { weight.copysign(line[column as usize]) } else { weight };
            (column, weight, slope)
        }));
        close.starts.push(close.pairs.len());
    }
    (close, columns)
}

impl Close {
    /// The same pairs column after column: a counting sort.
    fn transposed(&self, columns: usize) -> Close {
        let mut starts = vec![0usize; columns + 1];
        self.pairs.iter().for_each(|pair| starts[pair.0 as usize + 1] += 1);
        (0..columns).for_each(|c| starts[c + 1] += starts[c]);
        let mut next = starts.clone();
        let mut pairs = vec![(0, 0.0, 0.0); self.pairs.len()];
        for (r, bounds) in self.starts.windows(2).enumerate() {
            for &(c, weight, slope) in &self.pairs[bounds[0]..bounds[1]] {
                pairs[next[c as usize]] = (r as u32, weight, slope);
                next[c as usize] += 1;
            }
        }
        Close { starts, pairs }
    }

    /// Adds to each row of the block its weighted partners, rows of the tile `others`.
    fn add_to(&self, block: &mut Block, others: &[f32], d: usize) {
        add_partners(&mut block.pull, &self.starts, &self.pairs, others, d);
        block.stiffness += self.pairs.iter().map(|pair| f64::from(pair.2)).sum::<f64>();
        block.pairs += self.pairs.len() as u64;
    }
}

wide! {
    /// `out[r] += sum of weight * others[column]` over the pairs of row r, a stretch of columns at a time so that the stretch of the whole tile
    /// stays in the cache and the sum in registers.
    fn add_partners(out: &mut [f32], starts: &[usize], pairs: &[(u32, f32, f32)], others: &[f32], d: usize) {
        let whole = d - d % LANES;
        for from in (0..whole).step_by(LANES) {
            for (row, bounds) in out.chunks_exact_mut(d).zip(starts.windows(2)) {
                let mut sum = [0.0f32; LANES];
                for &(column, weight, _) in &pairs[bounds[0]..bounds[1]] {
                    let other = &others[column as usize * d + from..][..LANES];
                    for l in 0..LANES {
                        sum[l] += weight * other[l];
                    }
                }
                add_scaled_lanes(&mut row[from..from + LANES], 1.0, &sum);
            }
        }
        for (row, bounds) in out.chunks_exact_mut(d).zip(starts.windows(2)) {
            for &(column, weight, _) in &pairs[bounds[0]..bounds[1]] {
                add_scaled_lanes(&mut row[whole..], weight, &others[column as usize * d..][whole..d]);
            }
        }
    }
}
