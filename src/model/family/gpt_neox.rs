//! GPT-NeoX and Pythia as Hugging Face has them: LayerNorm, attention and MLP in parallel, a part of each head turned, untied.

use crate::error::Result;
use crate::model::architecture::{Architecture, Family, Positions};
use crate::model::config::Config;
use crate::model::load::json::Json;
use crate::model::load::tensors::{Tensors, transposed};
use crate::model::weights::{Block, Linear, Mlp, Weights};

use super::{linear, llama, norm};

/// The configuration of a `config.json`, which has had its rotary keys in two places.
pub fn config(json: &Json<'_>) -> Result<Config> {
    let (d_model, n_heads) = (json.size("hidden_size")?, json.size("num_attention_heads")?);
    let rope = json.inside("rope_parameters");
    let share = rope.as_ref().map_or(Ok(0.25), |rope| rope.number("partial_rotary_factor", 0.25));
    let width = (json.number("rotary_pct", share?)? * (d_model / n_heads.max(1)) as f64) as usize;
    let base = json.number("rotary_emb_base", json.number("rope_theta", 10_000.0)?)?;
    let base = rope.as_ref().map_or(Ok(base), |rope| rope.number("rope_theta", base))?;
    Ok(Config {
        n_layers: json.size("num_hidden_layers")?,
        d_model,
        n_heads,
        d_mlp: json.size("intermediate_size")?,
        act_fn: json.act_fn("hidden_act")?,
        n_ctx: json.size("max_position_embeddings")?,
        d_vocab: json.size("vocab_size")?,
        trained_on: "unknown".to_string(),
        tokens: 0,
        seed: 0,
        ce_loss: None,
        architecture: Architecture {
            family: Family::GptNeox,
            norm_epsilon: json.number("layer_norm_eps", 1e-5)? as f32,
            positions: Positions::Rotary { width, base, divisors: llama::divisors(json, width, base)? },
            parallel: json.flag("use_parallel_residual", true)?,
            tied: json.flag("tie_word_embeddings", false)?,
            ..Architecture::default()
        },
    })
}

/// The weights.
pub fn read(config: &Config, tensors: &mut Tensors) -> Result<Weights> {
    let (d, m, v) = (config.d_model, config.d_mlp, config.d_vocab);
    let mut blocks = Vec::new();
    for layer in 0..config.n_layers {
        let at = |name: &str| format!("gpt_neox.layers.{layer}.{name}");
        let qkv = at("attention.query_key_value");
        let weight = tensors.take(&format!("{qkv}.weight"), &[3 * d, d])?;
        let bias = tensors.take_if(&format!("{qkv}.bias"), &[3 * d])?;
        let width = config.d_head();
        blocks.push(Block {
            ln: norm(tensors, &at("input_layernorm"), d, true)?,
            qkv: Linear { w: transposed(&by_part(&weight, width * d), d), b: bias.map(|b| by_part(&b, width)) },
            o: linear(tensors, &at("attention.dense"), d, d)?,
            mlp: Some(Mlp {
                ln: norm(tensors, &at("post_attention_layernorm"), d, true)?,
                w_in: linear(tensors, &at("mlp.dense_h_to_4h"), d, m)?,
                w_out: linear(tensors, &at("mlp.dense_4h_to_h"), m, d)?,
                gate: None,
                mid: None,
            }),
        });
    }
    Ok(Weights {
        w_e: tensors.take("gpt_neox.embed_in.weight", &[v, d])?,
        w_pos: None,
        blocks,
        ln_final: norm(tensors, "gpt_neox.final_layer_norm", d, true)?,
        w_u: if config.architecture.tied { None } else { Some(tensors.take("embed_out.weight", &[v, d])?) },
        b_u: None,
    })
}

/// From query, key and value of one head after another to all queries, all keys, all values; `size` values a head and part.
fn by_part(values: &[f32], size: usize) -> Vec<f32> {
    let part = |part: usize| values.chunks_exact(3 * size).flat_map(move |head| &head[part * size..(part + 1) * size]);
    (0..3).flat_map(part).copied().collect()
}
