//! `saerun sweep`: starts a sweep, and `status`, `resume`, `collect`, `cancel` of one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::limits::watch_signals;
use super::{Failure, grid, project};
use crate::error::{Code, Error};
use crate::host::output::{errln, outln};
use crate::sweep::{self, Engine, Options, Plan, State, slurm};

/// Some cells failed, or are missing.
pub(super) const INCOMPLETE: u8 = 5;

/// How often `--wait` looks, and how often in a row the scheduler may know nothing.
const PAUSE: Duration = Duration::from_secs(2);
const PATIENCE: usize = 30;

const AFTER: &str = "\
Examples:
  saerun sweep scripts/peaks.rhai --grid seed=0..4 --grid strength=0.1,1,10
  saerun sweep status sweeps/peaks
  saerun sweep resume sweeps/peaks
  saerun sweep collect sweeps/peaks      one table from those of the cells

`--engine slurm` submits the cells as job arrays. Finished cells are never computed again.";

/// What `saerun sweep` takes.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = AFTER)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// A grid file (.yaml), or a script (.rhai) with --grid
    file: Option<PathBuf>,
    #[command(flatten)]
    grid: grid::GridArguments,
    #[command(flatten)]
    engine: EngineArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// Show how the cells of a sweep stand
    Status {
        /// The folder of the sweep
        dir: PathBuf,
    },
    /// Run what is missing or failed, as the sweep was started or as the options say
    Resume {
        /// The folder of the sweep
        dir: PathBuf,
        #[command(flatten)]
        engine: EngineArguments,
    },
    /// Write one table in grid order from the tables of the cells
    Collect {
        /// The folder of the sweep
        dir: PathBuf,
    },
    /// Cancel the Slurm jobs of a sweep
    Cancel {
        /// The folder of the sweep
        dir: PathBuf,
    },
}

#[derive(Args)]
struct EngineArguments {
    /// What runs the cells [default: local]
    #[arg(long, value_enum)]
    engine: Option<EngineName>,
    /// local: cells at once, the cores divided between them [default: one for each core]
    #[arg(long, value_name = "N", value_parser = super::threads::jobs)]
    jobs: Option<usize>,
    /// slurm: tasks at once [default: no bound]
    #[arg(long, value_name = "N", value_parser = positive)]
    max_running: Option<usize>,
    /// slurm: cells a task, for cells shorter than a minute [default: 1]
    #[arg(long, value_name = "K", value_parser = positive)]
    pack: Option<usize>,
    /// slurm: a word for sbatch, such as --slurm-arg=--partition=gpu; may be repeated
    #[arg(long = "slurm-arg", value_name = "WORD", allow_hyphen_values = true)]
    slurm_args: Vec<String>,
    /// slurm: stay until every cell has ended
    #[arg(long)]
    wait: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    /// Processes on this machine
    Local,
    /// Job arrays of Slurm
    Slurm,
    /// Write the cells down and run nothing
    None,
}

/// A count of at least 1.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a whole number from 1 on".to_string())
}

impl EngineArguments {
    /// What was asked for, over what the sweep was started with.
    fn over(&self, recorded: Options) -> Options {
        let engine = match self.engine {
            Some(EngineName::Local) => Engine::Local,
            Some(EngineName::Slurm) => Engine::Slurm,
            Some(EngineName::None) | None => recorded.engine,
        };
        Options {
            engine,
            jobs: self.jobs.unwrap_or(recorded.jobs),
            max_running: self.max_running.unwrap_or(recorded.max_running),
            pack: self.pack.unwrap_or(recorded.pack),
            slurm_args: if self.slurm_args.is_empty() { recorded.slurm_args } else { self.slurm_args.clone() },
        }
    }
}

/// Does what the command line says about a sweep.
pub(super) fn sweep(arguments: Arguments) -> Result<(), Failure> {
    match (arguments.verb, arguments.file) {
        (Some(Verb::Status { dir }), _) => status(&dir),
        (Some(Verb::Resume { dir, engine }), _) => {
            let plan = Plan::read(&dir).map_err(Failure::usage)?;
            go(&dir, &plan, &engine)
        }
        (Some(Verb::Collect { dir }), _) => collect(&dir),
        (Some(Verb::Cancel { dir }), _) => cancel(&dir),
        (None, Some(file)) => {
            let (dir, plan) = grid::plan(&file, &arguments.grid)?;
            errln!("{} cells of {} in {}", plan.cells.len(), plan.script, dir.display());
            go(&dir, &plan, &arguments.engine)
        }
        (None, None) => {
            Err(Failure::usage(Error::new(Code::Failed, "which grid or script?").help("saerun sweep --help")))
        }
    }
}

/// Runs the cells of a sweep that are not done.
fn go(dir: &Path, plan: &Plan, engine: &EngineArguments) -> Result<(), Failure> {
    let root = project()?;
    plan.check_sources(&root).map_err(Failure::usage)?;
    if matches!(engine.engine, Some(EngineName::None)) {
        return Ok(());
    }
    let options = engine.over(Options::read(dir));
    options.write(dir)?;
    let states = sweep::states(dir, plan, &slurm::submissions(dir));
    let cells: Vec<usize> = (0..states.len()).filter(|index| states[*index].wanting()).collect();
    match options.engine {
        Engine::Local => {
            let watched = watch_signals(true);
            let tell = |line: &str| errln!("{line}");
            let pool = sweep::Pool { jobs: options.jobs, stop: &watched.stop, tell: &tell };
            sweep::run(dir, plan, &cells, &pool).map_err(|error| match error.code {
                Code::Interrupted => Failure { exit_code: watched.stopped().exit_code, ..Failure::from(error) },
                _ => Failure::from(error),
            })?;
        }
        Engine::Slurm => {
            for submission in slurm::submit(dir, &root, &cells, &options)? {
                errln!("submitted job {}, {} tasks", submission.job, submission.tasks.len());
            }
            if !engine.wait {
                errln!("`saerun sweep status {}` shows how they stand", dir.display());
                return Ok(());
            }
            wait(dir, plan);
        }
    }
    verdict(dir, &sweep::states(dir, plan, &slurm::submissions(dir)))
}

/// Looks from time to time until no cell can change any more. An empty answer of the scheduler means that it is to be
/// asked again, but not for ever.
fn wait(dir: &Path, plan: &Plan) {
    let mut said = String::new();
    let mut silent = 0;
    while silent < PATIENCE {
        let states = sweep::states(dir, plan, &slurm::submissions(dir));
        let summary = sweep::summary(&states);
        if summary != said {
            errln!("{summary}");
            said = summary;
        }
        if states.iter().any(|state| matches!(state, State::Running | State::Pending)) {
            silent = 0;
        } else if states.contains(&State::Unknown) {
            silent += 1;
        } else {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    errln!("warning: the scheduler gives no answer about some cells");
}

/// Every cell that is not done, how many stand how, and the CPUs when they differ.
fn status(dir: &Path) -> Result<(), Failure> {
    let plan = Plan::read(dir).map_err(Failure::usage)?;
    let states = sweep::states(dir, &plan, &slurm::submissions(dir));
    for (index, state) in states.iter().enumerate() {
        let why = match state {
            State::Done(_) => continue,
            State::Failed(outcome) => format!("  {}", outcome.message),
            State::Ended(why) => format!("  {why}"),
            _ => String::new(),
        };
        outln!("{index:>6}  {:<8}{}{why}", state.name(), plan.label(index));
    }
    let done = |state: &State| if let State::Done(outcome) = state { Some(outcome.cpu.clone()) } else { None };
    let cpus = states.iter().enumerate().filter_map(|(index, state)| Some((index, done(state)?)));
    warn_of_cpus(&sweep::by_cpu(cpus));
    outln!("{}", sweep::summary(&states));
    Ok(())
}

/// Gathers the tables, and says what is not in them.
fn collect(dir: &Path) -> Result<(), Failure> {
    let plan = Plan::read(dir).map_err(Failure::usage)?;
    let collected = sweep::collect(dir, &plan)?;
    for file in &collected.files {
        outln!("{}", file.display());
    }
    warn_of_cpus(&collected.cpus);
    if collected.missing.is_empty() {
        return Ok(());
    }
    let missing = slurm::array(&collected.missing, 0);
    let error = Error::new(Code::Failed, "the tables are not complete")
        .fact("cells that are not done", missing)
        .help(format!("`saerun sweep resume {}` runs them", dir.display()));
    Err(Failure { exit_code: INCOMPLETE, ..Failure::from(error) })
}

/// Cancels what Slurm has of the sweep.
fn cancel(dir: &Path) -> Result<(), Failure> {
    let submissions = slurm::submissions(dir);
    if submissions.is_empty() {
        let error = Error::new(Code::Failed, "this sweep has no Slurm jobs").help("Ctrl-C stops a local one");
        return Err(Failure::usage(error));
    }
    Ok(slurm::cancel(&submissions)?)
}

/// Marks the cells that ran on other CPUs than most.
fn warn_of_cpus(cpus: &[(String, Vec<usize>)]) {
    let Some((most, _)) = cpus.iter().max_by_key(|(_, cells)| cells.len()).filter(|_| cpus.len() > 1) else { return };
    for (cpu, cells) in cpus.iter().filter(|(cpu, _)| cpu != most) {
        let cells = slurm::array(cells, 0);
        errln!("warning: cells {cells} ran on `{cpu}`, others on `{most}`: last digits may differ");
    }
}

/// Well when every cell is done, and exit code 5 otherwise.
fn verdict(dir: &Path, states: &[State]) -> Result<(), Failure> {
    errln!("{}", sweep::summary(states));
    if states.iter().all(|state| matches!(state, State::Done(_))) {
        return Ok(());
    }
    let error = Error::new(Code::Failed, "not every cell is done").fact("logs", dir.join("log").display()).help(
        format!("`saerun sweep status {0}` says which; `saerun sweep resume {0}` tries them again", dir.display()),
    );
    Err(Failure { exit_code: INCOMPLETE, ..Failure::from(error) })
}
