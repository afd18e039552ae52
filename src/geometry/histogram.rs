//! Counts in bins with fixed edges, so that two dictionaries' histograms can be laid over each other.

use serde::{Deserialize, Serialize};

use crate::bins::{Bins, Wanted};
use crate::error::Result;

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
const MOST_BINS: usize = 1_000_000;

/// Counts the finite values in bins. Edges are multiples of the width (counted from `from` where it is given), and a value on
/// an edge, up to rounding, belongs to the bin on its right. Without `from` and `to`, every finite value lies in one bin.
///
/// # Errors
/// `out-of-range` for a width that is not positive or finer than floats can tell apart, `from` or `to` not finite, `to` not
/// above `from`, or more than a million bins.
pub fn histogram(values: &[f64], options: &HistogramOptions) -> Result<Histogram> {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let range = finite().next().map(|first| finite().fold((first, first), |(lo, hi), v| (v.min(lo), v.max(hi))));
    let HistogramOptions { bin_width: width, from, to } = *options;
    let bins = Bins::new(&Wanted { width, from, to, range, closed: false, most: MOST_BINS })?;
    let count = bins.counts(finite());
    let all = finite().count().max(1) as f64;
    Ok(Histogram {
        from: bins.edges().take(bins.count()).collect(),
        to: bins.edges().skip(1).collect(),
        density: count.iter().map(|&c| c as f64 / (all * width)).collect(),
        count,
    })
}
