//! `saerun completions SHELL`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Failure;
use crate::host::output::out;

/// What `saerun completions` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

const AFTER: &str = "\
Examples:
  saerun completions bash > ~/.local/share/bash-completion/completions/saerun
  saerun completions fish > ~/.config/fish/completions/saerun.fish
  saerun completions zsh > \"${fpath[1]}/_saerun\"";

/// Prints the completions of the whole command line.
pub(super) fn completions(arguments: &Arguments) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "saerun", &mut text);
    out!("{}", String::from_utf8_lossy(&text));
    Ok(())
}
