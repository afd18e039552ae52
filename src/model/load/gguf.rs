//! Llama-architecture `.gguf` files (llama.cpp): weights dequantized to f32, sizes and tokenizer out of the metadata.

use std::io::Cursor;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};

use super::tensors::{Tensors, check_memory};
use super::{Parts, damaged, finish, gguf_header, marks, read, unsupported};
use crate::contain::contained;
use crate::corpus::{Tokenizer, Vocabulary};
use crate::error::Result;
use crate::model::architecture::{Architecture, Family, MlpKind, Normalization, Positions};
use crate::model::config::{ActFn, Config};
use crate::model::family::llama;
use crate::model::{LoadOptions, TargetModel};
use crate::{memory, progress};

/// Bytes that candle takes for a value of the metadata, its name included.
const A_VALUE: u64 = 96;

/// A model out of a file.
///
/// # Errors
/// `missing-file`, `damaged-file`, `shape-mismatch`; `unsupported` for other architectures, tokenizers and quantizations.
pub fn load(path: &Path, options: &LoadOptions) -> Result<TargetModel> {
    from_bytes(&path.file_name().unwrap_or_default().to_string_lossy(), &read(path)?, options)
}

/// A model out of the bytes of a file of this name.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(name: &str, bytes: &[u8], options: &LoadOptions) -> Result<TargetModel> {
    let values = gguf_header::check(bytes).map_err(|reason| damaged(name, reason))?;
    memory::check("the metadata of the model", values.saturating_mul(A_VALUE), "use a smaller model")?;
    let mut cursor = Cursor::new(bytes);
    let content = contained(|| Content::read(&mut cursor)).map_err(|panic| damaged(name, panic))?;
    let content = content.map_err(|e| damaged(name, first_line(&e)))?;
    let metadata = Metadata { name, content: &content };
    let config = config(&metadata)?;
    config.check()?;
    let mut tensors = Tensors::new(name);
    let mut left = 8 * bytes.len();
    let mut infos: Vec<_> = content.tensor_infos.iter().collect();
    infos.sort_by_key(|(name, _)| name.as_str());
    for (tensor, info) in infos {
        let dims = info.shape.dims();
        progress::check_stop()?;
        // Not even a bit a value: shapes that no file of this length can fill, be it by showing the same values again, or
        // whose product overflows.
        let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        match count.and_then(|n| left.checked_sub(n)) {
            Some(rest) => left = rest,
            None => return Err(damaged(name, format!("`{tensor}` has the shape {dims:?}"))),
        }
        check_memory(count.unwrap_or(usize::MAX).saturating_mul(2))?;
        let values = contained(|| {
            let values = content.tensor(&mut cursor, tensor, &Device::Cpu)?;
            values.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()
        });
        tensors.add(tensor, dims, values.and_then(|values| values.map_err(|e| first_line(&e))));
    }
    let mut config = config;
    config.architecture.tied = !tensors.has("output.weight");
    if let Positions::Rotary { width, divisors, .. } = &mut config.architecture.positions {
        let factors = tensors.take_if("rope_freqs.weight", &[*width / 2])?.unwrap_or_default();
        if !factors.is_empty() {
            *divisors = factors.into_iter().map(f64::from).collect();
        }
    }
    config.check()?;
    let weights = llama::read(&config, &mut tensors, &llama::GGUF)?;
    let (json, marks) = tokenizer(&metadata, config.d_vocab)?;
    let tokenizer = Tokenizer::from_foreign(json.as_bytes(), |_| Ok(marks))?;
    let name = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    finish(Parts { name, config, weights, tokenizer }, options)
}

fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

/// What a file says about itself, by key.
struct Metadata<'a> {
    name: &'a str,
    content: &'a Content,
}

impl Metadata<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.size_if(key)?.ok_or_else(|| damaged(self.name, format!("no `{key}`")))
    }

    fn size_if(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let size = value.to_u64().or_else(|_| value.to_i64().map(|i| u64::try_from(i).unwrap_or(u64::MAX)));
        let size = size.or_else(|_| value.to_i32().map(|i| u64::try_from(i).unwrap_or(u64::MAX)));
        let size = size.ok().and_then(|size| usize::try_from(size).ok());
        size.map(Some).ok_or_else(|| damaged(self.name, format!("`{key}` is no size")))
    }

    fn float(&self, key: &str, default: f32) -> Result<f32> {
        self.get(key).map_or(Ok(default), |v| v.to_f32().map_err(|_| damaged(self.name, format!("`{key}` is no f32"))))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|value| value.to_string().ok()).map(String::as_str)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(|value| value.to_bool().ok())
    }

    /// A list, or an empty one when there is none.
    fn list<T>(&self, key: &str, of: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let all = value.to_vec().ok().and_then(|all| all.iter().map(of).collect());
        all.ok_or_else(|| damaged(self.name, format!("`{key}` is no list of its kind")))
    }
}

fn config(m: &Metadata<'_>) -> Result<Config> {
    match m.text("general.architecture") {
        Some("llama") => {}
        other => return Err(unsupported(m.name, "architecture", other.unwrap_or("none"), "llama")),
    }
    let (d_model, n_heads) = (m.size("llama.embedding_length")?, m.size("llama.attention.head_count")?);
    let d_head = m.size_if("llama.attention.key_length")?.unwrap_or(d_model / n_heads.max(1));
    let turned = m.size_if("llama.rope.dimension_count")?.unwrap_or(d_head);
    if turned != d_head {
        return Err(unsupported(m.name, "rope.dimension_count", &turned.to_string(), &d_head.to_string()));
    }
    if m.size_if("llama.expert_count")?.unwrap_or(0) > 0 {
        return Err(unsupported(m.name, "expert_count", "a mixture of experts", "0"));
    }
    let divisors = match m.text("llama.rope.scaling.type").unwrap_or("none") {
        "none" => Vec::new(),
        "linear" => vec![f64::from(m.float("llama.rope.scaling.factor", 1.0)?); d_head / 2],
        other => return Err(unsupported(m.name, "rope.scaling.type", other, "none, linear")),
    };
    Ok(Config {
        n_layers: m.size("llama.block_count")?,
        d_model,
        n_heads,
        d_mlp: m.size("llama.feed_forward_length")?,
        act_fn: ActFn::Silu,
        n_ctx: m.size("llama.context_length")?,
        d_vocab: m.list("tokenizer.ggml.tokens", |_| Some(()))?.len(),
        trained_on: "unknown".to_string(),
        tokens: 0,
        seed: 0,
        ce_loss: None,
        architecture: Architecture {
            family: Family::Llama,
            normalization: Normalization::Rms,
            norm_epsilon: m.float("llama.attention.layer_norm_rms_epsilon", 1e-5)?,
            positions: Positions::Rotary {
                width: d_head,
                base: f64::from(m.float("llama.rope.freq_base", 10_000.0)?),
                divisors,
            },
            d_head: Some(d_head),
            n_kv_heads: m.size_if("llama.attention.head_count_kv")?,
            mlp: MlpKind::Gated,
            ..Architecture::default()
        },
    })
}

/// The tokenizer as a `tokenizer.json`, and its marks.
fn tokenizer(m: &Metadata<'_>, d_vocab: usize) -> Result<(String, crate::corpus::Marks)> {
    let tokens = m.list("tokenizer.ggml.tokens", |v| v.to_string().ok().cloned())?;
    let types = m.list("tokenizer.ggml.token_type", |v| v.to_i32().ok())?;
    let kind = m.text("tokenizer.ggml.model").unwrap_or("none");
    let vocabulary = Vocabulary { tokens: &tokens, types: &types };
    let json = match kind {
        "gpt2" => {
            let merges = m.list("tokenizer.ggml.merges", |v| v.to_string().ok().cloned())?;
            vocabulary.byte_level(&merges, m.text("tokenizer.ggml.pre").unwrap_or("default"))
        }
        "llama" => {
            let scores = m.list("tokenizer.ggml.scores", |v| v.to_f32().ok())?;
            vocabulary.sentence_piece(&scores, m.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true))
        }
        other => return Err(unsupported(m.name, "tokenizer.ggml.model", other, "gpt2, llama")),
    };
    let id = |key: &str| Ok::<_, crate::error::Error>(m.size_if(key)?.map(|id| u32::try_from(id).unwrap_or(u32::MAX)));
    let (bos, eos) = (id("tokenizer.ggml.bos_token_id")?, id("tokenizer.ggml.eos_token_id")?);
    // llama.cpp's defaults for files that do not say.
    let begins = m.flag("tokenizer.ggml.add_bos_token").unwrap_or(kind == "llama");
    let from = if begins { "tokenizer.ggml.bos_token_id" } else { "tokenizer.ggml.add_bos_token: false" };
    let marks = marks::checked(m.name, bos.filter(|_| begins), eos.or(bos), from, d_vocab)?;
    Ok((json.map_err(|e| e.fact("file", m.name))?, marks))
}
