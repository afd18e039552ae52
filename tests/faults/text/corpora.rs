//! Files and folders of text.

use std::fmt::Write;

use super::{Project, gzip, refused, tiny};
use crate::faults::{fails, prints};

/// One JSON object a line.
fn lines(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text }))).collect()
}

#[test]
fn every_kind_of_text_file_is_read_whatever_its_case() {
    // W3
    let (two, text) = (lines(&["one", "two"]), "one\n<|endoftext|>\ntwo\n");
    let array = "[{\"id\": 1, \"text\": \"one\"}, {\"text\": \"two\", \"id\": 2}]";
    let project = Project::new();
    let mut names = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| {
        project.write(name, bytes);
        names.push(name.to_string());
    };
    for name in ["x.jsonl", "X.JSONL", "x.ndjson", "lines.json"] {
        add(name, two.as_bytes());
        add(&format!("{name}.gz"), &gzip(two.as_bytes()));
    }
    for name in ["x.txt", "Y.TXT"] {
        add(name, text.as_bytes());
        add(&format!("{name}.gz"), &gzip(text.as_bytes()));
    }
    add("Z.Txt.GZ", &gzip(text.as_bytes()));
    add("array.json", array.as_bytes());
    add("array.JSON.Gz", &gzip(array.as_bytes()));
    add("texts.json", b"[\"one\", \"two\"]");
    let mut script = String::new();
    for name in &names {
        let _ = writeln!(
            script,
            "let c = corpus::load(\"{name}\"); assert_eq(c.documents, 2); assert_eq(c.head(3), \"one\");"
        );
    }
    script.push_str("assert_eq(corpus::load(\"object.json\").head(5), \"whole\");");
    project.write("object.json", "{\n  \"text\": \"whole\"\n}\n");
    project.write("case.rhai", script);
    project.prints();
}

#[test]
fn a_packed_corpus_of_json_lines_has_its_documents() {
    // W3
    let project =
        Project::with("print(corpus::load(\"x.jsonl.gz\").documents); print(corpus::load(\"x.jsonl\").documents);");
    let text = std::fs::read(tiny().join("docs.jsonl")).expect("the text");
    project.write("x.jsonl.gz", gzip(&text));
    project.write("x.jsonl", &text);
    let printed = project.prints();
    let counts: Vec<&str> = printed.lines().collect();
    assert!(counts[0] == counts[1] && counts[0] != "1", "{printed}");
}

#[test]
fn a_folder_is_read_with_its_folders_and_names_what_is_not_read() {
    // W3
    let project = Project::with(
        r#"
        let c = corpus::load("data");
        print(c.documents);
        print(c.head(100));
    "#,
    );
    project.write("data/b/deep/1.JSONL", lines(&["b1", "b2"]));
    project.write("data/b/2.json", "[{\"text\": \"b3\"}]");
    project.write("data/a.txt", "a\n");
    project.write("data/c.txt.gz", gzip(b"c\n"));
    project.write("data/.hidden.txt", "hidden\n");
    project.write("data/.git/x.txt", "hidden\n");
    project.write("data/README.md", "about\n");
    project.write("data/d.jsonl.zst", "packed");
    project.write("data/settings.json", "{\"version\": 1}");
    let ran = project.saerun(&["case.rhai"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, "5\na\n\nb3\nb1\nb2\nc\n\n\n");
    for name in ["README.md", "d.jsonl.zst", "settings.json"] {
        assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("hidden"), "{}", ran.stderr);
    let shown = project.saerun(&["show"]);
    assert!(shown.stdout.contains("settings.json"), "the record names them too\n{}", shown.stdout);
}

#[test]
fn a_folder_without_text_is_an_error() {
    // W3
    let project = Project::with("corpus::load(\"data\");");
    project.write("data/x.csv", "a,b\n");
    let stderr = refused(&project, "damaged-file");
    assert!(stderr.contains("x.csv"), "{stderr}");
}

#[test]
fn other_compressions_are_refused_with_advice() {
    // W3
    for (name, advice) in [("x.jsonl.zst", "zstd -d"), ("x.txt.bz2", "bzip2 -d"), ("x.xz", "xz -d")] {
        let project = Project::with(&format!("corpus::load(\"{name}\");"));
        project.write(name, "anything");
        let stderr = refused(&project, "unsupported");
        assert!(stderr.contains(advice), "{stderr}");
    }
}

#[test]
fn a_line_of_json_that_cannot_be_read_says_why_and_where() {
    let good = lines(&["one"]);
    let cases = [
        ("{\"text\": null}", "line 2", "null"),
        ("{\"content\": \"x\", \"id\": 3}", "line 2", "field: \"content\""),
        ("{\"text\": \"\\ud800\"}", "line 2", "surrogate"),
        ("[1, 2]", "line 2", "an array"),
        ("\"only a text\"", "line 2", "a text"),
        ("{\"text\": 7}", "line 2", "a number"),
        ("{\"text\": \"unended", "line 2", "EOF"),
        ("{\"text\": \"x\"} trailing", "line 2", "trailing"),
    ];
    for (line, at, why) in cases {
        let project = Project::with("corpus::load(\"x.jsonl\");");
        project.write("x.jsonl", format!("{good}{line}\n"));
        let stderr = refused(&project, "damaged-file");
        assert!(stderr.contains(at) && stderr.contains(why), "{line}: {stderr}");
    }
}

#[test]
fn another_field_holds_the_text() {
    let project = Project::with(
        r#"
        print(corpus::load("x.jsonl", #{ field: "content" }).documents);
        print(corpus::load("x.json", #{ field: "content" }).head(3));
        try { corpus::load("x.json"); } catch (e) { print(e.code); }
    "#,
    );
    project.write("x.jsonl", "{\"content\": \"one\"}\n{\"content\": \"two\", \"text\": \"\"}\n");
    project.write("x.json", "[{\"content\": \"abc\"}]");
    assert_eq!(project.prints(), "2\nabc\ndamaged-file\n");
    fails("corpus::load(\"austen\", #{ field: \"content\" });", "unknown-option");
}

#[test]
fn byte_order_marks_are_left_out() {
    let project = Project::with(
        r#"
        print(corpus::load("x.jsonl").head(7));
        print(corpus::load("x.json").head(3));
        print(corpus::load("x.txt").bytes);
        print(corpus::load("w.txt").bytes);
    "#,
    );
    project.write("x.jsonl", format!("\u{feff}{}\u{feff}{}", lines(&["one"]), lines(&["two"])));
    project.write("x.json", "\u{feff}{\"text\": \"abc\"}");
    project.write("x.txt", "\u{feff}four\n");
    project.write("w.txt", "a\r\nb\r\n");
    assert_eq!(project.prints(), "one\ntwo\nabc\n5\n4\n");
}

#[test]
fn a_file_that_is_not_what_it_is_called_says_what_it_is() {
    let project = Project::with("corpus::load(\"x.txt\");");
    project.write("x.txt", gzip(b"text"));
    assert!(refused(&project, "damaged-file").contains(".gz"));
    project.write("x.txt", [0xff, 0xfe, b'a', 0]);
    assert!(refused(&project, "damaged-file").contains("UTF-16"));
    let project = Project::with("corpus::load(\"x.txt.gz\");");
    project.write("x.txt.gz", "no gzip at all");
    refused(&project, "damaged-file");
    // The name does not say what is packed.
    let project = Project::with("corpus::load(\"bare.gz\");");
    project.write("bare.gz", gzip(lines(&["one"]).as_bytes()));
    assert!(refused(&project, "unsupported").contains(".jsonl.gz"));
}

#[test]
fn a_split_keeps_the_shares_of_the_corpora_where_it_is_asked_to() {
    // S7
    let printed = prints(
        r#"
        let c = corpus::load("prose");
        let plain = c.split();
        let even = c.split(#{ stratify: true });
        print(even.test.bytes.to_float() / c.bytes.to_float());
        print(even.test.documents + even.train.documents == c.documents);
        print(plain.test.documents);
        print(even.test.documents);
        print(c.split(#{ stratify: false }).test.documents == plain.test.documents);
    "#,
    );
    let values: Vec<&str> = printed.lines().collect();
    let share: f64 = values[0].parse().expect("a float");
    assert!((0.05..0.06).contains(&share), "{printed}");
    assert_eq!((values[1], values[4]), ("true", "true"), "{printed}");
    // Chapters of the Bible and of novels are short: in even shares there are far more of them.
    let documents: Vec<usize> = values[2..4].iter().map(|value| value.parse().expect("an int")).collect();
    assert!(documents[1] > documents[0], "{printed}");
}

#[test]
fn a_stratified_split_of_a_folder_takes_from_each_file() {
    // S7
    let project = Project::with(
        r#"
        let even = corpus::load("data").split(#{ stratify: true, test_fraction: 0.2 });
        let text = even.test.head(1_000_000);
        print([text.contains("short"), text.contains("long"), text.contains("single")]);
        print(even.train.head(1_000_000).contains("single"));
        print(even.test.documents);
    "#,
    );
    let short: Vec<String> = (0..50).map(|i| format!("short {i}")).collect();
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    let long: Vec<String> = (0..5).map(|i| format!("long {i} ").repeat(500)).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    project.write("data/a.jsonl", lines(&short));
    project.write("data/b.jsonl", lines(&long));
    project.write("data/c.txt", "single\n".repeat(100));
    assert_eq!(project.prints(), "[true, true, true]\ntrue\n12\n");
}
