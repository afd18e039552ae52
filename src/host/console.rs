//! What a run says on the terminal: prints on stdout; bars, step lines and warnings on stderr.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Monitor;

/// The terminal of one run. Progress is shown on a terminal only.
pub struct Console {
    quiet: bool,
    bars: bool,
    stop: Arc<AtomicBool>,
    shown: Mutex<Option<(String, ProgressBar)>>,
    warnings: Mutex<Vec<String>>,
}

/// The data behind a lock; a panic elsewhere does not make it unusable.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    /// A console that says nothing on stderr but warnings when `quiet`, and shows bars when `progress` and stderr is a
    /// terminal. Setting `stop` ends the work soon.
    pub fn new(quiet: bool, progress: bool, stop: Arc<AtomicBool>) -> Self {
        let bars = progress && !quiet && std::io::stderr().is_terminal();
        Console { quiet, bars, stop, shown: Mutex::new(None), warnings: Mutex::new(Vec::new()) }
    }

    /// Writes a line to stdout, above the bar.
    pub fn print(&self, text: &str) {
        self.aside(|| {
            // A closed pipe (`saerun .. | head`) is no reason to stop an experiment.
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        });
    }

    /// Writes a line to stderr, above the bar, unless quiet.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.aside(|| {
                let _ = writeln!(std::io::stderr().lock(), "{text}");
            });
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Some((_, bar)) = locked(&self.shown).take() {
            bar.finish_and_clear();
        }
    }

    /// What was warned about, in order.
    pub fn warnings(&self) -> Vec<String> {
        locked(&self.warnings).clone()
    }

    /// Runs `f` with the bar out of the way.
    fn aside(&self, f: impl FnOnce()) {
        match &*locked(&self.shown) {
            Some((_, bar)) => bar.suspend(f),
            None => f(),
        }
    }
}

impl Monitor for Console {
    fn update(&self, label: &str, done: u64, total: u64, note: &str) {
        if !self.bars {
            return;
        }
        let mut shown = locked(&self.shown);
        if shown.as_ref().is_some_and(|(name, _)| name != label)
            && let Some((_, bar)) = shown.take()
        {
            bar.finish_and_clear();
        }
        if done >= total {
            if let Some((_, bar)) = shown.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let (_, bar) = shown.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} eta {eta}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(label.to_string());
            (label.to_string(), bar)
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(note.to_string());
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn warn(&self, message: &str) {
        self.aside(|| {
            let _ = writeln!(std::io::stderr().lock(), "warning: {message}");
        });
        locked(&self.warnings).push(message.to_string());
    }
}
