//! Standard output and standard error, which may fail like any file: a full disk is an error at the end, a closed pipe is not.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use crate::error::{Code, Error, Result};

/// Why standard output cannot be written any more.
static BROKEN: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// A line on standard output, as `println!` takes it. What cannot be written is told of by [`finish`].
macro_rules! outln {
    ($($arg:tt)*) => { $crate::host::output::put(format_args!($($arg)*), "\n") };
}

/// Text on standard output, as `print!` takes it.
macro_rules! out {
    ($($arg:tt)*) => { $crate::host::output::put(format_args!($($arg)*), "") };
}

/// A line on standard error, as `eprintln!` takes it; nobody can be told when that fails.
macro_rules! errln {
    ($($arg:tt)*) => { $crate::host::output::tell(format_args!($($arg)*)) };
}

pub(crate) use {errln, out, outln};

/// Writes text and what ends it to standard output, with colors where they can be seen.
pub fn put(text: fmt::Arguments, end: &str) {
    let whole = format!("{text}{end}");
    attempt(|| anstream::stdout().lock().write_all(whole.as_bytes()));
}

/// Writes a line to standard output, byte for byte.
pub fn line(text: &str) {
    attempt(|| writeln!(std::io::stdout().lock(), "{text}"));
}

/// Writes a line to standard error.
pub fn tell(text: fmt::Arguments) {
    let _ = anstream::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Writes, unless that has failed before: what follows a gap would mislead.
fn attempt(write: impl FnOnce() -> std::io::Result<()>) {
    let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if broken.is_none()
        && let Err(error) = write()
    {
        *broken = Some(error);
    }
}

/// Hands over what is still kept back.
///
/// # Errors
/// `write-failed` when something could not be written since the start, unless whoever read it has gone.
pub fn finish() -> Result<()> {
    attempt(|| std::io::stdout().lock().flush());
    match BROKEN.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(Code::WriteFailed, "standard output cannot be written")
                .fact("reason", error)
                .help("what was printed is lost; of a run, `saerun show` prints it again"))
        }
        _ => Ok(()),
    }
}
