//! Target models: the language models whose activations are read.
//!
//! A family of models is a member of [`Family`] and a file of `family/` that maps its names and shapes to one common form:
//! [`Config`] says how to run it, [`weights::Weights`] holds the values, and one forward pass runs them all, with hooks by
//! TransformerLens names. The formats in which weights come lie in `load/`.
//!
//! The crate candle-mi has hooked models too, under the same names. It is not used: it knows no GPT-2, GPT-NeoX, TransformerLens weights
//! or `.gguf`, brings tokio and a download client into every build, and computes in tensors where saerun has kernels that fix their bits.

pub mod architecture;
mod autograd;
pub mod config;
mod describe;
mod embedded;
mod evaluate;
mod family;
pub mod files;
mod generate;
mod inference;
pub mod load;
pub mod ngram;
pub mod train;
pub mod transformer;
pub mod weights;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::Tensor;

use crate::corpus::{Corpus, Tokenizer};
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::cross_entropy::NO_TARGET;
use crate::rng::Rng;

pub use architecture::{Architecture, Family};
pub use config::{ActFn, Config};
pub use embedded::list;
pub use evaluate::{LossOptions, Patch, PatchScore, PatchedLosses};
pub use generate::GenerateOptions;
use inference::Inference;
pub use load::LoadOptions;
pub use train::{HistoryRow, TrainOptions, train};
use transformer::Parameters;
use weights::Weights;

/// A target model with its tokenizer. Cheap to copy.
#[derive(Clone)]
pub struct TargetModel(Arc<Inner>);

struct Inner {
    name: String,
    config: Config,
    weights: Weights,
    tokenizer: Tokenizer,
    history: Vec<HistoryRow>,
    digest: OnceLock<String>,
    identity: OnceLock<String>,
    inference: OnceLock<Inference>,
    /// The tokens of the last corpora, by digest: a script asks for the same ones again and again, and text is slow to cut.
    streams: Mutex<Vec<(String, Arc<Vec<u32>>)>>,
}

/// Corpora whose tokens are kept: one to train on, one to test on.
const STREAMS: usize = 2;

impl TargetModel {
    /// A model of these parts.
    pub fn new(name: String, config: Config, weights: Weights, tokenizer: Tokenizer, history: Vec<HistoryRow>) -> Self {
        let (digest, identity, inference) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let streams = Mutex::default();
        let inner = Inner { name, config, weights, tokenizer, history, digest, identity, inference, streams };
        TargetModel(Arc::new(inner))
    }

    /// An embedded model by name, or the weights at a path; see [`load::path`].
    ///
    /// # Errors
    /// Those of [`load::path`].
    pub fn load(name_or_path: &str) -> Result<Self> {
        TargetModel::load_with(name_or_path, &LoadOptions::default())
    }

    /// As [`TargetModel::load`], with options.
    ///
    /// # Errors
    /// Those of [`load::path`].
    pub fn load_with(name_or_path: &str, options: &LoadOptions) -> Result<Self> {
        match embedded::load(name_or_path) {
            Some(model) => load::with_options(model?, options),
            None => load::path(std::path::Path::new(name_or_path), options),
        }
    }

    /// Its name: an embedded model's, or its folder's.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its shape.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Its weights.
    pub fn weights(&self) -> &Weights {
        &self.0.weights
    }

    /// Its parameters as tensors, for the readable path.
    ///
    /// # Errors
    /// `unsupported` for another architecture than that of `model::train`.
    pub fn parameters(&self) -> Result<Parameters<Tensor>> {
        self.weights().parameters(self.config())
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// The model ready to run; made when first asked for.
    fn inference(&self) -> &Inference {
        self.0.inference.get_or_init(|| Inference::new(self.config(), self.weights()))
    }

    /// How its training went; empty for a loaded model.
    pub fn history(&self) -> &[HistoryRow] {
        &self.0.history
    }

    /// The same model with the history of its training.
    pub fn with_history(self, history: Vec<HistoryRow>) -> Self {
        let (name, config) = (self.name().to_string(), self.config().clone());
        TargetModel::new(name, config, self.weights().clone(), self.tokenizer().clone(), history)
    }

    /// The same model with a held-out cross-entropy, nats a token, in its configuration.
    pub fn with_ce_loss(&self, ce_loss: f64) -> Self {
        let config = Config { ce_loss: Some(ce_loss), ..self.config().clone() };
        let (weights, tokenizer) = (self.weights().clone(), self.tokenizer().clone());
        TargetModel::new(self.name().to_string(), config, weights, tokenizer, self.history().to_vec())
    }

    /// The names of its hooks.
    pub fn hooks(&self) -> Vec<String> {
        transformer::hooks(self.config())
    }

    /// The width of the rows at a hook.
    ///
    /// # Errors
    /// `unknown-name`.
    pub fn hook_width(&self, hook: &str) -> Result<usize> {
        transformer::hook_width(self.config(), hook)
    }

    /// BLAKE3 of configuration, tokenizer and weights, in hex.
    ///
    /// # Errors
    /// `internal` when a part cannot be read.
    pub fn digest(&self) -> Result<&str> {
        if let Some(digest) = self.0.digest.get() {
            return Ok(digest);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(serde_json::to_string(self.config()).unwrap_or_default().as_bytes());
        hasher.update(self.tokenizer().to_json()?.as_bytes());
        self.weights().each(&mut |values| {
            values.chunks(1 << 16).for_each(|part| {
                let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
                hasher.update(&bytes);
            });
        });
        Ok(self.0.digest.get_or_init(|| hasher.finalize().to_hex().to_string()))
    }

    /// BLAKE3, in hex, of the weights that no option of loading changes: the queries, keys and values, and what reads into the MLP. Two
    /// loads of one model share it, centered or not and whatever their names and contexts; two models do not.
    pub fn identity(&self) -> &str {
        self.0.identity.get_or_init(|| {
            let mut hasher = blake3::Hasher::new_derive_key("saerun 1 identity of a model");
            for block in &self.weights().blocks {
                for values in [Some(&block.qkv.w), block.mlp.as_ref().map(|mlp| &mlp.w_in.w)].into_iter().flatten() {
                    values.chunks(1 << 16).for_each(|part| {
                        let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
                        hasher.update(&bytes);
                    });
                }
            }
            hasher.finalize().to_hex().to_string()
        })
    }

    /// Whole contexts of `n_ctx` token ids, the first of each the token that begins contexts (where one does), from the corpus in an order drawn by
    /// `seed`: at least `tokens` ids, or all that the corpus has.
    ///
    /// # Errors
    /// `out-of-range` when the corpus does not fill one context, or has fewer than `tokens`.
    pub fn contexts(&self, corpus: &Corpus, tokens: Option<usize>, seed: u64) -> Result<Vec<u32>> {
        let n_ctx = self.config().n_ctx;
        let stream = self.stream(corpus)?;
        let first = self.tokenizer().bos();
        let text = n_ctx - usize::from(first.is_some());
        let available = stream.len() / text;
        let wanted = tokens.map_or(available, |t| t.div_ceil(n_ctx));
        if available == 0 || wanted > available || wanted == 0 {
            return Err(Error::new(
                Code::OutOfRange,
                format!("the corpus `{}` cannot fill the contexts", corpus.name()),
            )
            .fact("tokens asked for", wanted.saturating_mul(n_ctx))
            .fact("tokens there", available * n_ctx)
            .help(format!("ask for at most {} tokens", available * n_ctx)));
        }
        memory::check_shape("the contexts", &[wanted, n_ctx], "ask for fewer tokens")?;
        let order = Rng::new(seed, "contexts").permutation(available);
        let mut ids = Vec::with_capacity(wanted * n_ctx);
        for &context in &order[..wanted] {
            let from = context as usize * text;
            ids.extend(first);
            ids.extend(&stream[from..from + text]);
        }
        Ok(ids)
    }

    /// The tokens of a corpus.
    fn stream(&self, corpus: &Corpus) -> Result<Arc<Vec<u32>>> {
        let mut kept = self.0.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(digest, _)| digest == corpus.digest()).map(|(_, stream)| Arc::clone(stream));
        if let Some(stream) = found {
            return Ok(stream);
        }
        let stream = Arc::new(self.tokenizer().stream(corpus)?);
        kept.truncate(STREAMS - 1);
        kept.insert(0, (corpus.digest().to_string(), Arc::clone(&stream)));
        Ok(stream)
    }

    /// For each position of whole contexts its next token, or none at a context's end.
    fn targets(&self, contexts: &[u32]) -> Vec<u32> {
        let n_ctx = self.config().n_ctx;
        let next = |(i, _): (usize, &u32)| if (i + 1) % n_ctx == 0 { NO_TARGET } else { contexts[i + 1] };
        contexts.iter().enumerate().map(next).collect()
    }
}
