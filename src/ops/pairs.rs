//! Sums over all pairs of unit rows, from tiles of the Gram matrix: the mean absolute cosine, its gradient, the least cosine.

use rayon::prelude::*;

use super::gram::{tile_product, upper_tiles, weighted_sums, with_tile};
use super::unit::{TILE, UnitRows};
use crate::progress::Stop;

/// What [`pairs`] finds over the ordered pairs of different rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pairs {
    /// The sum of |c_ij| over the n (n - 1) ordered pairs.
    pub sum_abs: f64,
    /// The least cosine, with its sign, in f64.
    pub min_cos: f64,
}

/// Sum of absolute cosines and least cosine; `None` when there are fewer than two rows.
///
/// Cost as the nearest-neighbor pass. A tile is summed in f32 by rows of 512, then in f64 and in the order of the tiles.
pub fn pairs(unit: &UnitRows) -> Option<Pairs> {
    if unit.len() < 2 {
        return None;
    }
    let stop = Stop::here();
    let tiles: Vec<(f64, (f32, usize, usize))> = upper_tiles(unit.tiles())
        .into_par_iter()
        .map(|(i, j)| {
            if stop.requested() {
                return (0.0, (f32::INFINITY, 0, 1));
            }
            with_tile(|cos| {
                tile_product(unit, i, j, cos);
                if i == j {
                    (0..TILE).for_each(|r| cos[r * TILE + r] = 0.0);
                }
                let sum: f64 = cos.chunks_exact(TILE).map(sum_abs).sum();
                (if i == j { sum } else { 2.0 * sum }, least(unit, cos, i, j))
            })
        })
        .collect();
    let (mut total, mut min) = (0.0, (f32::INFINITY, 0, 1));
    for (sum, candidate) in tiles {
        total += sum;
        if candidate.0 < min.0 {
            min = candidate;
        }
    }
    Some(Pairs { sum_abs: total, min_cos: unit.cos(min.1, min.2) })
}

/// [`pairs`] the slow, obvious way.
pub fn pairs_reference(unit: &UnitRows) -> Option<Pairs> {
    if unit.len() < 2 {
        return None;
    }
    let mut result = Pairs { sum_abs: 0.0, min_cos: f64::INFINITY };
    for i in 0..unit.len() {
        for j in (0..unit.len()).filter(|&j| j != i) {
            result.sum_abs += unit.cos(i, j).abs();
            result.min_cos = result.min_cos.min(unit.cos(i, j));
        }
    }
    Some(result)
}

/// For each row i the vector sum over j != i of sign(c_ij) u_j, as `[n, d]` in f32, by rows of tiles: n^2 d twice.
pub fn sign_pull(unit: &UnitRows) -> Vec<f32> {
    weighted_sums(unit, true, |_, _, cos| {
        cos.iter_mut().for_each(|c| *c = f32::from(*c > 0.0) - f32::from(*c < 0.0));
        0.0
    })
    .0
}

/// [`sign_pull`] the slow, obvious way, in f64.
pub fn sign_pull_reference(unit: &UnitRows) -> Vec<f64> {
    let d = unit.raw.d;
    let mut out = vec![0.0; unit.len() * d];
    for (i, row) in out.chunks_exact_mut(d.max(1)).enumerate() {
        for j in (0..unit.len()).filter(|&j| j != i) {
            let c = unit.cos(i, j);
            unit.add_to(j, if c == 0.0 { 0.0 } else { c.signum() }, row);
        }
    }
    out
}

/// The least cosine of a tile's pairs, with its rows; of equal ones the first.
fn least(unit: &UnitRows, cos: &[f32], i: usize, j: usize) -> (f32, usize, usize) {
    let mut min = (f32::INFINITY, 0, 1);
    for row in 0..unit.tile_len(i) {
        let line = &cos[row * TILE..row * TILE + unit.tile_len(j)];
        if line.iter().fold(f32::INFINITY, |a, &b| if b < a { b } else { a }) < min.0 {
            for (column, &value) in line.iter().enumerate() {
                if value < min.0 && !(i == j && row == column) {
                    min = (value, i * TILE + row, j * TILE + column);
                }
            }
        }
    }
    min
}

/// The sum of absolute values of one line of a tile, in sixteen lanes.
fn sum_abs(line: &[f32]) -> f64 {
    let mut lanes = [0.0f32; 16];
    for chunk in line.chunks_exact(16) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.abs();
        }
    }
    lanes.iter().map(|&x| f64::from(x)).sum()
}
