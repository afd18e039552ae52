//! Nearest neighbors among unit rows by cosine, from tiles of the Gram matrix.
//!
//! Each block of the Gram matrix on or above the diagonal serves its rows and its columns, and a tile is looked at while it is in the
//! first cache. A row keeps its best few candidates in the order (larger cosine, lower index); a candidate below the worst one kept can
//! never come back, so the order in which threads finish blocks changes nothing. A tile is gone through only when one of its entries
//! reaches its row's or its column's worst candidate: about log n times a row. Where the processor can, the pass is made on integers
//! first, 1.7 to 4.4 times as fast and to the same bits: see [`super::screened`].
//!
//! Cost: n^2 d / 2 multiply-adds and n^2 comparisons; memory O(n) beside the unit rows and their panels.

use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::gram::upper_tiles;
use super::kernel::kernel;
use super::panels::Panels;
use super::screen::{Screen, screen};
use super::screened::screened;
use super::simd::wide;
use super::unit::UnitRows;
use super::{Rows, Sign};
use crate::progress::Stop;

/// A row's nearest neighbor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its place among the kept rows.
    pub index: usize,
    /// The cosine with its sign, in f64, whatever convention chose the neighbor.
    pub cos: f64,
}

/// A row's nearest neighbor and the runner-up, settled in f64.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearestTwo {
    /// The nearest; on ties (within [`EXACT_TIE`]) the one of lowest index.
    pub first: Nearest,
    /// The next; `None` when there are only two rows.
    pub second: Option<Nearest>,
}

/// Two f64 cosines this near count as equal: rounding of a sum of some thousand products stays below it.
pub const EXACT_TIE: f64 = 1e-12;

/// Two f32 cosines this near are settled in f64; some twenty times the usual rounding of an f32 product.
pub(super) const F32_TIE: f32 = 2e-6;
/// How many candidates a row keeps where ties are settled.
pub(super) const CANDIDATES: usize = 4;
/// Rows and columns of a block that one task computes: at 512 values a row, its rows stay in the second cache. A multiple of every
/// kernel's rows and columns.
pub(super) const BLOCK: usize = 96;

/// Each row's nearest neighbor, in row order; empty when there are fewer than two rows.
///
/// For training: the choice is made in f32 (on near ties either neighbor may win, always the same one), the cosine is f64.
pub fn nearest(unit: &UnitRows, sign: Sign) -> Vec<Nearest> {
    nearest_by(screen(), unit, sign)
}

/// [`nearest`] by a first look of choice; without one it is what others are tested against.
pub fn nearest_by(screen: Option<&Screen>, unit: &UnitRows, sign: Sign) -> Vec<Nearest> {
    if unit.len() < 2 {
        return Vec::new();
    }
    let best = best::<1>(screen, unit, sign);
    if Stop::here().requested() {
        return vec![Nearest { index: 0, cos: 0.0 }; unit.len()];
    }
    let index = |i: usize| best[i / BLOCK].found[i % BLOCK][0].1 as usize;
    (0..unit.len()).into_par_iter().map(|i| Nearest { index: index(i), cos: unit.cos(i, index(i)) }).collect()
}

/// Each row's best candidates, by blocks: by a first look in integers where that pays, which changes no bit.
fn best<const K: usize>(screen: Option<&Screen>, unit: &UnitRows, sign: Sign) -> Vec<Best<K>> {
    screen.and_then(|screen| screened(screen, unit, sign)).unwrap_or_else(|| scan(unit, sign))
}

/// Each row's two nearest neighbors, in row order; empty when there are fewer than two rows.
///
/// Exact: cosines are f64, near ties of the f32 pass are settled there, and a row with more near ties than kept
/// candidates is gone through whole (so data full of ties costs up to n^2 d more).
pub fn nearest_two(unit: &UnitRows, sign: Sign) -> Vec<NearestTwo> {
    if unit.len() < 2 {
        return Vec::new();
    }
    let best = best::<CANDIDATES>(screen(), unit, sign);
    let stop = Stop::here();
    (0..unit.len())
        .into_par_iter()
        .map(|i| {
            if stop.requested() {
                return NearestTwo { first: Nearest { index: i, cos: 0.0 }, second: None };
            }
            let found = &best[i / BLOCK].found[i % BLOCK];
            if unit.len() - 1 > CANDIDATES && found[CANDIDATES - 1].0 >= found[1].0 - F32_TIE {
                settle(unit, sign, i, 0..unit.len())
            } else {
                settle(unit, sign, i, found.iter().map(|c| c.1 as usize).filter(|&j| j < unit.len()))
            }
        })
        .collect()
}

/// [`nearest_two`] the slow, obvious way: every pair in f64.
pub fn nearest_two_reference(unit: &UnitRows, sign: Sign) -> Vec<NearestTwo> {
    if unit.len() < 2 {
        return Vec::new();
    }
    (0..unit.len()).map(|i| settle(unit, sign, i, 0..unit.len())).collect()
}

/// The two best of some candidates for row `i`, in f64.
fn settle(unit: &UnitRows, sign: Sign, i: usize, candidates: impl Iterator<Item = usize>) -> NearestTwo {
    let all: Vec<Nearest> = candidates.filter(|&j| j != i).map(|j| Nearest { index: j, cos: unit.cos(i, j) }).collect();
    let top = |skip: Option<usize>| {
        let rest = all.iter().filter(|n| Some(n.index) != skip);
        let most = rest.clone().map(|n| sign.of(n.cos)).fold(f64::NEG_INFINITY, f64::max);
        rest.filter(|n| sign.of(n.cos) >= most - EXACT_TIE).min_by_key(|n| n.index).copied()
    };
    let first = top(None).unwrap_or(Nearest { index: i, cos: 1.0 });
    NearestTwo { first, second: top(Some(first.index)) }
}

/// The best candidates of one block's rows.
pub(super) struct Best<const K: usize> {
    /// What a cosine must reach to count, a row: the worst one kept.
    pub(super) least: Vec<f32>,
    /// (cosine, kept row) in falling order, a row; unused places hold (-inf, u32::MAX).
    pub(super) found: Vec<[(f32, u32); K]>,
}

const UNUSED: (f32, u32) = (f32::NEG_INFINITY, u32::MAX);

impl<const K: usize> Best<K> {
    /// Nothing found yet, with these marks to reach.
    pub(super) fn new(least: Vec<f32>) -> Self {
        Best { found: vec![[UNUSED; K]; least.len()], least }
    }

    /// Takes a candidate for a row into account.
    pub(super) fn offer(&mut self, row: usize, new: (f32, u32)) {
        let found = &mut self.found[row];
        if precedes(new, found[K - 1]) {
            let mut at = K - 1;
            while at > 0 && precedes(new, found[at - 1]) {
                found[at] = found[at - 1];
                at -= 1;
            }
            found[at] = new;
            self.least[row] = self.least[row].max(found[K - 1].0);
        }
    }

    /// Takes over what another block of the same rows has found.
    fn merge(&mut self, other: &Best<K>) {
        for (row, found) in other.found.iter().enumerate() {
            found.iter().take_while(|new| **new != UNUSED).for_each(|new| self.offer(row, *new));
        }
    }
}

/// The order of candidates: larger cosine first, then lower index.
fn precedes(a: (f32, u32), b: (f32, u32)) -> bool {
    match a.0.partial_cmp(&b.0) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => a.1 < b.1,
        _ => false,
    }
}

/// The pass over the blocks.
fn scan<const K: usize>(unit: &UnitRows, sign: Sign) -> Vec<Best<K>> {
    let (n, kernel) = (unit.len(), kernel());
    let blocks = n.div_ceil(BLOCK);
    let rows = Rows { data: unit.values(), n, d: unit.raw.d };
    let (left, right) = (Panels::new(rows, kernel.rows), Panels::new(rows, kernel.columns));
    let block = |at: usize, panels: &Panels| {
        let each = BLOCK / panels.width;
        at * each..((at + 1) * each).min(panels.len())
    };
    // Above minus infinity, which stands for a pair that does not count.
    let best: Vec<Mutex<Best<K>>> = (0..blocks).map(|_| Mutex::new(Best::new(vec![f32::MIN; BLOCK]))).collect();
    let lock = |b: usize| best[b].lock().unwrap_or_else(PoisonError::into_inner);
    let stop = Stop::here();
    upper_tiles(blocks).into_par_iter().filter(|_| !stop.requested()).for_each(|(i, j)| {
        // A task finds beside the marks of its beginning, and hands over at its end: no lock is held while it computes.
        let mut of_rows = Best::<K>::new(lock(i).least.clone());
        let mut of_columns = Best::<K>::new(lock(j).least.clone());
        let mut visit = |row: usize, column: usize, tile: &mut [f32]| {
            if sign == Sign::Abs {
                tile.iter_mut().for_each(|c| *c = c.abs());
            }
            if i == j || row + kernel.rows > n || column + kernel.columns > n {
                hide(tile, row, column, kernel.columns, n);
            }
            let (r, c) = (row - i * BLOCK, column - j * BLOCK);
            let columns = c..c + kernel.columns;
            if !reaches(tile, &of_rows.least[r..r + kernel.rows], &of_columns.least[columns.clone()]) {
                return;
            }
            for (at, values) in tile.chunks_exact(kernel.columns).enumerate() {
                if reaches(values, &of_rows.least[r + at..=r + at], &of_columns.least[columns.clone()]) {
                    for (within, &cos) in values.iter().enumerate() {
                        if cos >= of_rows.least[r + at] {
                            of_rows.offer(r + at, (cos, (column + within) as u32));
                        }
                        if cos >= of_columns.least[c + within] {
                            of_columns.offer(c + within, (cos, (row + at) as u32));
                        }
                    }
                }
            }
        };
        for panel in block(j, &right) {
            // Below the diagonal there is nothing new.
            let rows = block(i, &left);
            let end =
                if i == j { ((panel + 1) * kernel.columns).div_ceil(kernel.rows).min(rows.end) } else { rows.end };
            kernel.tiles((&left, rows.start..end), (&right, panel..panel + 1), &mut visit);
        }
        lock(i).merge(&of_rows);
        lock(j).merge(&of_columns);
    });
    best.into_iter().map(|b| b.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Keeps the entries above the diagonal, each pair once and no row with itself, and none of the padding.
fn hide(tile: &mut [f32], row: usize, column: usize, columns: usize, n: usize) {
    for (at, value) in tile.iter_mut().enumerate() {
        let (row, column) = (row + at / columns, column + at % columns);
        if column <= row || column >= n {
            *value = f32::NEG_INFINITY;
        }
    }
}

wide! {
    /// Whether any entry of some rows of a tile reaches the mark of its row or its column.
    pub(super) fn reaches(tile: &[f32], row_marks: &[f32], column_marks: &[f32]) -> bool {
        let column_marks = column_marks.as_chunks::<16>().0;
        let mut any = [0u32; 16];
        for (row, mark) in tile.as_chunks::<16>().0.chunks_exact(column_marks.len()).zip(row_marks) {
            for (row, marks) in row.iter().zip(column_marks) {
                for l in 0..16 {
                    let mark = if *mark < marks[l] { *mark } else { marks[l] };
                    any[l] |= u32::from(row[l] >= mark);
                }
            }
        }
        any.iter().fold(0, |all, any| all | any) != 0
    }
}
