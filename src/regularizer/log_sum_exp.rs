//! Smooth maxima of cosines.
//!
//! `"global"`: (1/beta) log of the sum over pairs i < j of exp(beta c_ij), above the largest cosine by at most log(N(N-1)/2)/beta, which is
//! 17.3/beta at N = 8192. h_i = sum_j p_ij u_j with p_ij = exp(beta c_ij) over that sum.
//! `"row"`: the mean over i of (1/beta) log of the sum over j != i of exp(beta c_ij), a smooth `mean_max_cos`.
//! h_i = (1/N) sum_j (p_ij + p_ji) u_j, p_ij being the share of j in the sum of row i.
//!
//! Times sign(c_ij) where cosines are absolute. Cost: three times the products of the whole Gram matrix and N^2 exponentials for each sum;
//! memory N d.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::{PenaltyOptions, penalty_options, within};
use super::scene::{Gradient, Scene};
use super::{Entry, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::log_sum_exp::{Over, log_sum, row_log_sums, soft_pull};
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "log_sum_exp",
    summary: "a smooth maximum of the cosines, by the logarithm of a sum of exponentials",
    formula: "global: 1/beta log sum_{i<j} exp(beta c_ij); row: 1/N sum_i 1/beta log sum_{j!=i} exp(beta c_ij)",
    source: "the log-sum-exp smoothing of max_max_cos and mean_max_cos",
    example: "assert(abs(reg::log_sum_exp(#{ beta: 50 }).value(w) - 1.0) < 1e-6);",
    options: LogSumExpOptions::described,
    read: |options| parse(options, Regularizer::log_sum_exp),
};

/// What the maximum is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaximumOver {
    /// All pairs.
    #[default]
    Global,
    /// The neighbors of each row; then the mean over rows.
    Row,
}

penalty_options! {
    coefficient = 1.0, sign = Signed;
    /// Options of [`Regularizer::log_sum_exp`].
    pub struct LogSumExpOptions {
        /// how sharp the maximum is, above 0 and up to 10000
        beta: f64 = 100.0,
        /// "global": one maximum over all pairs; "row": the mean over rows of each one's
        scope: MaximumOver = MaximumOver::Global,
    }
}

impl Regularizer {
    /// A smooth maximum of the cosines.
    ///
    /// # Errors
    /// `out-of-range` for a `beta` that is not above 0, or above 10000, where f32 cosines no longer tell pairs apart.
    pub fn log_sum_exp(options: LogSumExpOptions) -> Result<Self> {
        within("beta of reg::log_sum_exp", options.beta, (f64::MIN_POSITIVE, 1e4), "a number above 0, up to 10000")?;
        Ok(Regularizer::of(ENTRY.name, &options, LogSumExp(options)))
    }
}

struct LogSumExp(LogSumExpOptions);

impl Penalty for LogSumExp {
    fn describe(&self) -> Value {
        json!({ "kind": ENTRY.name, "scope": self.0.cosines(), "beta": self.0.beta, "over": self.0.scope })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let LogSumExpOptions { beta, scope: over, sign, matrix, rows, .. } = self.0;
        let mut value = 0.0;
        for (side, view) in scene.views(matrix, rows) {
            let sums = row_log_sums(&view.unit, sign, beta);
            let n = sums.len() as f64;
            let all = log_sum(&sums);
            let (log, over, share) = match over {
                MaximumOver::Global => (all, Over::All(all), 1.0),
                MaximumOver::Row => (sums.iter().sum::<f64>() / n, Over::Rows(&sums), 1.0 / n),
            };
            value += log / beta;
            if let Some(gradient) = gradient.as_deref_mut() {
                let pull = soft_pull(&view.unit, sign, beta, over);
                gradient.pull(scene, side, rows).dense.push((weight * share, pull));
            }
        }
        Ok(value)
    }
}
