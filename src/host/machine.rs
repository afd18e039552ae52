//! Where and when a run runs: facts for its record, and never for its results.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::store::{Git, Machine};

/// The machine, and what this process has taken of it so far.
pub fn machine() -> Machine {
    Machine {
        host: first_line("/proc/sys/kernel/hostname").or_else(|| first_line("/etc/hostname")).unwrap_or_default(),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        cpu_features: cpu_features(),
        kernel: crate::ops::kernel::kernel().name.to_string(),
        threads: rayon::current_num_threads(),
        peak_memory_bytes: peak_memory(),
    }
}

/// The most memory that this process has held: `VmHWM` of Linux.
fn peak_memory() -> Option<u64> {
    let text = field("/proc/self/status", "VmHWM")?;
    text.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The value of `name: value` in a file of the kernel.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn first_line(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()?.lines().next().map(|line| line.trim().to_string())
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<String> {
    let found = [
        ("sse4.2", std::arch::is_x86_feature_detected!("sse4.2")),
        ("avx", std::arch::is_x86_feature_detected!("avx")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512bw", std::arch::is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
    ];
    found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_string()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<String> {
    Vec::new()
}

/// The commit of the project and the patch from it to the working tree; `None` without git or a repository.
pub fn git(project: &Path) -> Option<(Git, Vec<u8>)> {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(project).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
        // A question must not touch the index, which another git may be writing.
        let output = command.env("GIT_OPTIONAL_LOCKS", "0").output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let commit = String::from_utf8_lossy(&ask(&["rev-parse", "HEAD"])?).trim().to_string();
    let dirty = ask(&["status", "--porcelain", "--", "."]).is_some_and(|text| !text.is_empty());
    let patch = if dirty { ask(&["diff", "--no-ext-diff", "HEAD", "--", "."]).unwrap_or_default() } else { Vec::new() };
    let digest = (!patch.is_empty()).then(|| blake3::hash(&patch).to_hex().to_string());
    Some((Git { commit, dirty, patch: digest, patch_bytes: patch.len() }, patch))
}

/// Now, in UTC: `2026-01-31T12:00:00Z`.
#[allow(clippy::disallowed_methods, reason = "for the run record, which is not committed")]
pub fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    utc(since.as_secs())
}

/// Seconds since 1970 as a date and time in UTC.
pub fn utc(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, so that the leap day is a year's last; 400 of them have 146097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}
