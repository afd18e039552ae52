//! The mean cosine between different rows: mu = 1/(N(N-1)) sum over i != j of c_ij.
//!
//! Signed, it is (|s|^2 - N)/(N(N-1)) with s the sum of the unit rows, and h_i = 2 s/(N(N-1)) up to a multiple of u_i, which
//! the projection removes: O(N d). It is almost inert: its least value, -1/(N-1), is reached as soon as s = 0. Absolute, it is the
//! c_dec of Chanin and Garriga-Alonso (arXiv 2508.16560), and costs the tiles of the Gram matrix.

use serde_json::{Value, json};

use super::options::{PenaltyOptions, Scope};
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::Sign;
use crate::ops::pairs::sign_pull;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "mean_cos",
    summary: "the mean cosine between different rows",
    formula: "1/(N(N-1)) sum_{i!=j} c_ij",
    source: "first term of the thread's penalty (2024); absolute: Chanin and Garriga-Alonso, arXiv 2508.16560",
    example: "assert_eq(reg::mean_cos().value(w), 2.0 / 6.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::mean_cos(options))),
};

impl Regularizer {
    /// Mean of c_ij over i != j.
    pub fn mean_cos(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, MeanCos(options.cosines()))
    }
}

pub(super) struct MeanCos(pub Scope);

impl Penalty for MeanCos {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0 })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let mut value = 0.0;
        for (side, view) in scene.views(self.0.matrix, self.0.rows) {
            let pairs = view.ordered_pairs();
            value += match self.0.sign {
                Sign::Signed => (view.sum().iter().map(|x| x * x).sum::<f64>() - view.unit.len() as f64) / pairs,
                Sign::Abs => view.sum_abs() / pairs,
            };
            if let Some(gradient) = gradient.as_deref_mut() {
                let pull = gradient.pull(scene, side, self.0.rows);
                let step = weight * 2.0 / pairs;
                match self.0.sign {
                    Sign::Signed => pull.toward_sum += step,
                    Sign::Abs => pull.dense.push((step, sign_pull(&view.unit))),
                }
            }
        }
        Ok(value)
    }
}
