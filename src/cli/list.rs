//! `saerun list`: the runs on record, and whether committed results still belong to their scripts.

use std::sync::atomic::AtomicBool;

use clap::Args;

use super::run::Format;
use super::{Failure, project};
use crate::error::Result;
use crate::host::committed::{self, Committed, Fault};
use crate::host::output::outln;
use crate::report::number::duration;
use crate::store::{self, Record};

/// What `saerun list` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// How many runs to show, the newest first
    #[arg(long, short, value_name = "N", default_value_t = 20)]
    n: usize,
    /// A table for people, or a JSON object a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const AFTER: &str = "\
Example:
  saerun list -n 1

  run              begin                 exit  time    steps            script
  000012-ab12cd34  2026-01-31T12:00:00Z  0     14m02s  5 cached, 2 ran  scripts/peaks.rhai

  results        state
  results/peaks  matches its lock and script

Runs are kept in .saerun/runs, the newest 200 of them.";

/// Prints both lists.
pub(super) fn list(arguments: &Arguments) -> std::result::Result<(), Failure> {
    let root = project()?;
    let runs: Vec<Record> = store::runs(&root).into_iter().take(arguments.n).collect();
    let results: Vec<(String, String)> = committed::all(&root)
        .into_iter()
        .map(|(name, read)| {
            let state = read.and_then(|committed| state(&root, &committed)).unwrap_or_else(|error| error.to_string());
            (name, state.replace('\n', " "))
        })
        .collect();
    if arguments.format == Format::Json {
        for run in &runs {
            outln!("{}", serde_json::json!({ "event": "run", "run": run }));
        }
        for (name, state) in &results {
            outln!("{}", serde_json::json!({ "event": "results", "results": name, "state": state }));
        }
        return Ok(());
    }
    let mut rows = vec![["run", "begin", "exit", "time", "steps", "script"].map(str::to_string)];
    rows.extend(runs.iter().map(row));
    if runs.is_empty() {
        outln!("no run is on record");
    } else {
        print(&rows);
    }
    if !results.is_empty() {
        let head = ["results".to_string(), "state".to_string()];
        outln!("");
        print(&std::iter::once(head).chain(results.into_iter().map(|(name, state)| [name, state])).collect::<Vec<_>>());
    }
    Ok(())
}

fn row(run: &Record) -> [String; 6] {
    let script = if run.verifies { format!("{} (verify)", run.script) } else { run.script.clone() };
    [run.id.clone(), run.begin.clone(), run.exit_code.to_string(), duration(run.seconds), steps(run), script]
}

/// How many steps were remembered and how many ran.
pub(super) fn steps(run: &Record) -> String {
    let cached = run.steps.iter().filter(|step| step.cached).count();
    format!("{cached} cached, {} ran", run.steps.len() - cached)
}

/// How a folder of results stands, in a clause.
fn state(root: &std::path::Path, committed: &Committed) -> Result<String> {
    let faults = committed::faults(root, committed, &AtomicBool::new(false))?;
    Ok(match faults.iter().find(|fault| fault.is_of_results()).or(faults.first()) {
        None => "matches its lock and script".to_string(),
        Some(Fault::Missing(file)) => format!("edited: {file} is missing"),
        Some(Fault::Edited(file)) => format!("edited: {file} does not match the lock"),
        Some(Fault::Unlisted(file)) => format!("edited: {file} is not in the lock"),
        Some(Fault::Changed(file)) => format!("older than {file}"),
        Some(Fault::Gone(file)) => format!("{file} is not there any more"),
        Some(Fault::Lock(what)) => format!("edited: {what} is not what the run wrote"),
        Some(Fault::LineEnds(file)) => format!("edited: {file} has other line ends than the run wrote"),
        Some(Fault::InputChanged(file)) => format!("older than its input {file}"),
        Some(Fault::InputGone(file)) => format!("its input {file} is not there any more"),
    })
}

/// Columns with two spaces between them.
fn print<const N: usize>(rows: &[[String; N]]) {
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        outln!("{}", line.trim_end());
    }
}
