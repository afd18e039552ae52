//! Adam (Kingma and Ba 2015), in place, with PyTorch's placing of epsilon.
//!
//! The moments of every parameter decay at every step, whether its latent fired or not, and the parameter keeps moving on what is
//! left of them: the dense semantics. A gradient that is rare or tiny is scaled up by its own second moment. So a penalty that
//! touches two rows (max max cosine) moves those rows by about `lr` per coordinate on that step, however small its coefficient, as
//! long as nothing else moves them; on rows that fire, it competes with the reconstruction's gradient at its true size.

// Loops over several slices by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use super::simd::wide;

/// PyTorch's default.
pub const EPSILON: f32 = 1e-8;

/// The constants of one Adam step.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// lr / (1 - beta1^t)
    pub size: f32,
    /// Decay of the first moment, and the weight of the gradient in it: what is left to 1, rounded once.
    pub beta1: [f32; 2],
    /// The same of the second moment.
    pub beta2: [f32; 2],
    /// 1 / sqrt(1 - beta2^t)
    pub second: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl AdamStep {
    /// The constants of step `t`, counted from 1.
    pub fn new(lr: f64, beta1: f64, beta2: f64, t: u64) -> AdamStep {
        let power = |beta: f64| 1.0 - beta.powf(t as f64);
        AdamStep {
            size: (lr / power(beta1)) as f32,
            beta1: [beta1 as f32, (1.0 - beta1) as f32],
            beta2: [beta2 as f32, (1.0 - beta2) as f32],
            second: (1.0 / power(beta2).sqrt()) as f32,
            epsilon: EPSILON,
        }
    }
}

wide! {
    /// One step on a slice of parameters, their moments and their gradient.
    ///
    /// Reads and writes 24 bytes and reads 4 more a parameter: bound by memory, not arithmetic.
    pub fn adam(step: &AdamStep, value: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        let AdamStep { size, beta1, beta2, second: root, epsilon } = *step;
        let n = value.len();
        let (first, second, gradient) = (&mut first[..n], &mut second[..n], &gradient[..n]);
        for i in 0..n {
            let g = gradient[i];
            let m = beta1[0] * first[i] + beta1[1] * g;
            let v = beta2[0] * second[i] + beta2[1] * (g * g);
            first[i] = m;
            second[i] = v;
            value[i] -= size * m / (v.sqrt() * root + epsilon);
        }
    }
}

/// One step in f64 as the paper writes it: what [`adam`] is tested against. Returns the new value and moments.
pub fn adam_reference(lr: f64, beta1: f64, beta2: f64, t: u64, [x, m, v, g]: [f64; 4]) -> [f64; 3] {
    let m = beta1 * m + (1.0 - beta1) * g;
    let v = beta2 * v + (1.0 - beta2) * g * g;
    let (m_hat, v_hat) = (m / (1.0 - beta1.powf(t as f64)), v / (1.0 - beta2.powf(t as f64)));
    [x - lr * m_hat / (v_hat.sqrt() + f64::from(EPSILON)), m, v]
}
