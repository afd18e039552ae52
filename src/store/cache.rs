//! The content-addressed cache: `<root>/<function>/<digest of the key>/`, shared by any number of processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::checkpoint::FileCheckpoint;
use super::entry::{Entry, Stop};
use super::key::Key;
use super::swap::replace_dir;
use super::temporary::{Temporary, temporary_dir};
use super::{TEMPORARY, parent_of, write_failed};
use crate::error::Result;

/// Results of expensive functions, by what they were computed from.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
    enabled: bool,
    stop: Stop,
}

impl Cache {
    /// The cache in the folder `root` (`.saerun/cache` of a project), which is made when something is put there. A cache
    /// that is not `enabled` finds nothing, so that everything is computed, and what is put replaces what was there.
    pub fn open(root: PathBuf, enabled: bool) -> Cache {
        Cache { root, enabled, stop: Stop::default() }
    }

    /// The same cache, whose work on big files ends soon once `stop` is set.
    pub fn until(self, stop: Arc<AtomicBool>) -> Cache {
        Cache { stop, ..self }
    }

    /// The folder it lives in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether what is remembered is used.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Where the entry of this key is or would be.
    pub fn dir(&self, key: &Key) -> PathBuf {
        self.root.join(key.folder()).join(key.digest())
    }

    /// The remembered result, when it is there and whole. A damaged one is removed, `warn` is told, and `None` comes back.
    pub fn get(&self, key: &Key, warn: &dyn Fn(&str)) -> Option<Entry> {
        let dir = self.dir(key);
        if !self.enabled || !dir.exists() {
            return None;
        }
        match Entry::open(&dir, key, &self.stop) {
            Ok(entry) => Some(entry),
            // Another process has removed or replaced it meanwhile, or the run is to stop: nothing to warn of.
            Err(_) if !dir.exists() || self.stop.load(Ordering::Relaxed) => None,
            Err(reason) => {
                warn(&format!("the cached result of {} is damaged ({reason}); it is computed again", key.function));
                remove(&dir);
                None
            }
        }
    }

    /// Removes what is remembered under this key.
    pub fn forget(&self, key: &Key) {
        remove(&self.dir(key));
    }

    /// Remembers a result: `fill` writes its files, without folders, into the folder it is given. When another process
    /// was faster, its entry is the answer. The checkpoint of this key is removed.
    ///
    /// # Errors
    /// Whatever `fill` returns, `write-failed` otherwise; nothing half written stays behind.
    pub fn put(&self, key: &Key, fill: &mut dyn FnMut(&Path) -> Result<()>) -> Result<Entry> {
        let home = self.dir(key);
        let temporary = temporary_dir(parent_of(&home)?)?;
        fill(temporary.path())?;
        let entry = Entry::seal(temporary.path(), &home, key, &self.stop)?;
        let entry =
            if self.enabled { self.settle(temporary, &home, key, entry)? } else { force(temporary, &home, entry)? };
        self.checkpoint(key).remove();
        Ok(entry)
    }

    /// Where a training of this key keeps its state between interruptions.
    pub fn checkpoint(&self, key: &Key) -> FileCheckpoint {
        FileCheckpoint::new(self.dir(key).with_extension("checkpoint"), self.enabled)
    }

    /// Whether an interrupted computation of this key has left a state to go on from.
    pub fn has_checkpoint(&self, key: &Key) -> bool {
        self.enabled && self.dir(key).with_extension("checkpoint").is_file()
    }

    /// Moves a sealed folder home, unless a whole entry is there already.
    fn settle(&self, temporary: Temporary, home: &Path, key: &Key, entry: Entry) -> Result<Entry> {
        for _ in 0..8 {
            match fs::rename(temporary.path(), home) {
                Ok(()) => {
                    temporary.keep();
                    return Ok(entry);
                }
                Err(error) if !home.exists() => return Err(write_failed(home, error)),
                Err(_) => match Entry::open(home, key, &self.stop) {
                    Ok(winner) => return Ok(winner),
                    Err(_) if self.stop.load(Ordering::Relaxed) => break,
                    Err(_) => remove(home),
                },
            }
        }
        force(temporary, home, entry)
    }
}

/// Moves a sealed folder home and what was there away.
fn force(temporary: Temporary, home: &Path, entry: Entry) -> Result<Entry> {
    replace_dir(temporary, home)?;
    Ok(entry)
}

/// Removes an entry: moved aside by one rename first, so that nobody finds half of it.
pub(super) fn remove(dir: &Path) {
    let Ok(aside) = dir.parent().map(temporary_dir).transpose() else { return };
    if let Some(aside) = aside {
        let _ = fs::rename(dir, aside.path().join("removed"));
    }
}

/// Bytes of all files below `root`; 0 when it is not there.
pub fn cache_bytes(root: &Path) -> u64 {
    let Ok(items) = fs::read_dir(root) else { return 0 };
    items
        .flatten()
        .map(|item| match item.file_type() {
            Ok(kind) if kind.is_dir() => cache_bytes(&item.path()),
            Ok(kind) if kind.is_file() => item.metadata().map_or(0, |data| data.len()),
            _ => 0,
        })
        .sum()
}

/// Empties the cache in `root`: entries, checkpoints and what interrupted runs left; returns the bytes given back.
/// Only what a cache puts there is touched.
///
/// # Errors
/// `write-failed` when something cannot be removed.
pub fn clean(root: &Path) -> Result<u64> {
    clean_but(root, false, &|_, _| false)
}

/// As [`clean`], but for what is `spared` by the digest of its key (of leftovers: their name) and its metadata. A `dry`
/// one only counts.
///
/// # Errors
/// `write-failed` when something cannot be removed.
pub fn clean_but(root: &Path, dry: bool, spared: &dyn Fn(&str, &fs::Metadata) -> bool) -> Result<u64> {
    let mut given_back = 0;
    let Ok(functions) = fs::read_dir(root) else { return Ok(0) };
    for function in functions.flatten().map(|item| item.path()).filter(|path| path.is_dir()) {
        let Ok(items) = fs::read_dir(&function) else { continue };
        for item in items.flatten() {
            let (path, name) = (item.path(), item.file_name().to_string_lossy().into_owned());
            let digest = name.strip_suffix(".checkpoint").or_else(|| name.strip_suffix(".rows")).unwrap_or(&name);
            let Ok(data) = item.metadata() else { continue };
            if (!name.starts_with(TEMPORARY) && !is_digest(digest)) || spared(digest, &data) {
                continue;
            }
            given_back += if data.is_dir() { cache_bytes(&path) } else { data.len() };
            if !dry {
                let removed = if data.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(|error| write_failed(&path, error))?;
            }
        }
        if !dry {
            // Stays when something is in it.
            let _ = fs::remove_dir(&function);
        }
    }
    Ok(given_back)
}

pub(super) fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit())
}
