//! The documentation is the code's: every function has it, every example runs, what is generated is current.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use saerun::cli::index;
use saerun::host::definitions::definitions;
use saerun::host::docs::{self, Function, Kind};
use saerun::host::reference::html;
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
fn the_api_page_lists_every_function() {
    let begin = "<!-- saerun doc --markdown -->\n";
    let end = "<!-- end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let text = fs::read_to_string(&path).expect("docs/api.md");
    let (head, rest) = text.split_once(begin).expect("docs/api.md has the marker `<!-- saerun doc --markdown -->`");
    let (_, tail) = rest.split_once(end).expect("docs/api.md has the marker `<!-- end -->`");
    let fresh = format!("{head}{begin}\n{}\n{end}{tail}", docs::markdown(&functions()));
    if fresh != text && std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("docs/api.md");
        return;
    }
    assert!(fresh == text, "docs/api.md is not current; `UPDATE=1 cargo test --release docs` rewrites it");
}

/// The README and the pages of `docs/`.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("docs/").flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = docs.chain([root.join("README.md")]).collect();
    paths.sort();
    paths.iter().map(|path| (path.display().to_string(), fs::read_to_string(path).expect("a page"))).collect()
}

#[test]
fn every_script_in_the_docs_is_clean() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut scripts = 0;
    for (path, text) in pages() {
        for part in text.split("```rhai\n").skip(1) {
            let code = part.split("```").next().expect("the end of the code");
            fs::write(folder.path().join("page.rhai"), code).expect("a script");
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_saerun"));
            let output = command.args(["check", "page.rhai"]).current_dir(folder.path()).output().expect("saerun");
            assert!(output.status.success(), "{path}\n{code}\n{}", String::from_utf8_lossy(&output.stderr));
            scripts += 1;
        }
    }
    assert!(scripts >= 4, "only {scripts} scripts were found in the README and docs/");
}

#[test]
fn links_of_the_docs_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in pages() {
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().expect("a target");
            let beside = Path::new(&path).parent().expect("a folder").join(target);
            if !target.is_empty() && !target.contains("://") && !beside.exists() {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_readme_is_one_screen() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    assert!(text.lines().count() <= 140, "README.md has {} lines; put details into docs/", text.lines().count());
}

#[test]
fn members_are_found_by_the_names_that_signatures_use() {
    let all = functions();
    for name in ["Sae.config", "s.config", "sae::config", "Table.save", "Sae.evaluate"] {
        assert!(docs::text(&all, name).is_some(), "{name}");
    }
    let of_sae = docs::text(&all, "Sae").expect("what an Sae has");
    assert!(of_sae.contains("Sae.config") && of_sae.contains("Sae.evaluate(") && !of_sae.contains("Table.save"));
    assert!(docs::text(&all, "Sae.nothing").is_none());
}

/// The answers at the top of the README are the first points of the notes that the scripts left.
#[test]
fn readme_opens_with_the_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (begin, end) = ("<!-- answers -->\n", "<!-- end of answers -->");
    let entries = index::entries(root);
    let mut answers = String::new();
    for stem in ["shared_neighbor", "minimum_cosine", "retrain_same", "retrain_models"] {
        if let Some(index::Entry { title, answer: Some(answer), .. }) = entries.iter().find(|entry| entry.stem == stem)
        {
            let _ = writeln!(answers, "- **{title}** {answer} ([all of it](results/{stem}))");
        }
    }
    let path = root.join("README.md");
    let text = fs::read_to_string(&path).expect("README.md");
    let (head, rest) = text.split_once(begin).expect("README.md has the marker `<!-- answers -->`");
    let (_, tail) = rest.split_once(end).expect("README.md has the marker `<!-- end of answers -->`");
    let fresh = format!("{head}{begin}\n{answers}\n{end}{tail}");
    if fresh != text && std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("README.md");
        return;
    }
    assert!(fresh == text, "README.md is not current; `UPDATE=1 cargo test --release docs` rewrites it");
}

/// Every change of the script API shows in review.
#[test]
fn definitions_are_the_committed_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/saerun.d.rhai");
    let fresh = definitions(&functions());
    assert_eq!(fresh, definitions(&functions()), "the same each time");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("tests/api");
        fs::write(&path, &fresh).expect("tests/api/saerun.d.rhai");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(fresh == golden, "the script API has changed; `UPDATE=1 cargo test --release docs` records it");
}

#[test]
fn definitions_follow_the_grammar_of_editors() {
    let text = definitions(&functions());
    let (mut depth, mut defined) = (0, 0);
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let kind = |kind: &str| ["?", "()"].contains(&kind) || plain(kind);
        let pair = |pair: &str| pair.split_once(": ").is_some_and(|(name, of)| plain(name) && kind(of));
        let fits = match line.split_once(' ') {
            _ if line.is_empty() || line.starts_with("//") => true,
            _ if line == "}" => {
                depth -= 1;
                true
            }
            Some(("module", "static;")) => i == 1,
            Some(("module", rest)) => {
                depth += 1;
                rest.strip_suffix(" {").is_some_and(plain)
            }
            Some(("type", rest)) => rest.strip_suffix(" = ...;").is_some_and(plain),
            Some((what @ ("fn" | "op"), rest)) => {
                defined += 1;
                let rest = rest.strip_prefix("get ").or_else(|| rest.strip_prefix("set ")).unwrap_or(rest);
                let (head, returns) = rest.split_once(") -> ").expect("a result");
                let (name, params) = head.split_once('(').expect("parameters");
                let mut params = params.split(", ").filter(|param| !param.is_empty());
                let fits = if what == "op" { params.all(kind) } else { plain(name) && params.all(pair) };
                fits && returns.strip_suffix(';').is_some_and(kind)
            }
            _ => false,
        };
        assert!(fits, "line {}: {line}", i + 1);
    }
    assert_eq!((depth, defined), (0, functions().len()));
}

/// The tags of a page in order, without those that stand alone.
fn tags(page: &str) -> Vec<&str> {
    let alone = ["meta", "br", "!doctype"];
    let tags = page.split('<').skip(1).map(|part| part.split('>').next().expect("a tag"));
    tags.filter(|tag| !alone.contains(&tag.split(' ').next().unwrap_or_default())).collect()
}

#[test]
fn the_reference_is_one_whole_page() {
    let functions = functions();
    let page = html(&functions);
    let mut open = Vec::new();
    for tag in tags(&page) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "</{name}>"),
            None => open.push(tag.split(' ').next().expect("a name")),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let values = |attribute: &str| -> Vec<&str> {
        page.split(attribute).skip(1).map(|rest| rest.split('"').next().expect("a value")).collect()
    };
    let ids = values(" id=\"");
    let unique: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "no id twice");
    for target in values(" href=\"") {
        assert!(target.strip_prefix('#').is_some_and(|id| unique.contains(id)), "{target} leads nowhere");
    }
    for function in &functions {
        assert!(page.contains(&function.path().replace("&", "&amp;").replace('<', "&lt;").replace('>', "&gt;")));
    }
    for foreign in ["<script", " src=", "url(", "@import", "<link", "http://", "https://"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("prefers-color-scheme:dark"));
}

#[test]
fn the_reference_escapes_what_it_shows() {
    let function = Function {
        namespace: "a".into(),
        name: "f\"><script>".into(),
        kind: Kind::Function,
        params: vec![("x".into(), "<b>".into())],
        returns: "map".into(),
        doc: "Gives `<i>` & \"more\"\n\n* `x`: <u>\n\n```rhai\nif a < b && c { }\n```".into(),
    };
    let page = html(&[function]);
    let body = page.split("<body>").nth(1).expect("a body");
    for raw in ["<script", "<b>", "<i>", "<u>", "a < b", "&& c"] {
        assert!(!body.contains(raw), "{raw}");
    }
    assert!(body.contains("if a &lt; b &amp;&amp; c { }") && body.contains("<li><code>x</code>: &lt;u&gt;</li>"));
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
