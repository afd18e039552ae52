//! Regularizers on the dictionary: one file per penalty, and their sum.
//!
//! Notation of every file: u_i are the unit rows of a weight matrix `[d_sae, d_in]`, c_ij = u_i . u_j, N the number of valid
//! rows selected. Pairs i = j never count. A row that is zero or not finite is left out of every sum and of N, and its gradient
//! is 0; with fewer than two rows the penalty is 0.
//!
//! Gradients: with h_i the derivative by u_i, the raw row's gradient is (h_i - (h_i . u_i) u_i) / |w_i|. All sums are f64
//! and in the order of rows, so values and gradients have the same bits at any thread count. No N x N matrix is held.
//!
//! A new penalty is a file with an [`Entry`] and a `Penalty`, a [`Kind`] and a constructor here.

mod custom;
mod max_max_cos;
mod mean_cos;
mod mean_max_cos;
mod options;
mod ortsae;
mod scene;
mod sum;
mod three_term;

pub use custom::CustomFn;
pub use options::{Matrix, Options, Which};
pub use ortsae::OrtsaeOptions;
pub use sum::Regularizer;
pub use three_term::ThreeTermOptions;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::ops::{Rows, Sign};
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

/// One row of the list of regularizers.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name in scripts, after `reg::`.
    pub name: &'static str,
    /// The penalty in the notation of this module.
    pub formula: &'static str,
    /// Each option: name, default, meaning.
    pub options: &'static [(&'static str, &'static str, &'static str)],
    /// Where it comes from.
    pub source: &'static str,
}

/// The options that all cosine penalties share.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("coefficient", "1.0", "what the penalty is multiplied with"),
    ("sign", "\"signed\"", "\"signed\" or \"abs\": cosines with their sign, or absolute"),
    ("matrix", "\"decoder\"", "\"decoder\", \"encoder\" or \"both\" (the sum of the two penalties)"),
    ("rows", "\"all\"", "\"all\", \"alive\" or \"dead\": the latents that take part, so far as it is known which fire"),
];

/// Every kind of regularizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Zero.
    None,
    /// See [`Regularizer::mean_cos`].
    MeanCos,
    /// See [`Regularizer::mean_max_cos`].
    MeanMaxCos,
    /// See [`Regularizer::max_max_cos`].
    MaxMaxCos,
    /// See [`Regularizer::three_term`].
    ThreeTerm,
    /// See [`Regularizer::ortsae`].
    Ortsae,
    /// See [`Regularizer::custom`].
    Custom,
}

impl Kind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Kind; 7] =
        [Kind::None, Kind::MeanCos, Kind::MeanMaxCos, Kind::MaxMaxCos, Kind::ThreeTerm, Kind::Ortsae, Kind::Custom];

    /// Name, formula, options and source.
    pub fn entry(self) -> Entry {
        match self {
            Kind::None => Entry { name: "none", formula: "0", options: &[], source: "the baseline without a penalty" },
            Kind::MeanCos => mean_cos::ENTRY,
            Kind::MeanMaxCos => mean_max_cos::ENTRY,
            Kind::MaxMaxCos => max_max_cos::ENTRY,
            Kind::ThreeTerm => three_term::ENTRY,
            Kind::Ortsae => ortsae::ENTRY,
            Kind::Custom => custom::ENTRY,
        }
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// `unknown-name`, with the nearest name.
    pub fn named(name: &str) -> Result<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.entry().name == name).ok_or_else(|| {
            Error::unknown(Code::UnknownName, "regularizer", name, &Kind::ALL.map(|kind| kind.entry().name))
        })
    }

    /// The regularizer of this kind with a map of options.
    ///
    /// # Errors
    /// `unknown-option` for a key it does not have, `wrong-type` for a value of another type or word (and for `custom`, which needs a
    /// function).
    pub fn build(self, options: Value) -> Result<Regularizer> {
        Ok(match self {
            Kind::None => {
                check_keys(self.entry(), &options)?;
                Regularizer::none()
            }
            Kind::MeanCos => Regularizer::mean_cos(read(self.entry(), options)?),
            Kind::MeanMaxCos => Regularizer::mean_max_cos(read(self.entry(), options)?),
            Kind::MaxMaxCos => Regularizer::max_max_cos(read(self.entry(), options)?),
            Kind::ThreeTerm => Regularizer::three_term(read(self.entry(), options)?),
            Kind::Ortsae => Regularizer::ortsae(read(self.entry(), options)?),
            Kind::Custom => {
                return Err(Error::new(Code::WrongType, "a custom regularizer needs a function, not options"));
            }
        })
    }
}

/// Every key must be an option of this entry.
fn check_keys(entry: Entry, options: &Value) -> Result<()> {
    let known: Vec<&str> = entry.options.iter().map(|option| option.0).collect();
    match options.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str()))) {
        Some(key) => Err(Error::unknown(Code::UnknownOption, &format!("option of reg::{}", entry.name), key, &known)),
        None => Ok(()),
    }
}

fn read<T: DeserializeOwned>(entry: Entry, options: Value) -> Result<T> {
    check_keys(entry, &options)?;
    serde_json::from_value(options)
        .map_err(|error| Error::new(Code::WrongType, format!("bad options of reg::{}: {error}", entry.name)))
}
