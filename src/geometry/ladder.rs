//! The density at a ladder of bandwidths, and the maxima of it that count.

use std::f64::consts::PI;

use super::isj::{bandwidth, standard};
use super::kde::Grid;
use super::maxima::{Maximum, maxima, valley};

/// The density at one bandwidth.
pub(super) struct Level {
    pub grid: Grid,
    pub density: Vec<f64>,
    /// How many independent places the values cover.
    places: f64,
    /// Whether the bandwidth was given: then it is taken at its word.
    given: bool,
}

/// A maximum that counts, and the level at which it was found.
#[derive(Clone, Copy)]
pub(super) struct Top {
    pub location: f64,
    pub level: usize,
    pub prominence: f64,
}

/// Where values stop, below and above.
pub(super) type Ends = (Option<f64>, Option<f64>);

/// A first stretch at most this many times as long as the second is that of a cut.
const CUT: f64 = 1.7;

/// Where sorted values stop: at the ends of their `domain`, or where their density is cut off instead of falling to nothing.
///
/// From each end the first stretch that holds k values is compared with the next one that does. Where a density is cut off they are about
/// equally long, or the first is shorter; where it falls linearly the first is 2.4 times as long, and in a tail more. Few values do not tell.
pub(super) fn cut(sorted: &[f64], domain: Option<(f64, f64)>) -> Ends {
    let (lowest, highest) = domain.unzip();
    let n = sorted.len();
    let k = ((n as f64).sqrt() as usize).max(8);
    if 4 * k > n {
        return (lowest, highest);
    }
    let (least, greatest) = (sorted[0], sorted[n - 1]);
    let is_cut = |first: f64, second: f64| first > 0.0 && first <= CUT * second;
    let below = is_cut(sorted[k] - least, sorted[2 * k] - sorted[k]);
    let above = is_cut(greatest - sorted[n - 1 - k], sorted[n - 1 - k] - sorted[n - 1 - 2 * k]);
    (below.then_some(least).or(lowest), above.then_some(greatest).or(highest))
}

/// The given bandwidth alone, or a ladder of doubling ones that ends at or above that of the standard deviation. `values` are all, `distinct`
/// those without structural duplicates, ascending and not all equal.
pub(super) fn ladder(values: &[f64], distinct: &[f64], ends: Ends, given: Option<f64>) -> Vec<Level> {
    let (least, greatest) = (distinct[0], distinct[distinct.len() - 1]);
    let level = |bandwidth: f64| {
        let grid = Grid::new(least, greatest, ends, bandwidth);
        let density = grid.density(values.iter().map(|&v| (v, 1.0)), values.len() as f64);
        let places = 2.0 + (greatest - least) / (2.0 * grid.bandwidth);
        Level { grid, density, places, given: given.is_some() }
    };
    if let Some(bandwidth) = given {
        return vec![level(bandwidth)];
    }
    let lowest = bandwidth(distinct).unwrap_or((greatest - least) / 100.0);
    // Not Silverman's rule: its quartiles are those of a spike that holds three quarters of the values.
    let highest = standard(distinct).unwrap_or(lowest);
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

/// How high a maximum must stand over its saddle to count by its height, in units of what chance makes of a flat density.
const SURE: f64 = 0.8;
/// The same for one that counts by its mass alone.
const SURER: f64 = 1.0;

/// The peaks from left to right, at least one. With one level its maxima; with more the last one only confirms the one before.
///
/// A maximum counts by its height over the saddle, as share of the highest, and, so that spikes that tower above all hide nothing, by
/// the mass above the saddle, as share of the largest. Either way it must be no accident, still be there at the next level, and have no finer one in
/// its basin. `values` is the number of values without structural duplicates.
pub(super) fn climb(ladder: &[Level], values: usize, share: f64) -> Vec<Top> {
    let all: Vec<Vec<Maximum>> = ladder.iter().map(|level| maxima(&level.density)).collect();
    let select = |at: usize, counts: &dyn Fn(&Maximum) -> bool, prominence: &dyn Fn(&Maximum) -> f64| {
        let place = |m: &Maximum| ladder[at].grid.at(m.node as f64);
        let top = |m: &Maximum| Top { location: place(m), level: at, prominence: prominence(m) };
        all[at].iter().filter(|m| counts(m)).map(top).collect::<Vec<Top>>()
    };
    let tall = |at: usize| {
        let sure = |m: &Maximum| ladder[at].given || ladder[at].sureness(m, values) >= SURE;
        select(at, &|m| m.prominence >= share && sure(m), &|m| m.prominence)
    };
    let massive = |at: usize| {
        let most = all[at].iter().map(|m| m.excess).fold(0.0, f64::max);
        let counts = |m: &Maximum| m.excess >= share * most && ladder[at].sureness(m, values) >= SURER;
        select(at, &counts, &|m| m.excess / most)
    };
    let mut accepted: Vec<Top> = Vec::new();
    accept(&mut accepted, ladder, &(0..ladder.len()).map(tall).collect::<Vec<_>>());
    if ladder.iter().all(|level| !level.given) {
        accept(&mut accepted, ladder, &(0..ladder.len()).map(massive).collect::<Vec<_>>());
    }
    if accepted.is_empty() {
        // Too few values to tell: the highest point of the smoothest density.
        accepted = select(ladder.len() - 1, &|m| m.prominence >= 1.0, &|m| m.prominence);
        accepted.truncate(1);
    }
    accepted.sort_by(|a, b| a.location.total_cmp(&b.location));
    accepted
}

impl Level {
    /// The height of a maximum over its saddle in standard deviations of the density there, over the difference that chance makes between the highest and
    /// the lowest of so many independent places.
    fn sureness(&self, m: &Maximum, values: usize) -> f64 {
        let height = self.density[m.node];
        let variance = (height + m.saddle) / (values as f64 * self.grid.bandwidth * 2.0 * PI.sqrt());
        (height - m.saddle) / variance.sqrt() / (2.0 * self.places.ln().sqrt())
    }
}

/// Accepts what is still there at the next level and in whose basin nothing was accepted before.
fn accept(accepted: &mut Vec<Top>, ladder: &[Level], found: &[Vec<Top>]) {
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
}
