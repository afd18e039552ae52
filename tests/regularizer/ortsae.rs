//! Tests of the OrtSAE penalty: closed forms, an obvious reference, chunks that change by step, equal bits at any thread count.

use std::num::{NonZeroU64, NonZeroUsize};

use saerun::error::Code;
use saerun::ops::Sign;
use saerun::regularizer::{Dictionary, Options, OrtsaeOptions, Regularizer};
use saerun::rng::Rng;

use super::{built, cosines, dictionary, gradient, near, rows_with_margins, value};
use crate::geometry::{flat, simplex};

fn options(chunks: usize) -> OrtsaeOptions {
    OrtsaeOptions { coefficient: 1.0, chunks: NonZeroUsize::new(chunks), ..Default::default() }
}

fn penalty(options: OrtsaeOptions) -> Regularizer {
    Regularizer::ortsae(options)
}

/// Value and gradient at a step of a training.
fn at(r: &Regularizer, (data, n, d): (&[f32], usize, usize), seed: u64, step: u64) -> (f64, Vec<f32>) {
    let dictionary = Dictionary { seed, step, ..dictionary(data, n, d) };
    let (mut dec, mut enc) = (vec![0.0; n * d], vec![0.0; n * d]);
    let value = r.add_gradient(&dictionary, &mut dec, &mut enc).unwrap();
    assert_eq!(value, r.value(&dictionary).unwrap());
    assert!(enc.iter().all(|x| *x == 0.0));
    (value, dec)
}

#[test]
fn a_simplex_is_drawn_back_unless_relu() {
    let (data, n, d) = flat(&simplex(4));
    let raw = penalty(options(1));
    near(value(&raw, &data, n, d), 1.0 / 16.0, 1e-6);
    let relu = penalty(OrtsaeOptions { relu: true, ..options(1) });
    assert_eq!(value(&relu, &data, n, d), 0.0);
    assert!(gradient(&relu, &data, n, d).iter().all(|g| *g == 0.0));
}

#[test]
fn one_chunk_is_the_mean_squared_nearest_cosine() {
    let (n, d) = (50, 6);
    let data = Rng::new(1, "test").directions(n, d);
    let cos = cosines(&data, n, d);
    for sign in [Sign::Signed, Sign::Abs] {
        let best =
            |i: usize| (0..n).filter(|&j| j != i).map(|j| sign.of(cos[i * n + j])).fold(f64::NEG_INFINITY, f64::max);
        let expected = (0..n).map(|i| best(i).powi(2)).sum::<f64>() / n as f64;
        near(value(&penalty(OrtsaeOptions { sign, ..options(1) }), &data, n, d), expected, 1e-12);
        // Few rows fill no more than one chunk of the default size, at a quarter of the weight.
        let by_default = penalty(OrtsaeOptions { sign, ..Default::default() });
        near(value(&by_default, &data, n, d), 0.25 * expected, 1e-12);
    }
}

/// The penalty and its derivative by raw rows, from all cosines in f64 and a given partition.
fn reference(data: &[f32], n: usize, d: usize, options: &OrtsaeOptions, chunks: &[Vec<usize>]) -> (f64, Vec<f64>) {
    let cos = cosines(data, n, d);
    let length = |i: usize| data[i * d..(i + 1) * d].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let unit = |i: usize, c: usize| f64::from(data[i * d + c]) / length(i);
    let (mut value, mut h) = (0.0, vec![0.0; n * d]);
    for chunk in chunks {
        for &i in chunk {
            let others = chunk.iter().copied().filter(|&j| j != i);
            let a = others.max_by(|&j, &k| options.sign.of(cos[i * n + j]).total_cmp(&options.sign.of(cos[i * n + k])));
            let a = a.unwrap();
            let m = options.sign.of(cos[i * n + a]);
            let m = if options.relu { m.max(0.0) } else { m };
            value += m * m / (chunks.len() * chunk.len()) as f64;
            let slope = if options.sign == Sign::Abs { cos[i * n + a].signum() } else { 1.0 };
            let t = 2.0 * m * slope / (chunks.len() * chunk.len()) as f64;
            for c in 0..d {
                h[i * d + c] += t * unit(a, c);
                h[a * d + c] += t * unit(i, c);
            }
        }
    }
    let gradient = (0..n * d).map(|k| {
        let (i, c) = (k / d, k % d);
        let along: f64 = (0..d).map(|c| h[i * d + c] * unit(i, c)).sum();
        (h[k] - along * unit(i, c)) / length(i)
    });
    (value, gradient.collect())
}

/// The partition that the penalty documents: a permutation by seed and step, cut into pieces that differ by one row at most.
fn partition(n: usize, chunks: usize, seed: u64, step: u64) -> Vec<Vec<usize>> {
    let order = Rng::new(seed, &format!("reg::ortsae {step}")).permutation(n);
    (0..chunks).map(|k| order[k * n / chunks..(k + 1) * n / chunks].iter().map(|&i| i as usize).collect()).collect()
}

#[test]
fn value_and_gradient_are_those_of_the_reference() {
    let (n, d) = (31, 6);
    let data = rows_with_margins(n, d, 1e-5);
    for chunks in [2, 4, 7] {
        for (sign, relu) in [(Sign::Signed, false), (Sign::Signed, true), (Sign::Abs, false)] {
            let options = OrtsaeOptions { sign, relu, ..options(chunks) };
            let (seed, step) = (5, 17);
            let (value, gradient) = at(&penalty(options), (&data, n, d), seed, step);
            let (expected, slopes) = reference(&data, n, d, &options, &partition(n, chunks, seed, step));
            near(value, expected, 1e-12);
            gradient.iter().zip(slopes).for_each(|(a, b)| near(f64::from(*a), b, 1e-7));
            // Tangent: a row's length does not matter.
            for (w, g) in data.chunks_exact(d).zip(gradient.chunks_exact(d)) {
                near(w.iter().zip(g).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum(), 0.0, 1e-7);
            }
        }
    }
}

#[test]
fn gradient_in_chunks_equals_central_differences() {
    let (n, d) = (12, 5);
    let data = rows_with_margins(n, d, 0.01);
    let r = penalty(options(2));
    let (_, g) = at(&r, (&data, n, d), 0, 0);
    let h = 1.0 / 4096.0;
    for k in 0..n * d {
        let moved = |step: f32| {
            let mut moved = data.clone();
            moved[k] += step;
            (value(&r, &moved, n, d), f64::from(moved[k]))
        };
        let ((up, x_up), (down, x_down)) = (moved(h), moved(-h));
        near(f64::from(g[k]), (up - down) / (x_up - x_down), 2e-5);
    }
}

#[test]
fn chunks_are_fresh_at_every_step_and_fixed_by_the_seed() {
    let (n, d) = (64, 8);
    let data = Rng::new(3, "test").directions(n, d);
    let r = penalty(options(4));
    let run = |seed, step| at(&r, (&data, n, d), seed, step);
    assert_eq!(run(1, 7), run(1, 7));
    assert!(run(1, 7).0 != run(1, 8).0 && run(1, 7).0 != run(2, 7).0);
    // `chunks` wins over `chunk_size`; by size alone there are as many chunks as are needed.
    let sixteen = NonZeroUsize::new(16).unwrap();
    let by_size = penalty(OrtsaeOptions { chunk_size: sixteen, ..options(0) });
    assert_eq!(at(&by_size, (&data, n, d), 1, 7), run(1, 7));
    let both = penalty(OrtsaeOptions { chunk_size: sixteen, ..options(1) });
    assert_eq!(at(&both, (&data, n, d), 1, 7), at(&penalty(options(1)), (&data, n, d), 1, 7));
    // However many are asked for, every chunk has a pair.
    assert_eq!(at(&penalty(options(1000)), (&data, n, d), 1, 7), at(&penalty(options(32)), (&data, n, d), 1, 7));
}

#[test]
fn every_nth_step_counts_n_times() {
    let (n, d) = (40, 6);
    let data = Rng::new(4, "test").directions(n, d);
    let every = penalty(OrtsaeOptions { every: NonZeroU64::new(5).unwrap(), ..options(3) });
    let one = penalty(options(3));
    for step in 0..11 {
        let ((value, gradient), (single, slopes)) =
            (at(&every, (&data, n, d), 0, step), at(&one, (&data, n, d), 0, step));
        let times = if step % 5 == 0 { 5.0 } else { 0.0 };
        near(value, times * single, 1e-12);
        gradient.iter().zip(slopes).for_each(|(a, b)| near(f64::from(*a), times * f64::from(b), 1e-6));
    }
}

#[test]
fn options_are_checked_and_described() {
    let r = built("ortsae", serde_json::json!({ "chunks": 8, "every": 5, "coefficient": 2.0 })).unwrap();
    let expected = serde_json::json!([{
        "kind": "ortsae", "coefficient": 2.0, "chunks": 8, "chunk_size": 8192, "every": 5, "relu": false,
        "scope": { "sign": "signed", "matrix": "decoder", "rows": "all" },
    }]);
    assert_eq!(r.describe(), expected);
    for bad in ["chunks", "chunk_size", "every"] {
        assert_eq!(built("ortsae", serde_json::json!({ bad: 0 })).unwrap_err().code, Code::OutOfRange);
    }
    assert!(
        Regularizer::mean_cos(Options::default()).add(&r).describe().as_array().is_some_and(|terms| terms.len() == 2)
    );
}

#[test]
fn threads_change_no_bit() {
    let (n, d) = (1300, 16);
    let data = Rng::new(6, "test").directions(n, d);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| at(&penalty(options(2)), (&data, n, d), 3, 9))
    };
    assert!(run(1) == run(2));
}
