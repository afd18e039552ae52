//! Dense f32 matrix products by the gemm crate, on strided slices.
//!
//! gemm's bits do not depend on the thread count, but they do depend on the shape of a product: callers keep their
//! partition fixed. Cost: `2 m n k` operations.

/// A strided view of an `[rows, cols]` matrix: `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// The row-major matrix that fills `data`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        View::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` apart, as a slice of the columns of a wider one.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(
            rows == 0 || cols == 0 || (rows - 1) * row_stride + cols <= data.len(),
            "a view past the end of its data"
        );
        View { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transposed matrix, without a copy.
    pub fn t(self) -> Self {
        View {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }
}

/// Whether a product may use the thread pool; inside a parallel loop it should not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// This thread alone.
    One,
    /// All threads of the pool.
    All,
}

/// `out = keep * out + a b`, where `out` is `[a.rows, b.cols]` with rows `out_stride` apart.
pub fn matmul(out: &mut [f32], out_stride: usize, keep: f32, a: View<'_>, b: View<'_>, threads: Threads) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * out_stride + n <= out.len(), "a product past the end of its output");
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(rayon::current_num_threads()),
    };
    // SAFETY: the constructors of `View` and the assertions above keep every access inside its slice, and `out` is
    // borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            keep != 0.0,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            keep,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The obvious reference: `out = a b` by three loops in f64.
pub fn matmul_reference(a: View<'_>, b: View<'_>) -> Vec<f32> {
    let at = |v: &View<'_>, i: usize, j: usize| f64::from(v.data[i * v.row_stride + j * v.col_stride]);
    let mut out = Vec::with_capacity(a.rows * b.cols);
    for i in 0..a.rows {
        for j in 0..b.cols {
            out.push((0..a.cols).map(|k| at(&a, i, k) * at(&b, k, j)).sum::<f64>() as f32);
        }
    }
    out
}
