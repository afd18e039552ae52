//! `saerun why`: which part of a step's key changed since the run before.

use clap::Args;

use super::{Failure, project};
use crate::error::{Code, Error};
use crate::host::committed;
use crate::host::output::{errln, outln};
use crate::report::number::duration;
use crate::store::{self, Lock, Record, Step, Timed, short};

/// What `saerun why` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A function such as sae::train, the first digits of a key, a script, or SCRIPT:LINE
    #[arg(value_name = "STEP|SCRIPT")]
    what: String,
}

const AFTER: &str = "\
Example:
  saerun why sae::train

  sae::train at scripts/peaks.rhai:14 ran in 3m12s (key 38bc327a)
    option lr: 0.001 -> 0.002

The newest run on record that has the step is compared with the run of that script before it. A step
depends on its function's version, its options and the content of its inputs; comments, layout and
names of variables are no part of it.";

/// A step of a run: what it was, and how it went when it ended.
struct Call<'a> {
    step: &'a Step,
    timed: Option<&'a Timed>,
}

/// Prints the reason for each step that was asked for.
pub(super) fn why(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    let runs: Vec<Record> = store::runs(&root).into_iter().filter(|run| !run.verifies).collect();
    let what = arguments.what.strip_prefix("./").unwrap_or(&arguments.what);
    for (i, record) in runs.iter().enumerate() {
        // One damaged record does not hide the others.
        let lock = match store::run_lock(&root, &record.id) {
            Ok(lock) => lock,
            Err(error) => {
                errln!("warning: {error}");
                continue;
            }
        };
        let calls = calls(record, &lock);
        let wanted: Vec<bool> = calls.iter().map(|call| is_meant(what, record, call)).collect();
        if !wanted.contains(&true) && what != record.script {
            continue;
        }
        let before = runs[i + 1..].iter().filter(|run| run.script == record.script);
        let before = before.filter_map(|run| Some((format!("run {}", run.id), store::run_lock(&root, &run.id).ok()?)));
        let mut before = before.filter(|(_, lock)| !lock.steps.is_empty());
        // A failed run leaves the committed lock as it was.
        let committed = || {
            let committed = committed::of(&root, record.script.as_ref()).ok()?;
            (committed.lock != lock).then_some((committed.name, committed.lock))
        };
        tell(record, &calls, &wanted, before.next().or_else(committed));
        return Ok(());
    }
    if runs.is_empty() {
        let error = Error::new(Code::MissingFile, "no run is on record");
        return Err(Failure::usage(error.help("run a script first: what it leaves is compared with the run before")));
    }
    let mut known: Vec<&str> = runs.iter().flat_map(|run| &run.steps).map(|step| step.function.as_str()).collect();
    known.extend(runs.iter().map(|run| run.script.as_str()));
    known.sort_unstable();
    known.dedup();
    let mut error = Error::unknown(Code::UnknownName, "step or script", what, &known);
    error.facts.clear();
    Err(Failure::usage(error.fact("steps of the newest run", newest(&runs[0]))))
}

/// The functions of a run's steps, each once.
fn newest(run: &Record) -> String {
    let mut names: Vec<&str> = run.steps.iter().map(|step| step.function.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}

/// The steps of a run in order, those that did not end last.
fn calls<'a>(record: &'a Record, lock: &'a Lock) -> Vec<Call<'a>> {
    let step = |timed: &'a Timed| {
        let step = lock.steps.iter().find(|step| step.key == timed.key)?;
        Some(Call { step, timed: Some(timed) })
    };
    let ended = record.steps.iter().filter_map(step);
    let open = lock.steps.iter().filter(|step| record.steps.iter().all(|timed| timed.key != step.key));
    ended.chain(open.map(|step| Call { step, timed: None })).collect()
}

/// Whether the words on the command line mean this call.
fn is_meant(what: &str, record: &Record, call: &Call) -> bool {
    let at = call.timed.map(|timed| format!("{}:{}", timed.file, timed.line));
    let digits = what.len() >= 4 && what.bytes().all(|c| c.is_ascii_hexdigit());
    what == record.script
        || what == call.step.function
        || at.is_some_and(|at| at == what)
        || (digits && call.step.key.starts_with(what))
}

fn tell(record: &Record, calls: &[Call], wanted: &[bool], before: Option<(String, Lock)>) {
    let (name, lock) = before.unzip();
    outln!("run {} of {}, against {}", record.id, record.script, name.as_deref().unwrap_or("nothing"));
    let none = Vec::new();
    let old = lock.as_ref().map_or(&none, |lock| &lock.steps);
    let steps: Vec<Step> = calls.iter().map(|call| call.step.clone()).collect();
    let partners = store::aligned(old, &steps);
    let mut changed: Option<String> = None;
    for ((call, was), wanted) in calls.iter().zip(partners).zip(wanted) {
        let changes = was.map(|was| store::changes(was, call.step)).unwrap_or_default();
        if *wanted {
            let how = match call.timed {
                Some(timed) if timed.cached => "cached".to_string(),
                Some(timed) => format!("ran in {}", duration(timed.seconds)),
                None => "did not end".to_string(),
            };
            outln!("{} {how} (key {})", place(call), short(&call.step.key));
            changes.iter().for_each(|change| outln!("  {change}"));
            let by_input = changes.iter().any(|change| change.part.starts_with("input "));
            if let Some(earlier) = changed.as_ref().filter(|_| by_input) {
                outln!("  before it changed {earlier}");
            }
            if let Some(reason) = reason(record, call, was, lock.is_some()) {
                outln!("  {reason}");
            }
        }
        if changed.is_none() && !changes.is_empty() {
            changed = Some(place(call));
        }
    }
    if calls.is_empty() {
        outln!("it has no step that is remembered");
    }
}

fn place(call: &Call) -> String {
    let at = call.timed.filter(|timed| timed.line > 0).map(|timed| format!(" at {}:{}", timed.file, timed.line));
    format!("{}{}", call.step.function, at.unwrap_or_default())
}

/// What there is to say beyond the parts of the key that changed.
fn reason(record: &Record, call: &Call, was: Option<&Step>, has_before: bool) -> Option<&'static str> {
    let cached = call.timed.is_some_and(|timed| timed.cached);
    let same = was.is_some_and(|was| was.key == call.step.key);
    match (cached, same) {
        (true, true) => Some("nothing changed: it is cached"),
        (true, false) => Some("it is cached all the same: an earlier run has computed it"),
        (false, true) if !record.remembers => Some("nothing changed: this run did not use what is remembered"),
        (false, true) => Some("nothing changed, but its result was gone: cleaned, damaged, or never finished"),
        (false, false) if !has_before => Some("there is no earlier run to compare it with"),
        (false, false) if was.is_none() => Some("the run before has no such step"),
        _ => None,
    }
}
