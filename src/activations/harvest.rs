//! Reading activations: whole contexts through the target model up to the hook, each row to its shuffled place.

use serde::{Deserialize, Serialize};

use super::file::{Dtype, Header};
use super::origin::Origin;
use crate::corpus::Corpus;
use crate::error::{Code, Error, Result};
use crate::model::TargetModel;
use crate::progress::Monitor;
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

impl Default for HarvestOptions {
    fn default() -> Self {
        HarvestOptions {
            hook: String::new(),
            tokens: None,
            seed: 0,
            skip_first: 1,
            dtype: Dtype::F32,
            store: Store::File,
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
        let kept = n_ctx - options.skip_first;
        let ids = options.tokens.map(|rows| rows.div_ceil(kept) * n_ctx);
        let contexts = model.contexts(corpus, ids, options.seed)?;
        let rows = options.tokens.unwrap_or(contexts.len() / n_ctx * kept);
        let (hook, model_name) = (options.hook.clone(), model.name().to_string());
        let origin = Origin::new();
        let header = Header { rows, d_in, dtype: options.dtype, hook: hook.clone(), model: model_name, n_ctx, origin };
        let (model, skip_first, seed) = (model.clone(), options.skip_first, options.seed);
        Ok(Harvest { model, hook, skip_first, seed, contexts, header })
    }

    /// What the file will begin with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Length of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.header.to_bytes().len() + self.header.data_bytes()
    }

    /// Rows that a context gives.
    pub(super) fn rows_a_context(&self) -> usize {
        self.header.n_ctx - self.skip_first
    }

    /// How many parts the work has; each may be done, and its rows be safe on the disk, before the next begins.
    pub fn parts(&self) -> usize {
        self.contexts.len().div_ceil(PART * self.model.batch())
    }

    /// The order of rows: a uniform permutation over all of them, not a shuffle within a buffer.
    pub fn places(&self) -> Vec<u32> {
        self.permutation(&self.contexts, "activation order")
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
        let before = part * each / self.header.n_ctx * self.rows_a_context();
        self.fill_rows(contexts, places, before, rows, monitor)
    }

    fn permutation(&self, contexts: &[u32], order: &str) -> Vec<u32> {
        Rng::new(self.seed, order).permutation(contexts.len() / self.header.n_ctx * self.rows_a_context())
    }

    /// Fills `rows` with the rows of some contexts, in a uniform permutation drawn under this name.
    pub(super) fn fill_shuffled(
        &self,
        contexts: &[u32],
        order: &str,
        rows: &mut [u8],
        monitor: &dyn Monitor,
    ) -> Result<()> {
        self.fill_rows(contexts, &self.permutation(contexts, order), 0, rows, monitor)
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
        let mut encoded = vec![0u8; bytes];
        self.model.rows_at(contexts, &self.hook, &mut |values| {
            monitor.check()?;
            for context in values.chunks_exact(n_ctx * d) {
                for row in context.chunks_exact(d).skip(self.skip_first) {
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
