//! The frame operator S = UᵀU of unit rows, d x d in f64, and the eigenvalues of a symmetric matrix.

use rayon::prelude::*;

use super::unit::{TILE, UnitRows};

/// Columns of S that one task computes.
const BLOCK: usize = 128;

/// S = sum over rows of u uᵀ, row-major `[d, d]`, in f64: n d^2 multiply-adds, memory d^2.
///
/// Rows are taken in blocks of [`TILE`] and each task owns a fixed block of columns, so threads change no bit.
pub fn frame(unit: &UnitRows) -> Vec<f64> {
    let d = unit.raw.d;
    let mut s = vec![0.0; d * d];
    let mut rows = vec![0.0f64; TILE * d];
    for from in (0..unit.len()).step_by(TILE) {
        rows.fill(0.0);
        for (k, row) in (from..unit.len().min(from + TILE)).zip(rows.chunks_exact_mut(d)) {
            unit.add_to(k, 1.0, row);
        }
        let rows = &rows;
        // S is symmetric, so block b of its rows is block b of its columns.
        s.par_chunks_mut(BLOCK * d).enumerate().for_each(|(b, out)| {
            let height = out.len() / d;
            // SAFETY: `out` is height x d, row-major; the left factor reads columns b*BLOCK.. of `rows` (TILE x d)
            // transposed, the right factor is `rows` itself.
            unsafe {
                gemm::gemm(
                    height,
                    d,
                    TILE,
                    out.as_mut_ptr(),
                    1,
                    d as isize,
                    true,
                    rows.as_ptr().add(b * BLOCK),
                    d as isize,
                    1,
                    rows.as_ptr(),
                    1,
                    d as isize,
                    1.0f64,
                    1.0f64,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        });
    }
    s
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
    for i in (0..n).rev() {
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
    for l in 0..n {
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
