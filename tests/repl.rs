//! `saerun repl` and `saerun watch`, and the library scripts that every verb finds: as a user drives them.

mod complete;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod watch;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use saerun::host::repl::{History, unfinished};

/// `saerun` in a folder, without colors.
fn saerun(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_saerun"));
    command.current_dir(folder).args(arguments).env("NO_COLOR", "1");
    command
}

/// What a program has said: stdout, stderr, exit code.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

/// Gives `inputs` to `saerun repl`, line by line.
fn talk(folder: &Path, arguments: &[&str], inputs: &str) -> Said {
    let all = [&["repl"], arguments].concat();
    let mut child = saerun(folder, &all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("saerun");
    child.stdin.take().expect("stdin").write_all(inputs.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("the end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
}

/// A fresh project with a library script and one that imports it.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scripts = folder.path().join("scripts");
    fs::create_dir_all(scripts.join("lib")).expect("folders");
    let write = |name: &str, text: &str| fs::write(scripts.join(name), text).expect("a script");
    write("lib/text.rhai", "/// Two digits.\nfn short(x) { (x * 100.0).round() / 100.0 }\n");
    write(
        "x.rhai",
        "import \"lib/text\" as text;\nlet p = params(#{ seed: 3, lr: 0.256 });\nconst N = 7;\n\
         fn twice(x) { text::short(x) * 2 }\nfn n() { global::N }\nlet sum = twice(p.lr);\nprint(sum);\n",
    );
    folder
}

#[test]
fn exit_leaves_with_its_code() {
    let folder = project();
    let said = talk(folder.path(), &[], "let a = 40\nexit(a - 37)\nprint(\"not reached\")\n");
    assert_eq!((said.code, said.out.as_str()), (Some(3), ""), "{}", said.err);
    // A script that ends so has ended well, and what it defined is there.
    fs::write(folder.path().join("scripts/ends.rhai"), "let b = 2;\nexit(4);\n").expect("a script");
    let said = talk(folder.path(), &["scripts/ends.rhai"], "b + 1\n");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "3\n"), "{}", said.err);
}

#[test]
fn a_conversation_remembers_what_worked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = "1 + 1\nit * 3\nlet x = [1,\n  2,\n  3];\nfn last(a) {\n  a[a.len() - 1]\n}\nlast(x)\n\
                  let add = |y| y + 10;\nadd.call(it)\nconst C = 4;\nfn c() { global::C }\nc()\n\
                  let x = \"new\";\nx\nlet r = reg::custom(\"mine\", |w| w.sqr().sum());\nr.value(tensor::eye(3))\n()\n";
    let said = talk(folder.path(), &[], inputs);
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("2\n6\n3\n13\n4\n\"new\"\n3.0\n", "", Some(0)));
    assert!(!folder.path().join(".saerun").exists(), "what is no terminal leaves no history");
}

#[test]
fn an_input_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = "let x = 1;\nfn f(a) { a[7] }\nlet y = 2; x += 1; fn g() { 1 } f([x]);\nx\ny\ng()\n";
    let said = talk(folder.path(), &[], inputs);
    assert_eq!((said.out.as_str(), said.code), ("1\n", Some(1)));
    // The function of an earlier input is shown where it was written, with the call that led there.
    let report = "error[out-of-range]: the index is outside the array\n --> input 2:1:13\n  |\n1 | fn f(a) { a[7] }\n";
    assert!(said.err.starts_with(report), "{}", said.err);
    assert!(said.err.contains("::: input 3:1:33"), "{}", said.err);
    assert!(said.err.contains("unknown variable `y`") && said.err.contains("unknown function `g`"), "{}", said.err);
    assert!(said.err.ends_with("3 inputs failed\n"), "{}", said.err);
}

#[test]
fn functions_are_checked_before_an_input_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = talk(folder.path(), &[], "print(\"never\"); geometry::sumary(tensor::eye(2))\n");
    assert_eq!(said.out, "");
    assert!(said.err.contains("did you mean `geometry::summary`?"), "{}", said.err);
}

#[test]
fn figures_are_saved_and_named_and_tables_are_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = "plot::heatmap(#{ values: tensor::eye(3) })\ntable::from_rows([\"a\", \"b\"], [[1, \"x\"]])\n\
                  [#{ a: 1 }, #{ a: 2 }]\n";
    let first = talk(folder.path(), &[], inputs);
    let tables = "|   a | b   |\n| --: | --- |\n|   1 | x   |\n|   a |\n| --: |\n|   1 |\n|   2 |\n";
    assert_eq!(first.out, format!("Figure heatmap of 1 series, 720 x 440: results/repl/figure-1.svg\n{tables}"));
    let second = talk(folder.path(), &[], inputs);
    assert!(second.out.contains("results/repl/figure-2.svg"), "{}", second.out);
    let svg = |n: usize| fs::read(folder.path().join(format!("results/repl/figure-{n}.svg"))).expect("a figure");
    assert_eq!(svg(1), svg(2));
}

#[test]
fn expensive_calls_are_remembered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = "let a = geometry::packing(8, 3, #{ steps: 5 });\nlet b = geometry::packing(8, 3, #{ steps: 5 });\n";
    let said = talk(folder.path(), &[], inputs);
    let steps: Vec<&str> = said.err.lines().map(|line| &line[..6]).collect();
    assert_eq!(steps, ["ran   ", "cached"], "{}", said.err);
}

#[test]
fn commands_do_what_help_says() {
    let folder = project();
    let inputs = ":help\n:load scripts/x.rhai\n:vars\n:doc twice\n:doc geometry::welch_bound\n:reset\nsum\n:nothing\n\
                  :time 6 * 7\n:quit\n1\n";
    let said = talk(folder.path(), &[], inputs);
    for part in
        [":load FILE", "\n0.52\n", "sum  float  0.52\n", "p    map    #{\"lr\": 0.256", "twice(x: any)\n", "\n42\n"]
    {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(said.out.ends_with("42\n"), "it went on after `:quit`: {}", said.out);
    for part in ["unknown variable `sum`", "unknown command `:nothing`", "took "] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

#[test]
fn a_file_comes_first_with_its_parameters() {
    let folder = project();
    let said =
        talk(folder.path(), &["scripts/x.rhai", "--set", "lr=1"], "p.lr\nn()\ntwice(0.333)\ntext::short(0.999)\n");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("2.0\n1.0\n7\n0.66\n1.0\n", ""));
    let said = talk(folder.path(), &["scripts/x.rhai", "--set", "lrr=1"], "twice(1.0)\n");
    assert!(said.err.contains("unknown parameter `lrr`"), "{}", said.err);
    assert_eq!(said.out, "2.0\n", "the functions of a script that stopped halfway are there");
}

#[test]
fn library_scripts_are_found_by_every_verb() {
    let folder = project();
    let ran = |arguments: &[&str]| {
        let output = saerun(folder.path(), arguments).output().expect("saerun");
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    };
    assert_eq!(ran(&["scripts/x.rhai"]), ("0.52\n".to_string(), Some(0)));
    assert_eq!(ran(&["params", "scripts/x.rhai"]), ("seed = 3\nlr = 0.256\n".to_string(), Some(0)));
    let inputs =
        "import \"scripts/lib/text\" as text;\ntext::short(0.256)\nfn f(x) { text::short(x) }\nf(0.111)\n:doc short\n";
    let said = talk(folder.path(), &[], inputs);
    assert_eq!(said.out, "0.26\n0.11\ntext::short(x: any)\n    Two digits.\n", "{}", said.err);
}

#[test]
fn the_parser_decides_whether_an_input_goes_on() {
    let open = [
        "let x =",
        "[1,",
        "f(",
        "f(1,",
        "fn f(a) {",
        "fn f(a) {\n  a +",
        "if x",
        "if x { 1 } else",
        "#{ a: 1",
        "1 +",
        "`a",
        "`a\nb",
        "/* a",
        "/// doc",
        "try { }",
        "x.",
        "a::",
        "f(|x| {",
        "switch x { 1 =>",
        "1 + // why",
    ];
    let whole = [
        "",
        "1",
        "let x = 1",
        "let x = \"(\"",
        "`a\nb`",
        "fn f() { }",
        "\"a",
        "(]",
        "}",
        "foo bar",
        "1 + * 2",
        "// (",
        "/* ( */",
        "let x = '('",
        "/// doc\nfn f() { }",
    ];
    assert_eq!(open.iter().filter(|text| !unfinished(text)).collect::<Vec<_>>(), Vec::<&&str>::new());
    assert_eq!(whole.iter().filter(|text| unfinished(text)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn history_is_kept_and_bounded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut history, inputs) = History::open(folder.path()).expect("a history");
    assert!(inputs.is_empty());
    let block = "fn f() {\n  `\\n`\n}";
    for input in ["1", "1", block] {
        history.add(input).expect("written");
    }
    assert_eq!(History::open(folder.path()).expect("a history").1, ["1", block]);
    for i in 0..1500 {
        history.add(&i.to_string()).expect("written");
    }
    let (_, inputs) = History::open(folder.path()).expect("a history");
    assert_eq!((inputs.len(), inputs.first().map(String::as_str)), (1000, Some("500")));
    let text = fs::read_to_string(folder.path().join(".saerun/history")).expect("a file");
    assert_eq!(text.lines().count(), 1000);
}
