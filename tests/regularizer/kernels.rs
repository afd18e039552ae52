//! Tests of the kernels below the penalties, each against its obvious reference, and of their bits over threads.

use saerun::ops::coherence::{most_coherent, most_coherent_reference};
use saerun::ops::eigenvector::eigenvector;
use saerun::ops::frame::{Length, eigenvalues, frame_of, times};
use saerun::ops::hinge::{hinge, hinge_reference};
use saerun::ops::largest::{largest, largest_reference};
use saerun::ops::log_sum_exp::{Over, log_sum, row_log_sums, row_log_sums_reference, soft_pull, soft_pull_reference};
use saerun::ops::unit::UnitRows;
use saerun::ops::{Rows, Sign};
use saerun::rng::Rng;

use super::near;

/// Rows of random length and direction, with an invalid one among them.
fn rows(n: usize, d: usize) -> Vec<f32> {
    let mut data = Rng::new(11, "test kernels").directions(n, d);
    data.chunks_exact_mut(d).enumerate().for_each(|(i, row)| row.iter_mut().for_each(|x| *x *= 0.5 + (i % 7) as f32));
    data[3 * d..4 * d].fill(0.0);
    data
}

fn all_near(a: &[f32], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).for_each(|(a, b)| near(f64::from(*a), *b, tolerance));
}

/// Over one tile, over the border of two, and in few dimensions, where many pairs are close.
const SHAPES: [(usize, usize); 3] = [(40, 7), (530, 16), (600, 3)];

#[test]
fn hinges_equal_their_reference() {
    for (n, d) in SHAPES {
        let data = rows(n, d);
        let unit = UnitRows::new(Rows::new(&data, n, d).unwrap(), None);
        for sign in [Sign::Signed, Sign::Abs] {
            // None, few, about half and all pairs above the threshold.
            for (from, power) in [(0.999_999, 2), (0.7, 1), (0.0, 2), (-1.0, 3)] {
                let (expected, total) = hinge_reference(&unit, sign, from, power);
                let (pull, sum) = hinge(&unit, sign, from, power, true);
                let scale = expected.iter().fold(1.0f64, |most, x| most.max(x.abs()));
                // At a power of 1 a pair at the very threshold may fall either way in f32.
                near(sum, total, 1e-6 * (1.0 + total) + 1e-4);
                all_near(&pull, &expected, 1e-5 * scale);
                let (none, alone) = hinge(&unit, sign, from, power, false);
                assert!(none.is_empty() && alone == sum);
            }
        }
    }
}

#[test]
fn smooth_maxima_equal_their_reference() {
    for (n, d) in SHAPES {
        let data = rows(n, d);
        let unit = UnitRows::new(Rows::new(&data, n, d).unwrap(), None);
        for sign in [Sign::Signed, Sign::Abs] {
            for beta in [0.01, 3.0, 100.0] {
                let expected = row_log_sums_reference(&unit, sign, beta);
                let sums = row_log_sums(&unit, sign, beta);
                assert_eq!(sums.len(), expected.len());
                sums.iter().zip(&expected).for_each(|(a, b)| near(*a, *b, 1e-5 + 1e-6 * beta));
                let pairs = (0..unit.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
                let all = pairs.map(|(i, j)| (beta * sign.of(unit.cos(i, j))).exp()).sum::<f64>().ln();
                near(log_sum(&sums), all, 1e-5 + 1e-6 * beta);
                for over in [Over::All(all), Over::Rows(&expected)] {
                    let expected = soft_pull_reference(&unit, sign, beta, over);
                    all_near(&soft_pull(&unit, sign, beta, over), &expected, 2e-5 + 2e-6 * beta);
                }
            }
        }
    }
    assert_eq!(log_sum(&[]), f64::NEG_INFINITY);
}

#[test]
fn a_sharp_maximum_neither_overflows_nor_vanishes() {
    let data = [1.0f32, 0.0, 0.8, 0.6, -1.0, 0.0];
    let unit = UnitRows::new(Rows::new(&data, 3, 2).unwrap(), None);
    for beta in [1e-6, 1e4] {
        let sums = row_log_sums(&unit, Sign::Signed, beta);
        sums.iter().zip(row_log_sums_reference(&unit, Sign::Signed, 1.0)).for_each(|(a, _)| assert!(a.is_finite()));
        assert!(soft_pull(&unit, Sign::Signed, beta, Over::Rows(&sums)).iter().all(|x| x.is_finite()));
    }
    near(log_sum(&row_log_sums(&unit, Sign::Signed, 1e4)) / 1e4, 0.8, 1e-6);
}

#[test]
fn largest_cosines_and_products_equal_their_reference() {
    for (n, d) in SHAPES {
        let data = rows(n, d);
        let unit = UnitRows::new(Rows::new(&data, n, d).unwrap(), None);
        assert_eq!(most_coherent(&unit), most_coherent_reference(&unit));
        for sign in [Sign::Signed, Sign::Abs] {
            for k in [0, 1, 5, n + 3] {
                let (found, expected) = (largest(&unit, sign, k), largest_reference(&unit, sign, k));
                for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                    // Near ties may change places.
                    assert_eq!(a.len(), b.len());
                    a.iter().zip(b).for_each(|(&a, &b)| near(sign.of(unit.cos(i, a)), sign.of(unit.cos(i, b)), 1e-6));
                }
            }
        }
    }
    // Of equal cosines the first rows.
    let unit = UnitRows::new(Rows { data: &[1.0; 8], n: 8, d: 1 }, None);
    assert_eq!(largest(&unit, Sign::Signed, 2), [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]]);
    assert_eq!(most_coherent(&unit), Some((0, 1)));
    assert_eq!(most_coherent(&UnitRows::new(Rows { data: &[1.0], n: 1, d: 1 }, None)), None);
}

#[test]
fn rows_times_a_matrix_equal_three_loops() {
    let (n, d) = (530, 9);
    let data = rows(n, d);
    let unit = UnitRows::new(Rows::new(&data, n, d).unwrap(), None);
    for length in [Length::One, Length::Own] {
        let row = |k: usize, c: usize| {
            let x = f64::from(unit.raw_row(k)[c]);
            if length == Length::One { x / unit.norm[k] } else { x }
        };
        let s = frame_of(&unit, length);
        for (at, x) in s.iter().enumerate() {
            near(*x, (0..unit.len()).map(|k| row(k, at / d) * row(k, at % d)).sum(), 1e-9);
        }
        let matrix: Vec<f64> = (0..d * d).map(|at| (at as f64 * 0.7).sin()).collect();
        for (at, x) in times(&unit, length, &matrix).iter().enumerate() {
            let expected: f64 = (0..d).map(|c| row(at / d, c) * matrix[c * d + at % d]).sum();
            near(f64::from(*x), expected, 1e-6 * (1.0 + expected.abs()));
        }
    }
}

#[test]
fn eigenvectors_belong_to_their_values() {
    for n in [1, 2, 5, 60] {
        let x: Vec<f32> = Rng::new(4, "test").directions(n + 2, n);
        let unit = UnitRows::new(Rows::new(&x, n + 2, n).unwrap(), None);
        let a = frame_of(&unit, Length::Own);
        let values = eigenvalues(&a, n);
        for value in [values[0], values[n - 1]] {
            let v = eigenvector(&a, n, value);
            near(v.iter().map(|x| x * x).sum(), 1.0, 1e-12);
            for i in 0..n {
                near((0..n).map(|j| a[i * n + j] * v[j]).sum(), value * v[i], 1e-10);
            }
        }
    }
    // A multiple eigenvalue, and a start that is orthogonal to the eigenvector.
    let v = eigenvector(&[2.0, 0.0, 0.0, 2.0], 2, 2.0);
    near(v.iter().map(|x| x * x).sum(), 1.0, 1e-12);
    let v = eigenvector(&[1.0, -0.5, -0.5, 1.0], 2, 1.5);
    near(v[0] + v[1], 0.0, 1e-6);
    assert!(eigenvector(&[0.0], 1, 0.0)[0].is_finite() && eigenvector(&[], 0, 0.0).is_empty());
}
