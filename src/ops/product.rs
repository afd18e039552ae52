//! Dense matrix products of small tiles on one thread, through gemm (instructions chosen at run time).
//!
//! gemm's bits depend on the shape of a product and not on threads, so callers keep a fixed partition and run many of these in
//! parallel.

use gemm::Parallelism;

/// A matrix by reference with strides: element (i, j) is `data[i * row + j * col]`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    /// The values.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub col: usize,
}

impl<'a> Strided<'a> {
    /// A row-major matrix with rows of length `width`.
    pub fn rows(data: &'a [f32], width: usize) -> Self {
        Strided { data, row: width, col: 1 }
    }

    /// The transpose, without moving a value.
    pub fn t(self) -> Self {
        Strided { data: self.data, row: self.col, col: self.row }
    }

    fn holds(&self, n: usize, m: usize) -> bool {
        n == 0 || m == 0 || (n - 1) * self.row + (m - 1) * self.col < self.data.len()
    }
}

/// `out = a b`, or `out += a b` with `accumulate`: `a` is [m, k], `b` is [k, n], `out` is row-major [m, n].
///
/// Costs `m k n` multiply-adds on the calling thread.
///
/// # Panics
/// When a slice is too short for its shape: a mistake of the caller, never of a file or script.
pub fn product((m, k, n): (usize, usize, usize), out: &mut [f32], accumulate: bool, a: Strided<'_>, b: Strided<'_>) {
    assert!(out.len() >= m * n && a.holds(m, k) && b.holds(k, n), "a product beyond its slices");
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: the assertion above keeps every access inside the three slices, and `out` is borrowed mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.data.as_ptr(),
            a.col as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.col as isize,
            b.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The same product by three loops in f64: what [`product`] is tested against.
pub fn product_reference((m, k, n): (usize, usize, usize), a: Strided<'_>, b: Strided<'_>) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            out[i * n + j] = (0..k)
                .map(|c| f64::from(a.data[i * a.row + c * a.col]) * f64::from(b.data[c * b.row + j * b.col]))
                .sum();
        }
    }
    out
}
