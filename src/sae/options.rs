//! The options of a training, with their defaults and limits.

use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use crate::error::{Code, Error, Result};

/// What becomes of the norm of a decoder row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecoderNorm {
    /// Every row has norm 1: the radial part of its gradient is removed before Adam, the row is rescaled after. L1 counts `f`.
    #[default]
    Unit,
    /// Rows are free. L1 counts `f * |w_dec|`, as SAELens and Anthropic (April 2024) do.
    Free,
}

/// How the weights begin. In all of them decoder rows are random directions, the encoder is the decoder, and `b_dec` is the mean of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Encoder biases from a sample of activations: each latent fires only above its own mean plus `init_sd` standard deviations.
    #[default]
    Sparse,
    /// Encoder biases 0: about half of all latents fire at the first step.
    Tied,
}

/// How activations are scaled for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalizeActivations {
    /// They are not.
    #[default]
    None,
    /// Multiplied by `sqrt(d_in) / mean |x|` (SAELens). The factor is folded into the two biases at the end, so the finished SAE reads
    /// plain activations and its decoder rows keep their norm. L1 coefficients are in scaled units.
    ExpectedAverageOnlyIn,
}

/// The options of [`super::train`]. Shares of the run are numbers from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainOptions {
    /// `"relu"`.
    pub architecture: String,
    /// How many latents. Required: 0 stands for missing.
    pub d_sae: usize,
    /// Weight of the L1 term. Default: a tenth of the root of the activations' total variance. With `target_l0` it is the start value.
    pub l1_coefficient: Option<f64>,
    /// Active latents a token, for the architectures that fix it; not for `relu`.
    pub k: Option<usize>,
    /// Steers the L1 coefficient so that L0 lands here.
    pub target_l0: Option<f64>,
    /// How many tokens to train on, going round the store again where it has fewer. Default: all of them, once.
    pub tokens: Option<u64>,
    /// Tokens a step.
    pub batch_size: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Share of the run over which the learning rate rises from 0.
    pub lr_warmup: f64,
    /// Share of the run, at its end, over which the learning rate falls to 0.
    pub lr_decay: f64,
    /// Share of the run over which the L1 coefficient rises from 0.
    pub l1_warmup: f64,
    /// Decay of Adam's first moment.
    pub beta1: f64,
    /// Decay of Adam's second moment.
    pub beta2: f64,
    /// Whether decoder rows keep norm 1.
    pub decoder_norm: DecoderNorm,
    /// How the weights begin.
    pub init: Init,
    /// With `init: "sparse"`, how many standard deviations above its mean a latent's threshold lies.
    pub init_sd: f64,
    /// Whether activations are scaled.
    pub normalize_activations: NormalizeActivations,
    /// What is done about dead latents: `"none"` or `"resample"`.
    pub dead: String,
    /// A latent that has not fired for this many tokens is dead. Default: a tenth of the run.
    pub dead_window: Option<u64>,
    /// Share of the run between two resamplings; none happens in the last quarter.
    pub resample_every: f64,
    /// Names the random streams.
    pub seed: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Steps between two rows of the history.
    pub log_every: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            architecture: "relu".to_string(),
            d_sae: 0,
            l1_coefficient: None,
            k: None,
            target_l0: None,
            tokens: None,
            batch_size: 4096,
            lr: 3e-4,
            lr_warmup: 0.02,
            lr_decay: 0.2,
            l1_warmup: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            decoder_norm: DecoderNorm::Unit,
            init: Init::Sparse,
            init_sd: 2.3,
            normalize_activations: NormalizeActivations::None,
            dead: "none".to_string(),
            dead_window: None,
            resample_every: 0.15,
            seed: 0,
            checkpoint_every: 500,
            log_every: 50,
        }
    }
}

/// What is done about dead latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// Nothing.
    None,
    /// They are made anew from badly reconstructed inputs.
    Resample,
}

impl TrainOptions {
    /// How dead latents are treated.
    ///
    /// # Errors
    /// `unsupported` for a treatment that is known and not there, `unknown-name` for any other name.
    pub fn dead(&self) -> Result<Dead> {
        match self.dead.as_str() {
            "none" => Ok(Dead::None),
            "resample" => Ok(Dead::Resample),
            "aux_k" | "ghost" => {
                Err(Error::new(Code::Unsupported, format!("`dead: \"{}\"` is not available", self.dead))
                    .fact("available", "none, resample")
                    .help("use `dead: \"resample\"`"))
            }
            other => Err(Error::unknown(Code::UnknownName, "treatment of dead latents", other, &["none", "resample"])),
        }
    }

    /// Checks every option against its range.
    ///
    /// # Errors
    /// `out-of-range`, `unsupported` or `unknown-name`, naming the option.
    pub fn validate(&self) -> Result<()> {
        let architecture = Architecture::named(&self.architecture)?;
        self.dead()?;
        if self.k.is_some() && !architecture.takes_k() {
            return Err(Error::new(Code::Unsupported, format!("architecture `{}` has no `k`", architecture.name()))
                .help("use `target_l0` to choose the sparsity"));
        }
        let count = |name: &str, value: u64| {
            if value > 0 { Ok(()) } else { Err(out_of_range(name, "an int above 0", value)) }
        };
        if self.d_sae == 0 {
            return Err(Error::new(Code::OutOfRange, "the option `d_sae` is required")
                .fact("expected", "an int above 0")
                .help("`d_sae` is the number of latents, often 8 to 32 times d_in"));
        }
        count("batch_size", self.batch_size as u64)?;
        count("checkpoint_every", self.checkpoint_every)?;
        count("log_every", self.log_every)?;
        count("tokens", self.tokens.unwrap_or(1))?;
        count("dead_window", self.dead_window.unwrap_or(1))?;
        for (name, value) in [("lr_warmup", self.lr_warmup), ("lr_decay", self.lr_decay), ("l1_warmup", self.l1_warmup)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(out_of_range(name, "a share of the run, from 0 to 1", value));
            }
        }
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(out_of_range(name, "a number from 0 to below 1", value));
            }
        }
        let above_zero =
            [("lr", self.lr), ("target_l0", self.target_l0.unwrap_or(1.0)), ("resample_every", self.resample_every)];
        for (name, value) in above_zero {
            if !(value > 0.0 && value.is_finite()) {
                return Err(out_of_range(name, "a number above 0", value));
            }
        }
        match self.l1_coefficient {
            Some(l1) if !(l1 >= 0.0 && l1.is_finite()) => {
                Err(out_of_range("l1_coefficient", "a number of at least 0", l1))
            }
            Some(0.0) if self.target_l0.is_some() => {
                Err(out_of_range("l1_coefficient", "a start value above 0 where `target_l0` is given", 0.0))
            }
            _ if !self.init_sd.is_finite() => Err(out_of_range("init_sd", "a finite number", self.init_sd)),
            _ => match self.target_l0 {
                Some(l0) if l0 >= self.d_sae as f64 => Err(out_of_range("target_l0", "a number below `d_sae`", l0)),
                _ => Ok(()),
            },
        }
    }
}

fn out_of_range(name: &str, expected: &str, given: impl std::fmt::Display) -> Error {
    Error::new(Code::OutOfRange, format!("the option `{name}` is out of range"))
        .fact("expected", expected)
        .fact("given", given)
}
