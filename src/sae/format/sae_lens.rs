//! The SAELens 6 inference folder: `cfg.json` and `sae_weights.safetensors` (`W_enc` [d_in, d_sae], `b_enc`, `W_dec` [d_sae, d_in], `b_dec`).
//!
//! | activation | architecture | besides |
//! |---|---|---|
//! | relu | `standard` | |
//! | top-k | `topk` | `k`, `rescale_acts_by_decoder_norm` in `cfg.json` |
//! | threshold | `jumprelu` | `threshold` [d_sae]; also what batch-wise top-k is saved as, there and here |
//! | gated | `gated` | `b_gate`, `b_mag`, `r_mag` [d_sae] in place of `b_enc` |
//!
//! `cfg.json` is written with the nested metadata of version 6 and, for older readers, the flat keys beside it. A third
//! file, `saerun.json`, keeps what SAELens has no place for (the options and history of the training) and may be missing.

use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::sae::{Activation, Architecture, Config, DecoderNorm, HistoryRow, Sae};

/// The configuration's file.
pub const CONFIG: &str = "cfg.json";
/// The weights' file.
pub const WEIGHTS: &str = "sae_weights.safetensors";
/// What only saerun reads.
pub const EXTRA: &str = "saerun.json";

/// The version of the format that is written: readers take metadata from its nested place from 6.0 on.
const VERSION: &str = "6.54.12";

/// The folder's files by name.
///
/// # Errors
/// `internal` when a library fails to serialize.
pub fn to_files(sae: &Sae) -> Result<Vec<(String, Vec<u8>)>> {
    let config = &sae.config;
    let mut cfg = json!({
        "architecture": layout(&sae.activation),
        "d_in": config.d_in,
        "d_sae": config.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
        "normalize_activations": config.normalize_activations,
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": VERSION,
            "sae_lens_training_version": VERSION,
            "model_name": config.model_name,
            "model_class_name": "HookedTransformer",
            "hook_name": config.hook_name,
            "hook_head_index": null,
            "context_size": config.context_size,
            "prepend_bos": true,
            "model_from_pretrained_kwargs": {},
        },
        "hook_name": config.hook_name,
        "model_name": config.model_name,
        "activation_fn_str": "relu",
        "activation_fn_kwargs": {},
    });
    if let Activation::TopK { k } = sae.activation {
        cfg["k"] = k.into();
        cfg["rescale_acts_by_decoder_norm"] = false.into();
        cfg["activation_fn_str"] = "topk".into();
        cfg["activation_fn_kwargs"]["k"] = k.into();
    }
    let extra = json!({
        "architecture": config.architecture,
        "decoder_norm": config.decoder_norm,
        "training": config.training,
        "history": sae.history,
    });
    let pretty = |value: &Value| {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| internal(&error))?;
        bytes.push(b'\n');
        Ok::<_, Error>(bytes)
    };
    let (d_in, d_sae) = (config.d_in, config.d_sae);
    let bias = if matches!(sae.activation, Activation::Gated { .. }) { "b_gate" } else { "b_enc" };
    let mut tensors = vec![
        ("W_enc", vec![d_in, d_sae], bytes_of(&transpose(&sae.w_enc, d_sae, d_in))),
        (bias, vec![d_sae], bytes_of(&sae.b_enc)),
        ("W_dec", vec![d_sae, d_in], bytes_of(&sae.w_dec)),
        ("b_dec", vec![d_in], bytes_of(&sae.b_dec)),
    ];
    match &sae.activation {
        Activation::Threshold(threshold) => tensors.push(("threshold", vec![d_sae], bytes_of(threshold))),
        Activation::Gated { r_mag, b_mag } => {
            tensors.push(("r_mag", vec![d_sae], bytes_of(r_mag)));
            tensors.push(("b_mag", vec![d_sae], bytes_of(b_mag)));
        }
        Activation::Relu | Activation::TopK { .. } => {}
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| internal(&error))?;
    let weights = safetensors::serialize(views, None).map_err(|error| internal(&error))?;
    Ok(vec![(CONFIG.to_string(), pretty(&cfg)?), (WEIGHTS.to_string(), weights), (EXTRA.to_string(), pretty(&extra)?)])
}

/// Reads a folder.
///
/// # Errors
/// `missing-file`; `damaged-file` when a file is not what it claims to be; `unsupported` for an architecture or normalization that this version
/// does not compute.
pub fn from_dir(dir: &Path) -> Result<Sae> {
    let extra = if dir.join(EXTRA).exists() { Some(read(dir, EXTRA)?) } else { None };
    from_files(&read(dir, CONFIG)?, &read(dir, WEIGHTS)?, extra.as_deref())
}

/// Reads the bytes of a folder's files.
///
/// # Errors
/// As [`from_dir`].
pub fn from_files(cfg: &[u8], weights: &[u8], extra: Option<&[u8]>) -> Result<Sae> {
    let cfg = parse(CONFIG, cfg)?;
    let extra = extra.map(|bytes| parse(EXTRA, bytes)).transpose()?.unwrap_or(Value::Null);
    let history: Vec<HistoryRow> = field(&extra, "history")?.unwrap_or_default();
    let config = config(&cfg, &extra)?;
    let (d_in, d_sae) = (config.d_in, config.d_sae);

    let tensors = SafeTensors::deserialize(weights).map_err(|error| damaged(WEIGHTS, &error.to_string()))?;
    let architecture = field::<String>(&cfg, "architecture")?.unwrap_or_else(|| "standard".to_string());
    let (bias, besides): (_, &[&str]) = match architecture.as_str() {
        "gated" => ("b_gate", &["r_mag", "b_mag"]),
        "jumprelu" => ("b_enc", &["threshold"]),
        _ => ("b_enc", &[]),
    };
    let known = [&["W_enc", bias, "W_dec", "b_dec"], besides].concat();
    let mut names = tensors.names();
    names.sort_unstable();
    if let Some(name) = names.iter().find(|name| !known.contains(name) && **name != "scaling_factor") {
        return Err(Error::new(Code::Unsupported, format!("unexpected tensor `{name}` in {WEIGHTS}"))
            .fact("expected", known.join(", ")));
    }
    if names.contains(&"scaling_factor") && values(&tensors, "scaling_factor", &[d_sae])?.iter().any(|x| *x != 1.0) {
        return Err(Error::new(Code::Unsupported, "a `scaling_factor` other than 1"));
    }
    let latents = |name: &str| values(&tensors, name, &[d_sae]);
    let mut w_enc = transpose(&values(&tensors, "W_enc", &[d_in, d_sae])?, d_in, d_sae);
    let mut w_dec = values(&tensors, "W_dec", &[d_sae, d_in])?;
    let (mut b_enc, b_dec) = (latents(bias)?, values(&tensors, "b_dec", &[d_in])?);
    let activation = match architecture.as_str() {
        "topk" => Activation::TopK { k: top_k(&cfg)? },
        "jumprelu" => Activation::Threshold(latents("threshold")?),
        "gated" => Activation::Gated { r_mag: latents("r_mag")?, b_mag: latents("b_mag")? },
        _ => Activation::Relu,
    };
    if field(&cfg, "rescale_acts_by_decoder_norm")?.unwrap_or(false) {
        unit_decoder(&mut w_enc, &mut b_enc, &mut w_dec, d_in);
    }
    let mut sae = Sae::new(config, activation, w_enc, b_enc, w_dec, b_dec)?;
    sae.history = history;
    Ok(sae)
}

/// What SAELens calls an activation.
fn layout(activation: &Activation) -> &'static str {
    match activation {
        Activation::Relu => "standard",
        Activation::TopK { .. } => "topk",
        Activation::Threshold(_) => "jumprelu",
        Activation::Gated { .. } => "gated",
    }
}

/// The `k` of a top-k SAE: at the top since version 6, in `activation_fn_kwargs` before.
fn top_k(cfg: &Value) -> Result<usize> {
    let k = match field::<usize>(cfg, "k")? {
        Some(k) => Some(k),
        None => cfg.get("activation_fn_kwargs").map_or(Ok(None), |kwargs| field(kwargs, "k"))?,
    };
    k.ok_or_else(|| damaged(CONFIG, "a top-k SAE needs `k`"))
}

/// Makes decoder rows unit without changing what the SAE computes: pre-activations take the norm instead. So a choice of the largest
/// pre-activations "rescaled by decoder norms" becomes a plain one.
fn unit_decoder(w_enc: &mut [f32], b_enc: &mut [f32], w_dec: &mut [f32], d: usize) {
    for ((w_enc, b_enc), w_dec) in w_enc.chunks_exact_mut(d).zip(b_enc).zip(w_dec.chunks_exact_mut(d)) {
        let norm = w_dec.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
        if norm > 0.0 && norm.is_finite() {
            w_enc.iter_mut().for_each(|x| *x *= norm);
            *b_enc *= norm;
            w_dec.iter_mut().for_each(|x| *x /= norm);
        }
    }
}

/// The config from `cfg.json`, nested metadata before flat keys.
fn config(cfg: &Value, extra: &Value) -> Result<Config> {
    let named = |name: &str| {
        field::<String>(&cfg["metadata"], name).and_then(|value| match value {
            Some(value) => Ok(Some(value)),
            None => field::<String>(cfg, name),
        })
    };
    let size = |name: &str| match field::<usize>(cfg, name)? {
        Some(size) if size > 0 => Ok(size),
        _ => Err(damaged(CONFIG, &format!("`{name}` is not an int above 0"))),
    };
    let supported = |name: &str, default: &str, known: &[&str]| {
        let value = field::<String>(cfg, name)?.unwrap_or_else(|| default.to_string());
        if known.contains(&value.as_str()) {
            return Ok(());
        }
        Err(Error::new(Code::Unsupported, format!("`{name}: \"{value}\"` in {CONFIG} is not available"))
            .fact("available", known.join(", ")))
    };
    supported("architecture", "standard", &["standard", "topk", "jumprelu", "gated"])?;
    supported("normalize_activations", "none", &["none"])?;
    supported("reshape_activations", "none", &["none"])?;
    supported("activation_fn_str", "relu", &["relu", "topk"])?;
    let layout = field::<String>(cfg, "architecture")?.unwrap_or_default();
    let ours = field::<String>(extra, "architecture")?.filter(|name| Architecture::named(name).is_ok());
    let architecture = ours.unwrap_or_else(|| {
        let same = Architecture::ALL.into_iter().find(|architecture| architecture.name() == layout);
        same.unwrap_or(Architecture::Relu).name().to_string()
    });
    let context_size = match field::<usize>(&cfg["metadata"], "context_size")? {
        Some(size) => Some(size),
        None => field::<usize>(cfg, "context_size")?,
    };
    Ok(Config {
        architecture,
        d_in: size("d_in")?,
        d_sae: size("d_sae")?,
        hook_name: named("hook_name")?.unwrap_or_default(),
        model_name: named("model_name")?.unwrap_or_default(),
        context_size,
        decoder_norm: field::<DecoderNorm>(extra, "decoder_norm")?.unwrap_or(DecoderNorm::Free),
        apply_b_dec_to_input: field(cfg, "apply_b_dec_to_input")?.unwrap_or(true),
        normalize_activations: "none".to_string(),
        training: extra.get("training").cloned().unwrap_or_default(),
    })
}

/// A key's value; a missing or null one is `None`, one of another type an error.
fn field<T: serde::de::DeserializeOwned>(object: &Value, name: &str) -> Result<Option<T>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|error| damaged(CONFIG, &format!("`{name}`: {error}"))),
    }
}

/// A tensor of this shape as f32.
fn values(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let tensor = tensors.tensor(name).map_err(|_| damaged(WEIGHTS, &format!("there is no tensor `{name}`")))?;
    if tensor.shape() != shape {
        return Err(Error::new(Code::ShapeMismatch, format!("`{name}` in {WEIGHTS} does not fit {CONFIG}"))
            .fact("expected", format!("{shape:?}"))
            .fact("given", format!("{:?}", tensor.shape())));
    }
    let data = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect(),
        Dtype::F64 => data.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x) as f32).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|x| half::f16::from_le_bytes(*x).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|x| half::bf16::from_le_bytes(*x).to_f32()).collect(),
        other => {
            return Err(Error::new(Code::Unsupported, format!("`{name}` in {WEIGHTS} has type {other:?}"))
                .fact("available", "F64, F32, F16, BF16"));
        }
    })
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let path = dir.join(name);
    std::fs::read(&path).map_err(|error| {
        Error::new(Code::MissingFile, format!("{name} of the SAE cannot be read"))
            .fact("path", path.display())
            .fact("reason", error)
            .help("a SAELens folder holds cfg.json and sae_weights.safetensors")
    })
}

fn parse(name: &str, bytes: &[u8]) -> Result<Value> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| damaged(name, &error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(damaged(name, "it is not a JSON object")) }
}

fn damaged(name: &str, reason: &str) -> Error {
    Error::new(Code::DamagedFile, format!("{name} of the SAE is damaged")).fact("reason", reason)
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("the SAE does not serialize: {error}"))
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The transpose of a row-major `[n, m]` matrix.
fn transpose(values: &[f32], n: usize, m: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for i in 0..n {
        for j in 0..m {
            out[j * n + i] = values[i * m + j];
        }
    }
    out
}
