//! The run records: `.saerun/runs/<id>/`, one folder a run, not committed.
//!
//! | file | what |
//! |---|---|
//! | `record.json` | [`Record`]: when, where, how long, the steps with their times |
//! | `lock.json` | the run's [`Lock`], also of a run that failed or left no results |
//! | `events.jsonl` | what happened, as `--format json` prints it, the prints among it |
//! | `patch.diff` | what the working tree added to the commit, if it is small |
//! | `outputs/` | the tables below a megabyte, so that runs can be compared |
//! | `results/` | of a run that did not end well: what it had saved until then |
//!
//! A run that was killed leaves no record; the next one gives what it had saved a name such as `000012-killed`.
//!
//! An id is a number, one more than the largest there is, and eight digits of the lock's digest: names sort by age.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::results::FILES;
use super::temporary::remove_leftovers;
use super::{Lock, TEMPORARY, canonical_json, parent_of, temporary_dir, write_atomic, write_failed};
use crate::error::{Code, Error, Result};

/// So many records are kept; a new one takes the place of the oldest.
pub const KEPT: usize = 200;

/// Tables up to this size are kept with a record.
pub const LARGEST_OUTPUT: u64 = 1 << 20;

/// Patches up to this size are kept with a record; of a larger one only the digest.
pub const LARGEST_PATCH: usize = 1 << 20;

/// A run, as it is kept. Times, the machine and the state of the working tree are here and never in the lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the record.
    pub id: String,
    /// Version of saerun.
    pub saerun: String,
    /// The command line, the name of the program first.
    pub command: Vec<String>,
    /// The script's path inside the project.
    pub script: String,
    /// The folder of the results inside the project; none when they went elsewhere.
    pub results: Option<String>,
    /// Whether remembered results were used: not with `--no-cache`, and not by `verify`.
    pub remembers: bool,
    /// Whether `saerun verify` ran it.
    pub verifies: bool,
    /// When it began, in UTC.
    pub begin: String,
    /// How long it took.
    pub seconds: f64,
    /// The exit code.
    pub exit_code: u8,
    /// Where it ran.
    pub machine: Machine,
    /// The commit it ran from; none outside of a repository and without git.
    pub git: Option<Git>,
    /// The steps that ended, in order.
    pub steps: Vec<Timed>,
    /// The text of the script and of what it imports, by path inside the project; not kept in old records.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
}

/// Where a run ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// Operating system and architecture.
    pub os: String,
    /// The processor's name for itself.
    pub cpu: String,
    /// Those of its instruction sets that numeric code asks for.
    pub cpu_features: Vec<String>,
    /// The instruction set of the inner products.
    pub kernel: String,
    /// How many threads computed.
    pub threads: usize,
    /// The most memory that the process held, where the system says.
    pub peak_memory_bytes: Option<u64>,
}

/// The state of the repository when a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Git {
    /// The commit.
    pub commit: String,
    /// Whether files differed from it, or were not in it.
    pub dirty: bool,
    /// BLAKE3 of the patch from the commit to the working tree.
    pub patch: Option<String>,
    /// Bytes of the patch.
    pub patch_bytes: usize,
}

/// A step and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// Such as `sae::train`.
    pub function: String,
    /// The digest of its key.
    pub key: String,
    /// Whether the result was remembered.
    pub cached: bool,
    /// How long it took.
    pub seconds: f64,
    /// The file of the call.
    pub file: String,
    /// The line of the call; 0 when it is not known.
    pub line: usize,
}

/// The folder of the run records of a project.
pub fn runs_dir(project: &Path) -> PathBuf {
    project.join(".saerun").join("runs")
}

/// Keeps a run, and lets go of the oldest beyond [`KEPT`]. `results` is the folder whose tables are kept with it. Gives
/// the record its id.
///
/// # Errors
/// `write-failed`.
pub fn keep_run(
    project: &Path,
    record: &mut Record,
    lock: &Lock,
    events: &[u8],
    patch: Option<&[u8]>,
    results: &Path,
) -> Result<()> {
    let dir = runs_dir(project);
    parent_of(&dir.join("x"))?;
    super::hidden(project)?;
    let internal = |error| Error::new(Code::Internal, format!("cannot write the run record: {error}"));
    let lock_json = serde_json::to_value(lock).map_err(internal)?;
    let digest = blake3::hash(canonical_json(&lock_json).as_bytes()).to_hex().to_string();
    let before = ids(&dir);
    let fresh = temporary_dir(&dir)?;
    let write = |name: &str, bytes: &[u8]| write_atomic(&fresh.path().join(name), bytes);
    write("lock.json", pretty(&lock_json).as_bytes())?;
    write("events.jsonl", events)?;
    if let Some(patch) = patch.filter(|patch| !patch.is_empty() && patch.len() <= LARGEST_PATCH) {
        write("patch.diff", patch)?;
    }
    let last = before.iter().rev().find_map(|id| Some((id, run_lock(project, id).ok()?)));
    for (name, written) in &lock.outputs {
        if !name.ends_with(".csv") || written.bytes > LARGEST_OUTPUT {
            continue;
        }
        let same = last.as_ref().filter(|(_, lock)| lock.outputs.get(name).is_some_and(|w| w.blake3 == written.blake3));
        let home = fresh.path().join("outputs").join(name);
        let source = same.map(|(id, _)| dir.join(id).join("outputs").join(name));
        parent_of(&home)?;
        // A table that did not change is the same file in both records, where the file system can do that.
        if source.is_none_or(|source| fs::hard_link(source, &home).is_err())
            && let Ok(bytes) = fs::read(results.join(name))
        {
            write_atomic(&home, &bytes)?;
        }
    }
    let mut number = before.last().map_or(0, |id| number_of(id)) + 1;
    loop {
        record.id = format!("{number:06}-{}", &digest[..8]);
        let text = serde_json::to_value(&*record).map_err(internal)?;
        write("record.json", pretty(&text).as_bytes())?;
        let home = dir.join(&record.id);
        match fs::rename(fresh.path(), &home) {
            Ok(()) => break,
            // Another process has taken the name meanwhile.
            Err(_) if home.exists() => number += 1,
            Err(error) => return Err(write_failed(&home, error)),
        }
    }
    fresh.keep();
    for id in &before[..(before.len() + 1).saturating_sub(KEPT)] {
        super::cache::remove(&dir.join(id));
    }
    Ok(())
}

/// Where the files of a run are that did not end well.
pub fn partial_dir(project: &Path, id: &str) -> PathBuf {
    runs_dir(project).join(id).join(FILES)
}

/// Gives what a killed run had staged in the temporary folder `left` a name among the records, and returns it; removes the folder
/// where there is nothing.
pub(super) fn adopt(project: &Path, left: &Path) -> Option<PathBuf> {
    let files = left.join(FILES);
    remove_leftovers(&files);
    if files.read_dir().map_or(true, |mut items| items.next().is_none()) {
        let _ = fs::remove_dir_all(left);
        return None;
    }
    let dir = runs_dir(project);
    let mut number = ids(&dir).last().map_or(0, |id| number_of(id)) + 1;
    loop {
        let home = dir.join(format!("{number:06}-killed"));
        match fs::rename(left, &home) {
            Ok(()) => return Some(home.join(FILES)),
            Err(_) if home.exists() => number += 1,
            Err(_) => return None,
        }
    }
}

/// Every readable record, the newest first.
pub fn runs(project: &Path) -> Vec<Record> {
    let dir = runs_dir(project);
    let read = |id: &String| serde_json::from_slice(&fs::read(dir.join(id).join("record.json")).ok()?).ok();
    ids(&dir).iter().rev().filter_map(read).collect()
}

/// The record that `text` names: an id, the begin of one, a number, or `last`.
///
/// # Errors
/// `unknown-name` when there is none, or more than one.
pub fn find_run(project: &Path, text: &str) -> Result<Record> {
    let all = runs(project);
    let number = text.parse::<u64>().ok();
    let means = |id: &str| id == text || number == Some(number_of(id)) || (text.len() >= 4 && id.starts_with(text));
    let found: Vec<&Record> = match text {
        "last" => all.iter().take(1).collect(),
        _ => all.iter().filter(|record| means(&record.id)).collect(),
    };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Error::new(Code::UnknownName, format!("no run is named `{text}`"))
            .fact("on record", all.len())
            .help("`saerun list` shows the runs; `last` is the newest")),
        several => Err(Error::new(Code::UnknownName, format!("`{text}` names {} runs", several.len()))
            .fact("runs", several.iter().map(|record| record.id.as_str()).collect::<Vec<_>>().join(", "))),
    }
}

/// The lock of a run on record.
///
/// # Errors
/// `damaged-file`.
pub fn run_lock(project: &Path, id: &str) -> Result<Lock> {
    let damaged = |reason: String| {
        Error::new(Code::DamagedFile, format!("the lock of run {id} cannot be read")).fact("reason", reason)
    };
    let text = fs::read(runs_dir(project).join(id).join("lock.json")).map_err(|error| damaged(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))
}

/// What happened in a run on record, one JSON object a line.
pub fn run_events(project: &Path, id: &str) -> String {
    fs::read_to_string(runs_dir(project).join(id).join("events.jsonl")).unwrap_or_default()
}

/// The tables that are kept with a run, by file name.
pub fn run_tables(project: &Path, id: &str) -> BTreeMap<String, Vec<u8>> {
    let Ok(items) = fs::read_dir(runs_dir(project).join(id).join("outputs")) else { return BTreeMap::new() };
    let read =
        |item: fs::DirEntry| Some((item.file_name().to_string_lossy().into_owned(), fs::read(item.path()).ok()?));
    items.flatten().filter_map(read).collect()
}

/// Removes the records that are not `spared`; returns the bytes given back. A `dry` one only counts.
///
/// # Errors
/// `write-failed` when something cannot be removed.
pub fn clean_runs(project: &Path, dry: bool, spared: &dyn Fn(&fs::Metadata) -> bool) -> Result<u64> {
    let dir = runs_dir(project);
    let mut given_back = 0;
    if !dry {
        remove_leftovers(&dir);
    }
    for path in ids(&dir).iter().map(|id| dir.join(id)) {
        let Ok(data) = path.metadata() else { continue };
        if spared(&data) {
            continue;
        }
        given_back += super::cache_bytes(&path);
        if !dry {
            fs::remove_dir_all(&path).map_err(|error| write_failed(&path, error))?;
        }
    }
    Ok(given_back)
}

/// The ids of all records, the oldest first.
fn ids(dir: &Path) -> Vec<String> {
    let Ok(items) = fs::read_dir(dir) else { return Vec::new() };
    let names = items.flatten().map(|item| item.file_name().to_string_lossy().into_owned());
    let mut ids: Vec<String> = names.filter(|name| !name.starts_with(TEMPORARY) && number_of(name) > 0).collect();
    ids.sort_by_key(|id| (number_of(id), id.clone()));
    ids
}

/// The number that an id begins with; 0 when it is no id.
fn number_of(id: &str) -> u64 {
    id.split_once('-').and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
