//! The Babel function: mu_1(k) = max over i of the sum of the k largest |c_ij|, j != i.
//!
//! One row i and its k partners move: h_i = sum of sign(c_ij) u_j over the partners and h_j = sign(c_ij) u_i for each; of equal rows the
//! first counts. With k = 1 it is the largest absolute cosine. `sign: "signed"` takes the k largest cosines as they are.
//! Cost: the products of the whole Gram matrix once; memory N k.

use std::num::NonZeroUsize;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::Scope;
use super::scene::{Gradient, Scene};
use super::{Entry, Matrix, OPTIONS, Options, Penalty, Regularizer, Which, slope};
use crate::error::Result;
use crate::ops::Sign;
use crate::ops::largest::largest;

pub(super) const ENTRY: Entry = Entry {
    name: "babel",
    formula: "max_i (sum of the k largest c_ij, j!=i)",
    options: &[
        ("k", "8", "how many partners, an int from 1; all others where there are fewer"),
        OPTIONS[0],
        ("sign", "\"abs\"", OPTIONS[1].2),
        OPTIONS[2],
        OPTIONS[3],
    ],
    source: "Tropp 2004, the cumulative coherence",
};

/// Options of [`Regularizer::babel`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BabelOptions {
    /// How many partners of a row count.
    pub k: NonZeroUsize,
    /// What the penalty is multiplied with.
    pub coefficient: f64,
    /// Cosines absolute, as in the definition, or with their sign.
    pub sign: Sign,
    /// Which matrix.
    pub matrix: Matrix,
    /// Which rows.
    pub rows: Which,
}

impl Default for BabelOptions {
    fn default() -> Self {
        let Options { coefficient, matrix, rows, .. } = Options::default();
        BabelOptions { k: NonZeroUsize::MIN.saturating_add(7), coefficient, sign: Sign::Abs, matrix, rows }
    }
}

impl Regularizer {
    /// The largest sum of `k` cosines of one row.
    pub fn babel(options: BabelOptions) -> Self {
        Regularizer::term(options.coefficient, Babel(options))
    }
}

struct Babel(BabelOptions);

impl Penalty for Babel {
    fn describe(&self) -> Value {
        let BabelOptions { k, sign, matrix, rows, .. } = self.0;
        json!({ "kind": ENTRY.name, "scope": Scope { sign, matrix, rows }, "k": k })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let BabelOptions { k, sign, matrix, rows, .. } = self.0;
        let mut value = 0.0;
        for (side, view) in scene.views(matrix, rows) {
            let unit = &view.unit;
            let partners = largest(unit, sign, k.get().min(unit.len() - 1));
            let sum = |i: usize| partners[i].iter().map(|&j| sign.of(unit.cos(i, j))).sum();
            let sums: Vec<f64> = (0..partners.len()).into_par_iter().map(sum).collect();
            let top = (0..sums.len()).fold(0, |best, i| if sums[i] > sums[best] { i } else { best });
            value += sums[top];
            if let Some(gradient) = gradient.as_deref_mut() {
                let edges = &mut gradient.pull(scene, side, rows).edges;
                for &j in &partners[top] {
                    let step = weight * slope(sign, unit.cos(top, j));
                    edges.extend([(top, j, step), (j, top, step)]);
                }
            }
        }
        Ok(value)
    }
}
