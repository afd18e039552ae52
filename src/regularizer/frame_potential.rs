//! The frame potential: the sum of all squared cosines, FP = |S|_F^2 with S = UᵀU of the unit rows.
//!
//! The only sum here in which the N pairs i = j count, as its definition has it; the mean squared cosine is (FP - N) / (N (N - 1)). It is at
//! least max(N, N^2/d), which every tight frame reaches. h = 4 U S, so O(N d^2). As the soft orthogonality it moves the root mean square
//! of the cosines and hardly the largest.

use serde_json::{Value, json};

use super::options::Scope;
use super::raw::unsigned;
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::frame::{Length, times};
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "frame_potential",
    summary: "the sum of all squared cosines",
    formula: "sum_{i,j} c_ij^2, i = j included",
    source: "Benedetto and Fickus 2003",
    example: "assert_eq(reg::frame_potential().value(w), 5.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::frame_potential(options))),
};

impl Regularizer {
    /// The sum of all c_ij^2, i = j included.
    pub fn frame_potential(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, FramePotential(unsigned(&options)))
    }
}

pub(super) struct FramePotential(pub Scope);

impl Penalty for FramePotential {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0 })
    }

    fn bytes(&self, n: f64, d: f64) -> f64 {
        8.0 * n * d + 80.0 * d * d
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let mut value = 0.0;
        for (side, view) in scene.views(self.0.matrix, self.0.rows) {
            let s = view.frame(Length::One);
            value += s.iter().map(|x| x * x).sum::<f64>();
            if let Some(gradient) = gradient.as_deref_mut() {
                let rows = times(&view.unit, Length::One, s);
                gradient.pull(scene, side, self.0.rows).dense.push((4.0 * weight, rows));
            }
        }
        Ok(value)
    }
}
