//! `saerun diff A B`: what differs between two runs, or between a run and the committed results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::run::Format;
use super::{Failure, project};
use crate::host::committed;
use crate::host::output::outln;
use crate::report::compare::{self, Difference};
use crate::store::{self, Change, Lock};

/// So many cells of a table are printed for people.
const SHOWN: usize = 20;

/// What `saerun diff` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A run as `saerun list` names it, its number or `last`; or a folder of results
    a: String,
    /// The same [default: the committed results of A's script]
    b: Option<String>,
    /// A text for people, or one JSON object
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const AFTER: &str = "\
Examples:
  saerun diff 11 12             parameters, steps and tables of two runs
  saerun diff last              the newest run against the committed results of its script

  parameters
    lr: 0.001 -> 0.002
  steps
    sae::train: option lr: 0.001 -> 0.002
  scores.csv
    row 1, column `l0`: 17.8 -> 17.9 (0.1 apart)

Of runs on record, tables below a megabyte are kept; of other files only whether they differ is known.";

/// One side of the comparison.
struct Side {
    name: String,
    lock: Lock,
    tables: BTreeMap<String, Vec<u8>>,
}

/// Prints what differs; the exit code is 0 either way.
pub(super) fn diff(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    let a = side(&root, &arguments.a)?;
    let b = match &arguments.b {
        Some(b) => side(&root, b)?,
        None => side(&root, &a.lock.script.file)?,
    };
    let params = params(&a.lock, &b.lock);
    let (steps, gone) = steps(&a.lock, &b.lock);
    let (tables, others) = files(&a, &b);
    if arguments.format == Format::Json {
        let steps: Vec<Value> =
            steps.iter().map(|(function, changes)| json!({ "function": function, "changes": changes })).collect();
        let scripts = a.lock.script != b.lock.script;
        let value = json!({
            "a": a.name, "b": b.name, "params": params, "script_differs": scripts, "steps": steps, "steps_gone": gone,
            "tables": tables, "other_files": others,
        });
        outln!("{value}");
        return Ok(());
    }
    outln!("{} -> {}", a.name, b.name);
    if a.lock.script != b.lock.script {
        outln!("scripts: {} differs, or its imports do", b.lock.script.file);
    }
    section("parameters", params.iter().map(|change| change.to_string()));
    let step = |(function, changes): &(String, Vec<Change>)| {
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        if changes.is_empty() { format!("{function}: new") } else { format!("{function}: {}", changes.join("; ")) }
    };
    section("steps", steps.iter().map(step).chain(gone.iter().map(|function| format!("{function}: gone"))));
    for (name, differences) in &tables {
        let rest = differences.len().saturating_sub(SHOWN);
        let more = (rest > 0).then(|| format!("and {rest} more"));
        section(name, differences.iter().take(SHOWN).map(|difference| difference.to_string()).chain(more));
    }
    section("other files that differ", others.iter().cloned());
    if params.is_empty() && steps.is_empty() && gone.is_empty() && tables.is_empty() && others.is_empty() {
        outln!("nothing differs");
    }
    Ok(())
}

fn section(title: &str, lines: impl Iterator<Item = String>) {
    for (i, line) in lines.enumerate() {
        if i == 0 {
            outln!("{title}");
        }
        outln!("  {}", line.replace('\n', "\n  "));
    }
}

/// A run on record, or committed results.
fn side(root: &Path, text: &str) -> Result<Side, Failure> {
    match store::find_run(root, text) {
        Ok(run) => Ok(Side {
            name: format!("run {}", run.id),
            lock: store::run_lock(root, &run.id)?,
            tables: store::run_tables(root, &run.id),
        }),
        Err(no_run) => {
            let here = committed::of(root, text.as_ref()).map_err(|no_results| {
                let is_path = text.contains('/') || text.ends_with(".rhai");
                Failure::usage(if is_path { no_results } else { no_run })
            })?;
            let read = |name: &String| Some((name.clone(), std::fs::read(here.dir.join(name)).ok()?));
            let names = here.lock.outputs.keys().filter(|name| name.ends_with(".csv"));
            Ok(Side { tables: names.filter_map(read).collect(), name: here.name, lock: here.lock })
        }
    }
}

fn params(a: &Lock, b: &Lock) -> Vec<Change> {
    let names: BTreeSet<&String> = a.params.keys().chain(b.params.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or("none".to_string(), |value| value.to_string());
    let both = names.into_iter().map(|name| (name, a.params.get(name), b.params.get(name)));
    both.filter(|(_, a, b)| a != b)
        .map(|(name, a, b)| Change { part: name.clone(), from: shown(a), to: shown(b) })
        .collect()
}

/// The steps of `b` that are not in `a`, with what changed in each, and the functions of those of `a` that are gone.
fn steps(a: &Lock, b: &Lock) -> (Vec<(String, Vec<Change>)>, Vec<String>) {
    let partners = store::aligned(&a.steps, &b.steps);
    let kept: Vec<&str> = partners.iter().flatten().map(|step| step.key.as_str()).collect();
    let gone = a.steps.iter().filter(|step| !kept.contains(&step.key.as_str())).map(|step| step.function.clone());
    let gone = gone.collect();
    let changed = b.steps.iter().zip(partners).filter(|(step, was)| was.is_none_or(|was| was.key != step.key));
    let changes = |was: Option<&store::Step>, step| was.map(|was| store::changes(was, step)).unwrap_or_default();
    (changed.map(|(step, was)| (step.function.clone(), changes(was, step))).collect(), gone)
}

/// The differences of the tables that both sides have, and what else differs.
fn files(a: &Side, b: &Side) -> (BTreeMap<String, Vec<Difference>>, Vec<String>) {
    let (mut tables, mut others) = (BTreeMap::new(), Vec::new());
    let names: BTreeSet<&String> = a.lock.outputs.keys().chain(b.lock.outputs.keys()).collect();
    for name in names {
        let digest = |side: &Side| side.lock.outputs.get(name).map(|written| written.blake3.clone());
        match (a.tables.get(name), b.tables.get(name)) {
            (Some(old), Some(new)) => {
                let found = compare::differences(name, old, new);
                if !found.is_empty() {
                    tables.insert(name.clone(), found);
                }
            }
            _ if digest(a) != digest(b) => others.push(match (digest(a), digest(b)) {
                (None, _) => format!("{name}, only in {}", b.name),
                (_, None) => format!("{name}, only in {}", a.name),
                _ => name.clone(),
            }),
            _ => {}
        }
    }
    (tables, others)
}
