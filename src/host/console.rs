//! What a run says while it runs, and the list of it: prints on stdout; bars, step lines and warnings on stderr; with `--format json`
//! events on stdout and all else on stderr.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::host::events::{Event, Place, Stamped};
use crate::host::output;
use crate::progress::{Monitor, Stop, Watch};

/// Where there is no terminal, progress is a line this often: a log file can bear that.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How a run talks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Voice {
    /// Nothing on stderr but warnings and errors.
    pub quiet: bool,
    /// Whether long work shows how far it is.
    pub progress: bool,
    /// Events on stdout, one JSON object a line; prints go to stderr.
    pub json: bool,
}

/// How long work that should not be cut in two goes on after a stop was asked for.
const PATIENCE: Duration = Duration::from_millis(700);

/// The terminal of one run, and what happened in it.
pub struct Console {
    voice: Voice,
    terminal: bool,
    stop: Arc<AtomicBool>,
    shown: Mutex<Option<(String, ProgressBar)>>,
    /// When a line of progress was last due.
    line: Mutex<Instant>,
    begin: Instant,
    events: Mutex<Vec<Stamped>>,
    here: Mutex<Option<Place>>,
}

/// The data behind a lock; a panic elsewhere does not make it unusable.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    /// A console that bars are drawn on if stderr is a terminal. Setting `stop` ends the work soon.
    pub fn new(voice: Voice, stop: Arc<AtomicBool>) -> Self {
        let begin = Instant::now();
        Console {
            terminal: std::io::stderr().is_terminal(),
            voice,
            stop,
            shown: Mutex::new(None),
            line: Mutex::new(begin),
            begin,
            events: Mutex::new(Vec::new()),
            here: Mutex::new(None),
        }
    }

    /// What ends the work soon when it is set.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Waits, unless the work is to end.
    ///
    /// # Errors
    /// `interrupted`.
    pub fn pause(&self, time: Duration) -> crate::error::Result<()> {
        std::thread::sleep(time);
        self.check()
    }

    /// Lets kernels on this thread see the stop, while the returned value lives.
    pub fn watch(&self) -> Watch {
        let seen = OnceLock::new();
        let overdue = move || seen.get_or_init(Instant::now).elapsed() > PATIENCE;
        Stop::watch(Arc::clone(&self.stop), Arc::new(overdue))
    }

    /// Says where the script is: the call that made what happens next.
    pub fn set_place(&self, place: Option<Place>) {
        *locked(&self.here) = place;
    }

    /// The call that is being made.
    pub fn place(&self) -> Option<Place> {
        locked(&self.here).clone()
    }

    /// Keeps an event, and prints it where events are asked for.
    pub fn emit(&self, event: Event) {
        let stamped = Stamped { after: self.elapsed(), event };
        self.print_event(&stamped);
        locked(&self.events).push(stamped);
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Stamped> {
        locked(&self.events).clone()
    }

    /// Seconds since the run began.
    pub fn elapsed(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// A line that the script prints, above the bar.
    pub fn print(&self, text: &str) {
        self.aside(|| {
            if self.voice.json {
                let _ = writeln!(std::io::stderr().lock(), "{text}");
            } else {
                // What cannot be printed does not stop an experiment, and is an error at its end.
                output::line(text);
            }
        });
        self.emit(Event::Print { text: text.to_string(), at: self.place() });
    }

    /// Writes a line to stderr, above the bar, unless quiet.
    pub fn say(&self, text: &str) {
        if !self.voice.quiet {
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

    /// Runs `f` with the bar out of the way.
    fn aside(&self, f: impl FnOnce()) {
        match &*locked(&self.shown) {
            Some((_, bar)) => bar.suspend(f),
            None => f(),
        }
    }

    fn print_event(&self, stamped: &Stamped) {
        if self.voice.json
            && let Ok(line) = serde_json::to_string(stamped)
        {
            output::line(&line);
        }
    }

    /// Progress where no bar can be drawn: a line, or an event, now and then.
    fn line(&self, label: &str, done: u64, total: u64, note: &str) {
        let mut last = locked(&self.line);
        if last.elapsed() < LINE_EVERY || done >= total {
            return;
        }
        *last = Instant::now();
        self.say(format!("{label} {done}/{total} {note}").trim_end());
        let event = Event::Progress { label: label.to_string(), done, total, note: note.to_string() };
        self.print_event(&Stamped { after: self.elapsed(), event });
    }
}

impl Monitor for Console {
    fn update(&self, label: &str, done: u64, total: u64, note: &str) {
        if !self.voice.progress {
            return;
        }
        if !self.terminal || self.voice.quiet || self.voice.json {
            return self.line(label, done, total, note);
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
        self.emit(Event::Warning { message: message.to_string(), at: self.place() });
    }
}
