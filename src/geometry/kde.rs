//! A Gaussian kernel density on a grid, and the maxima of a curve.

/// A grid with its kernel: nodes at most a quarter bandwidth apart, so that spikes of any width are seen.
pub(super) struct Grid {
    from: f64,
    step: f64,
    nodes: usize,
    /// Kernel values at 0, 1, 2.. steps, integrating to one.
    kernel: Vec<f64>,
    /// Whether mass beyond the first, the last node is folded back.
    reflect: (bool, bool),
    /// The bandwidth; larger than asked for where the grid would be too fine.
    pub bandwidth: f64,
}

/// The finest grid has this many nodes.
const MOST_NODES: f64 = (1 << 17) as f64;
/// The kernel reaches this many bandwidths.
const REACH: f64 = 5.0;

impl Grid {
    /// A grid for values in [least, greatest]. `domain` bounds where values can be: there the density is reflected.
    pub fn new(least: f64, greatest: f64, domain: Option<(f64, f64)>, bandwidth: f64) -> Self {
        let bandwidth = bandwidth.max(4.0 * (greatest - least) / (MOST_NODES - 100.0));
        let (mut from, mut to) = (least - REACH * bandwidth, greatest + REACH * bandwidth);
        let mut reflect = (false, false);
        if let Some((lowest, highest)) = domain {
            reflect = (from <= lowest, to >= highest);
            (from, to) = (from.max(lowest), to.min(highest));
        }
        let steps = ((to - from) / (0.25 * bandwidth)).ceil().max(1.0);
        let step = (to - from) / steps;
        let width = step / bandwidth;
        let reach = (REACH / width).ceil() as usize;
        let kernel: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 * width).powi(2)).exp()).collect();
        let mass = step * (kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>());
        let kernel = kernel.iter().map(|k| k / mass).collect();
        Grid { from, step, nodes: steps as usize + 1, kernel, reflect, bandwidth }
    }

    /// Where node `k` (a fraction between two nodes, too) lies.
    pub fn at(&self, k: f64) -> f64 {
        self.from + k * self.step
    }

    /// The node at or left of `value`, and the share of it that belongs to the next node.
    pub fn place(&self, value: f64) -> (usize, f64) {
        let at = ((value - self.from) / self.step).clamp(0.0, (self.nodes - 1) as f64);
        let node = (at as usize).min(self.nodes - 2);
        (node, at - node as f64)
    }

    /// The density at every node of weighted, placed values, each shared between its two nodes; weights sum to `total`.
    pub fn density(&self, places: &[(usize, f64)], weight: impl Fn(usize) -> f64, total: f64) -> Vec<f64> {
        let reach = self.kernel.len() - 1;
        let n = self.nodes;
        let mut mass = vec![0.0; n + 2 * reach];
        for (i, &(node, share)) in places.iter().enumerate() {
            let w = weight(i) / total;
            mass[reach + node] += w * (1.0 - share);
            mass[reach + node + 1] += w * share;
        }
        for k in 0..=reach.min(n - 1) {
            let (first, last) = (mass[reach + k], mass[reach + n - 1 - k]);
            if self.reflect.0 {
                mass[reach - k] += first;
            }
            if self.reflect.1 {
                mass[reach + n - 1 + k] += last;
            }
        }
        let mut out: Vec<f64> = mass[reach..reach + n].iter().map(|m| m * self.kernel[0]).collect();
        for (k, &weight) in self.kernel.iter().enumerate().skip(1) {
            let (left, right) = (&mass[reach - k..reach - k + n], &mass[reach + k..reach + k + n]);
            for ((o, l), r) in out.iter_mut().zip(left).zip(right) {
                *o += weight * (l + r);
            }
        }
        out
    }
}

/// A local maximum of a curve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maximum {
    /// Its node; the middle of a flat top.
    pub node: usize,
    /// Height over the highest saddle on the way to higher ground, as share of the curve's highest point.
    pub prominence: f64,
}

/// The maxima whose prominence is at least `least` times the highest, from left to right.
pub(super) fn maxima(curve: &[f64], least: f64) -> Vec<Maximum> {
    let highest = curve.iter().copied().fold(0.0, f64::max);
    let mut found = Vec::new();
    let mut k = 0;
    while k < curve.len() {
        let end = (k..curve.len()).find(|&e| curve[e] != curve[k]).unwrap_or(curve.len());
        let rises = k == 0 || curve[k - 1] < curve[k];
        let falls = end == curve.len() || curve[end] < curve[k];
        if rises && falls && curve[k] >= least * highest && highest > 0.0 {
            let height = curve[k];
            let left = saddle(curve[..k].iter().rev(), height);
            let right = saddle(curve[end..].iter(), height);
            let prominence = (height - left.max(right)) / highest;
            if prominence >= least {
                found.push(Maximum { node: (k + end - 1) / 2, prominence });
            }
        }
        k = end;
    }
    found
}

/// The lowest point before higher ground; zero where no higher ground comes. Of two equally high maxima both are seen:
/// ground of the same height is not higher.
fn saddle<'a>(walk: impl Iterator<Item = &'a f64>, height: f64) -> f64 {
    let mut lowest = height;
    for &y in walk {
        if y > height {
            return lowest;
        }
        lowest = lowest.min(y);
    }
    0.0
}

/// The top of the parabola through a node and its neighbors, in nodes.
pub(super) fn refine(curve: &[f64], node: usize) -> f64 {
    if node == 0 || node + 1 >= curve.len() {
        return node as f64;
    }
    let (a, b, c) = (curve[node - 1], curve[node], curve[node + 1]);
    let bend = a - 2.0 * b + c;
    let shift = if bend < 0.0 { (0.5 * (a - c) / bend).clamp(-0.5, 0.5) } else { 0.0 };
    node as f64 + shift
}

/// The lowest node between two nodes; of several the middle of the longest level stretch.
pub(super) fn valley(curve: &[f64], from: usize, to: usize) -> usize {
    let lowest = curve[from..=to].iter().copied().fold(f64::INFINITY, f64::min);
    let (mut best, mut longest, mut run) = (from, 0, 0);
    for (k, &height) in curve.iter().enumerate().take(to + 1).skip(from) {
        run = if height == lowest { run + 1 } else { 0 };
        if run > longest {
            longest = run;
            best = k - (run - 1) / 2;
        }
    }
    best
}
