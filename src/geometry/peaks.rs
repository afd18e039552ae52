//! Peaks in the distribution of nearest-neighbor cosines: where, how much, how sure.
//!
//! A peak is a maximum of a Gaussian kernel density whose prominence is at least a share of the highest maximum, and which, where
//! the bandwidth was chosen here, is still there at twice that bandwidth. Its basin reaches to the valleys beside it.
//!
//! Ties are structural: mutual neighbors share one cosine exactly. So the bandwidth is chosen from values of which
//! mutual pairs give one, and intervals come from a bootstrap over connected components of the neighbor graph. (Drawing rows
//! would make copies, and with them neighbors at cosine 1; it is values that are drawn, rows stay as they are.)

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Neighbors;
use super::isj::{bandwidth, quantile};
use super::kde::{Grid, Maximum, maxima, refine};
use crate::error::{Code, Error, Result};
use crate::ops::Sign;
use crate::rng::Rng;

/// Options of [`peaks`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeakOptions {
    /// Least prominence, as share of the highest maximum; in (0, 1].
    pub prominence: f64,
    /// Standard deviation of the kernel; by default the improved Sheather-Jones rule.
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
    /// Where the density is largest.
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
    /// Height over the highest saddle towards higher ground, as share of the highest maximum.
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
    if greatest - least <= 1e-12 * greatest.abs().max(1e-300) {
        let middle = quantile(&sorted, 0.5);
        let interval = (options.bootstrap > 0 && sample.clusters() > 1).then_some(middle);
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
    let chosen = options.bandwidth.or_else(|| bandwidth(&sample.distinct)).unwrap_or((greatest - least) / 100.0);
    let grid = Grid::new(least, greatest, sample.domain, chosen);
    let places: Vec<(usize, f64)> = sample.values.iter().map(|&v| grid.place(v)).collect();
    let total = sorted.len() as f64;
    let density = grid.density(&places, |_| 1.0, total);
    let mut tops = maxima(&density, options.prominence);
    if options.bandwidth.is_none() {
        let wide = Grid::new(least, greatest, sample.domain, 2.0 * grid.bandwidth);
        let wide_places: Vec<(usize, f64)> = sample.values.iter().map(|&v| wide.place(v)).collect();
        let survivors: Vec<f64> = maxima(&wide.density(&wide_places, |_| 1.0, total), options.prominence)
            .iter()
            .map(|top| wide.at(top.node as f64))
            .collect();
        let basins = basins(&density, &tops);
        let persists = |k: usize| {
            let (from, to) = (grid.at(basins[k].0 as f64), grid.at(basins[k].1 as f64));
            survivors.iter().any(|s| (from..=to).contains(s))
        };
        tops = (0..tops.len()).filter(|&k| persists(k)).map(|k| tops[k]).collect();
    }
    let basins = basins(&density, &tops);
    let locations = sample.bootstrap(&grid, &places, &basins, options);
    let mut peaks: Vec<Peak> = tops
        .iter()
        .enumerate()
        .map(|(k, top)| {
            let from = if k == 0 { least } else { grid.at(basins[k].0 as f64) };
            let last = k + 1 == tops.len();
            let to = if last { greatest } else { grid.at(basins[k].1 as f64) };
            let begin = sorted.partition_point(|&v| v < from);
            let end = if last { sorted.len() } else { sorted.partition_point(|&v| v < to) };
            let inside = &sorted[begin..end.max(begin)];
            let interval = |p: f64| locations.get(k).map(|found| quantile(found, p));
            Peak {
                location: grid.at(refine(&density, top.node)),
                from,
                to,
                mass: inside.len() as f64 / total,
                count: inside.len(),
                width: (quantile(inside, 0.75) - quantile(inside, 0.25)) / 1.349,
                prominence: top.prominence,
                ci_low: interval(0.025),
                ci_high: interval(0.975),
            }
        })
        .collect();
    peaks.sort_by(|a, b| b.mass.total_cmp(&a.mass).then(a.location.total_cmp(&b.location)));
    Ok(peaks)
}

/// For each maximum the first and last node of its basin: the lowest points between neighboring maxima, the first of equal ones.
fn basins(density: &[f64], tops: &[Maximum]) -> Vec<(usize, usize)> {
    let valley = |a: usize, b: usize| (a..=b).min_by(|&x, &y| density[x].total_cmp(&density[y])).unwrap_or(a);
    let mut edges = vec![0];
    edges.extend(tops.windows(2).map(|pair| valley(pair[0].node, pair[1].node)));
    edges.push(density.len().saturating_sub(1));
    edges.windows(2).map(|edge| (edge[0], edge[1])).take(tops.len()).collect()
}

impl Sample {
    /// How many clusters there are.
    fn clusters(&self) -> usize {
        let mut ids = self.cluster.clone();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    /// For each basin the sorted places of the density's maximum in it, one a bootstrap sample; empty without a bootstrap.
    fn bootstrap(
        &self,
        grid: &Grid,
        places: &[(usize, f64)],
        basins: &[(usize, usize)],
        options: &PeakOptions,
    ) -> Vec<Vec<f64>> {
        let mut ids = self.cluster.clone();
        ids.sort_unstable();
        ids.dedup();
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
                let density = grid.density(places, |i| drawn[number[i]], total.max(1.0));
                let top = |&(from, to): &(usize, usize)| {
                    let best = (from..=to).fold(from, |best, k| if density[k] > density[best] { k } else { best });
                    grid.at(refine(&density, best))
                };
                basins.iter().map(top).collect()
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
