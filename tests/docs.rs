//! The documentation is the code's: every function has it, every example runs, what is generated is current.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use saerun::cli::index;
use saerun::host::docs::{self, Function, Kind};
use saerun::host::session::Setup;
use saerun::host::{Session, engine, run};

/// A session in a fresh project folder.
fn session(root: &Path) -> Arc<Session> {
    let setup =
        Setup { root: root.to_path_buf(), stem: "example".into(), quiet: true, use_cache: true, ..Setup::default() };
    Arc::new(Session::new(setup).expect("a plain name"))
}

fn functions() -> Vec<Function> {
    docs::functions(&engine(&session(Path::new("."))), false)
}

#[test]
fn every_function_is_documented() {
    let mut gaps = Vec::new();
    for function in functions() {
        let name = function.signature();
        if function.summary().is_empty() {
            gaps.push(format!("{name}: no description"));
            continue;
        }
        if !function.doc.contains("```rhai") {
            gaps.push(format!("{name}: no example"));
        }
        let own = usize::from(matches!(function.kind, Kind::Method | Kind::Property));
        if function.kind != Kind::Operator {
            for (parameter, _) in function.params.iter().skip(own) {
                if !function.doc.contains(&format!("`{parameter}`")) && !shares(&function) {
                    gaps.push(format!("{name}: `{parameter}` is not explained"));
                }
            }
        }
    }
    assert!(gaps.is_empty(), "{} gaps in the documentation:\n{}", gaps.len(), gaps.join("\n"));
}

/// The one-line summaries that every type has need no word on their only parameter.
fn shares(function: &Function) -> bool {
    ["to_string", "to_debug"].contains(&function.name.as_str())
}

#[test]
fn every_example_runs() {
    let mut examples: Vec<(String, String)> = functions()
        .iter()
        .flat_map(|f| f.examples().into_iter().map(|code| (f.path(), code)).collect::<Vec<_>>())
        .collect();
    examples.dedup_by(|a, b| a.1 == b.1);
    assert!(examples.len() > 50, "only {} examples were found", examples.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut failures = Vec::new();
    for (i, (name, code)) in examples.iter().enumerate() {
        if !code.contains("assert") {
            failures.push(format!("{name}: the example asserts nothing"));
        }
        // One project for all: what one example trained, another may find in the cache.
        let session = session(folder.path());
        if let Err(report) = run::run(&session, &format!("example-{i}.rhai"), code) {
            failures.push(format!("{name}:\n{}", report.draw(&session)));
        }
    }
    assert!(failures.is_empty(), "{} examples fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn readme_lists_the_script_api() {
    let begin = "<!-- saerun doc --markdown -->\n";
    let end = "<!-- end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(&path).expect("README.md");
    let (head, rest) = text.split_once(begin).expect("README.md has the marker `<!-- saerun doc --markdown -->`");
    let (_, tail) = rest.split_once(end).expect("README.md has the marker `<!-- end -->`");
    let fresh = format!("{head}{begin}\n{}\n{end}{tail}", docs::markdown(&functions()));
    if fresh != text && std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("README.md");
        return;
    }
    assert!(fresh == text, "README.md is not current; `UPDATE=1 cargo test --release docs` rewrites it");
}

#[test]
fn definitions_are_the_same_each_time() {
    assert_eq!(docs::definitions(&functions()), docs::definitions(&functions()));
}

#[test]
fn the_model_card_is_the_one_that_training_left() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let left = fs::read_to_string(root.join("results/train_targets/card.md")).expect("the card that the script left");
    let card = root.join("assets/models/README.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&card, &left).expect("assets/models/README.md");
    }
    assert_eq!(fs::read_to_string(card).expect("the card"), left, "`UPDATE=1 cargo test --release docs` copies it");
}

#[test]
fn the_index_of_results_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = index::markdown(&index::entries(root));
    assert!(fresh.contains("scripts/peaks.rhai"), "{fresh}");
    let path = root.join("results/README.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("results/README.md");
    }
    let text = fs::read_to_string(&path).expect("results/README.md");
    assert!(fresh == text, "results/README.md is not current; `saerun index` rewrites it");
}
