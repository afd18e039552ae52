//! What git says of the project, for the record of a run. It is asked in passing: a git that does not answer is let go.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::store::Git;

/// How long git may take for all questions of a run together. They are asked while the script runs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A patch that is longer is not kept, and not read to its end.
const LONGEST: u64 = 64 << 20;

/// What came of asking git.
pub enum Answer {
    /// The commit of the project and the patch from it to the working tree.
    Known(Git, Vec<u8>),
    /// There is no git or no repository.
    None,
    /// It did not answer in time.
    Late,
}

/// Asks git about the project.
pub fn ask(project: &Path) -> Answer {
    let until = Instant::now() + PATIENCE;
    let commit = match question(project, &["rev-parse", "HEAD"], until) {
        Ok(Some(text)) => String::from_utf8_lossy(&text).trim().to_string(),
        Ok(None) => return Answer::None,
        Err(Late) => return Answer::Late,
    };
    let dirty = match question(project, &["status", "--porcelain", "--", "."], until) {
        Ok(text) => text.is_some_and(|text| !text.is_empty()),
        Err(Late) => return Answer::Late,
    };
    let patch = match dirty.then(|| question(project, &["diff", "--no-ext-diff", "HEAD", "--", "."], until)) {
        Some(Ok(Some(patch))) => patch,
        Some(Err(Late)) => return Answer::Late,
        _ => Vec::new(),
    };
    let digest = (!patch.is_empty()).then(|| blake3::hash(&patch).to_hex().to_string());
    Answer::Known(Git { commit, dirty, patch: digest, patch_bytes: patch.len() }, patch)
}

/// git took too long.
struct Late;

/// What git prints when asked; nothing when it fails.
fn question(project: &Path, arguments: &[&str], until: Instant) -> Result<Option<Vec<u8>>, Late> {
    let mut command = Command::new("git");
    // A question must not touch the index, which another git may be writing, ask the user for anything, or start a daemon.
    command.current_dir(project).args(["-c", "core.fsmonitor=false"]).args(arguments);
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("GIT_PAGER", "cat");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // With a group of its own, what it has started can be ended with it.
        command.process_group(0);
    }
    let Ok(mut child) = command.spawn() else { return Ok(None) };
    let Some(out) = child.stdout.take() else { return Ok(None) };
    let (tell, told) = channel();
    // Whoever else holds the pipe may keep it open for ever: the thread is left alone then.
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = out.take(LONGEST).read_to_end(&mut text);
        let _ = tell.send(read.map(|_| text));
    });
    let text = match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(text) => text.ok(),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            end(&mut child);
            return Err(Late);
        }
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(text.filter(|_| status.success())),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            _ => {
                end(&mut child);
                return Err(Late);
            }
        }
    }
}

/// Ends git and what it has started.
fn end(child: &mut Child) {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: a plain system call; the child has not been waited for, so its number is still its own.
        unsafe {
            libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
