//! Distances between two distributions of numbers, such as the nearest-neighbor cosines of two runs.
//!
//! They say how far apart the samples are, not whether that is chance: the rows of one dictionary are not independent, so compare runs
//! (seeds) with runs, never rows with rows.

/// The Wasserstein-1 distance, the area between the two distribution functions: how far values have to be moved, on average, to make
/// one sample the other. Values that are not finite are left out; `None` when a side has none.
pub fn wasserstein(x: &[f64], y: &[f64]) -> Option<f64> {
    let mut area = 0.0;
    let mut last: Option<(f64, f64)> = None;
    sweep(x, y, |at, gap| {
        area += last.map_or(0.0, |(before, gap)| gap * (at - before));
        last = Some((at, gap));
    })?;
    Some(area)
}

/// The Kolmogorov-Smirnov distance, the largest difference of the two distribution functions, in [0, 1]. Values that are not finite are
/// left out; `None` when a side has none.
pub fn ks(x: &[f64], y: &[f64]) -> Option<f64> {
    let mut most = 0.0f64;
    sweep(x, y, |_, gap| most = most.max(gap))?;
    Some(most)
}

/// Calls `visit` with each different value of either sample, ascending, and |F_x - F_y| from there on.
fn sweep(x: &[f64], y: &[f64], mut visit: impl FnMut(f64, f64)) -> Option<()> {
    let sorted = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (x, y) = (sorted(x), sorted(y));
    if x.is_empty() || y.is_empty() {
        return None;
    }
    let (mut i, mut j) = (0, 0);
    while let Some(at) = [x.get(i), y.get(j)].into_iter().flatten().copied().reduce(f64::min) {
        i += x[i..].iter().take_while(|v| **v <= at).count();
        j += y[j..].iter().take_while(|v| **v <= at).count();
        visit(at, (i as f64 / x.len() as f64 - j as f64 / y.len() as f64).abs());
    }
    Some(())
}
