//! Reads that would never end, and memory.

use std::time::{Duration, Instant};

use super::{Project, gzip, refused, with_tiny};

/// A busy machine may take this long to end what should take two seconds.
const SOON: Duration = Duration::from_secs(7);

#[cfg(unix)]
fn pipe(project: &Project, name: &str) {
    let made = std::process::Command::new("mkfifo").arg(project.path().join(name)).status().expect("mkfifo");
    assert!(made.success());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_in_place_of_a_file() {
    // A10
    let loads = [
        ("corpus::load(\"x.txt\");", "x.txt"),
        ("corpus::load(\"x.jsonl.gz\");", "x.jsonl.gz"),
        ("model::load(\"x.gguf\");", "x.gguf"),
        ("model::load(\"x.safetensors\");", "x.safetensors"),
        ("activations::load(\"x.npy\");", "x.npy"),
        ("tensor::load(\"x.npy\");", "x.npy"),
    ];
    for (script, name) in loads {
        let project = Project::with(script);
        pipe(&project, name);
        assert!(refused(&project, "unsupported").contains("a named pipe"), "{script}");
    }
    let project = with_tiny("model::load(\"m\");");
    std::fs::remove_file(project.path().join("m/tokenizer.json")).expect("it was there");
    pipe(&project, "m/tokenizer.json");
    assert!(refused(&project, "unsupported").contains("a named pipe"));
    let project = Project::with("print(corpus::load(\"data\").documents);");
    project.write("data/a.txt", "a\n");
    pipe(&project, "data/b.txt");
    let ran = project.saerun(&["case.rhai"]);
    assert!(ran.code == 0 && ran.stdout == "1\n" && ran.stderr.contains("b.txt"), "{}", ran.stderr);
    let project = Project::new();
    pipe(&project, "x.rhai");
    let ran = project.saerun(&["x.rhai"]);
    assert!(ran.code == 2 && ran.stderr.contains("a named pipe"), "{}", ran.stderr);
}

#[test]
fn one_long_document_takes_memory_of_the_order_of_its_text() {
    // H7
    let text = "It was the best of times, it was the worst of times; the age of wisdom.\n".repeat(120_000);
    let project = with_tiny(
        r#"
        let m = model::load("m");
        for name in ["x.txt", "x.jsonl"] {
            print(m.ce_loss(corpus::load(name), #{ tokens: 640 }) > 1.0);
        }
    "#,
    );
    project.write("x.txt", &text);
    project.write("x.jsonl", format!("{}\n", serde_json::json!({ "text": text })));
    // Of 8.6 MB, the tokenizer would need 1.3 GB at once.
    let ran = project.saerun(&["case.rhai", "--memory", "160MiB"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "true\ntrue\n"), "{}", ran.stderr);
}

#[test]
fn a_document_that_cannot_be_cut_counts_against_the_memory() {
    // H7
    let project = with_tiny("model::load(\"m\").ce_loss(corpus::load(\"x.txt\"), #{ tokens: 640 });");
    let mut json = super::tokenizer();
    json["pre_tokenizer"] = serde_json::json!({ "type": "Sequence", "pretokenizers": [
        { "type": "CharDelimiterSplit", "delimiter": "\u{1}" }, json["pre_tokenizer"],
    ] });
    project.write("m/tokenizer.json", json.to_string());
    project.write("x.txt", "some words of a text ".repeat(200_000));
    let ran = project.saerun(&["case.rhai", "--memory", "300MiB"]);
    assert!(ran.code == 1 && ran.stderr.contains("[too-large]"), "{}", ran.stderr);
    assert!(ran.stderr.contains("shorter documents"), "{}", ran.stderr);
}

#[test]
fn a_packed_file_that_grows_beyond_the_memory_is_refused() {
    // H7
    let bomb = gzip(&vec![b'a'; 300 << 20]);
    for name in ["x.txt.gz", "x.jsonl.gz", "x.json.gz"] {
        let project = Project::with(&format!("corpus::load(\"{name}\");"));
        project.write(name, &bomb);
        let ran = project.saerun(&["case.rhai", "--memory", "200MiB"]);
        assert!(ran.code == 1 && ran.stderr.contains("[too-large]"), "{name}: {}", ran.stderr);
    }
}

#[test]
fn many_short_documents_count_against_the_memory() {
    // Point 6
    let project = Project::with("corpus::load(\"x.jsonl\");");
    project.write("x.jsonl", "{\"text\":\"a\"}\n".repeat(1_000_000));
    let ran = project.saerun(&["case.rhai", "--memory", "60MiB"]);
    assert!(ran.code == 1 && ran.stderr.contains("[too-large]"), "{}", ran.stderr);
}

#[test]
fn the_time_limit_stops_tokenizing_and_the_training_of_a_tokenizer() {
    // Point 6
    let text: String = (0..400_000u64).map(|i| format!("w{} {} ", i.wrapping_mul(0x9e37_79b9) % 99_991, i)).collect();
    let slow =
        "model::train(corpus::load(\"x.txt\"), #{ d_vocab: 60_000, d_model: 16, n_heads: 2, d_mlp: 32, n_ctx: 16 });";
    let project = Project::with(slow);
    project.write("x.txt", text.repeat(6));
    let start = Instant::now();
    let ran = project.saerun(&["case.rhai", "--timeout", "1.5"]);
    assert_eq!(ran.code, 124, "{}", ran.stderr);
    assert!(start.elapsed() < Duration::from_millis(1500) + SOON, "{:?}", start.elapsed());
}

#[test]
fn the_default_of_the_memory_is_said() {
    // Point 6
    let ran = Project::new().saerun(&["doctor"]);
    assert!(ran.stdout.contains("by default for a run"), "{}", ran.stdout);
    let ran = Project::new().saerun(&["run", "--help"]);
    assert!(ran.stdout.contains("sixteenth"), "{}", ran.stdout);
}
