//! What was typed before, in `.saerun/history`: one input a line, the oldest first.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::store;

/// How many inputs are remembered.
const KEPT: usize = 1000;

/// The history of a project.
pub struct History {
    path: PathBuf,
    last: String,
}

impl History {
    /// Reads the history of the project in `root`, and drops what has become too old.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn open(root: &Path) -> Result<(History, Vec<String>)> {
        let path = root.join(".saerun").join("history");
        let text = std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let kept = &lines[lines.len().saturating_sub(KEPT)..];
        if kept.len() < lines.len() {
            store::write_atomic(&path, (kept.join("\n") + "\n").as_bytes())?;
        }
        let entries: Vec<String> = kept.iter().map(|line| unescaped(line)).collect();
        Ok((History { path, last: entries.last().cloned().unwrap_or_default() }, entries))
    }

    /// Adds an input, unless it is that of last time.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn add(&mut self, input: &str) -> Result<()> {
        if input == self.last {
            return Ok(());
        }
        let line = escaped(input) + "\n";
        let failed = |e| Error::new(Code::WriteFailed, "cannot write the history").fact("reason", e);
        store::append_to(&self.path)?.write_all(line.as_bytes()).map_err(failed)?;
        self.last = input.to_string();
        Ok(())
    }
}

/// An input as one line.
fn escaped(input: &str) -> String {
    input.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "")
}

/// The input that a line stands for.
fn unescaped(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            _ => text.push(c),
        }
    }
    text
}
