//! Command line in, exit code out.

use std::process::ExitCode;

/// Counts, so that `--memory` can be kept.
#[global_allocator]
static MEMORY: saerun::memory::Counting = saerun::memory::Counting;

fn main() -> ExitCode {
    saerun::cli::keep_big_buffers();
    ExitCode::from(saerun::cli::main())
}
