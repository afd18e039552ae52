//! The Gram matrix of unit rows, one tile at a time: it is never held whole.
//!
//! Cost of all tiles i <= j: about n^2 d / 2 multiply-adds, and one tile of 1 MiB a thread. The list of tiles is fixed
//! and every tile has the same shape, so a tile's bits depend on its rows alone, never on threads or on n.

use std::cell::RefCell;

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
    let (left, right) = (unit.tile(i), unit.tile(j));
    assert_eq!(out.len(), TILE * TILE);
    // SAFETY: `out` holds TILE x TILE values with strides (1, TILE); a tile holds TILE x d values, read with strides
    // (1, d), and by the right factor transposed.
    unsafe {
        gemm::gemm(
            TILE,
            TILE,
            d,
            out.as_mut_ptr(),
            1,
            TILE as isize,
            false,
            left.as_ptr(),
            1,
            d as isize,
            right.as_ptr(),
            d as isize,
            1,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `out += weights * tile`: adds to each of the TILE rows of `out` (length d) the rows of tile `j`, weighted.
pub(super) fn add_weighted_tile(unit: &UnitRows, weights: &[f32], j: usize, out: &mut [f32]) {
    let d = unit.raw.d;
    let right = unit.tile(j);
    assert!(weights.len() == TILE * TILE && out.len() == TILE * d);
    // SAFETY: `weights` holds TILE x TILE values with strides (1, TILE), the tile and `out` TILE x d with strides (1, d).
    unsafe {
        gemm::gemm(
            TILE,
            d,
            TILE,
            out.as_mut_ptr(),
            1,
            d as isize,
            true,
            weights.as_ptr(),
            1,
            TILE as isize,
            right.as_ptr(),
            1,
            d as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
