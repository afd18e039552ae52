//! `sae::`: training and using sparse autoencoders. Their files are in `sae_files`, measuring them is in `sae_measure`.

use std::sync::Arc;

use candle_core::{Device, Tensor as CandleTensor};
use rhai::plugin::*;
use rhai::{Dynamic, Engine, Map, Module, NativeCallContext, exported_module};

use crate::activations::{Activations as CoreActivations, Origin};
use crate::error::{Code, Error, Result};
use crate::host::bind::{language, sae_files, sae_measure};
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::host::remember::{self, key, resolved};
use crate::host::session::session;
use crate::host::value::{to_script, values};
use crate::memory;
use crate::regularizer::Regularizer;
use crate::report::table::{Table, Value};
use crate::sae::format::{self, Format, sae_lens};
use crate::sae::{self as core, Architecture, HistoryRow, TrainOptions};
use crate::store;

/// A sparse autoencoder of a script, with the digest of its content.
#[derive(Clone)]
pub struct Sae {
    pub(super) core: Arc<core::Sae>,
    pub(super) digest: Arc<str>,
}

impl Sae {
    /// An SAE that came from elsewhere, named by the bytes of its files.
    pub(super) fn new(core: core::Sae) -> Result<Self> {
        let mut hasher = blake3::Hasher::new_derive_key("saerun 1 sae");
        for (name, bytes) in format::to_files(&core, Format::SaeLens)? {
            hasher.update(name.as_bytes());
            hasher.update_rayon(&bytes);
        }
        let digest = hasher.finalize().to_hex();
        Ok(Sae { core: Arc::new(core), digest: digest.as_str().into() })
    }

    /// The decoder, [d_sae, d_in].
    ///
    /// # Errors
    /// `internal` when the tensor cannot be made.
    pub fn decoder_tensor(&self) -> Result<CandleTensor> {
        let config = &self.core.config;
        Ok(CandleTensor::from_slice(&self.core.w_dec, (config.d_sae, config.d_in), &Device::Cpu)?)
    }

    /// The encoder, [d_sae, d_in].
    ///
    /// # Errors
    /// `internal` when the tensor cannot be made.
    pub fn encoder_tensor(&self) -> Result<CandleTensor> {
        let config = &self.core.config;
        Ok(CandleTensor::from_slice(&self.core.w_enc, (config.d_sae, config.d_in), &Device::Cpu)?)
    }

    /// `Sae relu [8192, 512] of prose-1l at blocks.0.hook_mlp_out`
    fn summary(&self) -> String {
        let c = &self.core.config;
        let place =
            if c.hook_name.is_empty() { String::new() } else { format!(" of {} at {}", c.model_name, c.hook_name) };
        format!("Sae {} [{}, {}]{place}", c.architecture, c.d_sae, c.d_in)
    }
}

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<Sae>(engine, "Sae", Sae::summary);
    let mut module: Module = exported_module!(sae);
    module.combine(sae_files::module());
    module.combine(sae_measure::module());
    engine.register_static_module("sae", module.into());
}

/// Version of what is remembered: raised when the same arguments would give another result.
fn train_version(options: &TrainOptions) -> Result<u32> {
    Ok(match Architecture::named(&options.architecture)? {
        // Thresholds from the finished weights.
        Architecture::BatchTopK | Architecture::MatryoshkaBatchTopK | Architecture::JumpRelu => 3,
        _ => 2,
    })
}

/// What a SAELens folder cannot hold.
const REST: &str = "saerun.json";

fn from_entry(entry: &store::Entry) -> Result<core::Sae> {
    let damaged = |why: String| Error::new(Code::DamagedFile, "a cached SAE is damaged").fact("reason", why);
    let read = |name: &str| std::fs::read(entry.verified(name)?).map_err(|e| damaged(e.to_string()));
    let sae = sae_lens::from_files(&read("cfg.json")?, &read("sae_weights.safetensors")?, None)?;
    let (config, history): (core::Config, Vec<HistoryRow>) =
        serde_json::from_slice(&read(REST)?).map_err(|e| damaged(e.to_string()))?;
    Ok(core::Sae { config, history, ..sae })
}

/// Trains, or takes what the same call trained before.
pub(super) fn train_sae(
    ctx: &NativeCallContext,
    a: &CoreActivations,
    options: &TrainOptions,
    r: &Regularizer,
) -> Result<Sae> {
    let session = session(ctx);
    options.validate()?;
    let mut all = resolved(options, &["checkpoint_every"]);
    all["regularizer"] = r.describe();
    // No part of what the CPU computes.
    if let Some((name, _)) = session.device() {
        all["device"] = name.to_string().into();
    }
    let inputs = [("activations", a.digest()?)];
    let entry =
        session.remember(key("sae::train", train_version(options)?, all, &inputs), &mut |folder, checkpoint| {
            let device = session.device().map(|(_, device)| device);
            let mut sae = core::train_on(device, a, options, r, checkpoint, session.monitor())?;
            // What is known of the activations follows from the call, and would change the bytes that name the SAE.
            sae.config.metadata = Origin::new();
            let rest = remember::to_value(&(&sae.config, &sae.history))?.to_string();
            for (name, bytes) in sae_lens::to_cache(&sae)? {
                store::write_atomic(&folder.join(name), &bytes)?;
            }
            store::write_atomic(&folder.join(REST), rest.as_bytes())
        })?;
    let mut trained = from_entry(&entry)?;
    trained.config.metadata = a.header().origin.clone();
    if let Some(message) = core::outcome::missed(&trained.config) {
        session.monitor().warn(&message);
    }
    Ok(Sae { core: Arc::new(trained), digest: entry.digest().into() })
}

/// The values of a tensor whose rows are `width` long.
fn rows_of(t: &CandleTensor, width: usize) -> Result<Vec<f32>> {
    match t.dims() {
        [_, d] if *d == width => values(t),
        dims => Err(Error::new(Code::ShapeMismatch, "the rows have another length than the SAE's")
            .fact("expected", format!("[tokens, {width}]"))
            .fact("given", format!("{dims:?}"))),
    }
}

fn to_tensor(rows: Vec<f32>, width: usize) -> Result<CandleTensor> {
    let n = rows.len() / width.max(1);
    Ok(CandleTensor::from_vec(rows, (n, width), &Device::Cpu)?)
}

/// The functions of the namespace `sae`.
#[export_module]
pub mod sae {
    /// The script type: a sparse autoencoder.
    pub type Sae = crate::host::bind::sae::Sae;
    /// The script type: rows of a target model at a hook.
    pub type Activations = crate::activations::Activations;
    /// The script type: an f32 tensor.
    pub type Tensor = candle_core::Tensor;

    /// Trains an SAE on activations. Remembered by content and resumable bit by bit.
    ///
    /// The loss of a token is the squared error summed over coordinates, plus the sparsity term, plus the regularizer's penalty. With `pre` the
    /// encoder's pre-activations, the architectures are: `"relu"` (L1 on `relu(pre)`, times decoder norms where those are free), `"topk"` (the `k`
    /// largest of each token), `"batch_topk"` (the `k` a token largest of each batch; afterwards one threshold, at which a sample of the rows has L0
    /// `k`), `"jumprelu"` (`pre` above a learned threshold, L0 by straight-through estimators), `"gated"` (L1 on the gate and the gate's own reconstruction), and `"matryoshka_batch_topk"`
    /// (the mean error over nested dictionaries). Each goes through the same sparse engine.
    ///
    /// A training that misses its `k` or `target_l0` by a tenth warns, with what helps, and `s.config.training.missed_l0` has the numbers.
    ///
    /// * `activations`: rows [tokens, d_in], read as stored unless `shuffle` is true.
    /// * `options`: `d_sae` (required): latents; `architecture` `"relu"`; `k` (required by the top-k family): active latents a token;
    ///   `l1_coefficient`: weight of the sparsity term, which is L1, and L0 for jumprelu (by default a tenth of the root of the total variance; for
    ///   jumprelu the mean squared starting threshold); `target_l0`: steers that weight so that L0 lands there, and jumprelu's thresholds by a common
    ///   factor, which a sample of the rows sets at the end; `regularizer` `reg::none()`; `tokens`: all, once, by default;
    ///   `batch_size` 4096; `lr` 3e-4; `lr_warmup` 0.02, `lr_decay` 0.2, `l1_warmup` 0.0: shares of the run; `beta1` 0.9; `beta2` 0.999;
    ///   `decoder_norm` `"unit"` or `"free"`; `init` `"sparse"` (thresholds `init_sd` 2.3 standard deviations above each latent's mean; choose it so
    ///   that the start is denser than the target) or `"tied"` (zero biases); `bandwidth`: width of jumprelu's estimator (a tenth of the mean starting
    ///   threshold); `matryoshka_widths`: latents of the nested dictionaries (1, 3, 7 and 15 thirty-seconds of `d_sae`);
    ///   `normalize_activations` `"none"` or `"expected_average_only_in"`; `dead` `"none"`, `"resample"`, `"aux_k"` (with `k_aux` half of d_in and
    ///   `aux_coefficient` 1/32) or `"ghost"`; `dead_window` tokens (a tenth of the run); `resample_every` 0.15 of the run; `seed` 0: decides the
    ///   starting directions, the samples that the start and the final threshold are measured on, what resampling and `reg::ortsae` draw, and with
    ///   `shuffle` the order of rows, which without it is the store's for every seed; `shuffle` false: true reads each pass in a new order (blocks of 64
    ///   rows are permuted, then the rows of each 65,536; of streamed activations, the rows of each section); `checkpoint_every` 500 steps;
    ///   `log_every` 50 steps.
    ///
    /// Returns a Sae.
    /// Errors: `out-of-range`, `too-large` before the work starts, `diverged`.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([512, 8], 0));
    /// let s = sae::train(x, #{ d_sae: 16, batch_size: 64, regularizer: reg::three_term(#{ coefficient: 0.1 }) });
    /// assert_eq(s.decoder.shape, [16, 8]);
    /// let t = sae::train(x, #{ d_sae: 16, batch_size: 64, architecture: "topk", k: 2, dead: "aux_k" });
    /// assert_eq(t.evaluate(x).l0, 2.0);
    /// let b = sae::train(x, #{ d_sae: 16, batch_size: 64, architecture: "batch_topk", k: 2, shuffle: true, seed: 1 });
    /// assert((b.evaluate(x).l0 - 2.0).abs() < 0.01);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn train(ctx: NativeCallContext, activations: Activations, options: Map) -> Raised<Sae> {
        let mut options = Options::new("sae::train", options);
        let regularizer: Option<Regularizer> = options.take_native("regularizer").at(&ctx)?;
        let options: TrainOptions = options.read().at(&ctx)?;
        train_sae(&ctx, &activations, &options, &regularizer.unwrap_or_else(Regularizer::none)).at(&ctx)
    }

    /// The dictionary: one row per latent.
    ///
    /// * `s`: the SAE.
    ///
    /// Returns a Tensor [d_sae, d_in].
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// assert((s.decoder.norm_rows() - 1.0).abs().max().item() < 1e-5);
    /// ```
    #[rhai_fn(global, get = "decoder", return_raw, pure)]
    pub fn decoder(ctx: NativeCallContext, s: &mut Sae) -> Raised<Tensor> {
        s.decoder_tensor().at(&ctx)
    }

    /// The encoder's directions: one row per latent.
    ///
    /// * `s`: the SAE.
    ///
    /// Returns a Tensor [d_sae, d_in].
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// assert_eq(s.encoder.shape, [8, 4]);
    /// ```
    #[rhai_fn(global, get = "encoder", return_raw, pure)]
    pub fn encoder(ctx: NativeCallContext, s: &mut Sae) -> Raised<Tensor> {
        s.encoder_tensor().at(&ctx)
    }

    /// What the SAE is, and the resolved options of its training.
    ///
    /// * `s`: the SAE.
    ///
    /// Returns a map: `architecture`, `d_in`, `d_sae`, `hook_name`, `model_name`, `context_size`, `decoder_norm`, `training` and others. Where the
    /// training missed its L0, `training.missed_l0` is a map: `l0` (of the finished weights), `target`, `steps`, `start` (L0 of the first step); else `()`.
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// assert_eq(s.config.training.batch_size, 32);
    /// ```
    #[rhai_fn(global, get = "config", return_raw, pure)]
    pub fn config(ctx: NativeCallContext, s: &mut Sae) -> Raised<Dynamic> {
        to_script(&core::outcome::complete(&s.core.config)).at(&ctx)
    }

    /// How the training went; empty for a loaded SAE.
    ///
    /// * `s`: the SAE.
    ///
    /// Returns a Table: `step`, `tokens`, `loss`, `mse`, `l0`, `l1`, `l1_coefficient` (of jumprelu the weight of L0), `penalty`, `dead` (latents that
    /// have not fired within `dead_window`, counted after the step; `rows: "dead"` of a penalty is decided before it, one step earlier), `lr`.
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32, log_every: 1 });
    /// assert_eq(s.history.column("step"), [1, 2]);
    /// ```
    #[rhai_fn(global, get = "history", return_raw, pure)]
    pub fn history(ctx: NativeCallContext, s: &mut Sae) -> Raised<Table> {
        let names = ["step", "tokens", "loss", "mse", "l0", "l1", "l1_coefficient", "penalty", "dead", "lr"];
        let row = |h: &HistoryRow| {
            let mut row = vec![Value::Int(h.step as i64), Value::Int(h.tokens as i64)];
            row.extend([h.loss, h.mse, h.l0, h.l1, h.l1_coefficient, h.penalty].map(Value::Float));
            row.extend([Value::Int(h.dead as i64), Value::Float(h.lr)]);
            row
        };
        Table::from_rows(names.map(String::from).to_vec(), s.core.history.iter().map(row).collect()).at(&ctx)
    }

    /// The activations of all latents.
    ///
    /// * `s`: the SAE.
    /// * `x`: a Tensor [tokens, d_in].
    ///
    /// Returns a Tensor [tokens, d_sae].
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// assert_eq(s.encode(tensor::randn([3, 4], 1)).shape, [3, 8]);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn encode(ctx: NativeCallContext, s: &mut Sae, x: Tensor) -> Raised<Tensor> {
        let rows = rows_of(&x, s.core.config.d_in).at(&ctx)?;
        let shape = [rows.len() / s.core.config.d_in, s.core.config.d_sae];
        memory::check_shape("the codes", &shape, "encode fewer rows at a time").at(&ctx)?;
        let codes = core::encode_with(&s.core, &rows, session(&ctx).monitor()).at(&ctx)?;
        to_tensor(codes.to_dense(), s.core.config.d_sae).at(&ctx)
    }

    /// What latent activations stand for. Of an SAE that normalizes each row (`s.config.normalize_activations`), the reconstruction is normalized
    /// still: `s.reconstruct` takes a row back to its own mean and norm.
    ///
    /// * `s`: the SAE.
    /// * `f`: a Tensor [tokens, d_sae].
    ///
    /// Returns a Tensor [tokens, d_in].
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// let x = tensor::randn([3, 4], 1);
    /// assert((s.decode(s.encode(x)) - s.reconstruct(x)).abs().max().item() < 1e-5);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn decode(ctx: NativeCallContext, s: &mut Sae, f: Tensor) -> Raised<Tensor> {
        let (f, session) = (rows_of(&f, s.core.config.d_sae).at(&ctx)?, session(&ctx));
        let rows = core::decode_dense(&s.core, &f, session.monitor()).at(&ctx)?;
        to_tensor(rows, s.core.config.d_in).at(&ctx)
    }

    /// Encodes and decodes.
    ///
    /// * `s`: the SAE.
    /// * `x`: a Tensor [tokens, d_in].
    ///
    /// Returns a Tensor [tokens, d_in].
    /// Errors: `shape-mismatch`.
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// assert_eq(s.reconstruct(tensor::randn([3, 4], 1)).shape, [3, 4]);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn reconstruct(ctx: NativeCallContext, s: &mut Sae, x: Tensor) -> Raised<Tensor> {
        let (x, session) = (rows_of(&x, s.core.config.d_in).at(&ctx)?, session(&ctx));
        let rows = core::reconstruct(&s.core, &x, session.monitor()).at(&ctx)?;
        to_tensor(rows, s.core.config.d_in).at(&ctx)
    }
}
