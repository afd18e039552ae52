//! `saerun check`: what it says and what it leaves alone. `tests/check/*.rhai` must give exactly the findings that they note,
//! `// finding: LINE [code]`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::{Engine, Scope};
use saerun::error::{Code, Error};
use saerun::host::check::keys::{Accepts, accepted};
use saerun::host::check::{Finding, check};
use saerun::host::diagnostic::Report;
use saerun::host::docs::{self, Kind};
use saerun::host::session::Setup;
use saerun::host::{Session, engine};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A session and an engine in a project.
fn project(root: &Path) -> (Arc<Session>, Engine) {
    let setup = Setup { root: root.to_path_buf(), stem: "check".into(), quiet: true, ..Setup::default() };
    let session = Arc::new(Session::new(setup).expect("a plain name"));
    let engine = engine(&session);
    (session, engine)
}

fn findings(root: &Path, name: &str, text: &str) -> Vec<Finding> {
    let (session, engine) = project(root);
    check(&engine, &session, name, text)
}

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of scripts").flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "rhai")).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

/// `LINE [code]`, with the file in front when it is not the script itself.
fn words(finding: &Finding, name: &str) -> String {
    let (file, line, _) = finding.spot();
    let place = if file == name { line.to_string() } else { format!("{file}:{line}") };
    format!("{place} [{}]", finding.code)
}

#[test]
fn scripts_get_the_findings_they_note() {
    let folder = root().join("tests/check");
    for path in scripts(&folder) {
        let text = fs::read_to_string(&path).expect("a script");
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let noted: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("// finding: ")).collect();
        let found: Vec<String> = findings(&folder, &name, &text).iter().map(|finding| words(finding, &name)).collect();
        assert_eq!(found, noted, "{name}");
    }
}

#[test]
fn the_scripts_of_the_project_are_clean() {
    for path in scripts(&root().join("scripts")) {
        let text = fs::read_to_string(&path).expect("a script");
        let name = path.strip_prefix(root()).expect("inside").to_string_lossy().into_owned();
        let found: Vec<String> = findings(root(), &name, &text).iter().map(|f| words(f, &name)).collect();
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

#[test]
fn the_examples_of_the_documentation_are_clean() {
    let (_, engine) = project(root());
    let mut found = Vec::new();
    // These two show what the lints are about.
    let shows = |name: &str| ["==", "params"].contains(&name);
    for function in docs::functions(&engine, false).into_iter().filter(|f| !shows(&f.name)) {
        for code in function.examples() {
            let all = findings(root(), "example", &code);
            found
                .extend(all.iter().map(|f| format!("{}: {} {}", function.path(), words(f, "example"), f.report.error)));
        }
    }
    found.dedup();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_function_with_options_is_known_with_its_keys() {
    let (_, engine) = project(root());
    let documented: BTreeSet<(String, String, usize)> = docs::functions(&engine, false)
        .into_iter()
        .filter(|f| f.kind != Kind::Operator && f.params.last().is_some_and(|(name, _)| name == "options"))
        .map(|f| (f.namespace, f.name, f.params.len()))
        .collect();
    let known: BTreeSet<(String, String, usize)> =
        accepted().iter().map(|a| (a.namespace.to_string(), a.name.to_string(), a.params)).collect();
    assert_eq!(known, documented);
}

/// What the calls below need.
const SETTING: &str = r#"
    let w = tensor::eye(3);
    let x = activations::from_tensor(tensor::randn([64, 4], 0));
    let s = sae::train(x, #{ d_sae: 8, batch_size: 32 });
    let c = corpus::load("kjv");
    let m = model::load("sotu-1l");
    let n = geometry::nearest_neighbors(w);
    let t = table::from_columns([["a", [1, 2]]]);
    let f = plot::bar(#{ series: [#{ values: [1.0] }] });
"#;

/// A call of a function with the option map `o`.
pub(crate) fn call(of: &Accepts) -> String {
    match (of.namespace, of.name) {
        ("reg", "select") | ("sae", "train") => format!("{}::{}(x, o)", of.namespace, of.name),
        ("compare" | "geometry" | "reg" | "plot" | "synthetic", name) if name != "save" => {
            let before = match (of.namespace, name) {
                ("compare", _) => "w, w, ",
                (_, "random_null_log10_cdf") => "0.1, 8, 4, ",
                (_, "random_null" | "packing") => "8, 4, ",
                ("geometry", "hubs") => "n, ",
                ("geometry", "histogram" | "peaks") => "[0.1, 0.2], ",
                ("geometry", _) => "w, ",
                _ => "",
            };
            format!("{}::{name}({before}o)", of.namespace)
        }
        ("model", "load") => "model::load(\"sotu-1l\", o)".to_string(),
        ("model", "train") => "model::train(c, o)".to_string(),
        ("tensor", "load") => "tensor::load(\"w.npy\", o)".to_string(),
        ("corpus", "load") => "corpus::load(\"kjv\", o)".to_string(),
        ("corpus", _) => "c.split(o)".to_string(),
        ("model", "generate") => "m.generate(\"a\", o)".to_string(),
        ("model", "save") => "m.save(\"m\", o)".to_string(),
        ("model", name) => format!("m.{name}(c, o)"),
        ("plot", _) => "f.save(\"f\", o)".to_string(),
        ("sae", "evaluate") => "s.evaluate(m, c, o)".to_string(),
        ("sae", "load") => "sae::load(\"s\", o)".to_string(),
        ("sae", _) => "s.save(\"s\", o)".to_string(),
        ("table", "join") => "t.join(t, \"a\", o)".to_string(),
        ("table", name) => format!("t.{name}(\"a\", o)"),
        ("tensor", _) => "w.save(\"w.npy\", o)".to_string(),
        _ => panic!("say how {}::{} is called", of.namespace, of.name),
    }
}

/// What a binding says of the option map `map`.
fn refusal(engine: &Engine, session: &Session, scope: &mut Scope, map: &str, call: &str) -> Error {
    let script = format!("let o = {map}; {call}");
    let raised = engine.run_with_scope(scope, &script).expect_err(&script);
    let error = Report::new(&raised, "script", engine, session).error;
    assert_eq!(error.code, Code::UnknownOption, "{script}: {error}");
    error
}

fn known(error: &Error) -> BTreeSet<String> {
    let (_, list) = error.facts.iter().find(|(name, _)| name == "known").expect("the known keys");
    list.split(", ").map(String::from).collect()
}

/// The lint says what the bindings would say: each is called with every key that it is said to take and one wrong key, which
/// sorts last. It must refuse that one, and list the same keys.
#[test]
fn known_keys_are_what_the_bindings_accept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (session, engine) = project(folder.path());
    let mut scope = Scope::new();
    engine.run_with_scope(&mut scope, SETTING).expect("the setting");
    for of in accepted() {
        let call = call(&of);
        let given: Vec<String> = of.keys.iter().map(|key| format!("{key}: ()")).collect();
        let map = format!("#{{ {}, \"~\": 1 }}", given.join(", "));
        let error = refusal(&engine, &session, &mut scope, &map, &call);
        assert!(error.message.ends_with("has no option `~`"), "{call}: {error}");
        let keys: BTreeSet<String> = of.keys.iter().map(ToString::to_string).collect();
        assert_eq!(known(&error), keys, "{call}");
        for (key, keys) in &of.inside {
            let inner = format!("#{{ \"~\": 1{} }}", if *key == "sae" { ", d_sae: 8" } else { "" });
            let value = if *key == "sae" { inner } else { format!("[{inner}]") };
            let rest = if *key == "sae" { ", candidates: [reg::mean_cos()], coefficients: [1.0]" } else { "" };
            let error = refusal(&engine, &session, &mut scope, &format!("#{{ {key}: {value}{rest} }}"), &call);
            let keys: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
            assert_eq!(known(&error), keys, "{key} of {call}");
        }
    }
}

#[test]
fn a_run_refuses_all_that_would_fail_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (session, _) = project(folder.path());
    let text = "tensor::randm([3]);\nlet t = tensor::load(\"a\", #{ nam: 1 });\nif 0.1 + 0.2 == 0.3 { }\nrows();";
    let report = saerun::host::run::run(&session, "script.rhai", text).expect_err("three errors");
    let lines: Vec<usize> = std::iter::once(&*report)
        .chain(&report.also)
        .map(|report| report.place.as_ref().map_or(0, |place| place.line))
        .collect();
    assert_eq!(lines, [1, 2, 4]);
}

#[test]
fn a_finding_as_json_has_every_field() {
    let found = findings(root(), "a.rhai", "let t = #{ a: 1 };\nprint(t.a);\nimport \"../b\" as b;");
    let json: Vec<String> = found.iter().map(|finding| finding.to_json().to_string()).collect();
    let wanted = "{\"code\":\"outside-project\",\"column\":8,\"facts\":{\"expected\":\"a path relative to the project, without `..`\",\"given\":\"../b\"},\
        \"file\":\"a.rhai\",\"help\":null,\"line\":3,\"severity\":\"error\",\"what\":\"`../b` leads outside the project\"}";
    assert_eq!(json, [wanted]);
}

/// `saerun` in a folder.
fn saerun(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_saerun"));
    command.current_dir(folder).env("NO_COLOR", "1").args(arguments).output().expect("saerun")
}

#[test]
fn a_new_project_is_clean_and_runs_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(saerun(folder.path(), &["new", "mine"]).status.success());
    let project = folder.path().join("mine");
    let check = saerun(&project, &["check", "scripts", "--deny-warnings"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let run = saerun(&project, &["scripts/mine.rhai", "--quiet"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for file in ["scores.csv", "nn_cosine.svg", "run.yaml"] {
        assert!(project.join("results/mine").join(file).is_file(), "{file}");
    }
    assert!(fs::read_to_string(project.join(".gitignore")).expect("a list").contains(".saerun"));
    assert_eq!(saerun(folder.path(), &["new", "mine"]).status.code(), Some(2), "never overwritten");
    // A cache that somebody changed is said to be so.
    assert!(saerun(&project, &["doctor"]).status.success());
    let mut trained = fs::read_dir(project.join(".saerun/cache/sae.train")).expect("a training");
    let entry = trained.next().expect("an entry").expect("an entry").path();
    fs::write(entry.join("cfg.json"), "{}").expect("a change");
    let doctor = saerun(&project, &["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.code() == Some(1) && said.contains("1 DAMAGED"), "{said}");
}

#[test]
fn manual_pages_and_completions_know_every_verb() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let help = saerun(root, &["--help"]).stdout;
    let help = String::from_utf8_lossy(&help).into_owned();
    let verbs = help.split("Commands:").nth(1).expect("verbs").split("\n\n").next().expect("a list");
    let verbs: Vec<&str> = verbs
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() > 8 && verbs.contains(&"check"), "{verbs:?}");
    assert!(saerun(root, &["man", "--dir", "man"]).status.success());
    for verb in &verbs {
        assert!(root.join("man").join(format!("saerun-{verb}.1")).is_file(), "{verb}");
    }
    assert!(String::from_utf8_lossy(&saerun(root, &["man"]).stdout).contains(".TH saerun 1"));
    for shell in ["bash", "zsh", "fish"] {
        let text = saerun(root, &["completions", shell]).stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(verbs.iter().all(|verb| text.contains(verb)), "{shell}");
    }
}
