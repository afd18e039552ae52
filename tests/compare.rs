//! Tests of `compare` and of the kernels under it: brute force, closed forms, laws.

use saerun::activations::Activations;
use saerun::compare::*;
use saerun::error::Code;
use saerun::ops::assignment::{assign, best_sum_reference};
use saerun::ops::best_match::{best_match, best_match_reference};
use saerun::ops::cosines::{cosines, cosines_reference};
use saerun::ops::cross::{Centered, cross, cross_reference, misfit};
use saerun::ops::polar::polar;
use saerun::ops::unit::UnitRows;
use saerun::ops::{Rows, Sign};
use saerun::progress::Silent;
use saerun::rng::Rng;
use saerun::sae::{Config, DecoderNorm, Sae};

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} within {tolerance}");
}

fn rows(data: &[f32], d: usize) -> Rows<'_> {
    Rows::new(data, data.len() / d, d).unwrap()
}

fn directions(n: usize, d: usize, seed: u64) -> Vec<f32> {
    Rng::new(seed, "test compare").directions(n, d)
}

/// The rows in another order: row i of the result is row `order[i]`.
fn reordered(data: &[f32], d: usize, order: &[u32]) -> Vec<f32> {
    order.iter().flat_map(|&i| data[i as usize * d..(i as usize + 1) * d].to_vec()).collect()
}

/// A random orthogonal matrix, row-major, from the polar factor of a Gaussian one.
fn rotation(d: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, "test rotation");
    let m: Vec<f64> = (0..d * d).map(|_| rng.normal()).collect();
    polar(&m, d).unwrap().iter().map(|x| *x as f32).collect()
}

fn times(x: &[f32], r: &[f32], d: usize) -> Vec<f32> {
    let column =
        |row: &[f32], j: usize| (0..d).map(|k| f64::from(row[k]) * f64::from(r[k * d + j])).sum::<f64>() as f32;
    x.chunks_exact(d).flat_map(|row| (0..d).map(|j| column(row, j)).collect::<Vec<_>>()).collect()
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn best_matches_are_those_of_every_pair() {
    for (n_a, n_b, d) in [(1, 1, 1), (1, 40, 3), (13, 1, 5), (97, 33, 8), (200, 300, 24), (95, 96, 2)] {
        let (mut a, mut b) = (directions(n_a, d, 1), directions(n_b, d, 2));
        // Invalid rows on both sides, and a row of `a` that is many rows of `b`.
        if n_a > 10 && n_b > 10 {
            a[3 * d..4 * d].fill(0.0);
            b[5 * d] = f32::NAN;
            let row = a[7 * d..8 * d].to_vec();
            for i in [9, 2, 20, 21, 22, 23, 24] {
                b[i * d..(i + 1) * d].copy_from_slice(&row.iter().map(|x| x * 2.0).collect::<Vec<_>>());
            }
        }
        let (a, b) = (UnitRows::new(rows(&a, d), None), UnitRows::new(rows(&b, d), None));
        for sign in [Sign::Signed, Sign::Abs] {
            let found = best_match(&a, &b, sign);
            assert_eq!(found, best_match_reference(&a, &b, sign), "{n_a} {n_b} {d} {sign:?}");
            assert_eq!(found, in_pool(3, || best_match(&a, &b, sign)));
            if n_a > 10 && n_b > 10 && d > 2 {
                assert_eq!(found[6].index, 2, "the lowest of equal rows");
            }
        }
    }
    // All cosines negative: the padding's zeros do not win.
    let (a, b) = (vec![1.0, 0.0], vec![-1.0, 0.1, -1.0, 0.0, -1.0, 0.2]);
    near(mmcs(rows(&a, 2), rows(&b, 2), Sign::Signed).unwrap().unwrap(), -1.0 / 1.04f64.sqrt(), 1e-8);
}

#[test]
fn the_matrix_of_cosines_is_right() {
    for (n_a, n_b, d) in [(1, 1, 1), (3, 70, 4), (97, 33, 8), (100, 100, 30)] {
        let (a, b) = (directions(n_a, d, 1), directions(n_b, d, 2));
        let (a, b) = (UnitRows::new(rows(&a, d), None), UnitRows::new(rows(&b, d), None));
        for sign in [Sign::Signed, Sign::Abs] {
            let (fast, slow) = (cosines(&a, &b, sign), cosines_reference(&a, &b, sign));
            assert_eq!(fast.len(), slow.len());
            fast.iter().zip(&slow).for_each(|(x, y)| near(f64::from(*x), *y, 1e-6));
        }
    }
}

/// The sum that `assign` reaches, with all its columns different.
fn assigned(scores: &[f32], n: usize, m: usize) -> f64 {
    let columns = assign(scores, n, m, &Silent).unwrap();
    let mut seen = columns.clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), n, "columns of their own");
    columns.iter().enumerate().map(|(i, j)| f64::from(scores[i * m + *j as usize])).sum()
}

#[test]
fn assignments_are_the_best_of_all_permutations() {
    let mut rng = Rng::new(0, "test assignment");
    for (n, m) in [(0, 0), (0, 3), (1, 1), (1, 6), (2, 2), (3, 7), (5, 5), (6, 6), (4, 8), (7, 7)] {
        for round in 0..30 {
            // Continuous, rounded so that most are tied, and of few rows that are alike.
            let mut scores: Vec<f32> = (0..n * m).map(|_| rng.normal() as f32).collect();
            match round % 3 {
                1 => scores.iter_mut().for_each(|x| *x = x.round()),
                2 if n > 2 => scores.copy_within(0..m, 2 * m),
                _ => {}
            }
            near(assigned(&scores, n, m), best_sum_reference(&scores, n, m), 1e-6);
        }
        near(assigned(&vec![0.25; n * m], n, m), 0.25 * n as f64, 1e-9);
    }
}

/// The Hungarian method by potentials, O(n^2 m), from a textbook: another algorithm in other words.
fn hungarian_sum(scores: &[f32], n: usize, m: usize) -> f64 {
    let cost = |i: usize, j: usize| -f64::from(scores[(i - 1) * m + j - 1]);
    let (mut u, mut v, mut owner) = (vec![0.0; n + 1], vec![0.0; m + 1], vec![0usize; m + 1]);
    for i in 1..=n {
        owner[0] = i;
        let (mut j0, mut way) = (0, vec![0usize; m + 1]);
        let (mut least, mut used) = (vec![f64::INFINITY; m + 1], vec![false; m + 1]);
        while owner[j0] != 0 {
            used[j0] = true;
            let (i0, mut delta, mut j1) = (owner[j0], f64::INFINITY, 0);
            for j in (1..=m).filter(|j| !used[*j]).collect::<Vec<_>>() {
                let reduced = cost(i0, j) - u[i0] - v[j];
                if reduced < least[j] {
                    (least[j], way[j]) = (reduced, j0);
                }
                if least[j] < delta {
                    (delta, j1) = (least[j], j);
                }
            }
            for j in 0..=m {
                if used[j] {
                    u[owner[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            j0 = j1;
        }
        while j0 != 0 {
            owner[j0] = owner[way[j0]];
            j0 = way[j0];
        }
    }
    (1..=m).filter(|j| owner[*j] != 0).map(|j| -cost(owner[j], j)).sum()
}

#[test]
fn larger_assignments_agree_with_another_algorithm() {
    let mut rng = Rng::new(0, "test larger assignment");
    for (n, m, kind) in [(90, 90, 0), (60, 140, 0), (120, 120, 1), (100, 100, 2), (80, 81, 3), (100, 100, 4)] {
        let (a, b) = (directions(n, 6, 1), directions(m, 6, 2));
        let (a, b) = (UnitRows::new(rows(&a, 6), None), UnitRows::new(rows(&b, 6), None));
        let mut scores = cosines(&a, &b, Sign::Signed);
        for (at, x) in scores.iter_mut().enumerate() {
            let (i, j) = (at / m, at % m);
            *x = match kind {
                1 => (*x * 4.0).round() / 4.0,
                // A price war over all columns, and rows that are nearly alike.
                2 => (i * j) as f32 / (n * m) as f32,
                3 => *x * 1e-4 + j as f32 / m as f32,
                4 => rng.uniform() as f32,
                _ => *x,
            };
        }
        near(assigned(&scores, n, m), hungarian_sum(&scores, n, m), 1e-9 * n as f64);
    }
}

#[test]
fn a_permuted_dictionary_is_found_again() {
    let (n, d) = (300, 20);
    let a = directions(n, d, 3);
    let order = Rng::new(4, "test").permutation(n);
    let b = reordered(&a, d, &order);
    let m = matching(rows(&a, d), rows(&b, d), Sign::Signed, &Silent).unwrap();
    assert!(m.pairs.iter().all(|p| order[p.b] as usize == p.a));
    near(m.mean.unwrap(), 1.0, 1e-12);
    assert_eq!((m.mean, m.share_above_09, m.unmatched), (m.mean_all, Some(1.0), Sides::default()));
    near(mmcs(rows(&a, d), rows(&b, d), Sign::Signed).unwrap().unwrap(), 1.0, 1e-12);
    // With noise that is small beside the distance of rows, still the same partners.
    let mut rng = Rng::new(5, "test noise");
    let noisy: Vec<f32> = b.iter().map(|x| x + 0.03 * rng.normal() as f32).collect();
    let m = matching(rows(&a, d), rows(&noisy, d), Sign::Signed, &Silent).unwrap();
    assert!(m.pairs.iter().all(|p| order[p.b] as usize == p.a));
    // Each cosine is about 1/sqrt(1 + d s^2).
    near(m.mean.unwrap(), 1.0 / (1.0f64 + d as f64 * 0.03 * 0.03).sqrt(), 1e-3);
    // Turned round: signed finds other partners, absolute the same.
    let minus: Vec<f32> = b.iter().map(|x| -x).collect();
    let m = matching(rows(&a, d), rows(&minus, d), Sign::Abs, &Silent).unwrap();
    assert!(m.pairs.iter().all(|p| order[p.b] as usize == p.a) && m.mean.unwrap() > 1.0 - 1e-12);
    assert!(matching(rows(&a, d), rows(&minus, d), Sign::Signed, &Silent).unwrap().mean.unwrap() < 0.9);
}

#[test]
fn matchings_of_unequal_sides_mirror_each_other() {
    let (a, b) = (directions(20, 5, 1), directions(45, 5, 2));
    let there = matching(rows(&a, 5), rows(&b, 5), Sign::Signed, &Silent).unwrap();
    let back = matching(rows(&b, 5), rows(&a, 5), Sign::Signed, &Silent).unwrap();
    assert_eq!(
        (there.pairs.len(), there.unmatched, back.unmatched),
        (20, Sides { a: 0, b: 25 }, Sides { a: 25, b: 0 })
    );
    let mut mirrored: Vec<(usize, usize)> = back.pairs.iter().map(|p| (p.b, p.a)).collect();
    mirrored.sort_unstable();
    assert_eq!(there.pairs.iter().map(|p| (p.a, p.b)).collect::<Vec<_>>(), mirrored);
    assert!(back.pairs.is_sorted_by_key(|p| p.a));
    near(there.mean_all.unwrap(), there.mean.unwrap() * 20.0 / 45.0, 1e-12);
    let mut sorted: Vec<f64> = there.pairs.iter().map(|p| p.similarity).collect();
    sorted.sort_by(f64::total_cmp);
    near(there.median.unwrap(), (sorted[9] + sorted[10]) / 2.0, 1e-15);
    near(there.share_above_07.unwrap(), sorted.iter().filter(|x| **x > 0.7).count() as f64 / 20.0, 1e-15);
}

#[test]
fn what_has_no_direction_has_no_partner() {
    let a = [1.0, 0.0, 0.0, 0.0, 0.0, 2.0];
    let b = [f32::NAN, 1.0, 0.0, 3.0];
    let m = matching(rows(&a, 2), rows(&b, 2), Sign::Signed, &Silent).unwrap();
    assert_eq!((m.invalid, m.unmatched), (Sides { a: 1, b: 1 }, Sides { a: 1, b: 0 }));
    assert_eq!(m.pairs, vec![Match { a: 2, b: 1, similarity: 1.0 }]);
    assert_eq!((m.mean, m.mean_all, m.median), (Some(1.0), Some(0.5), Some(1.0)));
    for (a, b) in [(&a[2..4], &b[2..]), (&a[..0], &b[2..]), (&a[..2], &b[..2])] {
        let m = matching(rows(a, 2), rows(b, 2), Sign::Abs, &Silent).unwrap();
        assert_eq!((m.mean, m.median, m.share_above_07, m.pairs.len()), (None, None, None, 0));
        assert_eq!(mmcs(rows(a, 2), rows(b, 2), Sign::Abs).unwrap(), None);
    }
    assert_eq!(mmcs(rows(&a, 2), rows(&a, 3), Sign::Signed).unwrap_err().code, Code::ShapeMismatch);
    assert_eq!(matching(rows(&a, 2), rows(&a, 3), Sign::Signed, &Silent).unwrap_err().code, Code::ShapeMismatch);
}

#[test]
fn random_dictionaries_match_as_chance_has_it() {
    // Computed apart from this program; one draw of 1024 rows scatters by some 0.002.
    let (a, b) = (directions(1024, 64, 1), directions(1024, 64, 2));
    for (sign, best, one_to_one) in [(Sign::Signed, 0.394, 0.380), (Sign::Abs, 0.415, 0.402)] {
        near(mmcs(rows(&a, 64), rows(&b, 64), sign).unwrap().unwrap(), best, 0.006);
        near(matching(rows(&a, 64), rows(&b, 64), sign, &Silent).unwrap().mean.unwrap(), one_to_one, 0.006);
        let law = saerun::geometry::random_null(1025, 64, sign).unwrap();
        near(mmcs(rows(&a, 64), rows(&b, 64), sign).unwrap().unwrap(), law.mean, 5.0 * law.sd / 32.0);
    }
}

#[test]
fn shared_latents_have_one_partner_in_both_matrices() {
    let (n, d) = (40, 30);
    let (decoder, encoder) = (directions(n, d, 1), directions(n, d, 2));
    let order = Rng::new(3, "test").permutation(n);
    let weights = |decoder: &'static [f32], encoder: &'static [f32]| Weights {
        decoder: Rows::new(decoder, decoder.len() / 30, 30).unwrap(),
        encoder: Rows::new(encoder, encoder.len() / 30, 30).unwrap(),
    };
    let keep = |data: Vec<f32>| -> &'static [f32] { data.leak() };
    let options = SharedOptions::default();
    let s = weights(keep(decoder.clone()), keep(encoder.clone()));
    let t = weights(keep(reordered(&decoder, d, &order)), keep(reordered(&encoder, d, &order)));
    let all = shared_latents(s, t, &options, &Silent).unwrap();
    assert_eq!((all.share, all.count, all.share_same_partner), (Some(1.0), n, Some(1.0)));
    near(all.mean_cos.unwrap(), 1.0, 1e-12);
    assert!(all.pairs.iter().all(|p| order[p.b] as usize == p.a));
    // The same rows, but the encoder's in another order: every cosine is 1 and nothing is shared.
    let shifted: Vec<u32> = (0..n as u32).map(|i| (i + 1) % n as u32).collect();
    let apart = weights(keep(decoder.clone()), keep(reordered(&encoder, d, &shifted)));
    let none = shared_latents(s, apart, &options, &Silent).unwrap();
    assert_eq!((none.share, none.mean_cos, none.share_same_partner), (Some(0.0), None, Some(0.0)));
    near(none.mean_cos_other_partner.unwrap(), 1.0, 1e-12);
    // Half of the decoders are new. The threshold is what counts, as far as it goes.
    let mut half = decoder.clone();
    half[..n / 2 * d].copy_from_slice(&directions(n / 2, d, 9));
    let half = weights(keep(half), keep(encoder.clone()));
    let found = shared_latents(s, half, &options, &Silent).unwrap();
    assert_eq!((found.count, found.share), (n / 2, Some(0.5)));
    let any = shared_latents(s, half, &SharedOptions { threshold: -1.0 }, &Silent).unwrap();
    assert_eq!(any.share, any.share_same_partner);
    // A latent whose encoder is zero is left out of both matchings.
    let mut dead = encoder.clone();
    dead[..d].fill(0.0);
    let dead = weights(keep(decoder), keep(dead));
    let found = shared_latents(dead, s, &options, &Silent).unwrap();
    assert_eq!((found.invalid, found.count, found.share), (Sides { a: 1, b: 0 }, n - 1, Some(1.0)));
    let wrong = SharedOptions { threshold: 2.0 };
    assert_eq!(shared_latents(s, t, &wrong, &Silent).unwrap_err().code, Code::OutOfRange);
}

#[test]
fn distances_of_samples() {
    near(wasserstein(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]).unwrap(), 5.0, 1e-12);
    near(ks(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]).unwrap(), 1.0, 0.0);
    near(wasserstein(&[0.0, 0.0, 1.0, 1.0], &[0.5]).unwrap(), 0.5, 1e-12);
    near(ks(&[0.0, 0.0, 1.0, 1.0], &[0.5]).unwrap(), 0.5, 0.0);
    assert_eq!((wasserstein(&[2.0, 1.0], &[1.0, 2.0]), ks(&[2.0, 1.0], &[1.0, 2.0])), (Some(0.0), Some(0.0)));
    assert_eq!((wasserstein(&[], &[1.0]), ks(&[1.0], &[f64::NAN])), (None, None));
    assert_eq!(wasserstein(&[1.0, f64::INFINITY], &[3.0]), Some(2.0));
    let mut rng = Rng::new(0, "test samples");
    let mut draw = |n: usize| (0..n).map(|_| (rng.normal() * 4.0).round() / 4.0).collect::<Vec<f64>>();
    let (x, y) = (draw(500), draw(500));
    let sorted = |v: &[f64]| {
        let mut v = v.to_vec();
        v.sort_by(f64::total_cmp);
        v
    };
    let slow = sorted(&x).iter().zip(sorted(&y)).map(|(a, b)| (a - b).abs()).sum::<f64>() / 500.0;
    near(wasserstein(&x, &y).unwrap(), slow, 1e-12);
    let below = |v: &[f64], t: f64| v.iter().filter(|x| **x <= t).count() as f64 / v.len() as f64;
    let slow = x.iter().chain(&y).map(|t| (below(&x, *t) - below(&y, *t)).abs()).fold(0.0, f64::max);
    near(ks(&x, &y).unwrap(), slow, 1e-12);
    // Each value five times is the same distribution.
    let often: Vec<f64> = y.iter().flat_map(|v| [*v; 5]).collect();
    near(wasserstein(&x, &often).unwrap(), wasserstein(&x, &y).unwrap(), 1e-12);
}

#[test]
fn cross_products_are_right() {
    let (x, y) = (directions(700, 5, 1), directions(700, 140, 2));
    let (x, y) = (rows(&x, 5), rows(&y, 140));
    let keep: Vec<usize> = (0..700).filter(|i| i % 7 != 3).collect();
    let (x_mean, y_mean) = (Centered::mean(x, &keep), Centered::mean(y, &keep));
    let x = Centered { rows: x, keep: &keep, center: &x_mean };
    let y = Centered { rows: y, keep: &keep, center: &y_mean };
    for (a, b) in [(&x, &y), (&y, &x), (&y, &y)] {
        let fast = cross(a, b);
        fast.iter().zip(cross_reference(a, b)).for_each(|(p, q)| near(*p, q, 1e-12));
        assert_eq!(fast, in_pool(3, || cross(a, b)));
    }
    let square: f64 = y.blocks().flatten().map(|v| v * v).sum();
    near(misfit(&x, &vec![0.0; 5 * 140], &y), square, 1e-9);
}

#[test]
fn polar_factors_are_orthogonal_and_leave_a_symmetric_rest() {
    let mut rng = Rng::new(0, "test polar");
    for (d, decades) in [(1, 0.0), (2, 0.0), (7, 3.0), (40, 6.0), (40, 10.0), (130, 4.0)] {
        // Columns of falling size: an ill-conditioned matrix.
        let fall = |j: usize| 10f64.powf(-decades * j as f64 / d as f64);
        let m: Vec<f64> = (0..d * d).map(|at| rng.normal() * fall(at % d)).collect();
        let r = polar(&m, d).unwrap();
        let entry = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| (0..d).map(|k| a(k) * b(k)).sum::<f64>();
        for i in 0..d {
            for j in 0..=i {
                let one = f64::from(u8::from(i == j));
                near(entry(&|k| r[k * d + i], &|k| r[k * d + j]), one, 1e-11);
                let rest = entry(&|k| r[k * d + i], &|k| m[k * d + j]);
                near(rest, entry(&|k| r[k * d + j], &|k| m[k * d + i]), 1e-9);
            }
            assert!(entry(&|k| r[k * d + i], &|k| m[k * d + i]) > 0.0, "positive definite");
        }
    }
    assert_eq!(polar(&[-3.0], 1), Some(vec![-1.0]));
    assert_eq!((polar(&[0.0; 4], 2), polar(&[f64::NAN; 4], 2)), (None, None));
}

#[test]
fn a_rotation_is_undone() {
    let (n, d) = (400, 24);
    let x: Vec<f32> = directions(n, d, 1);
    let r = rotation(d, 2);
    let y: Vec<f32> = times(&x, &r, d).iter().map(|v| v + 0.25).collect();
    let found = procrustes(rows(&x, d), rows(&y, d), &AlignOptions::default()).unwrap();
    found.rotation.iter().zip(&r).for_each(|(a, b)| near(f64::from(*a), f64::from(*b), 1e-6));
    assert!(found.residual.unwrap() < 1e-5 && found.invalid == 0);
    near(cka(rows(&x, d), rows(&y, d)).unwrap().unwrap(), 1.0, 1e-5);
    // A dictionary in both bases: the raw match drops to chance, the aligned one is perfect.
    let w = directions(60, d, 3);
    let turned = times(&w, &r, d);
    let aligned = times(&w, &found.rotation, d);
    near(mmcs(rows(&aligned, d), rows(&turned, d), Sign::Signed).unwrap().unwrap(), 1.0, 1e-9);
    assert!(mmcs(rows(&w, d), rows(&turned, d), Sign::Signed).unwrap().unwrap() < 0.6);
    let again = in_pool(3, || procrustes(rows(&x, d), rows(&y, d), &AlignOptions::default()).unwrap());
    assert_eq!(again, found);
    // Without centering the shift counts.
    let raw = procrustes(rows(&x, d), rows(&y, d), &AlignOptions { center: false }).unwrap();
    assert!(raw.residual.unwrap() > 0.1);
}

#[test]
fn where_rows_say_nothing_nothing_turns() {
    let d = 6;
    let off = |r: &[f32]| {
        r.iter().enumerate().map(|(at, v)| (v - f32::from(u8::from(at % (d + 1) == 0))).abs()).fold(0.0, f32::max)
    };
    // One row, constant rows, coordinates that are always 0: still an orthogonal matrix.
    let constant = vec![2.0; 5 * d];
    let found = procrustes(rows(&constant, d), rows(&constant, d), &AlignOptions::default()).unwrap();
    assert!(off(&found.rotation) < 0.3 && found.residual.is_none() && found.distance == 0.0);
    let plane: Vec<f32> = directions(50, 2, 1).chunks(2).flat_map(|p| [p[0], p[1], 0.0, 0.0, 0.0, 0.0]).collect();
    let turned: Vec<f32> = plane.chunks(d).flat_map(|p| [-p[1], p[0], 0.0, 0.0, 0.0, 0.0]).collect();
    let found = procrustes(rows(&plane, d), rows(&turned, d), &AlignOptions { center: false }).unwrap();
    near(f64::from(found.rotation[1]), 1.0, 1e-6);
    near(f64::from(found.rotation[d]), -1.0, 1e-6);
    assert!(found.residual.unwrap() < 1e-6);
    for i in 0..d {
        let row = &found.rotation[i * d..(i + 1) * d];
        near(row.iter().map(|v| f64::from(*v).powi(2)).sum(), 1.0, 1e-6);
        assert!(i < 2 || row[i] > 0.8, "turned as little as it must");
    }
    let mut broken = plane.clone();
    broken[3] = f32::INFINITY;
    assert_eq!(procrustes(rows(&broken, d), rows(&turned, d), &AlignOptions::default()).unwrap().invalid, 1);
    let error = procrustes(rows(&plane, d), rows(&turned[d..], d), &AlignOptions::default()).unwrap_err();
    assert_eq!(error.code, Code::ShapeMismatch);
    let nothing = vec![f32::NAN; d];
    let error = procrustes(rows(&nothing, d), rows(&nothing, d), &AlignOptions::default()).unwrap_err();
    assert_eq!(error.code, Code::OutOfRange);
}

#[test]
fn cka_of_closed_forms() {
    // Centered already; XᵀX = diag(2, 2), YᵀY = diag(8, 0): |YᵀX|² = 16 over 2 sqrt(2) * 8.
    let x = [1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
    let y = [2.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    near(cka(rows(&x, 2), rows(&y, 2)).unwrap().unwrap(), 16.0 / (8f64.sqrt() * 8.0), 1e-12);
    near(cka(rows(&x, 2), rows(&x, 2)).unwrap().unwrap(), 1.0, 1e-12);
    assert_eq!(cka(rows(&x, 2), rows(&[0.3; 8], 2)).unwrap(), None);
    assert_eq!(cka(rows(&x[..2], 2), rows(&y[..2], 2)).unwrap(), None);
    assert_eq!(cka(rows(&[], 2), rows(&[], 2)).unwrap(), None);
    let wide = directions(4, 5, 1);
    assert!((0.0..=1.0 + 1e-12).contains(&cka(rows(&x, 2), rows(&wide, 5)).unwrap().unwrap()));
    assert!(cka(rows(&x, 2), rows(&wide[5..], 5)).is_err());
}

fn sae(n: usize, d: usize, seed: u64) -> Sae {
    let config = Config {
        architecture: "relu".into(),
        d_in: d,
        d_sae: n,
        hook_name: String::new(),
        model_name: String::new(),
        context_size: None,
        decoder_norm: DecoderNorm::Unit,
        apply_b_dec_to_input: true,
        normalize_activations: "none".into(),
        training: serde_json::Value::Null,
        metadata: Default::default(),
        other: Default::default(),
    };
    let w = directions(n, d, seed);
    Sae::new(config, saerun::sae::Activation::Relu, w.clone(), vec![-0.3; n], w, vec![0.0; d]).unwrap()
}

#[test]
fn activations_match_across_bases() {
    let (n, d, tokens) = (30, 8, 500);
    let mut s = sae(n, d, 1);
    // One latent never fires, one always does to the same height.
    s.b_enc[4] = -100.0;
    s.w_enc[9 * d..10 * d].fill(0.0);
    s.b_enc[9] = 0.5;
    let mut rng = Rng::new(2, "test tokens");
    let mut x = vec![0.0; tokens * d];
    rng.fill_normal(&mut x, 1.0);
    let order = Rng::new(3, "test").permutation(n);
    let r = rotation(d, 4);
    let mut t = s.clone();
    t.w_enc = times(&reordered(&s.w_enc, d, &order), &r, d);
    t.b_enc = order.iter().map(|i| s.b_enc[*i as usize]).collect();
    let (x, y) = (x.clone(), times(&x, &r, d));
    let of = |rows: &[f32]| Activations::from_rows(rows.to_vec(), d, "").unwrap();
    let m = activation_matching(&s, &of(&x), &t, &of(&y), &Silent).unwrap();
    assert_eq!((m.invalid, m.pairs.len()), (Sides { a: 2, b: 2 }, n - 2));
    assert!(m.pairs.iter().all(|p| order[p.b] as usize == p.a && p.similarity > 1.0 - 1e-6));
    // Against dense Pearson correlations, for SAEs of different sizes.
    let other = sae(17, d, 7);
    let m = activation_matching(&s, &of(&x), &other, &of(&x), &Silent).unwrap();
    assert_eq!((m.pairs.len(), m.unmatched), (17, Sides { a: 11, b: 0 }));
    let dense = |sae: &Sae| saerun::sae::encode(sae, &x).unwrap().to_dense();
    let (f, g) = (dense(&s), dense(&other));
    let column =
        |all: &[f32], n: usize, i: usize| all.iter().skip(i).step_by(n).map(|v| f64::from(*v)).collect::<Vec<_>>();
    let pearson = |a: &[f64], b: &[f64]| {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (p, q) = (mean(a), mean(b));
        let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| f(x - p, y - q)).sum::<f64>();
        sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
    };
    let kept: Vec<usize> = (0..n).filter(|i| ![4, 9].contains(i)).collect();
    let all = |i: usize, j: usize| pearson(&column(&f, n, i), &column(&g, 17, j));
    m.pairs.iter().for_each(|p| near(p.similarity, all(p.a, p.b), 1e-12));
    let scores: Vec<f32> =
        (0..17).flat_map(|j| kept.iter().map(move |i| (j, *i))).map(|(j, i)| all(i, j) as f32).collect();
    near(m.pairs.iter().map(|p| p.similarity).sum(), hungarian_sum(&scores, 17, kept.len()), 1e-5);
    let short = of(&x[..d * 10]);
    assert_eq!(activation_matching(&s, &of(&x), &t, &short, &Silent).unwrap_err().code, Code::ShapeMismatch);
    let narrow = Activations::from_rows(x[..tokens * 4].to_vec(), 4, "").unwrap();
    assert_eq!(activation_matching(&s, &narrow, &t, &narrow, &Silent).unwrap_err().code, Code::ShapeMismatch);
}
