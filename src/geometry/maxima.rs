//! The maxima of a curve: how high each stands over the saddle to higher ground, and how much area lies above that saddle.

/// A local maximum of a curve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maximum {
    /// Its node; the middle of a flat top.
    pub node: usize,
    /// Height over the highest saddle on the way to higher ground, as a share of the curve's highest point.
    pub prominence: f64,
    /// Area above that saddle and below the curve, in units of one node.
    pub excess: f64,
    /// The height of that saddle.
    pub saddle: f64,
}

/// A stretch of nodes that are all higher than what has not been looked at yet.
#[derive(Clone, Copy)]
struct Island {
    first: usize,
    last: usize,
    /// First and last node of its highest level stretch.
    top: (usize, usize),
    sum: f64,
}

/// Every maximum of the curve from left to right. The curve is flooded from above: islands appear at maxima, grow and meet at saddles,
/// where the one with the lower top ends. O(n log n).
pub(super) fn maxima(curve: &[f64]) -> Vec<Maximum> {
    let highest = curve.iter().copied().fold(0.0, f64::max);
    if highest <= 0.0 {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..curve.len()).collect();
    order.sort_unstable_by(|&a, &b| curve[b].total_cmp(&curve[a]).then(a.cmp(&b)));
    let mut islands: Vec<Island> = Vec::new();
    // The island that a node is the first or the last of.
    const SEA: usize = usize::MAX;
    let mut shore = vec![SEA; curve.len()];
    let mut found = Vec::new();
    let end = |island: &Island, saddle: f64| {
        let height = curve[island.top.0];
        Maximum {
            node: (island.top.0 + island.top.1) / 2,
            prominence: (height - saddle) / highest,
            excess: island.sum - saddle * (island.last + 1 - island.first) as f64,
            saddle,
        }
    };
    for &node in &order {
        let height = curve[node];
        let neighbor = |at: Option<usize>| at.and_then(|at| shore.get(at)).copied().filter(|id| *id != SEA);
        let (left, right) = (neighbor(node.checked_sub(1)), neighbor(Some(node + 1)));
        let new = match (left, right) {
            (None, None) => Island { first: node, last: node, top: (node, node), sum: height },
            (Some(id), None) => islands[id].with(node, curve),
            (None, Some(id)) => islands[id].with(node, curve),
            (Some(a), Some(b)) => {
                let (a, b) = (islands[a], islands[b]);
                let (high, low) = if curve[b.top.0] > curve[a.top.0] { (b, a) } else { (a, b) };
                if curve[low.top.0] > height {
                    found.push(end(&low, height));
                }
                let joined = high.with(node, curve);
                let first = a.first.min(b.first);
                // A level stretch that is filled from both sides is one top.
                let level = (high.top.0.min(low.top.0), high.top.1.max(low.top.1));
                let top = if curve[low.top.0] == height { level } else { joined.top };
                Island { first, last: a.last.max(b.last), top, sum: joined.sum + low.sum }
            }
        };
        let id = left.or(right).unwrap_or(islands.len());
        if id == islands.len() {
            islands.push(new);
        } else {
            islands[id] = new;
        }
        (shore[new.first], shore[new.last]) = (id, id);
    }
    if let Some(&id) = shore.first().filter(|id| **id != SEA) {
        found.push(end(&islands[id], 0.0));
    }
    found.sort_unstable_by_key(|m| m.node);
    found
}

impl Island {
    /// The island with one node more beside it.
    fn with(mut self, node: usize, curve: &[f64]) -> Island {
        let height = curve[node];
        if height == curve[self.top.0] {
            self.top = (self.top.0.min(node), self.top.1.max(node));
        }
        (self.first, self.last) = (self.first.min(node), self.last.max(node));
        self.sum += height;
        self
    }
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
