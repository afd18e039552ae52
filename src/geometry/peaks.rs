//! Peaks in the distribution of nearest-neighbor cosines: where, how much, how sure.
//!
//! A peak is a maximum of a Gaussian kernel density whose prominence is at least a share of the highest maximum. A narrow spike
//! towers over a broad mode of ten times its mass, so one bandwidth does not do: the search climbs a ladder of doubling bandwidths
//! from the improved Sheather-Jones rule up to Silverman's, and at each takes the maxima that are still there at the next
//! and in whose basin no finer one was found. A given bandwidth is used alone.
//!
//! Ties are structural: mutual neighbors share one cosine exactly. So the bandwidth is chosen from values of which
//! mutual pairs give one, and intervals come from a bootstrap over connected components of the neighbor graph. (Drawing rows
//! would make copies, and with them neighbors at cosine 1; it is values that are drawn, rows stay as they are.)

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Neighbors;
use super::isj::{bandwidth, quantile, silverman};
use super::kde::{Grid, maxima, refine, valley};
use crate::error::{Code, Error, Result};
use crate::ops::Sign;
use crate::rng::Rng;

/// Options of [`peaks`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeakOptions {
    /// Least prominence, as share of the highest maximum; in (0, 1].
    pub prominence: f64,
    /// Standard deviation of the kernel; by default a ladder of them, see the module.
    pub bandwidth: Option<f64>,
    /// Bootstrap samples behind an interval; 0 for none.
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
    /// Height over the highest saddle towards higher ground, as share of the highest maximum, at the bandwidth at which
    /// the peak first shows.
    pub prominence: f64,
    /// Left end of the 95 % bootstrap interval of the location; `None` without a bootstrap or with one component.
    pub ci_low: Option<f64>,
    /// Right end.
    pub ci_high: Option<f64>,
}

/// The peaks of the nearest-neighbor cosines, by mass, the largest first. Invalid rows do not count.
///
/// # Errors
/// `out-of-range` for a prominence outside (0, 1] or a bandwidth that is not positive.
pub fn peaks(neighbors: &Neighbors, options: &PeakOptions) -> Result<Vec<Peak>> {
    let component = neighbors.components(|_| true);
    let rows: Vec<(usize, f64)> = neighbors.cos.iter().enumerate().filter_map(|(i, c)| c.map(|c| (i, c))).collect();
    let lone = |i: usize| !neighbors.is_mutual(i) || neighbors.index[i].is_some_and(|j| i < j);
    find(
        Sample {
            values: rows.iter().map(|&(_, c)| c).collect(),
            cluster: rows.iter().map(|&(i, _)| component[i]).collect(),
            distinct: rows.iter().filter(|&&(i, _)| lone(i)).map(|&(_, c)| c).collect(),
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
    let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    find(Sample { cluster: (0..values.len()).collect(), distinct: values.clone(), domain: None, values }, options)
}

/// What a search works on.
struct Sample {
    values: Vec<f64>,
    /// Which values are drawn together.
    cluster: Vec<usize>,
    /// The values without structural duplicates.
    distinct: Vec<f64>,
    /// Where values can lie.
    domain: Option<(f64, f64)>,
}

fn find(sample: Sample, options: &PeakOptions) -> Result<Vec<Peak>> {
    if !(options.prominence > 0.0 && options.prominence <= 1.0) {
        return Err(Error::new(Code::OutOfRange, "the prominence is not a share")
            .fact("expected", "above 0, at most 1")
            .fact("given", options.prominence));
    }
    if let Some(given) = options.bandwidth.filter(|h| !(h.is_finite() && *h > 0.0)) {
        return Err(Error::new(Code::OutOfRange, "the bandwidth is not a positive number").fact("given", given));
    }
    let mut sorted = sample.values.clone();
    sorted.sort_by(f64::total_cmp);
    let (Some(&least), Some(&greatest)) = (sorted.first(), sorted.last()) else { return Ok(Vec::new()) };
    // Values that rounding alone tells apart are one.
    let scale = if sample.domain.is_some() { 1.0 } else { greatest.abs().max(least.abs()) };
    if greatest - least <= 1e-12 * scale {
        let middle = quantile(&sorted, 0.5);
        let interval = (options.bootstrap > 0 && sample.clusters().len() > 1).then_some(middle);
        return Ok(vec![Peak {
            location: middle,
            from: least,
            to: greatest,
            mass: 1.0,
            count: sorted.len(),
            width: 0.0,
            prominence: 1.0,
            ci_low: interval,
            ci_high: interval,
        }]);
    }
    let ladder = sample.ladder(least, greatest, options.bandwidth);
    let tops = climb(&ladder, options);
    let finest = &ladder[0];
    let mut edges = vec![least];
    edges.extend(tops.windows(2).map(|pair| {
        let node = |top: &Top| finest.grid.place(top.location).0;
        finest.grid.at(valley(&finest.density, node(&pair[0]), node(&pair[1])) as f64)
    }));
    edges.push(greatest);
    let mut basins = Vec::new();
    let mut peaks = Vec::new();
    for (k, top) in tops.iter().enumerate() {
        let (from, to, is_last) = (edges[k], edges[k + 1], k + 1 == tops.len());
        let begin = sorted.partition_point(|&v| v < from);
        let end = if is_last { sorted.len() } else { sorted.partition_point(|&v| v < to) };
        let inside = &sorted[begin..end.max(begin)];
        let suits = silverman(inside).unwrap_or(0.0);
        let level = (top.level..ladder.len()).rev().find(|&l| ladder[l].grid.bandwidth <= suits).unwrap_or(top.level);
        let mut basin = Basin { level, from, to };
        let mut location = basin.top(&ladder[level].grid, &ladder[level].density);
        // A neighbor's flank may reach into the basin where the kernel is wide.
        let on_edge = |edge: f64| (location - edge).abs() <= ladder[level].grid.bandwidth;
        if (k > 0 && on_edge(from)) || (!is_last && on_edge(to)) {
            basin.level = top.level;
            location = basin.top(&ladder[top.level].grid, &ladder[top.level].density);
        }
        basins.push(basin);
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
        });
    }
    for (peak, found) in peaks.iter_mut().zip(sample.bootstrap(&ladder, &basins, options)) {
        (peak.ci_low, peak.ci_high) = (Some(quantile(&found, 0.025)), Some(quantile(&found, 0.975)));
    }
    peaks.sort_by(|a, b| b.mass.total_cmp(&a.mass).then(a.location.total_cmp(&b.location)));
    Ok(peaks)
}

/// The density at one bandwidth.
struct Level {
    grid: Grid,
    places: Vec<(usize, f64)>,
    density: Vec<f64>,
}

/// A maximum that counts, and the level at which it was found.
#[derive(Clone, Copy)]
struct Top {
    location: f64,
    level: usize,
    prominence: f64,
}

/// The peaks from left to right. With one level all its prominent maxima; with more the last one only confirms the one before.
fn climb(ladder: &[Level], options: &PeakOptions) -> Vec<Top> {
    let found: Vec<Vec<Top>> = ladder
        .iter()
        .enumerate()
        .map(|(level, at)| {
            let top =
                |m: super::kde::Maximum| Top { location: at.grid.at(m.node as f64), level, prominence: m.prominence };
            maxima(&at.density, options.prominence).into_iter().map(top).collect()
        })
        .collect();
    let mut accepted: Vec<Top> = Vec::new();
    for (level, at) in ladder.iter().enumerate().take(found.len().saturating_sub(1).max(1)) {
        let mut edges = vec![f64::NEG_INFINITY];
        edges.extend(found[level].windows(2).map(|pair| {
            let node = |top: &Top| at.grid.place(top.location).0;
            at.grid.at(valley(&at.density, node(&pair[0]), node(&pair[1])) as f64)
        }));
        edges.push(f64::INFINITY);
        let mut fresh = Vec::new();
        for (k, top) in found[level].iter().enumerate() {
            let inside = |other: &Top| (edges[k]..edges[k + 1]).contains(&other.location);
            let persists = found.get(level + 1).is_none_or(|next| next.iter().any(inside));
            if persists && !accepted.iter().any(inside) {
                fresh.push(*top);
            }
        }
        accepted.extend(fresh);
    }
    accepted.sort_by(|a, b| a.location.total_cmp(&b.location));
    accepted
}

/// Where one peak's maximum is looked for.
struct Basin {
    level: usize,
    from: f64,
    to: f64,
}

impl Basin {
    /// The place of the largest density within the basin.
    fn top(&self, grid: &Grid, density: &[f64]) -> f64 {
        let (from, to) = (grid.place(self.from).0, grid.place(self.to).0 + 1);
        let best = (from..=to).fold(from, |best, k| if density[k] > density[best] { k } else { best });
        grid.at(refine(density, best))
    }
}

impl Sample {
    /// The clusters' numbers, ascending.
    fn clusters(&self) -> Vec<usize> {
        let mut ids = self.cluster.clone();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The given bandwidth alone, or a ladder.
    fn ladder(&self, least: f64, greatest: f64, given: Option<f64>) -> Vec<Level> {
        let level = |bandwidth: f64| {
            let grid = Grid::new(least, greatest, self.domain, bandwidth);
            let places: Vec<(usize, f64)> = self.values.iter().map(|&v| grid.place(v)).collect();
            let density = grid.density(&places, |_| 1.0, places.len() as f64);
            Level { grid, places, density }
        };
        if let Some(bandwidth) = given {
            return vec![level(bandwidth)];
        }
        let mut sorted = self.distinct.clone();
        sorted.sort_by(f64::total_cmp);
        let lowest = bandwidth(&sorted).unwrap_or((greatest - least) / 100.0);
        let highest = silverman(&sorted).unwrap_or(lowest);
        let mut ladder = vec![level(lowest)];
        let mut next = 2.0 * ladder[0].grid.bandwidth;
        loop {
            ladder.push(level(next));
            if next >= highest {
                return ladder;
            }
            next *= 2.0;
        }
    }

    /// For each basin the sorted places of the density's maximum in it, one a bootstrap sample; empty without a bootstrap.
    fn bootstrap(&self, ladder: &[Level], basins: &[Basin], options: &PeakOptions) -> Vec<Vec<f64>> {
        let ids = self.clusters();
        if options.bootstrap == 0 || ids.len() < 2 {
            return Vec::new();
        }
        let number: Vec<usize> = self.cluster.iter().map(|id| ids.partition_point(|other| other < id)).collect();
        let samples: Vec<Vec<f64>> = (0..options.bootstrap)
            .into_par_iter()
            .map(|sample| {
                let mut rng = Rng::new(options.seed, &format!("geometry::peaks bootstrap {sample}"));
                let mut drawn = vec![0.0; ids.len()];
                (0..ids.len()).for_each(|_| drawn[rng.below(ids.len())] += 1.0);
                let total: f64 = number.iter().map(|&c| drawn[c]).sum();
                let mut tops = vec![0.0; basins.len()];
                for (l, at) in ladder.iter().enumerate().filter(|(l, _)| basins.iter().any(|b| b.level == *l)) {
                    let density = at.grid.density(&at.places, |i| drawn[number[i]], total.max(1.0));
                    for (top, basin) in tops.iter_mut().zip(basins).filter(|(_, basin)| basin.level == l) {
                        *top = basin.top(&at.grid, &density);
                    }
                }
                tops
            })
            .collect();
        (0..basins.len())
            .map(|k| {
                let mut found: Vec<f64> = samples.iter().map(|sample| sample[k]).collect();
                found.sort_by(f64::total_cmp);
                found
            })
            .collect()
    }
}
