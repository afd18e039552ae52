//! The affine map `y = x w + b` for inference: weights packed once, products by [`super::kernel`].
//!
//! Cost: `2 n d_in d_out` operations on one thread. [`super::linear`] is the same map for training, with gradients.

use super::Rows;
use super::kernel::kernel;
use super::panels::Panels;

/// Rows that are taken through the weights at once: at 512 values a row, they stay in the second cache.
const BLOCK: usize = 192;

/// Weights `[d_in, d_out]` and biases `[d_out]`, ready for products.
pub struct Affine {
    weights: Panels,
    bias: Vec<f32>,
}

impl Affine {
    /// Packs row-major weights `[d_in, d_out]`.
    pub fn new(w: Rows<'_>, bias: &[f32]) -> Affine {
        Affine { weights: Panels::of_columns(w, kernel().columns), bias: bias.to_vec() }
    }

    /// The width of the output.
    pub fn d_out(&self) -> usize {
        self.bias.len()
    }

    /// `x w + b` for rows `x [n, d_in]`: `[n, d_out]`, on the calling thread. A row's bits depend on that row alone.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        let (kernel, d, d_out) = (kernel(), self.weights.d, self.d_out());
        let mut out = vec![0.0; x.len() / d * d_out];
        for (x, out) in x.chunks(BLOCK * d).zip(out.chunks_mut(BLOCK * d_out)) {
            let n = out.len() / d_out;
            let left = Panels::new(Rows { data: x, n, d }, kernel.rows);
            let all = (0..left.len(), 0..self.weights.len());
            kernel.tiles((&left, all.0), (&self.weights, all.1), |row, column, tile| {
                let bias = &self.bias[column..d_out.min(column + kernel.columns)];
                for (r, sums) in tile.chunks_exact(kernel.columns).take(n - row).enumerate() {
                    let at = (row + r) * d_out + column;
                    for ((o, sum), b) in out[at..at + bias.len()].iter_mut().zip(sums).zip(bias) {
                        *o = sum + b;
                    }
                }
            });
        }
        out
    }
}
