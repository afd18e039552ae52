//! Parquet, with the feature and without it.

use saerun::corpus::{Corpus, Reading};
use saerun::error::Code;
use saerun::progress::Silent;
use saerun::report::table::{Table, Value};

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_parquet_is_an_error_that_names_it() {
    let table = Table::from_columns(vec![("x".into(), vec![Value::Int(1)])]).unwrap();
    for error in [table.to_parquet().unwrap_err(), Table::from_parquet(Vec::new()).unwrap_err()] {
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.help.unwrap().contains("--features parquet"));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn tables_go_through_parquet() {
    let columns = vec![
        ("b".to_string(), vec![Value::Bool(true), Value::Null, Value::Bool(false)]),
        ("i".to_string(), vec![Value::Int(i64::MIN), Value::Int(1), Value::Null]),
        ("f".to_string(), vec![Value::Float(0.1), Value::Null, Value::Float(f64::INFINITY)]),
        ("text".to_string(), vec![Value::Text("a, \"b\"\n".into()), Value::Text(String::new()), Value::Null]),
    ];
    let table = Table::from_columns(columns).unwrap();
    let bytes = table.to_parquet().unwrap();
    assert_eq!(bytes, table.to_parquet().unwrap());
    let back = Table::from_parquet(bytes.clone()).unwrap();
    assert_eq!((back.columns(), back.rows().unwrap()), (table.columns(), table.rows().unwrap()));
    assert_eq!(Table::texts_of_parquet(bytes.clone(), "text").unwrap(), ["a, \"b\"\n", ""]);
    assert_eq!(Table::texts_of_parquet(bytes.clone(), "i").unwrap_err().code, Code::DamagedFile);
    assert!(Table::texts_of_parquet(bytes.clone(), "txt").is_err());
    for end in (0..bytes.len()).step_by(5) {
        assert_eq!(Table::from_parquet(bytes[..end].to_vec()).unwrap_err().code, Code::DamagedFile);
    }
}

#[cfg(feature = "parquet")]
#[test]
fn scripts_save_and_read_parquet() {
    use saerun::host::{Session, run, session::Setup};
    let root = tempfile::tempdir().unwrap();
    let setup = Setup { root: root.path().to_path_buf(), stem: "p".into(), quiet: true, ..Setup::default() };
    let session = std::sync::Arc::new(Session::new(setup).unwrap());
    let script = r#"
        let t = table::from_columns([["text", ["one two", "three"]], ["n", [1, ()]]]);
        t.save("x", #{ parquet: true });
        assert_eq(table::read("results/p/x.parquet").rows(), t.rows());
        assert_eq(corpus::load("results/p/x.parquet").documents, 2);
    "#;
    let done = run::run(&session, "p.rhai", script);
    assert!(done.is_ok(), "{:?}", done.err());
}

#[test]
fn a_corpus_asks_for_the_documents_of_parquet_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "one\n").unwrap();
    std::fs::write(folder.path().join("b.parquet"), "two").unwrap();
    let read = |path: &std::path::Path, column: &str| Ok(vec![std::fs::read_to_string(path).unwrap(), column.into()]);
    let reading = Reading { field: "three", parquet: &read, monitor: &Silent };
    let corpus = Corpus::load_with(folder.path(), &reading).unwrap();
    assert_eq!(corpus.documents(), ["one\n", "two", "three"]);
    assert_eq!(Corpus::load_path(folder.path()).unwrap_err().code, Code::Unsupported);
}
