//! Reading activations: whole contexts through the target model up to the hook, each row to its shuffled place.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::file::{Dtype, Header};
use super::origin::Origin;
use crate::corpus::Corpus;
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::model::TargetModel;
use crate::progress::{self, Monitor};
use crate::rng::Rng;

/// Batches of a part: whole ones, so that the parts change no bit. About 400,000 tokens.
const PART: usize = 64;

/// What `m.activations` takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HarvestOptions {
    /// Where to read, by TransformerLens name.
    pub hook: String,
    /// Rows; by default all that the corpus gives.
    pub tokens: Option<usize>,
    /// Seed of the choice of contexts and of the order of rows.
    pub seed: u64,
    /// Positions at the beginning of each context that are left out; the first is the document marker.
    pub skip_first: usize,
    /// How values are stored.
    pub dtype: Dtype,
    /// Where the rows are kept.
    pub store: Store,
    /// Tokens whose positions are left out wherever they stand, besides `skip_first`.
    // Left out of keys and records where it is empty, so that those of earlier versions stay what they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Excluded>,
}

/// A token whose positions are left out: `"bos"`, `"eos"`, the token itself, or its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Excluded {
    /// A token of this id.
    Id(u32),
    /// The token that begins contexts (`bos`), the one that follows documents (`eos`), or a token as the vocabulary has it.
    Token(String),
}

/// Where activations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// In a file, all of them, in one uniform shuffle.
    #[default]
    File,
    /// Nowhere: they are read from the model while they are used, section by section.
    Stream,
}

impl<'de> Deserialize<'de> for Excluded {
    fn deserialize<D: Deserializer<'de>>(value: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Excluded;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a token or its id")
            }

            fn visit_str<E>(self, token: &str) -> std::result::Result<Excluded, E> {
                Ok(Excluded::Token(token.to_string()))
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> std::result::Result<Excluded, E> {
                u32::try_from(id).map(Excluded::Id).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(id), &self))
            }

            fn visit_i64<E: de::Error>(self, id: i64) -> std::result::Result<Excluded, E> {
                u32::try_from(id).map(Excluded::Id).map_err(|_| E::invalid_value(de::Unexpected::Signed(id), &self))
            }
        }
        value.deserialize_any(Either)
    }
}

impl Default for HarvestOptions {
    fn default() -> Self {
        HarvestOptions {
            hook: String::new(),
            tokens: None,
            seed: 0,
            skip_first: 1,
            dtype: Dtype::F32,
            store: Store::File,
            exclude: Vec::new(),
        }
    }
}

/// A harvest that is ready to run: what it will write is known, nothing is computed.
pub struct Harvest {
    pub(super) model: TargetModel,
    pub(super) hook: String,
    skip_first: usize,
    pub(super) seed: u64,
    pub(super) contexts: Vec<u32>,
    pub(super) header: Header,
    /// The ids that are left out, in order.
    pub(super) excluded: Vec<u32>,
    /// How many rows come before each context, and how many there are; empty where every context gives as many.
    before: Vec<usize>,
}

impl Harvest {
    /// Chooses the contexts.
    ///
    /// # Errors
    /// `unknown-name` for the hook; `out-of-range` when the corpus has too few tokens.
    pub fn new(model: &TargetModel, corpus: &Corpus, options: &HarvestOptions) -> Result<Self> {
        let d_in = model.hook_width(&options.hook)?;
        let n_ctx = model.config().n_ctx;
        if options.skip_first >= n_ctx {
            return Err(Error::new(Code::OutOfRange, "`skip_first` leaves no position of a context")
                .fact("n_ctx", n_ctx)
                .fact("given", options.skip_first));
        }
        let excluded = excluded(model, &options.exclude)?;
        let (contexts, before) = match excluded.is_empty() {
            true => {
                let ids = options.tokens.map(|rows| rows.div_ceil(n_ctx - options.skip_first).saturating_mul(n_ctx));
                (model.contexts(corpus, ids, options.seed)?, Vec::new())
            }
            false => left(model, corpus, options, &excluded)?,
        };
        let whole = contexts.len() / n_ctx * (n_ctx - options.skip_first);
        let rows = options.tokens.unwrap_or(before.last().copied().unwrap_or(whole));
        if options.store == Store::File {
            memory::check_shape("the order of the rows", &[rows.max(whole)], "ask for fewer tokens")?;
        }
        let (hook, model_name) = (options.hook.clone(), model.name().to_string());
        let origin = Origin::new();
        let header = Header { rows, d_in, dtype: options.dtype, hook: hook.clone(), model: model_name, n_ctx, origin };
        let (model, skip_first, seed) = (model.clone(), options.skip_first, options.seed);
        Ok(Harvest { model, hook, skip_first, seed, contexts, header, excluded, before })
    }

    /// What the file will begin with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Length of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.header.to_bytes().len() + self.header.data_bytes()
    }

    /// How many rows come before a context, by its number; past the last, how many there are.
    pub(super) fn rows_before(&self, context: usize) -> usize {
        let context = context.min(self.contexts.len() / self.header.n_ctx);
        self.before.get(context).copied().unwrap_or(context * self.rows_a_context())
    }

    /// The number of the context that a row belongs to.
    pub(super) fn context_of(&self, row: usize) -> usize {
        match self.before.is_empty() {
            true => row / self.rows_a_context(),
            false => self.before.partition_point(|before| *before <= row) - 1,
        }
    }

    /// Rows that a context gives, where no token is left out; at most as many otherwise.
    pub(super) fn rows_a_context(&self) -> usize {
        self.header.n_ctx - self.skip_first
    }

    /// How many parts the work has; each may be done, and its rows be safe on the disk, before the next begins.
    pub fn parts(&self) -> usize {
        self.contexts.len().div_ceil(PART * self.model.batch())
    }

    /// The order of rows: a uniform permutation over all of them, not a shuffle within a buffer.
    pub fn places(&self) -> Vec<u32> {
        self.permutation(self.rows_before(usize::MAX), "activation order")
    }

    /// Runs the model on a part of the contexts and writes its rows to their `places` in `file`, which is [`Harvest::file_bytes`] long. All
    /// parts together make the file, whichever were made by an earlier run.
    ///
    /// # Errors
    /// `interrupted`; `out-of-range` when an activation is not finite or too large for its storage.
    pub fn fill(&self, part: usize, places: &[u32], file: &mut [u8], monitor: &dyn Monitor) -> Result<()> {
        let header = self.header.to_bytes();
        let (start, rows) = file.split_at_mut(header.len());
        start.copy_from_slice(&header);
        let each = PART * self.model.batch();
        let contexts = &self.contexts[part * each..self.contexts.len().min((part + 1) * each)];
        let before = self.rows_before(part * each / self.header.n_ctx);
        self.fill_rows(contexts, places, before, rows, monitor)
    }

    fn permutation(&self, rows: usize, order: &str) -> Vec<u32> {
        Rng::new(self.seed, order).permutation(rows)
    }

    /// Fills `rows` with the rows of the contexts `from..to`, in a uniform permutation drawn under this name.
    pub(super) fn fill_shuffled(
        &self,
        (from, to): (usize, usize),
        order: &str,
        rows: &mut [u8],
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let places = self.permutation(self.rows_before(to) - self.rows_before(from), order);
        let (n_ctx, end) = (self.header.n_ctx, self.contexts.len());
        let contexts = &self.contexts[end.min(from * n_ctx)..end.min(to * n_ctx)];
        self.fill_rows(contexts, &places, 0, rows, monitor)
    }

    /// Fills `rows` with the rows of some contexts, of which `done` rows come before; those whose place is past the end are left out.
    fn fill_rows(
        &self,
        contexts: &[u32],
        places: &[u32],
        mut done: usize,
        rows: &mut [u8],
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let (n_ctx, d, dtype) = (self.header.n_ctx, self.header.d_in, self.header.dtype);
        let bytes = d * dtype.size();
        let (mut encoded, mut seen) = (vec![0u8; bytes], 0);
        self.model.rows_at(contexts, &self.hook, &mut |values| {
            monitor.check()?;
            progress::check_stop()?;
            for context in values.chunks_exact(n_ctx * d) {
                let ids = &contexts[seen..seen + n_ctx];
                seen += n_ctx;
                for (row, id) in context.chunks_exact(d).zip(ids).skip(self.skip_first) {
                    if self.excluded.binary_search(id).is_ok() {
                        continue;
                    }
                    let place = places[done] as usize;
                    done += 1;
                    if (place + 1) * bytes > rows.len() {
                        continue;
                    }
                    dtype.encode(row, &mut encoded);
                    if !row.iter().all(|x| x.is_finite() && (dtype == Dtype::F32 || x.abs() < 65_504.0)) {
                        return Err(Error::new(Code::OutOfRange, "an activation does not fit its storage")
                            .fact("hook", &self.hook)
                            .help("use `dtype: \"f32\"`"));
                    }
                    rows[place * bytes..(place + 1) * bytes].copy_from_slice(&encoded);
                }
            }
            monitor.update("m.activations", done as u64, places.len() as u64, "");
            Ok(())
        })
    }
}

/// The ids of tokens to leave out, in order.
fn excluded(model: &TargetModel, tokens: &[Excluded]) -> Result<Vec<u32>> {
    let (tokenizer, d_vocab) = (model.tokenizer(), model.config().d_vocab);
    let mut ids = Vec::new();
    for token in tokens {
        match token {
            Excluded::Id(id) if (*id as usize) < d_vocab => ids.push(*id),
            Excluded::Id(id) => {
                return Err(Error::new(Code::OutOfRange, "`exclude` names a token that the model does not have")
                    .fact("expected", format!("ids below {d_vocab}"))
                    .fact("given", id));
            }
            // A model whose contexts begin with text has no such token, and none is left out.
            Excluded::Token(name) if name == "bos" => ids.extend(tokenizer.bos()),
            Excluded::Token(name) if name == "eos" => ids.push(tokenizer.separator()),
            Excluded::Token(name) => ids.push(tokenizer.id(name).ok_or_else(|| {
                Error::new(Code::UnknownName, format!("`exclude` names no token of the model: `{name}`"))
                    .fact("expected", "`bos`, `eos`, a token as the vocabulary has it, or an id")
            })?),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The contexts that are needed when some tokens are left out, and how many rows come before each.
fn left(
    model: &TargetModel,
    corpus: &Corpus,
    options: &HarvestOptions,
    excluded: &[u32],
) -> Result<(Vec<u32>, Vec<usize>)> {
    let n_ctx = model.config().n_ctx;
    let mut contexts = model.contexts(corpus, None, options.seed)?;
    let (mut before, mut rows) = (vec![0], 0);
    for context in contexts.chunks_exact(n_ctx) {
        if options.tokens.is_some_and(|wanted| rows >= wanted) {
            break;
        }
        rows += context.iter().skip(options.skip_first).filter(|id| excluded.binary_search(id).is_err()).count();
        before.push(rows);
    }
    let wanted = options.tokens.unwrap_or(rows);
    if wanted == 0 || rows < wanted {
        return Err(Error::new(Code::OutOfRange, format!("the corpus `{}` cannot fill the contexts", corpus.name()))
            .fact("tokens asked for", wanted.max(1))
            .fact("tokens there, without those of `exclude`", rows)
            .help("ask for fewer tokens, or exclude fewer"));
    }
    contexts.truncate((before.len() - 1) * n_ctx);
    Ok((contexts, before))
}
