//! Each row's nearest neighbor by cosine.

use serde::Serialize;

use crate::ops::nearest::nearest_two;
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};

/// Nearest neighbors in row order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbors {
    /// The cosine to the nearest neighbor as `sign` counts it; `None` for invalid rows, and when there is one valid row.
    pub cos: Vec<Option<f64>>,
    /// The nearest neighbor's row; the lowest on ties (cosines within 1e-12).
    pub index: Vec<Option<usize>>,
    /// The cosine to the next nearest; `None` also when there are two valid rows.
    pub second_cos: Vec<Option<f64>>,
    /// The rows that are zero or not finite, ascending.
    pub invalid: Vec<usize>,
    /// How many rows are valid.
    pub n: usize,
    /// How cosines were counted.
    pub sign: Sign,
}

/// The nearest neighbor of every row of `w`, exact in f64. O(N) memory; see [`nearest_two`] for the cost.
pub fn nearest_neighbors(w: Rows, sign: Sign) -> Neighbors {
    let unit = UnitRows::new(w, None);
    let (mut cos, mut index, mut second_cos) = (vec![None; w.n], vec![None; w.n], vec![None; w.n]);
    for (k, found) in nearest_two(&unit, sign).iter().enumerate() {
        let row = unit.index[k] as usize;
        cos[row] = Some(sign.of(found.first.cos));
        index[row] = Some(unit.index[found.first.index] as usize);
        // Cosines that differ by rounding alone count as equal.
        second_cos[row] = found.second.map(|s| sign.of(s.cos).min(sign.of(found.first.cos)));
    }
    Neighbors { cos, index, second_cos, n: unit.len(), invalid: unit.invalid, sign }
}

impl Neighbors {
    /// Whether row `i` and its neighbor are each other's nearest.
    pub fn is_mutual(&self, i: usize) -> bool {
        self.index[i].is_some_and(|j| self.index[j] == Some(i))
    }

    /// For each row the lowest row of its component in the undirected graph of rows and their neighbors.
    pub(super) fn components(&self, edge: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut parent: Vec<usize> = (0..self.index.len()).collect();
        fn root(parent: &mut [usize], mut i: usize) -> usize {
            while parent[i] != i {
                parent[i] = parent[parent[i]];
                i = parent[i];
            }
            i
        }
        for i in 0..parent.len() {
            if let Some(j) = self.index[i].filter(|_| edge(i)) {
                let (a, b) = (root(&mut parent, i), root(&mut parent, j));
                parent[a.max(b)] = a.min(b);
            }
        }
        (0..parent.len()).map(|i| root(&mut parent, i)).collect()
    }
}
