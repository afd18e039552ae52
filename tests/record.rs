//! What a run leaves behind and what is made of it: locks, records, `verify`, `why`, `list`, `show`, `diff`, `clean`.

use std::fs;
use std::path::Path;
use std::process::Command;

use saerun::error::Code;
use saerun::host::machine;
use saerun::report::compare::{Difference, beyond, differences};
use saerun::report::yaml;
use saerun::store::{self, Step, aligned, changes};
use serde_json::{Value, json};

/// Two trainings, the second with a penalty of the script's own; a table and prose.
const SCRIPT: &str = r#"// verify: quick
let p = params(#{ seed: 0 });
let data = synthetic::superposition(#{ features: 16, d: 8, tokens: 1200, seed: p.seed });
let plain = sae::train(data.activations, #{ d_sae: 16, target_l0: 4, batch_size: 300 });
let strength = 0.5;
let mine = reg::custom("mine", |w| spread(w) * strength);
fn spread(w) { w.matmul(w.t()).sqr().sum() }
let own = sae::train(data.activations, #{ d_sae: 16, target_l0: 4, batch_size: 300, regularizer: mine });
print(own);
run::note("Why");
table::from_rows(["x", "n"], [[0.5, 1], [1.5, 2]]).save("t", #{ tolerance: #{ x: 0.1 } });
"#;

struct Project(tempfile::TempDir);

impl Project {
    fn new(script: &str) -> Project {
        let project = Project(tempfile::tempdir().expect("a project"));
        project.script(script);
        project
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn script(&self, text: &str) {
        fs::write(self.path().join("job.rhai"), text).expect("the script");
    }

    /// The exit code, stdout and stderr of `saerun` with these words.
    fn saerun(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
        let output = command.current_dir(self.path()).args(words).env("NO_COLOR", "1").output().expect("saerun");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Runs the script; `ran` or `cached` for each step.
    fn run(&self, words: &[&str]) -> Vec<String> {
        let (code, _, said) = self.saerun(&[&["job.rhai"], words].concat());
        assert_eq!(code, 0, "{said}");
        let words = said.lines().filter_map(|line| line.split_whitespace().next());
        words.filter(|word| ["ran", "cached"].contains(word)).map(str::to_string).collect()
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join("results/job").join(file);
        let text = fs::read_to_string(&path).expect(file);
        assert!(text.contains(from), "{file}: {text}");
        fs::write(path, text.replace(from, to)).expect(file);
    }

    /// Makes the committed table another one, with a lock to match, as old ones were: without a digest of its own. `kernel` is
    /// what the lock says of the processor.
    fn commit(&self, from: &str, to: &str, kernel: Option<&str>) {
        let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let path = self.path().join("results/job/t.csv");
        let old = fs::read(&path).expect("the table");
        self.edit("t.csv", from, to);
        let new = fs::read(&path).expect("the table");
        self.edit("run.yaml", &digest(&old), &digest(&new));
        self.edit("run.yaml", &format!("bytes: {}", old.len()), &format!("bytes: {}", new.len()));
        let path = self.path().join("results/job/run.yaml");
        let lock = fs::read_to_string(&path).expect("the lock");
        let lines = lock.lines().filter(|line| !line.starts_with("digest: ")).map(|line| format!("{line}\n"));
        fs::write(path, lines.collect::<String>()).expect("the lock");
        if let Some(kernel) = kernel {
            self.edit("run.yaml", &format!("kernel: {}", machine::machine().kernel), &format!("kernel: {kernel}"));
        }
    }
}

#[test]
fn verify_finds_equal_bytes_at_any_thread_count_and_leaves_nothing() {
    let project = Project::new(SCRIPT);
    project.run(&["--set", "seed=3"]);
    let (code, said, _) = project.saerun(&["verify", "--threads", "1,2", "-q"]);
    assert_eq!((code, said.matches("the same bytes at").count()), (0, 2), "{said}");
    let (code, said, progress) = project.saerun(&["verify", "--quick", "--format", "json"]);
    let line: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!((code, &line["verdict"], &line["results"]), (0, &json!("same"), &json!("results/job")), "{said}");
    assert!(progress.contains("verify results/job: job.rhai, took"), "{progress}");
    let mut left: Vec<_> = fs::read_dir(project.path().join(".saerun")).expect("the folder").collect();
    left.retain(|item| item.as_ref().is_ok_and(|item| item.file_name().to_string_lossy().starts_with(".tmp")));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn verify_names_the_first_cell_that_differs() {
    let project = Project::new(SCRIPT);
    project.run(&[]);
    project.commit("1.5,2", "1.5625,2", None);
    let (code, said, _) = project.saerun(&["verify", "job.rhai", "-q"]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(said, "results/job: differs\n  t.csv row 2, column `x`: 1.5625 -> 1.5 (0.06250 apart)\n");
    let (code, said, _) = project.saerun(&["verify", "results/job", "-q", "--format", "json"]);
    let line: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!((code, &line["difference"]["row"], &line["file"]), (3, &json!(2), &json!("t.csv")));
}

#[test]
fn verify_on_another_processor_keeps_to_the_tolerance() {
    let project = Project::new(SCRIPT);
    project.run(&[]);
    project.commit("1.5,2", "1.5625,2", Some("another"));
    let (code, said, _) = project.saerun(&["verify", "-q"]);
    assert!(code == 0 && said.contains("within the tolerance"), "{said}");
    project.commit("1.5625,2", "1.75,2", None);
    let (code, said, _) = project.saerun(&["verify", "-q"]);
    assert!(code == 3 && said.contains("1.75 -> 1.5 (0.2500 apart)"), "{said}");
}

#[test]
fn verify_says_at_once_what_does_not_match_its_lock() {
    let project = Project::new(SCRIPT);
    project.run(&[]);
    project.edit("t.csv", "1.5", "1.6");
    fs::write(project.path().join("results/job/old.csv"), "x\n").expect("a file");
    let (code, said, _) = project.saerun(&["verify", "--no-run"]);
    assert_eq!(code, 3);
    assert!(said.contains("t.csv does not match the lock") && said.contains("old.csv is not in the lock"), "{said}");
    fs::remove_file(project.path().join("results/job/old.csv")).expect("removed");
    project.run(&[]);
    project.script(&format!("// A comment is not what a script does.\n\n{SCRIPT}"));
    assert_eq!(project.saerun(&["verify", "--no-run"]).0, 0);
    project.script(&format!("{SCRIPT}print(1);\n"));
    let (code, said, _) = project.saerun(&["verify", "-q"]);
    assert!(code == 3 && said.contains("job.rhai has changed since"), "{said}");
    let (code, _, said) = project.saerun(&["verify", "--set", "seed=1"]);
    assert!(code == 2 && said.contains("a lock fixes all of them"), "{said}");
    let (code, _, said) = project.saerun(&["verify", "nothing"]);
    assert!(code == 2 && said.contains("results/job"), "{said}");
}

#[test]
fn what_means_the_same_invalidates_nothing_and_a_constant_what_depends_on_it() {
    let project = Project::new(SCRIPT);
    assert_eq!(project.run(&[]), ["ran", "ran"]);
    let same = format!("// a comment\n\n\n{SCRIPT}").replace("own", "mine_too").replace("strength", "force");
    let same = same.replace("|w| spread(w)", "|v|   spread(v) /* here */ ").replace("plain", "p0");
    let same = same.replace("fn spread(w) { w.matmul(w.t())", "fn spread(m) {\n  m.matmul(m.t())");
    let changed = [
        (same, ["cached", "cached"], "comments, layout, names of variables"),
        (SCRIPT.replace("print(own)", "print(1 + 1)"), ["cached", "cached"], "code that no step depends on"),
        (SCRIPT.replace("= 0.5;", "= 0.25;"), ["cached", "ran"], "a captured constant"),
        (SCRIPT.replace(".sqr().sum()", ".abs().sum()"), ["cached", "ran"], "a function that a closure calls"),
        (SCRIPT.replacen("batch_size: 300", "batch_size: 200", 1), ["ran", "cached"], "an option of one step"),
        (SCRIPT.replace("tokens: 1200", "tokens: 1500"), ["ran", "ran"], "an input of both"),
    ];
    for (script, expected, what) in changed {
        project.script(&script);
        assert_eq!(project.run(&[]), expected, "{what}");
    }
    let project = Project::new(
        &SCRIPT
            .replace("|w| spread(w) * strength", "|w| (w - t).sqr().sum()")
            .replace("let strength = 0.5;", "let t = tensor::randn([16, 8], p.seed);"),
    );
    assert_eq!(project.run(&[]), ["ran", "ran"]);
    let other = fs::read_to_string(project.path().join("job.rhai")).expect("the script").replace("8], p.seed", "8], 1");
    project.script(&other);
    assert_eq!(project.run(&[]), ["cached", "ran"], "the content of a captured tensor");
    // A closure that another call gives back is not the one that is written out beside it.
    let nested = SCRIPT.replace("|w| spread(w) * strength", "first([|w| w.sqr().sum()], |x| x)");
    let nested = nested.replace("fn spread(w) { w.matmul(w.t()).sqr().sum() }", "fn first(all, f) { all[0] }");
    let nested = nested
        .replace("let strength = 0.5;", "let kept = [|w| w.sqr().sum()];")
        .replace("[|w| w.sqr().sum()], |x", "kept, |x");
    let project = Project::new(&nested);
    assert_eq!(project.run(&[]), ["ran", "ran"]);
    project.script(&nested.replace("[|w| w.sqr()", "[|w| w.abs()"));
    assert_eq!(project.run(&[]), ["cached", "ran"], "a closure from elsewhere");
}

#[test]
fn why_names_the_part_of_the_key_that_changed() {
    let project = Project::new(SCRIPT);
    project.run(&[]);
    let (code, said, _) = project.saerun(&["why", "job.rhai"]);
    assert_eq!((code, said.matches("there is no earlier run").count()), (0, 2), "{said}");
    project.run(&[]);
    let (_, said, _) = project.saerun(&["why", "job.rhai:4"]);
    assert!(said.contains("job.rhai:4 cached") && said.contains("nothing changed: it is cached"), "{said}");
    project.script(&SCRIPT.replacen("batch_size: 300", "batch_size: 200", 1));
    project.run(&[]);
    let (_, said, _) = project.saerun(&["why", "sae::train"]);
    assert_eq!(said.matches("option batch_size: 300 -> 200").count(), 1, "{said}");
    assert_eq!(said.matches("nothing changed: it is cached").count(), 1, "{said}");
    project.script(&SCRIPT.replace("tokens: 1200", "tokens: 1500"));
    project.run(&[]);
    let (_, said, _) = project.saerun(&["why", "job.rhai:8"]);
    assert!(said.contains("  input activations: ") && said.contains("before it changed sae::train"), "{said}");
    project.saerun(&["clean"]);
    project.run(&[]);
    let (_, said, _) = project.saerun(&["why", "job.rhai:8"]);
    assert!(said.contains("its result was gone: cleaned"), "{said}");
    assert_eq!(project.saerun(&["why", "sae::trian"]).0, 2);
}

#[test]
fn runs_are_listed_shown_and_compared() {
    let project = Project::new(SCRIPT);
    project.run(&[]);
    project.script(&SCRIPT.replace("1.5, 2", "1.75, 3"));
    project.run(&["--set", "seed=1"]);
    project.script("print(1);\nlet x = tensor::load(\"no.npy\");");
    assert_eq!(project.saerun(&["job.rhai"]).0, 1);
    let (_, said, _) = project.saerun(&["list"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[1].starts_with("000003-") && lines[1].contains("0 cached, 0 ran"), "{said}");
    assert!(lines[3].starts_with("000001-") && lines[3].contains("0 cached, 2 ran"), "{said}");
    assert!(said.contains("results/job  older than job.rhai"), "{said}");
    let (_, said, _) = project.saerun(&["show"]);
    assert!(
        said.contains("exit code 1") && said.contains("error[missing-file]") && said.contains("at job.rhai:2"),
        "{said}"
    );
    let (_, said, _) = project.saerun(&["show", "2"]);
    assert!(
        said.contains("  seed: 1\n") && said.contains("  Sae relu [16, 8]\n") && said.contains("  t.csv: "),
        "{said}"
    );
    let (_, said, _) = project.saerun(&["diff", "1", "results/job"]);
    assert!(said.contains("  seed: 0 -> 1\n") && said.contains("sae::train: input activations: "), "{said}");
    assert!(
        said.contains("  row 2, column `x`: 1.5 -> 1.75 (0.2500 apart)\n  row 2, column `n`: 2 -> 3 (1 apart)"),
        "{said}"
    );
    let (_, said, _) = project.saerun(&["diff", "1", "2", "--format", "json"]);
    let value: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!((&value["params"][0]["to"], &value["tables"]["t.csv"][0]["distance"]), (&json!("1"), &json!(0.25)));
    assert!(project.saerun(&["diff", "2"]).1.contains("nothing differs"));
    assert_eq!(project.saerun(&["show", "9"]).0, 2);
}

#[test]
fn clean_spares_what_locks_name_and_what_is_young() {
    let project = Project::new(SCRIPT);
    project.run(&[]);
    let entries = || fs::read_dir(project.path().join(".saerun/cache/sae.train")).map_or(0, Iterator::count);
    project.saerun(&["job.rhai", "--set", "seed=1", "--out", "elsewhere"]);
    assert_eq!(entries(), 4);
    for words in [&["--dry-run"][..], &["--older-than", "1h"]] {
        assert_eq!(project.saerun(&[&["clean"], words].concat()).0, 0);
        assert_eq!(entries(), 4, "{words:?}");
    }
    project.saerun(&["clean", "--keep-locked"]);
    assert_eq!(entries(), 2);
    assert_eq!(project.run(&[]), ["cached", "cached"]);
    assert_eq!(store::runs(project.path()).len(), 3);
    project.saerun(&["clean", "--runs"]);
    assert_eq!((store::runs(project.path()).len(), entries()), (0, 2));
    assert_eq!(project.saerun(&["clean", "--older-than", "soon"]).0, 2);
}

#[test]
fn records_are_complete_bounded_and_not_committed() {
    let project =
        Project::new("let t = table::read(\"in.csv\");\nprint(corpus::load(\"austen\").bytes > 0);\nt.save(\"t\");");
    fs::write(project.path().join("in.csv"), "x\n1\n").expect("an input");
    let git = |words: &[&str]| Command::new("git").current_dir(project.path()).args(words).output();
    let named = ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first"];
    let has_git = git(&["init", "-q"]).is_ok_and(|out| out.status.success())
        && git(&["add", "."]).is_ok_and(|out| out.status.success())
        && git(&named).is_ok_and(|out| out.status.success());
    fs::write(project.path().join("in.csv"), "x\n2\n").expect("an input");
    project.run(&[]);
    let run = store::find_run(project.path(), "last").expect("a record");
    let lock = store::run_lock(project.path(), &run.id).expect("its lock");
    assert_eq!(lock.inputs["in.csv"], blake3::hash(b"x\n2\n").to_hex().to_string());
    assert!(lock.inputs.contains_key("corpus austen") && !lock.outputs.contains_key("run.yaml"), "{lock:?}");
    let text = fs::read_to_string(project.path().join("results/job/run.yaml")).expect("the lock");
    assert_eq!(yaml::lock_from_yaml(&text).expect("a lock").inputs, lock.inputs);
    assert!(run.seconds > 0.0 && run.begin.ends_with('Z') && run.machine.threads > 0, "{run:?}");
    let dir = store::runs_dir(project.path()).join(&run.id);
    assert!(store::run_events(project.path(), &run.id).contains("\"event\":\"print\""));
    assert_eq!(store::run_tables(project.path(), &run.id)["t.csv"], b"x\n2\n");
    if has_git {
        let state = run.git.expect("a commit");
        let patch = fs::read(dir.join("patch.diff")).expect("the patch");
        assert!(state.dirty && String::from_utf8_lossy(&patch).contains("+2"));
        assert_eq!(state.patch, Some(blake3::hash(&patch).to_hex().to_string()));
        let status = git(&["status", "--porcelain"]).expect("git").stdout;
        assert!(!String::from_utf8_lossy(&status).contains(".saerun"), "the folder ignores itself");
    }
    let mut record = store::find_run(project.path(), "1").expect("the record");
    for _ in 0..store::KEPT {
        store::keep_run(project.path(), &mut record, &lock, b"", None, &project.path().join("results/job"))
            .expect("kept");
    }
    let all = store::runs(project.path());
    assert_eq!((all.len(), &all[0].id[..6], &all[all.len() - 1].id[..6]), (store::KEPT, "000201", "000002"));
}

#[test]
fn steps_are_compared_part_by_part() {
    let step = |key: &str, lr: f64, inputs: &[(&str, &str)]| Step {
        function: "f".into(),
        key: key.into(),
        version: Some(1),
        options: json!({ "lr": lr, "reg": [{ "k": 1 }] }),
        inputs: inputs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
    };
    let (a, b) = (step("1", 0.1, &[("x", "aa")]), step("2", 0.2, &[("x", "bb")]));
    let text: Vec<String> = changes(&a, &b).iter().map(ToString::to_string).collect();
    assert_eq!(text, ["option lr: 0.1 -> 0.2", "input x: aa -> bb"]);
    assert!(changes(&a, &a).is_empty());
    let mut newer = step("3", 0.1, &[("x", "aa")]);
    newer.version = Some(2);
    assert_eq!(changes(&a, &newer)[0].to_string(), "version of the function: 1 -> 2");
    let old = Step { version: None, inputs: Default::default(), key: "4".into(), ..a.clone() };
    assert_eq!(changes(&old, &b)[0].part, "option lr");
    assert_eq!(changes(&old, &a)[0].from, "not on record");
    let before = [a.clone(), b.clone()];
    // One step in front does not shift the others.
    let keys: Vec<Option<&str>> =
        aligned(&before, &[newer, b]).into_iter().map(|step| step.map(|s| s.key.as_str())).collect();
    assert_eq!(keys, [Some("1"), Some("2")]);
}

#[test]
fn tables_and_texts_are_compared_place_by_place() {
    let cell = |old: &str, new: &str| {
        differences("a.csv", format!("x,\"y,z\"\n1,{old}\n").as_bytes(), format!("x,\"y,z\"\n1,{new}\n").as_bytes())
    };
    assert_eq!(cell("1.5", "1.5"), []);
    let expected =
        Difference::Cell { row: 1, column: "y,z".into(), old: "1.5".into(), new: "2.0".into(), distance: Some(0.5) };
    assert_eq!(cell("1.5", "2.0"), [expected]);
    assert_eq!(differences("a.csv", b"x\n1\n", b"x\n1\n2\n"), [Difference::Rows { old: 1, new: 2 }]);
    assert!(matches!(differences("a.csv", b"x\n1\n", b"y\n1\n")[..], [Difference::Columns { .. }]));
    assert!(matches!(differences("a.md", b"a\nb\n", b"a\nc\n")[..], [Difference::Line { line: 2, .. }]));
    assert_eq!(differences("a.bin", &[255, 1], &[255, 2]), [Difference::Byte { at: 1 }]);
    let tolerance = [("x".to_string(), 0.1)].into();
    let close = |name: &str, old: &str, new: &str| beyond(name, old.as_bytes(), new.as_bytes(), &tolerance).is_none();
    assert!(close("a.csv", "x\n17.8\n", "x\n17.85\n") && !close("a.csv", "x\n17.8\n", "x\n17.95\n"));
    assert!(close("a.csv", "y\n1000.0\n", "y\n1000.9\n") && !close("a.csv", "y\n1000.0\n", "y\n1002.0\n"));
    assert!(!close("a.csv", "y\n1000\n", "y\n1001\n") && close("a.csv", "x\nNaN\n", "x\nNaN\n"));
    assert!(!close("a.csv", "y\nNaN\n", "y\n1.0\n") && !close("a.csv", "y\nab\n", "y\nac\n"));
    assert!(close("a.md", "about 0.12 of 3", "about 0.13 of 3") && !close("a.md", "of 3", "of 4"));
    assert!(
        close("a.svg", "<path d=\"M1,2\"/>", "<path d=\"M2,2\"/>") && !close("a.svg", "<a x=\"1\"/>", "<b x=\"1\"/>")
    );
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(machine::utc(seconds), text);
    }
    assert_eq!(store::find_run(Path::new("nowhere"), "last").expect_err("none").code, Code::UnknownName);
}

#[test]
fn events_are_all_that_stdout_holds_and_a_log_gets_no_bars() {
    let project = Project::new(SCRIPT);
    let (code, events, said) = project.saerun(&["job.rhai", "--format", "json"]);
    assert_eq!(code, 0);
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let expected = [
        "begin", "params", "step", "warning", "step", "warning", "print", "note", "saved", "saved", "saved", "saved",
        "end",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        (&events[0]["schema"], &events[2]["at"]["line"], &events[12]["exit_code"]),
        (&json!(1), &json!(4), &json!(0))
    );
    // No control characters: neither bars nor colors.
    assert!(
        said.contains("Sae relu") && said.contains("ran    sae::train") && !said.contains(['\r', '\u{1b}']),
        "{said}"
    );
    let (_, printed, said) = project.saerun(&["job.rhai", "--quiet"]);
    assert_eq!(printed, "Sae relu [16, 8]\n");
    assert!(said.lines().all(|line| line.starts_with("warning: L0 is ")), "{said}");
}
