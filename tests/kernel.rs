//! The inner loop of products against its reference, bit for bit, and what is built on it.

use saerun::ops::Rows;
use saerun::ops::affine::Affine;
use saerun::ops::kernel::{Kernel, available, entry_reference};
use saerun::ops::linear::linear;
use saerun::ops::panels::Panels;
use saerun::rng::Rng;

fn normals(n: usize, purpose: &str) -> Vec<f32> {
    let mut values = vec![0.0; n];
    Rng::new(3, purpose).fill_normal(&mut values, 1.0);
    values
}

/// All products of rows with rows, as a row-major `[a.n, b.n]` matrix.
fn products(kernel: &Kernel, a: Rows<'_>, b: Rows<'_>) -> Vec<f32> {
    let (left, right) = (Panels::new(a, kernel.rows), Panels::new(b, kernel.columns));
    let mut out = vec![f32::NAN; a.n * b.n];
    kernel.tiles((&left, 0..left.len()), (&right, 0..right.len()), |row, column, tile| {
        for (at, value) in tile.iter().enumerate() {
            let (i, j) = (row + at / kernel.columns, column + at % kernel.columns);
            if i < a.n && j < b.n {
                out[i * b.n + j] = *value;
            } else {
                assert_eq!(*value, 0.0, "padding is zero");
            }
        }
    });
    out
}

#[test]
fn every_fused_kernel_gives_the_same_bits() {
    for (n, m, d) in [(1, 1, 1), (7, 33, 5), (25, 70, 130)] {
        let (a, b) = (normals(n * d, "a"), normals(m * d, "b"));
        let (a, b) = (Rows { data: &a, n, d }, Rows { data: &b, n: m, d });
        for kernel in available() {
            let found = products(&kernel, a, b);
            for i in 0..n {
                for j in 0..m {
                    let (found, expected) = (found[i * m + j], entry_reference(a.row(i), b.row(j)));
                    let fused = kernel.name != "portable" || cfg!(any(target_feature = "fma", target_arch = "aarch64"));
                    if fused {
                        assert_eq!(found.to_bits(), expected.to_bits(), "{} {n} x {m} x {d} at {i}, {j}", kernel.name);
                    } else {
                        assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{} {found}", kernel.name);
                    }
                }
            }
        }
    }
}

#[test]
fn panels_of_rows_and_of_columns_agree() {
    let (n, d) = (37, 21);
    let x = normals(n * d, "panels");
    let transposed: Vec<f32> = (0..d * n).map(|at| x[at % n * d + at / n]).collect();
    let of_rows = Panels::new(Rows { data: &x, n, d }, 16);
    let of_columns = Panels::of_columns(Rows { data: &transposed, n: d, d: n }, 16);
    assert_eq!((of_rows.len(), of_rows.is_empty()), (3, false));
    for panel in 0..3 {
        assert_eq!(of_rows.panel(panel), of_columns.panel(panel));
    }
    assert_eq!(of_rows.panel(1)[4 * 16 + 3], x[19 * d + 4], "column 4, row 16 + 3");
    assert!(Panels::new(Rows { data: &[], n: 0, d }, 16).is_empty());
}

#[test]
fn an_affine_map_is_that_of_training_and_knows_no_neighbors() {
    let (n, d, m) = (200, 30, 50);
    let (x, w, b) = (normals(n * d, "x"), normals(d * m, "w"), normals(m, "b"));
    let affine = Affine::new(Rows { data: &w, n: d, d: m }, &b);
    let out = affine.apply(&x);
    let expected = linear(Rows { data: &x, n, d }, Rows { data: &w, n: d, d: m }, &b);
    for (found, expected) in out.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
    assert_eq!(affine.apply(&x[193 * d..194 * d]), out[193 * m..194 * m], "one row alone");
}
