//! A regularizer: a weighted sum of penalties. The empty sum is the baseline; scaling multiplies every weight.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::options::PenaltyOptions;
use super::scene::{Gradient, Scene};
use super::{Dictionary, Penalty};
use crate::error::Result;
use crate::options::differences;
use crate::progress::Stop;

/// A weighted sum of penalties. Cheap to copy.
#[derive(Clone, Default)]
pub struct Regularizer {
    terms: Vec<(f64, Arc<dyn Penalty>)>,
    /// What the terms are called, each with its coefficient; one label may stand for several terms.
    labels: Vec<(f64, String)>,
}

impl fmt::Debug for Regularizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regularizer({})", self.describe())
    }
}

impl Regularizer {
    /// One penalty without a label: a part of a regularizer.
    pub(super) fn term(coefficient: f64, penalty: impl Penalty + 'static) -> Self {
        Regularizer { terms: vec![(coefficient, Arc::new(penalty))], labels: Vec::new() }
    }

    /// One penalty with its options, whose label is its name and what differs from the defaults.
    pub(super) fn of<T: PenaltyOptions>(name: &str, options: &T, penalty: impl Penalty + 'static) -> Self {
        Regularizer::term(options.coefficient(), penalty).named(name, options)
    }

    /// The same terms under one name, with the options that differ from the defaults.
    pub(super) fn named<T: PenaltyOptions>(self, name: &str, options: &T) -> Self {
        let other = differences(options, &["coefficient"]);
        let label = if other.is_empty() { name.to_string() } else { format!("{name} ({})", other.join(", ")) };
        self.labelled(options.coefficient(), label)
    }

    /// The same terms under this label.
    pub(super) fn labelled(self, coefficient: f64, label: String) -> Self {
        let labels = if self.is_none() { Vec::new() } else { vec![(coefficient, label)] };
        Regularizer { labels, ..self }
    }

    /// The baseline: zero.
    pub fn none() -> Self {
        Regularizer::default()
    }

    /// What it is, in one line: `1 x three_term`, `0.5 x mean_max_cos (abs, encoder) + 2 x mine`; `none` for the baseline.
    pub fn label(&self) -> String {
        let parts: Vec<String> =
            self.labels.iter().map(|(coefficient, label)| format!("{coefficient} x {label}")).collect();
        if parts.is_empty() { "none".to_string() } else { parts.join(" + ") }
    }

    /// Bytes that an evaluation with gradients holds beside the matrices and their gradients, about, for `n` rows of length `d`; those of a
    /// custom function are not known.
    pub fn bytes(&self, n: usize, d: usize) -> f64 {
        let (n, d) = (n as f64, d as f64);
        // The unit rows and their panels, of both matrices.
        let shared = if self.is_none() { 0.0 } else { 32.0 * n * d };
        shared + self.terms.iter().map(|(_, term)| term.bytes(n, d)).sum::<f64>()
    }

    /// Whether this is the baseline: no terms at all.
    pub fn is_none(&self) -> bool {
        self.terms.is_empty()
    }

    /// The sum of two regularizers.
    pub fn add(&self, other: &Self) -> Self {
        Regularizer {
            terms: self.terms.iter().chain(&other.terms).cloned().collect(),
            labels: self.labels.iter().chain(&other.labels).cloned().collect(),
        }
    }

    /// Every weight times `factor`; by 0 there is nothing left to compute.
    pub fn scale(&self, factor: f64) -> Self {
        if factor == 0.0 {
            return Regularizer::none();
        }
        Regularizer {
            terms: self.terms.iter().map(|(weight, term)| (weight * factor, term.clone())).collect(),
            labels: self.labels.iter().map(|(weight, label)| (weight * factor, label.clone())).collect(),
        }
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
