//! How a cache stands: what it holds, and what in it is damaged. Nothing is changed.

use std::fs;
use std::path::Path;

use super::cache::is_digest;
use super::entry::inspect;

/// How a cache stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// How many results it remembers.
    pub entries: usize,
    /// Bytes of all its files, checkpoints included.
    pub bytes: u64,
    /// The damaged results, as `function/digest`, and what is wrong with each.
    pub damaged: Vec<(String, String)>,
}

/// Looks at every result in `root`; one that is not there is an empty cache.
pub fn health(root: &Path) -> Health {
    let mut health = Health { bytes: super::cache_bytes(root), ..Health::default() };
    for function in folders(root) {
        for entry in folders(&root.join(&function)).into_iter().filter(|name| is_digest(name)) {
            health.entries += 1;
            if let Err(why) = inspect(&root.join(&function).join(&entry)) {
                health.damaged.push((format!("{function}/{}", &entry[..8]), why));
            }
        }
    }
    health
}

/// The names of the folders in a folder, sorted.
fn folders(dir: &Path) -> Vec<String> {
    let items = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        items.filter(|item| item.path().is_dir()).map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
