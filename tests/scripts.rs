//! The scripts on the thread's questions, each from end to end at the size of a trial.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs `scripts/<stem>.rhai` with `size=smoke` in a project of its own; what it leaves, by file name.
fn smoke(stem: &str) -> BTreeMap<String, String> {
    let project = tempfile::tempdir().expect("a project");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    fs::create_dir_all(project.path().join("scripts/lib")).expect("a folder");
    let copy = |name: &str| fs::copy(scripts.join(name), project.path().join("scripts").join(name)).expect("a script");
    for name in ["lib/setting.rhai", "lib/statistics.rhai", "lib/words.rhai"] {
        copy(name);
    }
    let name = format!("{stem}.rhai");
    copy(&name);
    let run = Command::new(env!("CARGO_BIN_EXE_saerun"))
        .current_dir(project.path())
        .args([&format!("scripts/{name}"), "--set", "size=smoke"])
        .output()
        .expect("starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let results = fs::read_dir(project.path().join("results").join(stem)).expect("results");
    let left: BTreeMap<String, String> = results
        .map(|file| {
            let file = file.expect("a file");
            let name = file.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(file.path()).expect("text"))
        })
        .collect();
    assert!(left["notes.md"].contains("a trial of the script"), "{}", left["notes.md"]);
    assert!(left.contains_key("run.yaml"));
    left
}

/// How many rows a table has, without its head.
fn rows(table: &str) -> usize {
    table.lines().count() - 1
}

#[test]
fn the_main_job_runs_in_small() {
    let left = smoke("peaks");
    assert_eq!(rows(&left["scores.csv"]), 2, "a pair");
    assert_eq!(rows(&left["sweep.csv"]), 4, "none, and three kinds of penalty at one strength");
    assert_eq!(rows(&left["changes.csv"]), 8, "the usual and seven changes");
    for name in ["peaks.csv", "nn_cosine.csv"] {
        assert!(left[name].contains("baseline") && left[name].contains("three_term"), "{name}: {}", left[name]);
    }
    assert!(left["nn_cosine.svg"].contains("Welch bound"));
    assert!(left["notes.md"].contains("In the thread it cost 0.018"));
}

#[test]
fn the_question_of_the_shared_neighbor_runs_in_small() {
    let left = smoke("shared_neighbor");
    // Eight hypotheses on every peak of three dictionaries; ten tenths each of firing rates.
    assert_eq!(rows(&left["hypotheses.csv"]), 8 * rows(&left["peaks.csv"]));
    assert_eq!(rows(&left["firing.csv"]), 30);
    assert!(left["notes.md"].contains("no shared neighbor"));
}

#[test]
fn the_question_of_the_least_cosine_runs_in_small() {
    let left = smoke("minimum_cosine");
    assert_eq!(rows(&left["floors.csv"]), 8, "two signs, three sizes along d and N");
    assert_eq!(rows(&left["laws.csv"]), 4);
    assert!(left["floors.svg"].contains("proven bound"));
}

#[test]
fn the_question_of_training_again_runs_in_small() {
    let left = smoke("retrain_same");
    assert_eq!(rows(&left["runs.csv"]), 6, "three kinds, two seeds");
    assert_eq!(rows(&left["pairs.csv"]), 3 + 4 + 1, "pairs of seeds, of kinds, of random directions");
    assert!(left["notes.md"].contains("three_term makes dictionaries"));
}

#[test]
fn the_question_of_other_models_runs_in_small() {
    let left = smoke("retrain_models");
    // The models that saerun does not carry are left out, and the answer says so.
    assert!(left["notes.md"].contains("left out: stories260K, SmolLM2-135M"), "{}", left["notes.md"]);
    assert!(left["peaks.csv"].contains("sotu-1l") && left["aligned.csv"].contains("prose-1l-seed1"));
}
