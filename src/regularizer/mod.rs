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
//! A new penalty is a file with an [`Entry`] and a `Penalty`, a [`Kind`] and a constructor here.

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

/// The options that all penalties share.
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
    /// See [`Regularizer::soft_orthogonality`].
    SoftOrthogonality,
    /// See [`Regularizer::double_soft_orthogonality`].
    DoubleSoftOrthogonality,
    /// See [`Regularizer::frame_potential`].
    FramePotential,
    /// See [`Regularizer::tight_frame_gap`].
    TightFrameGap,
    /// See [`Regularizer::mutual_coherence`].
    MutualCoherence,
    /// See [`Regularizer::srip`].
    Srip,
    /// See [`Regularizer::log_sum_exp`].
    LogSumExp,
    /// See [`Regularizer::hinge`].
    Hinge,
    /// See [`Regularizer::babel`].
    Babel,
    /// See [`Regularizer::custom`].
    Custom,
}

impl Kind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Kind; 16] = [
        Kind::None,
        Kind::MeanCos,
        Kind::MeanMaxCos,
        Kind::MaxMaxCos,
        Kind::ThreeTerm,
        Kind::Ortsae,
        Kind::SoftOrthogonality,
        Kind::DoubleSoftOrthogonality,
        Kind::FramePotential,
        Kind::TightFrameGap,
        Kind::MutualCoherence,
        Kind::Srip,
        Kind::LogSumExp,
        Kind::Hinge,
        Kind::Babel,
        Kind::Custom,
    ];

    /// Name, formula, options and source.
    pub fn entry(self) -> Entry {
        match self {
            Kind::None => Entry { name: "none", formula: "0", options: &[], source: "the baseline without a penalty" },
            Kind::MeanCos => mean_cos::ENTRY,
            Kind::MeanMaxCos => mean_max_cos::ENTRY,
            Kind::MaxMaxCos => max_max_cos::ENTRY,
            Kind::ThreeTerm => three_term::ENTRY,
            Kind::Ortsae => ortsae::ENTRY,
            Kind::SoftOrthogonality => soft_orthogonality::ENTRY,
            Kind::DoubleSoftOrthogonality => double_soft_orthogonality::ENTRY,
            Kind::FramePotential => frame_potential::ENTRY,
            Kind::TightFrameGap => tight_frame_gap::ENTRY,
            Kind::MutualCoherence => mutual_coherence::ENTRY,
            Kind::Srip => srip::ENTRY,
            Kind::LogSumExp => log_sum_exp::ENTRY,
            Kind::Hinge => hinge::ENTRY,
            Kind::Babel => babel::ENTRY,
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
    /// function), `out-of-range`.
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
            Kind::SoftOrthogonality => Regularizer::soft_orthogonality(read(self.entry(), options)?),
            Kind::DoubleSoftOrthogonality => Regularizer::double_soft_orthogonality(read(self.entry(), options)?),
            Kind::FramePotential => Regularizer::frame_potential(read(self.entry(), options)?),
            Kind::TightFrameGap => Regularizer::tight_frame_gap(read(self.entry(), options)?),
            Kind::MutualCoherence => Regularizer::mutual_coherence(read(self.entry(), options)?),
            Kind::Srip => Regularizer::srip(read(self.entry(), options)?),
            Kind::LogSumExp => Regularizer::log_sum_exp(read(self.entry(), options)?)?,
            Kind::Hinge => Regularizer::hinge(read(self.entry(), options)?)?,
            Kind::Babel => Regularizer::babel(read(self.entry(), options)?),
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
