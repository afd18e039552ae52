//! How a run ends other than by its last line: `exit(n)`, a signal, the clock of `--timeout`, or a bug of saerun's own.

use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use crate::error::{Code, Error, Result};
use crate::host::diagnostic::Report;
use crate::host::session::Session;

/// Exit code of a run whose time was up.
pub const TIMEOUT: usize = 124;
/// Exit code of a run that was stopped by Ctrl-C, and by a termination signal.
pub const CTRL_C: usize = 130;
/// See [`CTRL_C`].
pub const TERMINATED: usize = 143;

/// A panic that was kept for the report.
struct Kept {
    /// What it said.
    what: String,
    /// Where in the code it was.
    place: String,
    /// Its thread.
    thread: ThreadId,
    /// Whether that is one of the pool, whose panics go on in the thread that waits for its work.
    pool: bool,
}

/// The last panic, until somebody asks. Panics of worker threads reach the script's thread without their text.
static PANIC: Mutex<Option<Kept>> = Mutex::new(None);

/// From here on a panic is kept for the report instead of being printed; with RUST_BACKTRACE it is printed too.
pub fn keep_panics() {
    let print = std::panic::take_hook();
    let loud = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo| {
        // The caller turns it into an error of its own: a damaged file is no bug.
        if crate::contain::inside() {
            return;
        }
        let place = info.location().map_or_else(String::new, |at| format!("{}:{}", short(at.file()), at.line()));
        let (thread, pool) = (std::thread::current().id(), rayon::current_thread_index().is_some());
        let kept = Kept { what: said(info.payload()), place, thread, pool };
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        if loud {
            print(info);
        }
    }));
}

/// A panic that nobody has reported yet.
pub fn unreported() -> Option<Error> {
    let kept = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(bug(&kept.what, &kept.place))
}

/// Forgets a panic that was contained: the work went on after it, so it is no bug that anybody has to hear of.
fn forget_contained() {
    let mut kept = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
    let here = std::thread::current().id();
    if kept.as_ref().is_some_and(|kept| kept.pool || kept.thread == here) {
        *kept = None;
    }
}

/// A file of a library without the folders of the machine that built it.
fn short(file: &str) -> &str {
    let library = file.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    library.map_or(file, |(_, rest)| rest)
}

/// The text of a panic.
fn said(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_string())
}

fn bug(what: &str, place: &str) -> Error {
    let error = Error::new(Code::Internal, "this is a bug in saerun").fact("panic", what);
    let error = if place.is_empty() { error } else { error.fact("at", place) };
    error.fact("version", env!("CARGO_PKG_VERSION")).help("please report it, with this text and the script")
}

/// Does some work; a panic in it becomes an `internal` error.
///
/// # Errors
/// `internal`, with what the panic said and where.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .inspect(|_| forget_contained())
        .map_err(|payload| unreported().unwrap_or_else(|| bug(&said(payload.as_ref()), "")))
}

impl Session {
    /// The script ends here, with this exit code.
    ///
    /// # Errors
    /// `out-of-range` for codes that mean something else.
    pub fn end(&self, code: i64) -> Result<()> {
        match u8::try_from(code) {
            Ok(code @ 0..64) => {
                // The first call ends the script.
                let _ = self.ended.set(code);
                Ok(())
            }
            _ => Err(Error::new(Code::OutOfRange, "this exit code means something else")
                .fact("expected", "0 to 63")
                .fact("given", code)),
        }
    }

    /// The code of the `exit` that ended the script, if one did.
    pub fn ended(&self) -> Option<u8> {
        self.ended.get().copied()
    }

    /// The script has ended: what is left to do is to keep what it left, which is not to be cut off.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// See [`Session::is_ending`].
    pub fn begin_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// The report of a bug: it belongs to the last call that is known.
    pub fn report_bug(&self, error: Error) -> Report {
        Report { error, place: self.console().place(), frames: Vec::new(), also: Vec::new() }
    }

    /// Why the run was asked to stop, for its report.
    pub fn why_stopped(&self) -> Error {
        let why = match self.stop_code.load(Ordering::Relaxed) {
            TIMEOUT => "the time is up",
            TERMINATED => "terminated",
            _ => "interrupted",
        };
        Error::new(Code::Interrupted, why)
            .help("run it again: finished steps are remembered, and training goes on where it stopped")
    }

    /// The exit code of a run that was asked to stop.
    pub fn stopped_code(&self) -> u8 {
        match self.stop_code.load(Ordering::Relaxed) {
            0 => CTRL_C as u8,
            code => code.min(255) as u8,
        }
    }
}
