//! The distance from a tight frame: |S - (tr S / d) I|_F^2 with S = WᵀW of the rows as they are.
//!
//! The gradient is 4 (W S - (tr S / d) W); at O(N d^2), without the N x N matrix. A tight frame may hold equal or opposite rows (d axes,
//! each twice), so it bounds the mean of squared cosines and not the largest. Unlike the soft orthogonality it does not pull lengths to
//! 1: of W scaled by a it is a^4 times as large.

use serde_json::{Value, json};

use super::options::Scope;
use super::raw::{add_product, distance, shifted, trace, unsigned};
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::frame::Length;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "tight_frame_gap",
    summary: "the squared distance from a tight frame, which covers all directions alike",
    formula: "|S - (tr S/d) I|_F^2 with S = W^T W over the raw rows",
    source: "Benedetto and Fickus 2003: tight frames are the minima of the frame potential",
    example: "assert_eq(reg::tight_frame_gap().value(w), 0.5);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::tight_frame_gap(options))),
};

impl Regularizer {
    /// |WᵀW - (tr WᵀW / d) I|_F^2 over the raw rows.
    pub fn tight_frame_gap(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, TightFrameGap(unsigned(&options)))
    }
}

pub(super) struct TightFrameGap(pub Scope);

impl Penalty for TightFrameGap {
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
            let mean = trace(s) / view.unit.raw.d as f64;
            value += distance(s, mean);
            if let Some(gradient) = gradient.as_deref_mut() {
                add_product(gradient, (side, view), 4.0 * weight, &shifted(s, mean));
            }
        }
        Ok(value)
    }
}
