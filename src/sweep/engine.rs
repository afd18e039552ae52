//! Which engine runs a sweep, and how: kept in the sweep's folder, so that `resume` does as the start did.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::store;

const FILE: &str = "engine.json";

/// What runs the cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Processes on this machine.
    #[default]
    Local,
    /// Job arrays of Slurm.
    Slurm,
}

/// How the cells are run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What runs the cells.
    pub engine: Engine,
    /// Local: cells at once; 0 is one for each core.
    pub jobs: usize,
    /// Slurm: tasks at once; 0 is no bound.
    pub max_running: usize,
    /// Slurm: cells a task, at least 1.
    pub pack: usize,
    /// Slurm: words for `sbatch`, such as `--partition=gpu`.
    pub slurm_args: Vec<String>,
}

impl Options {
    /// Keeps them in the folder of a sweep.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("cannot write the options: {error}")))?;
        store::write_atomic(&dir.join(FILE), format!("{text}\n").as_bytes())
    }

    /// Those that a sweep was started with, or the defaults.
    pub fn read(dir: &Path) -> Options {
        let text = std::fs::read(dir.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or(Options { pack: 1, ..Options::default() })
    }
}
