//! For each row of one matrix its best match among the rows of another, by cosine, from tiles of their product.
//!
//! As [`super::nearest`], without symmetry: a task takes some rows through all rows of the other matrix, and a tile is gone through only
//! when one of its entries reaches the worst candidate that its row keeps.
//!
//! Cost: n_a n_b d multiply-adds at the rate of [`super::kernel`]; memory O(n_a + n_b) beside the unit rows and their panels.

use rayon::prelude::*;

use super::kernel::kernel;
use super::nearest::{BLOCK, Best, CANDIDATES, EXACT_TIE, F32_TIE, Nearest, reaches};
use super::panels::Panels;
use super::unit::UnitRows;
use super::{Rows, Sign};

/// For each kept row of `a` the kept row of `b` with the largest cosine; empty when `b` is.
///
/// Exact: near ties of the f32 pass are settled in f64 from the raw rows, and a row with more near ties than kept candidates is gone
/// through whole. On ties (within [`EXACT_TIE`]) the lowest index wins.
///
/// # Panics
/// When the rows are not equally long.
pub fn best_match(a: &UnitRows, b: &UnitRows, sign: Sign) -> Vec<Nearest> {
    assert_eq!(a.raw.d, b.raw.d, "rows of two lengths");
    if b.is_empty() {
        return Vec::new();
    }
    let kernel = kernel();
    let panels =
        |unit: &UnitRows, width: usize| Panels::new(Rows { data: unit.values(), n: unit.len(), d: unit.raw.d }, width);
    let (left, right) = (panels(a, kernel.rows), panels(b, kernel.columns));
    let (each, everything) = (BLOCK / kernel.rows, vec![f32::INFINITY; kernel.columns]);
    let matches = (0..a.len().div_ceil(BLOCK)).into_par_iter().flat_map_iter(|block| {
        let mut best = Best::<CANDIDATES>::new(vec![f32::MIN; BLOCK]);
        let rows = block * each..((block + 1) * each).min(left.len());
        kernel.tiles((&left, rows), (&right, 0..right.len()), |row, column, tile| {
            if sign == Sign::Abs {
                tile.iter_mut().for_each(|c| *c = c.abs());
            }
            let within = row - block * BLOCK;
            if !reaches(tile, &best.least[within..within + kernel.rows], &everything) {
                return;
            }
            // The padding's zeros are no cosines.
            let real = kernel.columns.min(b.len() - column);
            for (r, cosines) in tile.chunks_exact(kernel.columns).enumerate() {
                for (c, &cos) in cosines[..real].iter().enumerate() {
                    if cos >= best.least[within + r] {
                        best.offer(within + r, (cos, (column + c) as u32));
                    }
                }
            }
        });
        let real = BLOCK.min(a.len() - block * BLOCK);
        (0..real).map(move |r| settle(a, b, sign, block * BLOCK + r, &best.found[r])).collect::<Vec<_>>()
    });
    matches.collect()
}

/// The best of a row's candidates, in f64.
fn settle(a: &UnitRows, b: &UnitRows, sign: Sign, i: usize, found: &[(f32, u32); CANDIDATES]) -> Nearest {
    if b.len() > CANDIDATES && found[CANDIDATES - 1].0 >= found[0].0 - F32_TIE {
        return choose(a, b, sign, i, 0..b.len());
    }
    choose(a, b, sign, i, found.iter().map(|c| c.1 as usize).filter(|&j| j < b.len()))
}

fn choose(a: &UnitRows, b: &UnitRows, sign: Sign, i: usize, candidates: impl Iterator<Item = usize>) -> Nearest {
    let all: Vec<Nearest> = candidates.map(|j| Nearest { index: j, cos: a.cos_with(i, b, j) }).collect();
    let most = all.iter().map(|n| sign.of(n.cos)).fold(f64::NEG_INFINITY, f64::max);
    let tied = all.into_iter().filter(|n| sign.of(n.cos) >= most - EXACT_TIE);
    tied.min_by_key(|n| n.index).unwrap_or(Nearest { index: 0, cos: f64::NAN })
}

/// [`best_match`] the slow, obvious way: every pair in f64.
pub fn best_match_reference(a: &UnitRows, b: &UnitRows, sign: Sign) -> Vec<Nearest> {
    if b.is_empty() {
        return Vec::new();
    }
    (0..a.len()).map(|i| choose(a, b, sign, i, 0..b.len())).collect()
}
