//! Activations of a target model at a hook: harvested, shuffled, and read row by row from memory, a mapped file, or the model itself.

mod file;
mod harvest;
pub mod origin;
mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::error::{Code, Error, Result};
use crate::memory;
use crate::progress::Stop;
use crate::rng::Rng;

use file::Mapped;
pub use file::{Dtype, Header};
pub use harvest::{Excluded, Harvest, HarvestOptions, Store};
pub use origin::Origin;
pub use stream::SECTION;
use stream::Stream;

/// Samples of up to so many rows are the beginning of a permutation of all.
const PERMUTED: usize = 1 << 25;

/// Rows `[len, d_in]` in shuffled order. Cheap to copy.
#[derive(Clone)]
pub struct Activations(Arc<Inner>);

struct Inner {
    header: Header,
    digest: OnceLock<String>,
    data: Data,
}

enum Data {
    Memory(Vec<f32>),
    Stream(Stream),
    Made(Box<dyn Source>),
    Mapped { file: Mapped, check: Check, checked: OnceLock<Option<Error>> },
}

/// Rows that are computed whenever they are read, each from its number alone.
pub trait Source: Send + Sync {
    /// Fills `out`, a whole number of rows, from row `from` on. The same rows every time, whatever is read beside them.
    fn read(&self, from: usize, out: &mut [f32]);
}

/// What is done once before the first row of a file is read, such as comparing its hash.
pub type Check = Box<dyn Fn() -> Result<()> + Send + Sync>;

impl Activations {
    /// Rows that are in memory, in this order.
    ///
    /// # Errors
    /// `shape-mismatch` when the values are no whole rows; `out-of-range` when one is not finite.
    pub fn from_rows(rows: Vec<f32>, d_in: usize, hook: &str) -> Result<Self> {
        if d_in == 0 || rows.is_empty() || !rows.len().is_multiple_of(d_in) {
            return Err(Error::new(Code::ShapeMismatch, "activations are rows of one length, at least one")
                .fact("values", rows.len())
                .fact("d_in", d_in));
        }
        if let Some(at) = rows.iter().position(|x| !x.is_finite()) {
            return Err(not_finite(Code::OutOfRange, at / d_in, at % d_in, rows[at]));
        }
        let header = Header {
            rows: rows.len() / d_in,
            d_in,
            dtype: Dtype::F32,
            hook: hook.to_string(),
            model: String::new(),
            n_ctx: 0,
            origin: Origin::new(),
        };
        Ok(Activations(Arc::new(Inner { header, digest: OnceLock::new(), data: Data::Memory(rows) })))
    }

    /// Maps a file that [`Harvest`] or `a.save` wrote. `check` runs before the first row is read; `digest` names the content
    /// when it is known already.
    ///
    /// # Errors
    /// `missing-file`, `damaged-file`.
    pub fn open(path: &Path, digest: Option<String>, check: Check) -> Result<Self> {
        let file = file::map(path)?;
        let digest = digest.map_or_else(OnceLock::new, OnceLock::from);
        let header = file.header.clone();
        let data = Data::Mapped { file, check, checked: OnceLock::new() };
        Ok(Activations(Arc::new(Inner { header, digest, data })))
    }

    /// The rows in a file of a user: safetensors with a tensor `activations` (or one tensor alone), or `.npy`, of f32, f16, bf16 or f64. Every
    /// value is looked at.
    ///
    /// # Errors
    /// `missing-file`; `damaged-file`, with the row and column of a value that is not a finite f32; `too-large`; `interrupted`.
    pub fn load(path: &Path) -> Result<Self> {
        if let Some((rows, d_in)) = file::turned(path)? {
            return Activations::from_rows(rows, d_in, "").map_err(|error| Error { code: Code::DamagedFile, ..error });
        }
        let loaded = Activations::open(path, None, Box::new(|| Ok(())))?;
        loaded.digest()?;
        Ok(loaded)
    }

    /// Whether a file holds activations as [`Activations::to_bytes`] writes them: such a file may be written over.
    pub fn are_saved_at(path: &Path) -> bool {
        file::is_saved(path)
    }

    /// Rows that are read from the model while they are used, see [`Store::Stream`]: nothing is computed yet.
    ///
    /// # Errors
    /// What naming the model gives.
    pub fn stream(harvest: Harvest) -> Result<Self> {
        let header = harvest.header().clone();
        let stream = Stream::new(harvest);
        let digest = OnceLock::from(stream.digest()?);
        Ok(Activations(Arc::new(Inner { header, digest, data: Data::Stream(stream) })))
    }

    /// `rows` rows that a source makes when they are read; `digest` names their content.
    ///
    /// # Errors
    /// `shape-mismatch` when there is no row or no column.
    pub fn made(rows: usize, d_in: usize, digest: String, source: Box<dyn Source>) -> Result<Self> {
        if rows == 0 || d_in == 0 {
            return Err(Error::new(Code::ShapeMismatch, "activations are rows of one length, at least one")
                .fact("rows", rows)
                .fact("d_in", d_in));
        }
        let (hook, model) = (String::new(), String::new());
        let header = Header { rows, d_in, dtype: Dtype::F32, hook, model, n_ctx: 0, origin: Origin::new() };
        Ok(Activations(Arc::new(Inner { header, digest: OnceLock::from(digest), data: Data::Made(source) })))
    }

    /// What is known of the rows without reading them.
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// How many rows.
    #[expect(clippy::len_without_is_empty, reason = "there is always a row")]
    pub fn len(&self) -> usize {
        self.0.header.rows
    }

    /// How long a row is.
    pub fn d_in(&self) -> usize {
        self.0.header.d_in
    }

    /// The hook they were read at; empty when unknown.
    pub fn hook(&self) -> &str {
        &self.0.header.hook
    }

    /// Everything that is known of how the rows were made, by name: see [`origin`].
    pub fn origin(&self) -> Origin {
        let mut facts = self.header().origin.clone();
        for (name, text) in [("hook_name", self.hook()), ("model_name", self.model())] {
            if !text.is_empty() {
                facts.insert(name.into(), text.into());
            }
        }
        if self.header().n_ctx > 0 {
            facts.insert("context_size".into(), self.header().n_ctx.into());
        }
        facts
    }

    /// The same rows with what is known of how they were made. It is no part of their content, which [`Activations::digest`] names.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.header.origin = origin;
        }
        self
    }

    /// The target model's name; empty when unknown.
    pub fn model(&self) -> &str {
        &self.0.header.model
    }

    /// BLAKE3 of the content, in hex.
    ///
    /// # Errors
    /// What reading gives.
    pub fn digest(&self) -> Result<&str> {
        if let Some(digest) = self.0.digest.get() {
            return Ok(digest);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{} {} {}", self.len(), self.d_in(), self.hook()).as_bytes());
        let (mut before, mut wrong) = (0, None);
        self.for_each_block(|block| {
            let bytes: Vec<u8> = block.iter().flat_map(|x| x.to_le_bytes()).collect();
            hasher.update(&bytes);
            if wrong.is_none() {
                wrong = block.iter().position(|x| !x.is_finite()).map(|at| (before + at, block[at]));
            }
            before += block.len();
        })?;
        // A file of another tool: saerun's own were looked at when they were made.
        if let Some((at, value)) = wrong {
            return Err(not_finite(Code::DamagedFile, at / self.d_in(), at % self.d_in(), value));
        }
        Ok(self.0.digest.get_or_init(|| hasher.finalize().to_hex().to_string()))
    }

    /// Copies the rows from row `from` on into `out`, which is a whole number of rows long.
    ///
    /// # Errors
    /// `out-of-range` past the end; `damaged-file` when the file's check fails.
    pub fn read(&self, from: usize, out: &mut [f32]) -> Result<()> {
        let d = self.d_in();
        let (start, end) = (from * d, from * d + out.len());
        if end > self.len() * d {
            return Err(Error::new(Code::OutOfRange, "rows past the end of the activations")
                .fact("rows", self.len())
                .fact("asked for", format!("{from} to {}", end.div_ceil(d))));
        }
        match &self.0.data {
            Data::Memory(rows) => out.copy_from_slice(&rows[start..end]),
            Data::Stream(stream) => stream.read(from, out)?,
            Data::Made(source) => source.read(from, out),
            Data::Mapped { file, check, checked } => {
                if let Some(error) = checked.get_or_init(|| check().err()) {
                    return Err(error.clone());
                }
                file.read(start, out);
            }
        }
        Ok(())
    }

    /// `n` different rows drawn by `seed`, `[n, d_in]`; of streamed rows, from the first section.
    ///
    /// # Errors
    /// `out-of-range` when there are fewer than `n`.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Vec<f32>> {
        if let Data::Stream(stream) = &self.0.data {
            return stream.sample(n, seed);
        }
        if n > self.len() {
            return Err(Error::new(Code::OutOfRange, "a sample larger than the activations")
                .fact("rows", self.len())
                .fact("asked for", n));
        }
        memory::check_shape("the sample", &[n, self.d_in()], "try a smaller sample")?;
        let mut out = vec![0.0; n * self.d_in()];
        self.gather(&self.places(n, seed)?, &mut out)?;
        Ok(out)
    }

    /// The places of `n` different rows drawn by `seed`; of streamed rows, in the first section.
    ///
    /// # Errors
    /// `too-large`; `interrupted`.
    pub fn places(&self, n: usize, seed: u64) -> Result<Vec<usize>> {
        let among = self.section_rows().map_or(self.len(), |(rows, _)| rows.min(self.len()));
        let mut rng = Rng::new(seed, "activation sample");
        if among <= PERMUTED {
            memory::check_shape("the order of a sample", &[among], "keep fewer tokens")?;
            return Ok(rng.permutation(among).into_iter().take(n).map(|at| at as usize).collect());
        }
        // A permutation of which only the places that moved are kept.
        memory::check_shape("the order of a sample", &[n, 16], "try a smaller sample")?;
        let mut moved = BTreeMap::new();
        let stop = Stop::here();
        let mut places = Vec::with_capacity(n.min(among));
        for at in 0..n.min(among) {
            if at % (1 << 16) == 0 {
                stop.check()?;
            }
            let from = at + rng.below(among - at);
            let here = moved.get(&at).copied().unwrap_or(at);
            places.push(moved.insert(from, here).unwrap_or(from));
        }
        Ok(places)
    }

    /// Reads rows by their places into `out`, one after the other.
    ///
    /// # Errors
    /// As [`Activations::read`]; `interrupted`.
    pub fn gather(&self, places: &[usize], out: &mut [f32]) -> Result<()> {
        let (d, stop) = (self.d_in(), Stop::here());
        let one = |(row, at): (&mut [f32], &usize)| stop.check().and_then(|()| self.read(*at, row));
        match &self.0.data {
            // A section is read whole, so rows come in the order of the sections.
            Data::Stream(_) => out.chunks_exact_mut(d).zip(places).try_for_each(one),
            _ => out.par_chunks_exact_mut(d).zip(places).with_min_len(16).try_for_each(one),
        }
    }

    /// Rows of the first section, where rows are streamed section by section, and whether each section but the last has as many.
    pub fn section_rows(&self) -> Option<(usize, bool)> {
        match &self.0.data {
            Data::Stream(stream) => Some(stream.section_rows()),
            _ => None,
        }
    }

    /// The mean row, summed in f64.
    ///
    /// # Errors
    /// What reading gives.
    pub fn mean(&self) -> Result<Vec<f64>> {
        let mut sum = vec![0.0f64; self.d_in()];
        self.for_each_block(|block| {
            let columns = sum.par_iter_mut().enumerate();
            columns
                .for_each(|(i, s)| *s += block.iter().skip(i).step_by(self.d_in()).map(|x| f64::from(*x)).sum::<f64>());
        })?;
        Ok(sum.into_iter().map(|s| s / self.len() as f64).collect())
    }

    /// Calls `f` with all rows in order, block by block.
    fn for_each_block(&self, mut f: impl FnMut(&[f32])) -> Result<()> {
        const BLOCK: usize = 4096;
        let mut block = vec![0.0; BLOCK.min(self.len()) * self.d_in()];
        let stop = Stop::here();
        for from in (0..self.len()).step_by(BLOCK) {
            stop.check()?;
            let rows = BLOCK.min(self.len() - from);
            self.read(from, &mut block[..rows * self.d_in()])?;
            f(&block[..rows * self.d_in()]);
        }
        Ok(())
    }

    /// The bytes of a file that [`Activations::open`] reads, for small activations: a safetensors file.
    ///
    /// # Errors
    /// `too-large`, and what reading gives.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = &self.0.header;
        memory::check("the file of activations", 2 * header.data_bytes() as u64, "keep fewer tokens")?;
        let mut bytes = header.to_bytes();
        let mut encoded = Vec::new();
        self.for_each_block(|block| {
            let at = encoded.len();
            encoded.resize(at + block.len() * header.dtype.size(), 0);
            header.dtype.encode(block, &mut encoded[at..]);
        })?;
        bytes.extend(encoded);
        Ok(bytes)
    }
}

/// The error of a value that no training could bear.
fn not_finite(code: Code, row: usize, column: usize, value: f32) -> Error {
    Error::new(code, "an activation is not a finite number")
        .fact("row", row)
        .fact("column", column)
        .fact("given", value)
        .help("leave such rows out, or look at what made them")
}

impl fmt::Display for Activations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activations [{}, {}]", self.len(), self.d_in())?;
        if self.hook().is_empty() { Ok(()) } else { write!(f, " of {} at {}", self.model(), self.hook()) }
    }
}
