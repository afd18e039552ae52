//! The Gram matrix of unit rows, one tile at a time: it is never held whole.
//!
//! Cost of all tiles i <= j: about n^2 d / 2 multiply-adds, and one tile of 1 MiB a thread. The list of tiles is fixed
//! and every tile has the same shape, so a tile's bits depend on its rows alone, never on threads or on n.

use std::cell::RefCell;

use super::matmul::{Threads, View, matmul};
use super::unit::{TILE, UnitRows};

thread_local! {
    static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's tile of `TILE * TILE` values. `work` must not wait for other rayon tasks.
pub(super) fn with_tile<R>(work: impl FnOnce(&mut [f32]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(TILE * TILE, 0.0);
        work(buffer)
    })
}

/// The tiles on and above the diagonal, as (row tile, column tile), row by row.
pub(super) fn upper_tiles(tiles: usize) -> Vec<(usize, usize)> {
    (0..tiles).flat_map(|i| (i..tiles).map(move |j| (i, j))).collect()
}

/// The cosines between tile `i` (rows of `out`) and tile `j` (columns), row-major; padded rows give zeros.
pub(super) fn tile_product(unit: &UnitRows, i: usize, j: usize, out: &mut [f32]) {
    let d = unit.raw.d;
    let (left, right) = (View::new(unit.tile(i), TILE, d), View::new(unit.tile(j), TILE, d));
    matmul(out, TILE, 0.0, left, right.t(), Threads::One);
}

/// `out += weights * tile`: adds to each of the TILE rows of `out` (length d) the rows of tile `j`, weighted.
pub(super) fn add_weighted_tile(unit: &UnitRows, weights: &[f32], j: usize, out: &mut [f32]) {
    let d = unit.raw.d;
    let (weights, right) = (View::new(weights, TILE, TILE), View::new(unit.tile(j), TILE, d));
    matmul(out, d, 1.0, weights, right, Threads::One);
}
