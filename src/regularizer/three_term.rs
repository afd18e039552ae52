//! The thread's penalty: mean cosine plus mean max cosine plus max max cosine, each with a weight. It is their sum and
//! nothing else; the two max terms share one nearest-neighbor pass.

use super::max_max_cos::MaxMaxCos;
use super::mean_cos::MeanCos;
use super::mean_max_cos::MeanMaxCos;
use super::options::{PenaltyOptions, penalty_options};
use super::{Entry, NeighborGradient, Regularizer, parse};
use crate::options::Described;

pub(super) const ENTRY: Entry = Entry {
    name: "three_term",
    summary: "a weighted sum of mean cosine, mean max cosine and max max cosine",
    formula: "mean * mean_cos + mean_max * mean_max_cos + max_max * max_max_cos",
    source: "the thread behind this tool (2024): greaterwrong.com/posts/QoR8noAB3Mp2KBA4B",
    example: "assert_eq(reg::three_term(#{ mean: 0, mean_max: 3 }).value(w), 3.0);",
    options: ThreeTermOptions::described,
    read: |options| parse(options, |options| Ok(Regularizer::three_term(options))),
};

penalty_options! {
    coefficient = 1.0, sign = Signed;
    /// Options of [`Regularizer::three_term`].
    pub struct ThreeTermOptions {
        /// weight of mean_cos
        mean: f64 = 1.0,
        /// weight of mean_max_cos
        mean_max: f64 = 1.0,
        /// weight of max_max_cos
        max_max: f64 = 1.0,
        /// "both" or "detach": whether a maximum moves the neighbor too, or only the row whose maximum it is
        neighbor_gradient: NeighborGradient = NeighborGradient::Both,
    }
}

impl Regularizer {
    /// The weighted sum of the three cosine penalties; a term of weight zero is left out.
    pub fn three_term(options: ThreeTermOptions) -> Self {
        let ThreeTermOptions { mean, mean_max, max_max, neighbor_gradient, coefficient, .. } = options;
        let cosines = options.cosines();
        [
            (mean, Regularizer::term(coefficient * mean, MeanCos(cosines))),
            (mean_max, Regularizer::term(coefficient * mean_max, MeanMaxCos(cosines, neighbor_gradient))),
            (max_max, Regularizer::term(coefficient * max_max, MaxMaxCos(cosines, neighbor_gradient))),
        ]
        .iter()
        .filter(|(weight, _)| *weight != 0.0)
        .fold(Regularizer::none(), |sum, (_, term)| sum.add(term))
        .named(ENTRY.name, &options)
    }
}
