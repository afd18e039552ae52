//! The sums behind an evaluation, in f64, token after token.

use super::evaluate::{Evaluation, ratio};
use super::{Sae, pass_through};
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;

/// The mean of rows.
pub(super) struct Mean {
    count: u64,
    sum: Vec<f64>,
}

impl Mean {
    pub fn new(d: usize) -> Mean {
        Mean { count: 0, sum: vec![0.0; d] }
    }

    pub fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.sum.len()) {
            self.count += 1;
            self.sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
    }

    pub fn finish(self) -> Vec<f32> {
        self.sum.iter().map(|sum| (sum / self.count.max(1) as f64) as f32).collect()
    }
}

/// A sum and how many went into it.
#[derive(Default)]
struct Average {
    count: u64,
    sum: f64,
}

impl Average {
    /// Takes in a quotient where it is a finite number.
    fn add(&mut self, a: f64, b: f64) {
        if let Some(value) = ratio(a, b) {
            self.count += 1;
            self.sum += value;
        }
    }

    fn finish(&self) -> Option<f64> {
        ratio(self.sum, self.count as f64)
    }
}

/// Sums over tokens.
pub(super) struct Totals {
    mean: Vec<f32>,
    tokens: u64,
    active: u64,
    activation: f64,
    error: f64,
    sum: Vec<f64>,
    error_sum: Vec<f64>,
    square: f64,
    norms: [f64; 2],
    ratios: Average,
    cosines: Average,
    unexplained: Average,
    cross: f64,
    reconstruction_square: f64,
    fires: Vec<u64>,
}

impl Totals {
    /// Nothing yet; `mean` is that of the rows to come.
    pub fn new(sae: &Sae, mean: Vec<f32>) -> Totals {
        let d = sae.config.d_in;
        Totals {
            mean,
            tokens: 0,
            active: 0,
            activation: 0.0,
            error: 0.0,
            sum: vec![0.0; d],
            error_sum: vec![0.0; d],
            square: 0.0,
            norms: [0.0; 2],
            ratios: Average::default(),
            cosines: Average::default(),
            unexplained: Average::default(),
            cross: 0.0,
            reconstruction_square: 0.0,
            fires: vec![0; sae.config.d_sae],
        }
    }

    /// Takes rows in and returns their reconstructions.
    pub fn add(&mut self, sae: &Sae, rows: &[f32], monitor: &dyn Monitor) -> Result<Vec<f32>> {
        let d = sae.config.d_in;
        if rows.len() > sae.config.at_once() * d {
            let parts = rows.chunks(sae.config.at_once() * d).map(|rows| self.add(sae, rows, monitor));
            return Ok(parts.collect::<Result<Vec<_>>>()?.concat());
        }
        let (codes, reconstruction) = pass_through(sae, rows, monitor)?;
        self.active += codes.active() as u64;
        self.activation += codes.values.iter().map(|f| f64::from(*f)).sum::<f64>();
        codes.latents.iter().for_each(|i| self.fires[*i as usize] += 1);
        for (x, y) in rows.chunks_exact(d).zip(reconstruction.chunks_exact(d)) {
            self.add_row(x, y);
        }
        Ok(reconstruction)
    }

    fn add_row(&mut self, x: &[f32], y: &[f32]) {
        let (mut xx, mut xy, mut yy, mut error, mut deviation) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (c, (x, y)) in x.iter().zip(y).enumerate() {
            let (x, y) = (f64::from(*x), f64::from(*y));
            let from_mean = x - f64::from(self.mean[c]);
            xx += x * x;
            xy += x * y;
            yy += y * y;
            error += (x - y) * (x - y);
            deviation += from_mean * from_mean;
            self.sum[c] += x;
            self.error_sum[c] += x - y;
        }
        self.tokens += 1;
        self.error += error;
        self.square += xx;
        self.cross += xy;
        self.reconstruction_square += yy;
        self.norms[0] += xx.sqrt();
        self.norms[1] += yy.sqrt();
        if xx > 0.0 {
            self.ratios.add(yy.sqrt(), xx.sqrt());
        }
        self.cosines.add(xy, (xx * yy).sqrt());
        self.unexplained.add(error, deviation);
    }

    pub fn finish(self) -> Result<Evaluation> {
        if self.tokens == 0 {
            return Err(Error::new(Code::OutOfRange, "there are no tokens to measure"));
        }
        let n = self.tokens as f64;
        let about_mean = |square: f64, sum: &[f64]| square - sum.iter().map(|sum| sum * sum).sum::<f64>() / n;
        let variance = about_mean(self.square, &self.sum);
        // What rounding leaves of the variance of constant rows is no variance.
        let varies = variance > 1e-12 * self.square;
        let share = |a: f64| if varies { ratio(a, variance) } else { None };
        let fvu = share(self.error);
        let below = |rate: f64| {
            let rare = self.fires.iter().filter(|fires| **fires as f64 / n < rate).count();
            rare as f64 / self.fires.len() as f64
        };
        Ok(Evaluation {
            l0: self.active as f64 / n,
            l1: self.activation / n,
            mse: self.error / n,
            fvu,
            explained_variance: fvu.map(|fvu| 1.0 - fvu),
            explained_variance_legacy: self.unexplained.finish().filter(|_| varies).map(|share| 1.0 - share),
            frac_variance_explained: share(about_mean(self.error, &self.error_sum)).map(|share| 1.0 - share),
            cosine_similarity: self.cosines.finish(),
            l2_norm_in: self.norms[0] / n,
            l2_norm_out: self.norms[1] / n,
            l2_ratio: self.ratios.finish(),
            relative_reconstruction_bias: ratio(self.reconstruction_square, self.cross),
            dead_fraction: below(f64::MIN_POSITIVE),
            silent_fraction: below(f64::MIN_POSITIVE),
            fraction_below_1e_5: below(1e-5),
            fraction_below_1e_6: below(1e-6),
            tokens: self.tokens,
        })
    }
}
