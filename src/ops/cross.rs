//! Cross-products Xᵀ Y of centered rows, in f64.

use rayon::prelude::*;

use super::Rows;

/// Rows that are taken into the product at once. The bits depend on it, so it never changes.
const ROWS: usize = 512;
/// Columns of X that one task computes.
const COLUMNS: usize = 128;

/// Some rows of a matrix, less a vector.
#[derive(Debug, Clone, Copy)]
pub struct Centered<'a> {
    /// The matrix.
    pub rows: Rows<'a>,
    /// The places of the rows that count.
    pub keep: &'a [usize],
    /// What is taken from each, of a row's length.
    pub center: &'a [f64],
}

impl Centered<'_> {
    /// The mean of the rows that count, before anything is taken from them; zeros when there are none.
    pub fn mean(rows: Rows, keep: &[usize]) -> Vec<f64> {
        let mut mean = vec![0.0; rows.d];
        for &i in keep {
            mean.iter_mut().zip(rows.row(i)).for_each(|(m, x)| *m += f64::from(*x));
        }
        mean.iter_mut().for_each(|m| *m /= keep.len().max(1) as f64);
        mean
    }

    /// Block after block of rows, `[up to 512, d]`, with the number of the first.
    pub fn blocks(&self) -> impl Iterator<Item = Vec<f64>> {
        let block = |keep: &[usize]| {
            keep.iter()
                .flat_map(|&i| self.rows.row(i).iter().zip(self.center).map(|(x, c)| f64::from(*x) - c))
                .collect()
        };
        self.keep.chunks(ROWS).map(block)
    }
}

/// `Xᵀ Y`, row-major `[x.d, y.d]`: n d_x d_y multiply-adds. X and Y have equally many rows that count.
///
/// Rows are taken in fixed blocks and each task owns fixed columns of X, so threads change no bit.
pub fn cross(x: &Centered, y: &Centered) -> Vec<f64> {
    assert_eq!(x.keep.len(), y.keep.len(), "rows that are not paired");
    let (dx, dy) = (x.rows.d, y.rows.d);
    let mut out = vec![0.0; dx * dy];
    for (left, right) in x.blocks().zip(y.blocks()) {
        let n = left.len() / dx.max(1);
        out.par_chunks_mut((COLUMNS * dy).max(1)).enumerate().for_each(|(task, out)| {
            let from = View { data: &left[task * COLUMNS..], rows: out.len() / dy, cols: n, strides: (1, dx) };
            matmul(out, dy, 1.0, from, View { data: &right, rows: n, cols: dy, strides: (dy, 1) }, false);
        });
    }
    out
}

/// A strided f64 matrix: `data[i * strides.0 + j * strides.1]`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub data: &'a [f64],
    pub rows: usize,
    pub cols: usize,
    pub strides: (usize, usize),
}

/// `out = keep * out + a b`, row-major with `b.cols` columns, in f64.
pub(super) fn matmul(out: &mut [f64], columns: usize, keep: f64, a: View, b: View, threads: bool) {
    assert!(a.cols == b.rows && b.cols == columns && out.len() == a.rows * columns, "shapes of a product");
    if out.is_empty() || a.cols == 0 {
        return;
    }
    let last = |v: &View| (v.rows - 1) * v.strides.0 + (v.cols - 1) * v.strides.1;
    assert!(last(&a) < a.data.len() && last(&b) < b.data.len(), "a view past the end of its data");
    let threads = match threads {
        true => gemm::Parallelism::Rayon(rayon::current_num_threads()),
        false => gemm::Parallelism::None,
    };
    // SAFETY: the assertions above keep every access inside its slice, and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            columns as isize,
            keep != 0.0,
            a.data.as_ptr(),
            a.strides.1 as isize,
            a.strides.0 as isize,
            b.data.as_ptr(),
            b.strides.1 as isize,
            b.strides.0 as isize,
            keep,
            1.0f64,
            false,
            false,
            false,
            threads,
        );
    }
}

/// The squared Frobenius norm of `X R - Y`, R row-major `[x.d, y.d]`.
pub fn misfit(x: &Centered, r: &[f64], y: &Centered) -> f64 {
    let (dx, dy) = (x.rows.d, y.rows.d);
    let blocks = x.blocks().zip(y.blocks()).map(|(x, y)| {
        let n = x.len() / dx.max(1);
        let mut out: Vec<f64> = y.iter().map(|y| -y).collect();
        let x = View { data: &x, rows: n, cols: dx, strides: (dx, 1) };
        matmul(&mut out, dy, 1.0, x, View { data: r, rows: dx, cols: dy, strides: (dy, 1) }, true);
        out.iter().map(|e| e * e).sum::<f64>()
    });
    blocks.sum()
}

/// [`cross`] the slow, obvious way.
pub fn cross_reference(x: &Centered, y: &Centered) -> Vec<f64> {
    let mut out = vec![0.0; x.rows.d * y.rows.d];
    for (&i, &j) in x.keep.iter().zip(y.keep) {
        for (a, (xa, ca)) in x.rows.row(i).iter().zip(x.center).enumerate() {
            for (b, (yb, cb)) in y.rows.row(j).iter().zip(y.center).enumerate() {
                out[a * y.rows.d + b] += (f64::from(*xa) - ca) * (f64::from(*yb) - cb);
            }
        }
    }
    out
}
