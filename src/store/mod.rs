//! What is written to disk: the content-addressed cache, atomic writes, the run lock, the run records.
//!
//! Nothing here is ever half written. A file or folder is filled under a temporary name beside its target and moved in
//! place by one rename, so a reader sees the old state or the new one, and an interrupted run leaves at most a
//! `.tmp-` leftover that [`clean`] removes.

mod cache;
mod change;
mod checkpoint;
mod entry;
mod health;
mod key;
mod lock;
mod results;
mod rows;
mod runs;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use cache::{Cache, cache_bytes, clean, clean_but};
pub use change::{Change, aligned, changes, short};
pub use checkpoint::FileCheckpoint;
pub use entry::{Entry, File, hash_file};
pub use health::{Health, health};
pub use key::{Key, canonical_json, sorted};
pub use lock::{Lock, Script, Step};
pub use results::{Results, Written};
pub use rows::{RowFile, map_file};
pub use runs::{
    Git, KEPT, LARGEST_PATCH, Machine, Record, Timed, clean_runs, find_run, keep_run, run_events, run_lock, run_tables,
    runs, runs_dir,
};

use crate::error::{Code, Error, Result};

/// How temporary files and folders begin; the rest of their name is unique.
const TEMPORARY: &str = ".tmp-";

/// Replaces the file at `path` by `bytes`, in one step; makes the folder when it is missing.
///
/// # Errors
/// `write-failed`, and the file is what it was.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, false)
}

/// As [`write_atomic`]; where `sync`, the bytes are on the disk before the file has its name, so that not even a loss of power
/// leaves half of it.
fn write(path: &Path, bytes: &[u8], sync: bool) -> Result<()> {
    let parent = parent_of(path)?;
    let failed = |error| write_failed(path, error);
    let mut file = temporary().tempfile_in(parent).map_err(failed)?;
    // Tells other processes that somebody is writing it; where there are no locks, nothing is removed either.
    let _ = file.as_file().try_lock();
    file.write_all(bytes).map_err(failed)?;
    if sync {
        file.as_file().sync_data().map_err(failed)?;
    }
    file.persist(path).map_err(|error| write_failed(path, error.error))?;
    Ok(())
}

/// Removes what killed writes have left in a folder: temporary files that nobody holds.
fn remove_leftovers(dir: &Path) {
    for item in dir.read_dir().into_iter().flatten().flatten() {
        if item.file_name().to_string_lossy().starts_with(TEMPORARY)
            && fs::File::open(item.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(item.path());
        }
    }
}

/// Opens the file at `path` for adding to its end, such as the log of a process; makes the folder when it is missing.
///
/// # Errors
/// `write-failed`.
pub fn append_to(path: &Path) -> Result<fs::File> {
    parent_of(path)?;
    fs::OpenOptions::new().create(true).append(true).open(path).map_err(|error| write_failed(path, error))
}

/// What the folders of models and SAEs hold, in any of the formats that are written.
const SAVED: [&str; 7] = [
    "cfg.json",
    "config.json",
    "model.safetensors",
    "sae.safetensors",
    "sae_weights.safetensors",
    "saerun.json",
    "tokenizer.json",
];

/// Replaces the folder `dir` by one that holds exactly `files` (names without separators, and their bytes). A folder that
/// holds anything but such files is not replaced: it would be lost.
///
/// # Errors
/// `write-failed`, and the folder is what it was; `outside-project` for a name that is not a plain file name.
pub fn write_dir_atomic(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, _) in files {
        check_file_name(name)?;
    }
    let ours = |item: &fs::DirEntry| {
        let name = item.file_name();
        let known = files.iter().map(|(name, _)| name.as_str()).chain(SAVED).any(|known| name == known);
        known && item.file_type().is_ok_and(|kind| kind.is_file())
    };
    if let Some(other) = dir.read_dir().into_iter().flatten().flatten().find(|item| !ours(item)) {
        let name = other.file_name().to_string_lossy().into_owned();
        return Err(Error::new(Code::WriteFailed, format!("`{}` holds more than a saved folder does", dir.display()))
            .fact("such as", name)
            .help("name a new folder: this one would be replaced with all that it holds"));
    }
    let parent = parent_of(dir)?;
    let fresh = temporary_dir(parent)?;
    for (name, bytes) in files {
        fs::write(fresh.path().join(name), bytes).map_err(|error| write_failed(&dir.join(name), error))?;
    }
    replace_dir(fresh, dir)
}

/// Moves a filled temporary folder to `dir`, and what was there out of the way first.
fn replace_dir(fresh: tempfile::TempDir, dir: &Path) -> Result<()> {
    let parent = parent_of(dir)?;
    let aside = temporary_dir(parent)?;
    let old = aside.path().join("old");
    match fs::rename(dir, &old) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(write_failed(dir, error)),
    }
    if let Err(error) = fs::rename(fresh.path(), dir) {
        let _ = fs::rename(&old, dir);
        return Err(write_failed(dir, error));
    }
    // The folder has moved: there is nothing left under its temporary name to remove.
    let _ = fresh.keep();
    Ok(())
}

/// The folder that holds `path`, made when it is missing.
fn parent_of(path: &Path) -> Result<&Path> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(Error::new(Code::WriteFailed, format!("`{}` is no file name", path.display()))),
    };
    fs::create_dir_all(parent).map_err(|error| write_failed(parent, error))?;
    Ok(parent)
}

/// A folder inside `.saerun` of the project for the time being, removed when dropped.
///
/// # Errors
/// `write-failed`.
pub fn scratch(project: &Path) -> Result<tempfile::TempDir> {
    temporary_dir(&hidden(project)?)
}

/// The folder `.saerun` of a project, made when it is missing. Nobody commits what is in it, also where the project's own
/// `.gitignore` does not say so.
fn hidden(project: &Path) -> Result<PathBuf> {
    let dir = project.join(".saerun");
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        write_atomic(&ignore, b"*\n")?;
    }
    Ok(dir)
}

/// A unique temporary folder in `parent`, removed when dropped.
fn temporary_dir(parent: &Path) -> Result<tempfile::TempDir> {
    let mut builder = temporary();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent).map_err(|error| write_failed(parent, error))
}

/// Temporary names with the permissions that a plain write would give, which is to say the umask's.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Whether `name` can be a file in a folder of saerun's and nothing else.
fn check_file_name(name: &str) -> Result<()> {
    let plain = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '/' || c == '\\' || c == ':' || c.is_control());
    if plain {
        return Ok(());
    }
    Err(Error::new(Code::OutsideProject, format!("`{}` is no plain file name", name.escape_debug()))
        .fact("expected", "letters, digits, `_`, `-` and inner dots, no folder")
        .help("results go to the folder of their script; give the bare name"))
}

/// An operating system's refusal to write `path`, as an error of the crate.
fn write_failed(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let help = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            "free some space and run again: finished steps are remembered, and committed results are what they were"
        }
        _ => "check the free space and the permissions of the folder",
    };
    Error::new(Code::WriteFailed, format!("cannot write `{}`", path.display())).fact("reason", &error).help(help)
}
