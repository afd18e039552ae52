//! Files that were cut short, changed at random, or made to do harm: an error each time, never a panic.

use std::fs;
use std::io::Write;
use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use saerun::error::{Code, Error};
use saerun::model::{LoadOptions, TargetModel, load};
use serde_json::json;

use super::folder;
use super::gguf::{open, tiny};

/// A copy of an oracle's folder, to be spoiled.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(folder(name)).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), dir.path().join(file.file_name())).expect("a copy");
    }
    dir
}

fn load_dir(dir: &Path) -> Result<TargetModel, Error> {
    load::path(dir, &LoadOptions::default())
}

fn refused(dir: &Path) -> Code {
    load_dir(dir).map(|_| ()).expect_err("an error").code
}

/// Errors that say what is wrong with a file.
fn is_plain(code: Code) -> bool {
    use Code::{DamagedFile, MissingFile, OutOfRange, ShapeMismatch, Unsupported};
    [DamagedFile, MissingFile, OutOfRange, ShapeMismatch, Unsupported].contains(&code)
}

#[test]
fn files_cut_short_are_refused() {
    for (name, file) in
        [("gpt2", "model.safetensors"), ("llama", "model-00002-of-00003.safetensors"), ("gelu", "model_final.pth")]
    {
        let dir = copy(name);
        let whole = fs::read(dir.path().join(file)).expect("a file");
        for length in (0..whole.len()).step_by(whole.len() / 40) {
            fs::write(dir.path().join(file), &whole[..length]).expect("a file");
            assert_eq!(refused(dir.path()), Code::DamagedFile, "{name} {length}");
        }
        fs::remove_file(dir.path().join(file)).expect("a file");
        assert_eq!(refused(dir.path()), Code::MissingFile, "{name}");
    }
    let whole = tiny(Vec::new()).expect("a file");
    for length in (0..whole.len()).step_by(whole.len() / 80) {
        let code = open(&whole[..length]).map(|_| ()).expect_err("an error").code;
        assert!(is_plain(code), "gguf {length}: {code:?}");
    }
}

/// Every value of a configuration in turn becomes one that makes no sense.
#[test]
fn senseless_configurations_are_refused_or_harmless() {
    let senseless = [
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(u64::MAX),
        json!(1e300),
        json!(0.3),
        json!("x"),
        json!([[]]),
        json!({}),
    ];
    for name in ["gpt2", "neox", "llama", "llama-3", "gelu"] {
        let dir = copy(name);
        let path = dir.path().join("config.json");
        let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        for key in whole.as_object().expect("an object").keys() {
            for value in senseless.iter().chain([&json!(null)]) {
                let mut changed = whole.clone();
                changed[key] = value.clone();
                fs::write(&path, changed.to_string()).expect("a file");
                if let Err(error) = load_dir(dir.path()) {
                    assert!(is_plain(error.code), "{name} {key} {value}: {error}");
                }
            }
        }
        let rope = whole.get("rope_parameters").and_then(|rope| rope.as_object());
        for (key, value) in
            rope.into_iter().flat_map(|rope| rope.keys()).flat_map(|key| senseless.iter().map(move |v| (key, v)))
        {
            let mut changed = whole.clone();
            changed["rope_parameters"][key] = value.clone();
            fs::write(&path, changed.to_string()).expect("a file");
            if let Err(error) = load_dir(dir.path()) {
                assert!(is_plain(error.code), "{name} {key} {value}: {error}");
            }
        }
    }
}

#[test]
fn each_fault_has_its_code() {
    let dir = copy("llama");
    let index = r#"{"weight_map": {"lm_head.weight": "../elsewhere.safetensors"}}"#;
    fs::write(dir.path().join("model.safetensors.index.json"), index).expect("a file");
    assert_eq!(refused(dir.path()), Code::DamagedFile, "an index that leads out of its folder");

    let change = |name: &str, from: &str, to: &str| {
        let dir = copy(name);
        let path = dir.path().join("config.json");
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).expect("a file");
        refused(dir.path())
    };
    assert_eq!(change("gpt2", r#""n_embd": 16"#, r#""n_embd": 32"#), Code::ShapeMismatch);
    assert_eq!(change("gpt2", r#""model_type": "gpt2""#, r#""model_type": "bert""#), Code::Unsupported);
    assert_eq!(
        change("gpt2", r#""activation_function": "gelu_new""#, r#""activation_function": "mish""#),
        Code::Unsupported
    );
    assert_eq!(change("llama", r#""bos_token_id": 1"#, r#""bos_token_id": 50"#), Code::DamagedFile);
    assert_eq!(change("llama", r#""num_key_value_heads": 2"#, r#""num_key_value_heads": 3"#), Code::OutOfRange);
    assert_eq!(change("gelu", r#""normalization": "LN""#, r#""normalization": "RMS""#), Code::Unsupported);

    let zero = ("general.alignment", Value::U32(0));
    assert_eq!(open(&tiny(vec![zero]).expect("a file")).map(|_| ()).expect_err("an error").code, Code::DamagedFile);

    let dir = copy("gelu");
    fs::remove_file(dir.path().join("tokenizer.json")).expect("a file");
    let error = load_dir(dir.path()).map(|_| ()).expect_err("an error");
    assert_eq!(error.code, Code::MissingFile);
    assert!(error.help.is_some_and(|help| help.contains("nobody/words")));
    fs::remove_file(dir.path().join("config.json")).expect("a file");
    assert_eq!(refused(dir.path()), Code::Unsupported, "nothing says what the activation function is");
}

/// A pickle inside a zip, as torch packs them.
fn pickle(content: &[u8]) -> tempfile::TempDir {
    let dir = copy("gelu");
    let file = fs::File::create(dir.path().join("model_final.pth")).expect("a file");
    let mut zip = zip::ZipWriter::new(file);
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", stored).expect("an entry");
    zip.write_all(content).expect("an entry");
    zip.finish().expect("a zip");
    dir
}

#[test]
fn pickles_that_were_made_to_do_harm_are_refused() {
    // A million tuples, each in the next: freeing them one inside the other would overflow the stack.
    let nested: Vec<u8> = [vec![0x80, 2, b')'], vec![0x85; 1_000_000], vec![b'.']].concat();
    // Tuples of twice the one before: copying them would fill the memory.
    let doubled: Vec<u8> = [vec![0x80, 2, b')'], [b'q', 0, b'h', 0, 0x86].repeat(200), vec![b'.']].concat();
    // A call of the shell.
    let call = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.".to_vec();
    // A text of four gigabytes in a file of ten bytes.
    let long = b"\x80\x02X\xff\xff\xff\xff.".to_vec();
    for content in [nested, doubled, call, long, b".".to_vec(), b"".to_vec(), b"}h\x05.".to_vec(), b"}u.".to_vec()] {
        assert_eq!(refused(pickle(&content).path()), Code::DamagedFile);
    }
}
