//! The engine for clusters: Slurm's own job arrays, by `sbatch`, `squeue`, `sacct`, `scontrol` and `scancel`.
//!
//! Files are the truth. The scheduler is asked only about cells without a result, and trusted little: accounting may be
//! off, an answer may be empty because the controller is busy, and a line that is not understood is passed over.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::engine::Options;
use crate::error::{Code, Error, Result};
use crate::store;

const FILE: &str = "jobs.json";

/// What Slurm allows when it does not say.
const MAX_ARRAY_SIZE: usize = 1001;

/// One job array: task `t` runs the cells from `(offset + t) * pack` on, `pack` of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Slurm's number of the array.
    pub job: String,
    /// What is added to the number of a task, because Slurm bounds it.
    pub offset: usize,
    /// Cells a task.
    pub pack: usize,
    /// The numbers of the tasks, ascending.
    pub tasks: Vec<usize>,
}

impl Submission {
    /// The task that runs a cell.
    pub fn task_of(&self, cell: usize) -> Option<usize> {
        (cell / self.pack).checked_sub(self.offset).filter(|task| self.tasks.binary_search(task).is_ok())
    }
}

/// The arrays that were submitted for a sweep so far.
pub fn submissions(dir: &Path) -> Vec<Submission> {
    let text = std::fs::read(dir.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Submits the tasks that run these cells, as few arrays as `MaxArraySize` allows; each is on record before the next.
///
/// # Errors
/// `failed` when `sbatch` is not there, refuses, or gives no number.
pub fn submit(dir: &Path, project: &Path, cells: &[usize], options: &Options) -> Result<Vec<Submission>> {
    let dir = dir.canonicalize().map_err(|error| {
        Error::new(Code::MissingFile, format!("the folder `{}` cannot be found", dir.display())).fact("reason", error)
    })?;
    let script = write_task(&dir, options.pack)?;
    let mut all = submissions(&dir);
    let before = all.len();
    for (offset, tasks) in arrays(cells, options.pack, max_array_size()) {
        let mut sbatch = Command::new("sbatch");
        sbatch.args(["--parsable", "--requeue", "--open-mode=append", "--signal=B:USR1@60"]);
        sbatch.arg(format!("--array={}", array(&tasks, options.max_running)));
        sbatch.arg(format!("--output={}/log/%A_%a.txt", dir.display()));
        sbatch.arg(format!("--chdir={}", project.display()));
        sbatch.arg("--job-name=saerun").args(&options.slurm_args).arg(&script).arg(offset.to_string());
        let job = job_of(&run(&mut sbatch)?)?;
        all.push(Submission { job, offset, pack: options.pack, tasks });
        let text = serde_json::to_string_pretty(&all)
            .map_err(|error| Error::new(Code::Internal, format!("cannot write the jobs: {error}")))?;
        store::write_atomic(&dir.join(FILE), format!("{text}\n").as_bytes())?;
    }
    Ok(all.split_off(before))
}

/// The tasks of these cells, ascending, by array: an offset, and numbers below `most`.
pub fn arrays(cells: &[usize], pack: usize, most: usize) -> Vec<(usize, Vec<usize>)> {
    let mut arrays: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for cell in cells {
        let task = cell / pack;
        let tasks = arrays.entry(task / most * most).or_default();
        if tasks.last() != Some(&(task % most)) {
            tasks.push(task % most);
        }
    }
    arrays.into_iter().collect()
}

/// Numbers as Slurm writes them, `0-3,7`, and after `%` how many may run at once; 0 is no bound.
pub fn array(tasks: &[usize], max_running: usize) -> String {
    let mut text = String::new();
    for run in tasks.chunk_by(|a, b| a + 1 == *b) {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing into a string cannot fail.
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            many => write!(text, "{comma}{}-{}", many[0], many[many.len() - 1]),
        };
    }
    if max_running > 0 { format!("{text}%{max_running}") } else { text }
}

/// The number in the answer of `sbatch --parsable`: `123`, or `123;cluster`.
fn job_of(answer: &str) -> Result<String> {
    let number = answer.trim().split(';').next().unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(number.to_string());
    }
    Err(Error::new(Code::Failed, "sbatch gave no job number")
        .fact("expected", "`123`")
        .fact("given", format!("`{}`", answer.trim().chars().take(80).collect::<String>()))
        .help("look with `squeue` whether the job is there, and `scancel` it before trying again"))
}

/// How many numbers the tasks of one array may have.
fn max_array_size() -> usize {
    let answer = run(Command::new("scontrol").args(["show", "config"])).unwrap_or_default();
    let line = answer.lines().find(|line| line.trim_start().starts_with("MaxArraySize"));
    let number = line.and_then(|line| line.split('=').nth(1)?.trim().parse().ok());
    number.filter(|size| *size > 0).unwrap_or(MAX_ARRAY_SIZE)
}

/// What the scheduler knows about a job array.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The state of each task that it knows, such as `RUNNING`.
    pub states: BTreeMap<usize, String>,
    /// Whether the scheduler said that it has forgotten the job: then it is over.
    pub forgotten: bool,
}

/// Asks `squeue`, and `sacct` for tasks that `squeue` does not know. No answer is an answer without states.
pub fn ask(submission: &Submission) -> Answer {
    let job = &submission.job;
    let mut squeue = Command::new("squeue");
    squeue.args(["-h", "-r", "-t", "all", "-j", job, "-o", "%i|%T"]);
    let (text, forgotten) = match run(&mut squeue) {
        Ok(text) => (text, false),
        Err(error) => (String::new(), error.to_string().contains("Invalid job id")),
    };
    let mut states = states_in(&text, job);
    if submission.tasks.iter().any(|task| !states.contains_key(task)) {
        let mut sacct = Command::new("sacct");
        sacct.args(["-X", "-P", "-n", "-j", job, "--format=JobID,State"]);
        for (task, state) in states_in(&run(&mut sacct).unwrap_or_default(), job) {
            states.entry(task).or_insert(state);
        }
    }
    Answer { states, forgotten }
}

/// The lines `JOB_TASK|STATE` of an answer; all others are passed over.
fn states_in(answer: &str, job: &str) -> BTreeMap<usize, String> {
    let state = |line: &str| {
        let (id, state) = line.trim().split_once('|')?;
        let task = id.strip_prefix(job)?.strip_prefix('_')?.parse().ok()?;
        // `CANCELLED by 1000`
        let state = state.split([' ', '|', '+']).next().filter(|state| !state.is_empty())?;
        state.bytes().all(|c| c.is_ascii_uppercase() || c == b'_').then(|| (task, state.to_string()))
    };
    answer.lines().filter_map(state).collect()
}

/// Cancels every array of a sweep; what has ended already is no matter.
///
/// # Errors
/// `failed` when `scancel` is not there or refuses.
pub fn cancel(submissions: &[Submission]) -> Result<()> {
    match run(Command::new("scancel").args(submissions.iter().map(|submission| &submission.job))) {
        Err(error) if error.to_string().contains("Invalid job id") => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Runs a command of Slurm and gives what it prints.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        Error::new(Code::Failed, format!("cannot run `{name}`"))
            .fact("reason", error)
            .help("the engine `slurm` needs Slurm's commands on PATH; `--engine local` does without")
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::new(Code::Failed, format!("`{name}` refused")).fact("reason", text.trim()))
}

/// Writes the batch script, the same for every task; its argument is the offset of the array.
fn write_task(dir: &Path, pack: usize) -> Result<PathBuf> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(Code::Internal, "where is this program?").fact("reason", error))?;
    let text = TASK
        .replace("PROGRAM", &quoted(&program.to_string_lossy()))
        .replace("FOLDER", &quoted(&dir.to_string_lossy()))
        .replace("CELLS", &pack.to_string());
    let path = dir.join("log").join("task.sh");
    store::write_atomic(&path, text.as_bytes())?;
    Ok(path)
}

/// Text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

const TASK: &str = r#"#!/bin/bash
# Written by `saerun sweep`: one task of a job array. $1 is added to the number of the task.
export RAYON_NUM_THREADS="${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}"
export POLARS_MAX_THREADS="$RAYON_NUM_THREADS"

PROGRAM cell FOLDER --index "$((SLURM_ARRAY_TASK_ID + $1))" --pack CELLS &
cell=$!

# USR1 announces the time limit: the cell keeps a checkpoint, and the task asks for another turn. TERM is preemption,
# after which Slurm queues the task again by itself, or scancel, after which nobody should.
signaled= again=
trap 'signaled=1 again=1; kill -TERM "$cell"' USR1
trap 'signaled=1; kill -TERM "$cell"' TERM
while :; do
    wait "$cell"
    code=$?
    [ -n "$signaled" ] || break
    signaled=
done

if [ "$code" = 75 ] && [ -n "$again" ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
"#;
