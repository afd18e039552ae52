//! What a run reads, by content: for its lock, for `watch`, and to see that it does not change while the run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::host::console::locked;
use crate::host::session::Session;
use crate::progress::Monitor;
use crate::store;

/// What a run has read so far.
#[derive(Default)]
pub(super) struct Inputs {
    /// Digests of what was made of each input, by the name that the script gave.
    digests: BTreeMap<String, String>,
    /// Digests of the bytes of those that are files or folders.
    files: BTreeMap<String, String>,
    /// The paths that the script was let read, by the name that it gave.
    granted: BTreeMap<String, PathBuf>,
    /// How each path was when it was read first.
    first: BTreeMap<PathBuf, First>,
    /// Paths that the script itself has written, and those that were looked for in vain.
    own: BTreeSet<PathBuf>,
    missing: BTreeSet<PathBuf>,
}

/// A path as it was when it was read first.
#[derive(Clone)]
struct First {
    stamp: Option<String>,
    digest: Option<String>,
}

impl Inputs {
    /// Whether the script itself has written at or below this path, or above it.
    fn is_own(&self, path: &Path) -> bool {
        self.own.iter().any(|own| own.starts_with(path) || path.starts_with(own))
    }
}

impl Session {
    /// Notes that the script is about to read what it calls `name`, which is at `path`.
    ///
    /// # Errors
    /// `failed` when somebody has changed it since this run read it first.
    pub(super) fn will_read(&self, name: &str, path: &Path) -> Result<()> {
        let mut inputs = locked(&self.inputs);
        inputs.granted.insert(name.to_string(), path.to_path_buf());
        let Some(stamp) = store::stamp(path) else {
            inputs.missing.insert(path.to_path_buf());
            return Ok(());
        };
        let Some(before) = inputs.first.get(path).cloned() else {
            inputs.first.insert(path.to_path_buf(), First { stamp: Some(stamp), digest: None });
            return Ok(());
        };
        if before.stamp.as_ref() == Some(&stamp) || inputs.is_own(path) {
            return Ok(());
        }
        if before.digest.is_none() {
            // Nothing was made of it: it could not be read.
            inputs.first.insert(path.to_path_buf(), First { stamp: Some(stamp), digest: None });
            return Ok(());
        }
        let now = store::hash_input(path, self.console().stop()).ok();
        if before.digest == now {
            inputs.first.insert(path.to_path_buf(), First { stamp: Some(stamp), digest: now });
            return Ok(());
        }
        Err(Error::new(Code::Failed, format!("`{name}` has changed while this run was going on"))
            .fact("expected", "the same content each time that a run reads it")
            .help("run again when nothing writes to it any more; to read a file that changes, read it once"))
    }

    /// Notes that the script itself writes at `path`.
    pub(super) fn will_write(&self, path: &Path) {
        locked(&self.inputs).own.insert(path.to_path_buf());
    }

    /// Notes that nothing was found at `path`, which `watch` waits for.
    pub(super) fn missed(&self, path: &Path) {
        locked(&self.inputs).missing.insert(path.to_path_buf());
    }

    /// Puts what the script has read into the run lock: its path inside the project, and a digest of its content. What the script
    /// has written itself is no input.
    pub fn record_input(&self, name: &str, digest: &str) {
        let mut inputs = locked(&self.inputs);
        let path = inputs.granted.get(name).cloned();
        if path.as_ref().is_some_and(|path| inputs.is_own(path)) {
            return;
        }
        inputs.digests.insert(name.to_string(), digest.to_string());
        let Some(path) = path else { return };
        let Some(first) = inputs.first.get(&path).cloned() else { return };
        if first.digest.is_some() && inputs.files.contains_key(name) {
            return;
        }
        let digest = first.digest.or_else(|| store::hash_input(&path, self.console().stop()).ok());
        let Some(digest) = digest else { return };
        if store::stamp(&path) != first.stamp {
            self.console()
                .warn(&format!("`{name}` has changed while it was being read: its lock may be of neither state"));
        }
        inputs.first.insert(path, First { digest: Some(digest.clone()), ..first });
        inputs.files.insert(name.to_string(), digest);
    }

    /// Puts a file of one value that the script read into the run lock, by its content.
    ///
    /// # Errors
    /// `interrupted`; `damaged-file` when it cannot be read.
    pub fn record_file(&self, name: &str, path: &Path) -> Result<()> {
        let digest = store::hash_file_until(path, self.console().stop()).map_err(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => Error::new(Code::Interrupted, "interrupted"),
            _ => Error::new(Code::DamagedFile, format!("cannot read `{name}`")).fact("reason", error),
        })?;
        self.record_input(name, &digest);
        Ok(())
    }

    /// The inputs for the lock: digests of content and of bytes, by name.
    pub(super) fn inputs(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let inputs = locked(&self.inputs);
        (inputs.digests.clone(), inputs.files.clone())
    }

    /// The paths whose change makes another run, and the stamp that each had when it was read; none for what was not there. What
    /// the script has written itself is left out.
    pub fn read_paths(&self) -> BTreeMap<PathBuf, Option<String>> {
        let inputs = locked(&self.inputs);
        let read = inputs.first.iter().map(|(path, first)| (path.clone(), first.stamp.clone()));
        let all = inputs.missing.iter().map(|path| (path.clone(), None)).chain(read);
        all.filter(|(path, _)| !inputs.is_own(path) && !path.starts_with(self.results().home())).collect()
    }
}
