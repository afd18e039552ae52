//! Axes: from values to pixels, round ticks and how they are written.

/// One axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Value at the start; less than `hi`.
    pub lo: f64,
    /// Value at the end.
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
            (true, false) => (lo - margin * (hi - lo), hi + margin * (hi - lo)),
            (true, true) => (lo * (lo / hi).powf(margin), hi * (hi / lo).powf(margin)),
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
            false => (x - self.lo) / (self.hi - self.lo),
            true if x > 0.0 => (x / self.lo).ln() / (self.hi / self.lo).ln(),
            true => 0.0,
        };
        self.start + share * (self.end - self.start)
    }

    /// Whether a value lies on the axis, its ends included.
    pub(super) fn holds(&self, x: f64) -> bool {
        let slack = if self.log { 0.0 } else { 1e-9 * (self.hi - self.lo) };
        (self.lo - slack..=self.hi + slack).contains(&x)
    }

    /// Round values on the axis, about `n` of them, with their text.
    pub(super) fn ticks(&self, n: usize) -> Vec<(f64, String)> {
        let values = if self.log { self.log_ticks() } else { self.linear_ticks(n) };
        let largest = values.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let step = if values.len() > 1 { (values[1] - values[0]).abs() } else { largest };
        values.iter().map(|x| (*x, tick_text(*x, if self.log { x.abs() } else { step }, largest))).collect()
    }

    fn linear_ticks(&self, n: usize) -> Vec<f64> {
        let step = round_step((self.hi - self.lo) / n.max(2) as f64);
        let (first, last) = ((self.lo / step - 1e-6).ceil(), (self.hi / step + 1e-6).floor());
        // A range that is tiny beside its distance from zero has no ticks that f64 could tell apart.
        let count = if last >= first { ((last - first) as usize).min(50) } else { 0 };
        (0..=count).map(|i| (first + i as f64) * step).map(|x| if x.abs() < 1e-9 * step { 0.0 } else { x }).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let (low, high) = (self.lo.log10().floor() as i32, self.hi.log10().ceil() as i32);
        let every = ((high - low) / 8).max(1) as usize;
        let steps: &[f64] = if high - low <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = (low..=high).step_by(every).flat_map(|e| steps.iter().map(move |s| s * 10f64.powi(e)));
        all.filter(|x| self.holds(*x)).collect()
    }
}

/// The least of 1, 2, 5 times a power of ten that is at least `x`.
pub(super) fn round_step(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|s| s * power).find(|s| *s >= x * (1.0 - 1e-9)).unwrap_or(power)
}

/// A tick's text: as many decimals as the step needs, millions and more with a letter, an exponent for the very small.
fn tick_text(x: f64, step: f64, largest: f64) -> String {
    if largest > 0.0 && largest < 1e-4 {
        return format!("{:.0e}", x).replace("0e0", "0");
    }
    let (unit, letter) = match largest {
        _ if largest >= 1e15 => return format!("{x:.1e}"),
        _ if largest >= 1e9 => (1e9, "G"),
        _ if largest >= 1e6 => (1e6, "M"),
        _ => (1.0, ""),
    };
    if x == 0.0 {
        return "0".to_string();
    }
    let decimals = (-(step / unit).log10().floor()).clamp(0.0, 9.0) as usize;
    // 0.25 as a step needs two decimals although its power of ten asks for one.
    let decimals = (decimals..10).find(|d| {
        let scaled = step / unit * 10f64.powi(*d as i32);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
    });
    format!("{:.*}{letter}", decimals.unwrap_or(3), x / unit)
}
