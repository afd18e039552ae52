//! Llama (Touvron et al. 2023) as Hugging Face and llama.cpp have it: RMSNorm, rotary positions, a gated MLP, shared keys and values.

use std::f64::consts::TAU;

use crate::error::{Code, Error, Result};
use crate::model::architecture::{Architecture, Family, MlpKind, Normalization, Positions};
use crate::model::config::Config;
use crate::model::load::json::Json;
use crate::model::load::tensors::{Tensors, transposed};
use crate::model::weights::{Block, Linear, Mlp, Weights};

use super::{linear, norm};

/// What a format calls the parts, `{}` being the layer.
pub struct Names {
    embedding: &'static str,
    unembedding: &'static str,
    final_norm: &'static str,
    norms: [&'static str; 2],
    qkv: [&'static str; 3],
    o: &'static str,
    /// Gate, input and output of the MLP.
    mlp: [&'static str; 3],
    /// Whether the pairs that are turned are neighbors in queries and keys.
    interleaved: bool,
}

/// Hugging Face's names.
pub const HUGGING_FACE: Names = Names {
    embedding: "model.embed_tokens",
    unembedding: "lm_head",
    final_norm: "model.norm",
    norms: ["model.layers.{}.input_layernorm", "model.layers.{}.post_attention_layernorm"],
    qkv: ["model.layers.{}.self_attn.q_proj", "model.layers.{}.self_attn.k_proj", "model.layers.{}.self_attn.v_proj"],
    o: "model.layers.{}.self_attn.o_proj",
    mlp: ["model.layers.{}.mlp.gate_proj", "model.layers.{}.mlp.up_proj", "model.layers.{}.mlp.down_proj"],
    interleaved: false,
};

/// llama.cpp's names.
pub const GGUF: Names = Names {
    embedding: "token_embd",
    unembedding: "output",
    final_norm: "output_norm",
    norms: ["blk.{}.attn_norm", "blk.{}.ffn_norm"],
    qkv: ["blk.{}.attn_q", "blk.{}.attn_k", "blk.{}.attn_v"],
    o: "blk.{}.attn_output",
    mlp: ["blk.{}.ffn_gate", "blk.{}.ffn_up", "blk.{}.ffn_down"],
    interleaved: true,
};

/// The configuration of a `config.json`.
pub fn config(json: &Json<'_>) -> Result<Config> {
    let (d_model, n_heads) = (json.size("hidden_size")?, json.size("num_attention_heads")?);
    let d_head = json.size_if("head_dim")?.unwrap_or(d_model / n_heads.max(1));
    let rope = json.inside("rope_parameters");
    let base = json.number("rope_theta", 10_000.0)?;
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
            family: Family::Llama,
            normalization: Normalization::Rms,
            norm_epsilon: json.number("rms_norm_eps", 1e-6)? as f32,
            positions: Positions::Rotary { width: d_head, base, divisors: divisors(json, d_head, base)? },
            d_head: Some(d_head),
            n_kv_heads: json.size_if("num_key_value_heads")?,
            mlp: MlpKind::Gated,
            tied: json.flag("tie_word_embeddings", false)?,
            ..Architecture::default()
        },
    })
}

/// What `rope_scaling` divides each pair's frequency by.
pub fn divisors(json: &Json<'_>, width: usize, base: f64) -> Result<Vec<f64>> {
    let Some(scaling) = json.inside("rope_scaling").or_else(|| json.inside("rope_parameters")) else {
        return Ok(Vec::new());
    };
    let pairs = (width / 2).min(4096);
    let factor = scaling.number("factor", 1.0)?;
    match scaling.text("rope_type").or_else(|| scaling.text("type")).unwrap_or("default") {
        "default" => Ok(Vec::new()),
        "linear" => Ok(vec![factor; pairs]),
        "llama3" => {
            // Long waves are slowed by the factor, short ones are left, those between are blended (Llama 3.1).
            let (low, high) = (scaling.number("low_freq_factor", 1.0)?, scaling.number("high_freq_factor", 4.0)?);
            let context = scaling.number("original_max_position_embeddings", 8192.0)?;
            let divisor = |pair: usize| {
                let wave = TAU * base.powf(2.0 * pair as f64 / width as f64);
                let smooth = ((context / wave - low) / (high - low)).clamp(0.0, 1.0);
                1.0 / ((1.0 - smooth) / factor + smooth)
            };
            Ok((0..pairs).map(divisor).collect())
        }
        other => Err(Error::new(Code::Unsupported, "rotary positions that are scaled in an unknown way")
            .fact("known", "default, linear, llama3")
            .fact("given", other)),
    }
}

/// The weights, under the names of a format.
pub fn read(config: &Config, tensors: &mut Tensors, names: &Names) -> Result<Weights> {
    let (d, m, v, width) = (config.d_model, config.d_mlp, config.d_vocab, config.d_head());
    let heads = [config.n_heads, config.n_kv_heads(), config.n_kv_heads()];
    let mut blocks = Vec::new();
    for layer in 0..config.n_layers {
        let at = |name: &str| name.replace("{}", &format!("{layer}"));
        let (mut rows, mut biases) = (Vec::new(), Vec::new());
        for (part, name) in names.qkv.iter().enumerate() {
            let d_out = heads[part] * width;
            let mut weight = tensors.take(&format!("{}.weight", at(name)), &[d_out, d])?;
            let mut bias = tensors.take_if(&format!("{}.bias", at(name)), &[d_out])?;
            if names.interleaved && part < 2 {
                weight = halves(&weight, d, width);
                bias = bias.map(|b| halves(&b, 1, width));
            }
            rows.extend(weight);
            biases.extend(bias.unwrap_or_default());
        }
        let all = config.d_qkv();
        if !biases.is_empty() && biases.len() != all {
            return Err(Error::new(
                Code::DamagedFile,
                format!("not all biases of attention are there in layer {layer}"),
            ));
        }
        blocks.push(Block {
            ln: norm(tensors, &at(names.norms[0]), d, false)?,
            qkv: Linear { w: transposed(&rows, d), b: Some(biases).filter(|b| !b.is_empty()) },
            o: linear(tensors, &at(names.o), heads[0] * width, d)?,
            mlp: Some(Mlp {
                ln: norm(tensors, &at(names.norms[1]), d, false)?,
                gate: Some(linear(tensors, &at(names.mlp[0]), d, m)?),
                w_in: linear(tensors, &at(names.mlp[1]), d, m)?,
                w_out: linear(tensors, &at(names.mlp[2]), m, d)?,
                mid: None,
            }),
        });
    }
    let matrix = |tensors: &mut Tensors, name: &str| tensors.take(&format!("{name}.weight"), &[v, d]);
    Ok(Weights {
        w_e: matrix(tensors, names.embedding)?,
        w_pos: None,
        blocks,
        ln_final: norm(tensors, names.final_norm, d, false)?,
        w_u: if config.architecture.tied { None } else { Some(matrix(tensors, names.unembedding)?) },
        b_u: None,
    })
}

/// In each head, from pairs of neighbors to a value and the one half a head after it; `d` values a row.
fn halves(rows: &[f32], d: usize, width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(width * d) {
        for first in [0, 1] {
            (first..width).step_by(2).for_each(|row| out.extend_from_slice(&head[row * d..(row + 1) * d]));
        }
    }
    out
}
