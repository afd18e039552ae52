//! `saerun check FILE...`: what can be said of scripts without running them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::run::{Format, inside};
use super::{Failure, project};
use crate::error::{Code, Error, Result};
use crate::host::check::{Finding, Severity, check as findings};
use crate::host::output::{errln, outln};
use crate::host::session::Setup;
use crate::host::{Session, engine, run as host};

/// What `saerun check` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Scripts, or folders of scripts
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Let warnings fail the check too
    #[arg(long)]
    deny_warnings: bool,
}

const AFTER: &str = "\
Example:
  saerun check scripts
  saerun check scripts/peaks.rhai --format json --deny-warnings

Errors are what would fail when it is reached; a run refuses to begin with one:
  syntax            it does not parse, or names a variable that is not there; a reserved word as a key
  unknown-function  no function, method or namespace has this name
  wrong-type        no function of this name takes so many arguments
  unknown-option    a literal option map has a key that the function does not take
  missing-file, outside-project  an import that cannot be found, or leads out of the project
  failed            `params` is called more than once; a script imports itself
Warnings run, and do something else than it looks:
  float-equality    `==` between floats that are rounded or measured
  int-division      a division of two ints that leaves a fraction out: `1 / 2` is 0
  log-base          `x.log()` of a float is the logarithm to base 10
  power-of-negative  `-x ** y` is `(-x) ** y`
  loop-capture      closures that are kept share the variable of the loop, and see its last value
  unused-parameter  a parameter is declared and never read: `--set` of it would change nothing
  unused-variable   a variable is never read
  unknown-option    in a `try`, where the refusal may be wanted

With --format json each finding is one object on a line of its own: `severity` (error or warning), `code`,
`file`, `line`, `column` (null where there is none), `what`, `facts` (an object), `help` (a text or null).

Imported scripts are checked with the script that imports them. Findings go to stdout, the count to stderr.
Exit code 4 when there are errors, or warnings with --deny-warnings; 0 otherwise.";

/// The exit code for findings.
const FOUND: u8 = 4;

/// Checks every script, and prints each finding once.
pub(super) fn check(arguments: &Arguments) -> std::result::Result<(), Failure> {
    let root = project()?;
    let files = scripts(&arguments.files).map_err(Failure::usage)?;
    let (mut said, mut errors, mut warnings) = (BTreeSet::new(), 0, 0);
    for file in &files {
        let (name, text) = host::read(file).map_err(Failure::usage)?;
        let setup = Setup { root: root.clone(), stem: "check".to_string(), ..Setup::default() };
        let session = Arc::new(Session::new(setup)?);
        for finding in findings(&engine(&session), &session, &inside(&root, &name), &text) {
            if !said.insert((finding.spot(), finding.code)) {
                continue;
            }
            match finding.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
            print(&finding, arguments.format, &session);
        }
    }
    let counts =
        format!("{}, {} in {}", count(errors, "error"), count(warnings, "warning"), count(files.len(), "script"));
    if errors > 0 || (arguments.deny_warnings && warnings > 0) {
        return Err(Failure { text: counts, exit_code: FOUND });
    }
    errln!("{counts}");
    Ok(())
}

fn print(finding: &Finding, format: Format, session: &Session) {
    match format {
        Format::Human => outln!("{}\n", finding.draw(session)),
        Format::Json => outln!("{}", finding.to_json()),
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The scripts themselves, and those of each folder below, in order.
fn scripts(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in given {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        below(path, &mut all);
        all[before..].sort();
        if all.len() == before {
            return Err(Error::new(Code::MissingFile, format!("there is no script in `{}`", path.display())));
        }
    }
    Ok(all)
}

fn below(folder: &Path, all: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            below(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rhai") {
            all.push(path);
        }
    }
}
