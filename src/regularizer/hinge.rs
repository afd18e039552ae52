//! A thresholded sum of cosines: 1/(N(N-1)) sum over i != j of max(0, c_ij - tau)^power.
//!
//! h_i = 2 power/(N(N-1)) sum_j (c_ij - tau)_+^(power - 1) u_j, times sign(c_ij) where cosines are absolute: every pair above the threshold
//! is pulled apart, not only each row's nearest. Cost: the tiles of the Gram matrix, twice as many products where most pairs are above the
//! threshold; memory N d.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::{Scope, within};
use super::scene::{Gradient, Scene};
use super::{Entry, Matrix, OPTIONS, Options, Penalty, Regularizer, Which};
use crate::error::Result;
use crate::ops::Sign;
use crate::ops::hinge::hinge;

pub(super) const ENTRY: Entry = Entry {
    name: "hinge",
    formula: "1/(N(N-1)) sum_{i!=j} max(0, c_ij - tau)^power",
    options: &[
        ("tau", "0.2", "cosines up to here cost nothing, from -1 to 1"),
        ("power", "2", "of the excess, an int from 1"),
        OPTIONS[0],
        OPTIONS[1],
        OPTIONS[2],
        OPTIONS[3],
    ],
    source: "the hinge loss on cosines",
};

/// Options of [`Regularizer::hinge`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HingeOptions {
    /// Cosines up to here cost nothing.
    pub tau: f64,
    /// The power of what is above.
    pub power: NonZeroUsize,
    /// What the penalty is multiplied with.
    pub coefficient: f64,
    /// Cosines with their sign, or absolute.
    pub sign: Sign,
    /// Which matrix.
    pub matrix: Matrix,
    /// Which rows.
    pub rows: Which,
}

impl Default for HingeOptions {
    fn default() -> Self {
        let Options { coefficient, sign, matrix, rows } = Options::default();
        HingeOptions { tau: 0.2, power: NonZeroUsize::MIN.saturating_add(1), coefficient, sign, matrix, rows }
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
        Ok(Regularizer::term(options.coefficient, Hinge(options)))
    }
}

struct Hinge(HingeOptions);

impl Penalty for Hinge {
    fn describe(&self) -> Value {
        let HingeOptions { tau, power, sign, matrix, rows, .. } = self.0;
        json!({ "kind": ENTRY.name, "scope": Scope { sign, matrix, rows }, "tau": tau, "power": power })
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
