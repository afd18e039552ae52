//! Axes: from values to pixels. Their ticks are in `tick`.

/// The least length of a linear axis: below it, steps between ticks are not normal floats.
const SHORTEST: f64 = 1e-300;

/// The least length of a linear axis beside its distance from zero: some hundred floats.
const FINEST: f64 = 1e-14;

/// The least positive float.
const LEAST: f64 = f64::from_bits(1);

/// One axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Value at the start; less than `hi`, and finite.
    pub lo: f64,
    /// Value at the end, finite.
    pub hi: f64,
    /// Whether it is logarithmic; then `lo` is positive.
    pub log: bool,
    /// Pixel at `lo`.
    pub start: f64,
    /// Pixel at `hi`.
    pub end: f64,
}

impl Scale {
    /// An axis over `values` with `margin` (a share of the range) on both sides; 0..1 when there are none.
    pub(super) fn over(values: impl Iterator<Item = f64>, log: bool, margin: f64) -> Scale {
        let good = values.filter(|x| x.is_finite() && (!log || *x > 0.0));
        let (lo, hi) = good.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)));
        let (lo, hi) = match (lo <= hi, log) {
            (false, false) => (0.0, 1.0),
            (false, true) => (1.0, 10.0),
            (true, false) if lo == hi => (lo - 0.5 * lo.abs().max(1.0), hi + 0.5 * hi.abs().max(1.0)),
            (true, true) if lo == hi => (lo / 3.0, hi * 3.0),
            (true, false) if (hi - lo).is_finite() => (lo - margin * (hi - lo), hi + margin * (hi - lo)),
            (true, false) => (lo - margin * hi + margin * lo, hi + margin * hi - margin * lo),
            // The ratio of the very large and the very small is no float.
            (true, true) if !(hi / lo).is_finite() || lo / hi == 0.0 => (lo, hi),
            (true, true) => (lo * (lo / hi).powf(margin), hi * (hi / lo).powf(margin)),
        };
        Scale::between_values(lo, hi, log)
    }

    /// An axis from `lo` to `hi`, a little longer where floats are too few between them.
    pub(super) fn between_values(lo: f64, hi: f64, log: bool) -> Scale {
        let (lo, hi) = (lo.clamp(f64::MIN, f64::MAX), hi.clamp(f64::MIN, f64::MAX));
        let (lo, hi) = if log {
            (lo.max(LEAST), hi)
        } else {
            let least = (FINEST * lo.abs().max(hi.abs())).max(SHORTEST);
            let missing = if hi - lo < least { least } else { 0.0 };
            ((lo - missing / 2.0).max(f64::MIN), (hi + missing / 2.0).min(f64::MAX))
        };
        Scale { lo, hi, log, start: 0.0, end: 1.0 }
    }

    /// The same axis between these pixels.
    pub(super) fn between(self, start: f64, end: f64) -> Scale {
        Scale { start, end, ..self }
    }

    /// The pixel of a value; on a logarithmic axis, values that are not positive lie at its start.
    pub(super) fn at(&self, x: f64) -> f64 {
        let share = match self.log {
            false if (self.hi - self.lo).is_finite() => (x - self.lo) / (self.hi - self.lo),
            false => (x / 2.0 - self.lo / 2.0) / (self.hi / 2.0 - self.lo / 2.0),
            true if x > 0.0 && (self.hi / self.lo).is_finite() && self.lo.is_normal() => {
                (x / self.lo).ln() / (self.hi / self.lo).ln()
            }
            true if x > 0.0 => (x.ln() - self.lo.ln()) / (self.hi.ln() - self.lo.ln()),
            true => 0.0,
        };
        self.start + share * (self.end - self.start)
    }

    /// Whether a value lies on the axis, its ends included.
    pub(super) fn holds(&self, x: f64) -> bool {
        let slack = if self.log { 0.0 } else { 1e-9 * self.length() };
        (self.lo - slack..=self.hi + slack).contains(&x)
    }

    /// From end to end, at most the largest float.
    pub(super) fn length(&self) -> f64 {
        (self.hi - self.lo).min(f64::MAX)
    }
}
