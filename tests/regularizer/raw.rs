//! Tests of the penalties on raw rows: closed forms, the obvious formulas over the N x N matrix, finite differences, laws.

use std::num::NonZeroUsize;

use saerun::error::Code;
use saerun::regularizer::{Options, Regularizer, SripOptions, Target};
use saerun::rng::Rng;

use super::{built, gradient, near, rows_with_margins, value};
use crate::geometry::{flat, simplex};

fn plain(build: fn(Options) -> Regularizer) -> Regularizer {
    build(Options::default())
}

fn srip(power: usize, target: Target) -> Regularizer {
    Regularizer::srip(SripOptions { power: NonZeroUsize::new(power), target, ..Default::default() })
}

/// Every one, by name.
fn all() -> Vec<(&'static str, Regularizer)> {
    vec![
        ("soft", plain(Regularizer::soft_orthogonality)),
        ("double", plain(Regularizer::double_soft_orthogonality)),
        ("gap", plain(Regularizer::tight_frame_gap)),
        ("coherence", plain(Regularizer::mutual_coherence)),
        ("srip", srip(0, Target::Identity)),
        ("srip tight", srip(0, Target::Tight)),
        ("srip by power", srip(2000, Target::Identity)),
    ]
}

fn eye(d: usize) -> Vec<f32> {
    (0..d * d).map(|at| f32::from(u8::from(at % (d + 1) == 0))).collect()
}

#[test]
fn values_are_the_formulas() {
    let (n, d) = (9, 5);
    let data = rows_with_margins(n, d, 1e-3);
    let w = |i: usize, c: usize| f64::from(data[i * d + c]);
    let rows = |i: usize, j: usize| (0..d).map(|c| w(i, c) * w(j, c)).sum::<f64>() - f64::from(u8::from(i == j));
    let s = |a: usize, b: usize| (0..n).map(|i| w(i, a) * w(i, b)).sum::<f64>();
    let square = |m: usize, entry: &dyn Fn(usize, usize) -> f64| -> f64 {
        (0..m * m).map(|at| entry(at / m, at % m).powi(2)).sum()
    };
    let soft = square(n, &rows);
    let small = square(d, &|a, b| s(a, b) - f64::from(u8::from(a == b)));
    let mean = (0..d).map(|c| s(c, c)).sum::<f64>() / d as f64;
    let gap = square(d, &|a, b| s(a, b) - if a == b { mean } else { 0.0 });
    let most = (0..n * n).map(|at| rows(at / n, at % n).abs()).fold(0.0, f64::max);
    near(value(&plain(Regularizer::soft_orthogonality), &data, n, d), soft, 1e-10);
    near(value(&plain(Regularizer::double_soft_orthogonality), &data, n, d), soft + small, 1e-10);
    near(value(&plain(Regularizer::double_soft_orthogonality), &data, n, d), 2.0 * soft + d as f64 - n as f64, 1e-9);
    near(value(&plain(Regularizer::tight_frame_gap), &data, n, d), gap, 1e-10);
    near(value(&plain(Regularizer::mutual_coherence), &data, n, d), most, 1e-12);
    let potential =
        square(n, &|i, j| (rows(i, j) + f64::from(u8::from(i == j))) / (norm(&data, d, i) * norm(&data, d, j)));
    near(value(&plain(Regularizer::frame_potential), &data, n, d), potential, 1e-10);
    // No unit vector is stretched more than by the spectral norm, and after many steps some vector is by as much.
    near(value(&srip(0, Target::Identity), &data, n, d), value(&srip(2000, Target::Identity), &data, n, d), 1e-9);
    assert!(value(&srip(1, Target::Identity), &data, n, d) <= value(&srip(0, Target::Identity), &data, n, d));
}

fn norm(data: &[f32], d: usize, i: usize) -> f64 {
    data[i * d..(i + 1) * d].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn orthonormal_rows_cost_nothing_and_stay() {
    let rows = eye(4);
    for (name, r) in all() {
        assert_eq!(value(&r, &rows, 4, 4), 0.0, "{name}");
        assert!(gradient(&r, &rows, 4, 4).iter().all(|g| *g == 0.0), "{name}");
    }
    let potential = plain(Regularizer::frame_potential);
    near(value(&potential, &rows, 4, 4), 4.0, 1e-12);
    assert!(gradient(&potential, &rows, 4, 4).iter().all(|g| g.abs() < 1e-6));
}

#[test]
fn simplex_orthoplex_and_equal_rows_in_closed_form() {
    // n + 1 rows in n dimensions at cosine -1/n: a tight frame, S = (n+1)/n I.
    let (data, n, d) = flat(&simplex(4));
    let (count, m) = (n as f64, d as f64);
    near(value(&plain(Regularizer::frame_potential), &data, n, d), count * count / m, 1e-5);
    near(value(&plain(Regularizer::soft_orthogonality), &data, n, d), count * count / m - count, 1e-5);
    near(value(&plain(Regularizer::tight_frame_gap), &data, n, d), 0.0, 1e-10);
    near(value(&plain(Regularizer::mutual_coherence), &data, n, d), 1.0 / m, 1e-6);
    near(value(&srip(0, Target::Identity), &data, n, d), 1.0 / m, 1e-6);
    near(value(&srip(0, Target::Tight), &data, n, d), 0.0, 1e-6);
    // The orthoplex: each axis and its opposite. As tight as can be, and as coherent.
    let orthoplex: Vec<f32> = eye(3).iter().copied().chain(eye(3).iter().map(|x| -x)).collect();
    near(value(&plain(Regularizer::tight_frame_gap), &orthoplex, 6, 3), 0.0, 1e-12);
    near(value(&plain(Regularizer::frame_potential), &orthoplex, 6, 3), 12.0, 1e-12);
    near(value(&plain(Regularizer::soft_orthogonality), &orthoplex, 6, 3), 6.0, 1e-12);
    near(value(&plain(Regularizer::mutual_coherence), &orthoplex, 6, 3), 1.0, 1e-12);
    near(value(&srip(0, Target::Identity), &orthoplex, 6, 3), 1.0, 1e-12);
    // Five rows (1, 2, 2)/3: S has the one eigenvalue 5.
    let equal = [1.0f32, 2.0, 2.0].map(|x| x / 3.0).repeat(5);
    near(value(&plain(Regularizer::frame_potential), &equal, 5, 3), 25.0, 1e-5);
    near(value(&plain(Regularizer::soft_orthogonality), &equal, 5, 3), 20.0, 1e-5);
    near(value(&plain(Regularizer::tight_frame_gap), &equal, 5, 3), 25.0 * 2.0 / 3.0, 1e-5);
    near(value(&srip(0, Target::Identity), &equal, 5, 3), 4.0, 1e-5);
    // A planted pair: orthonormal but for cosine 0.6 of two rows.
    let planted = [1.0f32, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0];
    near(value(&plain(Regularizer::soft_orthogonality), &planted, 3, 3), 2.0 * 0.36, 1e-6);
    near(value(&plain(Regularizer::mutual_coherence), &planted, 3, 3), 0.6, 1e-6);
    near(value(&srip(0, Target::Identity), &planted, 3, 3), 0.6, 1e-6);
}

#[test]
fn a_length_that_is_off_counts_as_coherence() {
    let r = plain(Regularizer::mutual_coherence);
    let data = [1.0f32, 0.0, 0.5, 0.5, 0.0, 2.0];
    near(value(&r, &data, 3, 2), 3.0, 1e-12);
    assert_eq!(gradient(&r, &data, 3, 2), [0.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    let short = [1.0f32, 0.0, 0.0, 0.5];
    near(value(&r, &short, 2, 2), 0.75, 1e-12);
    assert_eq!(gradient(&r, &short, 2, 2), [0.0, 0.0, 0.0, -1.0]);
}

#[test]
fn gradients_equal_central_differences() {
    let (n, d) = (7, 5);
    let data = rows_with_margins(n, d, 0.02);
    let h = 1.0 / 4096.0;
    for (name, r) in all() {
        let g = gradient(&r, &data, n, d);
        for k in 0..n * d {
            let at = |step: f32| {
                let mut moved = data.clone();
                moved[k] += step;
                (value(&r, &moved, n, d), f64::from(moved[k]))
            };
            let ((up, x_up), (down, x_down)) = (at(h), at(-h));
            let (found, expected) = (f64::from(g[k]), (up - down) / (x_up - x_down));
            assert!((found - expected).abs() < 2e-5 * (1.0 + expected.abs()), "{name} {k}: {found} {expected}");
        }
    }
}

#[test]
fn laws_of_raw_penalties() {
    let (n, d) = (40, 8);
    let data = rows_with_margins(n, d, 1e-5);
    let v = Rng::new(3, "test").directions(1, d);
    let reflect = |row: &[f32]| -> Vec<f32> {
        let along: f32 = 2.0 * row.iter().zip(&v).map(|(a, b)| a * b).sum::<f32>();
        row.iter().zip(&v).map(|(a, b)| a - along * b).collect()
    };
    for (name, r) in all() {
        let (p, g) = (value(&r, &data, n, d), gradient(&r, &data, n, d));
        let scale = g.iter().fold(1.0f64, |most, x| most.max(f64::from(x.abs())));
        let turned: Vec<f32> = data.chunks_exact(d).rev().flat_map(reflect).collect();
        near(value(&r, &turned, n, d), p, 1e-6 * p);
        let back: Vec<f32> = gradient(&r, &turned, n, d).chunks_exact(d).rev().flat_map(reflect).collect();
        for (a, b) in back.iter().zip(&g) {
            assert!((f64::from(*a) - f64::from(*b)).abs() < 1e-4 * scale, "{name}: {a} {b}");
        }
        near(value(&r.scale(-2.0).add(&r), &data, n, d), -p, 1e-9 * p);
    }
    // The gap is of degree 4 in W, so its gradient is of degree 3 and along W it is 4 times the penalty (Euler).
    let r = plain(Regularizer::tight_frame_gap);
    let (p, g) = (value(&r, &data, n, d), gradient(&r, &data, n, d));
    let doubled: Vec<f32> = data.iter().map(|x| 2.0 * x).collect();
    near(value(&r, &doubled, n, d), 16.0 * p, 1e-9 * p);
    gradient(&r, &doubled, n, d).iter().zip(&g).for_each(|(a, b)| near(f64::from(*a), 8.0 * f64::from(*b), 1e-3));
    near(data.iter().zip(&g).map(|(w, g)| f64::from(*w) * f64::from(*g)).sum(), 4.0 * p, 1e-5 * p);
    let double = gradient(&plain(Regularizer::double_soft_orthogonality), &data, n, d);
    let soft = gradient(&plain(Regularizer::soft_orthogonality), &data, n, d);
    assert!(double.iter().zip(&soft).all(|(a, b)| *a == 2.0 * b));
}

#[test]
fn invalid_rows_and_few_rows_do_nothing() {
    let mut data = Rng::new(2, "test").directions(6, 4);
    let valid = data[..16].to_vec();
    data[16..20].fill(0.0);
    data[21] = f32::NAN;
    for (name, r) in all() {
        assert_eq!(value(&r, &data, 6, 4), value(&r, &valid, 4, 4), "{name}");
        let g = gradient(&r, &data, 6, 4);
        assert_eq!(g[..16], gradient(&r, &valid, 4, 4), "{name}");
        assert!(g[16..].iter().all(|x| *x == 0.0));
        for n in [0, 1] {
            assert_eq!(value(&r, &data[..4 * n], n, 4), 0.0);
            assert!(gradient(&r, &data[..4 * n], n, 4).iter().all(|x| *x == 0.0));
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let (n, d) = (1300, 20);
    let data = Rng::new(6, "test").directions(n, d);
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            all().iter().map(|(_, r)| (value(r, &data, n, d), gradient(r, &data, n, d))).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    assert!((0..2).all(|_| run(2) == one));
}

#[test]
fn the_seed_of_an_exact_eigenvalue_is_no_part_of_it() {
    let of = |options: serde_json::Value| built("srip", options).unwrap().describe();
    assert_eq!(of(serde_json::json!({ "seed": 3 })), of(serde_json::json!({})));
    assert_ne!(of(serde_json::json!({ "seed": 3, "power": 2 })), of(serde_json::json!({ "power": 2 })));
    assert_eq!(of(serde_json::json!({ "sign": "abs" })), of(serde_json::json!({})));
    assert_eq!(built("srip", serde_json::json!({ "power": 0 })).unwrap_err().code, Code::OutOfRange);
}
