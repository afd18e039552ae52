//! Muon (Jordan et al. 2024): momentum, made orthogonal. A step moves every singular direction of a matrix by about the same length, so
//! directions that the gradient sees seldom are learned as fast as the loud ones.

use super::matmul::{Threads, View, matmul, matmul_reference};
use super::simd::wide;

/// The quintic of the Newton-Schulz iteration: p(s) = a s + b s^3 + c s^5 brings every singular value of a matrix of norm 1 near 1.
const QUINTIC: (f32, f32, f32) = (3.4445, -4.775, 2.0315);
/// How often it is applied.
const ITERATIONS: usize = 5;
/// An update's root mean square, as a share of the learning rate: that of AdamW's updates in practice, so that both take the
/// same learning rate (Liu et al. 2025).
const RMS: f32 = 0.2;

/// What one step needs besides the slices.
#[derive(Debug, Clone, Copy)]
pub struct Muon {
    /// Step size, as AdamW's.
    pub lr: f32,
    /// Decay of the momentum.
    pub momentum: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

impl Muon {
    /// Updates a `[rows, cols]` parameter and its momentum by one step along `gradient` (Nesterov's form).
    pub fn update(&self, (rows, cols): (usize, usize), value: &mut [f32], momentum: &mut [f32], gradient: &[f32]) {
        let mut direction = vec![0.0; gradient.len()];
        push(self.momentum, momentum, gradient, &mut direction);
        let direction = orthogonalize(&direction, rows, cols);
        let size = self.lr * RMS * (rows.max(cols) as f32).sqrt();
        shift(value, 1.0 - self.lr * self.weight_decay, -size, &direction);
    }
}

wide! {
    /// `momentum = decay * momentum + gradient`, `direction = gradient + decay * momentum`.
    fn push(decay: f32, momentum: &mut [f32], gradient: &[f32], direction: &mut [f32]) {
        for ((m, g), d) in momentum.iter_mut().zip(gradient).zip(direction) {
            *m = decay * *m + g;
            *d = g + decay * *m;
        }
    }
}

wide! {
    /// `value = keep * value + size * direction`.
    fn shift(value: &mut [f32], keep: f32, size: f32, direction: &[f32]) {
        for (v, d) in value.iter_mut().zip(direction) {
            *v = keep * *v + size * d;
        }
    }
}

/// The matrix with the same singular vectors and all singular values near 1 (0.7 to 1.2, except for those below some 1e-3 of the
/// largest). A zero matrix stays.
///
/// One thread: a model has several matrices, and each is a task of its own. The iteration runs on the Gram matrix of the shorter side, n long: X becomes q(G) X with G = X Xᵀ, and all factors commute. So
/// the longer side, m, is met twice: `2 n² m + 17 n³` multiply-adds in place of `5 (2 n² m + n³)`.
pub fn orthogonalize(matrix: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let squares: f64 = matrix.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    if squares == 0.0 {
        return matrix.to_vec();
    }
    let wide = rows <= cols;
    let n = rows.min(cols);
    let x = View::new(matrix, rows, cols);
    let product = |a: View<'_>, b: View<'_>| {
        let mut out = vec![0.0; n * n];
        matmul(&mut out, n, 0.0, a, b, Threads::One);
        out
    };
    let square = |values: &[f32], other: &[f32]| product(View::new(values, n, n), View::new(other, n, n));

    let mut gram = if wide { product(x, x.t()) } else { product(x.t(), x) };
    gram.iter_mut().for_each(|g| *g = (f64::from(*g) / squares) as f32);
    let mut factor: Option<Vec<f32>> = None;
    for iteration in 0..ITERATIONS {
        let mut p = square(&gram, &gram);
        quintic(&mut p, &gram, n);
        if iteration + 1 < ITERATIONS {
            gram = square(&square(&p, &gram), &p);
        }
        factor = Some(match factor {
            Some(before) => square(&p, &before),
            None => p,
        });
    }
    let norm = squares.sqrt();
    let factor: Vec<f32> = factor.into_iter().flatten().map(|q| (f64::from(q) / norm) as f32).collect();
    let factor = View::new(&factor, n, n);
    let mut out = vec![0.0; matrix.len()];
    let (left, right) = if wide { (factor, x) } else { (x, factor) };
    matmul(&mut out, cols, 0.0, left, right, Threads::One);
    out
}

/// `square`, which holds G², becomes `a I + b G + c G²`.
fn quintic(square: &mut [f32], gram: &[f32], n: usize) {
    let (a, b, c) = QUINTIC;
    square.iter_mut().zip(gram).for_each(|(s, g)| *s = b * g + c * *s);
    square.iter_mut().step_by(n + 1).for_each(|s| *s += a);
}

/// The iteration as Jordan writes it, on the matrix itself: what [`orthogonalize`] is tested against.
pub fn orthogonalize_reference(matrix: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let norm = matrix.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let (a, b, c) = QUINTIC;
    let mut x: Vec<f32> = matrix.iter().map(|v| (f64::from(*v) / norm) as f32).collect();
    for _ in 0..ITERATIONS {
        let view = View::new(&x, rows, cols);
        let gram = matmul_reference(view, view.t());
        let once = matmul_reference(View::new(&gram, rows, rows), view);
        let twice = matmul_reference(View::new(&gram, rows, rows), View::new(&once, rows, cols));
        x = x.iter().zip(&once).zip(&twice).map(|((x, once), twice)| a * x + b * once + c * twice).collect();
    }
    x
}
