//! Sparse autoencoders: architectures, the training loop, evaluation, formats.
//!
//! `f = activation(w_enc (x - b_dec) + b_enc)`, `x̂ = f w_dec + b_dec`; both dictionaries are `[d_sae, d_in]`, one row per latent.

pub mod activation;
pub mod agreement;
pub mod architecture;
mod calibrate;
pub mod checkpoint;
mod cost;
pub mod engine;
pub mod evaluate;
mod finish;
pub mod format;
pub mod init;
pub mod normalize;
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
pub use normalize::Normalize;
pub use options::{Dead, DecoderNorm, Init, NormalizeActivations, TrainOptions};
pub use train::{train, train_on};
pub use verify::{Difference, difference};

use crate::activations::Origin;
use crate::error::{Code, Error, Result};
use crate::ops::Rows;
use crate::ops::codes::Codes;
use crate::ops::decode::{PRODUCT_ABOVE, decode_product, decode_tokens};
use crate::ops::dense::Padded;
use crate::progress::{Monitor, Silent};

/// Rows that are encoded and decoded at once outside of training, at most.
const CHUNK: usize = 2048;

/// Multiply-adds between two looks for a stop: a fraction of a second.
const WORK: usize = 20_000_000_000;

/// Active latents a token that are too few for a product to be worth its while.
const FEW: f64 = 256.0;

/// Bytes that the codes of rows may take at once, if all latents fire.
const CODES: usize = 1 << 30;

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
    /// What each row goes through before it is encoded, and back after it is decoded: a name of [`Normalize::ALL`]. A scale that is the same
    /// for all rows is folded into the weights instead.
    pub normalize_activations: String,
    /// The resolved options of the training; null where unknown.
    #[serde(default)]
    pub training: serde_json::Value,
    /// What else is known of the activations that it was trained on and of where it comes from, under the names of SAELens's metadata:
    /// see [`crate::activations::origin`]. Facts that saerun does not know are kept as they are.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub metadata: Origin,
    /// Keys of a foreign `cfg.json` that mean nothing to saerun, kept so that they can be written again.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub other: Origin,
}

impl Config {
    /// Rows that are encoded between two looks for a stop.
    fn step(&self) -> usize {
        (WORK / self.d_in.saturating_mul(self.d_sae).max(1)).clamp(64, CHUNK)
    }

    /// Rows whose codes fit into memory at once, however many latents fire.
    fn at_once(&self) -> usize {
        (CODES / self.d_sae.saturating_mul(8).max(1)).max(1)
    }

    /// Everything that is known of the activations it was trained on, by name.
    pub fn origin(&self) -> Origin {
        let mut facts = self.metadata.clone();
        for (name, text) in [("hook_name", &self.hook_name), ("model_name", &self.model_name)] {
            if !text.is_empty() {
                facts.insert(name.into(), text.as_str().into());
            }
        }
        if let Some(n) = self.context_size {
            facts.insert("context_size".into(), n.into());
        }
        facts
    }
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
    /// The coefficient of the step: of L1, and of L0 for jumprelu.
    pub l1_coefficient: f64,
    /// The regularizer's penalty.
    pub penalty: f64,
    /// Latents that have not fired within the window, counted after the step: one step later than what a penalty on dead latents looks at.
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
    /// `shape-mismatch` when they do not fit the config; `unknown-name` for its architecture or normalization; `out-of-range` for a value that is
    /// not finite.
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
        Normalize::named(&config.normalize_activations)?;
        let extra: [(&str, &[f32]); 2] = match &activation {
            Activation::Threshold(threshold) => [("threshold", threshold), ("", &[])],
            Activation::Gated { r_mag, b_mag } => [("r_mag", r_mag), ("b_mag", b_mag)],
            Activation::Relu | Activation::TopK { .. } => [("", &[]); 2],
        };
        let plain: [(&str, &[f32]); 4] = [("w_enc", &w_enc), ("b_enc", &b_enc), ("w_dec", &w_dec), ("b_dec", &b_dec)];
        for (name, values) in plain.into_iter().chain(extra) {
            if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                return Err(Error::new(Code::OutOfRange, format!("`{name}` of the SAE holds {}", values[at]))
                    .fact("index", at)
                    .help("an SAE needs finite numbers: look at where its weights come from"));
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
    encode_with(sae, x, &Silent)
}

/// As [`encode`], looking for a stop.
///
/// # Errors
/// As [`encode`], and `interrupted`.
pub fn encode_with(sae: &Sae, x: &[f32], monitor: &dyn Monitor) -> Result<Codes> {
    check_rows(x.len(), sae.config.d_in, "d_in")?;
    match Normalize::named(&sae.config.normalize_activations)? {
        Normalize::None => encode_rows(sae, x, monitor),
        kind => {
            let mut rows = x.to_vec();
            kind.apply(&mut rows, sae.config.d_in);
            encode_rows(sae, &rows, monitor)
        }
    }
}

/// The codes of rows that are normalized already.
fn encode_rows(sae: &Sae, x: &[f32], monitor: &dyn Monitor) -> Result<Codes> {
    let config = &sae.config;
    let zero;
    let shift = if config.apply_b_dec_to_input {
        &sae.b_dec
    } else {
        zero = vec![0.0; config.d_in];
        &zero
    };
    let mut codes = Codes { d_sae: config.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
    for x in x.chunks(config.step() * config.d_in) {
        monitor.check()?;
        let part = sae.activation.codes(&Padded::centered(x, shift), sae.encoder(), &sae.b_enc);
        let active = codes.active();
        codes.offsets.extend(part.offsets[1..].iter().map(|offset| active + offset));
        codes.latents.extend(part.latents);
        codes.values.extend(part.values);
    }
    Ok(codes)
}

/// The reconstructions of codes, `[tokens, d_in]`. Those of an SAE that normalizes rows are normalized still: what a row's mean and norm
/// were is not in its codes, and [`reconstruct`] has to take it back.
///
/// # Errors
/// `shape-mismatch` when the codes are of another number of latents.
pub fn decode(sae: &Sae, codes: &Codes) -> Result<Vec<f32>> {
    decode_with(sae, codes, &Silent)
}

/// As [`decode`], looking for a stop.
///
/// # Errors
/// As [`decode`], and `interrupted`.
pub fn decode_with(sae: &Sae, codes: &Codes, monitor: &dyn Monitor) -> Result<Vec<f32>> {
    let Config { d_in, d_sae, .. } = sae.config;
    if codes.d_sae != d_sae {
        return Err(Error::new(Code::ShapeMismatch, "these codes are of another SAE")
            .fact("expected", format!("{d_sae} latents"))
            .fact("given", codes.d_sae));
    }
    let mut out = vec![0.0; codes.tokens() * d_in];
    // Of all codes together, so that it does not change within one matrix how they are decoded.
    let a_token = codes.active() as f64 / codes.tokens().max(1) as f64;
    let dense = a_token > FEW.max(PRODUCT_ABOVE * d_sae as f64);
    for (at, out) in out.chunks_mut(CHUNK * d_in).enumerate() {
        monitor.check()?;
        let tokens = at * CHUNK..at * CHUNK + out.len() / d_in;
        if dense {
            decode_product(codes, tokens, sae.decoder(), &sae.b_dec, out);
        } else {
            decode_tokens(codes, tokens, sae.decoder(), &sae.b_dec, out);
        }
    }
    Ok(out)
}

/// The reconstructions of a dense matrix of codes `[n, d_sae]`, of any sign.
///
/// # Errors
/// `shape-mismatch` when `f` is not rows of `d_sae`; `interrupted`.
pub fn decode_dense(sae: &Sae, f: &[f32], monitor: &dyn Monitor) -> Result<Vec<f32>> {
    check_rows(f.len(), sae.config.d_sae, "d_sae")?;
    decode_with(sae, &Codes::from_dense(f, sae.config.d_sae), monitor)
}

/// What the SAE makes of rows `x`, `[n, d_in]`.
///
/// # Errors
/// `shape-mismatch` when `x` is not rows of `d_in`; `interrupted`.
pub fn reconstruct(sae: &Sae, x: &[f32], monitor: &dyn Monitor) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(x.len());
    check_rows(x.len(), sae.config.d_in, "d_in")?;
    for x in x.chunks(sae.config.at_once().min(CHUNK) * sae.config.d_in) {
        out.extend(pass_through(sae, x, monitor)?.1);
    }
    Ok(out)
}

/// The codes of rows, and what the SAE makes of the rows.
pub(crate) fn pass_through(sae: &Sae, x: &[f32], monitor: &dyn Monitor) -> Result<(Codes, Vec<f32>)> {
    let d = sae.config.d_in;
    let kind = Normalize::named(&sae.config.normalize_activations)?;
    if kind == Normalize::None {
        let codes = encode_rows(sae, x, monitor)?;
        let out = decode_with(sae, &codes, monitor)?;
        return Ok((codes, out));
    }
    let mut rows = x.to_vec();
    let how = kind.apply(&mut rows, d);
    let codes = encode_rows(sae, &rows, monitor)?;
    let mut out = decode_with(sae, &codes, monitor)?;
    normalize::undo(&mut out, d, &how);
    Ok((codes, out))
}

fn check_rows(len: usize, width: usize, name: &str) -> Result<()> {
    if len.is_multiple_of(width) {
        return Ok(());
    }
    Err(Error::new(Code::ShapeMismatch, format!("the values are not rows of `{name}`"))
        .fact("expected", format!("a multiple of {width}"))
        .fact("given", len))
}
