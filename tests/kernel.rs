//! The inner loop of products against its reference, bit for bit, and what is built on it.

use saerun::ops::affine::Affine;
use saerun::ops::dense::Padded;
use saerun::ops::encode::{Floor, encode_above_by};
use saerun::ops::entries::{entries, near};
use saerun::ops::kernel::{Kernel, available, entry_reference};
use saerun::ops::linear::linear;
use saerun::ops::nearest::{nearest_by, nearest_two, nearest_two_reference};
use saerun::ops::panels::Panels;
use saerun::ops::rounded::{Grain, Rounded, Side};
use saerun::ops::screen::{self, Marks, Pair, rounding};
use saerun::ops::unit::UnitRows;
use saerun::ops::{Rows, Sign};
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

/// Rows that rounding treats badly: one value, one value far above the rest, all equal, all but zero, zero.
fn hard(n: usize, d: usize, purpose: &str) -> Vec<f32> {
    let mut values = normals(n * d, purpose);
    for (i, row) in values.chunks_exact_mut(d).enumerate() {
        match i % 8 {
            0 => row.iter_mut().enumerate().for_each(|(k, x)| *x = if k == i % d { -3.0 } else { 0.0 }),
            1 => row[i % d] *= 1e4,
            2 => row.fill(0.25),
            3 => row.iter_mut().for_each(|x| *x *= 1e-12),
            4 => row.fill(0.0),
            5 => row.iter_mut().for_each(|x| *x *= 1e12),
            _ => {}
        }
    }
    values
}

#[test]
fn integers_lie_within_their_bound_of_the_f32_product() {
    for (n, m, d) in [(1, 1, 1), (40, 70, 3), (64, 96, 130), (24, 40, 2051)] {
        let (a, b) = (hard(n, d, "a"), hard(m, d, "b"));
        let (a, b) = (Rows { data: &a, n, d }, Rows { data: &b, n: m, d });
        for screen in screen::available() {
            let pair = Pair::new(&screen, a, b).unwrap();
            let (left, right) = (&pair.left, &pair.right);
            let mut seen = 0;
            screen.tiles(&pair, 0..left.len(), 0..right.len(), |row, column, tile| {
                for (at, product) in tile.iter().enumerate() {
                    let (i, j) = (row + at / screen.columns, column + at % screen.columns);
                    if i >= n || j >= m {
                        assert_eq!(*product, 0, "padding is zero");
                        continue;
                    }
                    seen += 1;
                    let (unit, lengths) = (left.unit[i] * right.unit[j], left.norm[i] * right.norm[j]);
                    let exact = entry_reference(a.row(i), b.row(j));
                    let bound = left.reach[i] * right.reach[j] - lengths * (1.0 - rounding(d));
                    let off = (*product as f32 * unit - exact).abs();
                    assert!(off <= bound, "{} {d} at {i}, {j}: {off}, {bound}", screen.name);
                    assert!(bound <= 0.3 * lengths, "{} {d} at {i}, {j}: {bound} tells nothing", screen.name);
                    let off = (near(a.row(i), b.row(j)) - exact).abs();
                    assert!(off <= lengths * rounding(d), "near {d} at {i}, {j}: {off}");
                }
            });
            assert_eq!(seen, n * m);
        }
    }
}

/// No entry above the lower of its marks is missed, and few are found that are not.
#[test]
fn a_first_look_misses_nothing_above_its_mark() {
    let (n, m, d) = (48, 96, 200);
    let (a, b) = (normals(n * d, "a"), normals(m * d, "b"));
    let (a, b) = (Rows { data: &a, n, d }, Rows { data: &b, n: m, d });
    let row_marks: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { 25.0 } else { f32::INFINITY }).collect();
    let column_marks: Vec<f32> =
        (0..m).map(|j| if j % 3 == 0 { entry_reference(a.row(1), b.row(j)) } else { 30.0 }).collect();
    for screen in screen::available() {
        let pair = Pair::new(&screen, a, b).unwrap();
        let mut found = Vec::new();
        screen.tiles(&pair, 0..pair.left.len(), 0..pair.right.len(), |row, column, tile| {
            let marks = Marks { rows: &row_marks[row..], columns: &column_marks[column..] };
            screen.find(&pair, (row, column, tile), &marks, &mut found);
        });
        let mut near = 0;
        for (i, row_mark) in row_marks.iter().enumerate() {
            for (j, column_mark) in column_marks.iter().enumerate() {
                let (product, mark) = (entry_reference(a.row(i), b.row(j)), row_mark.min(*column_mark));
                if product > mark {
                    assert!(found.contains(&(i as u32, j as u32)), "{} misses {i}, {j}", screen.name);
                }
                near += usize::from(product > mark - 0.05 * d as f32);
            }
        }
        assert!(found.len() <= near, "{}: {} found, {near} near", screen.name, found.len());
    }
}

#[test]
fn rows_without_a_bound_are_not_rounded() {
    for grain in [Grain::Eight, Grain::Sixteen] {
        let of = |data: &[f32]| Rounded::new(Rows { data, n: data.len() / 2, d: 2 }, grain, Side::Left, 6).is_some();
        assert!(of(&[1.0, 0.5, 2.0, 3.0]) && of(&[1.0, 0.0, 0.0, 0.0]));
        assert!(!of(&[1.0, f32::NAN, 2.0, 3.0]) && !of(&[1.0, f32::INFINITY, 0.0, 0.0]) && !of(&[1.0, 1e20]));
        assert!(!of(&[1e-20, 0.0]));
    }
}

#[test]
fn entries_one_by_one_have_the_bits_of_the_kernel() {
    let (n, d) = (21, 77);
    let x = normals(n * d, "entries");
    let row = |i: usize| &x[i * d..(i + 1) * d];
    let mut found = Vec::new();
    entries((0..n).map(|i| (row(i), row(n - 1 - i))), |x| found.push(x.to_bits()));
    let expected: Vec<u32> = (0..n).map(|i| entry_reference(row(i), row(n - 1 - i)).to_bits()).collect();
    assert_eq!(found, expected);
}

/// Codes by a first look in integers are those of the f32 product, bit for bit: sparse and dense, with pre-activations at their floor.
#[test]
fn a_first_look_changes_no_code() {
    let (n, d, d_sae) = (400, 65, 2100);
    for purpose in ["usual", "hard"] {
        let x = if purpose == "hard" { hard(n, d, "x") } else { normals(n * d, "x") };
        let w = if purpose == "hard" { hard(d_sae, d, "w") } else { normals(d_sae * d, "w") };
        let (x, w) = (Padded::of(&x, d), Rows { data: &w, n: d_sae, d });
        // Some biases put a token's pre-activation exactly at 0, or next to it.
        let at_floor = |i: usize| -entry_reference(x.row(i % n), w.row(i));
        for shift in [-30.0, -18.0, -4.0, 0.0] {
            let bias: Vec<f32> = (0..d_sae)
                .map(|i| match i % 7 {
                    0 => at_floor(i),
                    1 => at_floor(i).next_up(),
                    _ => shift,
                })
                .collect();
            let each: Vec<f32> = (0..d_sae).map(|i| if i % 3 == 0 { 2.0 } else { -1.0 }).collect();
            for floor in [Floor::All(0.0), Floor::All(1.5), Floor::Each(&each), Floor::All(f32::NEG_INFINITY)] {
                for limit in [None, Some(0.01), Some(0.3)] {
                    let whole = encode_above_by(None, &x, w, &bias, floor, limit);
                    for screen in screen::available() {
                        let looked = encode_above_by(Some(&screen), &x, w, &bias, floor, limit);
                        assert!(looked == whole, "{}: {purpose}, bias {shift}, {floor:?}, {limit:?}", screen.name);
                    }
                }
            }
        }
    }
}

/// Neighbors by a first look are those of the f32 pass, also where many rows are equal or nearly so.
#[test]
fn a_first_look_changes_no_neighbor() {
    let (n, d) = (700, 33);
    let usual = normals(n * d, "neighbors");
    let mut close = usual.clone();
    let jitter = normals(n * d, "jitter");
    for (at, x) in close.iter_mut().enumerate().filter(|(at, _)| at / d < 600) {
        *x = usual[at % d + d * (at / d % 40)] + 1e-6 * jitter[at];
    }
    let equal: Vec<f32> = (0..n * d).map(|at| usual[at % d]).collect();
    for rows in [&usual, &close, &equal, &usual[..2 * d].to_vec()] {
        let unit = UnitRows::new(Rows { data: rows, n: rows.len() / d, d }, None);
        for sign in [Sign::Signed, Sign::Abs] {
            let whole = nearest_by(None, &unit, sign);
            for screen in screen::available() {
                assert_eq!(nearest_by(Some(&screen), &unit, sign), whole, "{}", screen.name);
            }
            assert_eq!(nearest_two(&unit, sign), nearest_two_reference(&unit, sign));
        }
    }
}
