//! Layer normalization over the last dimension (Ba et al. 2016), biased variance, as PyTorch's `F.layer_norm`.

use rayon::prelude::*;

use super::Rows;

/// What LayerNorm adds to the variance.
pub const EPSILON: f32 = 1e-5;

/// Rows whose gradients of weight and bias are summed in one task: fixed, so that bits do not depend on the thread count.
const CHUNK: usize = 256;

fn moments(row: &[f32]) -> (f32, f32) {
    let d = row.len() as f32;
    let mean = row.iter().sum::<f32>() / d;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / d;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

/// `out = (x - mean) / sqrt(var + eps) * weight + bias`, row by row.
pub fn layer_norm(x: Rows<'_>, weight: &[f32], bias: &[f32], out: &mut [f32]) {
    out.par_chunks_mut(CHUNK * x.d).zip(x.data.par_chunks(CHUNK * x.d)).for_each(|(out, x_rows)| {
        for (out, row) in out.chunks_exact_mut(x.d).zip(x_rows.chunks_exact(x.d)) {
            let (mean, scale) = moments(row);
            for (((o, x), w), b) in out.iter_mut().zip(row).zip(weight).zip(bias) {
                *o = (x - mean) * scale * w + b;
            }
        }
    });
}

/// Gradients of [`layer_norm`]: returns `(grad_x [n, d], grad_weight [d], grad_bias [d])`.
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
            let mut upstream = vec![0.0; d];
            for ((gx, row), go) in gx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(go.chunks_exact(d)) {
                let (mean, scale) = moments(row);
                for i in 0..d {
                    normalized[i] = (row[i] - mean) * scale;
                    upstream[i] = go[i] * weight[i];
                    grad_weight[i] += go[i] * normalized[i];
                    grad_bias[i] += go[i];
                }
                let mean_up = upstream.iter().sum::<f32>() / d as f32;
                let along = upstream.iter().zip(&normalized).map(|(u, n)| u * n).sum::<f32>() / d as f32;
                for i in 0..d {
                    gx[i] = scale * (upstream[i] - mean_up - normalized[i] * along);
                }
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
