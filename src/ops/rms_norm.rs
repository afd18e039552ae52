//! Root mean square normalization over the last dimension (Zhang and Sennrich 2019). Memory-bound.

use super::Rows;
use super::simd::{sum_lanes, wide};

/// `out = x / sqrt(mean(x²) + epsilon) * weight`, row by row, on the calling thread.
pub fn rms_norm(x: Rows<'_>, weight: &[f32], epsilon: f32, out: &mut [f32]) {
    out.chunks_exact_mut(x.d).zip(x.data.chunks_exact(x.d)).for_each(|(out, row)| normalize(row, weight, epsilon, out));
}

wide! {
    fn normalize(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        let scale = 1.0 / (sum_lanes(row, |x| x * x) / row.len() as f32 + epsilon).sqrt();
        for ((o, x), w) in out.iter_mut().zip(row).zip(weight) {
            *o = x * scale * w;
        }
    }
}

/// The obvious reference, in f64.
pub fn rms_norm_reference(row: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let square = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / row.len() as f64;
    let scale = 1.0 / (square + f64::from(epsilon)).sqrt();
    row.iter().zip(weight).map(|(x, w)| (f64::from(*x) * scale * f64::from(*w)) as f32).collect()
}
