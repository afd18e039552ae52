//! Bins of equal width: where their edges are, and in which of them a value lies. Histograms in tables and in pictures ask the
//! same rule.

use serde::Serialize;

use crate::error::{Code, Error, Result};

/// A value this share of a width below an edge still counts as on it: 0.1 + 0.2 and 0.3 lie in the same bin.
const SLACK: f64 = 1e-9;

/// The least width beside the largest edge: below it, edges are the same float.
const FINEST: f64 = 1e-15;

/// Bins in a row, each with its left edge inside; the last one has its right edge too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bins {
    /// Edges are whole multiples of the width from here.
    origin: f64,
    /// How many widths the first edge is from the origin, a whole number.
    first: f64,
    width: f64,
    count: usize,
}

/// What is asked of bins.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Width of a bin.
    pub width: f64,
    /// Left edge of the first bin; by default the multiple of the width at or below the least value.
    pub from: Option<f64>,
    /// Right end, which the last bin may reach beyond; by default the multiple of the width above the largest value.
    pub to: Option<f64>,
    /// The least and the largest value, if there is one.
    pub range: Option<(f64, f64)>,
    /// Whether, without `to`, the bins end at the largest value when it lies on an edge; else one more bin begins there.
    pub closed: bool,
    /// More bins than this are a slip.
    pub most: usize,
}

impl Bins {
    /// The bins. Without `from`, no value lies below them, and without `to` none above.
    ///
    /// # Errors
    /// `out-of-range` for a width that is not positive and finite or finer than floats at the edges, ends that are not finite or not in order, and for too many bins.
    pub fn new(wanted: &Wanted) -> Result<Bins> {
        let Wanted { width, from, to, range, closed, most } = *wanted;
        let wrong = |what: &str| Error::new(Code::OutOfRange, what.to_string());
        if !(width.is_finite() && width > 0.0) {
            return Err(wrong("the bin width is not a positive number").fact("bin_width", short(width)));
        }
        for (name, end) in [("from", from), ("to", to)] {
            if let Some(end) = end.filter(|end| !end.is_finite()) {
                return Err(wrong(&format!("`{name}` is not a finite number")).fact(name, short(end)));
            }
        }
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            return Err(wrong("`to` is not above `from`").fact("from", short(from)).fact("to", short(to)));
        }
        let origin = from.unwrap_or(0.0);
        let Some(range) = range.or(from.zip(to)) else { return Ok(Bins { origin, first: 0.0, width, count: 0 }) };
        // An end beyond all values leaves one empty bin.
        let least = from.unwrap_or_else(|| to.map_or(range.0, |to| range.0.min(to - width)));
        let largest = to.unwrap_or(range.1).max(least);
        if width < FINEST * least.abs().max(largest.abs()) {
            return Err(wrong("the bins are finer than floats of this size can tell apart")
                .fact("bin_width", short(width))
                .fact("values up to", short(least.abs().max(largest.abs()))));
        }
        let mut bins = Bins { origin, first: 0.0, width, count: 1 };
        bins.first = if from.is_some() { 0.0 } else { bins.place(least) };
        let end = match to {
            None if !closed => bins.place(largest) + 1.0,
            to => (bins.widths(to.unwrap_or(largest)) - SLACK).ceil(),
        };
        let count = (end - bins.first).max(1.0);
        if count.is_nan() || count > most as f64 {
            return Err(wrong(&format!("there would be more than {most} bins"))
                .fact("bin_width", short(width))
                .fact("from", short(least))
                .fact("to", short(largest))
                .help("choose a larger `bin_width`, or a shorter range by `from` and `to`"));
        }
        bins.count = count as usize;
        // Division and multiplication round each by itself; what decides is the edges.
        if from.is_none() && least < bins.begin(0) {
            bins.first -= 1.0;
            bins.count += 1;
        }
        if to.is_none() && largest > bins.edge(bins.count) + SLACK * width {
            bins.count += 1;
        }
        Ok(bins)
    }

    /// How many bins.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The width of a bin.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// The left edge of bin `k`; that of `count` is the right end.
    pub fn edge(&self, k: usize) -> f64 {
        let edge = self.origin + multiple(self.first + k as f64, self.width);
        edge.clamp(f64::MIN, f64::MAX)
    }

    /// All edges, one more than there are bins; none without bins.
    pub fn edges(&self) -> impl Iterator<Item = f64> + '_ {
        (0..=self.count).filter(|_| self.count > 0).map(|k| self.edge(k))
    }

    /// The bin in which a value lies; none outside.
    pub fn index(&self, value: f64) -> Option<usize> {
        let last = self.count.checked_sub(1)?;
        let inside = value >= self.begin(0) && value <= self.edge(self.count) + SLACK * self.width;
        if !inside {
            return None;
        }
        let mut k = (self.place(value) - self.first).clamp(0.0, last as f64) as usize;
        while k > 0 && value < self.begin(k) {
            k -= 1;
        }
        while k < last && value >= self.begin(k + 1) {
            k += 1;
        }
        Some(k)
    }

    /// How many of the finite values lie in each bin.
    pub fn counts(&self, values: impl Iterator<Item = f64>) -> Vec<u64> {
        let mut counts = vec![0; self.count];
        for k in values.filter_map(|value| self.index(value)) {
            counts[k] += 1;
        }
        counts
    }

    /// From where on values count as in bin `k`.
    fn begin(&self, k: usize) -> f64 {
        self.edge(k) - SLACK * self.width
    }

    /// How many widths a value is from the origin.
    fn widths(&self, value: f64) -> f64 {
        let difference = value - self.origin;
        if difference.is_finite() { difference / self.width } else { value / self.width - self.origin / self.width }
    }

    fn place(&self, value: f64) -> f64 {
        (self.widths(value) + SLACK).floor()
    }
}

/// With an exponent where the digits would be many.
fn short(x: f64) -> String {
    format!("{x:?}")
}

/// k times the width; where the width is one over an integer, the nearest number to it (0.29, not 0.29000000000000004).
fn multiple(k: f64, width: f64) -> f64 {
    let per_unit = (1.0 / width).round();
    if ((1.0 / width) - per_unit).abs() < 1e-9 * per_unit { k / per_unit } else { k * width }
}
