//! Byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2), by the tokenizers crate.

use std::sync::Arc;

use rayon::prelude::*;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::{Corpus, DOCUMENT_MARKER};
use crate::error::{Code, Error, Result};

/// A trained tokenizer. Cheap to copy.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    bos: u32,
}

fn failed(error: tokenizers::Error) -> Error {
    Error::new(Code::Internal, "the tokenizer failed").fact("reason", error)
}

impl Tokenizer {
    /// Learns a byte-level BPE of `d_vocab` tokens, [`DOCUMENT_MARKER`] being token 0. The same text gives the same tokens.
    ///
    /// # Errors
    /// `out-of-range` when `d_vocab` cannot hold the 256 bytes and the marker, or the text is too small for it.
    pub fn train(corpus: &Corpus, d_vocab: usize) -> Result<Self> {
        if !(257..=65_536).contains(&d_vocab) {
            return Err(
                Error::new(Code::OutOfRange, "`d_vocab` must lie between 257 and 65,536").fact("given", d_vocab)
            );
        }
        let mut inner = Inner::new(ModelWrapper::BPE(BPE::default()));
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        let trainer = BpeTrainer::builder()
            .vocab_size(d_vocab)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(vec![AddedToken::from(DOCUMENT_MARKER, true)])
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        inner
            .train(&mut TrainerWrapper::BpeTrainer(trainer), corpus.documents().iter().map(String::as_str))
            .map_err(failed)?;
        if inner.get_vocab_size(true) != d_vocab {
            return Err(Error::new(Code::OutOfRange, "the corpus is too small for this vocabulary")
                .fact("d_vocab", d_vocab)
                .fact("tokens found", inner.get_vocab_size(true))
                .help(format!("try `d_vocab: {}`", inner.get_vocab_size(true))));
        }
        Tokenizer::wrap(inner)
    }

    fn wrap(inner: Inner) -> Result<Self> {
        let bos = inner
            .token_to_id(DOCUMENT_MARKER)
            .ok_or_else(|| Error::new(Code::Unsupported, format!("the tokenizer has no token {DOCUMENT_MARKER}")))?;
        Ok(Tokenizer { inner: Arc::new(inner), bos })
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// `damaged-file` when it is none.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let inner = Inner::from_bytes(json)
            .map_err(|e| Error::new(Code::DamagedFile, "not a tokenizer.json").fact("reason", e))?;
        Tokenizer::wrap(inner)
    }

    /// The `tokenizer.json`.
    ///
    /// # Errors
    /// `internal` when the library cannot write it.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(failed)
    }

    /// How many tokens there are.
    pub fn d_vocab(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The token that begins every context and separates documents.
    pub fn bos(&self) -> u32 {
        self.bos
    }

    /// The tokens of a text; no token is added.
    ///
    /// # Errors
    /// `internal` when the library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// All documents in order, each followed by [`Tokenizer::bos`].
    ///
    /// # Errors
    /// `internal` when the library fails.
    pub fn stream(&self, corpus: &Corpus) -> Result<Vec<u32>> {
        let encode = |document: &String| {
            let mut ids = self.encode(document)?;
            ids.push(self.bos);
            Ok(ids)
        };
        let documents: Vec<Vec<u32>> = corpus.documents().par_iter().map(encode).collect::<Result<_>>()?;
        Ok(documents.concat())
    }

    /// The text of these tokens; bytes that are no UTF-8 become the replacement character.
    ///
    /// # Errors
    /// `internal` when the library fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(failed)
    }
}
