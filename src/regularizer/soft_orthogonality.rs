//! Soft orthogonality: |G - I|_F^2 with G = W Wᵀ, the inner products of the rows as they are.
//!
//! With S = WᵀW it is |S - I|_F^2 + N - d, and the gradient is 4 (W S - W): O(N d^2), without the N x N matrix. More rows than
//! dimensions cannot bring it to 0: unit rows reach N^2/d - N, in every tight frame, however coherent, since the sum of squared cosines
//! says nothing of the largest one. At 8192 random directions in 512 dimensions their root mean square is within 3 % of its least value.

use serde_json::{Value, json};

use super::options::Scope;
use super::raw::{add_product, distance, shifted, unsigned};
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::frame::Length;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "soft_orthogonality",
    summary: "the squared distance of the inner products of all rows from those of orthonormal ones",
    formula: "|W W^T - I|_F^2 over the raw rows, diagonal included",
    source: "Bansal, Chen and Wang 2018, arXiv 1810.09102",
    example: "assert_eq(reg::soft_orthogonality().value(w), 2.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::soft_orthogonality(options))),
};

impl Regularizer {
    /// |W Wᵀ - I|_F^2 over the raw rows.
    pub fn soft_orthogonality(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, SoftOrthogonality(unsigned(&options)))
    }
}

pub(super) struct SoftOrthogonality(pub Scope);

impl Penalty for SoftOrthogonality {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0 })
    }

    fn bytes(&self, n: f64, d: f64) -> f64 {
        8.0 * n * d + 80.0 * d * d
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let mut value = 0.0;
        for (side, view) in scene.views(self.0.matrix, self.0.rows) {
            let s = view.frame(Length::Own);
            value += distance(s, 1.0) + view.unit.len() as f64 - view.unit.raw.d as f64;
            if let Some(gradient) = gradient.as_deref_mut() {
                add_product(gradient, (side, view), 4.0 * weight, &shifted(s, 1.0));
            }
        }
        Ok(value)
    }
}
