//! The command line: one file per verb. What goes in is words, what comes out is an exit code.

mod cell;
mod check;
mod clean;
mod completions;
mod convert;
mod diff;
mod doc;
mod doctor;
mod grid;
pub mod index;
mod limits;
mod list;
mod man;
mod memory;
mod new;
mod params;
mod repl;
mod report;
mod run;
mod show;
mod sweep;
mod terminal;
mod threads;
mod verify;
mod watch;
mod why;

use std::path::PathBuf;

use annotate_snippets::{Level, Renderer};
use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::host::ending;
use crate::host::output::{self, errln, out};

pub use memory::keep_big_buffers;

/// Runs experiment scripts on sparse autoencoders.
#[derive(Parser)]
#[command(name = "saerun", version, about, after_help = AFTER, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: Option<run::Arguments>,
}

const AFTER: &str = "\
Examples:
  saerun scripts/peaks.rhai                     run a script; results go to results/peaks/
  saerun scripts/peaks.rhai --set size=quick --out quick
  saerun watch scripts/peaks.rhai               run it again whenever it is saved
  saerun repl scripts/peaks.rhai                run it, then look into its values at a prompt
  saerun check scripts                          find mistakes without running
  saerun doc geometry::peaks                    what a function does
  saerun convert downloads/topk saes/topk       an SAE of another tool, as a SAELens folder
  saerun verify results/peaks                   run again from the lock, and compare every byte
  saerun why sae::train                         what changed, so that it was computed again
  saerun sweep scripts/peaks.rhai --grid seed=0..4 --grid strength=0.1,1

The current folder is the project: scripts read and write inside it only.

Exit codes:
  0    the script ended well
  1    the script failed; the report on stderr says where and why
  2    the command line, a parameter or the configuration is wrong
  3    `verify` found a difference
  4    `saerun check` found errors
  5    some cells of a sweep are not done
  75   a cell was stopped and keeps a checkpoint; run it again
  124  the time of --timeout was up
  130  stopped by Ctrl-C; a second Ctrl-C stops at once
  143  stopped by a termination signal

A script's own `exit(n)` gives n, from 0 to 63. What was finished before a stop is kept.";

#[derive(Subcommand)]
enum Verb {
    /// Run a script; the word `run` may be left out
    Run(run::Arguments),
    /// List the parameters of a script and their defaults, without running it
    #[command(
        after_help = "Example:\n  saerun params scripts/peaks.rhai\n  size = \"full\"\n  seed = 0\n\n`--set NAME=VALUE` of `saerun run` changes them."
    )]
    Params {
        /// The script
        file: PathBuf,
    },
    /// Show what a script function does, or list all functions
    Doc(doc::Arguments),
    /// Find mistakes in scripts without running them
    Check(check::Arguments),
    /// Run a script over a grid of parameters, on this machine or on a cluster
    Sweep(sweep::Arguments),
    /// Run cells of a sweep; what engines call
    Cell(cell::Arguments),
    /// Run a script again whenever it is saved
    Watch(watch::Arguments),
    /// Talk to the script engine: try functions, look into values
    Repl(repl::Arguments),
    /// Turn an SAE of another tool into a folder of SAELens or sparsify, and compare what both compute
    Convert(convert::Arguments),
    /// Write results/README.md: every script's question, first answer, figure and command
    #[command(
        after_help = "Example:\n  saerun index\n\nThe question is the script's first heading, the answer the first point of its `run::note`, the time its line that\nbegins with `Takes`."
    )]
    Index,
    /// Run scripts again from their locks and compare every result
    Verify(verify::Arguments),
    /// Say which part of a step changed, so that it was computed again
    Why(why::Arguments),
    /// List the runs on record, and how committed results stand
    List(list::Arguments),
    /// Show a run on record
    Show(show::Arguments),
    /// Make the page of a run on record: one file to read, to print and to send
    Report(report::Arguments),
    /// Compare two runs, or a run and the committed results
    Diff(diff::Arguments),
    /// Remove remembered results (.saerun/cache), which scripts compute again, or run records
    Clean(clean::Arguments),
    /// Begin a project, or a script, that runs at once
    New(new::Arguments),
    /// Print what a shell needs to complete the command line
    Completions(completions::Arguments),
    /// Print the manual page, or write one for each verb
    Man(man::Arguments),
    /// Say what this machine and this project offer, and whether anything is broken
    Doctor(doctor::Arguments),
}

/// Reads the command line, does what it says, and gives the exit code. A bug becomes a report.
pub fn main() -> u8 {
    ending::keep_panics();
    let ended = ending::guarded(what_it_says);
    // A panic of a thread that nobody waited for.
    let bug = ended.as_ref().err().cloned().or_else(ending::unreported);
    if let Some(error) = bug {
        errln!("{}", plain(&error));
    }
    let exit_code = ended.unwrap_or(1);
    match output::finish() {
        Ok(()) => exit_code,
        Err(error) => {
            errln!("{}", plain(&error));
            exit_code.max(1)
        }
    }
}

/// As [`main`], as if there were no bugs.
fn what_it_says() -> u8 {
    crate::host::fix_hashing();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are no failures.
        Err(error) if error.use_stderr() => {
            errln!("{}", error.render().ansi().to_string().trim_end_matches('\n'));
            return 2;
        }
        Err(error) => {
            out!("{}", error.render().ansi());
            return 0;
        }
    };
    if let Err(failure) = threads::check_environment() {
        errln!("{}", failure.text);
        return failure.exit_code;
    }
    let outcome = match (arguments.verb, arguments.run) {
        (Some(Verb::Run(arguments)), _) | (None, Some(arguments)) => run::run(&arguments),
        (Some(Verb::Params { file }), _) => params::params(&file),
        (Some(Verb::Doc(arguments)), _) => doc::doc(&arguments),
        (Some(Verb::Check(arguments)), _) => check::check(&arguments),
        (Some(Verb::Sweep(arguments)), _) => sweep::sweep(arguments),
        (Some(Verb::Cell(arguments)), _) => cell::cell(&arguments),
        (Some(Verb::Watch(arguments)), _) => watch::watch(&arguments),
        (Some(Verb::Repl(arguments)), _) => repl::repl(&arguments),
        (Some(Verb::Convert(arguments)), _) => convert::convert(&arguments),
        (Some(Verb::Index), _) => index::index(),
        (Some(Verb::Verify(arguments)), _) => verify::verify(&arguments),
        (Some(Verb::Why(arguments)), _) => why::why(&arguments),
        (Some(Verb::List(arguments)), _) => list::list(&arguments),
        (Some(Verb::Show(arguments)), _) => show::show(&arguments),
        (Some(Verb::Report(arguments)), _) => report::report(&arguments),
        (Some(Verb::Diff(arguments)), _) => diff::diff(&arguments),
        (Some(Verb::Clean(arguments)), _) => clean::clean(&arguments),
        (Some(Verb::New(arguments)), _) => new::new(&arguments),
        (Some(Verb::Completions(arguments)), _) => completions::completions(&arguments),
        (Some(Verb::Man(arguments)), _) => man::man(&arguments),
        (Some(Verb::Doctor(arguments)), _) => doctor::doctor(&arguments),
        (None, None) => {
            Err(Failure::usage(Error::new(crate::error::Code::Failed, "which script?").help("saerun --help")))
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            if !failure.text.is_empty() {
                errln!("{}", failure.text);
            }
            failure.exit_code
        }
    }
}

/// A failure, drawn, and the exit code that it stands for.
struct Failure {
    text: String,
    exit_code: u8,
}

impl Failure {
    /// A failure of the command line or the configuration rather than of a script: exit code 2.
    fn usage(error: Error) -> Self {
        Failure { text: plain(&error), exit_code: 2 }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { text: plain(&error), exit_code: error.code.exit_code() }
    }
}

/// An error that belongs to no line of a script, in the form of the others.
fn plain(error: &Error) -> String {
    let mut group =
        annotate_snippets::Group::with_title(Level::ERROR.primary_title(&error.message).id(error.code.name()));
    for (name, value) in &error.facts {
        group = group.element(Level::NOTE.with_name(name.as_str()).message(value));
    }
    if let Some(help) = &error.help {
        group = group.element(Level::HELP.message(help));
    }
    Renderer::styled().render(&[group])
}

/// The project: the current folder.
fn project() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::usage(Error::new(crate::error::Code::MissingFile, format!("the current folder is gone: {error}")))
    })
}
