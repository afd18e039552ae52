//! Nearest neighbors among unit rows by cosine, from tiles of the Gram matrix.
//!
//! Each tile on or above the diagonal serves its rows and its columns. A row keeps its best few candidates in the order
//! (larger cosine, lower index); a candidate below the worst one kept can never come back, so the order in which threads
//! finish tiles changes nothing. The scan takes the maximum of a stretch first (SIMD) and looks inside only when that
//! reaches the worst candidate kept: about log n times a row.
//!
//! Cost: n^2 d / 2 multiply-adds and n^2 comparisons; memory O(n) beside the unit rows and a tile a thread.

use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::Sign;
use super::gram::{tile_product, upper_tiles, with_tile};
use super::unit::{TILE, UnitRows};

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
const F32_TIE: f32 = 2e-6;
/// How many candidates a row keeps where ties are settled.
const CANDIDATES: usize = 4;
/// Stretch of a row that is scanned at once.
const STRETCH: usize = 64;
/// Rows whose columns are scanned at once.
const LAYER: usize = 16;

/// Each row's nearest neighbor, in row order; empty when there are fewer than two rows.
///
/// For training: the choice is made in f32 (on near ties either neighbor may win, always the same one), the cosine is f64.
pub fn nearest(unit: &UnitRows, sign: Sign) -> Vec<Nearest> {
    if unit.len() < 2 {
        return Vec::new();
    }
    let best = scan::<1>(unit, sign);
    (0..unit.len())
        .into_par_iter()
        .map(|i| {
            let index = best[i / TILE].found[i % TILE][0].1 as usize;
            Nearest { index, cos: unit.cos(i, index) }
        })
        .collect()
}

/// Each row's two nearest neighbors, in row order; empty when there are fewer than two rows.
///
/// Exact: cosines are f64, near ties of the f32 pass are settled there, and a row with more near ties than kept
/// candidates is gone through whole (so data full of ties costs up to n^2 d more).
pub fn nearest_two(unit: &UnitRows, sign: Sign) -> Vec<NearestTwo> {
    if unit.len() < 2 {
        return Vec::new();
    }
    let best = scan::<CANDIDATES>(unit, sign);
    (0..unit.len())
        .into_par_iter()
        .map(|i| {
            let found = &best[i / TILE].found[i % TILE];
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

/// The best candidates of one tile's rows.
struct Best<const K: usize> {
    /// The worst cosine kept, a row.
    least: Vec<f32>,
    /// (cosine, kept row) in falling order, a row; unused places hold (-inf, u32::MAX).
    found: Vec<[(f32, u32); K]>,
}

impl<const K: usize> Best<K> {
    fn new(rows: usize) -> Self {
        Best { least: vec![f32::NEG_INFINITY; rows], found: vec![[(f32::NEG_INFINITY, u32::MAX); K]; rows] }
    }

    fn offer(&mut self, row: usize, cos: f32, index: usize) {
        let found = &mut self.found[row];
        let new = (cos, index as u32);
        if precedes(new, found[K - 1]) {
            let mut at = K - 1;
            while at > 0 && precedes(new, found[at - 1]) {
                found[at] = found[at - 1];
                at -= 1;
            }
            found[at] = new;
            self.least[row] = found[K - 1].0;
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

/// The pass over the tiles.
fn scan<const K: usize>(unit: &UnitRows, sign: Sign) -> Vec<Best<K>> {
    let tiles = unit.tiles();
    let best: Vec<Mutex<Best<K>>> = (0..tiles).map(|b| Mutex::new(Best::new(unit.tile_len(b)))).collect();
    upper_tiles(tiles).into_par_iter().for_each(|(i, j)| {
        with_tile(|cos| {
            tile_product(unit, i, j, cos);
            if sign == Sign::Abs {
                cos.iter_mut().for_each(|c| *c = c.abs());
            }
            if i == j {
                (0..TILE).for_each(|r| cos[r * TILE + r] = f32::NEG_INFINITY);
            }
            let (rows, columns) = (unit.tile_len(i), unit.tile_len(j));
            scan_rows(cos, columns, j * TILE, &mut best[i].lock().unwrap_or_else(PoisonError::into_inner));
            if i != j {
                scan_columns(cos, rows, i * TILE, &mut best[j].lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
    });
    best.into_iter().map(|b| b.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// Offers to each row of the tile its columns; column 0 is kept row `offset`.
fn scan_rows<const K: usize>(cos: &[f32], columns: usize, offset: usize, best: &mut Best<K>) {
    for row in 0..best.least.len() {
        let line = &cos[row * TILE..row * TILE + columns];
        for (s, stretch) in line.chunks(STRETCH).enumerate() {
            if maximum(stretch) >= best.least[row] {
                for (c, &value) in stretch.iter().enumerate() {
                    if value >= best.least[row] {
                        best.offer(row, value, offset + s * STRETCH + c);
                    }
                }
            }
        }
    }
}

/// Offers to each column of the tile its rows; row 0 is kept row `offset`.
fn scan_columns<const K: usize>(cos: &[f32], rows: usize, offset: usize, best: &mut Best<K>) {
    let columns = best.least.len();
    let mut most = [0.0f32; TILE];
    for from in (0..rows).step_by(LAYER) {
        let layer = &cos[from * TILE..rows.min(from + LAYER) * TILE];
        most.copy_from_slice(&layer[..TILE]);
        for line in layer.chunks_exact(TILE).skip(1) {
            for (m, &value) in most.iter_mut().zip(line) {
                *m = if value > *m { value } else { *m };
            }
        }
        for (column, &top) in most[..columns].iter().enumerate() {
            if top >= best.least[column] {
                for (r, line) in layer.chunks_exact(TILE).enumerate() {
                    if line[column] >= best.least[column] {
                        best.offer(column, line[column], offset + from + r);
                    }
                }
            }
        }
    }
}

/// The largest of some finite values, in sixteen lanes.
fn maximum(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let body = values.chunks_exact(16);
    let tail = body.remainder();
    for chunk in body {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(tail).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}
