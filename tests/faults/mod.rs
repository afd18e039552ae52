//! Faults that once cost users numbers, results or patience, each through the path that a user takes: a script or the command
//! line, run by the program itself. One file per area; a test names the fault in its first line.

mod geometry;
mod language;
mod results;
mod sae_files;
mod tables;
mod text;
mod training;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A project in a temporary folder, removed with the value.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error, without colors.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Project {
    /// An empty project.
    pub fn new() -> Project {
        Project { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A project with one script, `case.rhai`.
    pub fn with(script: &str) -> Project {
        let project = Project::new();
        project.write("case.rhai", script);
        project
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders that it needs.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program, to be started in this project.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
        command.current_dir(self.path()).args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn saerun(&self, arguments: &[&str]) -> Ran {
        let start = Instant::now();
        let output = self.command(arguments).output().expect("saerun");
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: start.elapsed(),
        }
    }

    /// Runs `case.rhai`, which must end well, and gives what it printed.
    pub fn prints(&self) -> String {
        let ran = self.saerun(&["case.rhai"]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        ran.stdout
    }
}

/// Runs a script in a project of its own; it must end well. Gives what it printed.
pub fn prints(script: &str) -> String {
    Project::with(script).prints()
}

/// Runs a script in a project of its own; it must fail with exit code 1 and this error code. Gives standard error.
pub fn fails(script: &str, code: &str) -> String {
    let ran = Project::with(script).saerun(&["case.rhai"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(&format!("[{code}]")), "expected [{code}]\n{}", ran.stderr);
    assert!(!ran.stderr.contains("a bug in saerun"), "{}", ran.stderr);
    ran.stderr
}
