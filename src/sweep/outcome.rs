//! The result file of a cell, the last thing that a cell writes: where it is, the cell is over.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::{Plan, results_of};
use crate::error::{Code, Error, Result};
use crate::store;

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The cell's digest in `cells.json`.
    pub id: String,
    /// What the script ended with; 0 is well.
    pub exit_code: u8,
    /// Why it failed, in one line; empty when it did not.
    pub message: String,
    /// How long the script ran.
    pub seconds: f64,
    /// The CPU features that results depend on.
    pub cpu: String,
}

impl Outcome {
    /// Whether the cell ended well.
    pub fn done(&self) -> bool {
        self.exit_code == 0
    }

    /// Writes the result file of a cell.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn write(&self, dir: &Path, index: usize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("cannot write a result: {error}")))?;
        text.push('\n');
        store::write_atomic(&path(dir, index), text.as_bytes())
    }

    /// The result of a cell; `None` when there is none yet, or one of another sweep.
    pub fn read(dir: &Path, plan: &Plan, index: usize) -> Option<Outcome> {
        let text = std::fs::read(path(dir, index)).ok()?;
        let outcome: Outcome = serde_json::from_slice(&text).ok()?;
        (outcome.id == plan.cells.get(index)?.id).then_some(outcome)
    }
}

fn path(dir: &Path, index: usize) -> PathBuf {
    results_of(dir, index).with_extension("json")
}

/// The features of this machine's CPU that choose among kernels, and with them the last bits of results.
pub fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found: [(&str, bool); 0] = [];
    let words: Vec<&str> = found.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    [std::env::consts::ARCH, &words.join(" ")].join(" ").trim_end().to_string()
}
