//! Activations that are never stored: they are read from the target model while they are used.
//!
//! Rows come in sections, each the rows of some hundred contexts (which are in random order already) in a uniform shuffle of their own. While
//! one section is in use, a thread reads the next: training and reading overlap, and memory holds three sections whatever the
//! number of tokens. Up to one section the rows are those of a stored harvest, in the same order.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::harvest::Harvest;
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::progress::{Silent, Stop};
use crate::rng::Rng;

/// Rows of a section, rounded down to whole contexts.
pub const SECTION: usize = 1 << 16;

/// A harvest and the sections of it that are in memory.
pub(super) struct Stream {
    harvest: Arc<Harvest>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Always kept once read: samples are drawn from it.
    first: Option<Arc<Vec<u8>>>,
    current: Option<(usize, Arc<Vec<u8>>)>,
    next: Option<(usize, JoinHandle<Result<Vec<u8>>>)>,
}

impl Stream {
    pub fn new(harvest: Harvest) -> Self {
        Stream { harvest: Arc::new(harvest), held: Mutex::default() }
    }

    /// What names the rows, in hex: everything that they are made from.
    pub fn digest(&self) -> Result<String> {
        let harvest = &self.harvest;
        let mut hasher = blake3::Hasher::new();
        let mut facts = serde_json::json!([
            "stream 1",
            harvest.model.digest()?,
            harvest.hook,
            harvest.seed,
            harvest.rows_a_context(),
            harvest.header.rows,
            harvest.header.dtype,
        ]);
        if let (false, Some(facts)) = (harvest.excluded.is_empty(), facts.as_array_mut()) {
            facts.push(serde_json::json!(harvest.excluded));
        }
        hasher.update(facts.to_string().as_bytes());
        harvest.contexts.iter().for_each(|id| _ = hasher.update(&id.to_le_bytes()));
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Copies the rows from row `from` on into `out`, which is a whole number of rows long.
    pub fn read(&self, mut from: usize, mut out: &mut [f32]) -> Result<()> {
        let (d, dtype) = (self.harvest.header.d_in, self.harvest.header.dtype);
        while !out.is_empty() {
            let section = self.harvest.context_of(from) / self.section_contexts();
            let within = from - self.harvest.rows_before(section * self.section_contexts());
            let rows = self.section(section)?;
            let bytes = d * dtype.size();
            let count = (rows.len() / bytes - within).min(out.len() / d);
            let (head, tail) = out.split_at_mut(count * d);
            dtype.decode(&rows[within * bytes..(within + count) * bytes], head);
            (out, from) = (tail, from + count);
        }
        Ok(())
    }

    /// `n` different rows of the first section, drawn by `seed`.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Vec<f32>> {
        let (d, dtype) = (self.harvest.header.d_in, self.harvest.header.dtype);
        let rows = self.section(0)?;
        let bytes = d * dtype.size();
        let there = rows.len() / bytes;
        if n > there {
            return Err(Error::new(Code::OutOfRange, "a sample larger than a section of streamed activations")
                .fact("rows", there)
                .fact("asked for", n));
        }
        let order = Rng::new(seed, "activation sample").permutation(there);
        let mut out = vec![0.0; n * d];
        for (row, &at) in out.chunks_exact_mut(d).zip(&order) {
            dtype.decode(&rows[at as usize * bytes..][..bytes], row);
        }
        Ok(out)
    }

    /// Rows of every section but the last, and whether all of these have as many: not where tokens are left out.
    pub fn section_rows(&self) -> (usize, bool) {
        (self.harvest.rows_before(self.section_contexts()), self.harvest.excluded.is_empty())
    }

    /// Contexts of every section but the last.
    fn section_contexts(&self) -> usize {
        (SECTION / self.harvest.rows_a_context()).max(1)
    }

    /// A section, and the one after it begun.
    fn section(&self, number: usize) -> Result<Arc<Vec<u8>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rows)) = held.current.as_ref().filter(|(held, _)| *held == number) {
            return Ok(Arc::clone(rows));
        }
        let rows = match held.first.clone().filter(|_| number == 0) {
            Some(first) => first,
            None => Arc::new(match held.next.take() {
                Some((begun, thread)) if begun == number => thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::new(Code::Internal, "reading activations broke off")))?,
                _ => read_section(&self.harvest, number, self.section_contexts())?,
            }),
        };
        if number == 0 {
            held.first = Some(Arc::clone(&rows));
        }
        held.current = Some((number, Arc::clone(&rows)));
        let (after, each) = (number + 1, self.section_contexts());
        if held.next.is_none() && self.harvest.rows_before(after * each) < self.harvest.header.rows {
            let harvest = Arc::clone(&self.harvest);
            let stop = Stop::here();
            let read = move || {
                let _watch = stop.adopt();
                read_section(&harvest, after, each)
            };
            held.next = Some((after, std::thread::spawn(read)));
        }
        Ok(rows)
    }
}

fn read_section(harvest: &Harvest, number: usize, each: usize) -> Result<Vec<u8>> {
    let header = &harvest.header;
    let (from, to) = (number * each, (number + 1) * each);
    let rows = harvest.rows_before(to).min(header.rows).saturating_sub(harvest.rows_before(from));
    memory::check_shape("a section of activations", &[rows, header.d_in], "use `dtype: \"f16\"`")?;
    let mut section = vec![0; rows * header.d_in * header.dtype.size()];
    // The first goes under the name of a stored harvest, whose order it shares.
    let order = if number == 0 { "activation order".to_string() } else { format!("activation order {number}") };
    harvest.fill_shuffled((from, to), &order, &mut section, &Silent)?;
    Ok(section)
}
