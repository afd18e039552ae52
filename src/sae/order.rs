//! The order in which a training reads the rows of its store: as stored, or drawn anew by the seed for each pass.

use crate::activations::Activations;
use crate::error::{Code, Error, Result};
use crate::rng::Rng;

/// Rows that are shuffled among each other. A window is what the page cache should hold of a store on disk.
const WINDOW: usize = 1 << 16;
/// Rows of a block, which lie side by side in the store, in stores of up to `MOST_BLOCKS` blocks.
const BLOCK: usize = 64;
/// Blocks at most: larger stores have larger blocks, so that the order of blocks fits into 16 MiB.
const MOST_BLOCKS: usize = 1 << 22;

/// One random order of rows a pass, worked out a window at a time.
///
/// Blocks of 64 neighboring rows are permuted over the whole store, and the rows of each 65,536 that then follow each other are permuted among
/// themselves. So a store of up to 65,536 rows is in uniformly random order, and a larger one is read block by block, which keeps a file on
/// disk readable. Streamed activations stay in the order of their sections, and the rows of a section are permuted. A row's place depends on
/// the seed, the pass and the store's size alone.
#[derive(Debug)]
pub(super) struct Order {
    seed: u64,
    rows: usize,
    block: usize,
    window: usize,
    /// Whether windows follow each other as stored.
    sections: bool,
    pass: Option<Pass>,
}

#[derive(Debug)]
struct Pass {
    number: u128,
    /// Which block comes when; empty where blocks stay in place.
    blocks: Vec<u32>,
    /// When the last block, which may be short, comes.
    last: usize,
    window: Option<(usize, Vec<usize>)>,
}

impl Order {
    /// # Errors
    /// `unsupported` for streamed rows whose sections differ in length.
    pub fn new(activations: &Activations, seed: u64) -> Result<Order> {
        let rows = activations.len();
        let sections = match activations.section_rows() {
            Some((_, false)) => {
                return Err(Error::new(
                    Code::Unsupported,
                    "`shuffle` cannot draw the order of streamed activations with `exclude`",
                )
                .help("harvest them without `store: \"stream\"`, or train without `shuffle`"));
            }
            other => other.map(|(rows, _)| rows),
        };
        let block = match sections {
            Some(section) => section,
            None => BLOCK.max(rows.div_ceil(MOST_BLOCKS).next_power_of_two()),
        };
        let window = if sections.is_some() { block } else { WINDOW.max(block) };
        Ok(Order { seed, rows, block, window, sections: sections.is_some(), pass: None })
    }

    /// The `count` rows from place `from` on, counted over all passes.
    pub fn rows(&mut self, from: u128, count: usize) -> Vec<usize> {
        let mut rows = Vec::with_capacity(count);
        while rows.len() < count {
            let at = from + rows.len() as u128;
            self.begin(at / self.rows as u128);
            let within = (at % self.rows as u128) as usize;
            let Some(pass) = &mut self.pass else { break };
            let (window, start) = pass.place(within, self.rows, self.block, self.window);
            if pass.window.as_ref().is_none_or(|(number, _)| *number != window) {
                pass.window = Some((window, pass.draw(window, self.seed, self.rows, self.block, self.window)));
            }
            let Some((_, order)) = &pass.window else { break };
            rows.extend(order[within - start..].iter().take(count - rows.len()));
        }
        rows
    }

    /// Draws the order of blocks of a pass.
    fn begin(&mut self, number: u128) {
        if self.pass.as_ref().is_some_and(|pass| pass.number == number) {
            return;
        }
        let count = self.rows.div_ceil(self.block);
        let blocks = match self.sections {
            true => Vec::new(),
            false => Rng::new(self.seed, &format!("sae::train order {number}")).permutation(count),
        };
        let last = blocks.iter().position(|block| *block as usize + 1 == count).unwrap_or(count - 1);
        self.pass = Some(Pass { number, blocks, last, window: None });
    }
}

impl Pass {
    /// The window that holds this place of the pass, and the window's first place.
    fn place(&self, within: usize, rows: usize, block: usize, window: usize) -> (usize, usize) {
        let missing = rows.next_multiple_of(block) - rows;
        // The short block moves everything behind it forward.
        let start = |number: usize| number * window - if number * (window / block) > self.last { missing } else { 0 };
        let number = within / window;
        let number = if within >= start(number + 1) { number + 1 } else { number };
        (number, start(number))
    }

    /// The rows of a window in their order.
    fn draw(&self, window: usize, seed: u64, rows: usize, block: usize, size: usize) -> Vec<usize> {
        let each = size / block;
        let blocks = window * each..((window + 1) * each).min(rows.div_ceil(block));
        let number = |at: usize| self.blocks.get(at).map_or(at, |block| *block as usize);
        let stored: Vec<usize> =
            blocks.map(number).flat_map(|number| number * block..((number + 1) * block).min(rows)).collect();
        let purpose = format!("sae::train order {} {window}", self.number);
        let order = Rng::new(seed, &purpose).permutation(stored.len());
        order.into_iter().map(|at| stored[at as usize]).collect()
    }
}

/// Reads the batch of a step into `out`: in the order given, or as stored, going round the store as often as it takes.
pub(super) fn read(activations: &Activations, order: Option<&mut Order>, from: u128, out: &mut [f32]) -> Result<()> {
    let (d, len) = (activations.d_in(), activations.len());
    if let Some(order) = order {
        return activations.gather(&order.rows(from, out.len() / d), out);
    }
    let mut from = (from % len as u128) as usize;
    let mut out = out;
    while !out.is_empty() {
        let rows = (len - from).min(out.len() / d);
        let (head, tail) = out.split_at_mut(rows * d);
        activations.read(from, head)?;
        out = tail;
        from = 0;
    }
    Ok(())
}
