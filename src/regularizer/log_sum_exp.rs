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

use super::options::{Scope, within};
use super::scene::{Gradient, Scene};
use super::{Entry, Matrix, OPTIONS, Options, Penalty, Regularizer, Which};
use crate::error::Result;
use crate::ops::Sign;
use crate::ops::log_sum_exp::{Over, log_sum, row_log_sums, soft_pull};

pub(super) const ENTRY: Entry = Entry {
    name: "log_sum_exp",
    formula: "global: 1/beta log sum_{i<j} exp(beta c_ij); row: 1/N sum_i 1/beta log sum_{j!=i} exp(beta c_ij)",
    options: &[
        ("beta", "100.0", "how sharp the maximum is, above 0"),
        ("scope", "\"global\"", "\"global\": one maximum over all pairs; \"row\": the mean over rows of each one's"),
        OPTIONS[0],
        OPTIONS[1],
        OPTIONS[2],
        OPTIONS[3],
    ],
    source: "the log-sum-exp smoothing of max_max_cos and mean_max_cos",
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

/// Options of [`Regularizer::log_sum_exp`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSumExpOptions {
    /// How sharp the maximum is.
    pub beta: f64,
    /// What the maximum is taken over.
    pub scope: MaximumOver,
    /// What the penalty is multiplied with.
    pub coefficient: f64,
    /// Cosines with their sign, or absolute.
    pub sign: Sign,
    /// Which matrix.
    pub matrix: Matrix,
    /// Which rows.
    pub rows: Which,
}

impl Default for LogSumExpOptions {
    fn default() -> Self {
        let Options { coefficient, sign, matrix, rows } = Options::default();
        LogSumExpOptions { beta: 100.0, scope: MaximumOver::Global, coefficient, sign, matrix, rows }
    }
}

impl Regularizer {
    /// A smooth maximum of the cosines.
    ///
    /// # Errors
    /// `out-of-range` for a `beta` that is not above 0, or above 10000, where f32 cosines no longer tell pairs apart.
    pub fn log_sum_exp(options: LogSumExpOptions) -> Result<Self> {
        within("beta of reg::log_sum_exp", options.beta, (f64::MIN_POSITIVE, 1e4), "a number above 0, up to 10000")?;
        Ok(Regularizer::term(options.coefficient, LogSumExp(options)))
    }
}

struct LogSumExp(LogSumExpOptions);

impl Penalty for LogSumExp {
    fn describe(&self) -> Value {
        let LogSumExpOptions { beta, scope: over, sign, matrix, rows, .. } = self.0;
        json!({ "kind": ENTRY.name, "scope": Scope { sign, matrix, rows }, "beta": beta, "over": over })
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
