//! The record that a run leaves in `.saerun/runs`, however it ends.

use std::thread::JoinHandle;

use crate::error::Result;
use crate::host::events::Event;
use crate::host::git::{self, Answer};
use crate::host::machine;
use crate::host::output::errln;
use crate::host::session::Session;
use crate::progress::Monitor;
use crate::store::{self, Record, Timed};

/// How often the end of a run looks whether git has answered.
const LOOK: std::time::Duration = std::time::Duration::from_millis(10);

/// What is known of a run when it begins.
pub struct Begun {
    begin: String,
    git: JoinHandle<Answer>,
}

/// Notes when the run begins, and has git look at the working tree while the script starts.
pub fn begin(session: &Session) -> Begun {
    let root = session.root().to_path_buf();
    Begun { begin: machine::now(), git: std::thread::spawn(move || git::ask(&root)) }
}

/// Writes the record of a run that is over, and gives it back.
///
/// # Errors
/// `write-failed`.
pub fn leave(session: &Session, script: &str, begun: Begun, verifies: bool, exit_code: u8) -> Result<Record> {
    let events = session.console().events();
    // A run that is to stop does not wait for git.
    while !begun.git.is_finished() && !session.console().stopped() {
        std::thread::sleep(LOOK);
    }
    let answer = if begun.git.is_finished() { begun.git.join() } else { Ok(Answer::Late) };
    let (git, patch) = match answer {
        Ok(Answer::Known(git, patch)) => (Some(git), Some(patch)),
        Ok(Answer::Late) => {
            errln!("warning: git did not answer in time: the commit of this run is not on record");
            (None, None)
        }
        _ => (None, None),
    };
    let steps = events.iter().filter_map(|stamped| match &stamped.event {
        Event::Step { function, key, cached, seconds, at } => Some(Timed {
            function: function.clone(),
            key: key.clone(),
            cached: *cached,
            seconds: *seconds,
            file: at.as_ref().map(|at| at.file.clone()).unwrap_or_default(),
            line: at.as_ref().map_or(0, |at| at.line),
        }),
        _ => None,
    });
    let results = session.results().dir();
    let home = session.results().home();
    let inside = home.strip_prefix(session.root()).unwrap_or(home);
    let mut lock = session.lock(script);
    // The lock itself is no output of the run, also where it has been written already.
    lock.outputs.remove("run.yaml");
    let mut record = Record {
        id: String::new(),
        saerun: env!("CARGO_PKG_VERSION").to_string(),
        command: std::env::args().collect(),
        script: script.to_string(),
        results: (!verifies).then(|| inside.to_string_lossy().replace('\\', "/")),
        remembers: session.cache().enabled() && !verifies,
        verifies,
        begin: begun.begin,
        seconds: session.console().elapsed(),
        exit_code,
        machine: machine::machine(),
        git,
        steps: steps.collect(),
        sources: session.source_texts(),
    };
    let lines: String =
        events.iter().filter_map(|stamped| serde_json::to_string(stamped).ok()).map(|l| l + "\n").collect();
    store::keep_run(session.root(), &mut record, &lock, lines.as_bytes(), patch.as_deref(), &results)?;
    Ok(record)
}
