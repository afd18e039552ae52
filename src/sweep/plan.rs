//! `cells.json`: what a sweep consists of, written before anything runs and never changed afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::grid::Params;
use crate::error::{Code, Error, Result};
use crate::store;

const FILE: &str = "cells.json";

/// All cells of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of saerun.
    pub saerun: String,
    /// The script's path inside the project.
    pub script: String,
    /// The script and what it imports: path inside the project and BLAKE3 of the text.
    pub sources: BTreeMap<String, String>,
    /// The names of the axes, the slowest first.
    pub axes: Vec<String>,
    /// The cells, by index.
    pub cells: Vec<Cell>,
}

/// One run of the script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Digest of the scripts and the parameters: a result belongs to this cell when it carries the same.
    pub id: String,
    /// The parameters, axes and fixed ones.
    pub params: Params,
}

impl Plan {
    /// The plan for these cells of a script.
    pub fn new(script: String, sources: BTreeMap<String, String>, axes: Vec<String>, cells: Vec<Params>) -> Plan {
        let id = |params: &Params| {
            let text = store::canonical_json(&serde_json::json!([sources, params]));
            blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect()
        };
        let cells = cells.into_iter().map(|params| Cell { id: id(&params), params }).collect();
        Plan { saerun: env!("CARGO_PKG_VERSION").to_string(), script, sources, axes, cells }
    }

    /// Writes the plan into the folder of a sweep. A folder that has this plan already keeps it, so that starting a sweep
    /// twice goes on with it.
    ///
    /// # Errors
    /// `out-of-range` when the folder belongs to another sweep; `write-failed`.
    pub fn settle(&self, dir: &Path) -> Result<()> {
        if dir.join(FILE).exists() {
            return match Plan::read(dir) {
                Ok(there) if there == *self => Ok(()),
                _ => Err(Error::new(Code::OutOfRange, format!("`{}` holds another sweep", dir.display()))
                    .fact("expected", "the same script, imports, axes and values")
                    .help("give this one a folder by `--dir`, or remove that one")),
            };
        }
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("cannot write the cells: {error}")))?;
        text.push('\n');
        store::write_atomic(&dir.join(FILE), text.as_bytes())
    }

    /// The plan in the folder of a sweep.
    ///
    /// # Errors
    /// `missing-file`, `damaged-file`.
    pub fn read(dir: &Path) -> Result<Plan> {
        let path = dir.join(FILE);
        let text = std::fs::read(&path).map_err(|error| {
            Error::new(Code::MissingFile, format!("there is no sweep in `{}`", dir.display()))
                .fact("reason", error)
                .help("give the folder that holds `cells.json`; on a cluster, one that every node sees")
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            Error::new(Code::DamagedFile, format!("`{}` is no list of cells", path.display())).fact("reason", error)
        })
    }

    /// The cell with this index.
    ///
    /// # Errors
    /// `out-of-range`.
    pub fn cell(&self, index: usize) -> Result<&Cell> {
        self.cells.get(index).ok_or_else(|| {
            Error::new(Code::OutOfRange, "the sweep has no such cell")
                .fact("expected", format!("0 to {}", self.cells.len().saturating_sub(1)))
                .fact("given", index)
        })
    }

    /// Whether the scripts are still those that the sweep began with.
    ///
    /// # Errors
    /// `failed` when one has changed or is gone.
    pub fn check_sources(&self, project: &Path) -> Result<()> {
        for (name, digest) in &self.sources {
            let bytes = std::fs::read(project.join(name)).unwrap_or_default();
            if blake3::hash(&bytes).to_hex().as_str() != digest {
                return Err(Error::new(Code::Failed, format!("`{name}` has changed since the sweep began"))
                    .help("put it back, or start another sweep in a folder of its own by `--dir`"));
            }
        }
        Ok(())
    }

    /// The axes of a cell in words: `seed=1 coefficient=0.03`.
    pub fn label(&self, index: usize) -> String {
        let value = |name: &String| self.cells.get(index).and_then(|cell| cell.params.get(name));
        let word = |name: &String| value(name).map(|value| format!("{name}={}", plain(value)));
        self.axes.iter().filter_map(word).collect::<Vec<_>>().join(" ")
    }
}

/// A value without the quotes of JSON text.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToString::to_string)
}

/// Where the results of a cell go.
pub fn results_of(dir: &Path, index: usize) -> PathBuf {
    dir.join("cells").join(format!("{index:06}"))
}
