//! Smooth maxima of cosines: the logarithm of a sum of exponentials, and its gradient.
//!
//! Cost: n^2 d multiply-adds for the sums, and for a gradient twice as many again; n^2 exponentials a pass. Memory O(n) for the sums,
//! n d for a gradient, and a tile a thread.

use super::Sign;
use super::elementary::exp;
use super::gram::{visit_rows, weighted_sums};
use super::simd::{max_lanes, sum_lanes, wide};
use super::unit::{TILE, UnitRows};

/// For each row i: log of the sum over j != i of exp(beta c_ij), in f64 over sums of at most 512 terms in f32.
pub fn row_log_sums(unit: &UnitRows, sign: Sign, beta: f64) -> Vec<f64> {
    // A row's sum so far: (most, sum) stands for sum * exp(beta * most).
    let empty = (f64::NEG_INFINITY, 0.0f64);
    let blocks = visit_rows(
        unit,
        |b| vec![empty; unit.tile_len(b)],
        |sums, i, _, cos| {
            if sign == Sign::Abs {
                cos.iter_mut().for_each(|c| *c = c.abs());
            }
            let (most, sum) = scaled_sum(cos, beta as f32);
            if !cos.is_empty() {
                let known = &mut sums[i % TILE];
                *known = add_scaled_sums(*known, (f64::from(most), f64::from(sum)), beta);
            }
        },
        |_, _, _| (),
    );
    blocks.into_iter().flatten().map(|(most, sum)| beta * most + sum.ln()).collect()
}

fn add_scaled_sums(a: (f64, f64), b: (f64, f64), beta: f64) -> (f64, f64) {
    let (low, high) = if a.0 > b.0 { (b, a) } else { (a, b) };
    let low_share = if low.1 == 0.0 { 0.0 } else { low.1 * (beta * (low.0 - high.0)).exp() };
    (high.0, high.1 + low_share)
}

/// log of the sum over i < j of exp(beta c_ij), from the sums of the rows; minus infinity where there are no pairs.
pub fn log_sum(rows: &[f64]) -> f64 {
    let most = rows.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + (0.5 * rows.iter().map(|row| (row - most).exp()).sum::<f64>()).ln()
}

/// What the exponential of a pair is divided by, as logarithms.
#[derive(Debug, Clone, Copy)]
pub enum Over<'a> {
    /// One sum for all: weight_ij = exp(beta c_ij - all).
    All(f64),
    /// The sum of its row, from both sides: weight_ij = exp(beta c_ij - rows\[i\]) + exp(beta c_ij - rows\[j\]).
    Rows(&'a [f64]),
}

/// For each row i the vector sum over j != i of weight_ij u_j, times sign(c_ij) where cosines are absolute: `[n, d]`.
pub fn soft_pull(unit: &UnitRows, sign: Sign, beta: f64, over: Over) -> Vec<f32> {
    let columns: Vec<f32> = match over {
        Over::All(_) => Vec::new(),
        Over::Rows(rows) => rows.iter().map(|x| *x as f32).collect(),
    };
    let weigh = |i: usize, j: usize, cos: &mut [f32]| {
        let mut signs = [1.0f32; TILE];
        if sign == Sign::Abs {
            signs.iter_mut().zip(&*cos).for_each(|(sign, c)| *sign = f32::from(*c > 0.0) - f32::from(*c < 0.0));
            cos.iter_mut().for_each(|c| *c = c.abs());
        }
        match over {
            Over::All(all) => weigh_over_all(cos, beta as f32, all as f32),
            Over::Rows(_) => weigh_over_rows(cos, beta as f32, columns[i], &columns[j..j + cos.len()]),
        }
        if sign == Sign::Abs {
            cos.iter_mut().zip(&signs).for_each(|(c, sign)| *c *= sign);
        }
        0.0
    };
    weighted_sums(unit, true, weigh).0
}

/// [`row_log_sums`] the slow, obvious way.
pub fn row_log_sums_reference(unit: &UnitRows, sign: Sign, beta: f64) -> Vec<f64> {
    let others = |i: usize| (0..unit.len()).filter(move |&j| j != i).map(move |j| sign.of(unit.cos(i, j)));
    (0..unit.len()).map(|i| others(i).map(|c| (beta * c).exp()).sum::<f64>().ln()).collect()
}

/// [`soft_pull`] the slow, obvious way, in f64.
pub fn soft_pull_reference(unit: &UnitRows, sign: Sign, beta: f64, over: Over) -> Vec<f64> {
    let d = unit.raw.d;
    let mut pull = vec![0.0; unit.len() * d];
    for (i, row) in pull.chunks_exact_mut(d.max(1)).enumerate() {
        for j in (0..unit.len()).filter(|&j| j != i) {
            let c = unit.cos(i, j);
            let of = |log: f64| (beta * sign.of(c) - log).exp();
            let weight = match over {
                Over::All(all) => of(all),
                Over::Rows(rows) => of(rows[i]) + of(rows[j]),
            };
            unit.add_to(j, if sign == Sign::Abs { weight * c.signum() } else { weight }, row);
        }
    }
    pull
}

wide! {
    /// The largest value m and the sum of exp(beta (value - m)).
    fn scaled_sum(values: &[f32], beta: f32) -> (f32, f32) {
        let most = max_lanes(values);
        (most, sum_lanes(values, |x| exp(beta * (x - most))))
    }
}

wide! {
    fn weigh_over_all(values: &mut [f32], beta: f32, all: f32) {
        values.iter_mut().for_each(|x| *x = exp(beta * *x - all));
    }
}

wide! {
    fn weigh_over_rows(values: &mut [f32], beta: f32, row: f32, columns: &[f32]) {
        values.iter_mut().zip(columns).for_each(|(x, column)| *x = exp(beta * *x - row) + exp(beta * *x - column));
    }
}
