//! What long work tells its caller, and how the caller stops it. The core prints nothing: it calls a [`Monitor`].

use crate::error::{Code, Error, Result};

/// Watches a long computation. The host shows a bar on stderr and turns Ctrl-C into `stopped`.
pub trait Monitor: Sync {
    /// `done` of `total` units of the named work are finished; `note` is a short text such as `loss 4.29`.
    fn update(&self, label: &str, done: u64, total: u64, note: &str);

    /// Whether the work should stop as soon as it can. Long loops ask at least ten times a second.
    fn stopped(&self) -> bool;

    /// Records something worth a warning: the host prints it and keeps it in the run record.
    fn warn(&self, message: &str);

    /// An [`Code::Interrupted`] error when the work should stop.
    fn check(&self) -> Result<()> {
        if self.stopped() { Err(Error::new(Code::Interrupted, "interrupted")) } else { Ok(()) }
    }
}

/// A monitor that shows nothing and never stops the work, for tests and short calls.
pub struct Silent;

impl Monitor for Silent {
    fn update(&self, _: &str, _: u64, _: u64, _: &str) {}

    fn stopped(&self) -> bool {
        false
    }

    fn warn(&self, _: &str) {}
}

/// Where a training keeps its state, so that an interrupted one goes on where it stopped. The store implements it on disk.
pub trait Checkpoint {
    /// The state that was saved last, if there is one and it is whole.
    fn load(&mut self) -> Option<Vec<u8>>;

    /// Replaces the saved state.
    ///
    /// # Errors
    /// `write-failed` when it cannot be written.
    fn save(&mut self, state: &[u8]) -> Result<()>;

    /// Whether saving would keep anything; a training need not serialize its state otherwise.
    fn keeps(&self) -> bool;
}

/// Keeps nothing.
pub struct NoCheckpoint;

impl Checkpoint for NoCheckpoint {
    fn load(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn save(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn keeps(&self) -> bool {
        false
    }
}
