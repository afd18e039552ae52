//! A saerun model folder: `config.json`, `model.safetensors` (f16, TransformerLens names and shapes), `tokenizer.json`.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::autograd::with_values;
use super::transformer::{Block, Parameters};
use super::{Config, TargetModel};
use crate::corpus::Tokenizer;
use crate::error::{Code, Error, Result};

/// The files of a model folder, by name.
///
/// # Errors
/// `internal` when a part cannot be written.
pub fn to_files(model: &TargetModel) -> Result<Vec<(String, Vec<u8>)>> {
    let config = serde_json::to_string_pretty(model.config())
        .map_err(|e| Error::new(Code::Internal, "cannot write the configuration").fact("reason", e))?;
    let mut tensors = Vec::new();
    for (name, tensor) in to_transformer_lens(model.config(), model.parameters())? {
        let bytes: Vec<u8> =
            with_values(&tensor, |values| values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect())?;
        tensors.push((name, tensor.dims().to_vec(), bytes));
    }
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name.as_str(), TensorView::new(Dtype::F16, shape.clone(), bytes).map_err(unwritable)?))
        })
        .collect::<Result<_>>()?;
    let weights = safetensors::serialize(views, None).map_err(unwritable)?;
    Ok(vec![
        ("config.json".to_string(), format!("{config}\n").into_bytes()),
        ("model.safetensors".to_string(), weights),
        ("tokenizer.json".to_string(), model.tokenizer().to_json()?.into_bytes()),
    ])
}

fn unwritable(error: safetensors::SafeTensorError) -> Error {
    Error::new(Code::Internal, "cannot write safetensors").fact("reason", error)
}

/// Reads a model folder.
///
/// # Errors
/// `missing-file`, `damaged-file`.
pub fn load_dir(dir: &Path) -> Result<TargetModel> {
    let read = |name: &str| {
        std::fs::read(dir.join(name)).map_err(|e| {
            let known = super::list();
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let error = Error::new(Code::MissingFile, format!("no model `{}`", dir.display()))
                .fact("reason", format!("{name}: {}", e.to_string().to_lowercase()));
            match crate::error::nearest(&dir.file_name().unwrap_or_default().to_string_lossy(), &names) {
                Some(name) => error.help(format!("did you mean the embedded model `{name}`?")),
                None => error.help(format!("give a model folder, or an embedded model: {}", names.join(", "))),
            }
        })
    };
    let name = dir.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    from_bytes(&name, &read("config.json")?, &read("model.safetensors")?, &read("tokenizer.json")?)
}

/// A model of the bytes of its three files.
///
/// # Errors
/// `damaged-file` when they do not fit together.
pub fn from_bytes(name: &str, config: &[u8], weights: &[u8], tokenizer: &[u8]) -> Result<TargetModel> {
    let damaged = |file: &str, why: String| {
        Error::new(Code::DamagedFile, format!("`{name}/{file}` is damaged")).fact("reason", why)
    };
    let config: Config = serde_json::from_slice(config).map_err(|e| damaged("config.json", e.to_string()))?;
    config.check()?;
    let tokenizer = Tokenizer::from_json(tokenizer)?;
    if tokenizer.d_vocab() > config.d_vocab {
        let why = format!("{} tokens where the model has {}", tokenizer.d_vocab(), config.d_vocab);
        return Err(damaged("tokenizer.json", why));
    }
    let file = SafeTensors::deserialize(weights).map_err(|e| damaged("model.safetensors", e.to_string()))?;
    let parameters = from_transformer_lens(&config, &mut |tensor, shape| {
        let view = file.tensor(tensor).map_err(|_| damaged("model.safetensors", format!("no tensor `{tensor}`")))?;
        let expected: &[usize] = shape;
        if view.shape() != expected {
            let why = format!("`{tensor}` has shape {:?}, not {expected:?}", view.shape());
            return Err(damaged("model.safetensors", why));
        }
        let values: Vec<f32> = match view.dtype() {
            Dtype::F16 => {
                view.data().as_chunks::<2>().0.iter().map(|x| half::f16::from_le_bytes(*x).to_f32()).collect()
            }
            Dtype::F32 => view.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect(),
            other => return Err(damaged("model.safetensors", format!("`{tensor}` is {other:?}, not F16 or F32"))),
        };
        if values.iter().any(|x| !x.is_finite()) {
            return Err(damaged("model.safetensors", format!("`{tensor}` holds values that are not finite")));
        }
        Ok(Tensor::from_vec(values, expected, &Device::Cpu)?)
    })?;
    Ok(TargetModel::new(name.to_string(), config, parameters, tokenizer, Vec::new()))
}

/// The parameters under TransformerLens names and shapes: `W_Q` and its kin are `[n_heads, d_model, d_head]`.
fn to_transformer_lens(config: &Config, p: &Parameters<Tensor>) -> Result<Vec<(String, Tensor)>> {
    let (h, d) = (config.n_heads, config.d_model);
    let w = d / h;
    let mut all = vec![("embed.W_E".to_string(), p.w_e.clone()), ("pos_embed.W_pos".to_string(), p.w_pos.clone())];
    for (l, b) in p.blocks.iter().enumerate() {
        let mut put = |name: &str, tensor: Tensor| all.push((format!("blocks.{l}.{name}"), tensor));
        put("ln1.w", b.ln1_w.clone());
        put("ln1.b", b.ln1_b.clone());
        for (i, part) in ["Q", "K", "V"].iter().enumerate() {
            let matrix = b.w_qkv.narrow(1, i * d, d)?.reshape((d, h, w))?.transpose(0, 1)?.contiguous()?;
            put(&format!("attn.W_{part}"), matrix);
            put(&format!("attn.b_{part}"), b.b_qkv.narrow(0, i * d, d)?.reshape((h, w))?);
        }
        put("attn.W_O", b.w_o.reshape((h, w, d))?);
        put("attn.b_O", b.b_o.clone());
        put("ln2.w", b.ln2_w.clone());
        put("ln2.b", b.ln2_b.clone());
        put("mlp.W_in", b.w_in.clone());
        put("mlp.b_in", b.b_in.clone());
        put("mlp.W_out", b.w_out.clone());
        put("mlp.b_out", b.b_out.clone());
    }
    all.push(("ln_final.w".to_string(), p.ln_final_w.clone()));
    all.push(("ln_final.b".to_string(), p.ln_final_b.clone()));
    Ok(all)
}

fn from_transformer_lens(
    config: &Config,
    get: &mut dyn FnMut(&str, &[usize]) -> Result<Tensor>,
) -> Result<Parameters<Tensor>> {
    let (h, d, m) = (config.n_heads, config.d_model, config.d_mlp);
    let w = d / h;
    let mut blocks = Vec::new();
    for l in 0..config.n_layers {
        let mut at = |name: &str, shape: &[usize]| get(&format!("blocks.{l}.{name}"), shape);
        let mut weights = Vec::new();
        let mut biases = Vec::new();
        for part in ["Q", "K", "V"] {
            weights.push(at(&format!("attn.W_{part}"), &[h, d, w])?.transpose(0, 1)?.reshape((d, d))?);
            biases.push(at(&format!("attn.b_{part}"), &[h, w])?.reshape(d)?);
        }
        blocks.push(Block {
            ln1_w: at("ln1.w", &[d])?,
            ln1_b: at("ln1.b", &[d])?,
            w_qkv: Tensor::cat(&weights, 1)?.contiguous()?.to_dtype(DType::F32)?,
            b_qkv: Tensor::cat(&biases, 0)?,
            w_o: at("attn.W_O", &[h, w, d])?.reshape((d, d))?,
            b_o: at("attn.b_O", &[d])?,
            ln2_w: at("ln2.w", &[d])?,
            ln2_b: at("ln2.b", &[d])?,
            w_in: at("mlp.W_in", &[d, m])?,
            b_in: at("mlp.b_in", &[m])?,
            w_out: at("mlp.W_out", &[m, d])?,
            b_out: at("mlp.b_out", &[d])?,
        });
    }
    Ok(Parameters {
        w_e: get("embed.W_E", &[config.d_vocab, d])?,
        w_pos: get("pos_embed.W_pos", &[config.n_ctx, d])?,
        blocks,
        ln_final_w: get("ln_final.w", &[d])?,
        ln_final_b: get("ln_final.b", &[d])?,
    })
}
