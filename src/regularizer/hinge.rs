//! A thresholded sum of cosines: 1/(N(N-1)) sum over i != j of max(0, c_ij - tau)^power.
//!
//! h_i = 2 power/(N(N-1)) sum_j (c_ij - tau)_+^(power - 1) u_j, times sign(c_ij) where cosines are absolute: every pair above the threshold
//! is pulled apart, not only each row's nearest. Cost: the tiles of the Gram matrix, twice as many products where most pairs are above the
//! threshold; memory N d.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use super::options::{PenaltyOptions, penalty_options, within};
use super::scene::{Gradient, Scene};
use super::{Entry, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::hinge::hinge;
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "hinge",
    summary: "the mean over pairs of a power of how far the cosine is above a threshold",
    formula: "1/(N(N-1)) sum_{i!=j} max(0, c_ij - tau)^power",
    source: "the hinge loss on cosines",
    example: "assert_eq(reg::hinge(#{ tau: 0.5 }).value(w), 2.0 * 0.25 / 6.0);",
    options: HingeOptions::described,
    read: |options| parse(options, Regularizer::hinge),
};

penalty_options! {
    coefficient = 1.0, sign = Signed;
    /// Options of [`Regularizer::hinge`].
    pub struct HingeOptions {
        /// cosines up to here cost nothing, from -1 to 1
        tau: f64 = 0.2,
        /// power of the excess, an int from 1 to 64
        power: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1),
    }
}

impl Regularizer {
    /// The mean over pairs of a power of how far the cosine is above `tau`.
    ///
    /// # Errors
    /// `out-of-range` for a `tau` outside [-1, 1] or a power above 64.
    pub fn hinge(options: HingeOptions) -> Result<Self> {
        within("tau of reg::hinge", options.tau, (-1.0, 1.0), "a cosine, from -1 to 1")?;
        within("power of reg::hinge", options.power.get() as f64, (1.0, 64.0), "an int from 1 to 64")?;
        Ok(Regularizer::of(ENTRY.name, &options, Hinge(options)))
    }
}

struct Hinge(HingeOptions);

impl Penalty for Hinge {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0.cosines(), "tau": self.0.tau, "power": self.0.power })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let HingeOptions { tau, power, sign, matrix, rows, .. } = self.0;
        let mut value = 0.0;
        for (side, view) in scene.views(matrix, rows) {
            let pairs = view.ordered_pairs();
            let (pull, sum) = hinge(&view.unit, sign, tau, power.get(), gradient.is_some());
            value += sum / pairs;
            if let Some(gradient) = gradient.as_deref_mut() {
                let step = weight * 2.0 * power.get() as f64 / pairs;
                gradient.pull(scene, side, rows).dense.push((step, pull));
            }
        }
        Ok(value)
    }
}
