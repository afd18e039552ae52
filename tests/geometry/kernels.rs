//! The kernels against their references, and the same bits at any thread count.

use saerun::geometry::{nearest_neighbors, peaks, summary};
use saerun::ops::frame::{eigenvalues, frame, frame_reference};
use saerun::ops::nearest::{nearest, nearest_two, nearest_two_reference};
use saerun::ops::pairs::{pairs, pairs_reference, sign_pull, sign_pull_reference};
use saerun::ops::unit::UnitRows;
use saerun::ops::{Rows, Sign};
use saerun::rng::Rng;

use super::near;

/// Random rows of uneven length, with duplicates, near-duplicates, opposites and invalid rows among them.
fn awkward(n: usize, d: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, "awkward");
    let mut data = vec![0.0f32; n * d];
    rng.fill_normal(&mut data, 1.0);
    for i in (7..n).step_by(7) {
        let source = rng.below(i);
        let factor = [1.0f32, 2.0, -0.5, 1e20][i % 4];
        for c in 0..d {
            let noise = if i % 3 == 0 { 1e-7 } else { 0.0 };
            data[i * d + c] = factor * data[source * d + c] * (1.0 + noise * c as f32);
        }
    }
    if n > 20 {
        data[11 * d..12 * d].fill(0.0);
        data[13 * d] = f32::NAN;
    }
    data
}

#[test]
fn nearest_neighbors_equal_the_reference() {
    for (n, d) in [(2, 1), (3, 2), (25, 4), (511, 16), (512, 16), (513, 3), (1300, 32), (700, 2)] {
        let data = awkward(n, d, n as u64);
        let unit = UnitRows::new(Rows::new(&data, n, d).unwrap(), None);
        for sign in [Sign::Signed, Sign::Abs] {
            let expected = nearest_two_reference(&unit, sign);
            assert_eq!(nearest_two(&unit, sign), expected, "{n} x {d} {sign:?}");
            for (fast, slow) in nearest(&unit, sign).iter().zip(&expected) {
                near(sign.of(fast.cos), sign.of(slow.first.cos), 2e-6);
            }
        }
    }
}

#[test]
fn pair_sums_equal_the_reference() {
    for (n, d) in [(2, 3), (40, 5), (600, 8)] {
        let data = awkward(n, d, 3);
        let unit = UnitRows::new(Rows::new(&data, n, d).unwrap(), None);
        let (fast, slow) = (pairs(&unit).unwrap(), pairs_reference(&unit).unwrap());
        near(fast.sum_abs, slow.sum_abs, 1e-6 * slow.sum_abs);
        near(fast.min_cos, slow.min_cos, 1e-6);
        for (a, b) in frame(&unit).iter().zip(frame_reference(&unit)) {
            near(*a, b, 1e-9);
        }
    }
    // No cosine near zero here, where the sign would be rounding's.
    let data = Rng::new(5, "test").directions(600, 4);
    let unit = UnitRows::new(Rows::new(&data, 600, 4).unwrap(), None);
    for (a, b) in sign_pull(&unit).iter().zip(sign_pull_reference(&unit)) {
        near(f64::from(*a), b, 1e-2);
    }
}

#[test]
fn eigenvalues_of_known_matrices() {
    // The path graph's second difference: 2 - 2 cos(k pi / (n + 1)).
    let n = 60;
    let mut a = vec![0.0; n * n];
    for i in 0..n {
        a[i * n + i] = 2.0;
        if i > 0 {
            (a[i * n + i - 1], a[(i - 1) * n + i]) = (-1.0, -1.0);
        }
    }
    for (k, l) in eigenvalues(&a, n).iter().rev().enumerate() {
        let angle = (k + 1) as f64 * std::f64::consts::PI / (n + 1) as f64;
        near(*l, 2.0 - 2.0 * angle.cos(), 1e-13);
    }
    // Q diag Q with Q a reflection; repeated and zero eigenvalues.
    let known = [9.0, 4.0, 4.0, 1.0, 0.0, 0.0, -3.0];
    let n = known.len();
    let v: Vec<f64> = (1..=n).map(|i| (i as f64).sin()).collect();
    let vv: f64 = v.iter().map(|x| x * x).sum();
    let q = |i: usize, j: usize| f64::from(i == j) - 2.0 * v[i] * v[j] / vv;
    let a: Vec<f64> = (0..n * n).map(|ij| (0..n).map(|k| q(ij / n, k) * known[k] * q(ij % n, k)).sum()).collect();
    eigenvalues(&a, n).iter().zip(known).for_each(|(l, k)| near(*l, k, 1e-13));
    assert_eq!(eigenvalues(&[], 0), Vec::<f64>::new());
    assert_eq!(eigenvalues(&[5.0], 1), vec![5.0]);
    assert_eq!(eigenvalues(&[0.0; 9], 3), vec![0.0; 3]);
    // A large one: trace and squares are kept.
    let data = Rng::new(2, "test").directions(700, 300);
    let unit = UnitRows::new(Rows::new(&data, 700, 300).unwrap(), None);
    let s = frame(&unit);
    let l = eigenvalues(&s, 300);
    near(l.iter().sum(), 700.0, 1e-8);
    near(l.iter().map(|x| x * x).sum(), s.iter().map(|x| x * x).sum(), 1e-7);
}

#[test]
fn threads_change_no_bit() {
    let data = awkward(1700, 24, 9);
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let w = Rows::new(&data, 1700, 24).unwrap();
            let found = nearest_neighbors(w, Sign::Abs);
            let peaks = peaks(&found, &Default::default()).unwrap();
            (found, format!("{:?} {peaks:?}", summary(w)), nearest(&UnitRows::new(w, None), Sign::Signed))
        })
    };
    let one = run(1);
    assert!((0..3).all(|_| run(2) == one));
}

#[test]
fn rotation_permutation_and_scale_leave_the_geometry() {
    let (n, d) = (600, 24);
    let data = Rng::new(4, "test").directions(n, d);
    let before = summary(Rows::new(&data, n, d).unwrap());
    let v = Rng::new(5, "test").directions(1, d);
    let mut other = vec![0.0f32; n * d];
    for (i, row) in data.chunks_exact(d).enumerate() {
        // A reflection, the rows backwards, each at its own length.
        let along: f32 = 2.0 * row.iter().zip(&v).map(|(a, b)| a * b).sum::<f32>();
        let out = &mut other[(n - 1 - i) * d..(n - i) * d];
        out.iter_mut().zip(row.iter().zip(&v)).for_each(|(o, (a, b))| *o = (a - along * b) * (1.0 + i as f32));
    }
    let after = summary(Rows::new(&other, n, d).unwrap());
    for (a, b) in [
        (before.mean_cos, after.mean_cos),
        (before.mean_abs_cos, after.mean_abs_cos),
        (before.rms_cos, after.rms_cos),
        (before.mean_max_cos, after.mean_max_cos),
        (before.coherence, after.coherence),
        (before.min_cos, after.min_cos),
    ] {
        near(a.unwrap(), b.unwrap(), 1e-6);
    }
    near(before.effective_rank.unwrap(), after.effective_rank.unwrap(), 1e-4);
}
