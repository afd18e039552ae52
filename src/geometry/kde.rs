//! A Gaussian kernel density on a grid.

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
    /// A grid for values in [least, greatest]. Values stop at the `ends`, if they do: the density is reflected there.
    pub fn new(least: f64, greatest: f64, ends: (Option<f64>, Option<f64>), bandwidth: f64) -> Self {
        let bandwidth = bandwidth.max(4.0 * (greatest - least) / (MOST_NODES - 100.0));
        let (mut from, mut to) = (least - REACH * bandwidth, greatest + REACH * bandwidth);
        let reflect = (ends.0.is_some_and(|end| from <= end), ends.1.is_some_and(|end| to >= end));
        (from, to) = (from.max(ends.0.unwrap_or(from)), to.min(ends.1.unwrap_or(to)));
        let steps = ((to - from) / (0.25 * bandwidth)).ceil().max(1.0);
        let step = (to - from) / steps;
        let width = step / bandwidth;
        let reach = (REACH / width).ceil() as usize;
        let kernel: Vec<f64> = (0..=reach).map(|k| (-0.5 * (k as f64 * width).powi(2)).exp()).collect();
        let mass = step * (kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>());
        let kernel = kernel.iter().map(|k| k / mass).collect();
        Grid { from, step, nodes: steps as usize + 1, kernel, reflect, bandwidth }
    }

    /// Whether values stop here: an end at which the density is reflected.
    pub fn is_end(&self, value: f64) -> bool {
        let (near, last) = (0.5 * self.step, self.from + (self.nodes - 1) as f64 * self.step);
        (self.reflect.0 && value < self.from + near) || (self.reflect.1 && value > last - near)
    }

    /// The value inside the ends, by reflection.
    pub fn inside(&self, value: f64) -> f64 {
        let (from, to) = (self.from, self.from + (self.nodes - 1) as f64 * self.step);
        match self.reflect {
            (true, _) if value < from => 2.0 * from - value,
            (_, true) if value > to => 2.0 * to - value,
            _ => value,
        }
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

    /// The density at every node of values with weights that sum to `total`; each is shared between the two nodes beside it.
    pub fn density(&self, values: impl Iterator<Item = (f64, f64)>, total: f64) -> Vec<f64> {
        let reach = self.kernel.len() - 1;
        let n = self.nodes;
        let mut mass = vec![0.0; n + 2 * reach];
        for (value, weight) in values {
            let (node, share) = self.place(value);
            let w = weight / total;
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
