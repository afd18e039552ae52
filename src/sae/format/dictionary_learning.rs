//! The folder of dictionary_learning: `ae.pt`, a state dict by `torch.save`, and `config.json`, whose `trainer.dict_class` says what it is.
//!
//! | `dict_class` | encoder | decoder | reads | activation |
//! |---|---|---|---|---|
//! | `AutoEncoder` | `encoder.weight` [d_sae, d_in], `encoder.bias` | `decoder.weight` [d_in, d_sae], `bias` | `x - bias` | relu |
//! | `AutoEncoderNew` | the same | `decoder.weight`, `decoder.bias` | `x` | relu |
//! | `AutoEncoderTopK` | the same | `decoder.weight`, `b_dec` | `x - b_dec` | the `k` largest |
//! | `BatchTopKSAE` | the same | the same | `x - b_dec` | above the one `threshold` |
//! | `MatryoshkaBatchTopKSAE` | `W_enc` [d_in, d_sae], `b_enc` | `W_dec` [d_sae, d_in], `b_dec` | `x - b_dec` | above the one `threshold` |
//! | `JumpReluAutoEncoder` | the same | the same | `x` | above `threshold` [d_sae] |
//! | `GatedAutoEncoder` | `encoder.weight`, `gate_bias`, `mag_bias`, `r_mag` | `decoder.weight`, `decoder_bias` | `x - decoder_bias` | gated |
//!
//! Weights are taken as they are. (The tool's own loader of `AutoEncoder` makes decoder rows unit unless told not to, which scales the codes.)

use std::path::Path;

use serde_json::json;

use super::cfg::{Cfg, read};
use super::stored::Tensors;
use crate::activations::Origin;
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;
use crate::sae::{Activation, Config, DecoderNorm, Sae};

/// The configuration's file.
pub const CONFIG: &str = "config.json";
/// The weights' file.
pub const WEIGHTS: &str = "ae.pt";

const FORMAT: &str = "dictionary_learning: ae.pt and config.json";

/// Reads a folder.
///
/// # Errors
/// `missing-file`; `damaged-file`; `shape-mismatch`; `unsupported` for other classes.
pub fn from_dir(dir: &Path, monitor: &dyn Monitor) -> Result<Sae> {
    from_paths(&dir.join(CONFIG), &dir.join(WEIGHTS), monitor)
}

/// Reads two files; checkpoints lie elsewhere than their configuration.
///
/// # Errors
/// As [`from_dir`].
pub fn from_paths(config: &Path, weights: &Path, monitor: &dyn Monitor) -> Result<Sae> {
    from_files(&read(config, FORMAT, monitor)?, &read(weights, FORMAT, monitor)?)
}

/// Reads the bytes of both files.
///
/// # Errors
/// As [`from_dir`].
pub fn from_files(cfg: &[u8], weights: &[u8]) -> Result<Sae> {
    let cfg = Cfg::parse(CONFIG, cfg)?;
    let trainer = cfg.child("trainer");
    let class = trainer.text(&["dict_class"])?.ok_or_else(|| trainer.damaged("there is no `trainer.dict_class`"))?;
    let kind = CLASSES.iter().find(|kind| kind.class == class);
    let kind = kind.ok_or_else(|| {
        let known: Vec<&str> = CLASSES.iter().map(|kind| kind.class).collect();
        Error::new(Code::Unsupported, format!("`dict_class: \"{class}\"` in {CONFIG} is not available"))
            .fact("available", known.join(", "))
    })?;
    let tensors = Tensors::of_torch(WEIGHTS, weights)?;
    let [encoder, bias, decoder, b_dec] = kind.tensors;
    tensors.only(&[&kind.tensors[..], kind.besides].concat())?;
    let [first, second] = tensors.matrix(encoder)?;
    let (d_sae, d_in) = if kind.linear { (first, second) } else { (second, first) };
    let (w_enc, w_dec) = if kind.linear {
        (tensors.values(encoder, &[d_sae, d_in])?, tensors.transposed(decoder, [d_sae, d_in])?)
    } else {
        (tensors.transposed(encoder, [d_sae, d_in])?, tensors.values(decoder, &[d_sae, d_in])?)
    };
    let latents = |name: &str| tensors.values(name, &[d_sae]);
    let number = |name: &str| Ok::<_, Error>(tensors.values(name, &[])?[0]);
    let activation = match kind.architecture {
        "topk" => Activation::TopK { k: top_k(&trainer, &tensors)? },
        "jumprelu" => Activation::Threshold(latents("threshold")?),
        "batch_topk" | "matryoshka_batch_topk" => Activation::Threshold(vec![threshold(number("threshold")?)?; d_sae]),
        "gated" => Activation::Gated { r_mag: latents("r_mag")?, b_mag: latents("mag_bias")? },
        _ => Activation::Relu,
    };
    let config = Config {
        architecture: kind.architecture.to_string(),
        d_in,
        d_sae,
        hook_name: hook_name(&trainer)?,
        model_name: trainer.text(&["lm_name"])?.unwrap_or_default(),
        context_size: cfg.child("buffer").get("ctx_len")?,
        decoder_norm: DecoderNorm::Free,
        apply_b_dec_to_input: kind.centered,
        normalize_activations: "none".to_string(),
        training: serde_json::Value::Null,
        metadata: metadata(&cfg),
        other: Origin::new(),
    };
    Sae::new(config, activation, w_enc, latents(bias)?, w_dec, tensors.values(b_dec, &[d_in])?)
}

/// What is known of the activations: the tool reads them from Hugging Face's modules, whose weights are as they were trained. The whole file is kept
/// as `dictionary_learning`.
fn metadata(cfg: &Cfg<'_>) -> Origin {
    let mut facts = Origin::new();
    facts.insert("model_from_pretrained_kwargs".into(), json!({ "center_writing_weights": false }));
    facts.insert("dictionary_learning".into(), cfg.all().into());
    facts
}

/// A class: where its parts are.
struct Kind {
    class: &'static str,
    architecture: &'static str,
    /// Encoder, its bias, decoder, its bias.
    tensors: [&'static str; 4],
    besides: &'static [&'static str],
    /// Whether the matrices are those of `nn.Linear`, `[out, in]`, rather than what rows are multiplied by.
    linear: bool,
    /// Whether the encoder reads `x - b_dec`.
    centered: bool,
}

const LINEAR: [&str; 4] = ["encoder.weight", "encoder.bias", "decoder.weight", "b_dec"];
const PLAIN: [&str; 4] = ["W_enc", "b_enc", "W_dec", "b_dec"];

const CLASSES: [Kind; 7] = [
    Kind {
        class: "AutoEncoder",
        architecture: "relu",
        tensors: ["encoder.weight", "encoder.bias", "decoder.weight", "bias"],
        besides: &[],
        linear: true,
        centered: true,
    },
    Kind {
        class: "AutoEncoderNew",
        architecture: "relu",
        tensors: ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"],
        besides: &[],
        linear: true,
        centered: false,
    },
    Kind {
        class: "AutoEncoderTopK",
        architecture: "topk",
        tensors: LINEAR,
        besides: &["k", "threshold"],
        linear: true,
        centered: true,
    },
    Kind {
        class: "BatchTopKSAE",
        architecture: "batch_topk",
        tensors: LINEAR,
        besides: &["k", "threshold"],
        linear: true,
        centered: true,
    },
    Kind {
        class: "MatryoshkaBatchTopKSAE",
        architecture: "matryoshka_batch_topk",
        tensors: PLAIN,
        besides: &["k", "threshold", "group_sizes"],
        linear: false,
        centered: true,
    },
    Kind {
        class: "JumpReluAutoEncoder",
        architecture: "jumprelu",
        tensors: PLAIN,
        besides: &["threshold"],
        linear: false,
        centered: false,
    },
    Kind {
        class: "GatedAutoEncoder",
        architecture: "gated",
        tensors: ["encoder.weight", "gate_bias", "decoder.weight", "decoder_bias"],
        besides: &["mag_bias", "r_mag"],
        linear: true,
        centered: true,
    },
];

/// The threshold of batch-wise top-k, which is -1 until a training has measured one: with it, everything above 0 would fire.
fn threshold(threshold: f32) -> Result<f32> {
    if threshold >= 0.0 {
        return Ok(threshold);
    }
    Err(Error::new(Code::DamagedFile, format!("`threshold` in {WEIGHTS} is {threshold}: this training never set it"))
        .help("take a later checkpoint: dictionary_learning sets the threshold from step 1,000 on (`threshold_start_step`)"))
}

/// `k` from the weights, and from the configuration for those that have none; both agree where both are.
fn top_k(trainer: &Cfg<'_>, tensors: &Tensors<'_>) -> Result<usize> {
    let named = trainer.get::<usize>("k")?;
    let stored = if tensors.has("k") { Some(tensors.values("k", &[])?[0] as usize) } else { None };
    match (stored, named) {
        (Some(k), None) | (None, Some(k)) if k > 0 => Ok(k),
        (Some(k), Some(named)) if k == named && k > 0 => Ok(k),
        _ => Err(trainer.damaged(&format!("`k` is {named:?}, and {stored:?} in {WEIGHTS}"))),
    }
}

/// The hook, where the configuration says more than the layer: `resid_post_layer_3` or `mlp_out`.
fn hook_name(trainer: &Cfg<'_>) -> Result<String> {
    let layer = trainer.value("layer").and_then(serde_json::Value::as_u64);
    let submodule = trainer.text(&["submodule_name"])?.unwrap_or_default();
    let known = [
        ("resid_post", "hook_resid_post"),
        ("resid_pre", "hook_resid_pre"),
        ("mlp_out", "hook_mlp_out"),
        ("attention_out", "hook_attn_out"),
        ("attn_out", "hook_attn_out"),
    ];
    let hook = known.iter().find(|(name, _)| submodule.starts_with(name));
    Ok(layer.zip(hook).map_or_else(String::new, |(layer, (_, hook))| format!("blocks.{layer}.{hook}")))
}
