//! The orthogonal polar factor of a square matrix: U Vᵀ of M = U S Vᵀ, the orthogonal matrix nearest to M.
//!
//! By matrix products alone: the scaled iteration of Newton and Schulz (Chen and Chow 2014), X <- s X (3 I - s² XᵀX) / 2, which moves
//! every singular value towards 1 and leaves the singular vectors alone. With all of them in [l, 1], the best s is the root of
//! 3 / (1 + l + l²): the least one grows 2.6 times a step instead of 1.5.

use super::cross::{View, matmul};

/// What a round takes the least singular value to be. A smaller one is not lost, it takes one more round.
const LEAST: f64 = 1e-6;
/// The scale is chosen as for singular values above this: with a smaller l, those near 1 would be mapped to where rounding eats them.
const CUSHION: f64 = 1e-3;
/// Rounds of some fifteen steps: enough for singular values down to 1e-24 of the norm.
const ROUNDS: usize = 4;
/// X is orthogonal when no entry of XᵀX - I is larger.
const ORTHOGONAL: f64 = 1e-12;

/// The orthogonal polar factor of `m`, row-major `[d, d]`. `None` when there is none to be found: singular (to 1e-24), or not finite.
///
/// Two products of d^3 multiply-adds a step, about fifteen steps where the singular values span six decades.
pub fn polar(m: &[f64], d: usize) -> Option<Vec<f64>> {
    let norm = m.iter().map(|x| x * x).sum::<f64>().sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return None;
    }
    let mut x: Vec<f64> = m.iter().map(|x| x / norm).collect();
    let mut square = vec![0.0; d * d];
    let mut next = vec![0.0; d * d];
    for _ in 0..ROUNDS {
        let mut least = LEAST;
        // Once l has come to 1, convergence is quadratic.
        let mut left = 5;
        while left > 0 {
            let plain = |data| View { data, rows: d, cols: d, strides: (d, 1) };
            matmul(&mut square, d, 0.0, View { strides: (1, d), ..plain(&x) }, plain(&x), true);
            let off = |(at, value): (usize, &f64)| (value - f64::from(u8::from(at % (d + 1) == 0))).abs();
            if square.iter().enumerate().map(off).fold(0.0, f64::max) <= ORTHOGONAL {
                return Some(x);
            }
            let l = least.max(CUSHION);
            let s = (3.0 / (1.0 + l + l * l)).sqrt();
            for (at, value) in square.iter_mut().enumerate() {
                *value = 0.5 * s * (if at % (d + 1) == 0 { 3.0 } else { 0.0 } - s * s * *value);
            }
            matmul(&mut next, d, 0.0, plain(&x), plain(&square), true);
            std::mem::swap(&mut x, &mut next);
            least = (0.5 * s * least * (3.0 - s * s * least * least)).min(1.0);
            left -= usize::from(least > 0.9);
        }
    }
    None
}
