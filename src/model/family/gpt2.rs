//! GPT-2 (Radford et al. 2019) as Hugging Face has it: LayerNorm, learned positions, tied; matrices multiply on the right.

use crate::error::Result;
use crate::model::architecture::{Architecture, Family};
use crate::model::config::Config;
use crate::model::load::json::Json;
use crate::model::load::tensors::Tensors;
use crate::model::weights::{Block, Linear, Mlp, Weights};

use super::norm;

/// The configuration of a `config.json`.
pub fn config(json: &Json<'_>) -> Result<Config> {
    json.only("scale_attn_weights", true)?;
    json.only("scale_attn_by_inverse_layer_idx", false)?;
    json.only("add_cross_attention", false)?;
    let d_model = json.size("n_embd")?;
    Ok(Config {
        n_layers: json.size("n_layer")?,
        d_model,
        n_heads: json.size("n_head")?,
        d_mlp: json.size_if("n_inner")?.unwrap_or(d_model.saturating_mul(4)),
        act_fn: json.act_fn("activation_function")?,
        n_ctx: json.size_if("n_positions")?.map_or_else(|| json.size("n_ctx"), Ok)?,
        d_vocab: json.size("vocab_size")?,
        trained_on: "unknown".to_string(),
        tokens: 0,
        seed: 0,
        ce_loss: None,
        architecture: Architecture {
            family: Family::Gpt2,
            norm_epsilon: json.number("layer_norm_epsilon", 1e-5)? as f32,
            tied: json.flag("tie_word_embeddings", true)?,
            ..Architecture::default()
        },
    })
}

/// The weights, whose names may begin with `transformer.`.
pub fn read(config: &Config, tensors: &mut Tensors) -> Result<Weights> {
    let (d, m, v) = (config.d_model, config.d_mlp, config.d_vocab);
    let prefix = if tensors.has("transformer.wte.weight") { "transformer." } else { "" };
    let right = |tensors: &mut Tensors, name: String, d_in: usize, d_out: usize| {
        let w = tensors.take(&format!("{name}.weight"), &[d_in, d_out])?;
        Ok::<_, crate::error::Error>(Linear { w, b: Some(tensors.take(&format!("{name}.bias"), &[d_out])?) })
    };
    let mut blocks = Vec::new();
    for layer in 0..config.n_layers {
        let at = |name: &str| format!("{prefix}h.{layer}.{name}");
        blocks.push(Block {
            ln: norm(tensors, &at("ln_1"), d, true)?,
            qkv: right(tensors, at("attn.c_attn"), d, 3 * d)?,
            o: right(tensors, at("attn.c_proj"), d, d)?,
            mlp: Some(Mlp {
                ln: norm(tensors, &at("ln_2"), d, true)?,
                w_in: right(tensors, at("mlp.c_fc"), d, m)?,
                w_out: right(tensors, at("mlp.c_proj"), m, d)?,
                gate: None,
                mid: None,
            }),
        });
    }
    Ok(Weights {
        w_e: tensors.take(&format!("{prefix}wte.weight"), &[v, d])?,
        w_pos: Some(tensors.take(&format!("{prefix}wpe.weight"), &[config.n_ctx, d])?),
        blocks,
        ln_final: norm(tensors, &format!("{prefix}ln_f"), d, true)?,
        w_u: if config.architecture.tied { None } else { Some(tensors.take("lm_head.weight", &[v, d])?) },
        b_u: None,
    })
}
