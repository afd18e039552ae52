//! Tests of `synthetic`: the law of the toy, and the scores of dictionaries that are known to be right or wrong.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use saerun::activations::Source;
use saerun::error::Code;
use saerun::ops::Rows;
use saerun::progress::Silent;
use saerun::rng::Rng;
use saerun::synthetic::*;

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} within {tolerance}");
}

fn options() -> SuperpositionOptions {
    SuperpositionOptions { features: 64, d: 16, tokens: 40_000, ..Default::default() }
}

fn toy(options: SuperpositionOptions) -> Arc<Superposition> {
    Arc::new(Superposition::new(options, None).unwrap())
}

/// On which tokens each feature fires.
fn firings(toy: &Superposition, tokens: usize, features: usize) -> Vec<Vec<bool>> {
    let mut fires = vec![vec![false; tokens]; features];
    (0..tokens).for_each(|t| {
        for (i, _) in toy.active(t) {
            assert!(!std::mem::replace(&mut fires[i][t], true), "a feature fires once");
        }
    });
    fires
}

fn share(flags: &[bool]) -> f64 {
    flags.iter().filter(|f| **f).count() as f64 / flags.len() as f64
}

/// Each feature fires as often as it should, within five standard deviations.
fn check_rates(toy: &Superposition, fires: &[Vec<bool>]) {
    for (flags, rate) in fires.iter().zip(&toy.rates) {
        near(share(flags), *rate, 5.0 * (rate * (1.0 - rate) / flags.len() as f64).sqrt() + 1e-9);
    }
}

#[test]
fn features_fire_as_often_as_they_should() {
    let o = options();
    let plain = toy(o.clone());
    near(plain.rates.iter().sum(), 5.0, 1e-9);
    near(plain.rates[1] / plain.rates[0], o.decay(), 1e-12);
    near(o.decay().powi(64), 0.99f64.powi(512), 1e-12);
    let fires = firings(&plain, o.tokens, 64);
    check_rates(&plain, &fires);
    // Independent: pairs meet as often as the product says.
    let both = (0..o.tokens).filter(|t| fires[0][*t] && fires[1][*t]).count() as f64 / o.tokens as f64;
    near(both, plain.rates[0] * plain.rates[1], 0.005);
    // The commonest cannot fire more than always.
    let full = toy(SuperpositionOptions { active: 20.0, decay: Some(0.8), tokens: 20_000, ..options() });
    near(full.rates.iter().sum(), 20.0, 1e-9);
    assert!(full.rates[..5].iter().all(|p| *p == 1.0) && full.rates.iter().all(|p| *p <= 1.0));
    check_rates(&full, &firings(&full, 20_000, 64));
    // All of them at once, and all alike.
    let all = toy(SuperpositionOptions { active: 64.0, decay: Some(1.0), tokens: 10, ..options() });
    assert!(all.rates.iter().all(|p| *p == 1.0) && (0..10).all(|t| all.active(t).len() == 64));
}

#[test]
fn correlated_features_keep_their_rates() {
    let o = SuperpositionOptions { correlation: 0.5, correlation_rank: 1, decay: Some(0.98), ..options() };
    let fires = {
        let toy = toy(o.clone());
        let fires = firings(&toy, o.tokens, 64);
        check_rates(&toy, &fires);
        fires
    };
    // With one common factor every loading is 1 or -1: half of the pairs fire together more often than by chance, half less.
    let meet = |i: usize, j: usize| {
        let both = (0..o.tokens).filter(|t| fires[i][*t] && fires[j][*t]).count() as f64 / o.tokens as f64;
        both / (share(&fires[i]) * share(&fires[j]))
    };
    let ratios: Vec<f64> = (1..20).map(|j| meet(0, j)).collect();
    assert!(ratios.iter().all(|r| *r < 0.6 || *r > 1.8), "{ratios:?}");
    assert!(ratios.iter().any(|r| *r < 0.6) && ratios.iter().any(|r| *r > 1.8), "{ratios:?}");
}

#[test]
fn children_fire_only_with_their_parents() {
    for (exclusive, correlation) in [(false, 0.0), (true, 0.0), (false, 0.4), (true, 0.4)] {
        let o = SuperpositionOptions { trees: 3, branching: 2, depth: 2, exclusive, correlation, ..options() };
        let toy = toy(o.clone());
        let parents = &toy.parents;
        assert_eq!(
            (parents[2], parents[3], parents[8], parents[9], parents[20]),
            (None, Some(0), Some(2), Some(3), Some(8))
        );
        assert_eq!(parents[21], None);
        near(toy.rates.iter().sum(), 5.0, 1e-9);
        let fires = firings(&toy, o.tokens, 64);
        if correlation == 0.0 {
            check_rates(&toy, &fires);
        }
        (0..o.tokens).for_each(|t| {
            for i in (0..64).filter(|i| fires[*i][t]) {
                assert!(parents[i].is_none_or(|p| fires[p][t]), "feature {i} on token {t}");
            }
            let children = |p: usize| (0..64).filter(|i| parents[*i] == Some(p) && fires[*i][t]).count();
            assert!(!exclusive || (0..9).all(|p| children(p) <= 1), "token {t}");
        });
    }
}

#[test]
fn rows_are_sums_of_features_whatever_is_read() {
    let o = SuperpositionOptions { tokens: 700, strength_min: 0.5, strength_max: 2.0, ..options() };
    let toy = toy(o.clone());
    let a = toy.activations().unwrap();
    assert_eq!((a.len(), a.d_in()), (700, 16));
    let mut rows = vec![0.0; 700 * 16];
    a.read(0, &mut rows).unwrap();
    let mut strengths = Vec::new();
    for (t, row) in rows.chunks_exact(16).enumerate() {
        let mut sum = [0.0f64; 16];
        for (i, strength) in toy.active(t) {
            strengths.push(strength);
            let feature = &toy.features[i * 16..(i + 1) * 16];
            sum.iter_mut().zip(feature).for_each(|(s, x)| *s += strength * f64::from(*x));
        }
        row.iter().zip(sum).for_each(|(x, y)| near(f64::from(*x), y, 1e-5));
    }
    assert!(strengths.iter().all(|s| (0.5..2.0).contains(s)));
    near(strengths.iter().sum::<f64>() / strengths.len() as f64, 1.25, 0.05);
    // Read in the middle, by other threads: the same bits.
    for (from, count) in [(0, 1), (3, 300), (255, 2), (699, 1)] {
        let mut part = vec![0.0; count * 16];
        toy.read(from, &mut part);
        assert_eq!(part, rows[from * 16..(from + count) * 16]);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let mut again = vec![0.0; 700 * 16];
    pool.install(|| toy.read(0, &mut again));
    assert_eq!(again, rows);
    // Noise comes on top and moves no firing.
    let noisy = Arc::new(Superposition::new(SuperpositionOptions { noise: 0.1, ..o.clone() }, None).unwrap());
    let mut other = vec![0.0; 700 * 16];
    noisy.read(0, &mut other);
    let square = rows.iter().zip(&other).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>() / rows.len() as f64;
    near(square.sqrt(), 0.1, 0.003);
    // Another seed, other rows.
    let other = Superposition::new(SuperpositionOptions { seed: 1, ..o }, None).unwrap();
    assert_ne!(other.features, toy.features);
    assert_ne!(other.active(0), toy.active(0));
}

#[test]
fn more_rows_than_memory_are_made_when_they_are_read() {
    let o = SuperpositionOptions { tokens: 1 << 40, ..options() };
    let (large, small) = (toy(o.clone()), toy(options()));
    let (a, b) = (large.activations().unwrap(), small.activations().unwrap());
    assert_eq!(a.len(), 1 << 40);
    let (mut x, mut y) = (vec![0.0; 160], vec![0.0; 160]);
    a.read(100, &mut x).unwrap();
    b.read(100, &mut y).unwrap();
    assert_eq!(x, y);
    a.read((1 << 40) - 10, &mut x).unwrap();
    assert!(x.iter().all(|v| v.is_finite()) && x != y);
    assert!(a.read((1 << 40) - 9, &mut x).is_err());
    assert_eq!(a.digest().unwrap(), toy(o.clone()).activations().unwrap().digest().unwrap());
    let other = toy(SuperpositionOptions { active: 4.0, ..o });
    assert_ne!(a.digest().unwrap(), other.activations().unwrap().digest().unwrap());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let o = options();
    for bad in [
        SuperpositionOptions { features: 0, ..o.clone() },
        SuperpositionOptions { tokens: 0, ..o.clone() },
        SuperpositionOptions { active: 0.0, ..o.clone() },
        SuperpositionOptions { active: 65.0, ..o.clone() },
        SuperpositionOptions { decay: Some(1.5), ..o.clone() },
        SuperpositionOptions { strength_min: 2.0, ..o.clone() },
        SuperpositionOptions { noise: -1.0, ..o.clone() },
        SuperpositionOptions { correlation: 1.0, ..o.clone() },
        SuperpositionOptions { correlation: 0.1, correlation_rank: 0, ..o.clone() },
        SuperpositionOptions { trees: 10, ..o.clone() },
        SuperpositionOptions { trees: 1, branching: 0, ..o.clone() },
        SuperpositionOptions { trees: usize::MAX, ..o.clone() },
        SuperpositionOptions { trees: 16, depth: 1, branching: 3, exclusive: true, active: 60.0, ..o.clone() },
    ] {
        let error = Superposition::new(bad.clone(), None).err().unwrap_or_else(|| panic!("{bad:?}"));
        assert_eq!(error.code, Code::OutOfRange, "{bad:?}");
    }
    assert_eq!(Superposition::new(o.clone(), Some(vec![1.0; 3])).err().unwrap().code, Code::ShapeMismatch);
    assert!(Superposition::new(o.clone(), Some(vec![f32::NAN; 64 * 16])).is_err());
    let own = Superposition::new(o, Some(vec![1.0; 64 * 16])).unwrap();
    assert_eq!(own.features, vec![1.0; 64 * 16]);
}

fn scores(w: &[f32], truth: &[f32], d: usize) -> Recovery {
    let rows = |data| Rows::new(data, data.len() / d, d).unwrap();
    recovery(rows(w), rows(truth), &Silent).unwrap()
}

#[test]
fn a_permuted_truth_is_recovered() {
    let (n, d) = (200, 32);
    let truth = Rng::new(0, "test truth").directions(n, d);
    let order = Rng::new(1, "test").permutation(n);
    let w: Vec<f32> = order.iter().flat_map(|&i| truth[i as usize * d..(i as usize + 1) * d].to_vec()).collect();
    let found = scores(&w, &truth, d);
    for value in [found.mmcs, found.mmcs_precision, found.mcc, found.mcc_all, found.mcc_signed, found.uniqueness] {
        near(value.unwrap(), 1.0, 1e-9);
    }
    let shares = [found.recall_above_07, found.recall_above_09, found.precision_above_07, found.precision_above_09];
    assert_eq!(shares, [Some(1.0); 4]);
    // Turned round: only the absolute scores know it again.
    let minus: Vec<f32> = w.iter().map(|x| -x).collect();
    let found = scores(&minus, &truth, d);
    near(found.mcc.unwrap(), 1.0, 1e-9);
    assert_eq!(found.uniqueness, Some(1.0));
    assert!(found.mcc_signed.unwrap() < 0.7 && found.mmcs.unwrap() < 0.7);
    let axes: Vec<f32> = (0..16).map(|at| f32::from(u8::from(at % 5 == 0))).collect();
    let minus: Vec<f32> = axes.iter().map(|x| -x).collect();
    assert!(scores(&minus, &axes, 4).mcc_signed.unwrap() <= 0.0);
}

#[test]
fn duplicates_and_merged_features_show() {
    let axes: Vec<f32> = (0..16).map(|at| f32::from(u8::from(at % 5 == 0))).collect();
    // Two latents on one feature: each latent is right, and three features are missed.
    let twice = [1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0];
    let found = scores(&twice, &axes, 4);
    assert_eq!((found.mmcs_precision, found.uniqueness, found.mmcs), (Some(1.0), Some(0.5), Some(0.25)));
    assert_eq!((found.mcc, found.mcc_all), (Some(0.5), Some(0.25)));
    assert_eq!((found.recall_above_07, found.precision_above_09), (Some(0.25), Some(1.0)));
    // A merged pair: above 0.7, below 0.9.
    let merged = [1.0, 1.0, 0.0, 0.0];
    let found = scores(&merged, &axes[..8], 4);
    near(found.mmcs.unwrap(), 0.5f64.sqrt(), 1e-12);
    near(found.mcc.unwrap(), std::f64::consts::FRAC_1_SQRT_2, 1e-12);
    assert_eq!((found.recall_above_07, found.recall_above_09), (Some(1.0), Some(0.0)));
    // A dead latent is left out; nothing at all has no scores.
    let found = scores(&[[0.0; 4], [1.0, 0.0, 0.0, 0.0]].concat(), &axes, 4);
    assert_eq!((found.invalid, found.uniqueness, found.mmcs_precision), (1, Some(1.0), Some(1.0)));
    let none = scores(&[0.0; 4], &axes, 4);
    assert_eq!((none.mmcs, none.mcc, none.uniqueness, none.invalid), (None, None, None, 1));
}

#[test]
fn the_script_on_true_features_runs_in_small() {
    let project = tempfile::tempdir().expect("a project");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/true_features.rhai");
    fs::copy(script, project.path().join("job.rhai")).expect("the script");
    let run = Command::new(env!("CARGO_BIN_EXE_saerun"))
        .current_dir(project.path())
        .args(["job.rhai", "--set", "size=smoke"])
        .output()
        .expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let left = |name: &str| fs::read_to_string(project.path().join("results/job").join(name)).expect(name);
    // Four truths, two seeds, no penalty or two penalties at two coefficients.
    assert_eq!(left("runs.csv").lines().count(), 1 + 4 * 2 * 5);
    assert_eq!(left("summary.csv").lines().count(), 1 + 4 * 4);
    assert!(left("gain.svg").contains("hierarchical"));
    assert_eq!(left("notes.md").lines().filter(|line| line.starts_with("- ")).count(), 8);
}
