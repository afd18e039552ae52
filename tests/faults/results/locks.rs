//! Locks that are damaged, edited or nested without end.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use super::{Project, SAVES};

/// A project with good results in `results/case` and `results/other`.
fn two() -> Project {
    let project = Project::with(SAVES);
    project.write("other.rhai", SAVES);
    for script in ["case.rhai", "other.rhai"] {
        assert_eq!(project.saerun(&[script]).code, 0);
    }
    project
}

/// Replaces a part of a lock.
fn edit(project: &Project, from: &str, to: &str) {
    let path = project.path().join("results/case/run.yaml");
    let text = fs::read_to_string(&path).expect("a lock");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("a lock");
}

// L6
#[test]
fn a_damaged_lock_does_not_stop_the_others() {
    let merged = "<<<<<<< HEAD\nsaerun: 0.1.0\n=======\nsaerun: 0.2.0\n>>>>>>> branch\n";
    let damages: [&[u8]; 5] = [merged.as_bytes(), b"", b"\xff\xfe\x00", b"- a list", b"saerun: 0.1.0\nsaerun: 0.2.0\n"];
    for damage in damages {
        let project = two();
        project.write("results/case/run.yaml", damage);
        let ran = project.saerun(&["verify", "--no-run"]);
        assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("results/case: its lock is damaged"), "{}", ran.stdout);
        assert!(ran.stdout.contains("results/other: files, lock and script belong together"), "{}", ran.stdout);
        let ran = project.saerun(&["list"]);
        assert!(ran.code == 0 && ran.stdout.contains("results/other  matches its lock"), "{}", ran.stdout);
        let ran = project.saerun(&["clean", "--keep-locked"]);
        assert!(ran.code == 0 && ran.stderr.contains("results/case"), "{}", ran.stderr);
        let ran = project.saerun(&["diff", "1"]);
        assert!(ran.code > 0 && ran.stderr.contains("[damaged-file]"), "{}", ran.stderr);
        assert_eq!(project.saerun(&["diff", "1", "2"]).code, 0);
        // Running the script again is what mends it.
        assert_eq!(project.saerun(&["case.rhai"]).code, 0);
        assert_eq!(project.saerun(&["verify", "--no-run"]).code, 0);
    }
}

// L6
#[test]
fn cleaning_keeps_what_a_damaged_lock_names() {
    let script = "let x = activations::from_tensor(tensor::randn([64, 4], 0)); let s = sae::train(x, #{ d_sae: 8, batch_size: 32 });
        run::save_text(\"a.txt\", s.decoder.to_array());";
    let project = Project::with(script);
    assert_eq!(project.saerun(&["case.rhai"]).code, 0);
    edit(&project, "saerun: ", "<<<<<<< HEAD\nsaerun: ");
    assert_eq!(project.saerun(&["clean", "--keep-locked"]).code, 0);
    assert!(project.saerun(&["case.rhai"]).stderr.contains("cached sae::train"));
}

// A7
#[test]
fn nesting_without_end_is_refused_at_once() {
    let mut indented = String::from("saerun:\n");
    (1..400).for_each(|i| writeln!(indented, "{}a:", " ".repeat(i)).expect("text"));
    let mut aliases = String::from("a0: &a0 [x, x]\n");
    (1..60).for_each(|i| writeln!(aliases, "a{i}: &a{i} [*a{0}, *a{0}, *a{0}]", i - 1).expect("text"));
    let deep = [
        format!("saerun: {}1{}\n", "[".repeat(200_000), "]".repeat(200_000)),
        format!("saerun: {}\n", "[".repeat(200_000)),
        format!("saerun: {}\n", "{a: ".repeat(200_000)),
        format!("saerun:\n  {}1\n", "- ".repeat(200_000)),
        format!("{}1\n", "? ".repeat(200_000)),
        indented,
        aliases,
    ];
    let project = two();
    for text in &deep {
        project.write("results/case/run.yaml", text);
        project.write("p.yaml", text);
        project.write("grid.yaml", text);
        for arguments in [
            &["verify", "--no-run"][..],
            &["list"],
            &["clean", "--keep-locked", "--dry-run"],
            &["diff", "1", "results/case"],
            &["case.rhai", "--params", "p.yaml"],
            &["sweep", "grid.yaml"],
        ] {
            let ran = project.saerun(arguments);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(ran.took < Duration::from_secs(6), "{arguments:?} of {}.. took {:?}", &text[..20], ran.took);
            assert!(said.contains("cannot be read") || said.contains("no valid YAML"), "{arguments:?}: {said}");
        }
    }
}

// L7 (the readers of YAML), and a mark of the byte order
#[test]
fn yaml_of_a_person_is_read_whole_or_refused() {
    let project = Project::with("print(params(#{ a: 1, b: #{ c: 1 } }).a)");
    project.write("p.yaml", "\u{feff}a: 3\n");
    assert_eq!(project.saerun(&["case.rhai", "--params", "p.yaml"]).stdout, "3\n");
    for twice in ["a: 1\nb: {c: 2}\na: 2\n", "b: {c: 1, c: 2}\n", "b:\n  c: 1\n  c: 1\n"] {
        project.write("p.yaml", twice);
        let ran = project.saerun(&["case.rhai", "--params", "p.yaml"]);
        assert!(
            ran.code > 0 && ran.stderr.contains("[damaged-file]") && ran.stderr.contains("duplicate"),
            "{}",
            ran.stderr
        );
    }
}

// A8
#[test]
fn a_lock_that_was_edited_is_told() {
    for (from, to) in [
        ("  v: 1", "  v: 7"),
        ("    bytes: 4", "    bytes: 5"),
        ("  slow: false", "  slow: true"),
        ("saerun: 0", "saerun: 9"),
        ("inputs: {}", "inputs:\n  no.csv: abc"),
        ("digest: ", "digest: 0"),
    ] {
        let project = two();
        edit(&project, from, to);
        let ran = project.saerun(&["verify", "--no-run"]);
        assert_eq!(ran.code, 3, "{from}: {}", ran.stdout);
        assert!(ran.stdout.contains("run.yaml is not what the run wrote"), "{from}: {}", ran.stdout);
        assert!(ran.stdout.contains("results/other: files, lock and script belong together"), "{}", ran.stdout);
        assert!(project.saerun(&["list"]).stdout.contains("results/case   edited: run.yaml"), "{from}");
    }
}

// A8
#[test]
fn an_old_lock_is_read_and_what_can_be_is_checked() {
    let script = "let x = activations::from_tensor(tensor::randn([64, 4], 0)); let s = sae::train(x, #{ d_sae: 8, batch_size: 32 });
        run::save_text(\"a.txt\", s.decoder.to_array());";
    let project = Project::with(script);
    assert_eq!(project.saerun(&["case.rhai"]).code, 0);
    let lock = project.read("results/case/run.yaml");
    let old: String =
        lock.lines().filter(|line| !line.starts_with("digest: ")).map(|line| format!("{line}\n")).collect();
    project.write("results/case/run.yaml", &old);
    assert_eq!(project.saerun(&["verify", "--no-run"]).code, 0);
    project.write("results/case/run.yaml", old.replace("d_sae: 8", "d_sae: 9"));
    let ran = project.saerun(&["verify", "--no-run"]);
    assert!(ran.code == 3 && ran.stdout.contains("the step sae::train in run.yaml"), "{}", ran.stdout);
    let bytes = old.split("bytes: ").nth(1).and_then(|rest| rest.lines().next()).expect("a size").to_string();
    project.write("results/case/run.yaml", old.replace(&format!("bytes: {bytes}"), "bytes: 1"));
    let ran = project.saerun(&["verify", "--no-run"]);
    assert!(ran.code == 3 && ran.stdout.contains("the size of a.txt"), "{}", ran.stdout);
}

// L9
#[test]
fn line_ends_that_git_changed_are_called_so() {
    let project = Project::new();
    assert_eq!(project.saerun(&["new", "thesis"]).code, 0);
    assert!(project.read("thesis/.gitattributes").contains("results/** -text"));
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/.gitattributes");
    assert!(fs::read_to_string(here).expect("a file").contains("results/** -text"));
    let project = two();
    let text = project.read("results/case/b.csv");
    project.write("results/case/b.csv", text.replace('\n', "\r\n"));
    let ran = project.saerun(&["verify", "--no-run"]);
    assert!(
        ran.code == 3 && ran.stdout.contains("b.csv has other line ends") && ran.stdout.contains(".gitattributes"),
        "{}",
        ran.stdout
    );
}
