//! The nearest-neighbor cosine of n independent, uniformly random directions in d dimensions, exactly.
//!
//! One pair has P(cos > t) = I_{1-t^2}((d-1)/2, 1/2) / 2 for t >= 0, and given one vector the other n - 1 cosines are independent,
//! so a row's nearest cosine has the law F(t) = (1 - P(cos > t))^(n-1); absolute (1 - 2 P(cos > t))^(n-1).

use serde::Serialize;
use statrs::function::beta::ln_beta;

use super::bounds::not_too_many;
use crate::error::{Code, Error, Result};
use crate::ops::Sign;

/// The law of one row's nearest cosine, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RandomNull {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// Where the density is largest.
    pub mode: f64,
    /// 5 % quantile.
    pub q05: f64,
    /// Median.
    pub median: f64,
    /// 95 % quantile.
    pub q95: f64,
    /// Median of the largest cosine of all pairs, the pairs taken as independent.
    pub global_max_median: f64,
}

/// The law's numbers for n directions in d dimensions, by quadrature of the exact distribution.
///
/// # Errors
/// `out-of-range` for n < 2 or d < 2, and for more than 10^12 of either.
pub fn random_null(n: usize, d: usize, sign: Sign) -> Result<RandomNull> {
    let law = Law::new(n, d, sign)?;
    let others = n as f64 - 1.0;
    let (low, high) = (law.quantile(others, 1e-18f64.ln()), law.quantile(others, -1e-17));
    // E t = high - integral of F; E (t - m)^2 = (high - m)^2 - 2 integral of (t - m) F. Simpson's rule.
    let steps = 4000;
    let width = (high - low) / f64::from(steps);
    let cdf: Vec<f64> = (0..=steps).map(|k| (others * law.ln_below(low + f64::from(k) * width)).exp()).collect();
    let integrate = |f: &dyn Fn(f64, f64) -> f64| {
        let at = |k: usize| f(low + k as f64 * width, cdf[k]);
        let inner = (1..cdf.len() - 1).map(|k| at(k) * if k % 2 == 1 { 4.0 } else { 2.0 }).sum::<f64>();
        (at(0) + inner + at(cdf.len() - 1)) * width / 3.0
    };
    let mean = high - integrate(&|_, f| f);
    let variance = (high - mean).powi(2) - 2.0 * integrate(&|t, f| (t - mean) * f);
    let half = 0.5f64.ln();
    Ok(RandomNull {
        mean,
        sd: variance.max(0.0).sqrt(),
        mode: law.mode(others, low, high),
        q05: law.quantile(others, 0.05f64.ln()),
        median: law.quantile(others, half),
        q95: law.quantile(others, 0.95f64.ln()),
        global_max_median: law.quantile(0.5 * n as f64 * others, half),
    })
}

/// log10 of the chance that a row's nearest cosine is at most `t`; exact far into the tail, -infinity where it is impossible.
///
/// # Errors
/// `out-of-range` for n < 2 or d < 2 or a `t` that is not a number.
pub fn random_null_log10_cdf(t: f64, n: usize, d: usize, sign: Sign) -> Result<f64> {
    let law = Law::new(n, d, sign)?;
    if t.is_nan() {
        return Err(Error::new(Code::OutOfRange, "the cosine is not a number"));
    }
    Ok((n as f64 - 1.0) * law.ln_below(t) / std::f64::consts::LN_10)
}

/// The law of one pair's cosine.
struct Law {
    d: f64,
    sign: Sign,
    ln_beta: f64,
}

impl Law {
    fn new(n: usize, d: usize, sign: Sign) -> Result<Self> {
        if n < 2 || d < 2 {
            return Err(Error::new(Code::OutOfRange, "random directions need two vectors and two dimensions")
                .fact("n", n)
                .fact("d", d));
        }
        not_too_many(n, d)?;
        let d = d as f64;
        Ok(Law { d, sign, ln_beta: ln_beta(0.5 * (d - 1.0), 0.5) })
    }

    /// Log of the chance that one pair's counted cosine is at most `t`.
    fn ln_below(&self, t: f64) -> f64 {
        let (a, b) = (0.5 * (self.d - 1.0), 0.5);
        let t = t.clamp(-1.0, 1.0);
        let (sine2, cosine2) = ((1.0 - t) * (1.0 + t), t * t);
        // ln I_{1-t^2}(a, b), the two-sided tail, and ln of its complement.
        let (outside, inside) = ln_beta_both(a, b, sine2, cosine2, self.ln_beta);
        match self.sign {
            Sign::Abs if t <= 0.0 => f64::NEG_INFINITY,
            Sign::Abs => inside,
            Sign::Signed if t < 0.0 => outside - std::f64::consts::LN_2,
            Sign::Signed => (-0.5 * outside.exp()).ln_1p(),
        }
    }

    /// The t where `times * ln_below(t)` reaches `target`.
    fn quantile(&self, times: f64, target: f64) -> f64 {
        let (mut low, mut high) = (if self.sign == Sign::Abs { 0.0 } else { -1.0 }, 1.0);
        for _ in 0..80 {
            let t = 0.5 * (low + high);
            if times * self.ln_below(t) < target { low = t } else { high = t }
        }
        0.5 * (low + high)
    }

    /// Where the density of the nearest of `others` cosines is largest: a grid, then golden sections.
    fn mode(&self, others: f64, low: f64, high: f64) -> f64 {
        let ln_density = |t: f64| {
            let power = 0.5 * (self.d - 3.0);
            let shape = if power == 0.0 { 0.0 } else { power * ((1.0 - t) * (1.0 + t)).ln() };
            let below = if others > 1.0 { (others - 1.0) * self.ln_below(t) } else { 0.0 };
            below + shape
        };
        let steps = 1000;
        let at = |k: i32| low + (high - low) * f64::from(k) / f64::from(steps);
        let mut best = 0;
        for k in 1..=steps {
            if ln_density(at(k)) > ln_density(at(best)) {
                best = k;
            }
        }
        let golden = 0.5 * (5.0f64.sqrt() - 1.0);
        let (mut a, mut b) = (at((best - 1).max(0)), at((best + 1).min(steps)));
        for _ in 0..60 {
            let (left, right) = (b - golden * (b - a), a + golden * (b - a));
            if ln_density(left) < ln_density(right) { a = left } else { b = right }
        }
        0.5 * (a + b)
    }
}

/// ln I_x(a, b) and ln (1 - I_x(a, b)), with y = 1 - x given by itself; the smaller of the two keeps its relative precision.
fn ln_beta_both(a: f64, b: f64, x: f64, y: f64, ln_beta: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (f64::NEG_INFINITY, 0.0);
    }
    if y <= 0.0 {
        return (0.0, f64::NEG_INFINITY);
    }
    let front = a * x.ln() + b * y.ln() - ln_beta;
    let complement = |ln: f64| (-ln.exp()).ln_1p();
    if x < (a + 1.0) / (a + b + 2.0) {
        let ln = (front - a.ln() + continued_fraction(a, b, x).ln()).min(0.0);
        (ln, complement(ln))
    } else {
        let ln = (front - b.ln() + continued_fraction(b, a, y).ln()).min(0.0);
        (complement(ln), ln)
    }
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let guard = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        for step in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / guard(1.0 + step * d);
            c = guard(1.0 + step / c);
            h *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    h
}
