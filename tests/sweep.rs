//! Sweeps: grids, the local engine, and the Slurm engine against fakes on PATH. `tests/slurm/run.sh` has a real Slurm.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use saerun::error::Result;
use saerun::report::yaml;
use saerun::sweep::{self, Grid, Params, axis, slurm};
use serde_json::{Value, json};

/// Reads a number where there is one, as a script that declares numbers would have it.
fn numbers(_: &str, value: &Value) -> Result<Value> {
    Ok(value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone()))
}

fn params(value: Value) -> Params {
    serde_json::from_value(value).expect("a map")
}

#[test]
fn axes_are_lists_ranges_and_values() {
    let values = |given: Value| axis::values(&given).map_err(|error| error.message);
    assert_eq!(values(json!("0..3")), Ok(vec![json!(0), json!(1), json!(2)]));
    assert_eq!(values(json!("-1..=1")), Ok(vec![json!(-1), json!(0), json!(1)]));
    assert_eq!(values(json!("0..2, 10")), Ok(vec![json!(0), json!(1), json!("10")]));
    assert_eq!(values(json!([0.5, "a..b"])), Ok(vec![json!(0.5), json!("a..b")]));
    assert_eq!(values(json!(3)), Ok(vec![json!(3)]));
    for empty in [json!([]), json!("3..3"), json!("1,,2"), json!("")] {
        assert_eq!(values(empty), Err("an axis has no values".to_string()));
    }
    assert_eq!(values(json!("0..2000000")), Err("the range is too long".to_string()));
}

#[test]
fn grids_expand_in_the_order_of_the_file() {
    let text = "script: a.rhai\naxes:\n  z: 0..2\n  a: [1, 2, 3]\nfixed: { k: 9 }\nexclude: [{ z: 1, a: [1, 3] }]\n";
    let grid: Grid = yaml::read(text, "the grid").expect("a grid");
    let cells = sweep::expand(&grid, &numbers).expect("cells");
    let expected = [(0, 1), (0, 2), (0, 3), (1, 2)].map(|(z, a)| params(json!({ "a": a, "k": 9, "z": z })));
    assert_eq!(cells, expected);
}

#[test]
fn misfits_know_their_place() {
    let place = |text: &str| {
        let grid: Grid = yaml::read(text, "the grid").expect("a grid");
        let misfit = sweep::expand(&grid, &numbers).expect_err("a misfit");
        (misfit.error.message, yaml::position(text, &misfit.path))
    };
    let head = "script: a.rhai\naxes:\n  seed: [1, 2]\n";
    let cases = [
        ("  lr: []\n", "an axis has no values", (4, 3)),
        ("  lr: [7, 8, 7]\n", "axis `lr` has the value 7 twice", (4, 14)),
        ("fixed:\n  seed: 1\n", "`seed` is an axis and fixed", (3, 3)),
        ("exclude:\n  - seed: 1\n  - sed: 1\n", "unknown axis `sed`", (6, 5)),
        ("exclude: [{ seed: [1, 2] }]\n", "the exclusions leave no cell", (4, 1)),
    ];
    for (tail, message, at) in cases {
        assert_eq!(place(&format!("{head}{tail}")), (message.to_string(), at), "{tail}");
    }
    let wrong = yaml::read::<Grid>("script: a.rhai\naxes:\n  seed: 1\n  seed: 2\n", "the grid").expect_err("twice");
    assert!(wrong.error.to_string().contains("axes: duplicate entry with key \"seed\""), "{}", wrong.error);
    let wrong = yaml::read::<Grid>("script: a.rhai\naxis:\n  seed: 1\n", "the grid").expect_err("a wrong key");
    assert_eq!((wrong.line, wrong.column), (2, 1), "{}", wrong.error);
}

#[test]
fn arrays_stay_below_what_slurm_allows() {
    let cells: Vec<usize> = (0..25).filter(|cell| *cell != 4).collect();
    let expected = vec![(0, vec![0, 1, 2, 3, 5, 6, 7, 8, 9]), (10, (0..10).collect()), (20, (0..5).collect())];
    assert_eq!(slurm::arrays(&cells, 1, 10), expected);
    assert_eq!(slurm::arrays(&cells, 10, 1001), [(0, vec![0, 1, 2])]);
    assert_eq!(slurm::array(&[0, 1, 2, 3, 5, 7, 8], 0), "0-3,5,7-8");
    assert_eq!(slurm::array(&[4], 2), "4%2");
}

/// A project with a script whose cell with `seed` 2 fails while `broken` is there.
struct Project(tempfile::TempDir);

const SCRIPT: &str = r#"let p = params(#{ seed: 0, scale: 1.0, name: "a" });
let bad = false;
try { tensor::load("broken.npy"); bad = true; } catch { }
run::require(p.seed != 2 || !bad, "seed 2 is broken");
table::from_rows(["row", "value"], [[0, p.seed * p.scale], [1, ()]]).save("scores");
print(p.name);
"#;

impl Project {
    fn new() -> Self {
        let project = Project(tempfile::tempdir().expect("a temporary folder"));
        fs::write(project.path("a.rhai"), SCRIPT).expect("a script");
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes the cell with `seed` 2 fail.
    fn break_it(&self) {
        let output = self.saerun_script("tensor::eye(1).save(\"broken.npy\");");
        assert!(output.status.success());
    }

    fn saerun_script(&self, text: &str) -> Output {
        fs::write(self.path("other.rhai"), text).expect("a script");
        self.saerun(&["other.rhai"])
    }

    fn saerun(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("saerun")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
        command.current_dir(self.0.path()).env("NO_COLOR", "1").args(arguments);
        command
    }

    /// Puts a program on the PATH of what `with_fakes` runs.
    #[cfg(unix)]
    fn fake(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir_all(self.path("bin")).expect("a folder");
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a fake");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }

    #[cfg(unix)]
    fn with_fakes(&self, arguments: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        self.command(arguments).env("PATH", path).output().expect("saerun")
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_failed_cell_stops_no_other_and_is_taken_up_again() {
    let project = Project::new();
    project.break_it();
    let arguments = ["sweep", "a.rhai", "--grid", "seed=1..4", "--grid", "scale=0.5,2", "--dir", "s"];
    let output = project.saerun(&arguments);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("4 done, 2 failed"), "{}", stderr(&output));
    let status = stdout(&project.saerun(&["sweep", "status", "s"]));
    assert!(status.contains("     2  failed  seed=2 scale=0.5  seed 2 is broken\n"), "{status}");
    let collected = project.saerun(&["sweep", "collect", "s"]);
    assert_eq!(collected.status.code(), Some(5));
    assert!(stderr(&collected).contains("cells that are not done: 2-3"), "{}", stderr(&collected));

    let before = fs::metadata(project.path("s/cells/000000.json")).and_then(|data| data.modified()).expect("a result");
    fs::remove_file(project.path("broken.npy")).expect("it was there");
    let output = project.saerun(&["sweep", "resume", "s"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let after = fs::metadata(project.path("s/cells/000000.json")).and_then(|data| data.modified()).expect("a result");
    assert_eq!(before, after, "a cell that is done does not run again");
    assert!(project.saerun(&["sweep", "collect", "s"]).status.success());
    let expected = "seed,scale,row,value\n1,0.5,0,0.5\n1,0.5,1,\n1,2.0,0,2.0\n1,2.0,1,\n2,0.5,0,1.0\n2,0.5,1,\n\
                    2,2.0,0,4.0\n2,2.0,1,\n3,0.5,0,1.5\n3,0.5,1,\n3,2.0,0,6.0\n3,2.0,1,\n";
    assert_eq!(read(project.path("s/tables/scores.csv")), expected);
    assert!(!project.path("results/a").exists(), "cells leave nothing in the script's own results");

    let other = project.saerun(&["sweep", "a.rhai", "--grid", "seed=1..3", "--dir", "s"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(stderr(&other).contains("`s` holds another sweep"), "{}", stderr(&other));
    fs::write(project.path("a.rhai"), format!("{SCRIPT}\n")).expect("a script");
    let changed = project.saerun(&["sweep", "resume", "s"]);
    assert!(stderr(&changed).contains("`a.rhai` has changed since the sweep began"), "{}", stderr(&changed));
}

#[test]
fn grid_files_are_checked_against_the_script() {
    let project = Project::new();
    let refused = |text: &str| {
        fs::write(project.path("g.yaml"), text).expect("a grid");
        let output = project.saerun(&["sweep", "g.yaml"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(!project.path("sweeps").exists(), "nothing starts");
        stderr(&output)
    };
    let report = refused("script: a.rhai\naxes:\n  sead: 0..3\n");
    assert!(report.contains("unknown parameter `sead`") && report.contains("g.yaml:3:3"), "{report}");
    assert!(report.contains("did you mean `seed`?"), "{report}");
    let report = refused("script: a.rhai\naxes:\n  seed: [0, x]\n");
    assert!(report.contains("expected: int, like its default") && report.contains("g.yaml:3:13"), "{report}");
    let report = refused("script: a.rhai\naxes:\n  seed: [0\n");
    assert!(report.contains("the grid cannot be read") && report.contains("g.yaml:3:12"), "{report}");
    let report = refused("script: b.rhai\naxes:\n  seed: 0..3\n");
    assert!(report.contains("there is no script `b.rhai`"), "{report}");
}

#[test]
fn packs_and_other_engines_need_an_index_only() {
    let project = Project::new();
    fs::write(project.path("g.yaml"), "script: a.rhai\naxes: { name: [\"1\", b, c] }\n").expect("a grid");
    assert!(project.saerun(&["sweep", "g.yaml", "--engine", "none"]).status.success());
    let output = project.saerun(&["cell", "sweeps/g", "--index", "1", "--pack", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "c\n");
    assert_eq!(stdout(&project.saerun(&["cell", "sweeps/g", "--index", "0", "--pack", "2"])), "1\nb\n");
    assert_eq!(stdout(&project.saerun(&["cell", "sweeps/g", "--index", "1"])), "", "it is done");
    assert_eq!(project.saerun(&["cell", "sweeps/g", "--index", "3"]).status.code(), Some(2));
    assert_eq!(project.saerun(&["cell", "nowhere", "--index", "0"]).status.code(), Some(2));
}

#[test]
#[cfg(unix)]
fn a_stopped_cell_ends_with_75_and_has_no_result() {
    let project = Project::new();
    let script = "params(#{ seed: 0 });\nprint(1);\nlet i = 0;\nwhile true { i += 1; }";
    fs::write(project.path("a.rhai"), script).expect("a script");
    assert!(project.saerun(&["sweep", "a.rhai", "--grid", "seed=0..2", "--engine", "none"]).status.success());
    let mut cell = project.command(&["cell", "sweeps/a", "--index", "0"]);
    let mut child = cell.stdout(std::process::Stdio::piped()).spawn().expect("saerun");
    let mut line = [0];
    std::io::Read::read_exact(child.stdout.as_mut().expect("stdout"), &mut line).expect("the script has begun");
    // Twice: Slurm does so too.
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill").success());
    }
    assert_eq!(child.wait().expect("the end").code(), Some(75));
    assert!(!project.path("sweeps/a/cells/000000.json").exists());
}

/// Fakes of a Slurm that takes jobs and runs none.
#[cfg(unix)]
fn cluster(project: &Project, squeue: &str, sacct: &str) {
    project.fake("sbatch", "echo \"$@\" >> sbatch.txt\necho \"$(wc -l < sbatch.txt | tr -d ' ');cluster\"");
    project.fake("scontrol", "echo 'MaxArraySize            = 4'");
    project.fake("squeue", squeue);
    project.fake("sacct", sacct);
}

#[test]
#[cfg(unix)]
fn slurm_gets_arrays_and_its_answers_are_trusted_little() {
    let project = Project::new();
    let refused = "echo 'Slurm accounting storage is disabled' >&2; exit 1";
    cluster(&project, "exit 0", refused);
    let slurm = ["--engine", "slurm", "--max-running", "3", "--slurm-arg=--partition=gpu", "--dir", "s"];
    let output = project.with_fakes(&[&["sweep", "a.rhai", "--grid", "seed=0..6"], &slurm[..]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let calls = read(project.path("sbatch.txt"));
    let words = |line: &str, all: &[&str]| all.iter().all(|word| line.split(' ').any(|given| given == *word));
    let lines: Vec<&str> = calls.lines().collect();
    assert_eq!(lines.len(), 2, "{calls}");
    assert!(words(lines[0], &["--array=0-3%3", "--partition=gpu", "--parsable", "0"]), "{calls}");
    assert!(words(lines[1], &["--array=0-1%3", "4"]), "{calls}");

    let status = |squeue: &str, sacct: &str| {
        cluster(&project, squeue, sacct);
        let output = project.with_fakes(&["sweep", "status", "s"]);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).lines().last().unwrap_or_default().to_string()
    };
    assert_eq!(status("exit 0", refused), "6 unknown", "an empty answer says nothing");
    assert_eq!(
        status("echo '<html>'; echo '1_|'; echo '1_0|???'; echo '|||'", refused),
        "6 unknown",
        "nor does garbage"
    );
    assert_eq!(status("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", refused), "6 ended");
    let some = "case \"$*\" in *' 1 '*) printf '1_0|RUNNING\\n1_1|PENDING\\n1_2|NODE_FAIL\\n';; esac";
    assert_eq!(status(some, refused), "1 running, 1 pending, 1 ended, 3 unknown");
    let sacct = "case \"$*\" in *' 1 '*) printf '1_0|RUNNING\\n1_3|CANCELLED by 0\\n';; *) echo '2_0|TIMEOUT';; esac";
    assert_eq!(status(some, sacct), "1 running, 1 pending, 3 ended, 1 unknown");

    // What a node did meanwhile counts, whatever the scheduler says.
    assert!(project.saerun(&["cell", "s", "--index", "0"]).status.success());
    assert_eq!(status(some, sacct), "1 done, 1 pending, 3 ended, 1 unknown");
    let output = project.with_fakes(&["sweep", "resume", "s"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let calls = read(project.path("sbatch.txt"));
    let last: Vec<&str> = calls.lines().skip(2).collect();
    assert!(last.len() == 2 && words(last[0], &["--array=2-3%3"]) && words(last[1], &["--array=0-1%3"]), "{calls}");
}

#[test]
#[cfg(unix)]
fn slurm_that_refuses_or_talks_nonsense_is_an_error() {
    let project = Project::new();
    let submit = |sbatch: &str| {
        cluster(&project, "exit 0", "exit 0");
        project.fake("sbatch", sbatch);
        let output = project.with_fakes(&["sweep", "a.rhai", "--grid", "seed=0..6", "--engine", "slurm"]);
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    assert!(submit("echo 'Welcome to the cluster!'").contains("sbatch gave no job number"));
    assert!(submit("exit 0").contains("sbatch gave no job number"));
    let report = submit("echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1");
    assert!(report.contains("invalid partition specified: gpu"), "{report}");
    fs::remove_file(project.path("bin/sbatch")).expect("it was there");
    let none = project.command(&["sweep", "resume", "sweeps/a"]).env("PATH", project.path("bin")).output();
    assert!(stderr(&none.expect("saerun")).contains("cannot run `sbatch`"));
}

#[test]
fn cells_on_other_cpus_are_marked() {
    let project = Project::new();
    assert!(project.saerun(&["sweep", "a.rhai", "--grid", "seed=0..3", "--dir", "s"]).status.success());
    let path = project.path("s/cells/000001.json");
    let mut outcome: BTreeMap<String, Value> = serde_json::from_str(&read(path.clone())).expect("a result");
    outcome.insert("cpu".to_string(), json!("another"));
    fs::write(path, serde_json::to_string(&outcome).expect("JSON")).expect("written");
    for verb in ["status", "collect"] {
        let output = project.saerun(&["sweep", verb, "s"]);
        assert!(output.status.success());
        assert!(stderr(&output).contains("cells 1 ran on `another`"), "{}", stderr(&output));
    }
}

#[test]
fn an_axis_may_have_the_name_of_a_column() {
    let project = Project::new();
    let script = "let p = params(#{ seed: 0 });\ntable::from_rows([\"seed\"], [[p.seed + 1]]).save(\"t\");";
    fs::write(project.path("a.rhai"), script).expect("a script");
    assert!(project.saerun(&["sweep", "a.rhai", "--grid", "seed=0..2", "--dir", "s"]).status.success());
    assert!(project.saerun(&["sweep", "collect", "s"]).status.success());
    assert_eq!(read(project.path("s/tables/t.csv")), "axis_seed,seed\n0,1\n1,2\n");
}
