//! Layer normalization over the last dimension (Ba et al. 2016), biased variance, as PyTorch's `F.layer_norm`.

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::Rows;
use super::simd::{dot_lanes, sum_lanes, wide};

/// What LayerNorm adds to the variance in training, and nearly everywhere else.
pub const EPSILON: f32 = 1e-5;

/// Rows whose gradients of weight and bias are summed in one task: fixed, so that bits do not depend on the thread count.
const CHUNK: usize = 256;

/// Mean, and one over the standard deviation.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let d = row.len() as f32;
    let mean = sum_lanes(row, |x| x) / d;
    let variance = sum_lanes(row, |x| (x - mean) * (x - mean)) / d;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// `out = (x - mean) / sqrt(var + epsilon) * weight + bias`, row by row.
pub fn layer_norm(x: Rows<'_>, weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    let d = x.d;
    out.par_chunks_mut(CHUNK * d).zip(x.data.par_chunks(CHUNK * d)).for_each(|(out, x)| {
        out.chunks_exact_mut(d)
            .zip(x.chunks_exact(d))
            .for_each(|(out, row)| normalize(row, weight, bias, epsilon, out));
    });
}

wide! {
    fn normalize(row: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
        let (mean, scale) = moments(row, epsilon);
        for (((o, x), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
            *o = (x - mean) * scale * w + b;
        }
    }
}

/// Gradients of [`layer_norm`] with [`EPSILON`]: returns `(grad_x [n, d], grad_weight [d], grad_bias [d])`.
pub fn layer_norm_gradient(x: Rows<'_>, weight: &[f32], grad_out: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let d = x.d;
    let mut grad_x = vec![0.0; x.n * d];
    let partial: Vec<(Vec<f32>, Vec<f32>)> = grad_x
        .par_chunks_mut(CHUNK * d)
        .zip(x.data.par_chunks(CHUNK * d))
        .zip(grad_out.par_chunks(CHUNK * d))
        .map(|((gx, x), go)| {
            let (mut grad_weight, mut grad_bias) = (vec![0.0; d], vec![0.0; d]);
            let mut normalized = vec![0.0; d];
            for ((gx, row), go) in gx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(go.chunks_exact(d)) {
                row_gradient(row, weight, go, gx, &mut normalized, &mut grad_weight, &mut grad_bias);
            }
            (grad_weight, grad_bias)
        })
        .collect();
    let (mut grad_weight, mut grad_bias) = (vec![0.0; d], vec![0.0; d]);
    for (w, b) in &partial {
        grad_weight.iter_mut().zip(w).for_each(|(sum, w)| *sum += w);
        grad_bias.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
    }
    (grad_x, grad_weight, grad_bias)
}

wide! {
    /// One row: sets `grad_x`, adds to the gradients of weight and bias; `normalized` is room for a row.
    fn row_gradient(
        row: &[f32],
        weight: &[f32],
        grad_out: &[f32],
        grad_x: &mut [f32],
        normalized: &mut [f32],
        grad_weight: &mut [f32],
        grad_bias: &mut [f32],
    ) {
        let d = row.len();
        let (weight, grad_out, grad_x) = (&weight[..d], &grad_out[..d], &mut grad_x[..d]);
        let (normalized, grad_weight, grad_bias) = (&mut normalized[..d], &mut grad_weight[..d], &mut grad_bias[..d]);
        let (mean, scale) = moments(row, EPSILON);
        for i in 0..d {
            normalized[i] = (row[i] - mean) * scale;
            grad_x[i] = grad_out[i] * weight[i];
            grad_weight[i] += grad_out[i] * normalized[i];
            grad_bias[i] += grad_out[i];
        }
        let mean_up = sum_lanes(grad_x, |x| x) / d as f32;
        let along = dot_lanes(grad_x, normalized) / d as f32;
        for i in 0..d {
            grad_x[i] = scale * (grad_x[i] - mean_up - normalized[i] * along);
        }
    }
}
