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
//! Read are also the folders of versions 3 to 5, whose keys are flat and whose top-k SAEs are `standard` with another activation.

use std::path::Path;

use serde_json::json;

use super::cfg::{Cfg, read};
use super::stored::{Tensors, transpose};
use super::written::{bytes_of, pretty, safetensors};
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
    Ok(vec![
        (CONFIG.to_string(), pretty(&cfg)?),
        (WEIGHTS.to_string(), safetensors(&tensors)?),
        (EXTRA.to_string(), pretty(&extra)?),
    ])
}

/// Reads a folder.
///
/// # Errors
/// `missing-file`; `damaged-file` when a file is not what it claims to be; `unsupported` for an architecture or normalization that this version
/// does not compute.
pub fn from_dir(dir: &Path) -> Result<Sae> {
    let read = |name: &str| read(&dir.join(name), "SAELens: cfg.json and sae_weights.safetensors");
    let extra = if dir.join(EXTRA).exists() { Some(read(EXTRA)?) } else { None };
    from_files(&read(CONFIG)?, &read(WEIGHTS)?, extra.as_deref())
}

/// Reads the bytes of a folder's files.
///
/// # Errors
/// As [`from_dir`].
pub fn from_files(cfg: &[u8], weights: &[u8], extra: Option<&[u8]>) -> Result<Sae> {
    let cfg = Cfg::parse(CONFIG, cfg)?;
    let extra = extra.map_or(Ok(Cfg::none(EXTRA)), |bytes| Cfg::parse(EXTRA, bytes))?;
    let history: Vec<HistoryRow> = extra.get("history")?.unwrap_or_default();
    let layout = layout_of(&cfg)?;
    let config = config(&cfg, &extra, &layout)?;
    let (d_in, d_sae) = (config.d_in, config.d_sae);

    let tensors = Tensors::of_safetensors(WEIGHTS, weights)?;
    let (bias, besides): (_, &[&str]) = match layout.as_str() {
        "gated" => ("b_gate", &["r_mag", "b_mag"]),
        "jumprelu" => ("b_enc", &["threshold"]),
        _ => ("b_enc", &[]),
    };
    tensors.only(&[&["W_enc", bias, "W_dec", "b_dec", "scaling_factor"], besides].concat())?;
    let latents = |name: &str| tensors.values(name, &[d_sae]);
    if tensors.has("scaling_factor") && latents("scaling_factor")?.iter().any(|x| *x != 1.0) {
        return Err(Error::new(Code::Unsupported, "a `scaling_factor` other than 1"));
    }
    let mut w_enc = tensors.transposed("W_enc", [d_sae, d_in])?;
    let mut w_dec = tensors.values("W_dec", &[d_sae, d_in])?;
    let (mut b_enc, b_dec) = (latents(bias)?, tensors.values("b_dec", &[d_in])?);
    let activation = match layout.as_str() {
        "topk" => Activation::TopK { k: top_k(&cfg)? },
        "jumprelu" => Activation::Threshold(latents("threshold")?),
        "gated" => Activation::Gated { r_mag: latents("r_mag")?, b_mag: latents("b_mag")? },
        _ => Activation::Relu,
    };
    if cfg.get("rescale_acts_by_decoder_norm")?.unwrap_or(false) {
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

/// The architecture; before version 6 a top-k SAE was a standard one with that activation.
fn layout_of(cfg: &Cfg<'_>) -> Result<String> {
    let architecture = cfg.text(&["architecture"])?.unwrap_or_else(|| "standard".to_string());
    cfg.supported("architecture", &architecture, &["standard", "topk", "jumprelu", "gated"])?;
    let activation = cfg.text(&["activation_fn_str", "activation_fn"])?.unwrap_or_else(|| "relu".to_string());
    let (available, layout): (&[&str], _) = match architecture.as_str() {
        "standard" if activation == "topk" => (&["topk"], "topk"),
        "standard" | "topk" => (&["relu", "topk"], architecture.as_str()),
        _ => (&["relu"], architecture.as_str()),
    };
    cfg.supported("activation_fn_str", &activation, available)?;
    Ok(layout.to_string())
}

/// The `k` of a top-k SAE: at the top since version 6, in `activation_fn_kwargs` before.
fn top_k(cfg: &Cfg<'_>) -> Result<usize> {
    let k = cfg.get("k")?.map_or_else(|| cfg.child("activation_fn_kwargs").get("k"), |k| Ok(Some(k)))?;
    k.ok_or_else(|| cfg.damaged("a top-k SAE needs `k`"))
}

/// Makes decoder rows unit without changing what the SAE computes: pre-activations take the norm instead. So a choice of the largest
/// pre-activations "rescaled by decoder norms" becomes a plain one. A row of norm 0 falls silent.
fn unit_decoder(w_enc: &mut [f32], b_enc: &mut [f32], w_dec: &mut [f32], d: usize) {
    for ((w_enc, b_enc), w_dec) in w_enc.chunks_exact_mut(d).zip(b_enc).zip(w_dec.chunks_exact_mut(d)) {
        let norm = w_dec.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
        w_enc.iter_mut().for_each(|x| *x *= norm);
        *b_enc *= norm;
        if norm > 0.0 {
            w_dec.iter_mut().for_each(|x| *x /= norm);
        }
    }
}

/// The config from `cfg.json`, nested metadata before flat keys.
fn config(cfg: &Cfg<'_>, extra: &Cfg<'_>, layout: &str) -> Result<Config> {
    let metadata = cfg.child("metadata");
    let named = |keys: &[&str]| metadata.text(keys)?.map_or_else(|| cfg.text(keys), |text| Ok(Some(text)));
    let normalize = match cfg.value("normalize_activations").and_then(serde_json::Value::as_bool) {
        Some(false) => None,
        Some(true) => Some("expected_average_only_in".to_string()),
        None => cfg.text(&["normalize_activations"])?,
    };
    cfg.supported("normalize_activations", normalize.as_deref().unwrap_or("none"), &["none"])
        .map_err(|error| error.help("fold the scale into the weights in SAELens, and save it again"))?;
    cfg.supported("reshape_activations", cfg.text(&["reshape_activations"])?.as_deref().unwrap_or("none"), &["none"])?;
    let ours = extra.text(&["architecture"])?.filter(|name| Architecture::named(name).is_ok());
    let architecture = ours.unwrap_or_else(|| {
        let same = Architecture::ALL.into_iter().find(|architecture| architecture.name() == layout);
        same.unwrap_or(Architecture::Relu).name().to_string()
    });
    Ok(Config {
        architecture,
        d_in: cfg.size("d_in")?,
        d_sae: cfg.size("d_sae")?,
        hook_name: named(&["hook_name", "hook_point"])?.unwrap_or_default(),
        model_name: named(&["model_name"])?.unwrap_or_default(),
        context_size: metadata.get("context_size")?.map_or_else(|| cfg.get("context_size"), |size| Ok(Some(size)))?,
        decoder_norm: extra.get("decoder_norm")?.unwrap_or(DecoderNorm::Free),
        apply_b_dec_to_input: cfg.get("apply_b_dec_to_input")?.unwrap_or(true),
        normalize_activations: "none".to_string(),
        training: extra.value("training").cloned().unwrap_or_default(),
    })
}
