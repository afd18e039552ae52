//! One run at a time for a folder of results: a lock that the system drops when its process ends, however it ends.

use std::fs;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use super::{hidden, parent_of, write_failed};
use crate::error::Result;

/// A folder that no other run writes to as long as this value lives.
#[derive(Debug)]
pub struct FolderLock {
    _file: fs::File,
}

impl FolderLock {
    /// Takes the lock of the folder `home`; `who` tells others about this run. The answer is the lock, or what the run that has it
    /// says of itself, which may be nothing. Where the file system has no locks, every run gets one.
    ///
    /// # Errors
    /// `write-failed` when the file of the lock cannot be made in `.saerun/locks`.
    pub fn take(project: &Path, home: &Path, who: &str) -> Result<std::result::Result<FolderLock, String>> {
        let name = blake3::hash(real(home).as_os_str().as_encoded_bytes()).to_hex();
        let path = hidden(project)?.join("locks").join(format!("{}.lock", &name[..16]));
        parent_of(&path)?;
        let failed = |error| write_failed(&path, error);
        let options = &mut fs::OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            return Ok(Err(fs::read_to_string(&path).unwrap_or_default().trim().to_string()));
        }
        // The text only helps whoever waits.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{who}"));
        Ok(Ok(FolderLock { _file: file }))
    }
}

/// The path with links followed as far as it exists.
pub(super) fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    found.map_or(path.to_path_buf(), |(part, real)| match path.strip_prefix(part) {
        Ok(rest) if rest.as_os_str().is_empty() => real,
        Ok(rest) => real.join(rest),
        Err(_) => path.to_path_buf(),
    })
}
