//! The results that people commit: folders of `results/` with a lock, and whether lock, files and script belong together.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::code;
use crate::error::{Code, Error, Result};
use crate::report::yaml;
use crate::store::{self, Lock, Record};

/// What a lock's folder may hold that the lock does not name.
const BESIDE: [&str; 3] = ["run.yaml", "README.md", "report.html"];

/// A line among the first comments of a script whose results `saerun verify --quick` is to verify always.
pub const QUICK: &str = "// verify: quick";

/// A folder of results and its lock.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The folder, such as `results/peaks`, as people name it.
    pub name: String,
    /// Where it is.
    pub dir: PathBuf,
    /// What it was made from.
    pub lock: Lock,
}

/// Something about a folder of results that does not match its lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "fault", content = "file", rename_all = "snake_case")]
pub enum Fault {
    /// The lock names a file that is not there.
    Missing(String),
    /// A file is not the one that the lock names: edited by hand, or committed with another lock.
    Edited(String),
    /// A file that the lock does not name.
    Unlisted(String),
    /// A script or import has changed since.
    Changed(String),
    /// A script or import is not there any more.
    Gone(String),
}

impl Fault {
    /// Whether the results themselves are to blame, and not a script that has changed since.
    pub fn is_of_results(&self) -> bool {
        matches!(self, Fault::Missing(_) | Fault::Edited(_) | Fault::Unlisted(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing(file) => write!(f, "{file} is missing: the lock names it"),
            Fault::Edited(file) => {
                write!(f, "{file} does not match the lock: edited by hand, or committed with another lock")
            }
            Fault::Unlisted(file) => {
                write!(f, "{file} is not in the lock: the run that wrote the lock did not write it")
            }
            Fault::Changed(file) => write!(f, "{file} has changed since: run it again, and commit the new results"),
            Fault::Gone(file) => write!(f, "{file} is not there any more"),
        }
    }
}

/// Every folder of `results/` that has a lock, in the order of names; `Err` for a lock that cannot be read.
pub fn all(project: &Path) -> Vec<(String, Result<Committed>)> {
    let Ok(items) = fs::read_dir(project.join("results")) else { return Vec::new() };
    let mut dirs: Vec<PathBuf> = items.flatten().map(|item| item.path()).collect();
    dirs.retain(|dir| dir.join("run.yaml").is_file());
    dirs.sort();
    dirs.into_iter().map(|dir| (named(project, &dir), read(project, &dir))).collect()
}

/// The results that `what` stands for: a folder, its lock, a script, or the bare name of either.
///
/// # Errors
/// `missing-file` when there is no lock, `damaged-file` when it cannot be read.
pub fn of(project: &Path, what: &Path) -> Result<Committed> {
    let stem = what.file_stem().unwrap_or_default();
    let beside = if what.file_name().is_some_and(|name| name == "run.yaml") { what.parent() } else { Some(what) };
    let candidates = [project.join(beside.unwrap_or(what)), project.join("results").join(stem)];
    match candidates.iter().find(|dir| dir.join("run.yaml").is_file()) {
        Some(dir) => read(project, dir),
        None => {
            let known: Vec<String> = all(project).into_iter().map(|(name, _)| name).collect();
            let error = Error::new(Code::MissingFile, format!("`{}` has no results with a lock", what.display()));
            let error = error.fact("expected", "a folder with run.yaml, or a script whose results have one");
            Err(if known.is_empty() { error } else { error.fact("known", known.join(", ")) })
        }
    }
}

/// The lock in a folder of results, if there is one that can be read.
pub fn at(dir: &Path) -> Option<Lock> {
    yaml::lock_from_yaml(&fs::read_to_string(dir.join("run.yaml")).ok()?).ok()
}

fn named(project: &Path, dir: &Path) -> String {
    dir.strip_prefix(project).unwrap_or(dir).to_string_lossy().replace('\\', "/")
}

fn read(project: &Path, dir: &Path) -> Result<Committed> {
    let path = dir.join("run.yaml");
    let text = fs::read_to_string(&path).map_err(|error| {
        Error::new(Code::MissingFile, format!("cannot read `{}`", named(project, &path))).fact("reason", error)
    })?;
    let lock = yaml::lock_from_yaml(&text).map_err(|error| error.fact("file", named(project, &path)))?;
    Ok(Committed { name: named(project, dir), dir: dir.to_path_buf(), lock })
}

/// What of these results does not match their lock, the files first and then the scripts.
pub fn faults(project: &Path, committed: &Committed) -> Vec<Fault> {
    let mut found = Vec::new();
    for (name, written) in &committed.lock.outputs {
        match store::hash_file(&committed.dir.join(name)) {
            Ok(digest) if digest == written.blake3 => {}
            Ok(_) => found.push(Fault::Edited(name.clone())),
            Err(_) => found.push(Fault::Missing(name.clone())),
        }
    }
    let items = fs::read_dir(&committed.dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = items.map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !committed.lock.outputs.contains_key(name) && !BESIDE.contains(&name.as_str()));
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    found.extend(names.into_iter().map(Fault::Unlisted));
    let script = &committed.lock.script;
    for (file, digest) in std::iter::once((&script.file, &script.blake3)).chain(&script.imports) {
        match code::digest_of(&project.join(file)) {
            Some(now) if now == *digest => {}
            Some(_) => found.push(Fault::Changed(file.clone())),
            None => found.push(Fault::Gone(file.clone())),
        }
    }
    found
}

/// How long these results take to compute, by the runs on record (newest first): the time of the script itself and of
/// each step when it last ran. `None` when that is not on record.
pub fn time_of(lock: &Lock, runs: &[Record]) -> Option<f64> {
    let last = runs.iter().find(|run| run.script == lock.script.file && run.exit_code == 0)?;
    let own = last.seconds - last.steps.iter().map(|step| step.seconds).sum::<f64>();
    let ran = |key: &str| {
        runs.iter().flat_map(|run| &run.steps).find(|step| step.key == key && !step.cached).map(|step| step.seconds)
    };
    let steps: Option<Vec<f64>> = lock.steps.iter().map(|step| ran(&step.key)).collect();
    Some(own.max(0.0) + steps?.iter().sum::<f64>())
}

/// Whether a script says of itself that its results are quickly verified: by a line [`QUICK`] before its code.
pub fn is_declared_quick(project: &Path, lock: &Lock) -> bool {
    let text = fs::read_to_string(project.join(&lock.script.file)).unwrap_or_default();
    let mut head = text.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with("//"));
    head.any(|line| line == QUICK)
}
