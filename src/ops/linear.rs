//! The affine map `y = x w + b` with `w [d_in, d_out]` (weights on the right, as TransformerLens has them) and its gradients.

use rayon::prelude::*;

use super::Rows;
use super::matmul::{Threads, View, matmul};
use super::simd::add_scaled;

/// `x w + b`: `[n, d_out]`. Cost: `2 n d_in d_out` operations.
pub fn linear(x: Rows<'_>, w: Rows<'_>, b: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.n * w.d];
    out.par_chunks_mut(w.d.max(1)).with_min_len(64).for_each(|row| row.copy_from_slice(b));
    matmul(&mut out, w.d, 1.0, View::new(x.data, x.n, x.d), View::new(w.data, w.n, w.d), Threads::All);
    out
}

/// Gradients of [`linear`]: `(grad_x [n, d_in], grad_w [d_in, d_out], grad_b [d_out])`.
pub fn linear_gradient(x: Rows<'_>, w: Rows<'_>, grad_out: Rows<'_>) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let upstream = View::new(grad_out.data, grad_out.n, grad_out.d);
    let mut grad_x = vec![0.0; x.n * x.d];
    matmul(&mut grad_x, x.d, 0.0, upstream, View::new(w.data, w.n, w.d).t(), Threads::All);
    let mut grad_w = vec![0.0; w.n * w.d];
    matmul(&mut grad_w, w.d, 0.0, View::new(x.data, x.n, x.d).t(), upstream, Threads::All);
    (grad_x, grad_w, column_sums(grad_out))
}

/// The sum of each column. Partial sums over fixed blocks of rows are added in order, so bits do not depend on threads.
pub fn column_sums(x: Rows<'_>) -> Vec<f32> {
    let partial: Vec<Vec<f32>> = x
        .data
        .par_chunks(256 * x.d.max(1))
        .map(|rows| {
            let mut sum = vec![0.0; x.d];
            for row in rows.chunks_exact(x.d) {
                add_scaled(&mut sum, 1.0, row);
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; x.d];
    for sum in &partial {
        total.iter_mut().zip(sum).for_each(|(t, s)| *t += s);
    }
    total
}
