//! The pair of different rows whose inner product, of the rows as they are, is largest in absolute value.
//!
//! Cost: n^2 d / 2 multiply-adds and n^2 / 2 comparisons; memory a tile a thread.

use rayon::prelude::*;

use super::gram::{tile_product, upper_tiles, with_tile};
use super::simd::wide;
use super::unit::{TILE, UnitRows};
use crate::progress::Stop;

/// The kept rows (i, j), i < j, of the largest |w_i . w_j|; of equal ones the first. `None` for fewer than two rows. The choice is
/// made from f32 cosines.
pub fn most_coherent(unit: &UnitRows) -> Option<(usize, usize)> {
    let stop = Stop::here();
    let tiles: Vec<(f64, usize, usize)> = upper_tiles(unit.tiles())
        .into_par_iter()
        .map(|(a, b)| {
            if stop.requested() {
                return (-1.0, 0, 0);
            }
            with_tile(|cos| {
                tile_product(unit, a, b, cos);
                let mut best = (-1.0, 0, 0);
                for r in 0..unit.tile_len(a) {
                    // On the diagonal each pair counts once, and no row with itself.
                    let from = if a == b { r + 1 } else { 0 };
                    let (i, j) = (a * TILE + r, b * TILE + from);
                    let (cos, norms) = (&cos[r * TILE + from..r * TILE + unit.tile_len(b)], &unit.norm[j..]);
                    if unit.norm[i] * largest_product(cos, norms) > best.0 {
                        for (column, (c, norm)) in cos.iter().zip(norms).enumerate() {
                            let product = unit.norm[i] * (f64::from(c.abs()) * norm);
                            if product > best.0 {
                                best = (product, i, j + column);
                            }
                        }
                    }
                }
                best
            })
        })
        .collect();
    let first = |best: (f64, usize, usize), new: (f64, usize, usize)| {
        if new.0 > best.0 || (new.0 == best.0 && (new.1, new.2) < (best.1, best.2)) { new } else { best }
    };
    let best = tiles.into_iter().fold((-1.0, 0, 0), first);
    (best.0 >= 0.0).then_some((best.1, best.2))
}

/// [`most_coherent`] the slow, obvious way, in f64.
pub fn most_coherent_reference(unit: &UnitRows) -> Option<(usize, usize)> {
    let mut best = None;
    let mut most = -1.0;
    for i in 0..unit.len() {
        for j in i + 1..unit.len() {
            let product = unit.cos(i, j).abs() * unit.norm[i] * unit.norm[j];
            if product > most {
                (most, best) = (product, Some((i, j)));
            }
        }
    }
    best
}

wide! {
    /// The largest |cosine| times norm.
    fn largest_product(cos: &[f32], norms: &[f64]) -> f64 {
        cos.iter().zip(norms).fold(0.0, |most, (c, norm)| {
            let product = f64::from(c.abs()) * norm;
            if product > most { product } else { most }
        })
    }
}
