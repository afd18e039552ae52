//! `saerun cell DIR --index I`: what every engine of sweeps calls. `sweep/mod.rs` has the contract.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;

use super::limits::{self, Watched};
use super::{Failure, project, run, threads};
use crate::error::{Code, Error};
use crate::host::output::errln;
use crate::host::saving::Keeping;
use crate::host::session::{Override, Setup};
use crate::host::{Session, run as host};
use crate::sweep::{self, Outcome, Plan};

/// Stopped with a checkpoint: run it again.
const STOPPED: u8 = 75;

/// What `saerun cell` takes.
#[derive(Args)]
#[command(after_help = "Example:\n  saerun cell sweeps/peaks --index 3\n\nA cell that is done is left alone.")]
pub struct Arguments {
    /// The folder of the sweep
    dir: PathBuf,
    /// Which cell, or with --pack which pack of cells, from 0
    #[arg(long, value_name = "I")]
    index: usize,
    /// How many cells make a pack
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = super::sweep::positive)]
    pack: usize,
    /// How many threads to compute with [default: RAYON_NUM_THREADS, or all cores]
    #[arg(long, value_name = "N", value_parser = threads::threads)]
    threads: Option<u16>,
}

/// Runs the cells of a pack that have no good result yet.
pub(super) fn cell(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    let plan = Plan::read(&arguments.dir).map_err(Failure::usage)?;
    let first = arguments.index.saturating_mul(arguments.pack);
    plan.cell(first).map_err(Failure::usage)?;
    plan.check_sources(&root).map_err(Failure::usage)?;
    threads::use_threads(arguments.threads);
    // Slurm sends the same signal to the task and to the cell, and a second one must not cost the checkpoint.
    let watched = limits::watch_signals(false);
    let mut failed = Vec::new();
    for index in first..plan.cells.len().min(first + arguments.pack) {
        if Outcome::read(&arguments.dir, &plan, index).is_some_and(|outcome| outcome.done()) {
            continue;
        }
        if !one(&root, &arguments.dir, &plan, index, &watched)? {
            failed.push(index.to_string());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let error = Error::new(Code::Failed, format!("not every cell is done: {} failed", failed.join(", ")));
    Err(Failure { exit_code: super::sweep::INCOMPLETE, ..Failure::from(error) })
}

/// Runs one cell and leaves its result file; says whether it ended well.
fn one(root: &Path, dir: &Path, plan: &Plan, index: usize, watched: &Watched) -> Result<bool, Failure> {
    let cell = plan.cell(index)?;
    errln!("cell {index}  {}", plan.label(index));
    let (_, text) = host::read(&root.join(&plan.script)).map_err(Failure::usage)?;
    let session = Arc::new(Session::new(Setup {
        root: root.to_path_buf(),
        stem: "cell".to_string(),
        results: Some(sweep::results_of(dir, index)),
        overrides: cell.params.iter().map(|(name, value)| (name.clone(), Override::Plain(value.clone()))).collect(),
        use_cache: true,
        quiet: false,
        progress: false,
        stop: Arc::clone(&watched.stop),
        stop_code: Arc::clone(&watched.stop_code),
        script: plan.script.clone(),
        keeping: Keeping::Staged,
        ..Setup::default()
    })?);
    watched.guard(&session, Some(STOPPED));
    let begin = Instant::now();
    let ended = host::run(&session, &plan.script, &text);
    session.begin_ending();
    let seconds = begin.elapsed().as_secs_f64();
    let (exit_code, message) = match &ended {
        Ok(()) => {
            run::leave_record(&session, &plan.script)?;
            (0, String::new())
        }
        Err(report) if report.error.code == Code::Interrupted => {
            let error = Error::new(Code::Interrupted, format!("cell {index} was stopped and will go on where it was"));
            return Err(Failure { exit_code: STOPPED, ..Failure::from(error) });
        }
        Err(report) => {
            errln!("{}", report.draw(&session));
            if let Some(note) = session.keep_partial(&dir.join("log").join(format!("{index:06}-files")))? {
                errln!("{note}");
            }
            (session.exit_code(&report.error), report.error.message.clone())
        }
    };
    Outcome { id: cell.id.clone(), exit_code, message, seconds, cpu: sweep::cpu() }.write(dir, index)?;
    Ok(exit_code == 0)
}
