//! The Gram matrix of unit rows, one tile at a time: it is never held whole.
//!
//! Cost of all tiles i <= j: about n^2 d / 2 multiply-adds, and one tile of 1 MiB a thread. The list of tiles is fixed
//! and every tile has the same shape, so a tile's bits depend on its rows alone, never on threads or on n.

use std::cell::RefCell;

use rayon::prelude::*;

use super::matmul::{Threads, View, matmul};
use super::simd::{add_scaled, wide};
use super::unit::{TILE, UnitRows};
use crate::progress::Stop;

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

/// Below this share of pairs that weigh anything, a tile's rows are summed one by one: faster than a product.
const FEW: f64 = 1.0 / 32.0;

/// Visits every pair of different rows from both sides, tile by tile: a task has the rows of one tile and a state of its own, and
/// goes through the columns in order, so no result depends on threads. `start(b)` makes the state of row tile b, `visit(state, i, j,
/// cosines)` gets those of row i with rows j, j + 1, .., never with itself, and `leave(state, b, tile)` what it left of them, with
/// zeros on the diagonal and for padding. Returns the states in order.
///
/// Cost: n^2 d multiply-adds, twice those of the upper tiles, for which a row needs nothing but its own state.
pub(super) fn visit_rows<S: Send>(
    unit: &UnitRows,
    start: impl Fn(usize) -> S + Sync,
    visit: impl Fn(&mut S, usize, usize, &mut [f32]) + Sync,
    leave: impl Fn(&mut S, usize, &[f32]) + Sync,
) -> Vec<S> {
    let stop = Stop::here();
    let work = |b: usize| {
        let mut state = start(b);
        with_tile(|cos| {
            for j in (0..unit.tiles()).take_while(|_| !stop.requested()) {
                tile_product(unit, b, j, cos);
                for r in 0..unit.tile_len(b) {
                    let line = &mut cos[r * TILE..r * TILE + unit.tile_len(j)];
                    let (row, column) = (b * TILE + r, j * TILE);
                    if b == j {
                        line[r] = 0.0;
                        visit(&mut state, row, column, &mut line[..r]);
                        visit(&mut state, row, column + r + 1, &mut line[r + 1..]);
                    } else {
                        visit(&mut state, row, column, line);
                    }
                }
                leave(&mut state, j, cos);
            }
        });
        state
    };
    (0..unit.tiles()).into_par_iter().map(work).collect()
}

/// For each row i the vector sum over j != i of weight_ij u_j, `[n, d]` in f32, and the sum of what `weigh` returns: it gets what
/// [`visit_rows`] gives and writes weights in place of cosines; a tile with few weights but 0 is cheaper. Without `pull` there are no vectors.
pub(super) fn weighted_sums(
    unit: &UnitRows,
    pull: bool,
    weigh: impl Fn(usize, usize, &mut [f32]) -> f64 + Sync,
) -> (Vec<f32>, f64) {
    let d = unit.raw.d;
    let blocks = visit_rows(
        unit,
        |_| (vec![0.0f32; if pull { TILE * d } else { 0 }], 0.0),
        |(_, sum), i, j, cos| *sum += weigh(i, j, cos),
        |(out, _), j, weights| {
            if !pull {
                return;
            }
            let some = count_nonzero(weights);
            if some as f64 > FEW * weights.len() as f64 {
                add_weighted_tile(unit, weights, j, out);
            } else if some > 0 {
                let others = unit.tile(j);
                for (out, weights) in out.chunks_exact_mut(d.max(1)).zip(weights.chunks_exact(TILE)) {
                    let close = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
                    close.for_each(|(column, weight)| add_scaled(out, *weight, &others[column * d..(column + 1) * d]));
                }
            }
        },
    );
    let mut all = Vec::new();
    let mut total = 0.0;
    for (rows, sum) in blocks {
        all.extend(rows);
        total += sum;
    }
    all.truncate(unit.len() * d);
    (all, total)
}

wide! {
    fn count_nonzero(values: &[f32]) -> usize {
        values.iter().map(|value| u32::from(*value != 0.0)).sum::<u32>() as usize
    }
}
