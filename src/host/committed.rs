//! The results that people commit: folders of `results/` with a lock, and whether lock, files and script belong together.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::code;
use crate::error::{Code, Error, Result};
use crate::report::yaml;
use crate::store::{self, Lock, Record, Written};

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
    /// Whether the lock is what its own digest says; unknown in old locks.
    pub sealed: Option<bool>,
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
    /// The lock is not the one that the run wrote: `run.yaml`, or the step of it whose key is another one.
    Lock(String),
    /// A file of the results whose line ends are not those that the run wrote.
    LineEnds(String),
    /// A file or folder that the run read has another content now.
    InputChanged(String),
    /// A file or folder that the run read is not there any more.
    InputGone(String),
}

impl Fault {
    /// Whether the results themselves are to blame, and not a script that has changed since.
    pub fn is_of_results(&self) -> bool {
        matches!(self, Fault::Missing(_) | Fault::Edited(_) | Fault::Unlisted(_) | Fault::Lock(_) | Fault::LineEnds(_))
    }

    /// Whether something that the run read is to blame.
    pub fn is_of_inputs(&self) -> bool {
        matches!(self, Fault::InputChanged(_) | Fault::InputGone(_))
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
            Fault::Lock(what) => {
                write!(f, "{what} is not what the run wrote: the lock was edited by hand, or merged from two runs")
            }
            Fault::LineEnds(file) => write!(
                f,
                "{file} has other line ends than the run wrote: git changed them (core.autocrlf); the line \
                 `results/** -text` in .gitattributes keeps them, and checking the file out anew brings them back"
            ),
            Fault::InputChanged(file) => {
                write!(f, "the input {file} has changed since: run the script again, and commit the new results")
            }
            Fault::InputGone(file) => write!(f, "the input {file} is not there any more"),
        }
    }
}

/// Every folder of `results/` that has a lock, in the order of names; `Err` for a lock that cannot be read.
pub fn all(project: &Path) -> Vec<(String, Result<Committed>)> {
    let Ok(items) = fs::read_dir(project.join("results")) else { return Vec::new() };
    let mut dirs: Vec<PathBuf> = items.flatten().map(|item| item.path()).collect();
    dirs.retain(|dir| dir.join("run.yaml").symlink_metadata().is_ok());
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
    match candidates.iter().find(|dir| dir.join("run.yaml").symlink_metadata().is_ok()) {
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

/// The script whose results are in a folder, as its lock says, or, where that is damaged, its first line.
pub fn owner(dir: &Path) -> Option<String> {
    if let Some(lock) = at(dir) {
        return Some(lock.script.file);
    }
    let text = String::from_utf8_lossy(&fs::read(dir.join("run.yaml")).ok()?).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("# Written by `saerun "))?;
    Some(line.split('`').next()?.to_string())
}

/// The keys of steps that a lock that cannot be read may name: every digest in it.
pub fn digests_in(dir: &Path) -> Vec<String> {
    let bytes = fs::read(dir.join("run.yaml")).unwrap_or_default();
    let words = bytes.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn named(project: &Path, dir: &Path) -> String {
    dir.strip_prefix(project).unwrap_or(dir).to_string_lossy().replace('\\', "/")
}

fn read(project: &Path, dir: &Path) -> Result<Committed> {
    store::finish_swap(dir);
    let path = dir.join("run.yaml");
    let text = crate::input::read_text(&path)?;
    let (lock, sealed) = yaml::sealed_lock(&text).map_err(|error| error.fact("file", named(project, &path)))?;
    Ok(Committed { name: named(project, dir), dir: dir.to_path_buf(), lock, sealed })
}

/// What of these results does not match their lock: the lock itself and the files first, then the scripts, then what the run read.
/// What there is to hash is hashed until `stop` is set.
///
/// # Errors
/// `interrupted`.
pub fn faults(project: &Path, committed: &Committed, stop: &AtomicBool) -> Result<Vec<Fault>> {
    let mut found = of_lock(committed);
    for (name, written) in &committed.lock.outputs {
        found.extend(of_file(committed, name, written, stop));
    }
    found.extend(unlisted(committed).into_iter().map(Fault::Unlisted));
    let script = &committed.lock.script;
    for (file, digest) in std::iter::once((&script.file, &script.blake3)).chain(&script.imports) {
        match code::digest_of(&project.join(file)) {
            Some(now) if now == *digest => {}
            Some(_) => found.push(Fault::Changed(file.clone())),
            None => found.push(Fault::Gone(file.clone())),
        }
    }
    found.extend(of_inputs(project, &committed.lock, stop));
    if stop.load(Ordering::Relaxed) { Err(Error::new(Code::Interrupted, "interrupted")) } else { Ok(found) }
}

/// Whether the lock is what the run wrote. An old one has no digest of its own; then the keys of its steps must be those of what
/// stands beside them.
fn of_lock(committed: &Committed) -> Vec<Fault> {
    match committed.sealed {
        Some(true) => Vec::new(),
        Some(false) => vec![Fault::Lock("run.yaml".to_string())],
        None => {
            let wrong = committed.lock.steps.iter().filter(|step| !step.is_whole());
            wrong.map(|step| Fault::Lock(format!("the step {} in run.yaml", step.function))).take(1).collect()
        }
    }
}

/// What is wrong with a file of the results.
fn of_file(committed: &Committed, name: &str, written: &Written, stop: &AtomicBool) -> Option<Fault> {
    let path = committed.dir.join(name);
    let bytes = path.metadata().map_or(0, |data| data.len());
    match store::hash_file_until(&path, stop) {
        Ok(digest) if digest == written.blake3 && bytes == written.bytes => None,
        Ok(digest) if digest == written.blake3 => Some(Fault::Lock(format!("the size of {name} in run.yaml"))),
        Ok(_) => {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let converted = text.contains('\r')
                && blake3::hash(text.replace("\r\n", "\n").as_bytes()).to_hex().as_str() == written.blake3;
            let name = name.to_string();
            Some(if converted { Fault::LineEnds(name) } else { Fault::Edited(name) })
        }
        Err(_) => Some(Fault::Missing(name.to_string())),
    }
}

/// The files beside a lock that it does not name, in order.
fn unlisted(committed: &Committed) -> Vec<String> {
    let items = fs::read_dir(&committed.dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = items.map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !committed.lock.outputs.contains_key(name) && !BESIDE.contains(&name.as_str()));
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// What the run read that is another one now. Old locks have no digests of bytes; of a table or a tensor the digest of its content
/// is the same.
fn of_inputs(project: &Path, lock: &Lock, stop: &AtomicBool) -> Vec<Fault> {
    let of_bytes = |name: &str| [".csv", ".npy"].iter().any(|ending| name.ends_with(ending));
    let old = lock.inputs.iter().filter(|(name, _)| lock.files.is_empty() && of_bytes(name));
    let mut found = Vec::new();
    for (name, digest) in lock.files.iter().chain(old) {
        let path = project.join(name);
        match store::hash_input(&path, stop) {
            Ok(now) if now == *digest => {}
            Err(_) if !path.exists() => found.push(Fault::InputGone(name.clone())),
            _ => found.push(Fault::InputChanged(name.clone())),
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
