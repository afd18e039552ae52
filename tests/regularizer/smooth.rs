//! Tests of the smooth and thresholded maxima: closed forms, finite differences of the Babel function, their limits.

use std::num::NonZeroUsize;

use saerun::error::Code;
use saerun::ops::Sign;
use saerun::regularizer::{BabelOptions, HingeOptions, LogSumExpOptions, MaximumOver, Options, Regularizer};
use saerun::rng::Rng;

use super::{built, cosines, gradient, near, value};
use crate::geometry::{flat, simplex};

fn soft(beta: f64, scope: MaximumOver) -> Regularizer {
    Regularizer::log_sum_exp(LogSumExpOptions { beta, scope, ..Default::default() }).unwrap()
}

fn hinge(tau: f64, power: usize) -> Regularizer {
    let power = NonZeroUsize::new(power).unwrap();
    Regularizer::hinge(HingeOptions { tau, power, ..Default::default() }).unwrap()
}

fn babel(k: usize, sign: Sign) -> Regularizer {
    Regularizer::babel(BabelOptions { k: NonZeroUsize::new(k).unwrap(), sign, ..Default::default() })
}

#[test]
fn simplex_orthoplex_and_equal_rows_in_closed_form() {
    // n rows at one common cosine c: every term is the same.
    let (data, n, d) = flat(&simplex(4));
    let equal = [1.0f32, 2.0, 2.0].repeat(5);
    for (data, n, d, c) in [(&data, n, d, -1.0 / d as f64), (&equal, 5, 3, 1.0)] {
        let pairs = (n * (n - 1) / 2) as f64;
        near(value(&soft(10.0, MaximumOver::Global), data, n, d), c + pairs.ln() / 10.0, 1e-6);
        near(value(&soft(10.0, MaximumOver::Row), data, n, d), c + ((n - 1) as f64).ln() / 10.0, 1e-6);
        near(value(&hinge(-0.5, 2), data, n, d), (c + 0.5).powi(2), 1e-6);
        near(value(&hinge(-0.5, 1), data, n, d), c + 0.5, 1e-6);
        near(value(&babel(3, Sign::Abs), data, n, d), 3.0 * c.abs(), 1e-6);
        near(value(&babel(3, Sign::Signed), data, n, d), 3.0 * c, 1e-6);
        near(value(&babel(99, Sign::Abs), data, n, d), (n - 1) as f64 * c.abs(), 1e-6);
    }
    // Axes and their opposites: absolute cosine 1 once a row, else 0.
    let orthoplex = [1.0f32, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0];
    near(value(&babel(2, Sign::Abs), &orthoplex, 4, 2), 1.0, 1e-12);
    near(value(&babel(2, Sign::Signed), &orthoplex, 4, 2), 0.0, 1e-12);
    let abs = HingeOptions { tau: 0.5, sign: Sign::Abs, ..Default::default() };
    near(value(&Regularizer::hinge(abs).unwrap(), &orthoplex, 4, 2), 4.0 * 0.25 / 12.0, 1e-9);
    assert_eq!(value(&hinge(0.5, 2), &orthoplex, 4, 2), 0.0);
    assert!(gradient(&hinge(0.5, 2), &orthoplex, 4, 2).iter().all(|g| *g == 0.0));
    // Orthonormal rows: nothing above 0; every row has the partners that there are.
    let eye = [1.0f32, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    near(value(&hinge(0.0, 2), &eye, 3, 3), 0.0, 0.0);
    near(value(&babel(2, Sign::Abs), &eye, 3, 3), 0.0, 0.0);
    near(value(&soft(7.0, MaximumOver::Global), &eye, 3, 3), 3.0f64.ln() / 7.0, 1e-6);
}

#[test]
fn a_planted_pair_is_all_that_is_pulled() {
    let planted = [1.0f32, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0];
    near(value(&hinge(0.1, 2), &planted, 3, 3), 2.0 * 0.25 / 6.0, 1e-6);
    // h_0 = 2 * 2/6 * 0.5 u_1, of which the part along u_0 goes.
    let g = gradient(&hinge(0.1, 2), &planted, 3, 3);
    near(f64::from(g[1]), 4.0 / 6.0 * 0.5 * 0.8, 1e-6);
    assert!(g[6..].iter().all(|x| *x == 0.0));
    let g = gradient(&babel(1, Sign::Abs), &planted, 3, 3);
    near(f64::from(g[1]), 0.8, 1e-6);
    assert!(g[6..].iter().all(|x| *x == 0.0));
}

#[test]
fn sharp_maxima_are_the_maxima() {
    let (n, d) = (60, 8);
    let data = Rng::new(9, "test").directions(n, d);
    let max = value(&Regularizer::max_max_cos(Options::default()), &data, n, d);
    let mean = value(&Regularizer::mean_max_cos(Options::default()), &data, n, d);
    for beta in [10.0, 100.0, 1000.0] {
        let (global, row) = (soft(beta, MaximumOver::Global), soft(beta, MaximumOver::Row));
        let (global, row) = (value(&global, &data, n, d), value(&row, &data, n, d));
        let pairs = (n * (n - 1) / 2) as f64;
        assert!(global >= max - 1e-6 && global <= max + pairs.ln() / beta, "{global} {max}");
        assert!(row >= mean - 1e-6 && row <= mean + ((n - 1) as f64).ln() / beta, "{row} {mean}");
    }
    near(
        value(&babel(1, Sign::Abs), &data, n, d),
        value(&Regularizer::max_max_cos(Options { sign: Sign::Abs, ..Default::default() }), &data, n, d),
        1e-12,
    );
}

#[test]
fn babel_is_its_formula_and_its_gradient_a_central_difference() {
    let (n, d, k) = (9, 5, 3);
    for sign in [Sign::Signed, Sign::Abs] {
        let mut checked = 0;
        for seed in 0..20 {
            let data = Rng::new(seed, "test babel").directions(n, d);
            let cos = cosines(&data, n, d);
            let mut gap = f64::INFINITY;
            let mut sums: Vec<f64> = (0..n)
                .map(|i| {
                    let mut row: Vec<f64> = (0..n).filter(|&j| j != i).map(|j| sign.of(cos[i * n + j])).collect();
                    row.sort_by(|a, b| b.total_cmp(a));
                    gap = gap.min(row[k - 1] - row[k]);
                    row[..k].iter().sum()
                })
                .collect();
            sums.sort_by(|a, b| b.total_cmp(a));
            let r = babel(k, sign);
            near(value(&r, &data, n, d), sums[0], 1e-12);
            // The subgradient is the gradient where neither the row nor its partners are about to change.
            if gap.min(sums[0] - sums[1]) < 0.01 || cos.iter().any(|c| c.abs() < 0.002) {
                continue;
            }
            checked += 1;
            let (g, h) = (gradient(&r, &data, n, d), 1.0 / 2048.0);
            for at in 0..n * d {
                let moved = |step: f32| {
                    let mut moved = data.clone();
                    moved[at] += step;
                    (value(&r, &moved, n, d), f64::from(moved[at]))
                };
                let ((up, x_up), (down, x_down)) = (moved(h), moved(-h));
                near(f64::from(g[at]), (up - down) / (x_up - x_down), 2e-5);
            }
        }
        assert!(checked > 0, "{sign:?}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let error = |name: &str, options| built(name, options).unwrap_err().code;
    assert_eq!(error("log_sum_exp", serde_json::json!({ "beta": 0.0 })), Code::OutOfRange);
    assert_eq!(error("log_sum_exp", serde_json::json!({ "scope": "all" })), Code::UnknownName);
    assert_eq!(error("hinge", serde_json::json!({ "tau": 1.5 })), Code::OutOfRange);
    assert_eq!(error("hinge", serde_json::json!({ "power": 0 })), Code::OutOfRange);
    assert_eq!(error("babel", serde_json::json!({ "k": 0 })), Code::OutOfRange);
    assert!(built("hinge", serde_json::json!({ "tau": -1.0, "power": 64 })).is_ok());
}
