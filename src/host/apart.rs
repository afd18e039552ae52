//! Native work that has no place of its own to look for a stop: a large matrix product, a sort, a pass over all pairs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::host::run::STACK;
use crate::host::session::Session;

/// Work of fewer elementary operations is done before anybody could stop it, and in less time than a thread takes.
const LARGE: u64 = 1 << 22;
/// How often the waiting thread looks for a stop.
const LOOK: Duration = Duration::from_millis(20);

/// Does the work; where it may take long, on a thread of its own, while this one waits for the result or for a stop. After a stop nobody
/// waits for the thread: the run ends, and with it the process. The result is the same either way. `size` is a rough count of operations.
///
/// # Errors
/// `interrupted` when the run is asked to stop; `too-large` when there is no thread.
pub fn apart<T: Send + 'static>(session: &Session, size: u64, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if size < LARGE {
        return Ok(work());
    }
    let (done, result) = channel();
    // Closures of the script may run inside, so the stack is that of the script.
    let thread = std::thread::Builder::new().name("work".to_string()).stack_size(STACK);
    let spawned = thread.spawn(move || _ = done.send(catch_unwind(AssertUnwindSafe(work))));
    spawned.map_err(|error| Error::new(Code::TooLarge, format!("no thread for the work: {error}")))?;
    loop {
        match result.recv_timeout(LOOK) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => session.monitor().check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Code::Internal, "the work ended without a result"));
            }
        }
    }
}

/// The product of some sizes, as the size of work.
pub fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |all, size| all.saturating_mul(*size as u64))
}
