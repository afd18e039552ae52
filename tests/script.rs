//! Scripts as tests: `tests/script/*.rhai` must end well; each of `tests/script/error/` must fail as its note says,
//! `// error: LINE [code]` or `// error: FILE:LINE [code]`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::{Engine, Map};
use saerun::error::{Code, Result};
use saerun::host::diagnostic::Report;
use saerun::host::options::Options;
use saerun::host::session::{Override, Setup};
use saerun::host::{Session, run};

/// Runs a script text in a fresh project that holds `lib/` as well.
fn run_in_fresh_project(name: &str, text: &str, lib: &Path) -> (std::result::Result<(), Box<Report>>, PathBuf) {
    let root = tempfile::tempdir().expect("a temporary folder").keep();
    if let Ok(entries) = fs::read_dir(lib) {
        fs::create_dir(root.join("lib")).expect("lib");
        for entry in entries.flatten() {
            fs::copy(entry.path(), root.join("lib").join(entry.file_name())).expect("a library script");
        }
    }
    let setup = Setup { root: root.clone(), stem: "test".into(), quiet: true, use_cache: true, ..Setup::default() };
    let session = Arc::new(Session::new(setup).expect("a plain name"));
    (run::run(&session, name, text), root)
}

/// The scripts of a folder, sorted.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of scripts").flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "rhai")).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("script")
}

#[test]
fn good_scripts_end_well() {
    for path in scripts(&folder()) {
        let text = fs::read_to_string(&path).expect("a script");
        let (outcome, root) = run_in_fresh_project("script.rhai", &text, Path::new(""));
        let _ = fs::remove_dir_all(root);
        if let Err(report) = outcome {
            panic!("{}: {} at {:?}: {:?}", path.display(), report.error.message, report.place, report.error.facts);
        }
    }
}

#[test]
fn bad_scripts_fail_where_and_how_they_say() {
    let folder = folder().join("error");
    let mut wrong = Vec::new();
    for path in scripts(&folder) {
        let text = fs::read_to_string(&path).expect("a script");
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("// error: ")).collect();
        let (outcome, root) = run_in_fresh_project("script.rhai", &text, &folder.join("lib"));
        let wrote = root.join("results").exists();
        let _ = fs::remove_dir_all(root);
        let found: Vec<String> = match outcome {
            Ok(()) => Vec::new(),
            Err(report) => vec![match &report.place {
                Some(place) if place.file == "script.rhai" => format!("{} [{}]", place.line, report.error.code.name()),
                Some(place) => format!("{}:{} [{}]", place.file, place.line, report.error.code.name()),
                None => format!("nowhere [{}]", report.error.code.name()),
            }],
        };
        if found != expected || wrote {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}, wrote {wrote}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    lr: f64,
    tokens: usize,
    sign: saerun::ops::Sign,
    k: Option<usize>,
}

impl Default for Sample {
    fn default() -> Self {
        Sample { lr: 0.5, tokens: 10, sign: saerun::ops::Sign::Signed, k: None }
    }
}

/// The options of `#{ .. }`, read.
fn read(map: &str) -> Result<Sample> {
    let map: Map = Engine::new().eval(map).expect("a map");
    Options::new("f::g", map).read()
}

#[test]
fn options_take_ints_for_floats_and_unit_for_absent() {
    let sample = read(r#"#{ lr: 1, sign: "abs", k: () }"#).expect("good options");
    assert_eq!(sample, Sample { lr: 1.0, sign: saerun::ops::Sign::Abs, ..Sample::default() });
}

#[test]
fn bad_options_name_the_key() {
    let cases = [
        ("#{ tokns: 3 }", Code::UnknownOption, "f::g has no option `tokns`", Some("did you mean `tokens`?")),
        ("#{ tokens: \"a\" }", Code::WrongType, "option `tokens` of f::g has the wrong type", None),
        ("#{ tokens: -1 }", Code::OutOfRange, "option `tokens` of f::g is out of range", None),
        ("#{ sign: \"absolute\" }", Code::UnknownName, "option `sign` of f::g has no choice `absolute`", None),
        ("#{ lr: || 1 }", Code::WrongType, "option `lr` of f::g has the wrong type", None),
        ("#{ lr: 1.0 / 0.0 }", Code::OutOfRange, "option `lr` of f::g is not finite", None),
    ];
    for (map, code, message, help) in cases {
        let error = read(map).expect_err(map);
        assert_eq!((error.code, error.message.as_str()), (code, message), "{map}");
        if help.is_some() {
            assert_eq!(error.help.as_deref(), help, "{map}");
        }
    }
    let error = read("#{ tokens: 1e6 }").expect_err("a float for an int");
    assert_eq!(error.facts[1], ("given".to_string(), "float 1000000.0".to_string()));
    assert!(error.help.is_some_and(|help| help.contains("1_000_000")));
}

/// Runs `params(#{ .. })` with overrides.
fn resolve(overrides: &[(&str, &str)]) -> std::result::Result<serde_json::Value, Box<Report>> {
    let root = tempfile::tempdir().expect("a temporary folder");
    let overrides: BTreeMap<String, Override> =
        overrides.iter().map(|(name, text)| (name.to_string(), Override::Text(text.to_string()))).collect();
    let setup = Setup { root: root.path().into(), stem: "test".into(), overrides, quiet: true, ..Setup::default() };
    let session = Arc::new(Session::new(setup).expect("a plain name"));
    let text = r#"params(#{ seed: 0, lr: 0.5, sign: "signed", seeds: [1, 2], on: true });"#;
    run::run(&session, "script.rhai", text).map(|()| session.params())
}

#[test]
fn parameters_keep_the_type_of_their_default() {
    let given = [("seed", "5_000_000"), ("lr", "2"), ("sign", "1"), ("seeds", "[3]"), ("on", "false")];
    let wanted = serde_json::json!({ "seed": 5_000_000, "lr": 2.0, "sign": "1", "seeds": [3], "on": false });
    assert_eq!(resolve(&given).expect("good parameters"), wanted);
    for (name, text) in [("seed", "1.5"), ("seed", "abc"), ("lr", "x"), ("on", "1"), ("seeds", "3")] {
        assert_eq!(resolve(&[(name, text)]).expect_err(text).error.code, Code::WrongType, "{name}={text}");
    }
    let report = resolve(&[("sed", "1")]).expect_err("an unknown parameter");
    assert_eq!(report.error.code, Code::UnknownParameter);
    assert_eq!(report.error.help.as_deref(), Some("did you mean `seed`?"));
}
