//! Results are replaced as one, by one run, under names of its own.

use std::fs;
use std::time::{Duration, Instant};

use super::{Project, SAVES, all_are, signal, staged, start, until, values};
use crate::faults::fails;

// L1
#[test]
fn a_folder_of_results_has_one_script() {
    let project = Project::new();
    project.write("scripts/a/x.rhai", "run::save_text(\"t.txt\", \"a\");");
    project.write("scripts/b/x.rhai", "run::save_text(\"t.txt\", \"b\");");
    assert_eq!(project.saerun(&["scripts/a/x.rhai"]).code, 0);
    let ran = project.saerun(&["scripts/b/x.rhai"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("`results/x` holds the results of `scripts/a/x.rhai`"), "{}", ran.stderr);
    assert_eq!(project.read("results/x/t.txt"), "a");
    // The owner goes on, and `verify` holds.
    assert_eq!(project.saerun(&["scripts/a/x.rhai"]).code, 0);
    assert_eq!(project.saerun(&["verify", "-q"]).code, 0);
    // Another folder for the second one, which then is its own.
    assert_eq!(project.saerun(&["scripts/b/x.rhai", "--out", "elsewhere"]).code, 0);
    let ran = project.saerun(&["scripts/a/x.rhai", "--out", "elsewhere"]);
    assert!(ran.code == 1 && ran.stderr.contains("scripts/b/x.rhai"), "{}", ran.stderr);
    assert_eq!(project.read("elsewhere/t.txt"), "b");
    // A script that was moved keeps its results.
    fs::rename(project.path().join("scripts/a"), project.path().join("scripts/moved")).expect("moved");
    assert_eq!(project.saerun(&["scripts/moved/x.rhai"]).code, 0);
}

// L2
#[test]
fn runs_at_one_time_do_not_mix_their_files() {
    let project = Project::with(&SAVES.replace("while p.slow", "while p.slow && i < 3_000_000"));
    let first = start(&project, &["case.rhai", "--set", "v=1", "--set", "slow=true"]);
    until("the first run has saved a file", || staged(&project, "a.csv"));
    let second = project.saerun(&["case.rhai", "--set", "v=2"]);
    let first = first.wait_with_output().expect("an end");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert!(second.stderr.contains("results/case is taken by another run (case.rhai, process"), "{}", second.stderr);
    all_are(&project, "results/case", "2");
    assert_eq!(project.saerun(&["verify", "-q"]).code, 0);
}

// L2
#[test]
fn a_run_that_waits_for_another_can_be_stopped() {
    let project = Project::with(SAVES);
    let mut first = start(&project, &["case.rhai", "--set", "slow=true"]);
    until("the first run has saved a file", || staged(&project, "a.csv"));
    let second = project.saerun(&["case.rhai", "--timeout", "0.5"]);
    signal(&first, "-KILL");
    first.wait().expect("an end");
    assert_eq!(second.code, 124, "{}", second.stderr);
    assert!(second.took < Duration::from_secs(6), "{:?}", second.took);
}

// L3
#[test]
fn a_run_that_fails_leaves_the_last_good_results() {
    let project = Project::with(SAVES);
    assert_eq!(project.saerun(&["case.rhai"]).code, 0);
    project.write("results/case/README.md", "mine");
    project.write("results/case/more/mine.txt", "mine too");
    let ran = project.saerun(&["case.rhai", "--set", "v=2", "--set", "fails=true"]);
    assert_eq!(ran.code, 1);
    all_are(&project, "results/case", "1");
    let (_, rest) = ran.stderr.split_once("what it had saved is in `").expect("where its files are");
    let place = rest.split('`').next().unwrap_or_default();
    assert!(place.starts_with(".saerun/runs/000002-"), "{place}");
    assert_eq!(project.read(&format!("{place}/a.csv")), "v\n2\n");
    assert!(project.saerun(&["show"]).stdout.contains(place));
    // The next good run replaces all, and what is not saerun's stays.
    assert_eq!(project.saerun(&["case.rhai", "--set", "v=3"]).code, 0);
    all_are(&project, "results/case", "3");
    assert_eq!(
        (project.read("results/case/README.md"), project.read("results/case/more/mine.txt")),
        ("mine".into(), "mine too".into())
    );
    let names = project.path().join("results").read_dir().expect("results").count();
    assert_eq!(names, 1, "nothing is left beside the folder");
}

// L3
#[test]
fn a_run_that_is_stopped_or_killed_leaves_the_last_good_results() {
    let project = Project::with(SAVES);
    assert_eq!(project.saerun(&["case.rhai"]).code, 0);
    for (sent, code) in [("-INT", Some(130)), ("-TERM", Some(143)), ("-KILL", None)] {
        let child = start(&project, &["case.rhai", "--set", "v=2", "--set", "slow=true"]);
        until("a file is saved", || staged(&project, "a.csv"));
        let begin = Instant::now();
        signal(&child, sent);
        let output = child.wait_with_output().expect("an end");
        assert!(begin.elapsed() < Duration::from_secs(6), "{sent}: {:?}", begin.elapsed());
        assert_eq!(output.status.code(), code, "{sent}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(code.is_none() || said.contains("what it had saved is in `.saerun/runs/"), "{sent}: {said}");
        all_are(&project, "results/case", "1");
    }
    // Of a run that was killed the next one tells.
    let ran = project.saerun(&["case.rhai", "--set", "v=4"]);
    assert!(ran.stderr.contains("an earlier run was killed; what it had saved is in .saerun/runs/"), "{}", ran.stderr);
    all_are(&project, "results/case", "4");
}

// L3
#[test]
fn killed_at_any_moment_the_results_are_of_one_run() {
    let project = Project::with(SAVES);
    let begin = Instant::now();
    assert_eq!(project.saerun(&["case.rhai", "--set", "v=0"]).code, 0);
    let length = begin.elapsed();
    let mut seen = std::collections::BTreeSet::new();
    for i in 1..40_u32 {
        let mut child = start(&project, &["case.rhai", "-q", "--set", &format!("v={i}")]);
        // Most of them when it is nearly over, which is when results are put in their place.
        std::thread::sleep(length * (400 + 17 * (i % 40)) / 1000);
        signal(&child, "-KILL");
        child.wait().expect("an end");
        let found = values(&project, "results/case");
        assert!(found.iter().all(|value| *value == found[0]), "run {i}: {found:?}");
        assert_eq!(project.saerun(&["verify", "--no-run", "-q"]).code, 0, "run {i}");
        seen.insert(found[0].clone());
    }
    assert!(seen.len() > 1, "no run came to its end: {seen:?}");
}

// L3: where folders cannot be exchanged, a swap that was cut off is finished by whoever looks next.
#[test]
fn a_swap_that_was_cut_off_is_finished() {
    let project = Project::with(SAVES);
    assert_eq!(project.saerun(&["case.rhai", "--set", "v=2", "--out", "new"]).code, 0);
    assert_eq!(project.saerun(&["case.rhai", "--set", "v=1"]).code, 0);
    let (home, waiting) = (project.path().join("results/case"), project.path().join("results/case/.saerun-swap"));
    fs::rename(project.path().join("new"), &waiting).expect("moved");
    fs::remove_file(waiting.join("report.html")).expect("removed");
    // Not all of it is there yet: the old results count.
    assert_eq!(project.saerun(&["verify", "--no-run"]).code, 0);
    all_are(&project, "results/case", "1");
    // All of it is there, and a part has its place already.
    fs::write(waiting.join(".complete.json"), "{\"stale\":[\"report.html\"]}").expect("written");
    fs::rename(waiting.join("a.csv"), home.join("a.csv")).expect("moved");
    assert_eq!(project.saerun(&["verify", "--no-run"]).code, 0);
    all_are(&project, "results/case", "2");
    assert!(!waiting.exists() && !home.join("report.html").exists());
}

// L4
#[test]
fn a_name_is_saved_once_a_run() {
    let table = "table::from_rows([\"x\"], [[1]])";
    for script in [
        "run::save_text(\"a.txt\", 1); run::save_text(\"a.txt\", 2);".to_string(),
        "run::save_text(\"a.txt\", 1); run::save_text(\"A.TXT\", 2);".to_string(),
        "run::save_text(\"run.yaml\", 1);".to_string(),
        "run::save_text(\"report.html\", 1);".to_string(),
        "run::note(\"x\"); run::save_text(\"notes.md\", 1);".to_string(),
        format!("{table}.save(\"notes\"); run::note(\"x\");"),
        format!("{table}.save(\"x\"); {table}.save(\"x\");"),
        format!("run::save_text(\"x.md\", 1); {table}.save(\"x\");"),
        "run::save_text(\"w.npy\", 1); tensor::eye(2).save(\"results/case/w.npy\");".to_string(),
    ] {
        let said = fails(&script, "failed");
        assert!(said.contains("is taken"), "{script}: {said}");
    }
    // A table and a figure of one name have files of their own; what failed can be caught, and nothing of it is left.
    let project = Project::with(&format!(
        "{table}.save(\"x\"); plot::heatmap(#{{ values: tensor::eye(2) }}).save(\"x\");
         run::save_text(\"y.md\", 1); try {{ {table}.save(\"y\"); }} catch (e) {{ print(e.code); }}"
    ));
    assert_eq!(project.prints(), "failed\n");
    assert!(project.path().join("results/case/x.svg").exists() && !project.path().join("results/case/y.csv").exists());
    assert_eq!(project.saerun(&["verify", "-q"]).code, 0);
}

// L3
#[test]
fn a_script_reads_what_it_has_saved_in_the_same_run() {
    let script = r#"
        let p = params(#{ v: 1 });
        table::from_rows(["v"], [[p.v]]).save("a");
        print(table::read("results/case/a.csv").column("v"));
        tensor::from_values([p.v]).save("results/case/w.npy");
        print(tensor::load("results/case/w.npy").to_array());
        run::save_text("b.txt", `text ${p.v}`);
        print(corpus::load("results/case/b.txt").head(6));
    "#;
    let project = Project::with(script);
    assert_eq!(project.prints(), "[1]\n[1.0]\ntext 1\n");
    let ran = project.saerun(&["case.rhai", "--set", "v=2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "[2]\n[2.0]\ntext 2\n"), "{}", ran.stderr);
}

// A1
#[test]
fn a_saved_folder_is_old_or_new_whenever_it_is_killed() {
    let script = r#"
        let p = params(#{ loops: 1 });
        let x = activations::from_tensor(tensor::randn([64, 4], 0));
        let a = sae::train(x, #{ d_sae: 8, batch_size: 32 });
        let b = sae::train(x, #{ d_sae: 8, batch_size: 32, seed: 1 });
        for i in 0..p.loops { a.save("sae"); b.save("sae"); }
        a.save("a");
        b.save("b");
    "#;
    let project = Project::with(script);
    project.prints();
    project.write(
        "look.rhai",
        "let s = sae::load(\"sae\").decoder; print(s == sae::load(\"a\").decoder || s == sae::load(\"b\").decoder);",
    );
    for i in 0..12 {
        let mut child = start(&project, &["case.rhai", "-q", "--set", "loops=100000"]);
        std::thread::sleep(Duration::from_millis(40 + 7 * i));
        signal(&child, "-KILL");
        child.wait().expect("an end");
        let ran = project.saerun(&["look.rhai"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "true\n"), "kill {i}: {}", ran.stderr);
    }
}

// L3: cells of sweeps and runs of other verbs keep their results as before.
#[test]
fn a_cell_that_fails_leaves_no_half_results() {
    let project = Project::with(SAVES);
    let ran = project.saerun(&["sweep", "case.rhai", "--grid", "v=1,2", "--grid", "fails=false,true", "--dir", "s"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let cells = |i: usize| project.path().join(format!("s/cells/00000{i}"));
    let there: Vec<bool> = (0..4).map(|i| cells(i).join("run.yaml").exists()).collect();
    assert_eq!(there.iter().filter(|there| **there).count(), 2, "{there:?}");
    let failed = (0..4).find(|i| !there[*i]).expect("a cell that failed");
    assert!(!cells(failed).join("a.csv").exists());
    assert!(project.path().join(format!("s/log/00000{failed}-files/a.csv")).exists());
}
