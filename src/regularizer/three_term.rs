//! The thread's penalty: mean cosine plus mean max cosine plus max max cosine, each with a weight. It is their sum and
//! nothing else; the two max terms share one nearest-neighbor pass.

use serde::{Deserialize, Serialize};

use super::{Entry, Matrix, OPTIONS, Options, Regularizer, Which};
use crate::ops::Sign;

pub(super) const ENTRY: Entry = Entry {
    name: "three_term",
    formula: "mean * mean_cos + mean_max * mean_max_cos + max_max * max_max_cos",
    options: &[
        ("mean", "1.0", "weight of mean_cos"),
        ("mean_max", "1.0", "weight of mean_max_cos"),
        ("max_max", "1.0", "weight of max_max_cos"),
        OPTIONS[0],
        OPTIONS[1],
        OPTIONS[2],
        OPTIONS[3],
    ],
    source: "the thread behind this tool (2024): greaterwrong.com/posts/QoR8noAB3Mp2KBA4B",
};

/// Options of [`Regularizer::three_term`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreeTermOptions {
    /// Weight of the mean cosine.
    pub mean: f64,
    /// Weight of the mean max cosine.
    pub mean_max: f64,
    /// Weight of the max max cosine.
    pub max_max: f64,
    /// What the whole is multiplied with.
    pub coefficient: f64,
    /// Cosines with their sign, or absolute.
    pub sign: Sign,
    /// Which matrix.
    pub matrix: Matrix,
    /// Which rows.
    pub rows: Which,
}

impl Default for ThreeTermOptions {
    fn default() -> Self {
        let Options { coefficient, sign, matrix, rows } = Options::default();
        ThreeTermOptions { mean: 1.0, mean_max: 1.0, max_max: 1.0, coefficient, sign, matrix, rows }
    }
}

impl Regularizer {
    /// The weighted sum of the three cosine penalties; a term of weight zero is left out.
    pub fn three_term(options: ThreeTermOptions) -> Self {
        let ThreeTermOptions { mean, mean_max, max_max, coefficient, sign, matrix, rows } = options;
        let term = |weight: f64| Options { coefficient: coefficient * weight, sign, matrix, rows };
        let mut sum = Regularizer::none();
        for (weight, build) in [
            (mean, Regularizer::mean_cos as fn(Options) -> Regularizer),
            (mean_max, Regularizer::mean_max_cos),
            (max_max, Regularizer::max_max_cos),
        ] {
            if weight != 0.0 {
                sum = sum.add(&build(term(weight)));
            }
        }
        sum
    }
}
