//! Temporary files and folders beside what they will become, and what killed processes have left of them.

use std::fs;
use std::path::Path;

use super::{TEMPORARY, write_failed};
use crate::error::{Code, Error, Result};

/// A temporary folder, removed when dropped. Its process holds a lock on it, so that others can tell it from a leftover.
#[derive(Debug)]
pub struct Temporary {
    dir: tempfile::TempDir,
    _held: Option<fs::File>,
}

impl Temporary {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Lets it stay, or forgets it once it has been moved.
    pub(super) fn keep(self) {
        let _ = self.dir.keep();
    }
}

/// A unique temporary folder in `parent`.
pub(super) fn temporary_dir(parent: &Path) -> Result<Temporary> {
    let mut builder = temporary();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    // Until the lock is taken, another process may take the folder for a leftover and remove it: then the next one.
    for _ in 0..100 {
        let dir = builder.tempdir_in(parent).map_err(|error| write_failed(parent, error))?;
        let Ok(file) = fs::File::open(dir.path()) else { return Ok(Temporary { dir, _held: None }) };
        match file.try_lock() {
            Ok(()) if dir.path().is_dir() => return Ok(Temporary { dir, _held: Some(file) }),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
            // A file system without locks: then nobody removes leftovers either.
            Err(fs::TryLockError::Error(_)) => return Ok(Temporary { dir, _held: None }),
        }
    }
    Err(Error::new(Code::WriteFailed, format!("no temporary folder in `{}` stays there", parent.display())))
}

/// Temporary names with the permissions that a plain write would give, which is to say the umask's.
pub(super) fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Removes what killed processes have left in a folder: temporary files and folders that nobody holds.
pub(super) fn remove_leftovers(dir: &Path) {
    leftovers(dir, &mut |path| {
        // What cannot be removed stays until the next time.
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    });
}

/// Calls `each` with every temporary file or folder in `dir` that nobody holds, while it is held here.
pub(super) fn leftovers(dir: &Path, each: &mut dyn FnMut(&Path)) {
    for item in dir.read_dir().into_iter().flatten().flatten() {
        if item.file_name().to_string_lossy().starts_with(TEMPORARY)
            && let Ok(file) = fs::File::open(item.path())
            && file.try_lock().is_ok()
        {
            each(&item.path());
        }
    }
}
