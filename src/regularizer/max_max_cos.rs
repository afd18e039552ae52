//! The largest cosine between different rows: M = max over i != j of c_ij.
//!
//! It pulls one pair (p, q), the first of equal ones, apart: h_p = u_q and h_q = u_p, times sign(c_pq) where cosines are absolute.

use serde_json::Value;

use super::options::{NeighborGradient, PenaltyOptions, Scope, describe};
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse, slope};
use crate::error::Result;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "max_max_cos",
    summary: "the largest cosine between different rows",
    formula: "max_{i!=j} c_ij",
    source: "third term of the thread's penalty (2024); absolute: the mutual coherence",
    example: "assert_eq(reg::max_max_cos(#{ coefficient: 3 }).value(w), 3.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::max_max_cos(options))),
};

impl Regularizer {
    /// The largest c_ij, i != j.
    pub fn max_max_cos(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, MaxMaxCos(options.cosines(), NeighborGradient::Both))
    }
}

pub(super) struct MaxMaxCos(pub Scope, pub NeighborGradient);

impl Penalty for MaxMaxCos {
    fn describe(&self) -> Value {
        describe(ENTRY.name, self.0, self.1)
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let mut value = 0.0;
        for (side, view) in scene.views(self.0.matrix, self.0.rows) {
            let nearest = view.nearest(self.0.sign);
            let mut p = 0;
            for (i, a) in nearest.iter().enumerate() {
                if self.0.sign.of(a.cos) > self.0.sign.of(nearest[p].cos) {
                    p = i;
                }
            }
            let top = nearest[p];
            value += self.0.sign.of(top.cos);
            if let Some(gradient) = gradient.as_deref_mut() {
                let step = weight * slope(self.0.sign, top.cos);
                let edges = &mut gradient.pull(scene, side, self.0.rows).edges;
                edges.push((p, top.index, step));
                if self.1 == NeighborGradient::Both {
                    edges.push((top.index, p, step));
                }
            }
        }
        Ok(value)
    }
}
