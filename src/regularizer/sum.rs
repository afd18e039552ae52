//! A regularizer: a weighted sum of penalties. The empty sum is the baseline; scaling multiplies every weight.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::custom::{Custom, CustomFn};
use super::double_soft_orthogonality::DoubleSoftOrthogonality;
use super::frame_potential::FramePotential;
use super::max_max_cos::MaxMaxCos;
use super::mean_cos::MeanCos;
use super::mean_max_cos::MeanMaxCos;
use super::mutual_coherence::MutualCoherence;
use super::raw::unsigned;
use super::scene::{Gradient, Scene};
use super::soft_orthogonality::SoftOrthogonality;
use super::tight_frame_gap::TightFrameGap;
use super::{Dictionary, NeighborGradient, Options, Penalty};
use crate::error::Result;
use crate::progress::Stop;

/// Penalties that hold matrices of d x d.
const SQUARE: [&str; 5] =
    ["soft_orthogonality", "double_soft_orthogonality", "frame_potential", "tight_frame_gap", "srip"];

/// A weighted sum of penalties. Cheap to copy.
#[derive(Clone, Default)]
pub struct Regularizer {
    terms: Vec<(f64, Arc<dyn Penalty>)>,
}

impl fmt::Debug for Regularizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regularizer({})", self.describe())
    }
}

impl Regularizer {
    pub(super) fn term(coefficient: f64, penalty: impl Penalty + 'static) -> Self {
        Regularizer { terms: vec![(coefficient, Arc::new(penalty))] }
    }

    /// The baseline: zero.
    pub fn none() -> Self {
        Regularizer::default()
    }

    /// Mean of c_ij over i != j.
    pub fn mean_cos(options: Options) -> Self {
        Regularizer::term(options.coefficient, MeanCos(options.into()))
    }

    /// Mean over i of the largest c_ij, j != i.
    pub fn mean_max_cos(options: Options) -> Self {
        Regularizer::term(options.coefficient, MeanMaxCos(options.into(), NeighborGradient::Both))
    }

    /// The largest c_ij, i != j.
    pub fn max_max_cos(options: Options) -> Self {
        Regularizer::term(options.coefficient, MaxMaxCos(options.into(), NeighborGradient::Both))
    }

    /// |W Wᵀ - I|_F^2 over the raw rows.
    pub fn soft_orthogonality(options: Options) -> Self {
        Regularizer::term(options.coefficient, SoftOrthogonality(unsigned(options).into()))
    }

    /// |W Wᵀ - I|_F^2 + |WᵀW - I|_F^2 over the raw rows: twice the soft orthogonality and a constant.
    pub fn double_soft_orthogonality(options: Options) -> Self {
        Regularizer::term(options.coefficient, DoubleSoftOrthogonality(unsigned(options).into()))
    }

    /// The sum of all c_ij^2, i = j included.
    pub fn frame_potential(options: Options) -> Self {
        Regularizer::term(options.coefficient, FramePotential(unsigned(options).into()))
    }

    /// |WᵀW - (tr WᵀW / d) I|_F^2 over the raw rows.
    pub fn tight_frame_gap(options: Options) -> Self {
        Regularizer::term(options.coefficient, TightFrameGap(unsigned(options).into()))
    }

    /// The largest entry of |W Wᵀ - I| over the raw rows.
    pub fn mutual_coherence(options: Options) -> Self {
        Regularizer::term(options.coefficient, MutualCoherence(unsigned(options).into()))
    }

    /// A function of the decoder as a tensor `[d_sae, d_in]`, which must return a tensor of one element; candle autograd
    /// gives the gradient. `source_digest` stands for the function in [`Regularizer::describe`].
    pub fn custom(name: String, function: CustomFn, source_digest: String) -> Self {
        Regularizer::term(1.0, Custom { name, function, source_digest })
    }

    /// Bytes that an evaluation with gradients holds beside the matrices and their gradients, about, for `n` rows of length `d`; those of a custom
    /// function are not known.
    pub fn bytes(&self, n: usize, d: usize) -> f64 {
        let (n, d) = (n as f64, d as f64);
        let description = self.describe();
        let terms = description.as_array().map_or(&[] as &[Value], Vec::as_slice);
        let sides = if terms.iter().any(|term| term["scope"]["matrix"] == "both") { 2.0 } else { 1.0 };
        // The unit rows and their panels; a gradient by rows for each term.
        let rows = (16.0 + 4.0 * terms.len() as f64) * n * d;
        let square =
            if terms.iter().any(|term| SQUARE.iter().any(|kind| term["kind"] == *kind)) { 40.0 * d * d } else { 0.0 };
        let partners = terms.iter().filter_map(|term| term["k"].as_f64()).sum::<f64>();
        if terms.is_empty() { 0.0 } else { sides * (rows + square + 24.0 * n * partners.min(n)) }
    }

    /// Whether this is the baseline: no terms at all.
    pub fn is_none(&self) -> bool {
        self.terms.is_empty()
    }

    /// The sum of two regularizers.
    pub fn add(&self, other: &Self) -> Self {
        Regularizer { terms: self.terms.iter().chain(&other.terms).cloned().collect() }
    }

    /// Every weight times `factor`; by 0 there is nothing left to compute.
    pub fn scale(&self, factor: f64) -> Self {
        if factor == 0.0 {
            return Regularizer::none();
        }
        Regularizer { terms: self.terms.iter().map(|(weight, term)| (weight * factor, term.clone())).collect() }
    }

    /// The terms in order, each with its weight: what cache keys and the run lock hold.
    pub fn describe(&self) -> Value {
        self.terms
            .iter()
            .map(|(weight, term)| {
                let mut value = term.describe();
                value["coefficient"] = json!(weight);
                value
            })
            .collect()
    }

    /// The penalty. Terms with the same matrix, rows and sign share one nearest-neighbor pass.
    ///
    /// # Errors
    /// `shape-mismatch` when the matrices or flags do not fit; what a custom function raises; `interrupted`.
    pub fn value(&self, dictionary: &Dictionary) -> Result<f64> {
        let scene = Scene::new(dictionary)?;
        let mut total = 0.0;
        for (weight, term) in &self.terms {
            total += weight * term.evaluate(&scene, *weight, None)?;
            Stop::here().check()?;
        }
        Ok(total)
    }

    /// Adds the penalty's derivative by the raw rows to the two gradients (`[d_sae, d_in]` each) and returns the penalty.
    ///
    /// # Errors
    /// `shape-mismatch` when shapes do not fit; what a custom function raises, or that it has no gradient; `interrupted`.
    pub fn add_gradient(&self, dictionary: &Dictionary, grad_dec: &mut [f32], grad_enc: &mut [f32]) -> Result<f64> {
        let scene = Scene::new(dictionary)?;
        let mut gradient = Gradient::new(dictionary, grad_dec, grad_enc)?;
        let mut total = 0.0;
        for (weight, term) in &self.terms {
            total += weight * term.evaluate(&scene, *weight, Some(&mut gradient))?;
            Stop::here().check()?;
        }
        gradient.finish(&scene);
        Ok(total)
    }
}
