//! A saerun model folder: `config.json`, `model.safetensors` (TransformerLens names and shapes), `tokenizer.json`.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::family::transformer_lens;
use super::load::{self, no_model, safetensors as tensors, tensors::Tensors};
use super::{Config, TargetModel};
use crate::corpus::Tokenizer;
use crate::error::{Code, Error, Result};
use crate::input;

/// The files of a model folder, by name. A tensor is stored as f16 where that keeps its values, as f32 else.
///
/// # Errors
/// `internal` when a part cannot be written.
pub fn to_files(model: &TargetModel) -> Result<Vec<(String, Vec<u8>)>> {
    let config = serde_json::to_string_pretty(model.config())
        .map_err(|e| Error::new(Code::Internal, "cannot write the configuration").fact("reason", e))?;
    let named = transformer_lens::write(model.config(), model.weights());
    let stored: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = named
        .into_iter()
        .map(|(name, shape, values)| {
            let (dtype, bytes) = encoded(&values);
            (name, shape, dtype, bytes)
        })
        .collect();
    let views: Vec<(&str, TensorView<'_>)> = stored
        .iter()
        .map(|(name, shape, dtype, bytes)| {
            Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).map_err(unwritable)?))
        })
        .collect::<Result<_>>()?;
    let weights = safetensors::serialize(views, None).map_err(unwritable)?;
    Ok(vec![
        ("config.json".to_string(), format!("{config}\n").into_bytes()),
        ("model.safetensors".to_string(), weights),
        ("tokenizer.json".to_string(), model.tokenizer().to_json()?.into_bytes()),
    ])
}

/// The values in the shortest form that keeps them.
fn encoded(values: &[f32]) -> (Dtype, Vec<u8>) {
    if values.iter().all(|&x| half::f16::from_f32(x).to_f32() == x) {
        return (Dtype::F16, values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect());
    }
    (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

fn unwritable(error: safetensors::SafeTensorError) -> Error {
    Error::new(Code::Internal, "cannot write safetensors").fact("reason", error)
}

/// Reads a model folder.
///
/// # Errors
/// `missing-file`, `damaged-file`, `shape-mismatch`.
pub fn load_dir(dir: &Path) -> Result<TargetModel> {
    let read = |name: &str| {
        input::read(&dir.join(name)).map_err(|error| match error.code {
            Code::MissingFile => no_model(dir, &format!("no `{name}` in it")),
            _ => error,
        })
    };
    let name = dir.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    from_bytes(&name, &read("config.json")?, &read("model.safetensors")?, &read("tokenizer.json")?)
}

/// A model of the bytes of its three files.
///
/// # Errors
/// `damaged-file` when they do not fit together, `shape-mismatch` for a tensor.
pub fn from_bytes(name: &str, config: &[u8], weights: &[u8], tokenizer: &[u8]) -> Result<TargetModel> {
    let damaged = |file: &str, why: String| {
        Error::new(Code::DamagedFile, format!("`{name}/{file}` is damaged")).fact("reason", why)
    };
    let config: Config = load::json(&format!("{name}/config.json"), config)?;
    config.check()?;
    let tokenizer = match &config.architecture.marks {
        None => Tokenizer::from_json(tokenizer)?,
        Some(marks) => Tokenizer::from_foreign(tokenizer, |_| Ok(marks.clone()))?,
    };
    let marks = tokenizer.marks();
    let bound = marks.bos.into_iter().chain([marks.separator]).max().map_or(0, |id| id as usize + 1);
    if bound > config.d_vocab {
        return Err(damaged("tokenizer.json", format!("{bound} tokens where the model has {}", config.d_vocab)));
    }
    let tokenizer = tokenizer.for_model(config.d_vocab)?;
    let mut file = Tensors::new(&format!("{name}/model.safetensors"));
    tensors::add(&mut file, &format!("{name}/model.safetensors"), weights)?;
    let weights = transformer_lens::read(&config, &mut file)?;
    Ok(TargetModel::new(name.to_string(), config, weights, tokenizer, Vec::new()))
}
