//! The folder of sparsify: `cfg.json` and `sae.safetensors` (`encoder.weight` [d_sae, d_in], `encoder.bias`, `W_dec` [d_sae, d_in], `b_dec`).
//!
//! Its SAEs are top-k over `relu(w_enc (x - b_dec) + b_enc)`. The folder is named after the module whose output is read, such as
//! `layers.3.mlp`; `cfg.json` names neither it nor the model. Our file `saerun.json` keeps both, and may be missing.

use std::path::Path;

use serde_json::{Value, json};

use super::cfg::{Cfg, read};
use super::stored::Tensors;
use super::written::{bytes_of, pretty, safetensors};
use crate::activations::Origin;
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;
use crate::sae::{Activation, Config, DecoderNorm, HistoryRow, Normalize, Sae};

/// The configuration's file.
pub const CONFIG: &str = "cfg.json";
/// The weights' file.
pub const WEIGHTS: &str = "sae.safetensors";
/// What only saerun reads.
pub const EXTRA: &str = "saerun.json";

/// The folder's files by name.
///
/// # Errors
/// `unsupported` for what sparsify does not compute: any activation but top-k, an encoder that reads `x` rather than `x - b_dec`.
pub fn to_files(sae: &Sae) -> Result<Vec<(String, Vec<u8>)>> {
    let config = &sae.config;
    let Activation::TopK { k } = sae.activation else {
        return Err(Error::new(Code::Unsupported, format!("sparsify has no {} SAEs", config.architecture))
            .fact("expected", "topk")
            .help("the format `sae_lens` holds every architecture"));
    };
    if !config.apply_b_dec_to_input && sae.b_dec.iter().any(|x| *x != 0.0) {
        return Err(Error::new(
            Code::Unsupported,
            "the encoder of this SAE does not subtract `b_dec`; sparsify's does",
        )
        .help("the format `sae_lens` holds both"));
    }
    if k == 0 || k > config.d_sae {
        return Err(Error::new(Code::Unsupported, "sparsify needs `k` from 1 to `d_sae`").fact("given", k));
    }
    if config.normalize_activations != Normalize::None.name() {
        return Err(Error::new(Code::Unsupported, "this SAE normalizes each row; sparsify's do not")
            .fact("normalize_activations", &config.normalize_activations)
            .help("the format `sae_lens` holds both"));
    }
    let ours = json!({
        "activation": "topk",
        "expansion_factor": (config.d_sae / config.d_in).max(1),
        "normalize_decoder": config.decoder_norm == DecoderNorm::Unit,
        "num_latents": config.d_sae,
        "k": k,
        "multi_topk": false,
        "skip_connection": false,
        "transcode": false,
        "d_in": config.d_in,
    });
    // What the file held besides, if this SAE came from one, stays.
    let mut cfg = config.metadata.get("sparsify").and_then(Value::as_object).cloned().unwrap_or_default();
    cfg.extend(ours.as_object().cloned().unwrap_or_default());
    let extra = json!({
        "hook_name": config.hook_name,
        "model_name": config.model_name,
        "context_size": config.context_size,
        "training": config.training,
        "history": sae.history,
        "metadata": config.metadata,
        "other": config.other,
    });
    let (d_in, d_sae) = (config.d_in, config.d_sae);
    let weights = safetensors(&[
        ("W_dec", vec![d_sae, d_in], bytes_of(&sae.w_dec)),
        ("b_dec", vec![d_in], bytes_of(&sae.b_dec)),
        ("encoder.bias", vec![d_sae], bytes_of(&sae.b_enc)),
        ("encoder.weight", vec![d_sae, d_in], bytes_of(&sae.w_enc)),
    ])?;
    Ok(vec![
        (CONFIG.to_string(), pretty(&cfg.into())?),
        (WEIGHTS.to_string(), weights),
        (EXTRA.to_string(), pretty(&extra)?),
    ])
}

/// Reads a folder.
///
/// # Errors
/// `missing-file`; `damaged-file`; `shape-mismatch`; `unsupported` for transcoders, skip connections and other activations.
pub fn from_dir(dir: &Path, monitor: &dyn Monitor) -> Result<Sae> {
    let read = |name: &str| read(&dir.join(name), "sparsify: cfg.json and sae.safetensors", monitor);
    let extra = if dir.join(EXTRA).exists() { Some(read(EXTRA)?) } else { None };
    let mut sae = from_files(&read(CONFIG)?, &read(WEIGHTS)?, extra.as_deref())?;
    if sae.config.hook_name.is_empty() {
        let names = dir.file_name().into_iter().chain(dir.parent().and_then(Path::file_name));
        let mut hooks = names.filter_map(|name| hook_of(&name.to_string_lossy()));
        sae.config.hook_name = hooks.next().unwrap_or_default();
    }
    Ok(sae)
}

/// Reads the bytes of a folder's files.
///
/// # Errors
/// As [`from_dir`].
pub fn from_files(cfg: &[u8], weights: &[u8], extra: Option<&[u8]>) -> Result<Sae> {
    let cfg = Cfg::parse(CONFIG, cfg)?;
    let extra = extra.map_or(Ok(Cfg::none(EXTRA)), |bytes| Cfg::parse(EXTRA, bytes))?;
    let history: Vec<HistoryRow> = extra.get("history")?.unwrap_or_default();
    cfg.supported("activation", cfg.text(&["activation"])?.as_deref().unwrap_or("topk"), &["topk"])?;
    for flag in ["transcode", "skip_connection", "signed"] {
        if cfg.get::<bool>(flag)?.unwrap_or(false) {
            return Err(Error::new(Code::Unsupported, format!("`{flag}: true` in {CONFIG} is not available"))
                .help("saerun reads autoencoders: what goes in comes out, over activations above 0"));
        }
    }
    let d_in = cfg.size("d_in")?;
    let d_sae = match cfg.get::<usize>("num_latents")?.filter(|n| *n > 0) {
        Some(d_sae) => d_sae,
        None => cfg.size("expansion_factor")?.saturating_mul(d_in),
    };
    let tensors = Tensors::of_safetensors(WEIGHTS, weights)?;
    tensors.only(&["encoder.weight", "encoder.bias", "W_dec", "b_dec"])?;
    let config = Config {
        architecture: "topk".to_string(),
        d_in,
        d_sae,
        hook_name: extra.text(&["hook_name"])?.unwrap_or_default(),
        model_name: extra.text(&["model_name"])?.unwrap_or_default(),
        context_size: extra.get("context_size")?,
        decoder_norm: if cfg.get("normalize_decoder")?.unwrap_or(true) { DecoderNorm::Unit } else { DecoderNorm::Free },
        apply_b_dec_to_input: true,
        normalize_activations: "none".to_string(),
        training: extra.value("training").cloned().unwrap_or_default(),
        metadata: metadata(&cfg, &extra)?,
        other: extra.get("other")?.unwrap_or_default(),
    };
    let (w_enc, b_enc) = (tensors.values("encoder.weight", &[d_sae, d_in])?, tensors.values("encoder.bias", &[d_sae])?);
    let (w_dec, b_dec) = (tensors.values("W_dec", &[d_sae, d_in])?, tensors.values("b_dec", &[d_in])?);
    let mut sae = Sae::new(config, Activation::TopK { k: cfg.size("k")? }, w_enc, b_enc, w_dec, b_dec)?;
    sae.history = history;
    Ok(sae)
}

/// What is known of the activations. Ours is kept as it was; else all that is known is that the tool reads Hugging Face's modules, whose weights are
/// as they were trained. The keys of `cfg.json` are kept as `sparsify`, so that those saerun does not know can be written again.
fn metadata(cfg: &Cfg<'_>, extra: &Cfg<'_>) -> Result<Origin> {
    if let Some(facts) = extra.get("metadata")? {
        return Ok(facts);
    }
    let mut facts = Origin::new();
    if extra.value("training").is_none() {
        facts.insert("model_from_pretrained_kwargs".into(), json!({ "center_writing_weights": false }));
        facts.insert("sparsify".into(), cfg.all().into());
    }
    Ok(facts)
}

/// The hook that holds a module's output: `layers.3` and `h.3` are blocks.
fn hook_of(module: &str) -> Option<String> {
    let mut parts = module.split('.');
    let block = parts.next().filter(|name| ["layers", "h"].contains(name)).and(parts.next())?;
    let layer: usize = block.parse().ok()?;
    let hook = match (parts.next(), parts.next()) {
        (None, _) => "hook_resid_post",
        (Some("mlp"), None) => "hook_mlp_out",
        (Some("attn" | "attention" | "self_attn"), None) => "hook_attn_out",
        _ => return None,
    };
    Some(format!("blocks.{layer}.{hook}"))
}
