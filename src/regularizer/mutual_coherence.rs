//! The mutual coherence of Bansal et al.: the largest entry of |G - I| with G = W Wᵀ, the diagonal included.
//!
//! So it is the largest |w_i . w_j|, or ||w_i|^2 - 1| where a length is further off. Of unit rows it is the largest absolute cosine,
//! `max_max_cos` with `sign: "abs"`, but its gradient pulls along the row too. It moves two rows, w_p by sign(w_p . w_q) w_q and w_q in
//! turn, or one by twice itself; of equal entries the first counts. Cost: the tiles of the Gram matrix, once.

use serde_json::{Value, json};

use super::options::Scope;
use super::raw::unsigned;
use super::scene::{Gradient, Scene};
use super::{Entry, Options, Penalty, Regularizer, parse, slope};
use crate::error::Result;
use crate::ops::Sign;
use crate::ops::coherence::most_coherent;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "mutual_coherence",
    summary: "the largest absolute entry of W Wᵀ - I, the diagonal included (`coherence` of `geometry::summary` leaves the diagonal out)",
    formula: "max_{i,j} |W W^T - I|_ij over the raw rows, diagonal included",
    source: "Bansal, Chen and Wang 2018, arXiv 1810.09102; of unit rows: Donoho and Huo 2001",
    example: "assert_eq(reg::mutual_coherence().value(w), 1.0);",
    options: Options::described,
    read: |options| parse(options, |options| Ok(Regularizer::mutual_coherence(options))),
};

impl Regularizer {
    /// The largest entry of |W Wᵀ - I| over the raw rows.
    pub fn mutual_coherence(options: Options) -> Self {
        Regularizer::of(ENTRY.name, &options, MutualCoherence(unsigned(&options)))
    }
}

pub(super) struct MutualCoherence(pub Scope);

impl Penalty for MutualCoherence {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0 })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let mut value = 0.0;
        for (side, view) in scene.views(self.0.matrix, self.0.rows) {
            let unit = &view.unit;
            let Some((p, q)) = most_coherent(unit) else { continue };
            let mut product = unit.cos(p, q) * unit.norm[p] * unit.norm[q];
            let mut pulls = [(p, q), (q, p)];
            for (i, norm) in unit.norm.iter().enumerate() {
                if (norm * norm - 1.0).abs() > product.abs() {
                    // The derivative of w . w, once from each factor.
                    (product, pulls) = (norm * norm - 1.0, [(i, i); 2]);
                }
            }
            value += product.abs();
            if let Some(gradient) = gradient.as_deref_mut() {
                let (out, d) = (gradient.raw(side), unit.raw.d);
                for (at, toward) in pulls {
                    let row = unit.index[at] as usize * d;
                    let step = weight * slope(Sign::Abs, product);
                    let toward = unit.raw_row(toward);
                    out[row..row + d].iter_mut().zip(toward).for_each(|(o, x)| *o += (step * f64::from(*x)) as f32);
                }
            }
        }
        Ok(value)
    }
}
