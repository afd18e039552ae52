//! Counts in bins with fixed edges, so that two dictionaries' histograms can be laid over each other.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// Options of [`histogram`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistogramOptions {
    /// Width of a bin.
    pub bin_width: f64,
    /// Left edge of the first bin; by default the multiple of the width at or below the least value.
    pub from: Option<f64>,
    /// Right end; by default the multiple of the width above the greatest value. The last bin may reach beyond.
    pub to: Option<f64>,
}

impl Default for HistogramOptions {
    fn default() -> Self {
        HistogramOptions { bin_width: 0.01, from: None, to: None }
    }
}

/// Bins in order, one place a bin in each column.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Histogram {
    /// Left edge, inside the bin.
    pub from: Vec<f64>,
    /// Right edge, outside the bin but for the last.
    pub to: Vec<f64>,
    /// How many values lie in the bin.
    pub count: Vec<u64>,
    /// Share of all finite values (those outside the bins too) over the bin's width.
    pub density: Vec<f64>,
}

/// More bins than this are a slip.
const MOST_BINS: f64 = 1e6;

/// Counts the finite values in bins. Edges are multiples of the width (counted from `from` where it is given), and a value on
/// an edge, up to rounding, belongs to the bin on its right.
///
/// # Errors
/// `out-of-range` for a width that is not positive, `to` not above `from`, or more than a million bins.
pub fn histogram(values: &[f64], options: &HistogramOptions) -> Result<Histogram> {
    let width = options.bin_width;
    let wrong = |what: &str| Error::new(Code::OutOfRange, what.to_string());
    if !(width.is_finite() && width > 0.0) {
        return Err(wrong("the bin width is not a positive number").fact("bin_width", width));
    }
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let place = |v: f64| ((v - options.from.unwrap_or(0.0)) / width + 1e-9).floor();
    let first = if options.from.is_some() { 0.0 } else { place(least) };
    let bins = match options.to {
        Some(to) => ((to - options.from.unwrap_or(0.0)) / width - 1e-9).ceil() - first,
        None => place(greatest) + 1.0 - first,
    };
    if let (Some(from), Some(to)) = (options.from, options.to)
        && (from.is_nan() || to.is_nan() || to <= from)
    {
        return Err(wrong("`to` is not above `from`").fact("from", from).fact("to", to));
    }
    if bins.is_infinite() && !finite.is_empty() || bins > MOST_BINS && bins.is_finite() {
        return Err(wrong("there would be more than a million bins").fact("bin_width", width));
    }
    let bins = if bins.is_finite() { bins.max(0.0) as usize } else { 0 };
    let edge = |k: usize| options.from.unwrap_or(0.0) + multiple(first + k as f64, width);
    let mut result = Histogram {
        from: (0..bins).map(edge).collect(),
        to: (1..=bins).map(edge).collect(),
        count: vec![0; bins],
        density: Vec::new(),
    };
    for &v in &finite {
        let k = place(v) - first;
        if k >= 0.0 && k < bins as f64 {
            result.count[k as usize] += 1;
        } else if bins > 0 && k >= 0.0 && v <= result.to[bins - 1] {
            result.count[bins - 1] += 1;
        }
    }
    result.density = result.count.iter().map(|&c| c as f64 / (finite.len().max(1) as f64 * width)).collect();
    Ok(result)
}

/// k times the width; where the width is one over an integer, the nearest number to it (0.29, not 0.29000000000000004).
fn multiple(k: f64, width: f64) -> f64 {
    let per_unit = (1.0 / width).round();
    if ((1.0 / width) - per_unit).abs() < 1e-9 * per_unit { k / per_unit } else { k * width }
}
