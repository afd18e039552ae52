//! Tests of `geometry` and of the Gram kernels under it: closed forms, published numbers, laws.

mod kernels;
mod packing;
mod peaks;
mod reference;

use saerun::geometry::*;
use saerun::ops::{Rows, Sign};
use saerun::rng::Rng;

/// Rows of a matrix written out.
pub(crate) fn flat(rows: &[Vec<f64>]) -> (Vec<f32>, usize, usize) {
    let d = rows.first().map_or(0, Vec::len);
    (rows.iter().flatten().map(|&x| x as f32).collect(), rows.len(), d)
}

/// The regular simplex: d + 1 rows in d dimensions by recursion, all cosines -1/d.
pub(crate) fn simplex(d: usize) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; d]; d + 1];
    for k in 0..d {
        let rest = 1.0 - rows[k][..k].iter().map(|x| x * x).sum::<f64>();
        rows[k][k] = rest.sqrt();
        for i in k + 1..=d {
            let inner: f64 = (0..k).map(|c| rows[k][c] * rows[i][c]).sum();
            rows[i][k] = (-1.0 / d as f64 - inner) / rows[k][k];
        }
    }
    rows
}

/// The orthoplex: plus and minus each axis.
fn orthoplex(d: usize) -> Vec<Vec<f64>> {
    (0..2 * d).map(|i| (0..d).map(|c| if c == i / 2 { 1.0 - 2.0 * (i % 2) as f64 } else { 0.0 }).collect()).collect()
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} within {tolerance}");
}

#[test]
fn simplex_has_one_cosine() {
    for d in [1, 2, 5, 30] {
        let (data, n, d) = flat(&simplex(d));
        let w = Rows::new(&data, n, d).unwrap();
        let s = summary(w);
        let c = -1.0 / d as f64;
        for value in [s.mean_cos, s.mean_max_cos, s.max_max_cos, s.min_cos] {
            near(value.unwrap(), c, 1e-6);
        }
        for value in [s.mean_abs_cos, s.rms_cos, s.mean_max_abs_cos, s.coherence] {
            near(value.unwrap(), -c, 1e-6);
        }
        near(s.participation_ratio.unwrap(), d as f64, 1e-5);
        near(s.effective_rank.unwrap(), d as f64, 1e-5);
        near(s.stable_rank.unwrap(), d as f64, 1e-5);
        assert_eq!(s.rank, Some(d));
        near(s.frame_potential.unwrap(), (n * n) as f64 / d as f64, 1e-4);
        near(levenshtein_bound(n, d).unwrap(), c, 1e-15);
        near(welch_bound(n, d).unwrap(), -c, 1e-15);
        assert!(nearest_neighbors(w, Sign::Signed).cos.iter().all(|x| (x.unwrap() - c).abs() < 1e-6));
    }
}

#[test]
fn orthoplex_has_right_angles_and_opposites() {
    let (data, n, d) = flat(&orthoplex(4));
    let w = Rows::new(&data, n, d).unwrap();
    let signed = nearest_neighbors(w, Sign::Signed);
    assert_eq!(signed.cos, vec![Some(0.0); 8]);
    assert_eq!(signed.second_cos, vec![Some(0.0); 8]);
    // Ties go to the lowest index.
    assert_eq!(signed.index, [2, 2, 0, 0, 0, 0, 0, 0].map(Some));
    let abs = nearest_neighbors(w, Sign::Abs);
    assert_eq!(abs.cos, vec![Some(1.0); 8]);
    assert_eq!(abs.index, [1, 0, 3, 2, 5, 4, 7, 6].map(Some));
    assert_eq!(abs.second_cos, vec![Some(0.0); 8]);
    let s = summary(w);
    assert_eq!((s.min_cos, s.max_max_cos, s.coherence), (Some(-1.0), Some(0.0), Some(1.0)));
    near(s.mean_cos.unwrap(), -1.0 / 7.0, 1e-12);
    near(s.mean_abs_cos.unwrap(), 1.0 / 7.0, 1e-7);
    near(s.frame_potential.unwrap(), 16.0, 1e-12);
    assert_eq!(spectrum(w).iter().map(|l| l.round()).collect::<Vec<_>>(), vec![2.0; 4]);
    assert_eq!(levenshtein_bound(8, 4).unwrap(), 0.0);
    assert_eq!(feature_dimensionality(w), vec![Some(0.5); 8]);
}

#[test]
fn feature_dimensionality_of_regular_figures() {
    let pentagon: Vec<Vec<f64>> = (0..5)
        .map(|k| {
            let angle = std::f64::consts::TAU * k as f64 / 5.0;
            vec![angle.cos(), angle.sin()]
        })
        .collect();
    let (data, n, d) = flat(&pentagon);
    let w = Rows::new(&data, n, d).unwrap();
    feature_dimensionality(w).into_iter().for_each(|x| near(x.unwrap(), 0.4, 1e-6));
    nearest_neighbors(w, Sign::Signed).cos.iter().for_each(|c| near(c.unwrap(), 0.309_017, 1e-6));
    let (data, n, d) = flat(&simplex(4));
    feature_dimensionality(Rows::new(&data, n, d).unwrap()).into_iter().for_each(|x| near(x.unwrap(), 0.8, 1e-6));
}

#[test]
fn equal_rows_have_cosine_one_with_the_first() {
    // Multiples by powers of two are exact, so these are equal directions at different lengths.
    let rows: Vec<Vec<f64>> = (0..12).map(|i| [0.3, -0.7, 0.2].map(|x| x * f64::from(1 << i)).to_vec()).collect();
    let (data, n, d) = flat(&rows);
    let w = Rows::new(&data, n, d).unwrap();
    let found = nearest_neighbors(w, Sign::Signed);
    assert!(found.cos.iter().all(|c| (c.unwrap() - 1.0).abs() < 1e-12));
    assert_eq!(found.index, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].map(Some));
    assert_eq!(summary(w).rank, Some(1));
    near(summary(w).participation_ratio.unwrap(), 1.0, 1e-9);
    let shared = hubs(&found, &HubsOptions::default()).unwrap();
    assert_eq!(
        (shared.verdict, shared.top_index, shared.distinct, shared.components),
        (Verdict::OneNeighbor, Some(0), 2, 1)
    );
    assert_eq!(shared.in_degree[0], 11);
}

#[test]
fn zero_and_non_finite_rows_are_listed_and_left_out() {
    let data = [1.0, 0.0, 0.0, 0.0, f32::NAN, 1.0, 1e30, 1e30, f32::INFINITY, 0.0, 0.0, 1e-30];
    let w = Rows::new(&data, 6, 2).unwrap();
    let found = nearest_neighbors(w, Sign::Signed);
    assert_eq!((found.invalid.clone(), found.n), (vec![1, 2, 4], 3));
    assert_eq!(found.index, [Some(3), None, None, Some(0), None, Some(3)]);
    near(found.cos[5].unwrap(), 0.5f64.sqrt(), 1e-12);
    assert_eq!(found.cos[1], None);
    let s = summary(w);
    assert_eq!((s.n, s.d, s.invalid, s.rank), (3, 2, 3, Some(2)));
    near(s.mean_cos.unwrap(), 2.0 * 2.0 * 0.5f64.sqrt() / 6.0, 1e-12);
    assert_eq!(feature_dimensionality(w)[2], None);
    assert_eq!(hubs(&found, &HubsOptions::default()).unwrap().count, 3);
}

#[test]
fn one_row_and_no_rows_have_no_pairs() {
    let one = [3.0f32, 4.0];
    let w = Rows::new(&one, 1, 2).unwrap();
    let found = nearest_neighbors(w, Sign::Signed);
    assert_eq!((found.cos, found.index, found.second_cos, found.n), (vec![None], vec![None], vec![None], 1));
    let s = summary(w);
    assert_eq!((s.mean_cos, s.min_cos, s.rank), (None, None, Some(1)));
    near(s.frame_potential.unwrap(), 1.0, 1e-12);
    for (data, n, d) in [(vec![], 0, 3), (vec![], 0, 0), (vec![0.0f32; 6], 2, 3)] {
        let w = Rows::new(&data, n, d).unwrap();
        let found = nearest_neighbors(w, Sign::Abs);
        assert_eq!((found.n, found.invalid.len()), (0, n));
        let s = summary(w);
        assert_eq!((s.n, s.rank, s.frame_potential, s.stable_rank), (0, None, None, None));
        assert!(peaks(&found, &PeakOptions::default()).unwrap().is_empty());
        let shared = hubs(&found, &HubsOptions::default()).unwrap();
        assert_eq!((shared.count, shared.top_share, shared.p_value), (0, None, None));
        assert_eq!(spectrum(w), vec![0.0; d]);
    }
    let two = [1.0f32, 0.0, 0.0, 1.0];
    let found = nearest_neighbors(Rows::new(&two, 2, 2).unwrap(), Sign::Signed);
    assert_eq!((found.index, found.second_cos), (vec![Some(1), Some(0)], vec![None, None]));
}

/// Rows on their own axes, each leaning on a hub's axis so that its cosine with the hub is `c`.
fn leaning(hubs: usize, leaves: usize, c: f64) -> Vec<Vec<f64>> {
    let d = hubs * (leaves + 1);
    let mut rows = Vec::new();
    for h in 0..hubs {
        let mut hub = vec![0.0; d];
        hub[h * (leaves + 1)] = 1.0;
        rows.push(hub.clone());
        for leaf in 1..=leaves {
            let mut row: Vec<f64> = hub.iter().map(|x| x * c).collect();
            row[h * (leaves + 1) + leaf] = (1.0 - c * c).sqrt();
            rows.push(row);
        }
    }
    rows
}

#[test]
fn planted_hubs_and_pairs_are_told_apart() {
    let verdict = |rows: &[Vec<f64>]| {
        let (data, n, d) = flat(rows);
        hubs(&nearest_neighbors(Rows::new(&data, n, d).unwrap(), Sign::Signed), &HubsOptions::default()).unwrap()
    };
    let one = verdict(&leaning(1, 40, 0.3));
    assert_eq!((one.verdict, one.top_index, one.in_degree[0], one.distinct), (Verdict::OneNeighbor, Some(0), 40, 2));
    assert!(one.p_value.unwrap() < 1e-40 && one.p_value.unwrap() > 0.0);
    near(one.simpson_number.unwrap(), 41.0 * 41.0 / (1600.0 + 1.0), 1e-12);
    near(one.antihub_rate.unwrap(), 39.0 / 41.0, 1e-12);
    let few = verdict(&leaning(3, 80, 0.3));
    assert_eq!((few.verdict, few.components), (Verdict::FewHubs, 3));
    let pairs = verdict(&leaning(20, 1, 0.3));
    assert_eq!((pairs.verdict, pairs.components, pairs.reciprocity), (Verdict::Pairs, 20, Some(1.0)));
    assert_eq!(
        (pairs.gini, pairs.robin_hood, pairs.skewness, pairs.antihub_rate),
        (Some(0.0), Some(0.0), Some(0.0), Some(0.0))
    );
    near(pairs.effective_number.unwrap(), 40.0, 1e-9);
    // A window that holds the leaves of one hub only.
    let mut rows = leaning(1, 10, 0.5);
    rows.iter_mut().for_each(|row| row.resize(11 + 40, 0.0));
    for k in 0..20 {
        for (a, b) in [(1.0, 0.0), (0.05, 0.9987f64)] {
            let mut row = vec![0.0; 51];
            (row[11 + 2 * k], row[12 + 2 * k]) = (a, b);
            rows.push(row);
        }
    }
    let (data, n, d) = flat(&rows);
    let found = nearest_neighbors(Rows::new(&data, n, d).unwrap(), Sign::Signed);
    let high = hubs(&found, &HubsOptions { from: Some(0.45), to: None }).unwrap();
    assert_eq!((high.count, high.verdict, high.top_index), (11, Verdict::OneNeighbor, Some(0)));
    let low = hubs(&found, &HubsOptions { from: Some(0.04), to: Some(0.06) }).unwrap();
    assert_eq!((low.count, low.verdict, low.components), (40, Verdict::Pairs, 20));
    assert_eq!(hubs(&found, &HubsOptions { from: Some(0.9), to: None }).unwrap().count, 0);
    assert!(hubs(&found, &HubsOptions { from: Some(0.9), to: Some(0.1) }).is_err());
}

#[test]
fn random_directions_share_like_the_null() {
    let data = Rng::new(1, "test").directions(3000, 256);
    let w = Rows::new(&data, 3000, 256).unwrap();
    let found = nearest_neighbors(w, Sign::Signed);
    let shared = hubs(&found, &HubsOptions::default()).unwrap();
    assert_eq!(shared.verdict, Verdict::NoSharing);
    near(shared.antihub_rate.unwrap(), 0.367_879, 0.03);
    near(shared.gini.unwrap(), 0.523_778, 0.03);
    near(shared.robin_hood.unwrap(), 0.367_879, 0.03);
    near(shared.reciprocity.unwrap(), 0.5, 0.04);
    near(shared.effective_number.unwrap() / 3000.0, 0.563_604, 0.03);
    assert!(shared.p_value.unwrap() > 1e-3);
    // Over all rows the components are the mutual pairs.
    assert_eq!(shared.components, (0..3000).filter(|&i| found.is_mutual(i)).count() / 2);
    let null = random_null(3000, 256, Sign::Signed).unwrap();
    near(summary(w).mean_max_cos.unwrap(), null.mean, 4.0 * null.sd / 1500f64.sqrt());
}

#[test]
fn histogram_has_fixed_edges() {
    let h = histogram(&[0.3, 0.309, 0.31, 0.05, f64::NAN, -0.001], &HistogramOptions::default()).unwrap();
    assert_eq!((h.from[0], h.to[0], h.from.len()), (-0.01, 0.0, 33));
    assert_eq!((h.from[31], h.count[31], h.count[32], h.count[6], h.count[0]), (0.3, 2, 1, 1, 1));
    near(h.density.iter().sum::<f64>() * 0.01, 1.0, 1e-12);
    let options = HistogramOptions { bin_width: 0.25, from: Some(0.0), to: Some(1.0) };
    let h = histogram(&[0.0, 0.25, 1.0, 2.0, -1.0], &options).unwrap();
    assert_eq!((h.from, h.count), (vec![0.0, 0.25, 0.5, 0.75], vec![1, 1, 0, 1]));
    assert_eq!(histogram(&[], &HistogramOptions::default()).unwrap(), Histogram::default());
    for bad in [
        HistogramOptions { bin_width: 0.0, ..Default::default() },
        HistogramOptions { bin_width: 1e-9, ..Default::default() },
        HistogramOptions { from: Some(1.0), to: Some(0.0), ..Default::default() },
    ] {
        assert!(histogram(&[0.0, 1.0], &bad).is_err(), "{bad:?}");
    }
}
