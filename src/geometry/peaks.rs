//! Peaks in the distribution of nearest-neighbor cosines: where, how much, how sure.
//!
//! A peak is a maximum of a Gaussian kernel density. A narrow spike towers over a broad mode of ten times its mass, and a broad mode beside a spike that
//! holds most values is low at any bandwidth. So one bandwidth does not do, and height alone does not either: the search climbs a ladder of doubling
//! bandwidths from the improved Sheather-Jones rule up to that of the standard deviation, see [`super::ladder`]. A given bandwidth is used alone, and
//! then height alone counts.
//!
//! Where values stop (at a hard bound, or because their density is cut off), the density is reflected: it would otherwise peak inside, by the
//! kernel's width.
//!
//! Ties are structural: mutual neighbors share one cosine exactly. So the bandwidth is chosen from values of which
//! mutual pairs give one, and intervals come from a bootstrap over connected components of the neighbor graph, see [`super::interval`].

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Neighbors;
use super::interval::{Basin, Sample, intervals};
use super::isj::{quantile, silverman};
use super::ladder::{Level, Top, climb, cut, ladder};
use super::maxima::valley;
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::Sign;

/// More bootstrap samples than this are a slip.
const MOST_SAMPLES: usize = 1_000_000;
/// A bandwidth is at most so many times the largest value, or 1 if that is more.
const WIDEST: f64 = 1e6;

/// Options of [`peaks`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeakOptions {
    /// Least height over the saddle as share of the highest maximum, or least mass above it as share of the largest; in (0, 1].
    pub prominence: f64,
    /// Standard deviation of the kernel; by default a ladder of them, see the module.
    pub bandwidth: Option<f64>,
    /// Bootstrap samples behind an interval, at most a million; 0 for none.
    pub bootstrap: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl Default for PeakOptions {
    fn default() -> Self {
        PeakOptions { prominence: 0.05, bandwidth: None, bootstrap: 200, seed: 0 }
    }
}

/// One peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// Where the density is largest, at the bandwidth of the ladder that suits the basin's spread (Silverman's rule in it).
    pub location: f64,
    /// Left end of the basin: the valley, or the least value. A value there belongs to the peak.
    pub from: f64,
    /// Right end of the basin; a value there belongs to the next peak, if there is one.
    pub to: f64,
    /// Share of all values in the basin.
    pub mass: f64,
    /// How many values that is.
    pub count: usize,
    /// IQR/1.349 of the values in the basin: the standard deviation, were they normal.
    pub width: f64,
    /// Height over the highest saddle towards higher ground as share of the highest maximum, at the bandwidth at which
    /// the peak first shows; for a peak that counts by its mass alone, the mass above the saddle as share of the largest.
    pub prominence: f64,
    /// Left end of the 95 % bootstrap interval of the location; `None` without a bootstrap or with one component.
    pub ci_low: Option<f64>,
    /// Right end.
    pub ci_high: Option<f64>,
    /// Whether values stop at the location: their density is largest at its end and falls on one side only.
    pub edge: bool,
}

/// The peaks of the nearest-neighbor cosines, by mass, the largest first. Invalid rows do not count.
///
/// # Errors
/// `out-of-range` for a prominence outside (0, 1], a bandwidth that is not positive or far wider than the values, or more than a million
/// bootstrap samples; `too-large`.
pub fn peaks(neighbors: &Neighbors, options: &PeakOptions) -> Result<Vec<Peak>> {
    let component = neighbors.components(|_| true);
    let rows: Vec<(usize, f64)> = neighbors.cos.iter().enumerate().filter_map(|(i, c)| c.map(|c| (i, c))).collect();
    let mut place = vec![0; neighbors.cos.len()];
    rows.iter().enumerate().for_each(|(k, &(i, _))| place[i] = k);
    // The first of a mutual pair stands for both.
    let tie = |&(i, _): &(usize, f64)| match neighbors.index[i] {
        Some(j) if j < i && neighbors.is_mutual(i) => place[j],
        _ => place[i],
    };
    let tie: Vec<usize> = rows.iter().map(tie).collect();
    let lone = tie.iter().enumerate().filter(|(k, tie)| k == *tie);
    find(
        Sample {
            distinct: lone.map(|(k, _)| rows[k].1).collect(),
            values: rows.iter().map(|&(_, c)| c).collect(),
            cluster: rows.iter().map(|&(i, _)| component[i]).collect(),
            tie,
            domain: Some((if neighbors.sign == Sign::Abs { 0.0 } else { -1.0 }, 1.0)),
        },
        options,
    )
}

/// The peaks of plain values, by mass. Values that are not finite do not count; each value is drawn by itself in the bootstrap, so
/// intervals are too narrow where values come in groups (as mutual neighbors do: give those to [`peaks`]).
///
/// # Errors
/// As [`peaks`].
pub fn peaks_of_values(values: &[f64], options: &PeakOptions) -> Result<Vec<Peak>> {
    room(values.len())?;
    let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let scale = values.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    if scale == 0.0 || (1e-100..1e100).contains(&scale) {
        return find(Sample::plain(values), options);
    }
    // Squares and reciprocals of such values are no numbers; powers of two change no digit.
    let power = scale.log2().floor() as i32;
    let times = |x: f64, power: i32| x * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
    let back = |x: f64| times(x, power);
    let scaled = values.iter().map(|v| times(*v, -power)).collect();
    check(options, scale)?;
    let options =
        PeakOptions { bandwidth: options.bandwidth.map(|h| times(h, -power).max(f64::MIN_POSITIVE)), ..*options };
    let scaled_back = |peak: Peak| Peak {
        location: back(peak.location),
        from: back(peak.from),
        to: back(peak.to),
        width: back(peak.width),
        ci_low: peak.ci_low.map(back),
        ci_high: peak.ci_high.map(back),
        ..peak
    };
    Ok(find(Sample::plain(scaled), &options)?.into_iter().map(scaled_back).collect())
}

/// Whether so many values fit into memory as often as they are held.
fn room(values: usize) -> Result<()> {
    let threads = rayon::current_num_threads() as u64;
    memory::check("the search for peaks", (64 + 16 * threads) * values as u64, "try fewer values")
}

/// Refuses options that make no sense for values of this size.
fn check(options: &PeakOptions, scale: f64) -> Result<()> {
    let wrong = |what: &str, expected: String, given: String| {
        Err(Error::new(Code::OutOfRange, what).fact("expected", expected).fact("given", given))
    };
    if !(options.prominence > 0.0 && options.prominence <= 1.0) {
        return wrong("the prominence is not a share", "above 0, at most 1".into(), options.prominence.to_string());
    }
    let widest = WIDEST * scale.max(1.0);
    if let Some(given) = options.bandwidth.filter(|h| !(*h > 0.0 && *h <= widest)) {
        let expected = format!("above 0, at most {widest:e}: a million times the largest value");
        return wrong("the bandwidth is out of range", expected, format!("{given:e}"));
    }
    if options.bootstrap > MOST_SAMPLES {
        let expected = format!("0 to {MOST_SAMPLES} samples");
        return wrong("there are too many bootstrap samples", expected, options.bootstrap.to_string());
    }
    Ok(())
}

fn find(sample: Sample, options: &PeakOptions) -> Result<Vec<Peak>> {
    let mut sorted = sample.values.clone();
    sorted.par_sort_unstable_by(f64::total_cmp);
    let (least, greatest) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
    let largest = greatest.abs().max(least.abs());
    check(options, largest)?;
    room(sorted.len())?;
    if sorted.is_empty() {
        return Ok(Vec::new());
    }
    // Values that rounding alone tells apart are one.
    let scale = if sample.domain.is_some() { 1.0 } else { largest };
    if greatest - least <= 1e-12 * scale {
        return Ok(vec![lone(&sorted, sample.clusters().len() > 1 && options.bootstrap > 0)]);
    }
    let mut distinct = sample.distinct.clone();
    distinct.par_sort_unstable_by(f64::total_cmp);
    let ends = cut(&distinct, sample.domain);
    let ladder = ladder(&sample.values, &distinct, ends, options.bandwidth);
    let tops = climb(&ladder, distinct.len(), options.prominence);
    let edges = edges(&ladder[0], &tops, least, greatest);
    let (mut basins, mut peaks): (Vec<Basin>, Vec<Peak>) = (Vec::new(), Vec::new());
    for (k, top) in tops.iter().enumerate() {
        let (from, to, is_last) = (edges[k], edges[k + 1], k + 1 == tops.len());
        let begin = sorted.partition_point(|&v| v < from);
        let end = if is_last { sorted.len() } else { sorted.partition_point(|&v| v < to) };
        let inside = &sorted[begin..end.max(begin)];
        let (basin, location) = Basin::around(top, (from, to), inside, (k > 0, !is_last), &ladder);
        peaks.push(Peak {
            location,
            from,
            to,
            mass: inside.len() as f64 / sorted.len() as f64,
            count: inside.len(),
            width: (quantile(inside, 0.75) - quantile(inside, 0.25)) / 1.349,
            prominence: top.prominence,
            ci_low: None,
            ci_high: None,
            edge: ladder[basin.level].grid.is_end(location),
        });
        basins.push(basin);
    }
    let locations: Vec<f64> = peaks.iter().map(|peak| peak.location).collect();
    for (peak, (low, high)) in peaks.iter_mut().zip(intervals(&sample, &ladder, &basins, &locations, options)) {
        (peak.ci_low, peak.ci_high) = (Some(low), Some(high));
    }
    peaks.sort_by(|a, b| b.mass.total_cmp(&a.mass).then(a.location.total_cmp(&b.location)));
    Ok(peaks)
}

/// The one peak of values that are all the same.
fn lone(sorted: &[f64], with_interval: bool) -> Peak {
    let location = quantile(sorted, 0.5);
    let interval = with_interval.then_some(location);
    Peak {
        location,
        from: sorted.first().copied().unwrap_or(location),
        to: sorted.last().copied().unwrap_or(location),
        mass: 1.0,
        count: sorted.len(),
        width: 0.0,
        prominence: 1.0,
        ci_low: interval,
        ci_high: interval,
        edge: false,
    }
}

/// The ends of the basins: the least value, the valleys between peaks at the finest level, the greatest value.
fn edges(finest: &Level, tops: &[Top], least: f64, greatest: f64) -> Vec<f64> {
    let node = |top: &Top| finest.grid.place(top.location).0;
    let between = |pair: &[Top]| finest.grid.at(valley(&finest.density, node(&pair[0]), node(&pair[1])) as f64);
    std::iter::once(least).chain(tops.windows(2).map(between)).chain([greatest]).collect()
}

impl Basin {
    /// The basin of a peak and the peak's location: the top at the level that suits the spread of the values inside, unless the flank of a
    /// neighbor on that side reaches into the basin there.
    fn around(
        top: &Top,
        (from, to): (f64, f64),
        inside: &[f64],
        neighbors: (bool, bool),
        ladder: &[Level],
    ) -> (Basin, f64) {
        let suits = silverman(inside).unwrap_or(0.0);
        let level = (top.level..ladder.len()).rev().find(|&l| ladder[l].grid.bandwidth <= suits).unwrap_or(top.level);
        let highest = Basin { level, from, to }.top(&ladder[level].grid, &ladder[level].density);
        let on_edge = |edge: f64| (highest - edge).abs() <= ladder[level].grid.bandwidth;
        let on_flank = (neighbors.0 && on_edge(from)) || (neighbors.1 && on_edge(to));
        let (level, location) = if on_flank { (top.level, top.location) } else { (level, highest) };
        // The flank of a neighbor may be higher than this top, here or in a sample of the bootstrap: it is left out as far as the
        // lowest place between.
        let Level { grid, density, .. } = &ladder[level];
        let node = |x: f64| grid.place(x).0;
        let (at, from_node, to_node) = (node(location), node(from), node(to));
        let low = |a: usize, b: usize| grid.at(valley(density, a, b) as f64);
        let basin = Basin {
            level,
            from: if neighbors.0 && from_node < at { low(from_node, at) } else { from },
            to: if neighbors.1 && at < to_node { low(at, to_node) } else { to },
        };
        let location = basin.top(grid, density);
        (basin, location)
    }
}
