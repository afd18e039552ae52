//! Double soft orthogonality: |W Wᵀ - I|_F^2 + |WᵀW - I|_F^2.
//!
//! The two differ by the constant N - d, so this is exactly twice the soft orthogonality plus d - N, with twice its gradient: it is here to
//! be compared with what others report, and adds nothing to a search that has the other.

use serde_json::{Value, json};

use super::options::Scope;
use super::raw::{add_product, distance, shifted, unsigned};
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::frame::Length;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "double_soft_orthogonality",
    summary: "the soft orthogonality of rows and of columns, which is twice that of rows and a constant",
    formula: "|W W^T - I|_F^2 + |W^T W - I|_F^2 over the raw rows, which is 2 soft_orthogonality + d - N",
    source: "Bansal, Chen and Wang 2018, arXiv 1810.09102",
    example: "assert_eq(reg::double_soft_orthogonality().value(w), 2.0 * 2.0 + 2.0 - 3.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::double_soft_orthogonality(options))),
};

impl Regularizer {
    /// |W Wᵀ - I|_F^2 + |WᵀW - I|_F^2 over the raw rows: twice the soft orthogonality and a constant.
    pub fn double_soft_orthogonality(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, DoubleSoftOrthogonality(unsigned(&options)))
    }
}

pub(super) struct DoubleSoftOrthogonality(pub Scope);

impl Penalty for DoubleSoftOrthogonality {
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
            value += 2.0 * distance(s, 1.0) + view.unit.len() as f64 - view.unit.raw.d as f64;
            if let Some(gradient) = gradient.as_deref_mut() {
                add_product(gradient, (side, view), 8.0 * weight, &shifted(s, 1.0));
            }
        }
        Ok(value)
    }
}
