//! Corpora, tokenizers, target models and files of activations.

mod activations;
mod corpora;
mod models;
mod stops;
mod tokenizers;

use std::fs;
use std::path::{Path, PathBuf};

use super::Project;

/// A random GPT-2 with its tokenizer, its text, and what transformers computes of both.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/data/tiny-gpt2")
}

/// A project with the tiny model in `m`, its corpus in `docs.jsonl`, and a script.
fn with_tiny(script: &str) -> Project {
    let project = Project::with(script);
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        project.write(&format!("m/{name}"), fs::read(tiny().join("m").join(name)).expect("the tiny model"));
    }
    project.write("docs.jsonl", fs::read(tiny().join("docs.jsonl")).expect("its text"));
    project
}

/// The tokenizer.json of the tiny model.
fn tokenizer() -> serde_json::Value {
    serde_json::from_slice(&fs::read(tiny().join("m/tokenizer.json")).expect("the tokenizer")).expect("JSON")
}

/// The project must end with this error, and without the report of a bug. Gives standard error.
fn refused(project: &Project, code: &str) -> String {
    let ran = project.saerun(&["case.rhai"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(&format!("[{code}]")), "expected [{code}]\n{}", ran.stderr);
    assert!(!ran.stderr.contains("a bug in saerun"), "{}", ran.stderr);
    ran.stderr
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}
