//! Neel Nanda's one-layer SAEs: `NAME.pt`, a state dict by `torch.save` (`W_enc` [d_in, d_sae], `b_enc`, `W_dec` [d_sae, d_in], `b_dec`), and
//! `NAME_cfg.json` beside it. They are `relu((x - b_dec) W_enc + b_enc)`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::cfg::{Cfg, read};
use super::stored::Tensors;
use crate::activations::Origin;
use crate::error::Result;
use crate::progress::Monitor;
use crate::sae::{Activation, Config, DecoderNorm, Sae};

const CONFIG: &str = "_cfg.json";
const WEIGHTS: &str = "the .pt file";

/// Where the configuration of these weights is.
pub fn config_of(weights: &Path) -> PathBuf {
    let stem = weights.file_stem().unwrap_or_default().to_string_lossy();
    weights.with_file_name(format!("{stem}{CONFIG}"))
}

/// Reads the weights at `path` and the configuration beside them.
///
/// # Errors
/// `missing-file`; `damaged-file`; `shape-mismatch`; `unsupported` for tensors of another kind of SAE.
pub fn from_path(path: &Path, monitor: &dyn Monitor) -> Result<Sae> {
    let format = "Neel Nanda's: NAME.pt and NAME_cfg.json";
    from_files(&read(&config_of(path), format, monitor)?, &read(path, format, monitor)?)
}

/// Reads the bytes of both files.
///
/// # Errors
/// As [`from_path`].
pub fn from_files(cfg: &[u8], weights: &[u8]) -> Result<Sae> {
    let cfg = Cfg::parse(CONFIG, cfg)?;
    let tensors = Tensors::of_torch(WEIGHTS, weights)?;
    tensors.only(&["W_enc", "b_enc", "W_dec", "b_dec"])?;
    let [d_in, d_sae] = tensors.matrix("W_enc")?;
    let config = Config {
        architecture: "relu".to_string(),
        d_in,
        d_sae,
        hook_name: hook_name(&cfg)?,
        model_name: cfg.text(&["model_name"])?.unwrap_or_default(),
        context_size: cfg.get("seq_len")?,
        decoder_norm: DecoderNorm::Free,
        apply_b_dec_to_input: true,
        normalize_activations: "none".to_string(),
        training: serde_json::Value::Null,
        metadata: metadata(&cfg),
        other: Origin::new(),
    };
    let (w_enc, w_dec) = (tensors.transposed("W_enc", [d_sae, d_in])?, tensors.values("W_dec", &[d_sae, d_in])?);
    let (b_enc, b_dec) = (tensors.values("b_enc", &[d_sae])?, tensors.values("b_dec", &[d_in])?);
    Sae::new(config, Activation::Relu, w_enc, b_enc, w_dec, b_dec)
}

/// What is known of the activations. The models were loaded by `HookedTransformer.from_pretrained`, which centers by default, and position 0 of each
/// context was overwritten by the token that begins texts. The whole file is kept as `neel_nanda`.
fn metadata(cfg: &Cfg<'_>) -> Origin {
    let mut facts = Origin::new();
    facts.insert("model_from_pretrained_kwargs".into(), json!({ "center_writing_weights": true }));
    facts.insert("prepend_bos".into(), true.into());
    facts.insert("neel_nanda".into(), cfg.all().into());
    facts
}

/// `act_name` is a hook's full name; before there was one, `site` and `layer` made it.
fn hook_name(cfg: &Cfg<'_>) -> Result<String> {
    if let Some(name) = cfg.text(&["act_name"])? {
        return Ok(name);
    }
    let hook = match cfg.text(&["site"])?.as_deref() {
        Some("post") => "mlp.hook_post",
        Some("mlp_out") => "hook_mlp_out",
        Some("attn_out") => "hook_attn_out",
        Some("resid_pre") => "hook_resid_pre",
        Some("resid_post") => "hook_resid_post",
        _ => return Ok(String::new()),
    };
    Ok(cfg.get::<usize>("layer")?.map_or_else(String::new, |layer| format!("blocks.{layer}.{hook}")))
}
