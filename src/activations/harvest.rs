//! Reading activations: whole contexts through the target model up to the hook, each row to its shuffled place.

use serde::{Deserialize, Serialize};

use super::file::{Dtype, Header};
use crate::corpus::Corpus;
use crate::error::{Code, Error, Result};
use crate::model::TargetModel;
use crate::progress::Monitor;
use crate::rng::Rng;

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
}

impl Default for HarvestOptions {
    fn default() -> Self {
        HarvestOptions { hook: String::new(), tokens: None, seed: 0, skip_first: 1, dtype: Dtype::F32 }
    }
}

/// A harvest that is ready to run: what it will write is known, nothing is computed.
pub struct Harvest<'a> {
    model: &'a TargetModel,
    hook: String,
    skip_first: usize,
    seed: u64,
    contexts: Vec<u32>,
    header: Header,
}

impl<'a> Harvest<'a> {
    /// Chooses the contexts.
    ///
    /// # Errors
    /// `unknown-name` for the hook; `out-of-range` when the corpus has too few tokens.
    pub fn new(model: &'a TargetModel, corpus: &Corpus, options: &HarvestOptions) -> Result<Self> {
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
        let header = Header { rows, d_in, dtype: options.dtype, hook: hook.clone(), model: model_name, n_ctx };
        Ok(Harvest { model, hook, skip_first: options.skip_first, seed: options.seed, contexts, header })
    }

    /// What the file will begin with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Length of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.header.to_bytes().len() + self.header.data_bytes()
    }

    /// Runs the model and fills `file`, which is [`Harvest::file_bytes`] long. The order of rows is a uniform permutation over
    /// all of them, not a shuffle within a buffer.
    ///
    /// # Errors
    /// `interrupted`; `out-of-range` when an activation is not finite or too large for its storage.
    pub fn fill(&self, file: &mut [u8], monitor: &dyn Monitor) -> Result<()> {
        let header = self.header.to_bytes();
        let (start, rows) = file.split_at_mut(header.len());
        start.copy_from_slice(&header);
        let (n_ctx, d, dtype) = (self.model.config().n_ctx, self.header.d_in, self.header.dtype);
        let kept = n_ctx - self.skip_first;
        let places = Rng::new(self.seed, "activation order").permutation(self.contexts.len() / n_ctx * kept);
        let bytes = d * dtype.size();
        let mut encoded = vec![0u8; bytes];
        let mut done = 0;
        self.model.rows_at(&self.contexts, &self.hook, &mut |values| {
            monitor.check()?;
            for context in values.chunks_exact(n_ctx * d) {
                for row in context.chunks_exact(d).skip(self.skip_first) {
                    let place = places[done] as usize;
                    done += 1;
                    if place >= self.header.rows {
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
