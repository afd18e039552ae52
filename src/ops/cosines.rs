//! The whole matrix of cosines between the rows of two matrices, for an exact matching; everything else goes by tiles.
//!
//! Cost: n_a n_b d multiply-adds, and 4 n_a n_b bytes.

use rayon::prelude::*;

use super::kernel::kernel;
use super::nearest::BLOCK;
use super::panels::Panels;
use super::unit::UnitRows;
use super::{Rows, Sign};

/// The cosines of the kept rows of `a` with those of `b`, `[a.len(), b.len()]`, as `sign` counts them, in f32.
///
/// # Panics
/// When the rows are not equally long.
pub fn cosines(a: &UnitRows, b: &UnitRows, sign: Sign) -> Vec<f32> {
    assert_eq!(a.raw.d, b.raw.d, "rows of two lengths");
    let mut out = vec![0.0; a.len() * b.len()];
    if out.is_empty() {
        return out;
    }
    let (kernel, d, n) = (kernel(), a.raw.d, b.len());
    let right = Panels::new(Rows { data: b.values(), n, d }, kernel.columns);
    out.par_chunks_mut(BLOCK * n).zip(a.values().par_chunks(BLOCK * d)).for_each(|(out, rows)| {
        let real = out.len() / n;
        let left = Panels::new(Rows { data: rows, n: real, d }, kernel.rows);
        kernel.tiles((&left, 0..left.len()), (&right, 0..right.len()), |row, column, tile| {
            if sign == Sign::Abs {
                tile.iter_mut().for_each(|c| *c = c.abs());
            }
            let width = kernel.columns.min(n - column);
            for (r, cosines) in tile.chunks_exact(kernel.columns).take(real - row).enumerate() {
                out[(row + r) * n + column..][..width].copy_from_slice(&cosines[..width]);
            }
        });
    });
    out
}

/// [`cosines`] the slow, obvious way, in f64.
pub fn cosines_reference(a: &UnitRows, b: &UnitRows, sign: Sign) -> Vec<f64> {
    (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| sign.of(a.cos_with(i, b, j)))).collect()
}
