//! `saerun index`: `results/README.md`, with the question, first answer, figure and command of every script that left results.
//!
//! It is made from what is committed, the scripts and their results, so it is the same for everybody.

use std::fmt::Write;
use std::path::Path;

use super::{Failure, project};
use crate::error::{Code, Error};
use crate::host::output::outln;
use crate::store;

/// What the index says of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The script's file name without `.rhai`, which is also the name of the folder of its results.
    pub stem: String,
    /// Its heading: what stands after the first `//! # `.
    pub title: String,
    /// The first point of its notes.
    pub answer: Option<String>,
    /// The first of its figures, by name.
    pub figure: Option<String>,
    /// How long it takes, in the script's own words: its line that begins with `Takes `.
    pub takes: Option<String>,
}

/// One entry for each script of `scripts/` that has a folder in `results/`, by name.
pub fn entries(project: &Path) -> Vec<Entry> {
    let scripts = std::fs::read_dir(project.join("scripts")).into_iter().flatten().flatten();
    let mut all: Vec<Entry> = scripts.filter_map(|file| entry(project, &file.path())).collect();
    all.sort_by(|a, b| a.stem.cmp(&b.stem));
    all
}

fn entry(project: &Path, script: &Path) -> Option<Entry> {
    let stem = script.file_name()?.to_str()?.strip_suffix(".rhai")?.to_string();
    let results = project.join("results").join(&stem);
    if !results.join("run.yaml").is_file() {
        return None;
    }
    let text = std::fs::read_to_string(script).ok()?;
    let prose: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let title = prose.iter().find_map(|line| line.strip_prefix("# ")).unwrap_or(&stem).to_string();
    let takes = prose.iter().find(|line| line.starts_with("Takes ")).map(ToString::to_string);
    let notes = std::fs::read_to_string(results.join("notes.md")).unwrap_or_default();
    let answer = notes.lines().find_map(|line| line.strip_prefix("- ")).map(ToString::to_string);
    let files = std::fs::read_dir(&results).into_iter().flatten().flatten();
    let mut figures: Vec<String> = files
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "svg"))
        .collect();
    figures.sort();
    Some(Entry { title, answer, takes, figure: figures.into_iter().next(), stem })
}

/// The index as Markdown.
pub fn markdown(entries: &[Entry]) -> String {
    let mut out = String::from("# Results\n\nWritten by `saerun index`; do not edit.\n");
    for entry in entries {
        let Entry { stem, title, answer, figure, takes } = entry;
        let _ = write!(out, "\n## {title}\n\n");
        if let Some(answer) = answer {
            let _ = write!(out, "{answer}\n\n");
        }
        let _ = write!(out, "`saerun scripts/{stem}.rhai`");
        if let Some(takes) = takes {
            let _ = write!(out, " takes {}", takes.trim_start_matches("Takes ").trim_end_matches('.'));
        }
        let _ = writeln!(out, "; [all of it]({stem}), [the script](../scripts/{stem}.rhai)");
        if let Some(figure) = figure {
            let _ = write!(out, "\n![{title}]({stem}/{figure})\n");
        }
    }
    out
}

/// Writes `results/README.md` from the scripts and what they left.
pub(super) fn index() -> Result<(), Failure> {
    let root = project()?;
    if !root.join("scripts").is_dir() {
        let error = Error::new(Code::MissingFile, "there is no folder scripts/ here");
        return Err(Failure::usage(error.help("run it in the project's folder")));
    }
    let all = entries(&root);
    store::write_atomic(&root.join("results").join("README.md"), markdown(&all).as_bytes())?;
    outln!("results/README.md: {} scripts", all.len());
    Ok(())
}
