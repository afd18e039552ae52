//! TransformerLens' names and shapes: its own models (gelu-1l and its kin), and the files that saerun writes.
//!
//! `W_Q` and its kin are `[n_heads, d_model, d_head]`, `W_O` `[n_heads, d_head, d_model]`; matrices multiply on the right.

use crate::error::{Code, Error, Result};
use crate::model::architecture::{Architecture, Family, MlpKind, Positions};
use crate::model::config::{ActFn, Config};
use crate::model::load::json::Json;
use crate::model::load::tensors::{Tensors, transposed};
use crate::model::weights::{Block, Linear, Mlp, Norm, Weights};

/// Whether these are TransformerLens' names.
pub fn is(tensors: &Tensors) -> bool {
    tensors.has("embed.W_E")
}

/// The configuration of one of TransformerLens' own models: sizes by its tensors, the rest by `config.json`.
pub fn config(json: &Json<'_>, tensors: &Tensors) -> Result<Config> {
    let odd = |name: &str| Error::new(Code::ShapeMismatch, format!("`{name}` has another rank than TransformerLens'"));
    let &[d_vocab, d_model] = tensors.shape("embed.W_E")? else { return Err(odd("embed.W_E")) };
    let &[n_ctx, _] = tensors.shape("pos_embed.W_pos")? else { return Err(odd("pos_embed.W_pos")) };
    let &[n_heads, _, d_head] = tensors.shape("blocks.0.attn.W_Q")? else { return Err(odd("blocks.0.attn.W_Q")) };
    let d_mlp =
        if tensors.has("blocks.0.mlp.W_in") { tensors.shape("blocks.0.mlp.W_in")?.last().copied() } else { None };
    let normalization = json.text("normalization_type").or_else(|| json.text("normalization")).unwrap_or("LN");
    let positions = json.text("positional_embedding_type").unwrap_or("standard");
    if !["LN", "LNPre"].contains(&normalization) || positions != "standard" {
        return Err(Error::new(Code::Unsupported, "a model of TransformerLens of another kind")
            .fact("expected", "normalization LN, positions standard")
            .fact("given", format!("normalization {normalization}, positions {positions}")));
    }
    json.only("final_rms", false)?;
    json.only("shortformer_pos", false)?;
    let named = json.get("act_fn").is_some();
    let act_fn = match d_mlp {
        None => ActFn::Gelu,
        Some(_) if named => json.act_fn("act_fn")?,
        // Only solu_ln has a LayerNorm inside the MLP.
        Some(_) if tensors.has("blocks.0.mlp.ln.w") => ActFn::SoluLn,
        Some(_) => {
            return Err(Error::new(Code::Unsupported, "nothing says which activation function the MLP has")
                .help("put a config.json with `act_fn` beside the weights"));
        }
    };
    Ok(Config {
        n_layers: tensors.layers("blocks.{}.attn.W_Q"),
        d_model,
        n_heads,
        d_mlp: d_mlp.unwrap_or(0),
        act_fn,
        n_ctx,
        d_vocab,
        trained_on: "unknown".to_string(),
        tokens: 0,
        seed: 0,
        ce_loss: None,
        architecture: Architecture {
            family: Family::TransformerLens,
            norm_epsilon: json.number("eps", 1e-5)? as f32,
            d_head: Some(d_head),
            mlp: if d_mlp.is_some() { MlpKind::Plain } else { MlpKind::None },
            tied: false,
            ..Architecture::default()
        },
    })
}

/// The weights. Masks and other buffers are left alone. Biases that are not there are zero, and the weights of a LayerNorm that was
/// folded into what reads it are 1; only our own files must be complete.
pub fn read(config: &Config, tensors: &mut Tensors) -> Result<Weights> {
    let (d, m, v, w) = (config.d_model, config.d_mlp, config.d_vocab, config.d_head());
    let a = &config.architecture;
    let complete = a.family == Family::Saerun;
    let folded = !complete && a.family == Family::TransformerLens;
    let bias = |tensors: &mut Tensors, name: &str, shape: &[usize]| match complete {
        true => tensors.take(name, shape).map(Some),
        false => tensors.take_if(name, shape),
    };
    let norm = |tensors: &mut Tensors, name: &str, d: usize| {
        let weight = match folded && !tensors.has(&format!("{name}.w")) {
            true => vec![1.0; d],
            false => tensors.take(&format!("{name}.w"), &[d])?,
        };
        Ok::<_, Error>(Norm { weight, bias: bias(tensors, &format!("{name}.b"), &[d])? })
    };
    let mut blocks = Vec::new();
    for layer in 0..config.n_layers {
        let at = |name: &str| format!("blocks.{layer}.{name}");
        let ln = norm(tensors, &at("ln1"), d)?;
        let (mut rows, mut biases) = (Vec::new(), Vec::new());
        for (part, heads) in [("Q", config.n_heads), ("K", config.n_kv_heads()), ("V", config.n_kv_heads())] {
            for head in tensors.take(&at(&format!("attn.W_{part}")), &[heads, d, w])?.chunks_exact(d * w) {
                rows.extend(transposed(head, w));
            }
            let zeros = || vec![0.0; heads * w];
            biases.extend(bias(tensors, &at(&format!("attn.b_{part}")), &[heads, w])?.unwrap_or_else(zeros));
        }
        // A model without these biases stays one: what is written is what was read.
        let biases = Some(biases).filter(|b| complete || b.iter().any(|b| *b != 0.0));
        let mlp = match a.mlp {
            MlpKind::None => None,
            kind => Some(Mlp {
                ln: norm(tensors, &at("ln2"), d)?,
                gate: match kind {
                    MlpKind::Gated => Some(Linear { w: tensors.take(&at("mlp.W_gate"), &[d, m])?, b: None }),
                    _ => None,
                },
                w_in: Linear { w: tensors.take(&at("mlp.W_in"), &[d, m])?, b: bias(tensors, &at("mlp.b_in"), &[m])? },
                w_out: Linear {
                    w: tensors.take(&at("mlp.W_out"), &[m, d])?,
                    b: bias(tensors, &at("mlp.b_out"), &[d])?,
                },
                mid: if tensors.has(&at("mlp.ln.w")) { Some(norm(tensors, &at("mlp.ln"), m)?) } else { None },
            }),
        };
        blocks.push(Block {
            ln,
            qkv: Linear { w: transposed(&rows, d), b: biases },
            o: Linear {
                w: tensors.take(&at("attn.W_O"), &[config.n_heads, w, d])?,
                b: bias(tensors, &at("attn.b_O"), &[d])?,
            },
            mlp,
        });
    }
    let w_u = if a.tied { None } else { Some(transposed(&tensors.take("unembed.W_U", &[d, v])?, v)) };
    Ok(Weights {
        w_e: tensors.take("embed.W_E", &[v, d])?,
        w_pos: match a.positions {
            Positions::Learned => Some(tensors.take("pos_embed.W_pos", &[config.n_ctx, d])?),
            Positions::Rotary { .. } => None,
        },
        blocks,
        ln_final: norm(tensors, "ln_final", d)?,
        w_u,
        b_u: tensors.take_if("unembed.b_U", &[v])?.filter(|b| b.iter().any(|b| *b != 0.0)),
    })
}

/// A tensor to be written: name, shape, values.
pub type Named = (String, Vec<usize>, Vec<f32>);

/// The weights under their names, as [`read`] takes them back.
pub fn write(config: &Config, weights: &Weights) -> Vec<Named> {
    let (d, m, v, w) = (config.d_model, config.d_mlp, config.d_vocab, config.d_head());
    let mut all: Vec<Named> = Vec::new();
    let mut put = |name: String, shape: &[usize], values: Option<&[f32]>| {
        all.extend(values.map(|values| (name, shape.to_vec(), values.to_vec())));
    };
    put("embed.W_E".into(), &[v, d], Some(&weights.w_e));
    put("pos_embed.W_pos".into(), &[config.n_ctx, d], weights.w_pos.as_deref());
    for (layer, block) in weights.blocks.iter().enumerate() {
        let at = |name: &str| format!("blocks.{layer}.{name}");
        put(at("ln1.w"), &[d], Some(&block.ln.weight));
        put(at("ln1.b"), &[d], block.ln.bias.as_deref());
        let rows = transposed(&block.qkv.w, config.d_qkv());
        let mut from = 0;
        for (part, heads) in [("Q", config.n_heads), ("K", config.n_kv_heads()), ("V", config.n_kv_heads())] {
            let to = from + heads * w;
            let heads_of: Vec<f32> =
                rows[from * d..to * d].chunks_exact(w * d).flat_map(|head| transposed(head, d)).collect();
            put(at(&format!("attn.W_{part}")), &[heads, d, w], Some(&heads_of));
            put(at(&format!("attn.b_{part}")), &[heads, w], block.qkv.b.as_ref().map(|b| &b[from..to]));
            from = to;
        }
        put(at("attn.W_O"), &[config.n_heads, w, d], Some(&block.o.w));
        put(at("attn.b_O"), &[d], block.o.b.as_deref());
        let Some(mlp) = &block.mlp else { continue };
        put(at("ln2.w"), &[d], Some(&mlp.ln.weight));
        put(at("ln2.b"), &[d], mlp.ln.bias.as_deref());
        put(at("mlp.W_in"), &[d, m], Some(&mlp.w_in.w));
        put(at("mlp.b_in"), &[m], mlp.w_in.b.as_deref());
        put(at("mlp.W_out"), &[m, d], Some(&mlp.w_out.w));
        put(at("mlp.b_out"), &[d], mlp.w_out.b.as_deref());
        put(at("mlp.W_gate"), &[d, m], mlp.gate.as_ref().map(|gate| &gate.w[..]));
        put(at("mlp.ln.w"), &[m], mlp.mid.as_ref().map(|mid| &mid.weight[..]));
        put(at("mlp.ln.b"), &[m], mlp.mid.as_ref().and_then(|mid| mid.bias.as_deref()));
    }
    put("ln_final.w".into(), &[d], Some(&weights.ln_final.weight));
    put("ln_final.b".into(), &[d], weights.ln_final.bias.as_deref());
    let w_u = weights.w_u.as_ref().map(|w_u| transposed(w_u, d));
    put("unembed.W_U".into(), &[d, v], w_u.as_deref());
    put("unembed.b_U".into(), &[v], weights.b_u.as_deref());
    all
}
