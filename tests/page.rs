//! The page of a run: what a script says is text, the document is well formed, and the same record makes the same bytes.

mod browser;
mod document;

use std::path::Path;
use std::process::{Command, Output};

use saerun::report::html::{self, At, Body, Grid, Item, Page, Param, Source, Step};

/// A page with one of everything, all of it hostile.
fn hostile() -> Page {
    let evil = "<script>alert(1)</script> & \"quotes\" 'and' \u{1b}[31m";
    let at = |line| Some(At { file: "scripts/a.rhai".to_string(), line });
    let text = "//! # A <script> title\n//!\n//! <img src=x onerror=alert(1)> [a](javascript:alert(1)) ![p](http://x.example/p.png)\n\nlet x = `a ${\"b`\"} <b>`;\nfoo(#{\n    a: 1,\n}).save(\"t\");\n/* a /* nested */\n comment */ print(x);\n//! ## More\nif x { '\"' } // \u{e9}\n";
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"10\" role=\"img\" aria-labelledby=\"title-1\"><title id=\"title-1\">T &lt;</title><desc>D</desc><rect x=\"0\" y=\"0\" width=\"1\" height=\"1\" fill=\"#FFFFFF\"/></svg>";
    let grid = Grid::from_csv(&format!("name,x\n\"{}\",0.123456789\n,2.0\n", evil.replace('"', "\"\"")));
    let figure = |svg: &str| Body::Figure {
        file: "f.svg".to_string(),
        svg: svg.to_string(),
        data: vec![(evil.to_string(), grid.clone())],
    };
    let failure = Body::Failure {
        code: "failed".to_string(),
        message: evil.to_string(),
        facts: vec![(evil.to_string(), evil.to_string())],
        help: Some(evil.to_string()),
    };
    let table = || Body::Table(vec![format!("{evil}.csv"), "t.md".to_string()], grid.clone());
    let bodies = [
        (5, Body::Print(evil.to_string())),
        (8, table()),
        (8, Body::Step(0)),
        (8, Body::Step(1)),
        (8, figure(svg)),
        (8, figure(svg)),
        (8, figure(&svg.replace("<rect", "<rect onload=\"alert(1)\""))),
        (8, figure(&svg.replace("<desc>D</desc>", "<script>alert(1)</script>"))),
        (8, figure(&svg.replace("</svg>", "</svg><p>"))),
        (10, Body::Note(format!("# Top\n\n{evil}\n\n| a |\n|---|\n| <i> |\n"))),
        (10, Body::Warning(evil.to_string())),
        (10, Body::Text("c.md".to_string(), evil.to_string(), true)),
        (10, Body::Text("c.txt".to_string(), evil.to_string(), false)),
        (10, Body::File("c.bin".to_string(), evil.to_string())),
        (99, failure),
    ];
    let step = |cached| Step {
        function: evil.to_string(),
        key: "0123456789abcdef".to_string(),
        cached,
        seconds: 61.0,
        at: at(8),
    };
    let mut page = Page {
        script: "scripts/a.rhai".to_string(),
        saerun: "0.0.0".to_string(),
        exit_code: Some(1),
        seconds: 1.5,
        facts: vec![(evil.to_string(), evil.to_string())],
        params: vec![Param { name: "seed".into(), value: evil.to_string(), default: Some("1".into()) }],
        sources: vec![
            Source { file: "scripts/a.rhai".to_string(), text: Ok(text.to_string()) },
            Source { file: "scripts/<b>.rhai".to_string(), text: Err(evil.to_string()) },
        ],
        items: bodies.into_iter().map(|(line, body)| Item { at: at(line), body }).collect(),
        steps: vec![step(true), step(false)],
        digests: vec![("script", evil.to_string(), evil.to_string())],
        lock: evil.to_string(),
        folder: Some("../a b/".to_string()),
    };
    page.items.push(Item { at: None, body: table() });
    page
}

#[test]
fn whatever_a_script_says_is_text() {
    let html = html::page(&hostile());
    let found = document::check(&html);
    assert_eq!(found, Vec::<String>::new());
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot; &#39;and&#39; \u{fffd}[31m"));
    assert_eq!(html.matches("<script").count(), 1, "one script, which is the page's own");
    let lower = html.to_lowercase();
    for bad in ["<img", "onerror=\"", "onload=\"", "href=\"javascript", " src=\"", "url("] {
        assert!(!lower.contains(bad), "{bad}");
    }
    assert!(html.contains("href=\"../a%20b/f.svg\""), "links to files are encoded");
}

#[test]
fn the_checker_of_documents_finds_what_is_wrong() {
    let html = html::page(&hostile());
    for (from, to) in [
        ("</table>", ""),
        ("id=\"steps\"", "id=\"lock\""),
        ("href=\"#failure\"", "href=\"#nowhere\""),
        ("<h2 id=\"source\"", "<h2 id=source\""),
        ("&lt;script", "<script"),
    ] {
        assert_ne!(document::check(&html.replacen(from, to, 1)), Vec::<String>::new(), "{from}");
    }
}

#[test]
fn what_a_line_made_stands_beside_its_statement() {
    let html = html::page(&hostile());
    let rows: Vec<&str> = html.split("<div class=\"row").skip(1).collect();
    let row = |id: &str| rows.iter().find(|row| row.contains(&format!("id=\"{id}\""))).expect("a row").to_string();
    assert!(row("L5").contains("class=\"print\"") && !row("L5").contains("id=\"L6\""));
    let statement = row("L8");
    assert!(statement.contains("id=\"L6\"") && statement.contains("id=\"L7\""), "the whole statement");
    assert!(!statement.contains("id=\"L9\"") && statement.contains("id=\"table-script-alert-1"));
    assert!(statement.contains("ran 1 times in 1m01s, cached 1 times"));
    assert!(
        row("L10").contains("class=\"note prose\"") && row("L10").contains("id=\"L9\""),
        "a comment may span lines"
    );
    assert!(row("L12").contains("class=\"failure\""), "what stands beyond the end stands at the end");
    assert!(html.contains("<h1>A &lt;script&gt; title</h1>") && html.contains("id=\"more\">More</h2>"));
}

#[test]
fn pictures_are_inlined_only_when_harmless() {
    let html = html::page(&hostile());
    assert_eq!(html.matches("<svg").count(), 2, "three of the five are linked");
    assert_eq!(html.matches("not made by a plot").count(), 3);
    assert!(html.contains("aria-labelledby=\"figure-f-title-1\"") && html.contains("id=\"figure-f-2-title-1\""));
}

#[test]
fn tables_read_csv_and_say_what_they_leave_out() {
    let grid = Grid::from_csv("a,\"b \"\"c\"\"\",t\n1,\"x,\n\",\"17\"\n,y,\"18\"\n");
    assert_eq!(grid.columns, ["a", "b \"c\"", "t"]);
    assert_eq!(grid.rows, [["1", "x,\n", "17"], ["", "y", "18"]]);
    assert_eq!(grid.numeric, [true, false, false], "a number in quotes is a text");
    let long: String = (0..1000).map(|i| format!("{i}.5\n")).collect();
    let grid = Grid::from_csv(&format!("n\n{long}"));
    assert_eq!((grid.rows.len(), grid.total), (200, 1000));
    let item = Item { at: None, body: Body::Table(vec!["long.csv".to_string()], grid) };
    let html = html::page(&Page { items: vec![item], ..Page::default() });
    assert!(html.contains("the first 200 of 1000 rows") && !html.contains(">200.5<"));
    assert_eq!(Grid::from_csv(""), Grid::default());
}

#[test]
fn the_policy_allows_the_script_that_is_there() {
    let hash = document::sha256_base64(html::SCRIPT.as_bytes());
    assert!(html::page(&Page::default()).contains(&format!("script-src 'sha256-{hash}'")), "SCRIPT_HASH: {hash}");
}

#[test]
fn figures_say_their_numbers() {
    use saerun::report::plot::{self, CurveOptions, HistogramOptions};
    let histogram: HistogramOptions = serde_json::from_value(
        serde_json::json!({"series": [{"name": "a", "values": [0.05, 0.31, 0.32]}], "bin_width": 0.1}),
    )
    .expect("options");
    let data = &plot::histogram(&histogram).expect("a figure").data()[0];
    assert_eq!(data.columns, ["from", "to", "a"]);
    assert_eq!(data.rows, [["0", "0.1000", "1"], ["0.3000", "0.4000", "2"]]);
    let curves: CurveOptions = serde_json::from_value(serde_json::json!({
        "series": [{"name": "a", "x": [1.0, 2.0], "y": [3.0, null]}, {"name": "b", "x": [1.0], "y": [5.0]}], "x_label": "k",
    }))
    .expect("options");
    let data = &plot::line(&curves).expect("a figure").data()[0];
    assert_eq!(data.columns, ["series", "k", "y"]);
    assert_eq!(data.rows, [["a", "1", "3"], ["a", "2", ""], ["b", "1", "5"]]);
}

/// A project with a script that leaves a table, a figure, prose and prints, and fails when its seed is 2.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir_all(folder.path().join("scripts/lib")).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a script");
    write("scripts/lib/tools.rhai", "//! # Tools\nfn hello(name) {\n    print(`hello <${name}>`);\n}\n");
    write(
        "scripts/a.rhai",
        "//! # Does it *work*?\n\nimport \"scripts/lib/tools\" as tools;\nlet p = params(#{ seed: 1, name: \"a\" });\ntools::hello(p.name);\n\
         table::from_rows([\"x\", \"y\"], [[\"b\", 0.123456789]]).save(\"scores\");\n\
         plot::line(#{ series: [#{ name: \"s\", x: [1.0, 2.0], y: [3.0, 4.0] }], title: \"Curve\" }).save(\"curve\");\n\
         run::note(\"It **works**.\");\nrun::require(p.seed != 2, \"the seed is two\");\n",
    );
    folder
}

fn saerun(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_saerun")).current_dir(folder).args(arguments).output().expect("saerun")
}

#[test]
fn a_run_leaves_a_page_that_its_record_makes_again() {
    let folder = project();
    let page = folder.path().join("results/a/report.html");
    assert!(saerun(folder.path(), &["scripts/a.rhai", "--set", "seed=7"]).status.success());
    let first = std::fs::read_to_string(&page).expect("a page");
    assert_eq!(document::check(&first), Vec::<String>::new());
    for part in [
        "<h1>Does it work?</h1>",
        "hello &lt;a&gt;",
        "0.1235",
        "<strong>works</strong>",
        "id=\"L1-3\"",
        "changed: <code>seed = 7</code>",
        "Description and data",
        "href=\"scores.csv\"",
    ] {
        assert!(first.contains(part), "{part}");
    }
    let lock = std::fs::read_to_string(folder.path().join("results/a/run.yaml")).expect("a lock");
    assert!(!lock.contains("report.html"), "the page is no result");

    // The script changes; the record has its text.
    std::fs::write(folder.path().join("scripts/a.rhai"), "print(1);").expect("a script");
    std::fs::remove_file(&page).expect("removed");
    let told = saerun(folder.path(), &["report", "scripts/a.rhai"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout), "results/a/report.html\n");
    assert!(std::fs::read_to_string(&page).expect("a page") == first, "the same record and results, the same bytes");

    let told = saerun(folder.path(), &["report", "last", "--out", "sent/p.html"]);
    assert!(told.status.success());
    let sent = std::fs::read_to_string(folder.path().join("sent/p.html")).expect("a page");
    assert!(sent.contains("href=\"../results/a/scores.csv\""));
    std::fs::write(folder.path().join("results/a/scores.csv"), "x,y\nc,1.0\n").expect("another table");
    saerun(folder.path(), &["report", "last", "--out", "sent/p.html"]);
    let sent = std::fs::read_to_string(folder.path().join("sent/p.html")).expect("a page");
    assert!(sent.contains("has changed since this run") && !sent.contains("0.1235"), "no table of another run");
    let missing = saerun(folder.path(), &["report", "scripts/none.rhai"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("run it: saerun scripts/none.rhai"));
}

#[test]
fn a_failed_run_leaves_the_good_page_alone() {
    let folder = project();
    let page = folder.path().join("results/a/report.html");
    assert!(saerun(folder.path(), &["scripts/a.rhai"]).status.success());
    let good = std::fs::read(&page).expect("a page");
    let failed = saerun(folder.path(), &["scripts/a.rhai", "--set", "seed=2", "--report", "fail.html"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(std::fs::read(&page).expect("a page") == good);
    let html = std::fs::read_to_string(folder.path().join("fail.html")).expect("a page");
    assert_eq!(document::check(&html), Vec::<String>::new());
    assert!(html.contains("Failed with exit code 1") && html.contains("<p>the seed is two</p>"));
    let row = html.split("<div class=\"row").find(|row| row.contains("id=\"L9\"")).expect("the line");
    assert!(row.contains("id=\"failure\""));
}
