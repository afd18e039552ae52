//! What is written to disk: the content-addressed cache, atomic writes, the run lock, the run records.
//!
//! Nothing here is ever half written. A file or folder is filled under a temporary name and moved in place by one rename, or
//! exchanged with what is there, so a reader sees the old state or the new one, and an interrupted run leaves at most a
//! `.tmp-` leftover that a later run or [`clean`] removes.

mod cache;
mod change;
mod checkpoint;
mod entry;
mod folder_lock;
mod hash;
mod health;
mod key;
mod lock;
mod results;
mod rows;
mod runs;
mod swap;
mod temporary;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use cache::{Cache, cache_bytes, clean, clean_but};
pub use change::{Change, aligned, changes, short};
pub use checkpoint::{FileCheckpoint, is_saving};
pub use entry::{Entry, File};
pub use folder_lock::FolderLock;
pub use hash::{hash_file, hash_file_until, hash_input, stamp};
pub use health::{Health, health};
pub use key::{Key, canonical_json, sorted};
pub use lock::{Lock, Script, Step};
pub use results::{RESERVED, Results, Written};
pub use rows::{RowFile, map_file};
pub use runs::{
    Git, KEPT, LARGEST_PATCH, Machine, Record, Timed, clean_runs, find_run, keep_run, partial_dir, run_events,
    run_lock, run_tables, runs, runs_dir,
};
pub use swap::{finish_swap, recover_dir};
pub use temporary::Temporary;

use crate::error::{Code, Error, Result};
use swap::replace_dir;
use temporary::{leftovers, temporary, temporary_dir};

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
    // What a link leads to is replaced, and the link stays.
    let dir = &if dir.is_symlink() { dir.canonicalize().unwrap_or(dir.to_path_buf()) } else { dir.to_path_buf() };
    recover_dir(dir);
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
    // What a killed process has left of such a folder, and nothing of anybody else's.
    leftovers(parent, &mut |left| {
        let saved = |item: fs::DirEntry| SAVED.iter().any(|name| item.file_name() == *name);
        if left.read_dir().is_ok_and(|items| items.flatten().all(saved)) {
            let _ = fs::remove_dir_all(left);
        }
    });
    let fresh = temporary_dir(parent)?;
    for (name, bytes) in files {
        let path = fresh.path().join(name);
        let written = fs::File::create(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()));
        written.map_err(|error| write_failed(&dir.join(name), error))?;
    }
    replace_dir(fresh, dir)
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
pub fn scratch(project: &Path) -> Result<Temporary> {
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
