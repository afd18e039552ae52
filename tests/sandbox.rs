//! What a script cannot do: read and write elsewhere, know the time, take what it likes; and what becomes of a bug.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rhai::Engine;
use saerun::error::{Code, Error};
use saerun::host::diagnostic::Report;
use saerun::host::session::Setup;
use saerun::host::{Session, engine, run};

fn session(root: &Path, allow_read: &[&Path]) -> Arc<Session> {
    let allow_read = allow_read.iter().map(|path| path.to_path_buf()).collect();
    let setup = Setup { root: root.to_path_buf(), stem: "test".into(), quiet: true, allow_read, ..Setup::default() };
    Arc::new(Session::new(setup).expect("a plain name"))
}

fn failure(root: &Path, script: &str) -> Error {
    run::run(&session(root, &[]), "test.rhai", script).expect_err(script).error
}

#[test]
fn reading_stays_inside_or_where_it_is_allowed() {
    let (root, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    fs::write(other.path().join("t.csv"), "a\n1\n").expect("a file");
    fs::write(other.path().join("x.txt"), "text").expect("a file");
    fs::create_dir(root.path().join("texts")).expect("a folder");
    let outside = other.path().display().to_string();
    let mut ways = vec![format!("{outside}/t.csv"), "../t.csv".to_string(), "a/../../t.csv".to_string()];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(other.path(), root.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(other.path().join("x.txt"), root.path().join("texts/x.txt")).expect("a link");
        ways.push("link/t.csv".to_string());
    }
    for way in &ways {
        for call in ["table::read", "corpus::load", "model::load", "sae::load", "tensor::load", "activations::load"] {
            assert_eq!(failure(root.path(), &format!("{call}(\"{way}\")")).code, Code::OutsideProject, "{call} {way}");
        }
    }
    if cfg!(unix) {
        assert_eq!(
            failure(root.path(), "corpus::load(\"texts\")").code,
            Code::OutsideProject,
            "a link inside a folder"
        );
    }
    let error = failure(root.path(), &format!("table::read(\"{outside}/t.csv\")"));
    assert!(error.help.is_some_and(|help| help.contains("--allow-read")));

    let allowed = session(root.path(), &[other.path()]);
    let script = format!("assert_eq(table::read(\"{outside}/t.csv\").height, 1); corpus::load(\"{outside}/x.txt\");");
    assert!(run::run(&allowed, "test.rhai", &script).is_ok());
    for refused in [format!("tensor::eye(2).save(\"{outside}/e.npy\")"), format!("import \"{outside}/x\" as x;")] {
        let report = run::run(&allowed, "test.rhai", &refused).expect_err("reading is all that is allowed");
        assert_eq!(report.error.code, Code::OutsideProject, "{refused}");
    }
}

#[test]
fn writing_replaces_nothing_of_others() {
    let root = tempfile::tempdir().expect("a folder");
    for folder in ["results/other", ".git", "mine"] {
        fs::create_dir_all(root.path().join(folder)).expect("a folder");
    }
    fs::write(root.path().join("mine/notes.txt"), "kept").expect("a file");
    fs::write(root.path().join("script.rhai"), "kept").expect("a file");
    let t = "let t = tensor::eye(2); let a = activations::from_tensor(t);";
    for (save, code) in [
        ("t.save(\"../x.npy\")", Code::OutsideProject),
        ("t.save(\"results/other/x.npy\")", Code::OutsideProject),
        ("t.save(\"results/x.npy\")", Code::OutsideProject),
        ("t.save(\".git/x.npy\")", Code::OutsideProject),
        ("t.save(\"x.rhai\")", Code::Unsupported),
        ("a.save(\"script.rhai\")", Code::WriteFailed),
        ("run::save_text(\"../x.txt\", \"x\")", Code::OutsideProject),
        ("run::save_text(\".x\", \"x\")", Code::OutsideProject),
        ("table::from_rows([\"a\"], [[1]]).save(\"../other/x\")", Code::OutsideProject),
        ("model::load(\"prose-1l\").save(\".\")", Code::OutsideProject),
        ("model::load(\"prose-1l\").save(\"mine\")", Code::WriteFailed),
        ("model::load(\"prose-1l\").save(\"results/test\")", Code::OutsideProject),
    ] {
        assert_eq!(failure(root.path(), &format!("{t}{save}")).code, code, "{save}");
    }
    for kept in ["mine/notes.txt", "script.rhai"] {
        assert_eq!(fs::read_to_string(root.path().join(kept)).expect("a file"), "kept");
    }
    let fine = "t.save(\"new/x.npy\"); t.save(\"results/test/x.npy\"); a.save(\"rows.bin\"); a.save(\"rows.bin\");
        let m = model::load(\"prose-1l\"); m.save(\"m\"); m.save(\"m\");";
    assert!(run::run(&session(root.path(), &[]), "test.rhai", &format!("{t}{fine}")).is_ok());
}

#[test]
fn a_script_sees_no_clock_environment_network_or_process() {
    let root = tempfile::tempdir().expect("a folder");
    for clock in ["timestamp()", "sleep(1)", "sleep(0.5)", "Fn(\"timestamp\").call()", "Fn(\"sleep\").call(1)"] {
        assert_eq!(failure(root.path(), clock).code, Code::Unsupported, "{clock}");
    }
    assert!(matches!(failure(root.path(), "eval(\"1\")").code, Code::Syntax | Code::UnknownFunction));
    let hidden = "let f = Fn(\"ev\" + \"al\"); f.call(\"run::save_text('a', 'b')\")";
    assert!(matches!(failure(root.path(), hidden).code, Code::Syntax | Code::UnknownFunction), "{hidden}");
    for absent in ["env(\"HOME\")", "open(\"x\")", "system(\"ls\")", "http_get(\"x\")", "now()", "rand()", "random()"] {
        assert_eq!(failure(root.path(), absent).code, Code::UnknownFunction, "{absent}");
    }
}

#[test]
fn limits_are_errors_and_not_the_end_of_the_process() {
    let root = tempfile::tempdir().expect("a folder");
    for (script, code) in [
        ("fn f(n) { f(n + 1) } f(0)", Code::TooLarge),
        ("let s = \"aaaaaaaa\"; loop { s += s; }", Code::TooLarge),
        ("let a = []; a.pad(1_000_000_000_000, 0);", Code::TooLarge),
        ("tensor::zeros([1 << 40, 1 << 40])", Code::TooLarge),
        ("tensor::eye(1 << 62)", Code::TooLarge),
        ("tensor::ones([1 << 20, 1]) + tensor::ones([1, 1 << 20])", Code::TooLarge),
        ("tensor::ones([1 << 20, 1]).matmul(tensor::ones([1, 1 << 20]))", Code::TooLarge),
        ("sae::train(activations::from_tensor(tensor::eye(4)), #{ d_sae: 1 << 60 })", Code::TooLarge),
        ("sae::train(activations::from_tensor(tensor::eye(4)), #{ d_sae: 8, batch_size: 1 << 60 })", Code::TooLarge),
        ("geometry::packing(1 << 60, 1 << 60)", Code::TooLarge),
    ] {
        assert_eq!(failure(root.path(), script).code, code, "{script}");
    }
    let nested = format!("let x = {}1{};", "(".repeat(5000), ")".repeat(5000));
    let blocks = format!("{}{}", "if true {".repeat(5000), "}".repeat(5000));
    for script in [nested, blocks] {
        assert_eq!(failure(root.path(), &script).code, Code::Syntax);
    }
}

/// A panic in a function that only this test registers.
fn with_a_bug(session: &Arc<Session>) -> Engine {
    let mut engine = engine(session);
    engine.register_fn("broken", || {
        let values: Vec<i64> = Vec::new();
        values[std::hint::black_box(3)]
    });
    engine
}

#[test]
fn a_panic_becomes_a_report() {
    let root = tempfile::tempdir().expect("a folder");
    let told = |script: &str| -> Box<Report> {
        run::run_in(&session(root.path(), &[]), with_a_bug, "test.rhai", script).expect_err("a bug")
    };
    for script in [
        "run::note(\"begun\");\nlet x = 1;\ntry { broken() } catch { }",
        "run::note(\"begun\");\n[1].map(|x| broken());",
        "run::note(\"begun\"); table::from_rows([\"a\"], [[1]]).filter(|r| broken());",
    ] {
        let report = told(script);
        assert_eq!((report.error.code, report.error.code.exit_code()), (Code::Internal, 1), "{script}");
        assert!(report.error.message.contains("bug in saerun"), "{}", report.error.message);
        assert!(report.error.facts.iter().any(|(name, value)| name == "panic" && value.contains("out of bounds")));
        assert!(report.error.help.as_ref().is_some_and(|help| help.contains("report it")));
        assert!(report.place.is_some(), "the last call that is known");
    }
    assert!(!root.path().join("results").exists(), "nothing was half written");
}
