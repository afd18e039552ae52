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
    /// A name of [`Architecture::ALL`].
    pub architecture: String,
    /// How many latents. Required: 0 stands for missing.
    pub d_sae: usize,
    /// Weight of the sparsity term: L1 (relu, gated) or L0 (jumprelu). Default: a tenth of the root of the activations' total variance; for jumprelu
    /// the mean square of the thresholds at the start. With `target_l0` it is the start value.
    pub l1_coefficient: Option<f64>,
    /// Active latents a token, for the architectures that fix it.
    pub k: Option<usize>,
    /// Steers the sparsity coefficient so that L0 lands here; for the architectures without `k`.
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
    /// Width of the rectangle by which jumprelu's thresholds learn. Default: a tenth of their mean at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<f64>,
    /// Latents in each nested dictionary of `matryoshka_batch_topk`, ascending and below `d_sae`, which is always the last. Default: 1, 3, 7 and 15
    /// thirty-seconds of `d_sae`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matryoshka_widths: Option<Vec<usize>>,
    /// Whether activations are scaled.
    pub normalize_activations: NormalizeActivations,
    /// What is done about dead latents: `"none"`, `"resample"`, `"aux_k"` (by positive pre-activations, which dead ReLU latents lack) or `"ghost"`.
    pub dead: String,
    /// With `dead: "aux_k"`, how many dead latents a token reconstruct the error with. Default: half of d_in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k_aux: Option<usize>,
    /// With `dead: "aux_k"`, the weight of that reconstruction's error. Default: 1/32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux_coefficient: Option<f64>,
    /// A latent that has not fired for this many tokens is dead. Default: a tenth of the run.
    pub dead_window: Option<u64>,
    /// Share of the run between two resamplings; none happens in the last quarter.
    pub resample_every: f64,
    /// Names the random streams: of the starting directions, of the rows that the start and the final threshold are measured on, of resampling, of
    /// the order of rows where `shuffle` is true.
    pub seed: u64,
    /// Whether the seed draws a new order of the rows for each pass over the store, rather than that in which they are stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shuffle: bool,
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
            bandwidth: None,
            matryoshka_widths: None,
            normalize_activations: NormalizeActivations::None,
            dead: "none".to_string(),
            k_aux: None,
            aux_coefficient: None,
            dead_window: None,
            resample_every: 0.15,
            seed: 0,
            shuffle: false,
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
    /// They learn to reconstruct the error, the most active ones of each token (Gao et al. 2024).
    AuxK,
    /// They learn to reconstruct the error by exponentials of their pre-activations (Jermyn and Templeton 2024).
    Ghost,
}

/// The treatments of dead latents by name.
const DEAD: [(&str, Dead); 4] =
    [("none", Dead::None), ("resample", Dead::Resample), ("aux_k", Dead::AuxK), ("ghost", Dead::Ghost)];

impl TrainOptions {
    /// How dead latents are treated.
    ///
    /// # Errors
    /// `unknown-name`, with the nearest name.
    pub fn dead(&self) -> Result<Dead> {
        let found = DEAD.into_iter().find(|(name, _)| *name == self.dead).map(|(_, dead)| dead);
        let known = DEAD.map(|(name, _)| name);
        found.ok_or_else(|| Error::unknown(Code::UnknownName, "treatment of dead latents", &self.dead, &known))
    }

    /// The widths of nested dictionaries, `d_sae` the last.
    pub fn widths(&self) -> Vec<usize> {
        let default = || [1, 3, 7, 15].map(|share| (self.d_sae as u128 * share / 32) as usize).to_vec();
        let mut widths = self.matryoshka_widths.clone().unwrap_or_else(default);
        widths.retain(|width| *width > 0 && *width < self.d_sae);
        widths.push(self.d_sae);
        widths.dedup();
        widths
    }

    /// Checks every option against its range.
    ///
    /// # Errors
    /// `out-of-range`, `unsupported` or `unknown-name`, naming the option.
    pub fn validate(&self) -> Result<()> {
        let architecture = Architecture::named(&self.architecture)?;
        self.dead()?;
        let count = |name: &str, value: u64| {
            if value > 0 { Ok(()) } else { Err(out_of_range(name, "an int above 0", value)) }
        };
        if self.d_sae == 0 {
            return Err(Error::new(Code::OutOfRange, "the option `d_sae` is required")
                .fact("expected", "an int above 0")
                .help("`d_sae` is the number of latents, often 8 to 32 times d_in"));
        }
        self.validate_rule(architecture)?;
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
            // Larger numbers are infinite where they are used.
            if !(value > 0.0 && value <= f64::from(f32::MAX)) {
                return Err(out_of_range(name, "a number above 0", value));
            }
        }
        match self.l1_coefficient {
            Some(l1) if !(l1 >= 0.0 && l1 <= f64::from(f32::MAX)) => {
                Err(out_of_range("l1_coefficient", "a number of at least 0", l1))
            }
            Some(0.0) if self.target_l0.is_some() => {
                Err(out_of_range("l1_coefficient", "a start value above 0 where `target_l0` is given", 0.0))
            }
            _ if !(-100.0..=100.0).contains(&self.init_sd) => {
                Err(out_of_range("init_sd", "a number of standard deviations, from -100 to 100", self.init_sd))
            }
            _ => match self.target_l0 {
                Some(l0) if l0 >= self.d_sae as f64 => Err(out_of_range("target_l0", "a number below `d_sae`", l0)),
                _ => Ok(()),
            },
        }
    }
}

impl TrainOptions {
    /// Checks the options that only some architectures have.
    fn validate_rule(&self, architecture: Architecture) -> Result<()> {
        let name = architecture.name();
        let foreign = |option: &str, help: &str| {
            Err(Error::new(Code::Unsupported, format!("architecture `{name}` has no `{option}`")).help(help))
        };
        match self.k {
            Some(_) if !architecture.takes_k() => return foreign("k", "use `target_l0` to choose the sparsity"),
            None if architecture.takes_k() => {
                return Err(Error::new(Code::OutOfRange, format!("architecture `{name}` needs the option `k`"))
                    .fact("expected", "an int from 1 to `d_sae`")
                    .help("`k` is the number of active latents a token, often 16 to 64"));
            }
            Some(k) if k == 0 || k > self.d_sae => return Err(out_of_range("k", "an int from 1 to `d_sae`", k)),
            _ => {}
        }
        if architecture.takes_k() && self.target_l0.is_some() {
            return foreign("target_l0", "`k` is its L0");
        }
        if architecture.takes_k() && self.l1_coefficient.is_some() {
            return foreign("l1_coefficient", "it is sparse by `k` alone");
        }
        if architecture != Architecture::JumpRelu && self.bandwidth.is_some() {
            return foreign("bandwidth", "it belongs to `jumprelu`");
        }
        if architecture != Architecture::MatryoshkaBatchTopK && self.matryoshka_widths.is_some() {
            return foreign("matryoshka_widths", "they belong to `matryoshka_batch_topk`");
        }
        // What is no number above 0 in f32 either.
        if let Some(bandwidth) = self.bandwidth.filter(|b| !(*b as f32 > 0.0 && (*b as f32).is_finite())) {
            return Err(out_of_range("bandwidth", "a number above 0", bandwidth));
        }
        if let Some(widths) = &self.matryoshka_widths {
            let ascends = widths.windows(2).all(|pair| pair[0] < pair[1]);
            let inside = widths.iter().all(|width| (1..=self.d_sae).contains(width));
            if !ascends || !inside || widths.len() > 64 {
                let expected = "at most 64 ascending ints from 1 to `d_sae`";
                return Err(out_of_range("matryoshka_widths", expected, format!("{widths:?}")));
            }
        }
        self.validate_revival()
    }

    fn validate_revival(&self) -> Result<()> {
        let aux = self.dead()? == Dead::AuxK;
        if !aux && (self.k_aux.is_some() || self.aux_coefficient.is_some()) {
            return Err(Error::new(Code::Unsupported, "`k_aux` and `aux_coefficient` belong to `dead: \"aux_k\"`"));
        }
        match (self.k_aux, self.aux_coefficient) {
            (Some(0), _) => Err(out_of_range("k_aux", "an int above 0", 0)),
            (_, Some(weight)) if !(weight >= 0.0 && weight <= f64::from(f32::MAX)) => {
                Err(out_of_range("aux_coefficient", "a number of at least 0", weight))
            }
            _ => Ok(()),
        }
    }
}

fn out_of_range(name: &str, expected: &str, given: impl std::fmt::Display) -> Error {
    Error::new(Code::OutOfRange, format!("the option `{name}` is out of range"))
        .fact("expected", expected)
        .fact("given", given)
}
