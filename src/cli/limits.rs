//! What a run may read, how much memory and time it may take, and the signals that stop it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use super::Failure;
use crate::error::{Code, Error};
use crate::host::Session;
use crate::host::ending::{CTRL_C, TERMINATED, TIMEOUT};
use crate::host::output::errln;
use crate::{memory, progress, store};

/// How long a run that is asked to stop may take to stop by itself; and to put its results and its record in their place, which
/// is not cut off sooner.
const GRACE: Duration = Duration::from_millis(1700);
const ENDING: Duration = Duration::from_secs(10);

/// How often a guard looks.
const LOOK: Duration = Duration::from_millis(20);

/// Options of every verb that runs scripts.
#[derive(Args, Clone, Default)]
pub struct Limits {
    /// Let scripts read this folder or file outside the project; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(super) allow_read: Vec<PathBuf>,
    /// Refuse work that would take more memory, such as 8GiB or 500MiB [default: what the machine or its control group has free, less a
    /// sixteenth of it, at least 128 MiB and at most 2 GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory: Option<u64>,
    /// Stop after so many seconds, with exit code 124; finished steps are kept
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
}

/// What stops a run, and the exit code that the stop stands for.
#[derive(Clone, Default)]
pub(super) struct Watched {
    pub(super) stop: Arc<AtomicBool>,
    pub(super) stop_code: Arc<AtomicUsize>,
}

impl Watched {
    /// The end of work that was asked to stop.
    pub(super) fn stopped(&self) -> Failure {
        let failure = Failure::from(Error::new(Code::Interrupted, "interrupted"));
        match self.stop_code.load(Ordering::Relaxed) {
            0 => failure,
            code => Failure { exit_code: code.min(255) as u8, ..failure },
        }
    }

    /// Ends the process when the run of `session` is asked to stop and does not within [`GRACE`]: some work cannot look for a stop
    /// often enough. Whatever is written is written whole or not at all, so nothing is lost but the work since the last
    /// checkpoint. The exit code is `code`, or that of the stop.
    pub(super) fn guard(&self, session: &Arc<Session>, code: Option<u8>) {
        let (watched, session) = (self.clone(), Arc::downgrade(session));
        std::thread::spawn(move || {
            while !watched.stop.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                if session.strong_count() == 0 {
                    return;
                }
            }
            let asked = Instant::now();
            while let Some(session) = session.upgrade() {
                let grace = if session.is_ending() || store::is_saving() { ENDING } else { GRACE };
                if asked.elapsed() > grace {
                    errln!("{}", super::plain(&session.why_stopped().fact("note", "the step did not stop by itself")));
                    if let Some(kept) = session.results().abandon() {
                        errln!("{}", session.partial_note(&kept));
                    }
                    std::process::exit(code.unwrap_or_else(|| session.stopped_code()).into());
                }
                std::thread::sleep(LOOK);
            }
        });
    }
}

impl Limits {
    /// Sets what this process may read, and how much memory it may take.
    pub(super) fn set(&self) -> Result<(), Failure> {
        if let Some(path) = self.allow_read.iter().find(|path| !path.exists()) {
            let error = Error::new(Code::MissingFile, format!("`--allow-read {}` names nothing", path.display()));
            return Err(Failure::usage(error.fact("expected", "a folder or file that is there")));
        }
        if let Some(bytes) = self.memory.or_else(memory::default_limit) {
            memory::set_limit(bytes);
        }
        Ok(())
    }

    /// Sets the limits of this process, and what stops it.
    pub(super) fn apply(&self) -> Result<Watched, Failure> {
        self.set()?;
        let watched = watch_signals(true);
        if let Some(time) = self.timeout {
            let watched = watched.clone();
            std::thread::spawn(move || {
                std::thread::sleep(time);
                watched.stop_code.store(TIMEOUT, Ordering::Relaxed);
                watched.stop.store(true, Ordering::Relaxed);
            });
        }
        Ok(watched)
    }
}

/// Lets signals stop the run: the first asks it to stop soon, and where `twice` a second one ends the process at once.
pub(super) fn watch_signals(twice: bool) -> Watched {
    use signal_hook::{consts, flag};
    let watched = Watched::default();
    progress::stop_by(&watched.stop);
    let mut signals = vec![(consts::SIGINT, CTRL_C), (consts::SIGTERM, TERMINATED)];
    #[cfg(unix)]
    {
        signals.push((consts::SIGHUP, TERMINATED));
        // A file beyond the limit of its size is an error like that of a full disk, not the end of the process.
        let _ = flag::register(consts::SIGXFSZ, Arc::default());
    }
    for (signal, code) in signals {
        let watching = || {
            if twice {
                flag::register_conditional_shutdown(signal, code as i32, Arc::clone(&watched.stop))?;
            }
            flag::register_usize(signal, Arc::clone(&watched.stop_code), code)?;
            flag::register(signal, Arc::clone(&watched.stop))
        };
        if let Err(error) = watching() {
            errln!("warning: signal {signal} will stop the run without a report: {error}");
        }
    }
    watched
}

/// `8GiB`, `500MB`, `1.5G`, or bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1u64,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => 0,
    };
    match digits.trim().replace('_', "").parse::<f64>() {
        Ok(number) if factor > 0 && number > 0.0 && number.is_finite() => Ok((number * factor as f64) as u64),
        _ => Err("expected a size such as 8GiB or 500MiB".to_string()),
    }
}

/// A time in seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse::<f64>().ok();
    let time = seconds.filter(|s| *s > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
    time.ok_or_else(|| "expected seconds above 0, such as 3600".to_string())
}
