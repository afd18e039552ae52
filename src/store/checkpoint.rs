//! A training's state on disk, so that an interrupted one goes on where it stopped.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::write_atomic;
use crate::error::Result;
use crate::progress::Checkpoint;

/// First bytes of the file; then 32 bytes of BLAKE3 over the state, then the state.
const MAGIC: &[u8; 8] = b"saerunC1";

/// One file, replaced atomically. A damaged one counts as none.
#[derive(Debug)]
pub struct FileCheckpoint {
    path: PathBuf,
    read: bool,
}

impl FileCheckpoint {
    /// The checkpoint in the file `path`; when not `read`, what is there is not looked at, only replaced.
    pub fn new(path: PathBuf, read: bool) -> Self {
        FileCheckpoint { path, read }
    }

    /// Forgets the state.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// How many states are being saved right now.
static SAVING: AtomicUsize = AtomicUsize::new(0);

/// Whether a training's state is being saved right now, which should not be cut off.
pub fn is_saving() -> bool {
    SAVING.load(Ordering::Relaxed) > 0
}

/// Counts as long as it lives.
struct Saving;

impl Saving {
    fn begin() -> Saving {
        SAVING.fetch_add(1, Ordering::Relaxed);
        Saving
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        SAVING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Checkpoint for FileCheckpoint {
    fn load(&mut self) -> Option<Vec<u8>> {
        let bytes = self.read.then(|| fs::read(&self.path).ok()).flatten()?;
        let (hash, state) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        (blake3::hash(state).as_bytes() == hash).then(|| state.to_vec())
    }

    fn save(&mut self, state: &[u8]) -> Result<()> {
        let _saving = Saving::begin();
        let hash = blake3::hash(state);
        write_atomic(&self.path, &[MAGIC.as_slice(), hash.as_bytes(), state].concat())?;
        self.read = true;
        Ok(())
    }

    fn keeps(&self) -> bool {
        true
    }
}
