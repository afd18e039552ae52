//! One remembered result: a folder of files with a manifest that says what must be in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::{check_file_name, hash_file_until, write_failed};
use crate::error::{Code, Error, Result};

/// Files from this size on are hashed when they are first used, not when the entry is found: a cached run does not
/// read gigabytes of activations that it never needs.
const HASH_LATER: u64 = 64 << 20;

/// Set to end long work soon.
pub(super) type Stop = Arc<AtomicBool>;

pub(super) const MANIFEST: &str = "manifest.json";

/// What the manifest says about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its content, in hex.
    pub blake3: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    key: serde_json::Value,
    files: BTreeMap<String, File>,
}

/// A remembered result on disk. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Entry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    files: BTreeMap<String, File>,
    digest: String,
    stop: Stop,
    verified: Mutex<BTreeSet<String>>,
}

impl Entry {
    /// Reads the entry in `dir` and checks it: the manifest, this key, every file's size, every smaller file's hash.
    /// The error says in a few words what is wrong.
    pub(super) fn open(dir: &Path, key: &Key, stop: &Stop) -> std::result::Result<Entry, String> {
        let (manifest, verified) = read(dir, stop)?;
        if manifest.key != key.to_json() {
            return Err("its manifest names another key".to_string());
        }
        Ok(Entry::new(dir, manifest.files, verified, stop))
    }

    /// Hashes the files that `dir` holds and writes the manifest, last of all. `home` is where the folder will move.
    pub(super) fn seal(dir: &Path, home: &Path, key: &Key, stop: &Stop) -> Result<Entry> {
        let failed = |error| write_failed(dir, error);
        let mut files = BTreeMap::new();
        for item in fs::read_dir(dir).map_err(failed)? {
            let item = item.map_err(failed)?;
            let name = item.file_name().to_string_lossy().into_owned();
            check_file_name(&name)?;
            if !item.file_type().map_err(failed)?.is_file() || name == MANIFEST {
                return Err(Error::new(Code::Internal, "a cache entry holds plain files only").fact("given", name));
            }
            let bytes = item.metadata().map_err(failed)?.len();
            let blake3 = hash_file_until(&item.path(), stop).map_err(|error| interrupted(stop, failed(error)))?;
            files.insert(name, File { bytes, blake3 });
        }
        let manifest = Manifest { key: key.to_json(), files };
        let mut text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::new(Code::Internal, format!("cannot write a manifest: {error}")))?;
        text.push(b'\n');
        fs::write(dir.join(MANIFEST), text).map_err(failed)?;
        let verified = manifest.files.keys().cloned().collect();
        Ok(Entry::new(home, manifest.files, verified, stop))
    }

    fn new(dir: &Path, files: BTreeMap<String, File>, verified: BTreeSet<String>, stop: &Stop) -> Entry {
        let mut hasher = blake3::Hasher::new_derive_key("saerun 1 cache entry content");
        for (name, file) in &files {
            hasher.update(name.as_bytes());
            hasher.update(b"\0");
            hasher.update(file.blake3.as_bytes());
            hasher.update(b"\n");
        }
        let digest = hasher.finalize().to_hex().to_string();
        let (dir, stop) = (dir.to_path_buf(), Arc::clone(stop));
        Entry(Arc::new(Inner { dir, files, digest, stop, verified: Mutex::new(verified) }))
    }

    /// The folder that holds the files.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Digest of the content (names and hashes of all files): the digest of this result as an input of others.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The files by name, the manifest left out.
    pub fn files(&self) -> &BTreeMap<String, File> {
        &self.0.files
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.0.files.values().map(|file| file.bytes).sum()
    }

    /// The path of a file whose content is what was stored. A large file is hashed at the first call of a process.
    ///
    /// # Errors
    /// `missing-file` when the entry has no such file; `interrupted`; `damaged-file` when its content has changed. The
    /// damaged entry is removed, so that the next run computes it again.
    pub fn verified(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.dir.join(name);
        let Some(file) = self.0.files.get(name) else {
            return Err(Error::new(Code::MissingFile, format!("the cache entry has no file `{name}`")));
        };
        let mut verified = self.0.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if !verified.contains(name) {
            let digest = hash_file_until(&path, &self.0.stop).ok();
            if digest.as_ref() != Some(&file.blake3) {
                if digest.is_none() && self.0.stop.load(Ordering::Relaxed) {
                    return Err(Error::new(Code::Interrupted, "interrupted"));
                }
                super::cache::remove(&self.0.dir);
                return Err(Error::new(Code::DamagedFile, format!("the cached file `{name}` is damaged"))
                    .fact("path", path.display())
                    .help("the cache entry was removed; run again to compute it afresh"));
            }
            verified.insert(name.to_string());
        }
        Ok(path)
    }
}

/// The error of a hash, unless it was stopped.
fn interrupted(stop: &Stop, error: Error) -> Error {
    if stop.load(Ordering::Relaxed) { Error::new(Code::Interrupted, "interrupted") } else { error }
}

/// The manifest of a folder, once its files are what it says: every file's size, every smaller file's hash. With it, which
/// files were hashed.
fn read(dir: &Path, stop: &Stop) -> std::result::Result<(Manifest, BTreeSet<String>), String> {
    let text = fs::read(dir.join(MANIFEST)).map_err(|_| "its manifest cannot be read".to_string())?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| "its manifest is broken".to_string())?;
    let mut verified = BTreeSet::new();
    for (name, file) in &manifest.files {
        check_file_name(name).map_err(|_| "its manifest names a strange file".to_string())?;
        let path = dir.join(name);
        let bytes = fs::metadata(&path).map_err(|_| format!("`{name}` is missing"))?.len();
        if bytes != file.bytes {
            return Err(format!("`{name}` has {bytes} bytes instead of {}", file.bytes));
        }
        if bytes < HASH_LATER {
            let hash = hash_file_until(&path, stop).map_err(|_| format!("`{name}` cannot be read"))?;
            if hash != file.blake3 {
                return Err(format!("the content of `{name}` has changed"));
            }
            verified.insert(name.clone());
        }
    }
    Ok((manifest, verified))
}

/// What is wrong with the entry in `dir`, whatever its key.
pub(super) fn inspect(dir: &Path) -> std::result::Result<(), String> {
    read(dir, &Stop::default()).map(|_| ())
}
