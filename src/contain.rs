//! Libraries that panic on damaged input. What a user's file can cause is an error about that file, never the report of a bug.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside [`contained`]: its panics are not reported.
pub fn inside() -> bool {
    INSIDE.get()
}

/// What `work` gives, or the text of its panic. Only for calls of libraries on data from outside, whose state is dropped after
/// a panic.
///
/// # Errors
/// What the panic said.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "its reader failed".to_string())
    })
}
