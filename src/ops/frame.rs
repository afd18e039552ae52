//! The frame operator S = UᵀU of unit rows or WᵀW of the rows as they are, d x d in f64, and the eigenvalues of a symmetric matrix.

use rayon::prelude::*;

use super::unit::{TILE, UnitRows};
use crate::progress::Stop;

/// Columns of S that one task computes.
const BLOCK: usize = 128;

/// Whether rows count as they are or over their lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Unit rows.
    One,
    /// The rows of the matrix itself.
    Own,
}

impl Length {
    /// Kept rows `from..` as f64, as many as `out` holds; what lies past the last one becomes 0.
    fn rows(self, unit: &UnitRows, from: usize, out: &mut [f64]) {
        out.fill(0.0);
        for (k, row) in (from..unit.len()).zip(out.chunks_exact_mut(unit.raw.d)) {
            unit.add_to(k, if self == Length::One { 1.0 } else { unit.norm[k] }, row);
        }
    }
}

/// S = sum over rows of u uᵀ, row-major `[d, d]`, in f64: n d^2 multiply-adds, memory d^2.
///
/// Rows are taken in blocks of [`TILE`] and each task owns a fixed block of columns, so threads change no bit.
pub fn frame(unit: &UnitRows) -> Vec<f64> {
    frame_of(unit, Length::One)
}

/// [`frame`], or the same of the rows as they are: WᵀW.
pub fn frame_of(unit: &UnitRows, length: Length) -> Vec<f64> {
    let d = unit.raw.d;
    let mut s = vec![0.0; d * d];
    let mut rows = vec![0.0f64; TILE * d];
    let stop = Stop::here();
    for from in (0..unit.len()).step_by(TILE) {
        length.rows(unit, from, &mut rows);
        let rows = &rows;
        // S is symmetric, so block b of its rows is block b of its columns.
        s.par_chunks_mut(BLOCK * d).enumerate().filter(|_| !stop.requested()).for_each(|(b, out)| {
            let height = out.len() / d;
            // SAFETY: `out` is height x d, row-major; the left factor reads columns b*BLOCK.. of `rows` (TILE x d)
            // transposed, the right factor is `rows` itself.
            unsafe { product(out, (height, d, TILE), &rows[b * BLOCK..], (d, 1), rows, true) }
        });
    }
    s
}

/// The rows times a `[d, d]` matrix, `[n, d]`: in f64, rounded once. n d^2 multiply-adds.
pub fn times(unit: &UnitRows, length: Length, matrix: &[f64]) -> Vec<f32> {
    let d = unit.raw.d;
    assert_eq!(matrix.len(), d * d, "a square matrix as wide as a row is long");
    let mut all = vec![0.0f32; unit.len() * d];
    let stop = Stop::here();
    all.par_chunks_mut(TILE * d.max(1)).enumerate().filter(|_| !stop.requested()).for_each(|(b, out)| {
        let (mut rows, mut result) = (vec![0.0f64; TILE * d], vec![0.0f64; TILE * d]);
        length.rows(unit, b * TILE, &mut rows);
        // SAFETY: all three are row-major and full: `result` and `rows` TILE x d, `matrix` d x d.
        unsafe { product(&mut result, (TILE, d, d), &rows, (1, d), matrix, false) }
        out.iter_mut().zip(&result).for_each(|(out, x)| *out = *x as f32);
    });
    all
}

/// `out = a b`, or `out += a b`, of shape `(m, n)` with inner dimension k, in f64 by this thread; `out` and `b` are row-major, `a` has strides
/// (from column to column, from row to row).
///
/// # Safety
/// `out` must hold m n values, `b` k n, and `a` reach to ((m - 1) row stride + (k - 1) column stride).
unsafe fn product(
    out: &mut [f64],
    (m, n, k): (usize, usize, usize),
    a: &[f64],
    strides: (usize, usize),
    b: &[f64],
    add: bool,
) {
    debug_assert!(out.len() >= m * n && b.len() >= k * n && a.len() > (m - 1) * strides.1 + (k - 1) * strides.0);
    // SAFETY: the caller's word; `out` is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            strides.0 as isize,
            strides.1 as isize,
            b.as_ptr(),
            1,
            n as isize,
            1.0f64,
            1.0f64,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// [`frame`] the slow, obvious way.
pub fn frame_reference(unit: &UnitRows) -> Vec<f64> {
    let d = unit.raw.d;
    let mut s = vec![0.0; d * d];
    for k in 0..unit.len() {
        let mut u = vec![0.0; d];
        unit.add_to(k, 1.0, &mut u);
        for (a, line) in s.chunks_exact_mut(d.max(1)).enumerate() {
            line.iter_mut().zip(&u).for_each(|(s, x)| *s += u[a] * x);
        }
    }
    s
}

/// The eigenvalues of a symmetric `[n, n]` matrix (its lower triangle is read), descending. O(n^3).
///
/// Householder reduction to tridiagonal form, then the implicit QL iteration for values alone (Martin, Reinsch and
/// Wilkinson 1968; Dubrulle, Martin and Wilkinson 1968).
pub fn eigenvalues(matrix: &[f64], n: usize) -> Vec<f64> {
    let (mut diagonal, mut off) = tridiagonal(matrix, n);
    implicit_ql(&mut diagonal, &mut off);
    diagonal.sort_by(|a, b| b.total_cmp(a));
    diagonal
}

/// Diagonal (n) and subdiagonal (n, place i beside diagonal places i-1 and i) of a similar tridiagonal matrix.
fn tridiagonal(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let (mut diagonal, mut off) = (vec![0.0; n], vec![0.0; n]);
    // Row i, places 0..i, is reduced to its last place; what remains is the leading i x i matrix.
    let stop = Stop::here();
    for i in (0..n).rev().take_while(|_| !stop.requested()) {
        let (rest, last) = a.split_at_mut(i * n);
        diagonal[i] = last[i];
        let v = &mut last[..i];
        let scale = v.iter().map(|x| x.abs()).sum::<f64>();
        if i < 2 || scale == 0.0 {
            off[i] = v.last().copied().unwrap_or(0.0);
            continue;
        }
        v.iter_mut().for_each(|x| *x /= scale);
        let norm2 = v.iter().map(|x| x * x).sum::<f64>();
        let g = if v[i - 1] >= 0.0 { -norm2.sqrt() } else { norm2.sqrt() };
        off[i] = scale * g;
        let h = norm2 - v[i - 1] * g;
        v[i - 1] -= g;
        // p = A v / h over the leading matrix, of which the lower triangle is kept.
        let mut p = vec![0.0; i];
        for r in 0..i {
            let mut sum = rest[r * n + r] * v[r];
            for (c, &x) in rest[r * n..r * n + r].iter().enumerate() {
                sum += x * v[c];
                p[c] += x * v[r];
            }
            p[r] += sum;
        }
        p.iter_mut().for_each(|x| *x /= h);
        let k = p.iter().zip(v.iter()).map(|(x, y)| x * y).sum::<f64>() / (2.0 * h);
        p.iter_mut().zip(v.iter()).for_each(|(x, y)| *x -= k * y);
        for r in 0..i {
            let (vr, pr) = (v[r], p[r]);
            for (x, (pc, vc)) in rest[r * n..=r * n + r].iter_mut().zip(p.iter().zip(v.iter())) {
                *x -= vr * pc + pr * vc;
            }
        }
    }
    (diagonal, off)
}

/// Turns `d` into the eigenvalues of the tridiagonal matrix (d, e), in no order.
fn implicit_ql(d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    e.rotate_left(n.min(1));
    let norm = d.iter().chain(e.iter()).fold(0.0f64, |m, x| m.max(x.abs()));
    let negligible = |e: f64, a: f64, b: f64| e.abs() <= f64::EPSILON * (a.abs() + b.abs()).max(f64::EPSILON * norm);
    let stop = Stop::here();
    for l in (0..n).take_while(|_| !stop.requested()) {
        // Convergence is cubic; the limit only guards against values that are not finite.
        for _ in 0..60 {
            let m = (l..n - 1).find(|&m| negligible(e[m], d[m], d[m + 1])).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut g = d[m] - d[l] + e[l] / (g + g.hypot(1.0).copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
}
