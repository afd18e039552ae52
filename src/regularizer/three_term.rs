//! The thread's penalty: mean cosine plus mean max cosine plus max max cosine, each with a weight. It is their sum and
//! nothing else; the two max terms share one nearest-neighbor pass.

use serde::{Deserialize, Serialize};

use super::max_max_cos::MaxMaxCos;
use super::mean_cos::MeanCos;
use super::mean_max_cos::MeanMaxCos;
use super::options::Scope;
use super::{Entry, Matrix, NeighborGradient, OPTIONS, Options, Regularizer, Which};
use crate::ops::Sign;

pub(super) const ENTRY: Entry = Entry {
    name: "three_term",
    formula: "mean * mean_cos + mean_max * mean_max_cos + max_max * max_max_cos",
    options: &[
        ("mean", "1.0", "weight of mean_cos"),
        ("mean_max", "1.0", "weight of mean_max_cos"),
        ("max_max", "1.0", "weight of max_max_cos"),
        (
            "neighbor_gradient",
            "\"both\"",
            "\"both\" or \"detach\": whether a maximum moves the neighbor too, or only the row whose maximum it is",
        ),
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
    /// Which rows a maximum moves.
    pub neighbor_gradient: NeighborGradient,
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
        let neighbor_gradient = NeighborGradient::Both;
        ThreeTermOptions { mean: 1.0, mean_max: 1.0, max_max: 1.0, neighbor_gradient, coefficient, sign, matrix, rows }
    }
}

impl Regularizer {
    /// The weighted sum of the three cosine penalties; a term of weight zero is left out.
    pub fn three_term(options: ThreeTermOptions) -> Self {
        let ThreeTermOptions { mean, mean_max, max_max, neighbor_gradient, coefficient, sign, matrix, rows } = options;
        let scope = Scope { sign, matrix, rows };
        [
            (mean, Regularizer::term(coefficient * mean, MeanCos(scope))),
            (mean_max, Regularizer::term(coefficient * mean_max, MeanMaxCos(scope, neighbor_gradient))),
            (max_max, Regularizer::term(coefficient * max_max, MaxMaxCos(scope, neighbor_gradient))),
        ]
        .iter()
        .filter(|(weight, _)| *weight != 0.0)
        .fold(Regularizer::none(), |sum, (_, term)| sum.add(term))
    }
}
