//! GELU with the exact error function, `x Phi(x)` (Hendrycks and Gimpel 2016), and its gradient. Memory-bound.

use rayon::prelude::*;

use super::elementary::{erf, exp};
use super::simd::wide;

const CHUNK: usize = 1 << 14;
const SQRT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// 1 / sqrt(2 pi)
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

/// `out = x Phi(x)`, with an absolute error below 4e-7 |x|.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| values(x, out));
}

wide! {
    fn values(x: &[f32], out: &mut [f32]) {
        for (o, &x) in out.iter_mut().zip(x) {
            *o = 0.5 * x * (1.0 + erf(x * SQRT_HALF));
        }
    }
}

/// `grad_x = grad_out (Phi(x) + x phi(x))`.
pub fn gelu_gradient(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
    grad_x
        .par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .zip(grad_out.par_chunks(CHUNK))
        .for_each(|((gx, x), go)| slopes(x, go, gx));
}

wide! {
    fn slopes(x: &[f32], grad_out: &[f32], grad_x: &mut [f32]) {
        for ((gx, &x), &go) in grad_x.iter_mut().zip(x).zip(grad_out) {
            let cdf = 0.5 * (1.0 + erf(x * SQRT_HALF));
            *gx = go * (cdf + x * DENSITY_AT_ZERO * exp(-0.5 * x * x));
        }
    }
}
