//! The memory of what a script holds. rhai's own limits count every element of a value after each call that touches it, so that
//! filling an array takes quadratic time. In their place the bytes in use are looked at between two steps, and what a single
//! step could multiply is asked for first.

use std::sync::atomic::{AtomicU64, Ordering};

use rhai::{Array, Dynamic, Map};

use crate::error::{Code, Error, Result};
use crate::memory;

/// So many bytes may come and go before the system is asked what it has left.
const STEP: u64 = 64 << 20;

/// The system is asked after so many steps of the script in any case: small values are not counted one by one.
const STEPS: u64 = 1 << 18;

/// What must be left, besides four times what the last step took: the next one may take twice as much, beside a copy.
const MARGIN: u64 = 128 << 20;

/// Watches one engine.
#[derive(Default)]
pub struct Guard {
    /// The bytes in use after the last step.
    last: AtomicU64,
    /// The bytes in use from which on the system is asked.
    next: AtomicU64,
}

impl Guard {
    /// A guard that begins with what is in use now.
    pub fn new() -> Self {
        let now = memory::in_use();
        Guard { last: AtomicU64::new(now), next: AtomicU64::new(now + STEP) }
    }

    /// Called before each step, `steps` after the first.
    ///
    /// # Errors
    /// `too-large` when the next step might take more than there is.
    pub fn check(&self, steps: u64) -> Result<()> {
        let now = memory::in_use();
        let last = self.last.swap(now, Ordering::Relaxed);
        if now < self.next.load(Ordering::Relaxed) && !steps.is_multiple_of(STEPS) {
            return Ok(());
        }
        self.next.store(now + STEP, Ordering::Relaxed);
        let needed = MARGIN.max(4 * now.saturating_sub(last));
        memory::check("what the script holds", needed, "keep numbers in a Tensor or a Table, and text in files")
    }
}

/// Asks whether `times` copies of a value fit.
///
/// # Errors
/// `too-large` when they do not.
pub fn room(what: &str, value: &Dynamic, times: usize) -> Result<()> {
    let needed = bytes(value).saturating_mul(times as u64);
    // What has no address is no question for the system.
    if needed > i64::MAX as u64 {
        return Err(Error::new(Code::TooLarge, format!("{what} does not fit into memory")));
    }
    memory::check(what, needed, "keep numbers in a Tensor or a Table, and text in files")
}

/// About how many bytes a value takes.
fn bytes(value: &Dynamic) -> u64 {
    let own = size_of::<Dynamic>() as u64;
    let inside: u64 = if let Some(array) = value.read_lock::<Array>() {
        array.iter().map(bytes).sum()
    } else if let Some(map) = value.read_lock::<Map>() {
        map.iter().map(|(key, value)| 48 + key.len() as u64 + bytes(value)).sum()
    } else {
        0
    };
    own + inside
}
