//! `saerun show RUN`: one run on record.

use clap::Args;

use super::list::steps;
use super::{Failure, project};
use crate::host::events::{Event, Stamped};
use crate::host::output::outln;
use crate::report::number::duration;
use crate::store::{self, short};

/// What `saerun show` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A run as `saerun list` names it, its number, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    run: String,
}

const AFTER: &str = "\
Examples:
  saerun show            the newest run: parameters, steps with times, prints, outputs, machine
  saerun show 12         the run whose name begins with 000012-";

/// Prints all that is kept of a run but the files.
pub(super) fn show(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    let run = store::find_run(&root, &arguments.run).map_err(Failure::usage)?;
    let lock = store::run_lock(&root, &run.id)?;
    let machine = &run.machine;
    outln!("run {} of {}", run.id, run.script);
    outln!("command: {}", run.command.join(" "));
    outln!("began {}, took {}, exit code {}", run.begin, duration(run.seconds), run.exit_code);
    let memory = machine.peak_memory_bytes.map_or(String::new(), |b| format!(", at most {} MiB of memory", b >> 20));
    outln!("{}, {}, {} threads, {}{memory}", machine.os, machine.cpu, machine.threads, machine.kernel);
    if let Some(git) = &run.git {
        let patch =
            git.patch.as_deref().map(|digest| format!(", patch {} of {} bytes", short(digest), git.patch_bytes));
        let dirty = if git.dirty { ", with changes" } else { "" };
        outln!("commit {}{dirty}{}", git.commit, patch.unwrap_or_default());
    }
    outln!("\nparameters");
    lock.params.iter().for_each(|(name, value)| outln!("  {name}: {value}"));
    outln!("\nsteps: {}", steps(&run));
    for step in &run.steps {
        let how = if step.cached { "cached".to_string() } else { format!("ran in {}", duration(step.seconds)) };
        outln!("  {} at {}:{} {how} (key {})", step.function, step.file, step.line, short(&step.key));
    }
    outln!("\nprints");
    for line in store::run_events(&root, &run.id).lines() {
        match serde_json::from_str::<Stamped>(line).map(|stamped| stamped.event) {
            Ok(Event::Print { text, .. }) => outln!("  {}", text.replace('\n', "\n  ")),
            Ok(Event::Warning { message, .. }) => outln!("  warning: {message}"),
            Ok(Event::Failed { code, message, at, .. }) => {
                let at = at.map_or(String::new(), |at| format!(" at {}:{}", at.file, at.line));
                outln!("  error[{code}]: {message}{at}");
            }
            _ => {}
        }
    }
    outln!("\noutputs");
    for (name, written) in &lock.outputs {
        outln!("  {name}: {} bytes, {}", written.bytes, short(&written.blake3));
    }
    let partial = store::partial_dir(&root, &run.id);
    if partial.is_dir() {
        let partial = partial.strip_prefix(&root).unwrap_or(&partial).to_string_lossy().replace('\\', "/");
        outln!("\nthe run did not end well: its files are in {partial}");
    }
    Ok(())
}
