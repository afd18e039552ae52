//! Tests of `regularizer`: closed forms, finite differences, laws, autograd against the fast path.

mod kernels;
mod ortsae;
mod raw;
mod select;
mod smooth;

use std::num::NonZeroUsize;
use std::sync::Arc;

use saerun::error::{Code, Error, Result};
use saerun::ops::{Rows, Sign};
use saerun::regularizer::{
    ALL, BabelOptions, Dictionary, HingeOptions, LogSumExpOptions, Matrix, MaximumOver, NeighborGradient, Options,
    OrtsaeOptions, Regularizer, ThreeTermOptions, Which,
};
use saerun::rng::Rng;

use crate::geometry::{flat, simplex};

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} within {tolerance}");
}

fn dictionary<'a>(data: &'a [f32], n: usize, d: usize) -> Dictionary<'a> {
    let rows = Rows::new(data, n, d).unwrap();
    Dictionary { w_dec: rows, w_enc: rows, alive: None, seed: 0, step: 0 }
}

fn value(r: &Regularizer, data: &[f32], n: usize, d: usize) -> f64 {
    r.value(&dictionary(data, n, d)).unwrap()
}

fn gradient(r: &Regularizer, data: &[f32], n: usize, d: usize) -> Vec<f32> {
    let (mut dec, mut enc) = (vec![0.0; n * d], vec![0.0; n * d]);
    let total = r.add_gradient(&dictionary(data, n, d), &mut dec, &mut enc).unwrap();
    near(total, value(r, data, n, d), 0.0);
    dec
}

/// Each cosine penalty in each sign.
fn cosine_penalties() -> Vec<(String, Regularizer)> {
    let mut all = Vec::new();
    for sign in [Sign::Signed, Sign::Abs] {
        let options = Options { sign, ..Default::default() };
        all.push((format!("mean {sign:?}"), Regularizer::mean_cos(options)));
        all.push((format!("mean max {sign:?}"), Regularizer::mean_max_cos(options)));
        all.push((format!("max max {sign:?}"), Regularizer::max_max_cos(options)));
        let three = ThreeTermOptions { sign, mean_max: 2.0, coefficient: 0.5, ..Default::default() };
        all.push((format!("three {sign:?}"), Regularizer::three_term(three)));
        all.push((format!("ortsae {sign:?}"), Regularizer::ortsae(OrtsaeOptions { sign, ..Default::default() })));
        for scope in [MaximumOver::Global, MaximumOver::Row] {
            let soft = LogSumExpOptions { beta: 20.0, scope, sign, ..Default::default() };
            all.push((format!("{scope:?} soft {sign:?}"), Regularizer::log_sum_exp(soft).unwrap()));
        }
        for power in [2, 3] {
            let hinge = HingeOptions { tau: 0.1, power: NonZeroUsize::new(power).unwrap(), sign, ..Default::default() };
            all.push((format!("soft hinge {power} {sign:?}"), Regularizer::hinge(hinge).unwrap()));
        }
        let k = NonZeroUsize::MIN;
        all.push((format!("babel {sign:?}"), Regularizer::babel(BabelOptions { k, sign, ..Default::default() })));
    }
    let small = Options { coefficient: 1e-3, ..Default::default() };
    all.push(("frame potential".into(), Regularizer::frame_potential(small)));
    all
}

/// Random rows at random lengths whose two best cosines, a row, and whose cosines and zero lie well apart.
fn rows_with_margins(n: usize, d: usize, margin: f64) -> Vec<f32> {
    (0..)
        .map(|seed| {
            let mut rng = Rng::new(seed, "test regularizer");
            let mut data = rng.directions(n, d);
            data.chunks_exact_mut(d).for_each(|row| {
                let length = 0.5 + 1.5 * rng.uniform() as f32;
                row.iter_mut().for_each(|x| *x *= length);
            });
            data
        })
        .find(|data| {
            let cos = cosines(data, n, d);
            let mut tops = Vec::new();
            let apart = (0..n).all(|i| {
                [Sign::Signed, Sign::Abs].iter().all(|sign| {
                    let mut row: Vec<f64> = (0..n).filter(|&j| j != i).map(|j| sign.of(cos[i * n + j])).collect();
                    row.sort_by(|a, b| b.total_cmp(a));
                    tops.push(row[0]);
                    row[0] - row[1] > margin && cos[i * n..(i + 1) * n].iter().all(|c| c.abs() > 0.2 * margin)
                })
            });
            tops.sort_by(|a, b| b.total_cmp(a));
            tops.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
            apart && tops.windows(2).take(2).all(|pair| pair[0] - pair[1] > margin)
        })
        .unwrap()
}

/// All cosines the obvious way, in f64.
fn cosines(data: &[f32], n: usize, d: usize) -> Vec<f64> {
    let unit: Vec<Vec<f64>> = data
        .chunks_exact(d)
        .map(|row| {
            let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            row.iter().map(|&x| f64::from(x) / norm).collect()
        })
        .collect();
    (0..n * n).map(|ij| unit[ij / n].iter().zip(&unit[ij % n]).map(|(a, b)| a * b).sum()).collect()
}

#[test]
fn values_are_the_formulas() {
    let (n, d) = (30, 6);
    let data = Rng::new(1, "test").directions(n, d);
    let cos = cosines(&data, n, d);
    let off = |i: usize| (0..n).filter(move |&j| j != i);
    for sign in [Sign::Signed, Sign::Abs] {
        let options = Options { sign, ..Default::default() };
        let best: Vec<f64> =
            (0..n).map(|i| off(i).map(|j| sign.of(cos[i * n + j])).fold(f64::NEG_INFINITY, f64::max)).collect();
        let mean = (0..n).flat_map(|i| off(i).map(move |j| (i, j))).map(|(i, j)| sign.of(cos[i * n + j])).sum::<f64>()
            / (n * (n - 1)) as f64;
        let (mean_max, max) = (best.iter().sum::<f64>() / n as f64, best.iter().copied().fold(-1.0, f64::max));
        near(value(&Regularizer::mean_cos(options), &data, n, d), mean, 1e-7);
        near(value(&Regularizer::mean_max_cos(options), &data, n, d), mean_max, 1e-12);
        near(value(&Regularizer::max_max_cos(options), &data, n, d), max, 1e-12);
        let three =
            ThreeTermOptions { sign, mean: 3.0, mean_max: 2.0, max_max: 0.5, coefficient: 0.1, ..Default::default() };
        near(
            value(&Regularizer::three_term(three), &data, n, d),
            0.1 * (3.0 * mean + 2.0 * mean_max + 0.5 * max),
            1e-7,
        );
    }
}

#[test]
fn simplex_and_equal_rows_in_closed_form() {
    let (data, n, d) = flat(&simplex(7));
    let three = Regularizer::three_term(ThreeTermOptions::default());
    near(value(&three, &data, n, d), -3.0 / 7.0, 1e-6);
    let equal = [1.0f32, 2.0, 2.0].repeat(5);
    near(value(&three, &equal, 5, 3), 3.0, 1e-12);
    // The diagonal does not count, and equal rows cannot be pulled apart to first order.
    assert!(gradient(&three, &equal, 5, 3).iter().all(|g| g.abs() < 1e-7));
}

#[test]
fn gradients_equal_central_differences() {
    let (n, d) = (7, 5);
    let data = rows_with_margins(n, d, 0.02);
    let h = 1.0 / 1024.0;
    for (name, r) in cosine_penalties() {
        let g = gradient(&r, &data, n, d);
        // The absolute mean and the smooth maxima are summed in f32.
        let tolerance = if name.contains("Abs") || name.contains("soft") { 2e-4 } else { 2e-5 };
        for k in 0..n * d {
            let at = |step: f32| {
                let mut moved = data.clone();
                moved[k] += step;
                (value(&r, &moved, n, d), f64::from(moved[k]))
            };
            let ((up, x_up), (down, x_down)) = (at(h), at(-h));
            near(f64::from(g[k]), (up - down) / (x_up - x_down), tolerance);
        }
    }
}

#[test]
fn laws_of_cosine_penalties() {
    let (n, d) = (40, 8);
    let data = rows_with_margins(n, d, 1e-5);
    let v = Rng::new(3, "test").directions(1, d);
    let reflect = |row: &[f32]| -> Vec<f32> {
        let along: f32 = 2.0 * row.iter().zip(&v).map(|(a, b)| a * b).sum::<f32>();
        row.iter().zip(&v).map(|(a, b)| a - along * b).collect()
    };
    for (name, r) in cosine_penalties() {
        let (p, g) = (value(&r, &data, n, d), gradient(&r, &data, n, d));
        // Tangent: a row's length does not matter.
        for (w, g) in data.chunks_exact(d).zip(g.chunks_exact(d)) {
            let along: f64 = w.iter().zip(g).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!(along.abs() < 1e-7, "{name}: {along}");
        }
        // Scale by powers of two, which is exact: the same value, the gradient over the scale.
        let scale = |i: usize| [0.25f32, 1.0, 8.0][i % 3];
        let scaled: Vec<f32> = data.iter().enumerate().map(|(k, x)| x * scale(k / d)).collect();
        assert_eq!(value(&r, &scaled, n, d), p, "{name}");
        for (k, x) in gradient(&r, &scaled, n, d).iter().enumerate() {
            assert_eq!(*x, g[k] / scale(k / d), "{name}");
        }
        // Rotation and permutation turn and permute the gradient.
        let turned: Vec<f32> = data.chunks_exact(d).rev().flat_map(reflect).collect();
        near(value(&r, &turned, n, d), p, 1e-6);
        let back: Vec<f32> = gradient(&r, &turned, n, d).chunks_exact(d).rev().flat_map(reflect).collect();
        back.iter().zip(&g).for_each(|(a, b)| near(f64::from(*a), f64::from(*b), 1e-5));
        // Zero is zero, and everything is linear in the coefficient.
        near(value(&r.scale(-2.0).add(&r), &data, n, d), -p, 1e-12);
    }
}

#[test]
fn selections_of_rows_and_matrices() {
    let (n, d) = (24, 6);
    let (dec, enc) = (Rng::new(1, "dec").directions(n, d), Rng::new(1, "enc").directions(n, d));
    let alive: Vec<bool> = (0..n).map(|i| i % 3 != 0).collect();
    let part = |want: bool| -> Vec<f32> {
        (0..n).filter(|&i| alive[i] == want).flat_map(|i| dec[i * d..(i + 1) * d].to_vec()).collect()
    };
    let rows = |data| Rows::new(data, n, d).unwrap();
    let full = Dictionary { w_dec: rows(&dec), w_enc: rows(&enc), alive: Some(&alive), seed: 0, step: 0 };
    let build = |options: Options| Regularizer::mean_max_cos(options).add(&Regularizer::mean_cos(options));
    for (which, want, count) in [(Which::Alive, true, 16), (Which::Dead, false, 8)] {
        let r = build(Options { rows: which, ..Default::default() });
        let expected = value(&build(Options::default()), &part(want), count, d);
        assert_eq!(r.value(&full).unwrap(), expected);
        let (mut g, mut unused) = (vec![0.0; n * d], vec![0.0; n * d]);
        r.add_gradient(&full, &mut g, &mut unused).unwrap();
        let inside: Vec<f32> =
            (0..n).filter(|&i| alive[i] == want).flat_map(|i| g[i * d..(i + 1) * d].to_vec()).collect();
        assert_eq!(inside, gradient(&build(Options::default()), &part(want), count, d));
        assert!((0..n).filter(|&i| alive[i] != want).all(|i| g[i * d..(i + 1) * d].iter().all(|x| *x == 0.0)));
        assert!(unused.iter().all(|x| *x == 0.0));
        // Not known which are alive: all.
        let unknown = Dictionary { alive: None, ..full };
        assert_eq!(r.value(&unknown).unwrap(), value(&build(Options::default()), &dec, n, d));
    }
    let on = |matrix| build(Options { matrix, ..Default::default() }).value(&full).unwrap();
    near(on(Matrix::Both), on(Matrix::Decoder) + on(Matrix::Encoder), 1e-15);
    let (mut a, mut b) = (vec![0.0; n * d], vec![0.0; n * d]);
    build(Options { matrix: Matrix::Both, ..Default::default() }).add_gradient(&full, &mut a, &mut b).unwrap();
    assert_eq!(a, gradient(&build(Options::default()), &dec, n, d));
    assert_eq!(b, gradient(&build(Options::default()), &enc, n, d));
    // It is added to what is there.
    let mut again = a.clone();
    build(Options::default()).add_gradient(&full, &mut again, &mut b).unwrap();
    assert!(again.iter().zip(&a).all(|(x, y)| *x == 2.0 * y));
    let short = Dictionary { alive: Some(&alive[1..]), ..full };
    assert_eq!(build(Options::default()).value(&short).unwrap_err().code, Code::ShapeMismatch);
    assert!(build(Options::default()).add_gradient(&full, &mut a[1..], &mut b).is_err());
}

#[test]
fn every_kind_takes_matrix_and_rows() {
    let (n, d) = (24, 6);
    let (dec, enc) = (Rng::new(1, "dec").directions(n, d), Rng::new(1, "enc").directions(n, d));
    let alive: Vec<bool> = (0..n).map(|i| i % 3 != 0).collect();
    let rows = |data| Rows::new(data, n, d).unwrap();
    let full = Dictionary { w_dec: rows(&dec), w_enc: rows(&enc), alive: Some(&alive), seed: 0, step: 0 };
    let gradients = |r: &Regularizer| {
        let (mut a, mut b) = (vec![0.0f32; n * d], vec![0.0f32; n * d]);
        let value = r.add_gradient(&full, &mut a, &mut b).unwrap();
        (value, a, b)
    };
    for entry in &ALL {
        let name = entry.name;
        let build = |matrix: &str, rows: &str| {
            built(name, serde_json::json!({ "matrix": matrix, "rows": rows, "sign": "abs", "coefficient": 1.5 }))
                .unwrap()
        };
        let (in_dec, in_enc) = (gradients(&build("decoder", "all")), gradients(&build("encoder", "all")));
        let both = gradients(&build("both", "all"));
        near(both.0, in_dec.0 + in_enc.0, 1e-12 * both.0.abs());
        assert!(both.1 == in_dec.1 && both.2 == in_enc.2, "{name}");
        assert!(in_dec.2.iter().chain(&in_enc.1).all(|x| *x == 0.0), "{name}");
        for (which, want) in [("alive", true), ("dead", false)] {
            let part: Vec<f32> =
                (0..n).filter(|&i| alive[i] == want).flat_map(|i| dec[i * d..(i + 1) * d].to_vec()).collect();
            let (found, g, _) = gradients(&build("decoder", which));
            let alone = build("decoder", "all");
            assert_eq!(found, value(&alone, &part, part.len() / d, d), "{name}");
            let inside: Vec<f32> =
                (0..n).filter(|&i| alive[i] == want).flat_map(|i| g[i * d..(i + 1) * d].to_vec()).collect();
            assert_eq!(inside, gradient(&alone, &part, part.len() / d, d), "{name}");
            assert!((0..n).filter(|&i| alive[i] != want).all(|i| g[i * d..(i + 1) * d].iter().all(|x| *x == 0.0)));
        }
    }
}

#[test]
fn a_detached_neighbor_stays() {
    let (n, d) = (12, 5);
    let data = rows_with_margins(n, d, 1e-4);
    let three = |mean_max, max_max, neighbor_gradient| {
        let options = ThreeTermOptions { mean: 0.0, mean_max, max_max, neighbor_gradient, ..Default::default() };
        Regularizer::three_term(options)
    };
    let cos = cosines(&data, n, d);
    let nearest = |i: usize| {
        let others = (0..n).filter(|&j| j != i);
        others.max_by(|&a, &b| cos[i * n + a].total_cmp(&cos[i * n + b])).unwrap()
    };
    let unit = |i: usize, c: usize| {
        f64::from(data[i * d + c]) / data[i * d..(i + 1) * d].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    };
    let r = three(1.0, 0.0, NeighborGradient::Detach);
    near(value(&r, &data, n, d), value(&three(1.0, 0.0, NeighborGradient::Both), &data, n, d), 0.0);
    let g = gradient(&r, &data, n, d);
    for i in 0..n {
        let (a, length) = (nearest(i), f64::from(data[i * d]) / unit(i, 0));
        for c in 0..d {
            let expected = (unit(a, c) - cos[i * n + a] * unit(i, c)) / (length * n as f64);
            near(f64::from(g[i * d + c]), expected, 1e-6);
        }
    }
    // Of the largest of all only the first row of the pair moves.
    let moved = |neighbor_gradient| {
        let g = gradient(&three(0.0, 1.0, neighbor_gradient), &data, n, d);
        g.chunks_exact(d).filter(|row| row.iter().any(|x| *x != 0.0)).count()
    };
    assert_eq!((moved(NeighborGradient::Both), moved(NeighborGradient::Detach)), (2, 1));
}

#[test]
fn invalid_rows_and_few_rows_do_nothing() {
    let mut data = Rng::new(2, "test").directions(6, 4);
    let valid = data[..16].to_vec();
    data[16..20].fill(0.0);
    data[21] = f32::NAN;
    for (name, r) in cosine_penalties() {
        assert_eq!(value(&r, &data, 6, 4), value(&r, &valid, 4, 4), "{name}");
        let g = gradient(&r, &data, 6, 4);
        assert_eq!(g[..16], gradient(&r, &valid, 4, 4), "{name}");
        assert!(g[16..].iter().all(|x| *x == 0.0));
        for n in [0, 1] {
            assert_eq!(value(&r, &data[..4 * n], n, 4), 0.0);
            assert!(gradient(&r, &data[..4 * n], n, 4).iter().all(|x| *x == 0.0));
        }
    }
    assert!(Regularizer::none().is_none() && Regularizer::none().scale(3.0).is_none());
    assert_eq!(value(&Regularizer::none(), &data, 6, 4), 0.0);
}

/// The mean signed cosine by candle operations.
fn mean_cos_by_candle(w: &candle_core::Tensor) -> Result<candle_core::Tensor> {
    let n = w.dim(0)? as f64;
    let u = w.broadcast_div(&w.sqr()?.sum_keepdim(1)?.sqrt()?)?;
    Ok(((u.matmul(&u.t()?)?.sum_all()? - n)? / (n * (n - 1.0)))?)
}

#[test]
fn custom_terms_go_by_autograd() {
    let (n, d) = (12, 5);
    let data = rows_with_margins(n, d, 1e-4);
    let mine = Regularizer::custom("mine".into(), Arc::new(mean_cos_by_candle), "abc".into());
    let fast = Regularizer::mean_cos(Options::default());
    near(value(&mine, &data, n, d), value(&fast, &data, n, d), 1e-6);
    let sum = mine.scale(2.0).add(&fast);
    for (a, b) in gradient(&sum, &data, n, d).iter().zip(gradient(&fast, &data, n, d)) {
        near(f64::from(*a), 3.0 * f64::from(b), 1e-6);
    }
    let fails = |f: fn(&candle_core::Tensor) -> Result<candle_core::Tensor>| -> Error {
        let r = Regularizer::custom("mine".into(), Arc::new(f), String::new());
        r.add_gradient(&dictionary(&data, n, d), &mut vec![0.0; n * d], &mut vec![0.0; n * d]).unwrap_err()
    };
    let error = fails(|w| Ok(w.sum(0)?));
    assert_eq!(error.code, Code::WrongType);
    assert!(error.to_string().contains("`mine` does not return one number"), "{error}");
    assert!(error.to_string().contains("[5]"), "{error}");
    assert!(fails(|w| Ok(w.detach().sum_all()?)).to_string().contains("has no gradient"));
    assert_eq!(fails(|w| Ok(w.matmul(w)?)).code, Code::ShapeMismatch);
    assert_eq!(fails(|_| Err(Error::new(Code::Failed, "thrown"))).code, Code::Failed);
}

/// A built-in regularizer by name, from options as a script gives them.
fn built(name: &str, options: serde_json::Value) -> Result<Regularizer> {
    let entry = ALL.iter().find(|entry| entry.name == name).expect("a regularizer of this name");
    entry.build(options.as_object().expect("a map").clone().into_iter().collect())
}

#[test]
fn every_regularizer_is_documented_and_built_from_its_defaults() {
    for entry in &ALL {
        assert!(!entry.formula.is_empty() && !entry.source.is_empty() && !entry.summary.is_empty());
        let default = built(entry.name, serde_json::json!({})).unwrap();
        assert!(!default.is_none());
        // Defaults written out are the same regularizer, and no part of its label.
        let fields = (entry.options)();
        assert!(fields.iter().all(|field| !field.meaning.is_empty()));
        let written = fields.iter().map(|field| {
            let text = if field.default == "()" { "null" } else { field.default.as_str() };
            (field.name.to_string(), serde_json::from_str(text).expect("a default is JSON but for ()"))
        });
        let same = entry.build(written.collect()).unwrap();
        assert_eq!(same.describe(), default.describe(), "{}", entry.name);
        assert_eq!(same.label().split_once(" x ").expect("a coefficient").1, entry.name);
    }
    let error = built("three_term", serde_json::json!({ "mean_mx": 1.0 })).unwrap_err();
    assert_eq!((error.code, error.help.as_deref()), (Code::UnknownOption, Some("did you mean `mean_max`?")));
    assert_eq!(built("mean_cos", serde_json::json!({ "sign": "both" })).unwrap_err().code, Code::UnknownName);
    let error = built("hinge", serde_json::json!({ "coefficient": 1, "tau": "low" })).unwrap_err();
    assert_eq!((error.code, error.message.contains("`tau` of reg::hinge")), (Code::WrongType, true), "{error}");
    let r = built("three_term", serde_json::json!({ "sign": "abs", "mean": 0.0, "coefficient": 3.0 })).unwrap();
    let expected = serde_json::json!([
        { "kind": "mean_max_cos", "coefficient": 3.0, "scope": { "sign": "abs", "matrix": "decoder", "rows": "all" } },
        { "kind": "max_max_cos", "coefficient": 3.0, "scope": { "sign": "abs", "matrix": "decoder", "rows": "all" } },
    ]);
    assert_eq!(r.describe(), expected);
    assert_eq!(Regularizer::none().describe(), serde_json::json!([]));
}

/// Every row of the table, at its defaults and with absolute cosines: a new regularizer is tested by being there.
fn table() -> impl Iterator<Item = (&'static str, &'static str, Regularizer)> {
    let of = |sign: &'static str| {
        move |entry: &'static saerun::regularizer::Entry| {
            (entry.name, sign, built(entry.name, serde_json::json!({ "sign": sign, "coefficient": 0.5 })).unwrap())
        }
    };
    ALL.iter().map(of("signed")).chain(ALL.iter().map(of("abs")))
}

#[test]
fn every_gradient_in_the_table_is_the_derivative() {
    let (n, d) = (24, 5);
    let data = rows_with_margins(n, d, 0.02);
    let direction = Rng::new(3, "test direction").directions(n, d);
    for (name, sign, r) in table() {
        let along: f64 = gradient(&r, &data, n, d).iter().zip(&direction).map(|(g, v)| f64::from(g * v)).sum();
        let at = |step: f32| {
            let moved: Vec<f32> = data.iter().zip(&direction).map(|(x, v)| x + step * v).collect();
            value(&r, &moved, n, d)
        };
        let step = 5e-4;
        let slope = (at(step) - at(-step)) / f64::from(2.0 * step);
        let scale = slope.abs().max(at(0.0).abs()).max(1e-2);
        assert!((along - slope).abs() < 2e-2 * scale, "{name} {sign}: gradient {along}, difference {slope}");
    }
}

#[test]
fn every_regularizer_in_the_table_has_the_same_bits_at_any_thread_count() {
    let (n, d) = (700, 12);
    let data = Rng::new(8, "test").directions(n, d);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            table().map(|(name, _, r)| (name, value(&r, &data, n, d), gradient(&r, &data, n, d))).collect::<Vec<_>>()
        })
    };
    assert!(run(1) == run(3));
}

#[test]
fn a_label_is_what_differs_from_the_defaults() {
    let label = |name: &str, options| built(name, options).unwrap().label();
    assert_eq!(label("ortsae", serde_json::json!({ "chunks": 4 })), "0.25 x ortsae (chunks 4)");
    assert_eq!(label("ortsae", serde_json::json!({ "chunks": 8, "relu": true })), "0.25 x ortsae (chunks 8, relu)");
    assert_eq!(label("babel", serde_json::json!({ "sign": "signed" })), "1 x babel (signed)");
    assert_eq!(label("hinge", serde_json::json!({ "tau": 0.2, "coefficient": 2 })), "2 x hinge");
    assert_eq!(label("three_term", serde_json::json!({ "mean": 0 })), "1 x three_term (mean 0)");
    let sum = built("mean_cos", serde_json::json!({})).unwrap().scale(0.5).add(&Regularizer::none());
    assert_eq!(sum.add(&sum).label(), "0.5 x mean_cos + 0.5 x mean_cos");
    assert_eq!(sum.scale(0.0).label(), "none");
}

#[test]
fn threads_change_no_bit() {
    let (n, d) = (1300, 20);
    let data = Rng::new(6, "test").directions(n, d);
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            cosine_penalties()
                .iter()
                .map(|(_, r)| (value(r, &data, n, d), gradient(r, &data, n, d)))
                .collect::<Vec<_>>()
        })
    };
    let one = run(1);
    assert!((0..2).all(|_| run(2) == one));
}
