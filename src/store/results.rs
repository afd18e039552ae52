//! The folder of a script's results, which people commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{check_file_name, remove_leftovers, write};
use crate::error::Result;

/// What was written under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// BLAKE3 of the content, in hex.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
    /// By how much the numbers of a table's column may differ where another processor computes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tolerance: BTreeMap<String, f64>,
}

/// The only place that a script writes results to. Cheap to copy; copies share what was written.
#[derive(Debug, Clone)]
pub struct Results {
    dir: PathBuf,
    written: Arc<Mutex<BTreeMap<String, Written>>>,
}

impl Results {
    /// The folder `results/<stem>` of a project, made at the first write.
    ///
    /// # Errors
    /// `outside-project` when the stem of the script's file name is no plain file name.
    pub fn new(project: &Path, stem: &str) -> Result<Results> {
        check_file_name(stem)?;
        Ok(Results::at(project.join("results").join(stem)))
    }

    /// Another folder of the user's choice.
    pub fn at(dir: PathBuf) -> Results {
        Results { dir, written: Arc::default() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Replaces the file `name` in one step, and remembers its digest for the lock.
    ///
    /// # Errors
    /// `outside-project` when the name is more than a file name; `write-failed`.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<Written> {
        check_file_name(name)?;
        let path = self.dir.join(name);
        if self.written().is_empty() {
            remove_leftovers(&self.dir);
        }
        write(&path, bytes, true)?;
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        let fact = Written { blake3, bytes: bytes.len() as u64, tolerance: BTreeMap::new() };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), fact.clone());
        Ok(fact)
    }

    /// Removes the files of an earlier run that this one has not written, unless somebody has changed them since.
    pub fn remove_stale(&self, earlier: &BTreeMap<String, Written>) {
        let written = self.written();
        for (name, fact) in earlier.iter().filter(|(name, _)| !written.contains_key(*name)) {
            let path = self.dir.join(name);
            let unchanged = |bytes: Vec<u8>| blake3::hash(&bytes).to_hex().as_str() == fact.blake3;
            if check_file_name(name).is_ok() && std::fs::read(&path).is_ok_and(unchanged) {
                // What cannot be removed is what `verify` will speak of.
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// Keeps for the lock by how much columns of the table `name` may differ, which must have been written.
    pub fn declare_tolerance(&self, name: &str, tolerance: BTreeMap<String, f64>) {
        if let Some(fact) = self.written.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
            fact.tolerance = tolerance;
        }
    }

    /// What this run has written so far, by name.
    pub fn written(&self) -> BTreeMap<String, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
