//! The command line: how reports look (`tests/cli/*.trycmd`; `TRYCMD=overwrite` rewrites them), exit codes, Ctrl-C.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn reports_look_as_recorded() {
    trycmd::TestCases::new().env("NO_COLOR", "1").case("tests/cli/*.trycmd");
}

/// `saerun` in a folder.
fn saerun(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
    command.current_dir(folder);
    command
}

#[test]
fn a_run_leaves_its_lock_and_repeats_its_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "let p = params(#{ seed: 1 });\nrun::note(\"# Why\");\nrun::save_text(\"t.txt\", tensor::randn([3], p.seed).to_array());";
    std::fs::write(folder.path().join("a.rhai"), script).expect("a script");
    let mut first = None;
    for threads in ["1", "2"] {
        let output =
            saerun(folder.path()).args(["a.rhai", "--set", "seed=7", "--threads", threads]).output().expect("saerun");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = |name: &str| std::fs::read_to_string(folder.path().join("results/a").join(name)).expect(name);
        let all = (read("t.txt"), read("notes.md"), read("run.yaml"));
        assert!(all.2.contains("seed: 7"), "{}", all.2);
        assert_eq!(*first.get_or_insert_with(|| all.clone()), all);
    }
}

#[test]
fn parameter_files_are_read_and_set_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a.rhai"), "let p = params(#{ seed: 1, lr: 0.5 });\nprint(p);")
        .expect("a script");
    std::fs::write(folder.path().join("p.yaml"), "seed: 3\nlr: 2\n").expect("a file");
    let output =
        saerun(folder.path()).args(["a.rhai", "--params", "p.yaml", "--set", "seed=4"]).output().expect("saerun");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "#{\"lr\": 2.0, \"seed\": 4}\n");
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_within_a_second() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = "print(1);\nlet i = 0;\nwhile true { try { i += 1; } catch { } }\nrun::save_text(\"a.txt\", \"a\");";
    std::fs::write(folder.path().join("a.rhai"), script).expect("a script");
    let mut child =
        saerun(folder.path()).arg("a.rhai").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("saerun");
    let mut line = [0];
    std::io::Read::read_exact(child.stdout.as_mut().expect("stdout"), &mut line).expect("the script has begun");
    let begin = Instant::now();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("the end");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
    assert!(!folder.path().join("results").exists());
}
