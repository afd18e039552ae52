//! Standard output that cannot be written, threads, a git that hangs, and files that are no text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Project;

/// The exit code and stderr of the program with its standard output going to `out`.
fn into(project: &Project, arguments: &[&str], out: &str) -> (Option<i32>, String) {
    let file = fs::OpenOptions::new().write(true).open(out).expect("a device");
    let output = project.command(arguments).stdout(Stdio::from(file)).output().expect("saerun");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

// L5
#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let project =
        Project::with("let p = params(#{ seed: 0 }); print(p.seed); run::save_text(\"a.txt\", 1); let unused = 1;");
    assert_eq!(project.saerun(&["case.rhai"]).code, 0);
    for arguments in [
        &["case.rhai"][..],
        &["case.rhai", "--format", "json"],
        &["list"],
        &["list", "--format", "json"],
        &["doc"],
        &["doc", "geometry::peaks"],
        &["check", "case.rhai"],
        &["check", "case.rhai", "--format", "json"],
        &["why", "case.rhai"],
        &["diff", "1"],
        &["show"],
        &["params", "case.rhai"],
        &["verify", "--no-run"],
        &["--help"],
        &["run", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["man"],
        &["clean", "--dry-run"],
    ] {
        let (code, said) = into(&project, arguments, "/dev/full");
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device") && !said.contains("bug"), "{arguments:?}: {said}");
    }
    assert_eq!(project.saerun(&["verify", "-q"]).code, 0, "what the run saved is whole");
}

// L5
#[test]
fn a_closed_pipe_ends_quietly() {
    let project = Project::with("for i in 0..20_000 { print(`line ${i}`); }");
    for arguments in ["case.rhai", "doc", "list", "--help"] {
        let line = format!("'{}' {arguments} | head -n 1", env!("CARGO_BIN_EXE_saerun"));
        let mut shell = Command::new("bash");
        let output = shell
            .args(["-c", &format!("set -o pipefail; {line}")])
            .current_dir(project.path())
            .env("NO_COLOR", "1")
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{arguments}: {} {said}", output.status);
    }
}

// H4
#[test]
fn threads_beyond_the_cores_are_refused() {
    let project = Project::with("print(1)");
    let plenty = (64 * std::thread::available_parallelism().map_or(1, usize::from)).to_string();
    for number in ["65535", "0", "1000", plenty.as_str(), "many"] {
        for arguments in
            [&["case.rhai", "--threads", number][..], &["repl", "--threads", number], &["verify", "--threads", number]]
        {
            let ran = project.saerun(arguments);
            assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("core"), "{arguments:?}: {}", ran.stderr);
        }
        let output = project.command(&["case.rhai"]).env("RAYON_NUM_THREADS", number).output().expect("saerun");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("core"), "{number}: {said}");
    }
    assert_eq!(project.saerun(&["case.rhai", "--threads", "4"]).stdout, "1\n");
}

/// A program `git` that does as the lines say.
fn git(project: &Project, lines: &str) -> String {
    let path = project.write("bin/git", format!("#!/bin/sh\n{lines}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
    format!("{}:{}", project.path().join("bin").display(), std::env::var("PATH").unwrap_or_default())
}

// H6
#[test]
fn a_git_that_hangs_does_not_keep_a_run() {
    for lines in [
        "sleep 60",
        "sleep 60 & sleep 60",
        "read x < /dev/tty || sleep 60",
        "echo 0123; if [ \"$3\" = status ]; then sleep 60; fi",
    ] {
        let project = Project::with("print(\"once\")");
        let path = git(&project, lines);
        let begin = std::time::Instant::now();
        let output = project.command(&["case.rhai"]).env("PATH", path).output().expect("saerun");
        assert!(begin.elapsed() < Duration::from_secs(10), "{lines}: {:?}", begin.elapsed());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
            (Some(0), "once\n"),
            "{said}"
        );
        assert_eq!(said.matches("git did not answer in time").count(), 1, "{lines}: {said}");
        assert_eq!(project.saerun(&["show"]).stdout.matches("commit ").count(), 0);
    }
}

// H6
#[test]
fn a_git_that_fails_or_is_missing_is_no_matter() {
    for lines in ["exit 1", "kill -9 $$"] {
        let project = Project::with("print(\"once\")");
        let path = git(&project, lines);
        let output = project.command(&["case.rhai"]).env("PATH", path).output().expect("saerun");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{lines}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let project = Project::with("print(\"once\")");
    let output = project.command(&["case.rhai"]).env("PATH", "/nowhere").output().expect("saerun");
    assert!(output.status.success() && output.stderr.is_empty());
}

// Traps: `missing-file` for a file that is a folder or not UTF-8.
#[test]
fn a_folder_and_what_is_no_text_are_called_so() {
    let project = Project::with("import \"lib\" as lib; params(#{ a: 1 });");
    project.write("latin.rhai", b"print(\"caf\xe9\")".as_slice());
    project.write("latin.yaml", b"# one\na: \"\xe9\"\n".as_slice());
    project.write("lib.rhai", b"// \xff\n".as_slice());
    fs::create_dir_all(project.path().join("folder")).expect("a folder");
    let cases = [
        (&["folder"][..], "`folder` is a folder"),
        (&["latin.rhai"], "not UTF-8"),
        (&["check", "latin.rhai"], "not UTF-8"),
        (&["params", "folder"], "`folder` is a folder"),
        (&["case.rhai", "--params", "latin.yaml"], "0xE9 in line 2"),
        (&["case.rhai", "--params", "folder"], "`folder` is a folder"),
        (&["sweep", "latin.yaml"], "not UTF-8"),
        (&["case.rhai"], "`lib.rhai` is not UTF-8"),
    ];
    for (arguments, words) in cases {
        let ran = project.saerun(arguments);
        let said = ran.stderr.replace(&format!("{}/", project.path().display()), "");
        assert!(ran.code > 0 && said.contains("[damaged-file]"), "{arguments:?}: {said}");
        assert!(said.contains(words) || said.contains(&words.replace('`', "")), "{arguments:?}: {said}");
    }
    let ran = project.saerun(&["case.rhai", "--params", "none.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("[missing-file]"), "{}", ran.stderr);
}
