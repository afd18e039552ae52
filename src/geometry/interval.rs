//! How sure the location of a peak is: a smoothed bootstrap of the place of the density's maximum in the peak's basin.
//!
//! Clusters of values are drawn with replacement (the connected components of the neighbor graph: neighbors share a cosine, so rows alone are not independent), and
//! each value is moved by a part of the kernel's width, equal values by the same. Without that an interval is too narrow, as the samples repeat the accidents
//! of the values. (Drawing rows would make copies, and with them neighbors at cosine 1; it is values that are drawn, rows stay as they are.)

use rayon::prelude::*;

use super::PeakOptions;
use super::isj::quantile;
use super::kde::Grid;
use super::ladder::Level;
use super::maxima::refine;
use crate::rng::Rng;

/// Standard deviation by which values are moved, in bandwidths, where the bandwidth suits the values: found by trial, so that intervals of
/// nominal 95 % hold the mode of the law at least that often. The documentation of `geometry::peaks` says what was measured.
const SMOOTH: f64 = 0.5;
/// The same for a given bandwidth, which may be too wide: moved by the whole kernel, the samples are as far off as the density itself.
const SMOOTH_GIVEN: f64 = 1.0;

/// What a search works on.
pub(super) struct Sample {
    pub values: Vec<f64>,
    /// Which values are drawn together.
    pub cluster: Vec<usize>,
    /// For each value the place of the first one that is equal to it because of how values come about.
    pub tie: Vec<usize>,
    /// The values without structural duplicates.
    pub distinct: Vec<f64>,
    /// Where values can lie.
    pub domain: Option<(f64, f64)>,
}

/// Where one peak's maximum is looked for.
pub(super) struct Basin {
    pub level: usize,
    pub from: f64,
    pub to: f64,
}

impl Basin {
    /// The place of the largest density within the basin.
    pub fn top(&self, grid: &Grid, density: &[f64]) -> f64 {
        let (from, to) = (grid.place(self.from).0, grid.place(self.to).0 + 1);
        let best = (from..=to).fold(from, |best, k| if density[k] > density[best] { k } else { best });
        grid.at(refine(density, best))
    }
}

impl Sample {
    /// Values without structure.
    pub fn plain(values: Vec<f64>) -> Sample {
        let own: Vec<usize> = (0..values.len()).collect();
        Sample { cluster: own.clone(), tie: own, distinct: values.clone(), domain: None, values }
    }

    /// The clusters' numbers, ascending.
    pub fn clusters(&self) -> Vec<usize> {
        let mut ids = self.cluster.clone();
        ids.par_sort_unstable();
        ids.dedup();
        ids
    }
}

/// For each basin the ends of the 95 % interval of its top: as far from the location, to both sides, as 95 % of the samples' tops lie. That counts what the kernel's
/// width moves them as well, which percentiles would add to the error instead. Empty without a bootstrap.
pub(super) fn intervals(
    sample: &Sample,
    ladder: &[Level],
    basins: &[Basin],
    locations: &[f64],
    options: &PeakOptions,
) -> Vec<(f64, f64)> {
    let ids = sample.clusters();
    if options.bootstrap == 0 || ids.len() < 2 {
        return Vec::new();
    }
    let smooth = if options.bandwidth.is_some() { SMOOTH_GIVEN } else { SMOOTH };
    let number: Vec<usize> = sample.cluster.iter().map(|id| ids.partition_point(|other| other < id)).collect();
    let tops: Vec<Vec<f64>> = (0..options.bootstrap)
        .into_par_iter()
        .map(|k| {
            let mut rng = Rng::new(options.seed, &format!("geometry::peaks bootstrap {k}"));
            let mut drawn = vec![0.0; ids.len()];
            (0..ids.len()).for_each(|_| drawn[rng.below(ids.len())] += 1.0);
            let moves: Vec<f64> = sample.values.iter().map(|_| smooth * rng.normal()).collect();
            let weight = |i: usize| drawn[number[i]];
            let total: f64 = (0..number.len()).map(weight).sum();
            let mut tops = vec![0.0; basins.len()];
            for (l, Level { grid, .. }) in
                ladder.iter().enumerate().filter(|(l, _)| basins.iter().any(|b| b.level == *l))
            {
                let moved = |(i, v): (usize, &f64)| (grid.inside(v + grid.bandwidth * moves[sample.tie[i]]), weight(i));
                let density = grid.density(sample.values.iter().enumerate().map(moved), total.max(1.0));
                for (top, basin) in tops.iter_mut().zip(basins).filter(|(_, basin)| basin.level == l) {
                    *top = basin.top(grid, &density);
                }
            }
            tops
        })
        .collect();
    let of = |(k, location): (usize, &f64)| {
        let mut off: Vec<f64> = tops.iter().map(|tops| (tops[k] - location).abs()).collect();
        off.sort_unstable_by(f64::total_cmp);
        let reach = quantile(&off, 0.95);
        (location - reach, location + reach)
    };
    locations.iter().enumerate().map(of).collect()
}
