//! `saerun man`: the help as manual pages.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};

use super::Failure;
use crate::error::{Code, Error, Result};
use crate::host::output::out;
use crate::store;

/// What `saerun man` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Write a page for saerun and one for each verb into DIR, instead of printing the first
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

const AFTER: &str = "\
Examples:
  saerun man | man -l -
  saerun man --dir ~/.local/share/man/man1";

/// Prints the page of saerun, or writes all.
pub(super) fn man(arguments: &Arguments) -> std::result::Result<(), Failure> {
    let mut command = super::Arguments::command();
    command.build();
    let Some(folder) = &arguments.dir else {
        out!("{}", String::from_utf8_lossy(&page(&command)?));
        return Ok(());
    };
    store::write_atomic(&folder.join("saerun.1"), &page(&command)?)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("saerun-{}", verb.get_name());
        let verb = verb.clone().version(env!("CARGO_PKG_VERSION"));
        store::write_atomic(&folder.join(format!("{name}.1")), &page(&verb)?)?;
    }
    Ok(())
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let failed = |error| Error::new(Code::Internal, format!("no manual page: {error}"));
    // No date: the same program has the same page.
    clap_mangen::Man::new(command.clone()).date("").render(&mut text).map_err(failed)?;
    Ok(text)
}
