//! Command line in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_big_buffers();
    ExitCode::from(saerun::cli::main())
}

/// glibc gives every buffer of 32 MB and more back to the system when it is dropped, and the next one comes as pages
/// that the kernel must clear again: a tenth of a training step. With these thresholds it keeps and reuses them.
#[cfg(target_env = "gnu")]
fn keep_big_buffers() {
    // SAFETY: `mallopt` only sets two numbers of the allocator, before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Other allocators keep them anyway.
#[cfg(not(target_env = "gnu"))]
fn keep_big_buffers() {}
