//! Whether work fits into the memory that is free, asked before it starts.

use crate::error::{Code, Error, Result};

/// Refuses work that needs more bytes than the system has left; where the system does not say, everything fits.
///
/// # Errors
/// `too-large`, naming the work and both numbers, with `help`.
pub fn check(work: &str, needed: u64, help: &str) -> Result<()> {
    match available() {
        Some(available) if needed > available => {
            let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
            Err(Error::new(Code::TooLarge, format!("{work} does not fit into memory"))
                .fact("needed", mib(needed))
                .fact("available", mib(available))
                .help(help))
        }
        _ => Ok(()),
    }
}

/// Bytes that the system says are available, where it says so.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
