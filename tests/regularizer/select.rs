//! Tests of choosing among regularizers: hand-made tables, and what the script function trains and remembers.

use std::fs;
use std::path::Path;
use std::process::Command;

use saerun::regularizer::select::{Reconstruction, Run, Scores, Setting, choose, pareto, settings};

const BY: Reconstruction = Reconstruction::ExplainedVariance;

/// A setting by reconstruction and mean max cosine.
fn setting(name: &str, coefficient: f64, explained_variance: f64, mean_max_cos: f64) -> Setting {
    let (explained_variance, mean_max_cos) = (Some(explained_variance), Some(mean_max_cos));
    let scores = Scores { l0: Some(17.0), explained_variance, mean_max_cos, ..Scores::default() };
    Setting { regularizer: name.into(), coefficient, seeds: 1, scores, l0_matched: true }
}

fn run(seed: u64, score: Option<f64>, cos: f64, l0_matched: bool) -> Run {
    let scores = Scores { ce_loss_score: score, mean_max_cos: Some(cos), ..Scores::default() };
    Run { regularizer: "hinge".into(), coefficient: 2.0, seed, scores, l0_matched }
}

#[test]
fn seeds_are_averaged_and_what_one_lacks_the_mean_lacks() {
    let none = Run { regularizer: "none".into(), coefficient: 0.0, ..run(0, Some(0.9), 0.4, true) };
    let runs =
        [none.clone(), run(0, Some(0.8), 0.1, true), run(1, Some(0.9), 0.3, true), Run { seed: 1, ..none.clone() }];
    let all = settings(&runs);
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].regularizer.as_str(), all[0].seeds, all[1].seeds), ("none", 2, 2));
    assert_eq!(all[0].scores, none.scores);
    let near = |x: Option<f64>, y: f64| assert!((x.unwrap() - y).abs() < 1e-12, "{x:?} {y}");
    near(all[1].scores.ce_loss_score, 0.85);
    near(all[1].scores.mean_max_cos, 0.2);
    assert_eq!(all[1].scores.l0, None);
    for missing in [None, Some(f64::NAN), Some(f64::INFINITY)] {
        let all = settings(&[run(0, Some(0.8), 0.1, true), run(1, missing, 0.3, true), run(2, Some(0.8), 0.2, true)]);
        assert_eq!((all[0].scores.ce_loss_score, all[0].seeds), (None, 3));
        near(all[0].scores.mean_max_cos, 0.2);
    }
    assert!(!settings(&[run(0, None, 0.1, true), run(1, None, 0.1, false)])[0].l0_matched);
    assert_eq!(settings(&[run(7, Some(f64::NAN), 0.1, true)])[0].scores.ce_loss_score, None);
    assert_eq!(settings(&[]), []);
}

#[test]
fn the_front_is_what_no_other_beats() {
    let mut all = vec![
        setting("none", 0.0, 0.9, 0.4),
        setting("a", 1.0, 0.85, 0.2),
        setting("b", 1.0, 0.84, 0.3),  // beaten by a in both
        setting("c", 1.0, 0.85, 0.25), // beaten by a in one, equal in the other
        setting("d", 1.0, 0.85, 0.2),  // equal to a
        setting("e", 1.0, 0.5, 0.1),
    ];
    assert_eq!(pareto(&all, BY), [0, 1, 4, 5]);
    // Whoever missed the L0 neither stands on the front nor beats anyone; nor does who lacks a number.
    all[1].l0_matched = false;
    all[4].scores.mean_max_cos = None;
    assert_eq!(pareto(&all, BY), [0, 3, 5]);
    all[3].l0_matched = false;
    assert_eq!(pareto(&all, BY), [0, 2, 5]);
    // A score that none has: no front. One setting: itself.
    assert!(pareto(&all, Reconstruction::CeLossScore).is_empty());
    assert_eq!(pareto(&all[..1], BY), [0]);
    assert!(pareto(&[], BY).is_empty());
}

#[test]
fn the_choice_is_the_lowest_cosine_within_the_loss() {
    let mut all = vec![
        setting("none", 0.0, 0.90, 0.40),
        setting("mild", 1.0, 0.895, 0.35),
        setting("good", 10.0, 0.885, 0.20),
        setting("good", 100.0, 0.60, 0.05),
    ];
    let choice = choose(&all, 0, BY, 0.02);
    assert_eq!(choice.setting, Some(2));
    for part in ["good x 10 is chosen", "0.2000", "0.4000", "0.8850", "0.9000", "0.0150", "0.02", "2 of 3 settings"] {
        assert!(choice.reason.contains(part), "{part}: {}", choice.reason);
    }
    assert_eq!(choose(&all, 0, BY, 0.3).setting, Some(3), "a larger tolerance");
    assert_eq!(choose(&all, 0, BY, 0.0).setting, Some(0), "none at all");
    // Off the L0, it is not chosen, and the sentence says so.
    all[2].l0_matched = false;
    let choice = choose(&all, 0, BY, 0.02);
    assert_eq!(choice.setting, Some(1));
    assert!(choice.reason.contains("1 setting missed the target L0"), "{}", choice.reason);
    // An equal cosine: the better reconstruction, then the first.
    let tied =
        [all[0].clone(), setting("a", 1.0, 0.89, 0.2), setting("b", 1.0, 0.895, 0.2), setting("c", 1.0, 0.895, 0.2)];
    assert_eq!(choose(&tied, 0, BY, 0.02).setting, Some(2));
    // A better reconstruction than the baseline's is no loss.
    let gain = [all[0].clone(), setting("a", 1.0, 0.95, 0.39)];
    assert_eq!(choose(&gain, 0, BY, 0.0).setting, Some(1));
}

#[test]
fn without_a_fit_the_baseline_stays_and_without_a_baseline_nothing() {
    let all = [setting("none", 0.0, 0.9, 0.4), setting("harsh", 1.0, 0.7, 0.1), setting("useless", 1.0, 0.9, 0.4)];
    let choice = choose(&all, 0, BY, 0.02);
    assert_eq!(choice.setting, Some(0));
    assert!(choice.reason.contains("the mildest, harsh x 1, reaches 0.1000 for a loss of 0.2000"), "{}", choice.reason);
    let choice = choose(&[all[0].clone(), all[2].clone()], 0, BY, 0.02);
    assert!(choice.setting == Some(0) && choice.reason.contains("no setting lowers it at all"), "{}", choice.reason);
    let choice = choose(&all[..1], 0, BY, 0.02);
    assert!(choice.setting == Some(0) && choice.reason.contains("none of the 0 settings"), "{}", choice.reason);
    let mut missed = all.to_vec();
    missed[0].l0_matched = false;
    let choice = choose(&missed, 0, BY, 0.02);
    assert!(choice.setting.is_none() && choice.reason.contains("it has 17.00"), "{}", choice.reason);
    assert_eq!(choose(&all, 0, Reconstruction::CeLossScore, 0.02).setting, None);
    assert_eq!(choose(&[], 0, BY, 0.02).setting, None);
}

/// What a script in `project` says on stderr.
fn script(project: &Path, text: &str) -> String {
    fs::write(project.join("job.rhai"), text).expect("the script");
    let run = Command::new(env!("CARGO_BIN_EXE_saerun")).current_dir(project).arg("job.rhai").output().expect("starts");
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}");
    said
}

#[test]
fn a_further_candidate_trains_that_one_alone() {
    let project = tempfile::tempdir().expect("a project");
    let select = |candidates: &str, seeds: &str, rest: &str| {
        format!(
            "let x = activations::from_tensor(tensor::randn([640, 8], 0));
            let r = reg::select(x, #{{ candidates: [{candidates}], coefficients: [0.5], seeds: {seeds}, target_l0: 4,
                sae: #{{ d_sae: 24, batch_size: 64 }}, l0_tolerance: 10.0 }});
            {rest}"
        )
    };
    let trained = |said: &str| said.matches("ran    sae::train").count();
    let columns = r#"assert_eq(r.table.columns, ["regularizer", "coefficient", "seed", "l0", "explained_variance", "fvu", "mean_max_cos",
        "max_max_cos", "dead_fraction", "l0_matched"]);
        assert_eq(r.table.column("regularizer"), ["none", "three_term"]);"#;
    assert_eq!(trained(&script(project.path(), &select("reg::three_term()", "[0]", columns))), 2);
    let both = "reg::three_term(), #{ regularizer: reg::hinge(#{ tau: 0.3 }), coefficients: [3.0] }";
    let said =
        script(project.path(), &select(both, "[0]", r#"assert_eq(r.table.column("coefficient"), [0.0, 0.5, 3.0]);"#));
    assert_eq!(trained(&said), 1, "{said}");
    assert!(said.contains("select 3/3: hinge (tau 0.3) x 3, seed 0"), "{said}");
    // A further seed trains each once more; averages have one row a setting.
    let averages = r#"assert_eq(r.averages.column("seeds"), [2, 2, 2]); assert_eq(r.table.height, 6);"#;
    assert_eq!(trained(&script(project.path(), &select(both, "[0, 1]", averages))), 3);
    // The plain call is the same training, and what was chosen can be trained with.
    let plain = "let x = activations::from_tensor(tensor::randn([640, 8], 0));
        let s = sae::train(x, #{ d_sae: 24, batch_size: 64, target_l0: 4, seed: 1, regularizer: 0.5 * reg::three_term() });";
    assert_eq!(trained(&script(project.path(), plain)), 0);
    let chosen = "assert(r.reason.contains(\"chosen\"));
        sae::train(x, #{ d_sae: 24, batch_size: 64, target_l0: 4, regularizer: r.choice });";
    assert_eq!(trained(&script(project.path(), &select(both, "[0]", chosen))), 0);
}

#[test]
fn what_cannot_be_compared_is_refused_before_the_first_training() {
    let project = tempfile::tempdir().expect("a project");
    let refused = |options: &str, code: &str| {
        let text = format!(
            "let x = activations::from_tensor(tensor::randn([64, 4], 0));
            try {{ reg::select(x, #{{ {options} }}); throw \"took it\"; }} catch (e) {{ assert_eq(e.code, \"{code}\"); }}"
        );
        let said = script(project.path(), &text);
        assert!(!said.contains("sae::train"), "{said}");
    };
    let good = "candidates: [reg::mean_cos()], coefficients: [1.0], target_l0: 2, sae: #{ d_sae: 8 }";
    refused("candidates: [reg::mean_cos()], coefficients: [1.0], sae: #{ d_sae: 8 }", "out-of-range");
    refused("candidates: [reg::mean_cos()], coefficients: [0.0], target_l0: 2, sae: #{ d_sae: 8 }", "out-of-range");
    refused("candidates: [reg::mean_cos()], target_l0: 2, sae: #{ d_sae: 8 }", "out-of-range");
    refused("coefficients: [1.0], target_l0: 2, sae: #{ d_sae: 8 }", "out-of-range");
    refused("candidates: [1], coefficients: [1.0], target_l0: 2, sae: #{ d_sae: 8 }", "wrong-type");
    refused(
        "candidates: [reg::mean_cos(), reg::mean_cos()], coefficients: [1.0], target_l0: 2, sae: #{ d_sae: 8 }",
        "out-of-range",
    );
    refused(
        "candidates: [reg::mean_cos()], coefficients: [1.0], target_l0: 2, sae: #{ d_sae: 8, seed: 3 }",
        "unknown-option",
    );
    refused(&format!("{good}, seeds: []"), "out-of-range");
    refused(&format!("{good}, tolerance: -1.0"), "out-of-range");
    refused(&format!("{good}, corpus: corpus::load(\"sotu\")"), "out-of-range");
    refused(&format!("{good}, tolerence: 0.1"), "unknown-option");
}

#[test]
fn the_selection_script_runs_in_small() {
    let project = tempfile::tempdir().expect("a project");
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/regularizer_selection.rhai");
    fs::copy(text, project.path().join("job.rhai")).expect("the script");
    let run = Command::new(env!("CARGO_BIN_EXE_saerun"))
        .current_dir(project.path())
        .args(["job.rhai", "--set", "size=smoke"])
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}");
    let left = |name: &str| fs::read_to_string(project.path().join("results/job").join(name)).expect(name);
    for name in ["runs.csv", "settings.csv", "front.svg"] {
        for regularizer in ["none", "three_term", "mean_max_cos", "ortsae", "hinge", "log_sum_exp"] {
            assert!(left(name).contains(regularizer), "{name} lacks {regularizer}");
        }
    }
    assert!(left("pareto.csv").lines().count() > 1);
    let notes = left("notes.md");
    for words in ["chosen", "The thread's penalty", "a trial of the script"] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}
