//! `saerun report`: the page of a run; `report::html` says where it goes.

use std::path::{Component, Path, PathBuf};

use clap::Args;

use super::{Failure, project};
use crate::error::{Code, Error};
use crate::host::Session;
use crate::host::events::Stamped;
use crate::host::output::outln;
use crate::host::page::Run;
use crate::report::html;
use crate::store::{self, Record};

/// What `saerun report` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A script, for its newest run; or a run as `saerun list` names it, its number, or `last`
    #[arg(value_name = "RUN_OR_SCRIPT", default_value = "last")]
    what: String,
    /// Where the page goes [default: results/SCRIPT/report.html for the newest run of a script, else beside its record]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const AFTER: &str = "\
Examples:
  saerun report scripts/peaks.rhai           make results/peaks/report.html again, from the newest run
  saerun report last --out peaks.html        the page of the newest run, to send to somebody
  saerun report 12                           an older or a failed run

The page is one file that loads nothing. A run that ends well leaves it beside its results.";

/// Makes the page of a run on record; nothing runs.
pub(super) fn report(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    let runs = store::runs(&root);
    let script = super::run::inside(&root, &arguments.what);
    let newest = |script: &str| runs.iter().find(|run| run.script == script && !run.verifies);
    let record = match newest(&script) {
        Some(record) => record.clone(),
        None if arguments.what.ends_with(".rhai") => {
            let error = Error::new(Code::UnknownName, format!("no run of `{}` is on record", arguments.what));
            return Err(Failure::usage(error.help(format!("run it: saerun {}", arguments.what))));
        }
        None => store::find_run(&root, &arguments.what).map_err(Failure::usage)?,
    };
    let beside = record.results.as_ref().map(|folder| root.join(folder));
    let usual = match &beside {
        Some(folder) if newest(&record.script).is_some_and(|new| new.id == record.id) => folder.join("report.html"),
        _ => store::runs_dir(&root).join(&record.id).join("report.html"),
    };
    let path = arguments.out.as_ref().map_or(usual, |out| root.join(out));
    let events: Vec<Stamped> =
        store::run_events(&root, &record.id).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    // What a run had saved that did not end well is beside its record.
    let partial = store::partial_dir(&root, &record.id);
    let results = if partial.is_dir() { partial } else { beside.unwrap_or_default() };
    let run = Run {
        events: &events,
        lock: store::run_lock(&root, &record.id)?,
        results: &results,
        sources: record.sources.clone(),
        record: Some(&record),
        folder: way(path.parent().unwrap_or(Path::new("")), &results),
    };
    store::write_atomic(&path, html::page(&run.page()).as_bytes())?;
    outln!("{}", shown(&root, &path));
    Ok(())
}

/// Leaves the page of a run that has just ended: at `path`, or beside the results if it ended well and has any.
pub(super) fn leave(
    session: &Session,
    script: &str,
    record: Option<&Record>,
    path: Option<&Path>,
    exit_code: u8,
) -> Result<(), Failure> {
    let results = session.results();
    let path = match path {
        Some(path) => session.root().join(path),
        None if exit_code == 0 && !results.written().is_empty() => results.home().join("report.html"),
        None => return Ok(()),
    };
    let results = results.dir();
    let run = Run {
        events: &session.console().events(),
        lock: session.lock(script),
        results: &results,
        sources: session.source_texts(),
        record,
        folder: way(path.parent().unwrap_or(Path::new("")), &results),
    };
    store::write_atomic(&path, html::page(&run.page()).as_bytes())?;
    session.console().say(&format!("page   {}", shown(session.root(), &path)));
    Ok(())
}

/// The path as the user may type it.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The relative way from one folder to another, with a slash at its end; none between disks.
fn way(from: &Path, to: &Path) -> Option<String> {
    let full = |path: &Path| {
        let known = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)))?;
        Some(known.1.join(path.strip_prefix(known.0).ok()?))
    };
    let (from, to) = (full(from)?, full(to)?);
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>();
    let (a, b) = (parts(&from), parts(&to));
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rooted = |path: &PathBuf| matches!(path.components().next(), Some(Component::RootDir | Component::Prefix(_)));
    if same == 0 || !rooted(&from) {
        return None;
    }
    let up = std::iter::repeat_n("..".to_string(), a.len() - same);
    let down = b[same..].iter().map(|part| part.to_string_lossy().into_owned());
    Some(up.chain(down).map(|part| part + "/").collect())
}
