//! The pass of [`super::nearest`] over the Gram matrix in 16-bit integers, and the few pairs that it cannot tell apart in f32.
//!
//! An integer product v of two unit rows lies within E of their f32 cosine, both in units of the product. So the K-th largest cosine of a row
//! is at least its K-th largest v less E, and a pair whose v lies more than 2 E below that v is none of the K largest: what is left, one or
//! two pairs a row, is computed in f32. The result is that of the f32 pass to the bit.

// Loops over registers by index are what the compiler unrolls.
#![allow(clippy::needless_range_loop)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::gram::upper_tiles;
use super::nearest::{BLOCK, Best};
use super::screen::{Rounded, Screen, bound, entries};
use super::simd::wide;
use super::unit::UnitRows;
use super::{Rows, Sign};

/// Pairs that a row keeps at most: beyond these it is full of ties, and the f32 pass is faster.
const CROWD: usize = 512;

/// What one block's rows have met.
struct Near<const K: usize> {
    /// The K largest products so far, falling.
    top: Vec<[i32; K]>,
    /// What a product must reach to count.
    mark: Vec<i32>,
    /// The products that did, with the other row.
    pairs: Vec<Vec<(i32, u32)>>,
}

impl<const K: usize> Near<K> {
    /// Nothing met yet, with these marks to reach.
    fn new(mark: Vec<i32>) -> Self {
        Near { top: vec![[i32::MIN; K]; mark.len()], pairs: vec![Vec::new(); mark.len()], mark }
    }

    /// Takes a pair into account; tells whether the row is still free of crowds. `apart` is 2 E.
    fn offer(&mut self, row: usize, (product, other): (i32, u32), apart: i32) -> bool {
        if product < self.mark[row] {
            return true;
        }
        let top = &mut self.top[row];
        if product > top[K - 1] {
            let at = top.iter().position(|x| product > *x).unwrap_or(K - 1);
            top.copy_within(at..K - 1, at + 1);
            top[at] = product;
            self.mark[row] = self.mark[row].max(top[K - 1].saturating_sub(apart));
        }
        let pairs = &mut self.pairs[row];
        if pairs.len() == CROWD {
            let mark = self.mark[row];
            pairs.retain(|(product, _)| *product >= mark);
        }
        pairs.push((product, other));
        pairs.len() <= CROWD
    }
}

/// Each row's best candidates, by blocks of [`BLOCK`] rows; `None` where rows are too long to be rounded, or full of ties.
pub(super) fn screened<const K: usize>(screen: &Screen, unit: &UnitRows, sign: Sign) -> Option<Vec<Best<K>>> {
    let n = unit.len();
    let rows = Rows { data: unit.values(), n, d: unit.raw.d };
    let (left, right) = (Rounded::of_unit(rows, screen.rows)?, Rounded::of_unit(rows, screen.columns)?);
    let (blocks, apart) = (n.div_ceil(BLOCK), 2 * bound(rows.d));
    let block = |at: usize, panels: &Rounded| {
        let each = BLOCK / panels.width;
        at * each..((at + 1) * each).min(panels.len())
    };
    // Above the least, which stands for a pair that does not count.
    let near: Vec<Mutex<Near<K>>> = (0..blocks).map(|_| Mutex::new(Near::new(vec![i32::MIN + 1; BLOCK]))).collect();
    let lock = |b: usize| near[b].lock().unwrap_or_else(PoisonError::into_inner);
    let crowded = AtomicBool::new(false);
    upper_tiles(blocks).into_par_iter().for_each(|(i, j)| {
        if crowded.load(Ordering::Relaxed) {
            return;
        }
        // Two statements: both may be the same block's, and a lock lasts to the end of its statement.
        let mut of_rows = Near::<K>::new(lock(i).mark.clone());
        let mut of_columns = Near::<K>::new(lock(j).mark.clone());
        let mut free = true;
        let mut visit = |row: usize, column: usize, tile: &mut [i32]| {
            if sign == Sign::Abs {
                tile.iter_mut().for_each(|c| *c = c.abs());
            }
            if i == j || row + screen.rows > n || column + screen.columns > n {
                hide(tile, row, column, screen.columns, n);
            }
            let (r, c) = (row - i * BLOCK, column - j * BLOCK);
            if !reaches(tile, &of_rows.mark[r..r + screen.rows], &of_columns.mark[c..c + screen.columns]) {
                return;
            }
            for (at, line) in tile.chunks_exact(screen.columns).enumerate() {
                if reaches(line, &of_rows.mark[r + at..=r + at], &of_columns.mark[c..c + screen.columns]) {
                    for (within, &product) in line.iter().enumerate().filter(|(_, product)| **product > i32::MIN) {
                        free &= of_rows.offer(r + at, (product, (column + within) as u32), apart);
                        free &= of_columns.offer(c + within, (product, (row + at) as u32), apart);
                    }
                }
            }
        };
        for panel in block(j, &right) {
            // Below the diagonal there is nothing new.
            let rows = block(i, &left);
            let end =
                if i == j { ((panel + 1) * screen.columns).div_ceil(screen.rows).min(rows.end) } else { rows.end };
            screen.tiles((&left, rows.start..end), (&right, panel..panel + 1), &mut visit);
        }
        for (at, found) in [(i, of_rows), (j, of_columns)] {
            let mut all = lock(at);
            for (row, pairs) in found.pairs.iter().enumerate() {
                pairs.iter().for_each(|pair| free &= all.offer(row, *pair, apart));
            }
        }
        if !free {
            crowded.store(true, Ordering::Relaxed);
        }
    });
    if crowded.into_inner() {
        return None;
    }
    let near = near.into_par_iter().enumerate();
    Some(
        near.map(|(at, near)| settle(rows, sign, at, &near.into_inner().unwrap_or_else(PoisonError::into_inner)))
            .collect(),
    )
}

/// The best of a block's pairs, in f32.
fn settle<const K: usize>(unit: Rows<'_>, sign: Sign, block: usize, near: &Near<K>) -> Best<K> {
    let mut best = Best::new(vec![f32::MIN; BLOCK]);
    let pairs: Vec<(usize, u32)> = (near.pairs.iter().zip(&near.mark).enumerate())
        .flat_map(|(row, (pairs, mark))| {
            pairs.iter().filter(move |(product, _)| product >= mark).map(move |(_, other)| (row, *other))
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

/// Keeps the entries above the diagonal, each pair once and no row with itself, and none of the padding.
fn hide(tile: &mut [i32], row: usize, column: usize, columns: usize, n: usize) {
    for (at, value) in tile.iter_mut().enumerate() {
        let (row, column) = (row + at / columns, column + at % columns);
        if column <= row || column >= n {
            *value = i32::MIN;
        }
    }
}

wide! {
    /// Whether any entry of some rows of a tile reaches the mark of its row or its column.
    fn reaches(tile: &[i32], row_marks: &[i32], column_marks: &[i32]) -> bool {
        let column_marks = column_marks.as_chunks::<16>().0;
        let mut any = [0u32; 16];
        for (row, mark) in tile.as_chunks::<16>().0.chunks_exact(column_marks.len()).zip(row_marks) {
            for (row, marks) in row.iter().zip(column_marks) {
                for l in 0..16 {
                    any[l] |= u32::from(row[l] >= (*mark).min(marks[l]));
                }
            }
        }
        any.iter().fold(0, |all, any| all | any) != 0
    }
}
