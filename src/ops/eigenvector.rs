//! One eigenvector of a symmetric matrix whose eigenvalue is known.

use crate::progress::Stop;

/// A unit vector v with A v = value v, up to rounding, for a symmetric `[n, n]` matrix A and one of its eigenvalues: inverse iteration from
/// the vector of ones (Wilkinson 1965). Where the eigenvalue is a multiple one, some vector of its space, always the same. O(n^3 / 3).
pub fn eigenvector(matrix: &[f64], n: usize, value: f64) -> Vec<f64> {
    let size = matrix.iter().fold(value.abs(), |most, x| most.max(x.abs())).max(f64::MIN_POSITIVE);
    let mut a = matrix.to_vec();
    (0..n).for_each(|i| a[i * n + i] -= value);
    // A - value I is singular but for rounding; a pivot that vanishes becomes the least that does not.
    let least = size * f64::EPSILON;
    let order = factor(&mut a, n, least);
    let mut v = vec![1.0 / (n.max(1) as f64).sqrt(); n];
    // The first solution is right to almost all digits unless the start happens to be orthogonal to it.
    for _ in 0..3 {
        v = solve(&a, n, &order, &v);
        let most = v.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        if most == 0.0 || !most.is_finite() {
            return vec![0.0; n];
        }
        v.iter_mut().for_each(|x| *x /= most);
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
    }
    v
}

/// Replaces A by its triangular factors with partial pivoting; returns which row came to which place.
fn factor(a: &mut [f64], n: usize, least: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let stop = Stop::here();
    for k in (0..n).take_while(|_| !stop.requested()) {
        let pivot = (k..n).fold(k, |best, i| if a[i * n + k].abs() > a[best * n + k].abs() { i } else { best });
        if pivot != k {
            order.swap(k, pivot);
            let (top, bottom) = a.split_at_mut(pivot * n);
            top[k * n..(k + 1) * n].swap_with_slice(&mut bottom[..n]);
        }
        if a[k * n + k].abs() < least {
            a[k * n + k] = least;
        }
        let (top, bottom) = a.split_at_mut((k + 1) * n);
        let row = &top[k * n..];
        for line in bottom.chunks_exact_mut(n) {
            let share = line[k] / row[k];
            line[k] = share;
            line[k + 1..].iter_mut().zip(&row[k + 1..]).for_each(|(x, y)| *x -= share * y);
        }
    }
    order
}

/// The solution x of A x = b, from the factors.
fn solve(a: &[f64], n: usize, order: &[usize], b: &[f64]) -> Vec<f64> {
    let mut x: Vec<f64> = order.iter().map(|&i| b[i]).collect();
    for i in 0..n {
        let known: f64 = a[i * n..i * n + i].iter().zip(&x).map(|(a, x)| a * x).sum();
        x[i] -= known;
    }
    for i in (0..n).rev() {
        let known: f64 = a[i * n + i + 1..(i + 1) * n].iter().zip(&x[i + 1..]).map(|(a, x)| a * x).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    x
}
