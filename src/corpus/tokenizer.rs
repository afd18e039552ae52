//! Byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2), and the tokenizers of other models, by the tokenizers crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, NormalizedString, Normalizer, PreTokenizedString, PreTokenizer, Tokenizer as Inner};

use super::pieces::{Cuts, PIECE};
use super::tokenizer_file::{Parsed, parse};
use super::{Corpus, DOCUMENT_MARKER};
use crate::contain::contained;
use crate::error::{Code, Error, Result};
use crate::{memory, progress};

/// A trained tokenizer. Cheap to copy.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    marks: Marks,
    cuts: Cuts,
    /// How many tokens the model knows, where it is known: added tokens may lie beyond.
    d_vocab: Option<usize>,
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

/// Bytes that the library needs for a byte of the text that it is given at once.
const A_BYTE: u64 = 160;

fn failed(error: tokenizers::Error) -> Error {
    Error::new(Code::Internal, "the tokenizer failed").fact("reason", error)
}

/// What the library does with a text: its errors and panics are about a field of the file that the tokenizer came from.
fn by_file<T>(work: impl FnOnce() -> tokenizers::Result<T>, field: impl FnOnce() -> &'static str) -> Result<T> {
    let reason = match contained(work) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("the library fails on it: {panic}"),
    };
    let field = if reason.to_lowercase().contains("unk") { "model.unk_token, model.unk_id" } else { field() };
    Err(Error::new(Code::Unsupported, "the tokenizer cannot work on this text")
        .fact("reason", reason)
        .fact("field", field)
        .help("look at this field of its tokenizer.json"))
}

/// The step of the tokenizer that fails on a text.
fn culprit(inner: &Inner, text: &str) -> &'static str {
    let mut normalized = NormalizedString::from(text);
    let normalizes = contained(|| inner.get_normalizer().map_or(Ok(()), |step| step.normalize(&mut normalized)));
    if !normalizes.is_ok_and(|done| done.is_ok()) {
        return "normalizer";
    }
    let mut parts = PreTokenizedString::from(normalized);
    let divides = contained(|| inner.get_pre_tokenizer().map_or(Ok(()), |step| step.pre_tokenize(&mut parts)));
    if divides.is_ok_and(|done| done.is_ok()) { "model" } else { "pre_tokenizer" }
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
        let text = corpus.clone();
        // What the bytes of words are merged into does not depend on where the text is cut between words.
        let (inner, trained) = progress::abandonable(move || {
            let pieces = text.documents().iter().flat_map(|document| Cuts::BeforeBlank.pieces(document));
            let going = pieces.take_while(|_| !progress::stopping());
            let trained = inner.train(&mut TrainerWrapper::BpeTrainer(trainer), going).map(|_| ());
            (inner, trained)
        })?;
        trained.map_err(failed)?;
        progress::check_stop()?;
        if inner.get_vocab_size(true) != d_vocab {
            return Err(Error::new(Code::OutOfRange, "the corpus is too small for this vocabulary")
                .fact("d_vocab", d_vocab)
                .fact("tokens found", inner.get_vocab_size(true))
                .help(format!("try `d_vocab: {}`", inner.get_vocab_size(true))));
        }
        Tokenizer::wrap(inner)
    }

    fn wrap(inner: Inner) -> Result<Self> {
        let json = serde_json::from_str(&inner.to_string(false).map_err(failed)?).unwrap_or_default();
        Tokenizer::ours(Parsed { inner, json })
    }

    fn ours(parsed: Parsed) -> Result<Self> {
        let marker = parsed
            .inner
            .token_to_id(DOCUMENT_MARKER)
            .ok_or_else(|| Error::new(Code::Unsupported, format!("the tokenizer has no token {DOCUMENT_MARKER}")))?;
        let marks = Marks { bos: Some(marker), separator: marker, from: DOCUMENT_MARKER.to_string() };
        Ok(Tokenizer::of(parsed, marks))
    }

    fn of(parsed: Parsed, marks: Marks) -> Self {
        let cuts = Cuts::of(&parsed.json);
        Tokenizer { inner: Arc::new(parsed.inner), marks, cuts, d_vocab: None }
    }

    /// Reads a `tokenizer.json` of ours. What it says about batches (truncation, padding) or chance (dropout) is cleared: a text has the same
    /// tokens each time, and all of them.
    ///
    /// # Errors
    /// `damaged-file` when it is none, `unsupported` when it lacks the marker.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        Tokenizer::ours(parse(json)?)
    }

    /// Reads a `tokenizer.json` of another tool, as [`Tokenizer::from_json`]; `marks` finds its marks with a look-up of ids by token.
    ///
    /// # Errors
    /// `damaged-file` when it is none, and what `marks` returns.
    pub fn from_foreign(
        json: &[u8],
        marks: impl FnOnce(&dyn Fn(&str) -> Option<u32>) -> Result<Marks>,
    ) -> Result<Self> {
        let parsed = parse(json)?;
        let marks = marks(&|token| parsed.inner.token_to_id(token))?;
        Ok(Tokenizer::of(parsed, marks))
    }

    /// The same tokenizer for a model of `d_vocab` tokens: a text with a token beyond them is refused.
    ///
    /// # Errors
    /// `damaged-file` when more than added tokens lie beyond: it belongs to another model.
    pub fn for_model(mut self, d_vocab: usize) -> Result<Self> {
        let bound = self.inner.get_vocab(false).values().max().map_or(0, |id| *id as usize + 1);
        if bound > d_vocab {
            return Err(Error::new(Code::DamagedFile, "the tokenizer has more tokens than the model")
                .fact("tokens", bound)
                .fact("d_vocab", d_vocab)
                .help("use the tokenizer.json of this model"));
        }
        self.d_vocab = Some(d_vocab);
        Ok(self)
    }

    /// The id of a token, as the vocabulary has it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The same tokenizer with or without a token at the beginning of every context.
    pub fn with_bos(&self, bos: Option<u32>, from: &str) -> Self {
        let marks = Marks { bos, separator: self.marks.separator, from: from.to_string() };
        Tokenizer { marks, ..self.clone() }
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
    /// `unsupported` when its file does not let the tokenizer work; `out-of-range` for a token that the model does not have; `too-large`,
    /// `interrupted`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        if text.len() <= PIECE {
            return self.encode_piece(text);
        }
        self.encode_all(Arc::new(vec![text.to_string()]), None)
    }

    /// All documents in order, each followed by [`Tokenizer::separator`]. Long documents are cut where that changes no token.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn stream(&self, corpus: &Corpus) -> Result<Vec<u32>> {
        self.encode_all(corpus.shared(), Some(self.marks.separator))
    }

    fn encode_all(&self, texts: Arc<Vec<String>>, separator: Option<u32>) -> Result<Vec<u32>> {
        let tokenizer = self.clone();
        progress::abandonable(move || tokenizer.encode_here(&texts, separator))?
    }

    fn encode_here(&self, texts: &[String], separator: Option<u32>) -> Result<Vec<u32>> {
        let pieces: Vec<(&str, bool)> = texts.iter().flat_map(|text| self.pieces(text)).collect();
        self.check_pieces(&pieces)?;
        let made = AtomicU64::new(0);
        let encode = |(piece, last): &(&str, bool)| {
            progress::check_stop()?;
            let mut ids = self.encode_piece(piece)?;
            ids.extend(separator.filter(|_| *last));
            let bytes = 4 * ids.len() as u64;
            memory::check("the tokens", made.fetch_add(bytes, Ordering::Relaxed) + bytes, "use some of the corpus")?;
            Ok(ids)
        };
        let parts: Vec<Vec<u32>> = pieces.par_iter().map(encode).collect::<Result<_>>()?;
        memory::check("the tokens", 2 * made.into_inner(), "use some of the corpus")?;
        Ok(parts.concat())
    }

    /// The pieces of a document, and whether each is the last.
    fn pieces<'a>(&self, document: &'a str) -> impl Iterator<Item = (&'a str, bool)> + use<'a> {
        let pieces = self.cuts.pieces(document);
        let last = pieces.len() - 1;
        pieces.into_iter().enumerate().map(move |(i, piece)| (piece, i == last))
    }

    /// That the longest pieces, one a thread, fit into memory.
    fn check_pieces(&self, pieces: &[(&str, bool)]) -> Result<()> {
        let mut lengths: Vec<u64> =
            pieces.iter().map(|(piece, _)| piece.len() as u64).filter(|length| *length > PIECE as u64).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let together: u64 = lengths.iter().take(rayon::current_num_threads()).sum();
        let help = match self.cuts {
            Cuts::Nowhere => "this tokenizer takes a document as a whole: divide the text into shorter documents",
            _ => "divide the text into shorter documents",
        };
        memory::check("tokenizing the longest documents", together.saturating_mul(A_BYTE), help)
    }

    fn encode_piece(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = by_file(|| self.inner.encode_fast(text, false), || culprit(&self.inner, text))?;
        let ids = encoding.get_ids().to_vec();
        match self.d_vocab.and_then(|d_vocab| Some((d_vocab, *ids.iter().find(|id| **id as usize >= d_vocab)?))) {
            None => Ok(ids),
            Some((d_vocab, id)) => {
                let token = self.token(id).unwrap_or_default();
                Err(Error::new(
                    Code::OutOfRange,
                    format!("the text holds `{token}`, a token that the model does not have"),
                )
                .fact("id", id)
                .fact("d_vocab", d_vocab)
                .help(format!("take `{token}` out of the text: the model was made without it")))
            }
        }
    }

    /// The text of these tokens; bytes that are no UTF-8 become the replacement character.
    ///
    /// # Errors
    /// `unsupported` when its file does not let the tokenizer work.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        by_file(|| self.inner.decode(ids, false), || "decoder")
    }
}
