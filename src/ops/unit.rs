//! The unit rows of a dictionary: norms, directions, and which rows have none.

// Loops over lanes by index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::Rows;
use super::simd::wide;

/// Tiles of the Gram matrix are this many rows high and wide. The bits of a product depend on its shape, so the
/// partition never changes and the last tile is filled up with zero rows.
pub const TILE: usize = 512;

/// The rows of a matrix that have a direction, scaled to length one.
///
/// Rows are numbered twice: by their place in the matrix (`index`), and by their place among the kept ones, which is
/// what every kernel of this room takes and returns. Both orders agree.
#[derive(Debug)]
pub struct UnitRows<'a> {
    /// The matrix itself.
    pub raw: Rows<'a>,
    /// For each kept row its place in the matrix, ascending.
    pub index: Vec<u32>,
    /// For each kept row its length. Squares of f32 neither overflow nor vanish in f64, so this holds at any scale.
    pub norm: Vec<f64>,
    /// The places of the rows that are zero or not finite, ascending.
    pub invalid: Vec<usize>,
    /// The kept rows over their lengths, then zero rows up to a multiple of [`TILE`].
    data: Vec<f32>,
}

impl<'a> UnitRows<'a> {
    /// The unit rows of `raw`. `select` (one flag a row) leaves rows out without calling them invalid. O(n d).
    pub fn new(raw: Rows<'a>, select: Option<&[bool]>) -> Self {
        let norms: Vec<f64> = (0..raw.n).into_par_iter().map(|i| dot(raw.row(i), raw.row(i)).sqrt()).collect();
        let chosen = |i: usize| select.is_none_or(|flags| flags.get(i).copied().unwrap_or(false));
        let valid = |i: usize| norms[i].is_finite() && norms[i] > 0.0;
        let index: Vec<u32> = (0..raw.n).filter(|&i| chosen(i) && valid(i)).map(|i| i as u32).collect();
        let invalid = (0..raw.n).filter(|&i| chosen(i) && !valid(i)).collect();
        let norm: Vec<f64> = index.iter().map(|&i| norms[i as usize]).collect();
        let mut data = vec![0.0f32; index.len().next_multiple_of(TILE) * raw.d];
        data.par_chunks_mut(raw.d.max(1)).zip(index.par_iter().zip(&norm)).for_each(|(out, (&i, &norm))| {
            scale_down(out, raw.row(i as usize), norm);
        });
        UnitRows { raw, index, norm, invalid, data }
    }

    /// How many rows are kept.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many tiles the kept rows fill, the last one padded.
    pub fn tiles(&self) -> usize {
        self.len().div_ceil(TILE)
    }

    /// The kept rows over their lengths, row-major.
    pub fn values(&self) -> &[f32] {
        &self.data[..self.len() * self.raw.d]
    }

    /// Tile `b`: [`TILE`] unit rows, row-major.
    pub fn tile(&self, b: usize) -> &[f32] {
        &self.data[b * TILE * self.raw.d..(b + 1) * TILE * self.raw.d]
    }

    /// How many rows of tile `b` are real.
    pub fn tile_len(&self, b: usize) -> usize {
        TILE.min(self.len() - b * TILE)
    }

    /// The values of kept row `k` before scaling.
    pub fn raw_row(&self, k: usize) -> &'a [f32] {
        self.raw.row(self.index[k] as usize)
    }

    /// The cosine of kept rows `a` and `b` in f64, from the unscaled values, and within [-1, 1].
    pub fn cos(&self, a: usize, b: usize) -> f64 {
        self.cos_with(a, self, b)
    }

    /// The cosine of kept row `a` and kept row `b` of another matrix, as [`UnitRows::cos`].
    pub fn cos_with(&self, a: usize, other: &UnitRows, b: usize) -> f64 {
        (dot(self.raw_row(a), other.raw_row(b)) / (self.norm[a] * other.norm[b])).clamp(-1.0, 1.0)
    }

    /// Adds `weight` times unit row `k`, in f64.
    pub fn add_to(&self, k: usize, weight: f64, out: &mut [f64]) {
        add_scaled(out, weight / self.norm[k], self.raw_row(k));
    }

    /// The sum of the unit rows, length d: in row order within fixed blocks, then over the blocks in order.
    pub fn sum(&self) -> Vec<f64> {
        let order: Vec<usize> = (0..self.len()).collect();
        let parts: Vec<Vec<f64>> = order
            .par_chunks(TILE)
            .map(|rows| {
                let mut part = vec![0.0; self.raw.d];
                rows.iter().for_each(|&k| self.add_to(k, 1.0, &mut part));
                part
            })
            .collect();
        let mut sum = vec![0.0; self.raw.d];
        for part in &parts {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        sum
    }
}

wide! {
    /// The inner product of two f32 rows in f64: eight running sums, added in a fixed order, so it is symmetric to the bit.
    pub fn dot(a: &[f32], b: &[f32]) -> f64 {
        let mut sums = [0.0f64; 8];
        let (a_body, a_tail) = a.as_chunks::<8>();
        let (b_body, b_tail) = b.as_chunks::<8>();
        let tail: f64 = a_tail.iter().zip(b_tail).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        for (x, y) in a_body.iter().zip(b_body) {
            for l in 0..8 {
                sums[l] += f64::from(x[l]) * f64::from(y[l]);
            }
        }
        sums.iter().sum::<f64>() + tail
    }
}

wide! {
    /// `out += scale * row`, in f64.
    fn add_scaled(out: &mut [f64], scale: f64, row: &[f32]) {
        for (o, x) in out.iter_mut().zip(row) {
            *o += scale * f64::from(*x);
        }
    }
}

wide! {
    /// `out = row / norm`, in f64 and rounded once.
    fn scale_down(out: &mut [f32], row: &[f32], norm: f64) {
        for (o, x) in out.iter_mut().zip(row) {
            *o = (f64::from(*x) / norm) as f32;
        }
    }
}
