//! The mean over rows of the cosine to the nearest neighbor: nu = 1/N sum over i of max_{j != i} c_ij.
//!
//! With a(i) the neighbor (lowest index on ties): h_i += u_{a(i)}/N and h_{a(i)} += u_i/N, times sign(c) where cosines are
//! absolute. So the pull on a row grows with the number of rows whose neighbor it is.

use serde_json::Value;

use super::options::{NeighborGradient, PenaltyOptions, Scope, describe};
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse, slope};
use crate::error::Result;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "mean_max_cos",
    summary: "the mean over rows of the cosine to the nearest other row",
    formula: "1/N sum_i max_{j!=i} c_ij",
    source: "second term of the thread's penalty (2024)",
    example: "assert_eq(reg::mean_max_cos(#{ sign: \"abs\" }).value(w), 2.0 / 3.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::mean_max_cos(options))),
};

impl Regularizer {
    /// Mean over i of the largest c_ij, j != i.
    pub fn mean_max_cos(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, MeanMaxCos(options.cosines(), NeighborGradient::Both))
    }
}

pub(super) struct MeanMaxCos(pub Scope, pub NeighborGradient);

impl Penalty for MeanMaxCos {
    fn describe(&self) -> Value {
        describe(ENTRY.name, self.0, self.1)
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let mut value = 0.0;
        for (side, view) in scene.views(self.0.matrix, self.0.rows) {
            let nearest = view.nearest(self.0.sign);
            let n = nearest.len() as f64;
            value += nearest.iter().map(|a| self.0.sign.of(a.cos)).sum::<f64>() / n;
            if let Some(gradient) = gradient.as_deref_mut() {
                let edges = &mut gradient.pull(scene, side, self.0.rows).edges;
                edges.reserve(2 * nearest.len());
                for (i, a) in nearest.iter().enumerate() {
                    let step = weight / n * slope(self.0.sign, a.cos);
                    edges.push((i, a.index, step));
                    if self.1 == NeighborGradient::Both {
                        edges.push((a.index, i, step));
                    }
                }
            }
        }
        Ok(value)
    }
}
