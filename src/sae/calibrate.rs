//! The last pass of a training: what L0 the finished weights have, and thresholds that give the L0 that was asked for.
//!
//! The pass reads a sample of the store, drawn by the training's seed, and needs nothing but the finished weights: it gives the same bytes
//! whatever the length of the training, its interruptions and the number of threads. What is sought is an order statistic of the sample's
//! pre-activations; only as many as can still be it are held.

use super::Activation;
use super::options::TrainOptions;
use super::weights::Weights;
use crate::activations::Activations;
use crate::error::Result;
use crate::ops::codes::Codes;
use crate::ops::dense::Padded;
use crate::ops::encode::{Floor, encode_above};
use crate::progress::Monitor;
use crate::rng::Rng;

/// Rows of the sample at most: the mean L0 of so many is off by half a percent where a token's L0 spreads as widely as its mean.
pub(super) const ROWS: usize = 1 << 15;
/// Rows at least, where there are so many: tokens with very many active latents differ less.
const LEAST: usize = 1 << 12;
/// Pre-activations that count as active in the sample, about: fewer rows where a token has more.
const ACTIVE: usize = 1 << 22;
/// Pre-activations of rows that are encoded at once, at most.
const PAIRS: usize = 1 << 24;
/// What rounding may change in a threshold that is a product.
const ROUNDING: f32 = 1e-6;

/// A sample of the rows that a training reads.
pub(super) struct Sample<'a> {
    activations: &'a Activations,
    rows: Vec<usize>,
    scale: f32,
}

/// What pre-activations are compared with: one number, or each latent's own threshold times one.
#[derive(Clone, Copy)]
pub(super) enum Unit<'a> {
    /// One threshold for all latents.
    One,
    /// Multiples of these.
    Each(&'a [f32]),
}

impl Unit<'_> {
    fn of(self, latent: u32) -> f32 {
        match self {
            Unit::One => 1.0,
            Unit::Each(thresholds) => thresholds[latent as usize],
        }
    }
}

/// How many rows a sample has for an L0 of so many.
pub(super) fn sample_rows(l0: f64) -> usize {
    ((ACTIVE as f64 / l0.max(1.0)) as usize).clamp(LEAST, ROWS)
}

impl<'a> Sample<'a> {
    /// At most `rows` rows, in the order in which they are stored.
    pub fn new(activations: &'a Activations, rows: usize, seed: u64, scale: f32) -> Result<Sample<'a>> {
        let seed = Rng::new(seed, "sae::train threshold").bits();
        let mut rows = activations.places(rows.min(activations.len()), seed)?;
        rows.sort_unstable();
        Ok(Sample { activations, rows, scale })
    }

    /// Active latents a row, of an SAE that reads scaled activations.
    pub fn l0(&self, weights: &Weights, activation: &Activation, monitor: &dyn Monitor) -> Result<f64> {
        let mut active = 0;
        self.for_chunks(weights, monitor, |x| {
            active += activation.codes(x, weights.encoder(), &weights.b_enc.value).active();
        })?;
        Ok(active as f64 / self.rows.len() as f64)
    }

    /// The number that `pre / unit` must be above so that `l0` latents a row are active, 0 where that many are never above 0; `guess` is some
    /// number that is likely to be below it, or 0.
    pub fn threshold(
        &self,
        weights: &Weights,
        unit: Unit<'_>,
        l0: f64,
        guess: f32,
        monitor: &dyn Monitor,
    ) -> Result<f32> {
        let count = (l0 * self.rows.len() as f64).round() as usize;
        let mut values = self.largest(weights, unit, count + 1, guess, monitor)?;
        if values.len() <= count && guess > 0.0 {
            values = self.largest(weights, unit, count + 1, 0.0, monitor)?;
        }
        if values.len() <= count {
            return Ok(0.0);
        }
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        let next = values[count];
        let last = if count == 0 { f32::INFINITY } else { values[count - 1] };
        if last > next {
            // Between the two, so that rounding in other programs does not matter.
            let middle = next + 0.5 * (last - next);
            return Ok(if middle.is_finite() && middle < last { middle } else { next });
        }
        // Equal values are all active or all not: whichever is nearer.
        let (mut above, mut equal) = (0usize, 0usize);
        self.for_codes(weights, unit, next.next_down(), monitor, |value| {
            above += usize::from(value > next);
            equal += usize::from(value == next);
        })?;
        Ok(if above + equal - count < count - above { next.next_down() } else { next })
    }

    /// The `count` largest positive values of `pre / unit` above a floor, in no order; all where there are fewer.
    fn largest(
        &self,
        weights: &Weights,
        unit: Unit<'_>,
        count: usize,
        floor: f32,
        monitor: &dyn Monitor,
    ) -> Result<Vec<f32>> {
        let mut values: Vec<f32> = Vec::new();
        let mut floor = floor;
        self.for_chunks(weights, monitor, |x| {
            let codes = above(x, weights, unit, floor);
            values.extend(codes.latents.iter().zip(&codes.values).map(|(i, pre)| pre / unit.of(*i)));
            if values.len() > 2 * count {
                values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
                values.truncate(count);
                floor = values[count - 1];
            }
        })?;
        if values.len() > count {
            values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
            values.truncate(count);
        }
        Ok(values)
    }

    fn for_codes(
        &self,
        weights: &Weights,
        unit: Unit<'_>,
        floor: f32,
        monitor: &dyn Monitor,
        mut visit: impl FnMut(f32),
    ) -> Result<()> {
        self.for_chunks(weights, monitor, |x| {
            let codes = above(x, weights, unit, floor);
            codes.latents.iter().zip(&codes.values).for_each(|(i, pre)| visit(pre / unit.of(*i)));
        })
    }

    /// Calls `visit` with the centered rows, some at a time.
    fn for_chunks(&self, weights: &Weights, monitor: &dyn Monitor, mut visit: impl FnMut(&Padded)) -> Result<()> {
        let d = weights.d_in();
        let each = (PAIRS / weights.d_sae()).clamp(64, 2048);
        let mut x = vec![0.0; each.min(self.rows.len()) * d];
        let mut done = 0;
        for rows in self.rows.chunks(each) {
            monitor.check()?;
            let x = &mut x[..rows.len() * d];
            self.activations.gather(rows, x)?;
            if self.scale != 1.0 {
                x.iter_mut().for_each(|x| *x *= self.scale);
            }
            visit(&Padded::centered(x, &weights.b_dec.value));
            done += rows.len();
            monitor.update("threshold", done as u64, self.rows.len() as u64, "");
        }
        monitor.check()
    }
}

/// The positive pre-activations that are above `floor` times their unit, up to rounding.
fn above(x: &Padded, weights: &Weights, unit: Unit<'_>, floor: f32) -> Codes {
    let (w_enc, b_enc) = (weights.encoder(), &weights.b_enc.value);
    let floors: Vec<f32>;
    let floor = match unit {
        // What equals the floor may be what is sought.
        Unit::One => Floor::All(if floor > 0.0 { floor.next_down() } else { 0.0 }),
        Unit::Each(thresholds) => {
            floors = thresholds.iter().map(|t| t * floor * (1.0 - ROUNDING)).collect();
            Floor::Each(&floors)
        }
    };
    encode_above(x, w_enc, b_enc, floor, None).unwrap_or_else(|| Codes::none(x.n, w_enc.n))
}

/// Bytes that the last pass holds at most.
pub(super) fn bytes(options: &TrainOptions) -> f64 {
    let Some(l0) = options.k.map(|k| k as f64).or(options.target_l0) else { return 0.0 };
    let pairs = PAIRS.min(options.d_sae.saturating_mul(2048)) as f64;
    8.0 * (l0 * sample_rows(l0) as f64).min(1e18) + 12.0 * pairs / 2.0
}
