//! How many threads may be asked for: more than the machine has use for is a slip, and thousands of them bring it to a halt.

use super::Failure;
use crate::error::{Code, Error};

/// The variable of rayon, which counts where no `--threads` is given.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// As many threads or processes at once make sense on any machine, and four for each core on larger ones.
const ALWAYS: usize = 16;
const PER_CORE: usize = 4;

/// The cores of this machine that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<u16, String> {
    let most = (PER_CORE * cores()).max(ALWAYS).min(u16::MAX.into());
    let number = text.trim().parse().ok().filter(|number| (1..=most).contains(&usize::from(*number)));
    number.ok_or_else(|| format!("expected 1 to {most}: this machine has {}", cores_in_words()))
}

/// A number of processes at once.
pub(super) fn jobs(text: &str) -> Result<usize, String> {
    threads(text).map(usize::from)
}

fn cores_in_words() -> String {
    match cores() {
        1 => "1 core".to_string(),
        n => format!("{n} cores"),
    }
}

/// Sees that the environment does not ask for more: every verb may compute.
pub(super) fn check_environment() -> Result<(), Failure> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(());
    }
    let wrong = |reason| Error::new(Code::OutOfRange, format!("`{VARIABLE}={text}` is no number of threads: {reason}"));
    threads(&text).map(drop).map_err(|reason| Failure::usage(wrong(reason)))
}

/// Computes with so many threads from here on; `None` leaves the choice to the environment and the machine.
pub(super) fn use_threads(threads: Option<u16>) {
    if let Some(threads) = threads {
        // Nothing has used the pool yet, so this cannot come too late.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global();
    }
}
