//! Regularizers on the dictionary: one file per penalty, and their sum.
//!
//! Notation of every file: u_i are the unit rows of a weight matrix `[d_sae, d_in]`, c_ij = u_i . u_j, N the number of valid
//! rows selected. Pairs i = j never count. A row that is zero or not finite is left out of every sum and of N, and its gradient
//! is 0; with fewer than two rows the penalty is 0.
//!
//! Gradients: with h_i the derivative by u_i, the raw row's gradient is (h_i - (h_i . u_i) u_i) / |w_i|; the penalties in which the length of a
//! row matters (`raw`, the soft orthogonalities, the tight frame, coherence and SRIP) have a gradient along the row too. All sums are f64
//! and in the order of rows, so values and gradients have the same bits at any thread count. No N x N matrix is held.
//!
//! A new penalty is a file with an [`Entry`] and a `Penalty`, and a row in [`ALL`].

mod babel;
mod custom;
mod double_soft_orthogonality;
mod frame_potential;
mod hinge;
mod log_sum_exp;
mod max_max_cos;
mod mean_cos;
mod mean_max_cos;
mod mutual_coherence;
mod options;
mod ortsae;
mod raw;
mod scene;
pub mod select;
mod soft_orthogonality;
mod srip;
mod sum;
mod three_term;
mod tight_frame_gap;

pub use babel::BabelOptions;
pub use custom::CustomFn;
pub use hinge::HingeOptions;
pub use log_sum_exp::{LogSumExpOptions, MaximumOver};
pub use options::{Matrix, NeighborGradient, Options, Which};
pub use ortsae::OrtsaeOptions;
pub use srip::{SripOptions, Target};
pub use sum::Regularizer;
pub use three_term::ThreeTermOptions;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::ops::{Rows, Sign};
use crate::options::Field;
use scene::{Gradient, Scene};

/// The weights that a penalty may look at, at one moment of a training.
#[derive(Debug, Clone, Copy)]
pub struct Dictionary<'a> {
    /// The decoder, `[d_sae, d_in]`.
    pub w_dec: Rows<'a>,
    /// The encoder, `[d_sae, d_in]`.
    pub w_enc: Rows<'a>,
    /// Which latents fire, where that is known.
    pub alive: Option<&'a [bool]>,
    /// The training's seed, for penalties that draw.
    pub seed: u64,
    /// The training's step, for penalties that draw anew or act every so often.
    pub step: u64,
}

/// A penalty without its coefficient.
trait Penalty: Send + Sync {
    /// What the penalty is, for cache keys and the run lock.
    fn describe(&self) -> Value;

    /// Bytes that an evaluation holds, about, for `n` rows of length `d`: by default a gradient by rows of both matrices.
    fn bytes(&self, n: f64, d: f64) -> f64 {
        8.0 * n * d
    }

    /// The penalty; where a gradient is asked for, adds `weight` times the penalty's to it.
    fn evaluate(&self, scene: &Scene, weight: f64, gradient: Option<&mut Gradient>) -> Result<f64>;
}

/// The derivative of the counted cosine by the cosine.
fn slope(sign: Sign, cos: f64) -> f64 {
    match sign {
        Sign::Abs if cos < 0.0 => -1.0,
        Sign::Abs if cos == 0.0 => 0.0,
        _ => 1.0,
    }
}

/// A row of the table of regularizers: what the script function `reg::NAME`, its documentation and `reg::list` are made from.
pub struct Entry {
    /// The name in scripts, after `reg::`.
    pub name: &'static str,
    /// What the penalty is, in a few words.
    pub summary: &'static str,
    /// The penalty in the notation of this module.
    pub formula: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// A line of script that must hold, with `w` the rows [1, 0], [1, 0], [0, 1].
    pub example: &'static str,
    /// The options.
    pub options: fn() -> Vec<Field>,
    /// The regularizer of an option map: the outer error is serde's, the inner one of a value out of range.
    pub read: fn(Value) -> serde_json::Result<Result<Regularizer>>,
}

/// Every built-in regularizer, in the order of the documentation. `reg::none` and `reg::custom` take no options and are functions
/// of their own.
pub static ALL: [Entry; 14] = [
    mean_cos::ENTRY,
    mean_max_cos::ENTRY,
    max_max_cos::ENTRY,
    three_term::ENTRY,
    ortsae::ENTRY,
    soft_orthogonality::ENTRY,
    double_soft_orthogonality::ENTRY,
    frame_potential::ENTRY,
    tight_frame_gap::ENTRY,
    mutual_coherence::ENTRY,
    srip::ENTRY,
    log_sum_exp::ENTRY,
    hinge::ENTRY,
    babel::ENTRY,
];

impl Entry {
    /// The regularizer of this entry from options by key.
    ///
    /// # Errors
    /// Those of [`options::read`](crate::options::read); `out-of-range`.
    pub fn build(&self, options: Vec<(String, Value)>) -> Result<Regularizer> {
        let known: Vec<&str> = (self.options)().iter().map(|field| field.name).collect();
        let coefficient = options.iter().find(|(key, _)| key == "coefficient").and_then(|(_, value)| value.as_f64());
        // Larger numbers are infinite where gradients are used.
        if let Some(given) = coefficient.filter(|c| c.abs() > f64::from(f32::MAX)) {
            return Err(Error::new(
                Code::OutOfRange,
                format!("option `coefficient` of reg::{} is out of range", self.name),
            )
            .fact("expected", "a number that f32 holds")
            .fact("given", given));
        }
        crate::options::read(&format!("reg::{}", self.name), &known, options, self.read)?
    }
}

/// Reads options and makes the regularizer from them, for [`Entry::read`].
fn parse<T: DeserializeOwned>(
    options: Value,
    make: fn(T) -> Result<Regularizer>,
) -> serde_json::Result<Result<Regularizer>> {
    serde_json::from_value(options).map(make)
}
