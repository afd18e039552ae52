//! Byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2), and the tokenizers of other models, by the tokenizers crate.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
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
    marks: Marks,
}

/// The tokens that are not text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// The token that begins every context, if one does. Token 0 is a token like any other.
    pub bos: Option<u32>,
    /// The token that follows every document.
    pub separator: u32,
    /// Where this is written.
    pub from: String,
}

fn failed(error: tokenizers::Error) -> Error {
    Error::new(Code::Internal, "the tokenizer failed").fact("reason", error)
}

/// The library panics on JSON that ends too early in some places, and on a damaged table of precompiled characters: look first.
fn parse(json: &[u8]) -> Result<Inner> {
    let damaged =
        |why: &dyn std::fmt::Display| Error::new(Code::DamagedFile, "not a tokenizer.json").fact("reason", why);
    let whole: serde_json::Value = serde_json::from_slice(json).map_err(|e| damaged(&e))?;
    if whole["normalizer"].to_string().contains("\"Precompiled\"") {
        return Err(Error::new(Code::Unsupported, "a tokenizer with a precompiled normalizer"));
    }
    Inner::from_bytes(json).map_err(|e| damaged(&e))
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
        let marker = inner
            .token_to_id(DOCUMENT_MARKER)
            .ok_or_else(|| Error::new(Code::Unsupported, format!("the tokenizer has no token {DOCUMENT_MARKER}")))?;
        let marks = Marks { bos: Some(marker), separator: marker, from: DOCUMENT_MARKER.to_string() };
        Ok(Tokenizer { inner: Arc::new(inner), marks })
    }

    /// Reads a `tokenizer.json` of ours.
    ///
    /// # Errors
    /// `damaged-file` when it is none, `unsupported` when it lacks the marker.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        Tokenizer::wrap(parse(json)?)
    }

    /// Reads a `tokenizer.json` of another tool; `marks` finds its marks with a look-up of ids by token.
    ///
    /// # Errors
    /// `damaged-file` when it is none, and what `marks` returns.
    pub fn from_foreign(
        json: &[u8],
        marks: impl FnOnce(&dyn Fn(&str) -> Option<u32>) -> Result<Marks>,
    ) -> Result<Self> {
        let inner = parse(json)?;
        let marks = marks(&|token| inner.token_to_id(token))?;
        Ok(Tokenizer { inner: Arc::new(inner), marks })
    }

    /// The same tokenizer with or without a token at the beginning of every context.
    pub fn with_bos(&self, bos: Option<u32>, from: &str) -> Self {
        let marks = Marks { bos, separator: self.marks.separator, from: from.to_string() };
        Tokenizer { inner: self.inner.clone(), marks }
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

    /// One more than the highest id of a token.
    pub fn id_bound(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// The text of a token, as the vocabulary has it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The tokens that are not text.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The token that begins every context, if one does.
    pub fn bos(&self) -> Option<u32> {
        self.marks.bos
    }

    /// The token that follows every document.
    pub fn separator(&self) -> u32 {
        self.marks.separator
    }

    /// The tokens of a text; no token is added.
    ///
    /// # Errors
    /// `internal` when the library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.inner.encode_fast(text, false).map_err(failed)?.get_ids().to_vec())
    }

    /// All documents in order, each followed by [`Tokenizer::separator`].
    ///
    /// # Errors
    /// `internal` when the library fails.
    pub fn stream(&self, corpus: &Corpus) -> Result<Vec<u32>> {
        let encode = |document: &String| {
            let mut ids = self.encode(document)?;
            ids.push(self.marks.separator);
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
