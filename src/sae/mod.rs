//! Sparse autoencoders: architectures, the training loop, evaluation, formats.
//!
//! `f = activation(w_enc (x - b_dec) + b_enc)`, `x̂ = f w_dec + b_dec`; both dictionaries are `[d_sae, d_in]`, one row per latent.

pub mod activation;
pub mod architecture;
mod calibrate;
pub mod checkpoint;
mod cost;
pub mod engine;
pub mod evaluate;
mod finish;
pub mod format;
pub mod init;
pub mod on_device;
pub mod options;
mod order;
pub mod outcome;
mod pass;
mod penalty;
mod resample;
pub mod revive;
pub mod schedule;
mod totals;
mod train;
mod verify;
pub mod weights;

use serde::{Deserialize, Serialize};

pub use activation::Activation;
pub use architecture::Architecture;
pub use evaluate::{EvaluateOptions, Evaluation, ModelEvaluation, evaluate, evaluate_in_model, firing_rates};
pub use options::{Dead, DecoderNorm, Init, NormalizeActivations, TrainOptions};
pub use train::{train, train_on};
pub use verify::{Difference, difference};

use crate::error::{Code, Error, Result};
use crate::ops::Rows;
use crate::ops::codes::Codes;
use crate::ops::decode::decode as decode_codes;
use crate::ops::dense::Padded;

/// Rows that are encoded at once outside of training.
const CHUNK: usize = 2048;

/// What an SAE is, beside its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// A name of [`Architecture::ALL`].
    pub architecture: String,
    /// Width of the activations.
    pub d_in: usize,
    /// How many latents.
    pub d_sae: usize,
    /// Where in the target model the activations are read, by its TransformerLens name.
    pub hook_name: String,
    /// The target model.
    pub model_name: String,
    /// Tokens a context, where known.
    pub context_size: Option<usize>,
    /// Whether decoder rows were held at norm 1.
    pub decoder_norm: DecoderNorm,
    /// Whether the encoder reads `x - b_dec` rather than `x`.
    pub apply_b_dec_to_input: bool,
    /// Scaling that the activations need before they are read: always `"none"`, as scales are folded into the weights.
    pub normalize_activations: String,
    /// The resolved options of the training; null where unknown.
    #[serde(default)]
    pub training: serde_json::Value,
}

/// A row of the training history; means over the batch of that step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Steps done.
    pub step: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// mse + l1_coefficient * l1 + penalty
    pub loss: f64,
    /// Squared error, summed over coordinates.
    pub mse: f64,
    /// Active latents a token.
    pub l0: f64,
    /// Sum of activations (weighted by decoder norms where those are free).
    pub l1: f64,
    /// The L1 coefficient of the step.
    pub l1_coefficient: f64,
    /// The regularizer's penalty.
    pub penalty: f64,
    /// Latents that have not fired within the window.
    pub dead: u64,
    /// The learning rate of the step.
    pub lr: f64,
}

/// A sparse autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Sae {
    /// What it is.
    pub config: Config,
    /// From pre-activations to codes.
    pub activation: Activation,
    /// The encoder, `[d_sae, d_in]`.
    pub w_enc: Vec<f32>,
    /// The encoder's bias, `[d_sae]`.
    pub b_enc: Vec<f32>,
    /// The decoder, `[d_sae, d_in]`.
    pub w_dec: Vec<f32>,
    /// The decoder's bias, `[d_in]`.
    pub b_dec: Vec<f32>,
    /// How the training went; empty where unknown.
    pub history: Vec<HistoryRow>,
}

impl Sae {
    /// Puts weights together.
    ///
    /// # Errors
    /// `shape-mismatch` when they do not fit the config; `unknown-name` for its architecture.
    pub fn new(
        config: Config,
        activation: Activation,
        w_enc: Vec<f32>,
        b_enc: Vec<f32>,
        w_dec: Vec<f32>,
        b_dec: Vec<f32>,
    ) -> Result<Sae> {
        Architecture::named(&config.architecture)?;
        let (d_in, d_sae) = (config.d_in, config.d_sae);
        if d_in == 0 || d_sae == 0 {
            return Err(Error::new(Code::ShapeMismatch, "an SAE needs at least one latent and one input"));
        }
        let size = d_in.saturating_mul(d_sae);
        let [first, second] = match &activation {
            Activation::Threshold(threshold) => [("threshold", threshold.len()), ("threshold", d_sae)],
            Activation::Gated { r_mag, b_mag } => [("r_mag", r_mag.len()), ("b_mag", b_mag.len())],
            Activation::Relu | Activation::TopK { .. } => [("", d_sae); 2],
        };
        let sizes = [
            (first.0, first.1, d_sae),
            (second.0, second.1, d_sae),
            ("w_enc", w_enc.len(), size),
            ("b_enc", b_enc.len(), d_sae),
            ("w_dec", w_dec.len(), size),
            ("b_dec", b_dec.len(), d_in),
        ];
        for (name, given, expected) in sizes {
            if given != expected {
                return Err(Error::new(Code::ShapeMismatch, format!("`{name}` does not fit the SAE's config"))
                    .fact("expected", format!("{expected} values"))
                    .fact("given", given));
            }
        }
        Ok(Sae { config, activation, w_enc, b_enc, w_dec, b_dec, history: Vec::new() })
    }

    /// The encoder by rows.
    pub fn encoder(&self) -> Rows<'_> {
        Rows { data: &self.w_enc, n: self.config.d_sae, d: self.config.d_in }
    }

    /// The decoder by rows.
    pub fn decoder(&self) -> Rows<'_> {
        Rows { data: &self.w_dec, n: self.config.d_sae, d: self.config.d_in }
    }
}

/// The codes of rows `x`, `[n, d_in]`.
///
/// # Errors
/// `shape-mismatch` when `x` is not rows of `d_in`.
pub fn encode(sae: &Sae, x: &[f32]) -> Result<Codes> {
    let config = &sae.config;
    check_rows(x.len(), config.d_in, "d_in")?;
    let zero;
    let shift = if config.apply_b_dec_to_input {
        &sae.b_dec
    } else {
        zero = vec![0.0; config.d_in];
        &zero
    };
    let mut codes = Codes { d_sae: config.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
    for x in x.chunks(CHUNK * config.d_in) {
        let part = sae.activation.codes(&Padded::centered(x, shift), sae.encoder(), &sae.b_enc);
        let active = codes.active();
        codes.offsets.extend(part.offsets[1..].iter().map(|offset| active + offset));
        codes.latents.extend(part.latents);
        codes.values.extend(part.values);
    }
    Ok(codes)
}

/// The reconstructions of sparse codes, `[tokens, d_in]`.
///
/// # Errors
/// `shape-mismatch` when the codes are of another number of latents.
pub fn decode(sae: &Sae, codes: &Codes) -> Result<Vec<f32>> {
    if codes.d_sae != sae.config.d_sae {
        return Err(Error::new(Code::ShapeMismatch, "these codes are of another SAE")
            .fact("expected", format!("{} latents", sae.config.d_sae))
            .fact("given", codes.d_sae));
    }
    let mut out = vec![0.0; codes.tokens() * sae.config.d_in];
    decode_codes(codes, sae.decoder(), &sae.b_dec, &mut out);
    Ok(out)
}

/// The reconstructions of a dense matrix of codes `[n, d_sae]`, of any sign.
///
/// # Errors
/// `shape-mismatch` when `f` is not rows of `d_sae`.
pub fn decode_dense(sae: &Sae, f: &[f32]) -> Result<Vec<f32>> {
    check_rows(f.len(), sae.config.d_sae, "d_sae")?;
    decode(sae, &Codes::from_dense(f, sae.config.d_sae))
}

/// What the SAE makes of rows `x`, `[n, d_in]`.
///
/// # Errors
/// `shape-mismatch` when `x` is not rows of `d_in`.
pub fn reconstruct(sae: &Sae, x: &[f32]) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(x.len());
    check_rows(x.len(), sae.config.d_in, "d_in")?;
    for x in x.chunks(CHUNK * sae.config.d_in) {
        out.extend(decode(sae, &encode(sae, x)?)?);
    }
    Ok(out)
}

fn check_rows(len: usize, width: usize, name: &str) -> Result<()> {
    if len.is_multiple_of(width) {
        return Ok(());
    }
    Err(Error::new(Code::ShapeMismatch, format!("the values are not rows of `{name}`"))
        .fact("expected", format!("a multiple of {width}"))
        .fact("given", len))
}
