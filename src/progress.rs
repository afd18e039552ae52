//! What long work tells its caller, and how the caller stops it. The core prints nothing: it calls a [`Monitor`].

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::error::{Code, Error, Result};

/// Watches a long computation. The host shows a bar on stderr and turns Ctrl-C into `stopped`.
pub trait Monitor: Sync {
    /// `done` of `total` units of the named work are finished; `note` is a short text such as `loss 4.29`.
    fn update(&self, label: &str, done: u64, total: u64, note: &str);

    /// Whether the work should stop as soon as it can. Long loops ask at least ten times a second.
    fn stopped(&self) -> bool;

    /// Records something worth a warning: the host prints it and keeps it in the run record.
    fn warn(&self, message: &str);

    /// An [`Code::Interrupted`] error when the work should stop.
    fn check(&self) -> Result<()> {
        if self.stopped() { Err(Error::new(Code::Interrupted, "interrupted")) } else { Ok(()) }
    }
}

thread_local! {
    static STOP: RefCell<Stop> = const { RefCell::new(Stop(None)) };
}

/// Whether the work of this thread should stop, for kernels: a kernel asks [`Stop::here`] once, on the thread that calls it, and its tasks ask
/// the value. A kernel that was told to stop returns soon, with numbers that mean nothing: its caller asks [`Stop::check`] before it uses them.
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<Shared>>);

struct Shared {
    stop: Arc<AtomicBool>,
    overdue: Overdue,
    /// Whether anybody was told to stop.
    told: AtomicBool,
}

/// Whether a stop was asked for so long ago that even work which is broken by it should end.
pub type Overdue = Arc<dyn Fn() -> bool + Send + Sync>;

impl Stop {
    /// What stops the work of this thread; nothing where nobody has called [`Stop::watch`].
    pub fn here() -> Stop {
        STOP.with_borrow(Stop::clone)
    }

    /// From here on, and while the returned value lives, `stop` stops the work of this thread; `overdue` is asked once it is set.
    pub fn watch(stop: Arc<AtomicBool>, overdue: Overdue) -> Watch {
        let new = Stop(Some(Arc::new(Shared { stop, overdue, told: AtomicBool::new(false) })));
        Watch { before: STOP.replace(new), thread: PhantomData }
    }

    /// Lets what stops one thread stop another, which calls this, while the returned value lives.
    pub fn adopt(self) -> Watch {
        Watch { before: STOP.replace(self), thread: PhantomData }
    }

    /// While the returned value lives, nothing stops the work of this thread: for short work that must not be cut in two.
    pub fn ignore() -> Watch {
        Watch { before: STOP.replace(Stop(None)), thread: PhantomData }
    }

    /// Whether the work should stop.
    pub fn requested(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.tell(shared.stop.load(Ordering::Relaxed)))
    }

    /// Whether the work should have stopped for a while: for work that leaves something broken when it is cut short.
    pub fn overdue(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.tell(shared.stop.load(Ordering::Relaxed) && (shared.overdue)()))
    }

    /// Whether any kernel was told to stop, so that what this thread holds may mean nothing.
    pub fn told(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.told.load(Ordering::Relaxed))
    }

    /// An [`Code::Interrupted`] error when the work should stop.
    ///
    /// # Errors
    /// That one.
    pub fn check(&self) -> Result<()> {
        if self.requested() { Err(Error::new(Code::Interrupted, "interrupted")) } else { Ok(()) }
    }
}

impl Shared {
    fn tell(&self, stop: bool) -> bool {
        if stop {
            self.told.store(true, Ordering::Relaxed);
        }
        stop
    }
}

/// Ends what [`Stop::watch`] began.
pub struct Watch {
    before: Stop,
    /// It belongs to one thread.
    thread: PhantomData<*const ()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        STOP.replace(std::mem::take(&mut self.before));
    }
}

/// A monitor that shows nothing and never stops the work, for tests and short calls.
pub struct Silent;

impl Monitor for Silent {
    fn update(&self, _: &str, _: u64, _: u64, _: &str) {}

    fn stopped(&self) -> bool {
        false
    }

    fn warn(&self, _: &str) {}
}

/// Where a training keeps its state, so that an interrupted one goes on where it stopped. The store implements it on disk.
pub trait Checkpoint {
    /// The state that was saved last, if there is one and it is whole.
    fn load(&mut self) -> Option<Vec<u8>>;

    /// Replaces the saved state.
    ///
    /// # Errors
    /// `write-failed` when it cannot be written.
    fn save(&mut self, state: &[u8]) -> Result<()>;

    /// Whether saving would keep anything; a training need not serialize its state otherwise.
    fn keeps(&self) -> bool;
}

/// Keeps nothing.
pub struct NoCheckpoint;

impl Checkpoint for NoCheckpoint {
    fn load(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn save(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn keeps(&self) -> bool {
        false
    }
}

/// What stops the whole process: Ctrl-C, a termination signal, `--timeout`. None in a library.
static PROCESS: RwLock<Option<Arc<AtomicBool>>> = RwLock::new(None);

/// How often [`abandonable`] looks for a stop.
const LOOK: Duration = Duration::from_millis(20);

/// Stack of the thread of [`abandonable`].
const STACK: usize = 16 << 20;

/// From here on, work that has no [`Monitor`] at hand (readers, the tokenizer) stops when this flag is set.
pub fn stop_by(flag: &Arc<AtomicBool>) {
    *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(flag));
}

/// Whether the process is asked to stop.
pub fn stopping() -> bool {
    PROCESS.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// An [`Code::Interrupted`] error when the process is asked to stop.
///
/// # Errors
/// `interrupted`.
pub fn check_stop() -> Result<()> {
    if stopping() { Err(Error::new(Code::Interrupted, "interrupted")) } else { Stop::here().check() }
}

/// Runs work of a library that never looks for a stop. It runs on a thread of its own; when the process is asked to stop, the
/// thread is left to itself and the caller goes on at once.
///
/// # Errors
/// `interrupted`; `internal` when no thread can be started.
pub fn abandonable<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    check_stop()?;
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        // Nobody receives when the work was abandoned.
        let _ = send.send(work());
    });
    let thread = thread.map_err(|error| Error::new(Code::Internal, "cannot start a thread").fact("reason", error))?;
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => check_stop()?,
            // The sender was dropped without a result: the work panicked.
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(payload) => std::panic::resume_unwind(payload),
                Ok(()) => return Err(Error::new(Code::Internal, "work ended without a result")),
            },
        }
    }
}
