//! What can stand where the cursor is.

use saerun::host::repl::{Names, Repl, complete, hint};
use saerun::host::session::Setup;

/// A conversation with a tensor, a map, an array and a function.
fn names() -> Names {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let setup = Setup { root: folder.path().into(), stem: "repl".into(), quiet: true, ..Setup::default() };
    let mut repl = Repl::new(setup).expect("a conversation");
    let mut eval = |text: &str| {
        repl.eval(text).expect(text);
    };
    eval("let weights = tensor::eye(3);");
    eval("let summary = geometry::summary(weights);");
    eval("let values = [1, 2];");
    eval("fn weigh(w, n) { w }");
    repl.names()
}

/// The words that may stand at the end of a text, and where they begin.
fn words(text: &str, names: &Names) -> (usize, Vec<String>) {
    let (start, found) = complete(text, names);
    let mut words: Vec<String> = found.into_iter().map(|candidate| candidate.word).collect();
    words.dedup();
    (start, words)
}

#[test]
fn names_are_completed_where_they_can_stand() {
    let names = names();
    let of = |text: &str| words(text, &names);
    let is = |start: usize, words: &[&str]| (start, words.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(of("geo"), is(0, &["geometry::"]));
    assert_eq!(of("let a = geometry::welch"), is(18, &["welch_bound("]));
    assert_eq!(of("wei"), is(0, &["weigh(", "weights"]));
    assert_eq!(of("weights.sha"), is(8, &["shape"]));
    assert_eq!(of("f(weights.norm"), is(10, &["norm_rows()", "normalize_rows()"]));
    assert_eq!(of("summary.max_"), is(8, &["max_max_cos"]));
    assert_eq!(of("values.pus"), is(7, &["push("]));
    assert_eq!(of("weights.shape.pus"), is(14, &["push("]), "properties have types too");
    assert_eq!(of("nobody.sha"), is(7, &[]));
    assert_eq!(of("0..weig"), is(3, &["weigh(", "weights"]));
    assert_eq!(of("assert_e"), is(0, &["assert_eq("]));
    assert_eq!(of("geometry::assert_e").1, Vec::<String>::new());
}

#[test]
fn functions_show_their_arguments() {
    let names = names();
    let (_, found) = complete("geometry::welch", &names);
    assert_eq!(found[0].shown, "welch_bound(n: int, d: int) -> float");
    assert_eq!(hint("geometry::welch_bound(", &names).as_deref(), Some("n: int, d: int)"));
    assert_eq!(hint("x + weights.rows(", &names).as_deref(), Some("from: int, to: int)"));
    assert_eq!(hint("weigh(", &names).as_deref(), Some("w: any, n: any)"));
    assert_eq!(hint("(", &names), None);
    assert_eq!(hint("nobody(", &names), None);
}
