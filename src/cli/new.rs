//! `saerun new NAME`: a project, or one script, that runs at once.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::error::{Code, Error, Result};
use crate::host::output::outln;
use crate::store;

/// What `saerun new` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A folder to make, or a script to make when it ends in .rhai
    name: PathBuf,
}

const AFTER: &str = "\
Examples:
  saerun new geometry                 a project: a script, results/, .gitignore, .gitattributes, README.md
  cd geometry && saerun scripts/geometry.rhai

  saerun new scripts/hubs.rhai        one more script in this project

What is there already is never overwritten.";

/// The script that a new project begins with.
const SCRIPT: &str = include_str!("../../assets/template/experiment.rhai");

/// What git leaves out: the cache and the records of runs.
const IGNORED: &str = "# What saerun remembers on this machine, and pages that tell of one run; other results are committed.\n\
/.saerun/\n/results/*/report.html\n/results/repl/\n";

/// What git leaves as it is: results are compared byte by byte, and the digest of a script counts its line ends inside of text.
const ATTRIBUTES: &str = "# Results are compared byte by byte: git must not change their line ends.\n\
results/** -text\n*.rhai text eol=lf\n";

/// Makes it, and says what to do next.
pub(super) fn new(arguments: &Arguments) -> std::result::Result<(), Failure> {
    let name = &arguments.name;
    if name.symlink_metadata().is_ok() {
        let error = Error::new(Code::WriteFailed, format!("there is something at `{}` already", name.display()));
        return Err(Failure::usage(error.help("choose another name")));
    }
    if name.extension().is_some_and(|extension| extension == "rhai") {
        store::write_atomic(name, SCRIPT.as_bytes())?;
        outln!("wrote {0}\nrun it: saerun {0}", name.display());
        return Ok(());
    }
    let Some(stem) = name.file_name().map(|stem| stem.to_string_lossy().into_owned()) else {
        let error = Error::new(Code::WriteFailed, format!("`{}` is no name for a folder", name.display()));
        return Err(Failure::usage(error));
    };
    if !stem.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') {
        let error = Error::new(Code::WriteFailed, format!("`{stem}` is no name for a project and its script"))
            .fact("expected", "letters, digits, `-` and `_`; or a script's path that ends in .rhai");
        return Err(Failure::usage(error));
    }
    project(name, &stem)?;
    outln!("made {}; run its script:\n  cd {}\n  saerun scripts/{stem}.rhai", name.display(), name.display());
    Ok(())
}

fn project(folder: &Path, stem: &str) -> Result<()> {
    let readme = format!(
        "# {stem}\n\n`saerun scripts/{stem}.rhai` writes `results/{stem}/`; `--set size=full` answers the question.\n\
         Commit the scripts and the results.\n"
    );
    store::write_atomic(&folder.join("scripts").join(format!("{stem}.rhai")), SCRIPT.as_bytes())?;
    store::write_atomic(&folder.join("results").join(".gitkeep"), b"")?;
    store::write_atomic(&folder.join(".gitignore"), IGNORED.as_bytes())?;
    store::write_atomic(&folder.join(".gitattributes"), ATTRIBUTES.as_bytes())?;
    store::write_atomic(&folder.join("README.md"), readme.as_bytes())
}
