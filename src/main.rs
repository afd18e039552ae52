//! Command line in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    saerun::cli::keep_big_buffers();
    ExitCode::from(saerun::cli::main())
}
