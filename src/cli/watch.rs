//! `saerun watch FILE`: runs a script again whenever it, or what it imports or reads, is saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use super::{Failure, limits, project, run};
use crate::error::{Code, Error};
use crate::host::Session;
use crate::host::output::errln;
use crate::report::number::duration;
use crate::store::{self, Key};

/// What `saerun watch` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
#[group(id = "watch")]
pub struct Arguments {
    #[command(flatten)]
    run: run::Arguments,
    /// Stop a step that is not remembered after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds, conflicts_with = "all")]
    limit: f64,
    /// Let every step run to its end
    #[arg(long)]
    all: bool,
}

const AFTER: &str = "\
Example:
  saerun watch scripts/peaks.rhai --set size=smoke
  cached m.activations 5d0f2c11
  cached sae::train 9a1b03ce
  watching scripts/peaks.rhai; Ctrl-C ends

What was computed before is remembered, so a run after a change costs little. A step that takes
longer than the limit is stopped and keeps its checkpoint: `--all` waits for it; so does `saerun run`.";

/// How often files are looked at, and how often a run.
const LOOK: Duration = Duration::from_millis(250);
const GLANCE: Duration = Duration::from_millis(20);

/// Runs, waits for a change, and runs again, until Ctrl-C.
pub(super) fn watch(arguments: &Arguments) -> Result<(), Failure> {
    let leaving = arguments.run.options.limits.apply()?;
    let leave = &leaving.stop;
    arguments.run.options.use_threads();
    let limit = (!arguments.all).then(|| Duration::from_secs_f64(arguments.limit));
    let root = project()?;
    // What cannot be read now is a slip of the command line; later it is a file that is just being saved.
    run::open(&arguments.run, &limits::Watched::default())?;
    let mut watched = Watched {
        root,
        params: arguments.run.options.params().map(Path::to_path_buf),
        seen: BTreeMap::new(),
        data: BTreeMap::new(),
    };
    while !leave.load(Ordering::Relaxed) {
        let names = once(arguments, limit, &leaving, &mut watched)?;
        if leave.load(Ordering::Relaxed) {
            break;
        }
        errln!("watching {}; Ctrl-C ends", names.join(", "));
        watched.wait(leave);
    }
    Ok(())
}

/// One run. Gives the names of the scripts that it read, which are watched from here on as they were then.
fn once(
    arguments: &Arguments,
    limit: Option<Duration>,
    leaving: &limits::Watched,
    watched: &mut Watched,
) -> Result<Vec<String>, Failure> {
    let stopper = limits::Watched::default();
    crate::progress::stop_by(&stopper.stop);
    watched.look();
    let opened = run::open(&arguments.run, &stopper);
    let (script, setup) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            errln!("{}", failure.text);
            return Ok(watched.names());
        }
    };
    let session = Arc::new(Session::new(setup)?);
    session.add_source(&script.name, &script.text);
    leaving.guard(&session, None);
    let (outcome, late) = std::thread::scope(|scope| {
        let running = scope.spawn(|| run::perform(&session, &script, &run::Ending::default()));
        let mut late = None;
        while !running.is_finished() {
            std::thread::sleep(GLANCE);
            let over = |(_, since): &(Key, Instant)| limit.is_some_and(|limit| since.elapsed() > limit);
            if let Some((key, _)) = session.computing().filter(over) {
                late.get_or_insert(key);
            }
            if late.is_some() || leaving.stop.load(Ordering::Relaxed) {
                stopper.stop.store(true, Ordering::Relaxed);
            }
        }
        (running.join(), late)
    });
    let bug = || Error::new(Code::Internal, "a panic stopped the run: this is a bug in saerun");
    match (outcome.unwrap_or_else(|_| Err(bug().into())), late, limit) {
        (Err(failure), Some(key), Some(limit)) if failure.exit_code == Code::Interrupted.exit_code() => {
            errln!("{}\n{}", failure.text, too_long(&session, &key, limit, &script.name));
        }
        (Err(failure), ..) => errln!("{}", failure.text),
        (Ok(()), ..) => {}
    }
    watched.remember(&session);
    Ok(watched.names())
}

/// What is said about a step that was stopped.
fn too_long(session: &Session, key: &Key, limit: Duration, script: &str) -> String {
    let limit = duration(limit.as_secs_f64());
    let kept = session.cache().has_checkpoint(key);
    super::plain(
        &Error::new(Code::Interrupted, format!("{} takes longer than {limit} and was stopped", key.function))
            .fact(
                "kept",
                if kept { "its checkpoint, from which it goes on" } else { "nothing: it keeps no checkpoint" },
            )
            .help(format!("run `saerun {script}` once, which remembers it, or watch with `--all`, which waits")),
    )
}

/// The digests of scripts, and the stamps of data.
type Seen = (BTreeMap<String, String>, BTreeMap<PathBuf, Option<String>>);

/// The files whose content makes another run.
struct Watched {
    root: PathBuf,
    params: Option<PathBuf>,
    /// The digest that each script had when it was read, by name.
    seen: BTreeMap<String, String>,
    /// The stamp that each file or folder of data had when it was read; none for what was looked for and not there, such as an
    /// import.
    data: BTreeMap<PathBuf, Option<String>>,
}

impl Watched {
    fn names(&self) -> Vec<String> {
        self.seen.keys().cloned().collect()
    }

    /// Takes over what a run has read. A script that was read before and is no longer imported is forgotten.
    fn remember(&mut self, session: &Session) {
        self.seen = session.sources().into_iter().collect();
        self.data = session.read_paths();
        self.look_at_params();
    }

    /// Notes how the files are now.
    fn look(&mut self) {
        for (name, digest) in self.scripts() {
            self.seen.insert(name, digest);
        }
        self.look_at_params();
    }

    fn look_at_params(&mut self) {
        if let Some(path) = &self.params
            && let Some(digest) = digest(path)
        {
            self.seen.insert(path.to_string_lossy().into_owned(), digest);
        }
    }

    /// The digests of the files as they are now. A file that is not there is being replaced: it counts as unchanged.
    fn now(&self) -> Seen {
        let data = self.data.keys().map(|path| (path.clone(), store::stamp(path))).collect();
        (self.scripts(), data)
    }

    /// See [`Watched::now`].
    fn scripts(&self) -> BTreeMap<String, String> {
        let one = |(name, before): (&String, &String)| {
            (name.clone(), digest(&self.root.join(name)).unwrap_or_else(|| before.clone()))
        };
        self.seen.iter().map(one).collect()
    }

    /// Returns when a file has changed and is no longer being written, or when it is time to leave.
    fn wait(&self, leave: &AtomicBool) {
        let mut last = self.now();
        while !leave.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
            let now = self.now();
            if (now.0 != self.seen || now.1 != self.data) && now == last {
                return;
            }
            last = now;
        }
    }
}

fn digest(path: &Path) -> Option<String> {
    std::fs::read(path).ok().map(|bytes| blake3::hash(&bytes).to_hex().to_string())
}

/// A span of time from 0 on.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..1e9).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, such as 10 or 0.5".to_string())
}
