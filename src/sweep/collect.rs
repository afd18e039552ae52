//! One table from the tables of all cells, in the order of the grid.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::plan::{Plan, results_of};
use crate::error::{Code, Error, Result};
use crate::progress::Silent;
use crate::report::table::{Table, Value};
use crate::store;

/// What was collected.
pub struct Collected {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// The cells that are not in them, because they are not done.
    pub missing: Vec<usize>,
    /// The CPU features that were met, each with its cells; more than one may mean other last bits.
    pub cpus: Vec<(String, Vec<usize>)>,
}

/// Writes `tables/<name>.csv` and `.md` for every table of the cells that are done: the axes in front, then the table's
/// own columns. An axis that a table has as a column already is called `axis_<name>`.
///
/// # Errors
/// `shape-mismatch` when a table has other columns in other cells; `wrong-type`; `damaged-file`; `write-failed`.
pub fn collect(dir: &Path, plan: &Plan) -> Result<Collected> {
    let mut collected = Collected { files: Vec::new(), missing: Vec::new(), cpus: Vec::new() };
    let mut names = BTreeSet::new();
    let mut done: Vec<(usize, String)> = Vec::new();
    for index in 0..plan.cells.len() {
        let Some(outcome) = Outcome::read(dir, plan, index).filter(Outcome::done) else {
            collected.missing.push(index);
            continue;
        };
        names.extend(tables(&results_of(dir, index)));
        done.push((index, outcome.cpu));
    }
    for name in names {
        let table = gather(dir, plan, &done, &name)?;
        for (extension, text) in [("csv", table.to_csv(&Silent)?), ("md", table.to_markdown(&Silent)?)] {
            let path = dir.join("tables").join(format!("{name}.{extension}"));
            store::write_atomic(&path, text.as_bytes())?;
            collected.files.push(path);
        }
    }
    collected.cpus = by_cpu(done.into_iter());
    Ok(collected)
}

/// Cells by what they ran on, in the order in which the CPUs are met.
pub fn by_cpu(cells: impl Iterator<Item = (usize, String)>) -> Vec<(String, Vec<usize>)> {
    let mut cpus: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, cpu) in cells {
        match cpus.iter_mut().find(|(other, _)| *other == cpu) {
            Some((_, cells)) => cells.push(index),
            None => cpus.push((cpu, vec![index])),
        }
    }
    cpus
}

/// The names of the tables that a cell has written.
fn tables(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let csv = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "csv"));
    csv.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

/// The rows of one table in all cells that have it.
fn gather(dir: &Path, plan: &Plan, done: &[(usize, String)], name: &str) -> Result<Table> {
    let mut columns: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (index, _) in done {
        let path = results_of(dir, *index).join(format!("{name}.csv"));
        if !path.exists() {
            continue;
        }
        let table = Table::read(&path, &Silent)?;
        if columns.is_empty() {
            columns = table.columns();
        } else if columns != table.columns() {
            return Err(Error::new(Code::ShapeMismatch, format!("table `{name}` has other columns in cell {index}"))
                .fact("expected", columns.join(", "))
                .fact("given", table.columns().join(", ")));
        }
        let axes: Vec<Value> = plan.axes.iter().map(|axis| value(plan.cells[*index].params.get(axis))).collect();
        rows.extend(table.rows()?.into_iter().map(|row| [axes.clone(), row].concat()));
    }
    let axis = |axis: &String| if columns.contains(axis) { format!("axis_{axis}") } else { axis.clone() };
    let header = plan.axes.iter().map(axis).chain(columns.iter().cloned()).collect();
    Table::from_rows(header, rows).map_err(|error| error.fact("table", name))
}

/// A parameter as a cell of a table; an array as its JSON.
fn value(given: Option<&serde_json::Value>) -> Value {
    use serde_json::Value as Json;
    match given {
        None | Some(Json::Null) => Value::Null,
        Some(Json::Bool(x)) => Value::Bool(*x),
        Some(Json::String(x)) => Value::Text(x.clone()),
        Some(Json::Number(x)) => x.as_i64().map_or_else(|| x.as_f64().map_or(Value::Null, Value::Float), Value::Int),
        Some(other) => Value::Text(other.to_string()),
    }
}
