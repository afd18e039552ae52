//! `saerun doctor`: what this machine and this project offer, and whether anything is broken.

use std::path::Path;

use clap::Args;

use super::{Failure, project};
use crate::error::{Code, Error};
use crate::host::output::outln;
use crate::store;
use crate::{memory, sweep};

/// What `saerun doctor` takes: nothing.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {}

const AFTER: &str = "\
Example:
  saerun doctor

  saerun    0.1.0, cargo features: none
  cpu       x86_64 avx2 fma avx512f
  threads   8
  memory    14.2 GB free, 13.3 GB by default for a run
  disk      120.5 GB free here
  project   can be written
  cache     12 results, 34.5 MB, none damaged
  slurm     not found

Exit code 1 when something is broken: a project that cannot be written, or a damaged cache.";

/// One fact a line; an error when something is broken.
pub(super) fn doctor(_: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    let built: Vec<&str> =
        [("hub", cfg!(feature = "hub")), ("parquet", cfg!(feature = "parquet")), ("png", cfg!(feature = "png"))]
            .into_iter()
            .filter_map(|(name, built)| built.then_some(name))
            .collect();
    let built = if built.is_empty() { "none".to_string() } else { built.join(", ") };
    say("saerun", &format!("{}, cargo features: {built}", env!("CARGO_PKG_VERSION")));
    say("cpu", &sweep::cpu());
    say("threads", &rayon::current_num_threads().to_string());
    let size = |bytes: Option<u64>| bytes.map_or("unknown".to_string(), gigabytes);
    say(
        "memory",
        &format!("{} free, {} by default for a run", size(memory::available()), size(memory::default_limit())),
    );
    say("disk", &format!("{} free here", size(free_disk(&root))));
    // The file has no name and is gone when it is closed.
    let written = tempfile::tempfile_in(&root);
    say("project", written.as_ref().map_or("CANNOT BE WRITTEN", |_| "can be written"));
    let health = store::health(&root.join(".saerun").join("cache"));
    let damaged = match health.damaged.len() {
        0 => "none damaged".to_string(),
        n => format!("{n} DAMAGED"),
    };
    say("cache", &format!("{} results, {:.1} MB, {damaged}", health.entries, health.bytes as f64 / 1e6));
    for (entry, why) in &health.damaged {
        outln!("          {entry}: {why}");
    }
    say("slurm", if found("sbatch") { "found" } else { "not found" });
    if let Err(error) = written {
        let error = Error::new(Code::WriteFailed, format!("nothing can be written in this folder: {error}"));
        return Err(Failure::from(
            error.help("results go to results/ and the cache to .saerun/ in the current folder"),
        ));
    }
    if !health.damaged.is_empty() {
        let error = Error::new(Code::DamagedFile, "some remembered results are damaged");
        return Err(Failure::from(error.help("a run computes them again; `saerun clean` removes all")));
    }
    Ok(())
}

fn say(name: &str, what: &str) {
    outln!("{name:<10}{what}");
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Whether a program of this name is on the path.
fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Bytes that a user may still write beside `path`, where the system says so.
#[cfg(target_env = "gnu")]
fn free_disk(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: `statvfs` is plain numbers, for which zeros are valid; the call fills it, and reads a string that ends in zero.
    let (code, found) = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut found), found)
    };
    (code == 0).then(|| found.f_bavail * found.f_frsize)
}

/// Other systems are not asked.
#[cfg(not(target_env = "gnu"))]
fn free_disk(_: &Path) -> Option<u64> {
    None
}
