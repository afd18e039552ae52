//! The pass of [`super::nearest`] over the Gram matrix in integers, and the few pairs that it cannot tell apart in f32.
//!
//! A pair whose integer product shows that its cosine is below both rows' marks is none of their K largest. The others get their f32
//! cosine by [`near`], which lies within E of the kernel's: so the K-th largest of a row is at least its K-th largest so far less E, and a pair
//! more than 2 E below that is none of the K largest: this is the row's mark. What is left, one or two pairs a row, is computed as the kernel
//! does. The result is that of the f32 pass to the bit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::entries::{entries, near};
use super::gram::upper_tiles;
use super::nearest::{BLOCK, Best};
use super::screen::{Marks, Pair, Screen, rounding};
use super::unit::UnitRows;
use super::{Rows, Sign};
use crate::progress::Stop;

/// Pairs that a row keeps at most: beyond these it is full of ties, and the f32 pass is faster.
const CROWD: usize = 512;

/// The largest cosines that some rows have met, and what one must be above to count.
struct Top<const K: usize> {
    /// The K largest so far, falling.
    top: Vec<[f32; K]>,
    mark: Vec<f32>,
}

impl<const K: usize> Top<K> {
    /// Nothing met yet, with these marks to reach.
    fn new(mark: Vec<f32>) -> Self {
        Top { top: vec![[f32::NEG_INFINITY; K]; mark.len()], mark }
    }

    /// Whether a row's cosine counts; raises its mark when it is one of the largest. `apart` is 2 E.
    fn meets(&mut self, row: usize, cos: f32, apart: f32) -> bool {
        if cos <= self.mark[row] {
            return false;
        }
        let top = &mut self.top[row];
        if cos > top[K - 1] {
            let at = top.iter().position(|x| cos > *x).unwrap_or(K - 1);
            top.copy_within(at..K - 1, at + 1);
            top[at] = cos;
            self.mark[row] = self.mark[row].max(top[K - 1] - apart);
        }
        true
    }
}

/// What one block's rows have met.
struct Near<const K: usize> {
    top: Top<K>,
    /// For each row the cosines that counted, with the other row.
    pairs: Vec<Vec<(f32, u32)>>,
}

impl<const K: usize> Near<K> {
    /// Takes a pair into account; tells whether the row is still free of crowds.
    fn offer(&mut self, row: usize, (cos, other): (f32, u32), apart: f32) -> bool {
        if !self.top.meets(row, cos, apart) {
            return true;
        }
        let pairs = &mut self.pairs[row];
        if pairs.len() == CROWD {
            let mark = self.top.mark[row];
            pairs.retain(|(cos, _)| *cos > mark);
        }
        pairs.push((cos, other));
        pairs.len() <= CROWD
    }
}

/// Each row's best candidates, by blocks of [`BLOCK`] rows; `None` where rows are too long to be rounded, or full of ties.
pub(super) fn screened<const K: usize>(screen: &Screen, unit: &UnitRows, sign: Sign) -> Option<Vec<Best<K>>> {
    let n = unit.len();
    let rows = Rows { data: unit.values(), n, d: unit.raw.d };
    let both = Pair::new(screen, rows, rows)?;
    // Lengths are one but for rounding, which has room in this.
    let (blocks, apart) = (n.div_ceil(BLOCK), 2.0 * rounding(rows.d));
    let block = |at: usize, (width, all): (usize, usize)| {
        let each = BLOCK / width;
        at * each..((at + 1) * each).min(all)
    };
    let none = || Near { top: Top::new(vec![f32::NEG_INFINITY; BLOCK]), pairs: vec![Vec::new(); BLOCK] };
    let found: Vec<Mutex<Near<K>>> = (0..blocks).map(|_| Mutex::new(none())).collect();
    let lock = |b: usize| found[b].lock().unwrap_or_else(PoisonError::into_inner);
    let crowded = AtomicBool::new(false);
    let stop = Stop::here();
    upper_tiles(blocks).into_par_iter().for_each(|(i, j)| {
        if crowded.load(Ordering::Relaxed) || stop.requested() {
            return;
        }
        // Two statements: both may be the same block's, and a lock lasts to the end of its statement.
        let mut of_rows = Top::<K>::new(lock(i).top.mark.clone());
        let mut of_columns = Top::<K>::new(lock(j).top.mark.clone());
        let (mut hits, mut by_row, mut by_column) = (Vec::new(), Vec::new(), Vec::new());
        let mut visit = |row: usize, column: usize, tile: &mut [i32]| {
            if sign == Sign::Abs {
                tile.iter_mut().for_each(|c| *c = c.abs());
            }
            let (r, c) = (row - i * BLOCK, column - j * BLOCK);
            let marks = Marks { rows: &of_rows.mark[r..], columns: &of_columns.mark[c..] };
            screen.find(&both, (row, column, tile), &marks, &mut hits);
            for (a, b) in hits.drain(..) {
                // Each pair once, no row with itself, and none of the padding.
                if a < b && (b as usize) < n {
                    let cos = near(rows.row(a as usize), rows.row(b as usize));
                    let cos = if sign == Sign::Abs { cos.abs() } else { cos };
                    let (r, c) = (a as usize - i * BLOCK, b as usize - j * BLOCK);
                    if of_rows.meets(r, cos, apart) {
                        by_row.push((r, cos, b));
                    }
                    if of_columns.meets(c, cos, apart) {
                        by_column.push((c, cos, a));
                    }
                }
            }
        };
        for panel in block(j, (screen.columns, both.right.len())) {
            // Below the diagonal there is nothing new.
            let rows = block(i, (screen.rows, both.left.len()));
            let end =
                if i == j { ((panel + 1) * screen.columns).div_ceil(screen.rows).min(rows.end) } else { rows.end };
            screen.tiles(&both, rows.start..end, panel..panel + 1, &mut visit);
        }
        for (at, top, pairs) in [(i, of_rows, by_row), (j, of_columns, by_column)] {
            let mut all = lock(at);
            // Those that a later one has left behind go first.
            let left = pairs.into_iter().filter(|(row, cos, _)| *cos > top.mark[*row]);
            if !left.fold(true, |free, (row, cos, other)| all.offer(row, (cos, other), apart) && free) {
                crowded.store(true, Ordering::Relaxed);
            }
        }
    });
    if crowded.into_inner() || stop.requested() {
        return None;
    }
    let found = found.into_par_iter().enumerate();
    Some(
        found
            .map(|(at, near)| settle(rows, sign, at, &near.into_inner().unwrap_or_else(PoisonError::into_inner)))
            .collect(),
    )
}

/// The best of a block's pairs, in f32.
fn settle<const K: usize>(unit: Rows<'_>, sign: Sign, block: usize, near: &Near<K>) -> Best<K> {
    let mut best = Best::new(vec![f32::MIN; BLOCK]);
    let pairs: Vec<(usize, u32)> = (near.pairs.iter().zip(&near.top.mark).enumerate())
        .flat_map(|(row, (pairs, mark))| {
            pairs.iter().filter(move |(cos, _)| cos > mark).map(move |(_, other)| (row, *other))
        })
        .collect();
    let mut at = 0;
    entries(pairs.iter().map(|(row, other)| (unit.row(block * BLOCK + row), unit.row(*other as usize))), |cos| {
        let (row, other) = pairs[at];
        best.offer(row, (if sign == Sign::Abs { cos.abs() } else { cos }, other));
        at += 1;
    });
    best
}
