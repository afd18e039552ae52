//! Weights of other tools: the format is recognized, its tensors are read, and the family's file maps them.

pub mod gguf;
mod gguf_header;
pub(super) mod json;
mod marks;
pub mod safetensors;
pub mod tensors;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::architecture::{Family, Normalization};
use super::config::Config;
use super::family::{self, transformer_lens};
use super::weights::Weights;
use super::{TargetModel, files};
use crate::corpus::Tokenizer;
use crate::error::{Code, Error, Result};
use crate::{input, progress, torch};
use json::Json;
use tensors::Tensors;

/// The longest context that is used without being asked for: rotary positions have no table that ends.
const N_CTX: usize = 2048;

/// What `model::load` takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadOptions {
    /// Whether to take its mean over the residual stream off everything that writes to it, as TransformerLens does by default.
    pub center_writing_weights: bool,
    /// A branch, tag or commit of a name of the hub.
    pub revision: Option<String>,
    /// Positions a context; the model's own, 2048 at most, by default.
    pub n_ctx: Option<usize>,
    /// Whether a token begins every context; the family's convention by default.
    pub prepend_bos: Option<bool>,
    /// A name in place of the folder's.
    #[serde(skip)]
    pub name: Option<String>,
    /// Where the tokenizer is, when the folder has none.
    #[serde(skip)]
    pub tokenizer: Option<PathBuf>,
}

/// A model as a family's file makes it.
struct Parts {
    name: String,
    config: Config,
    weights: Weights,
    tokenizer: Tokenizer,
}

/// The model at a path: a folder (saerun's, TransformerLens' or Hugging Face's, or with one `.gguf` inside) or a file (`.gguf`, or `.pth`,
/// `.pt` and `.safetensors` with `config.json` and `tokenizer.json` beside it).
///
/// # Errors
/// `missing-file`, `damaged-file`, `shape-mismatch`, `unsupported`, `out-of-range` for sizes that make no transformer.
pub fn path(path: &Path, options: &LoadOptions) -> Result<TargetModel> {
    if path.is_dir() {
        return dir(path, options);
    }
    let beside = path.parent().unwrap_or(Path::new("."));
    match path.extension().and_then(|e| e.to_str()) {
        _ if !path.exists() => Err(no_model(path, "not found")),
        _ if !path.is_file() => Err(input::check(path).err().unwrap_or_else(|| no_model(path, "not found"))),
        Some("gguf") => gguf::load(path, options),
        Some("pth" | "pt" | "safetensors") => {
            let tensors = open(path)?;
            let config = if beside.join("config.json").is_file() { config(beside)? } else { Value::Null };
            match transformer_lens::is(&tensors) {
                true => lens(path, beside, &config, tensors, options),
                false => hugging_face(beside, config, Some(tensors), options),
            }
        }
        _ => Err(Error::new(Code::Unsupported, format!("cannot read `{}` as a model", path.display()))
            .fact("known", ".gguf, .pth, .pt, .safetensors, or a folder")),
    }
}

fn dir(dir: &Path, options: &LoadOptions) -> Result<TargetModel> {
    let with = |extensions: &[&str]| {
        let entries = dir.read_dir().into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let is = |path: &PathBuf| path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x));
        let mut found: Vec<PathBuf> = entries.filter(|path| path.is_file() && is(path)).collect();
        found.sort();
        found
    };
    let named = dir.join("config.json").is_file();
    if let (false, [one]) = (named, with(&["gguf"]).as_slice()) {
        return gguf::load(one, options);
    }
    let config = if named { config(dir)? } else { Value::Null };
    if config.get("trained_on").is_some() {
        return with_options(files::load_dir(dir)?, options);
    }
    if config.get("model_type").is_some() {
        return hugging_face(dir, config, None, options);
    }
    // TransformerLens' own repositories keep the last of several checkpoints as `*final.pth`.
    let all = with(&["pth", "pt", "safetensors"]);
    let is_last = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("final"));
    match (all.iter().find(is_last), all.as_slice()) {
        (Some(one), _) | (None, [one]) => lens(one, dir, &config, open(one)?, options),
        (None, []) if !named => Err(no_model(dir, "neither a config.json nor weights")),
        _ => Err(no_model(dir, &format!("{} files of weights and none that ends in `final`", all.len()))),
    }
}

fn open(path: &Path) -> Result<Tensors> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.extension().is_some_and(|e| e == "safetensors") {
        true => safetensors::open(path),
        false => of_torch(&name, &read(path)?),
    }
}

/// The tensors of a file that `torch.save` wrote.
///
/// # Errors
/// `damaged-file`, also when tensors that show the same numbers again make more of them than the file can mean.
pub fn of_torch(name: &str, bytes: &[u8]) -> Result<Tensors> {
    let mut tensors = Tensors::new(name);
    let mut left = 8 * bytes.len();
    for stored in torch::tensors(bytes).map_err(|reason| damaged(name, reason))? {
        progress::check_stop()?;
        let count = stored.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
        left = left.checked_sub(count).ok_or_else(|| damaged(name, format!("`{}` is too large", stored.name)))?;
        // A tensor in another order needs the places of its values.
        let turned = stored.strides != torch::row_major(&stored.shape);
        tensors::check_memory(count.saturating_mul(if turned { 4 } else { 1 }))?;
        let values = stored.values().ok_or_else(|| "it reaches beyond its values".to_string());
        tensors.add(&stored.name, &stored.shape, values);
    }
    Ok(tensors)
}

fn lens(path: &Path, dir: &Path, config: &Value, mut tensors: Tensors, options: &LoadOptions) -> Result<TargetModel> {
    let json = Json { file: "config.json", value: config };
    let read_config = transformer_lens::config(&json, &tensors)?;
    read_config.check()?;
    let weights = transformer_lens::read(&read_config, &mut tensors)?;
    let tokenizer =
        tokenizer_of(dir, options, config, &read_config).map_err(|error| match json.text("tokenizer_name") {
            Some(name) if error.code == Code::MissingFile => {
                error.help(format!("put the tokenizer.json of `{name}` there"))
            }
            _ => error,
        })?;
    // Files are called `model_final.pth`: it is the folder that has the name.
    let named = dir.file_name().or(path.file_stem());
    let name = named.unwrap_or_default().to_string_lossy().into_owned();
    finish(Parts { name, config: read_config, weights, tokenizer }, options)
}

fn hugging_face(dir: &Path, config: Value, tensors: Option<Tensors>, options: &LoadOptions) -> Result<TargetModel> {
    let json = Json { file: "config.json", value: &config };
    let member = family::find(&json)?;
    let read_config = (member.config)(&json)?;
    read_config.check()?;
    let mut tensors = tensors.map_or_else(|| safetensors::open_dir(dir), Ok)?;
    let weights = (member.read)(&read_config, &mut tensors)?;
    let tokenizer = tokenizer_of(dir, options, &config, &read_config)?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    finish(Parts { name, config: read_config, weights, tokenizer }, options)
}

/// The tokenizer of a folder, or of another one where it has none.
fn tokenizer_of(dir: &Path, options: &LoadOptions, config: &Value, of: &Config) -> Result<Tokenizer> {
    let other = options.tokenizer.as_deref().filter(|_| !dir.join("tokenizer.json").is_file());
    let place = other.unwrap_or(dir);
    let bytes = read(&place.join("tokenizer.json"))?;
    Tokenizer::from_foreign(&bytes, |id| marks::of_folder(place, config, id, of.d_vocab))
}

/// The model of some parts, once the options are applied.
fn finish(mut parts: Parts, options: &LoadOptions) -> Result<TargetModel> {
    parts.tokenizer = parts.tokenizer.for_model(parts.config.d_vocab)?;
    let own = parts.config.n_ctx;
    let n_ctx = options.n_ctx.unwrap_or(own.min(N_CTX));
    if !(2..=own).contains(&n_ctx) {
        return Err(Error::new(Code::OutOfRange, format!("`{}` has no contexts of this length", parts.name))
            .fact("expected", format!("`n_ctx` from 2 to {own}"))
            .fact("given", n_ctx));
    }
    if n_ctx != own {
        parts.config.n_ctx = n_ctx;
        parts.config.architecture.n_ctx_max = Some(parts.config.architecture.n_ctx_max.unwrap_or(own));
        let d = parts.config.d_model;
        parts.weights.w_pos.iter_mut().for_each(|w_pos| w_pos.truncate(n_ctx * d));
    }
    if let Some(prepend) = options.prepend_bos {
        let marks = parts.tokenizer.marks();
        let bos = prepend.then(|| marks.bos.unwrap_or(marks.separator));
        if bos != marks.bos {
            parts.tokenizer = parts.tokenizer.with_bos(bos, "prepend_bos");
        }
    }
    let architecture = &mut parts.config.architecture;
    if options.center_writing_weights && !architecture.center_writing_weights {
        if architecture.normalization != Normalization::Layer {
            return Err(Error::new(Code::Unsupported, "writing weights can be centered only where LayerNorm reads")
                .fact("family", architecture.family.name())
                .help("leave `center_writing_weights` out: RMSNorm does not take means off"));
        }
        architecture.center_writing_weights = true;
        architecture.tied = false;
        parts.weights.center_writing(parts.config.d_model);
    }
    if architecture.family != Family::Saerun || options.prepend_bos.is_some() {
        architecture.marks = Some(parts.tokenizer.marks().clone());
        architecture.revision.clone_from(&options.revision);
    }
    let name = options.name.clone().unwrap_or(parts.name);
    Ok(TargetModel::new(name, parts.config, parts.weights, parts.tokenizer, Vec::new()))
}

/// A model of ours with the options applied.
///
/// # Errors
/// As [`path`].
pub fn with_options(model: TargetModel, options: &LoadOptions) -> Result<TargetModel> {
    if *options == LoadOptions::default() {
        return Ok(model);
    }
    let (config, weights) = (model.config().clone(), model.weights().clone());
    finish(Parts { name: model.name().to_string(), config, weights, tokenizer: model.tokenizer().clone() }, options)
}

fn config(dir: &Path) -> Result<Value> {
    json("config.json", &read(&dir.join("config.json"))?)
}

/// The JSON in the bytes of a file of this name; some editors begin it with a byte order mark.
pub(super) fn json<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| damaged(name, error))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    input::read(path).map_err(|error| match error.code {
        Code::MissingFile => no_model(path, "there is no such file"),
        _ => error,
    })
}

pub(super) fn no_model(path: &Path, reason: &str) -> Error {
    let known = super::list();
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let error = Error::new(Code::MissingFile, format!("no model `{}`", path.display())).fact("reason", reason);
    match crate::error::nearest(&path.file_name().unwrap_or_default().to_string_lossy(), &names) {
        Some(name) => error.help(format!("did you mean the embedded model `{name}`?")),
        None => error.help(format!("give a model folder, or an embedded model: {}", names.join(", "))),
    }
}

fn damaged(file: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Code::DamagedFile, format!("`{file}` is damaged")).fact("reason", why)
}

fn unsupported(file: &str, key: &str, given: &str, known: &str) -> Error {
    Error::new(Code::Unsupported, format!("`{file}` is of a kind that saerun does not read"))
        .fact("expected", format!("{key} {known}"))
        .fact("given", given)
}
