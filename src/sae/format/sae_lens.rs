//! The SAELens 6 inference folder: `cfg.json` and `sae_weights.safetensors` (`W_enc` [d_in, d_sae], `b_enc`, `W_dec` [d_sae, d_in], `b_dec`).
//!
//! | activation | architecture | besides |
//! |---|---|---|
//! | relu | `standard` | |
//! | top-k | `topk` | `k`, `rescale_acts_by_decoder_norm` in `cfg.json` |
//! | threshold | `jumprelu` | `threshold` [d_sae]; also what batch-wise top-k is saved as, there and here |
//! | gated | `gated` | `b_gate`, `b_mag`, `r_mag` [d_sae] in place of `b_enc` |
//!
//! `cfg.json` is written with the nested metadata of version 6 and, for older readers, the flat keys beside it. Metadata and keys that saerun does
//! not know are kept from reading to writing. `normalize_activations` is carried out where it is row by row ([`Normalize`]). A third
//! file, `saerun.json`, keeps what SAELens has no place for (the options and history of the training) and may be missing.
//! Read are also the folders of versions 3 to 5, whose keys are flat and whose top-k SAEs are `standard` with another activation.

use std::path::Path;

use serde_json::{Value, json};

use super::cfg::{Cfg, read};
use super::stored::{Tensors, transpose};
use super::written::{bytes_of, pretty, safetensors};
use crate::activations::Origin;
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;
use crate::sae::{Activation, Architecture, Config, DecoderNorm, HistoryRow, Normalize, Sae};

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
    let mut files = weights_and_extra(sae)?;
    files.insert(0, (CONFIG.to_string(), pretty(&cfg_of(sae, metadata_of(&sae.config)))?));
    Ok(files)
}

/// The files under which a trained SAE is remembered. Their bytes name it in the locks of committed results, so its `cfg.json` is what it has
/// been since they were made, and says nothing of the activations: those are an argument of the call that is remembered, and say it themselves.
///
/// # Errors
/// As [`to_files`].
pub fn to_cache(sae: &Sae) -> Result<Vec<(String, Vec<u8>)>> {
    let config = &sae.config;
    let metadata = json!({
        "sae_lens_version": VERSION,
        "sae_lens_training_version": VERSION,
        "model_name": config.model_name,
        "model_class_name": "HookedTransformer",
        "hook_name": config.hook_name,
        "hook_head_index": null,
        "context_size": config.context_size,
        "prepend_bos": true,
        "model_from_pretrained_kwargs": {},
    });
    let mut files = weights_and_extra(sae)?;
    files.insert(0, (CONFIG.to_string(), pretty(&cfg_of(sae, metadata))?));
    Ok(files)
}

/// The metadata of `cfg.json`: what is known, as it was read where it comes from SAELens.
fn metadata_of(config: &Config) -> Value {
    let mut metadata = config.metadata.clone();
    let nested = |version: &Value| version.as_str().and_then(|v| v.split('.').next()?.parse::<u32>().ok()) >= Some(6);
    // Readers take metadata from this place only when the version says that it is there.
    if !metadata.get("sae_lens_version").is_some_and(nested) {
        metadata.insert("sae_lens_version".into(), VERSION.into());
    }
    metadata.entry("sae_lens_training_version").or_insert_with(|| VERSION.into());
    metadata.insert("model_name".into(), config.model_name.as_str().into());
    metadata.insert("hook_name".into(), config.hook_name.as_str().into());
    metadata.insert("context_size".into(), config.context_size.into());
    metadata.into()
}

/// `cfg.json` with this metadata.
fn cfg_of(sae: &Sae, metadata: Value) -> Value {
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
        "metadata": metadata,
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
    for (name, value) in &config.other {
        if cfg.get(name).is_none() {
            cfg[name.as_str()] = value.clone();
        }
    }
    cfg
}

/// The files beside `cfg.json`.
fn weights_and_extra(sae: &Sae) -> Result<Vec<(String, Vec<u8>)>> {
    let config = &sae.config;
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
    Ok(vec![(WEIGHTS.to_string(), safetensors(&tensors)?), (EXTRA.to_string(), pretty(&extra)?)])
}

/// Reads a folder.
///
/// # Errors
/// `missing-file`; `damaged-file` when a file is not what it claims to be; `unsupported` for an architecture or normalization that this version
/// does not compute.
pub fn from_dir(dir: &Path, scale: Option<f64>, monitor: &dyn Monitor) -> Result<Sae> {
    let read = |name: &str| read(&dir.join(name), "SAELens: cfg.json and sae_weights.safetensors", monitor);
    let extra = if dir.join(EXTRA).exists() { Some(read(EXTRA)?) } else { None };
    scaled(&read(CONFIG)?, &read(WEIGHTS)?, extra.as_deref(), scale)
}

/// Reads the bytes of a folder's files.
///
/// # Errors
/// As [`from_dir`].
pub fn from_files(cfg: &[u8], weights: &[u8], extra: Option<&[u8]>) -> Result<Sae> {
    scaled(cfg, weights, extra, None)
}

/// As [`from_files`]; `scale` is what activations were multiplied by in training, where the files say that they were and do not say by what.
///
/// # Errors
/// As [`from_dir`]; `out-of-range` for a scale that is no number above 0, or where there is nothing to scale.
pub fn scaled(cfg: &[u8], weights: &[u8], extra: Option<&[u8]>, scale: Option<f64>) -> Result<Sae> {
    let cfg = Cfg::parse(CONFIG, cfg)?;
    let extra = extra.map_or(Ok(Cfg::none(EXTRA)), |bytes| Cfg::parse(EXTRA, bytes))?;
    let history: Vec<HistoryRow> = extra.get("history")?.unwrap_or_default();
    let layout = layout_of(&cfg)?;
    let scale = scale_of(&cfg, scale)?;
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
    let (mut b_enc, mut b_dec) = (latents(bias)?, tensors.values("b_dec", &[d_in])?);
    let activation = match layout.as_str() {
        "topk" => Activation::TopK { k: top_k(&cfg)? },
        "jumprelu" => Activation::Threshold(latents("threshold")?),
        "gated" => Activation::Gated { r_mag: latents("r_mag")?, b_mag: latents("b_mag")? },
        _ => Activation::Relu,
    };
    if cfg.get("rescale_acts_by_decoder_norm")?.unwrap_or(false) {
        unit_decoder(&mut w_enc, &mut b_enc, &mut w_dec, d_in);
    }
    if scale != 1.0 {
        // As SAELens folds it at the end of a training: the encoder scales what it reads, the decoder scales back.
        w_enc.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        w_dec.iter_mut().chain(&mut b_dec).for_each(|x| *x = (f64::from(*x) / scale) as f32);
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

/// The name of the normalization; before there were names, it was on or off.
fn normalization(cfg: &Cfg<'_>) -> Result<String> {
    Ok(match cfg.value("normalize_activations").and_then(Value::as_bool) {
        Some(false) => None,
        Some(true) => Some(AVERAGE.to_string()),
        None => cfg.text(&["normalize_activations"])?,
    }
    .unwrap_or_else(|| Normalize::None.name().to_string()))
}

/// SAELens's name of one scale for all activations, by which their mean norm becomes sqrt(d_in). It is measured in training, and not saved.
const AVERAGE: &str = "expected_average_only_in";

/// What to fold into the weights: 1 where activations are read as they are, or normalized row by row.
fn scale_of(cfg: &Cfg<'_>, given: Option<f64>) -> Result<f64> {
    match (normalization(cfg)? == AVERAGE, given) {
        (false, None) => Ok(1.0),
        (true, Some(scale)) if scale > 0.0 && scale.is_finite() => Ok(scale),
        (_, Some(scale)) => Err(Error::new(Code::OutOfRange, "`scale` does not fit this SAE")
            .fact("expected", if normalization(cfg)? == AVERAGE { "a number above 0" } else { "none: it reads activations as they are" })
            .fact("given", scale)),
        (true, None) => Err(Error::new(Code::Unsupported, format!("`normalize_activations: \"{AVERAGE}\"` in {CONFIG} needs a scale that is not in the files"))
            .fact("meaning", "the training multiplied activations by sqrt(d_in) / (their mean norm)")
            .help("give it: `sae::load(path, #{ scale: sqrt(d_in) / x.norm_rows().mean().item() })`, x a sample of the activations that it was trained on")),
    }
}

/// Keys of `cfg.json` that say what the SAE computes, or that have a place of their own in [`Config`].
const OURS: [&str; 18] = [
    "architecture",
    "d_in",
    "d_sae",
    "dtype",
    "device",
    "apply_b_dec_to_input",
    "normalize_activations",
    "reshape_activations",
    "metadata",
    "k",
    "rescale_acts_by_decoder_norm",
    "activation_fn",
    "activation_fn_str",
    "activation_fn_kwargs",
    "hook_name",
    "hook_point",
    "model_name",
    "context_size",
];

/// The metadata, and what else `cfg.json` holds. Before version 6 all keys were flat: those that say nothing of the computation are metadata.
fn facts_of(cfg: &Cfg<'_>) -> Result<(Origin, Origin)> {
    let mut rest = cfg.all();
    rest.retain(|name, _| !OURS.contains(&name.as_str()));
    let Some(metadata) = cfg.get::<Origin>("metadata")? else {
        if let Some(head) = rest.remove("hook_point_head_index") {
            rest.insert("hook_head_index".into(), head);
        }
        return Ok((rest, Origin::new()));
    };
    let mut metadata = metadata;
    ["model_name", "hook_name", "hook_point", "context_size"].iter().for_each(|name| _ = metadata.remove(*name));
    Ok((metadata, rest))
}

/// The config from `cfg.json`, nested metadata before flat keys.
fn config(cfg: &Cfg<'_>, extra: &Cfg<'_>, layout: &str) -> Result<Config> {
    let metadata = cfg.child("metadata");
    let named = |keys: &[&str]| metadata.text(keys)?.map_or_else(|| cfg.text(keys), |text| Ok(Some(text)));
    let normalize = normalization(cfg)?;
    let carried_out = Normalize::ALL.map(Normalize::name);
    cfg.supported("normalize_activations", &normalize, &[&carried_out[..], &[AVERAGE]].concat())?;
    // One scale for all is in the weights from here on.
    let normalize = if normalize == AVERAGE { Normalize::None.name().to_string() } else { normalize };
    let (metadata_kept, other) = facts_of(cfg)?;
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
        normalize_activations: normalize,
        training: extra.value("training").cloned().unwrap_or_default(),
        metadata: metadata_kept,
        other,
    })
}
