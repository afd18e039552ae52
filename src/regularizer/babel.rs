//! The Babel function: mu_1(k) = max over i of the sum of the k largest |c_ij|, j != i.
//!
//! One row i and its k partners move: h_i = sum of sign(c_ij) u_j over the partners and h_j = sign(c_ij) u_i for each; of equal rows the
//! first counts. With k = 1 it is the largest absolute cosine. `sign: "signed"` takes the k largest cosines as they are.
//! Cost: the products of the whole Gram matrix once; memory N k.

use std::num::NonZeroUsize;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::options::{PenaltyOptions, penalty_options};
use super::scene::{Gradient, Scene};
use super::{Entry, Penalty, Regularizer, parse, slope};
use crate::error::Result;
use crate::ops::largest::largest;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "babel",
    summary: "the largest sum of the k largest absolute cosines of one row",
    formula: "max_i (sum of the k largest c_ij, j!=i)",
    source: "Tropp 2004, the cumulative coherence",
    example: "assert_eq(reg::babel(#{ k: 2 }).value(w), 1.0);",
    options: BabelOptions::described,
    read: |options| parse(options, |options| Ok(Regularizer::babel(options))),
};

penalty_options! {
    coefficient = 1.0, sign = Abs;
    /// Options of [`Regularizer::babel`].
    pub struct BabelOptions {
        /// how many partners of a row count, an int from 1; all others where there are fewer
        k: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7),
    }
}

impl Regularizer {
    /// The largest sum of `k` cosines of one row.
    pub fn babel(options: BabelOptions) -> Self {
        Regularizer::of(ENTRY.name, &options, Babel(options))
    }
}

struct Babel(BabelOptions);

impl Penalty for Babel {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0.cosines(), "k": self.0.k })
    }

    fn bytes(&self, n: f64, d: f64) -> f64 {
        8.0 * n * d + 48.0 * n * (self.0.k.get() as f64).min(n)
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
