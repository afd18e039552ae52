//! The engine for one machine: each cell is a process, so that a crash of one never stops the others.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::outcome::Outcome;
use super::plan::{Plan, results_of};
use crate::error::{Code, Error, Result};
use crate::store;

/// A cell that is asked to stop ends within two seconds, or a little later when it is writing down how far it is.
const PATIENCE: Duration = Duration::from_secs(12);

/// How many cells at once, and what tells of them.
pub struct Pool<'a> {
    /// Cells at once; 0 is one for each core.
    pub jobs: usize,
    /// Set to stop soon.
    pub stop: &'a AtomicBool,
    /// Gets a line when a cell has ended.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// Runs these cells, `jobs` at a time, with the cores divided between them.
///
/// # Errors
/// `interrupted`; `failed` when a cell cannot be started at all. A cell that fails is no error here.
pub fn run(dir: &Path, plan: &Plan, cells: &[usize], pool: &Pool) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if pool.jobs == 0 { cores } else { pool.jobs }.clamp(1, cells.len().max(1));
    let threads = (cores / jobs).max(1);
    let (next, ended, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(index) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            if pool.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let status = wait(start(dir, *index, threads)?, pool.stop)?;
            let words = words(dir, plan, *index, status);
            let failed = failed.fetch_add(usize::from(!status.success()), Ordering::Relaxed);
            let failed = failed + usize::from(!status.success());
            let count = format!("{}/{}", ended.fetch_add(1, Ordering::Relaxed) + 1, cells.len());
            let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            (pool.tell)(&format!("[{count}{failed}] cell {index} {words}  {}", plan.label(*index)));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let bug = |_| Err(Error::new(Code::Internal, "a worker of the sweep panicked"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(bug)).collect::<Result<Vec<()>>>()
    })?;
    if pool.stop.load(Ordering::Relaxed) {
        return Err(Error::new(Code::Interrupted, "interrupted").help("`saerun sweep resume DIR` goes on"));
    }
    Ok(())
}

/// Starts the process of a cell; what it prints goes to `log/`.
fn start(dir: &Path, index: usize, threads: usize) -> Result<Child> {
    let failed = |error: std::io::Error| {
        Error::new(Code::Failed, format!("cell {index} cannot be started")).fact("reason", error)
    };
    let log = store::append_to(&dir.join("log").join(format!("{index:06}.txt")))?;
    Command::new(std::env::current_exe().map_err(failed)?)
        .arg("cell")
        .arg(dir)
        .args(["--index", &index.to_string(), "--threads", &threads.to_string()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .spawn()
        .map_err(failed)
}

/// Waits for a cell, and passes a wish to stop on to it.
fn wait(mut child: Child, stop: &AtomicBool) -> Result<ExitStatus> {
    let mut pause = Duration::from_millis(1);
    let mut asked: Option<Instant> = None;
    loop {
        let status = child
            .try_wait()
            .map_err(|error| Error::new(Code::Internal, "a cell cannot be waited for").fact("reason", error))?;
        if let Some(status) = status {
            return Ok(status);
        }
        match asked {
            None if stop.load(Ordering::Relaxed) => {
                ask_to_stop(&mut child);
                asked = Some(Instant::now());
            }
            Some(since) if since.elapsed() > PATIENCE => {
                // It may have ended meanwhile.
                let _ = child.kill();
            }
            _ => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Asks a process that was started here to end, as a termination signal does: a run keeps its checkpoint.
#[cfg(target_env = "gnu")]
pub fn ask_to_stop(child: &mut Child) {
    // SAFETY: a plain system call; the child has not been waited for, so its number is still its own.
    unsafe {
        libc::kill(child.id() as libc::pid_t, libc::SIGTERM);
    }
}

/// Ends a process that was started here; a run goes on from the last checkpoint that it wrote by itself.
#[cfg(not(target_env = "gnu"))]
pub fn ask_to_stop(child: &mut Child) {
    // It may have ended meanwhile.
    let _ = child.kill();
}

/// How a cell ended, in a few words.
fn words(dir: &Path, plan: &Plan, index: usize, status: ExitStatus) -> String {
    match Outcome::read(dir, plan, index) {
        Some(outcome) if outcome.done() => format!("done in {:.1}s", outcome.seconds),
        Some(outcome) => format!("failed: {}", outcome.message),
        None if status.code() == Some(75) => "stopped".to_string(),
        None => format!("left no result ({status}); see `log/{}.txt`", name(dir, index)),
    }
}

fn name(dir: &Path, index: usize) -> String {
    results_of(dir, index).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
