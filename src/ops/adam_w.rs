//! Adam with decoupled weight decay (Loshchilov and Hutter 2017), in place on slices. Memory-bound: 28 bytes a parameter.

use rayon::prelude::*;

use super::simd::wide;

/// What one step needs besides the slices.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Step size.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Which step this is, from 1.
    pub step: u64,
    /// A factor on the gradient, for clipping by the global norm.
    pub gradient_scale: f32,
}

impl AdamW {
    /// Updates parameters and moments by one step along `gradient`.
    pub fn update(&self, parameters: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        let correction1 = 1.0 - f64::from(self.beta1).powf(self.step as f64);
        let correction2 = 1.0 - f64::from(self.beta2).powf(self.step as f64);
        let rate = (f64::from(self.lr) / correction1) as f32;
        let root = (1.0 / correction2).sqrt() as f32;
        const CHUNK: usize = 1 << 14;
        parameters
            .par_chunks_mut(CHUNK)
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|(((p, m), v), g)| run(self, rate, root, p, m, v, g));
    }
}

wide! {
    /// The update of one run of values; `rate` and `root` are corrected for the moments' start at zero.
    fn run(adam: &AdamW, rate: f32, root: f32, p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * adam.gradient_scale;
            *m = adam.beta1 * *m + (1.0 - adam.beta1) * g;
            *v = adam.beta2 * *v + (1.0 - adam.beta2) * g * g;
            *p -= rate * *m / (v.sqrt() * root + 1e-8) + adam.lr * adam.weight_decay * *p;
        }
    }
}
