//! The readers of weights, arrays, tables and texts.

use std::fs;
use std::io::Write;

use saerun::activations::Activations;
use saerun::corpus::Corpus;
use saerun::host::tensor_file;
use saerun::model::load::{gguf, of_torch, safetensors, tensors::Tensors};
use saerun::model::train::State;
use saerun::model::{self, LoadOptions, TargetModel, files, load};
use saerun::progress::{Checkpoint, Silent};
use saerun::report::table::{Table, Value};
use saerun::report::yaml;
use saerun::sae::agreement;
use saerun::sae::format::{dictionary_learning, neel_nanda, sae_lens, sparsify};
use saerun::store::{Cache, FileCheckpoint, Key, Lock, Script};
use saerun::sweep::Grid;

use super::{folder, fuzz, plain};

/// A torch archive with this pickle and one small storage.
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    archive_with(pickle, &[0u8; 16])
}

fn archive_with(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", storage)] {
        let sizes = [content.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let (length, offset) = ((name.len() as u16).to_le_bytes(), (bytes.len() as u32).to_le_bytes());
        bytes.extend([b"PK\x03\x04".as_slice(), &[0; 14], &sizes, &length, &[0; 2], name.as_bytes(), content].concat());
        directory
            .extend([b"PK\x01\x02".as_slice(), &[0; 16], &sizes, &length, &[0; 12], &offset, name.as_bytes()].concat());
    }
    let (start, size) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(&directory);
    bytes.extend(
        [b"PK\x05\x06".as_slice(), &[0; 4], &[2, 0, 2, 0], &size.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat(),
    );
    bytes
}

/// A file of the repository's tests.
fn file(path: &str) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sae(name: &str) -> Vec<u8> {
    file(&format!("formats/saes/{name}"))
}

/// The header of a safetensors file without its length, and the rest.
fn header(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    (bytes[8..8 + length].to_vec(), bytes[8 + length..].to_vec())
}

/// A safetensors file whose header's length is right whatever the header is.
fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

#[test]
fn safetensors_files() {
    let whole = sae("sparsify/layers.1.mlp/sae.safetensors");
    let read = |bytes: &[u8]| plain(safetensors::add(&mut Tensors::new("x"), "x", bytes));
    fuzz("safetensors", 1.0, std::slice::from_ref(&whole), &read);
    let (head, data) = header(&whole);
    fuzz("safetensors-header", 1.0, &[head], &|bytes| read(&with_header(bytes, &data)));
}

#[test]
fn tensor_files() {
    let root = folder();
    let t = candle_core::Tensor::arange(0f32, 6.0, &candle_core::Device::Cpu)
        .and_then(|t| t.reshape((2, 3)))
        .expect("a tensor");
    let made = |name: &str| {
        tensor_file::write(&root.path().join(name), name, "W", &t).expect("a file");
        fs::read(root.path().join(name)).expect("a file")
    };
    let plain_npy = made("t.npy");
    let (head, data) = (plain_npy[10..128].to_vec(), plain_npy[128..].to_vec());
    let read = |bytes: &[u8]| plain(tensor_file::from_bytes(bytes, "t.npy", None));
    fuzz("npy", 1.0, &[plain_npy], &read);
    fuzz("npy-header", 1.0, &[head], &|head| {
        read(&[b"\x93NUMPY\x02\x00".as_slice(), &(head.len() as u32).to_le_bytes(), head, &data].concat())
    });
    let read = |bytes: &[u8]| plain(tensor_file::from_bytes(bytes, "t.safetensors", None));
    fuzz("tensor-safetensors", 1.0, &[made("t.safetensors")], &read);
}

#[test]
fn torch_files() {
    let read = |bytes: &[u8]| plain(of_torch("x.pth", bytes));
    let files = [sae("neel_nanda/25.pt"), sae("dictionary_learning_AutoEncoderTopK/ae.pt")];
    fuzz("torch", 1.0, &files, &read);
    let pickle = b"}X\x05\0\0\0W_encctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89NtRs.";
    fuzz("torch-pickle", 1.0, &[pickle.to_vec()], &|pickle| read(&archive(pickle)));
}

/// Tensors that show the same numbers again and again would fill any memory.
#[test]
fn repeated_tensors_are_refused() {
    let head = b"}(X\x05\0\0\0W_encctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89NtRq\0";
    let mut pickle = head.to_vec();
    for i in 0..3000u32 {
        pickle.extend([&b"X\x04\0\0\0"[..], format!("{i:04}").as_bytes(), b"h\0"].concat());
    }
    pickle.extend(b"u.");
    assert_eq!(plain(of_torch("x", &archive(&pickle))), Ok(true));
    let small = b"K\x02K\x02\x86K\x02K\x01\x86";
    let at = pickle.windows(small.len()).position(|window| window == small).expect("the shape and the strides");
    let wide = [&pickle[..at], b"J\0\0\x04\0K\x01\x86K\x01K\x01\x86", &pickle[at + small.len()..]].concat();
    assert_eq!(plain(of_torch("x", &archive_with(&wide, &vec![0u8; 1 << 20]))), Ok(false));
}

#[test]
fn gguf_files() {
    let read = |bytes: &[u8]| plain(gguf::from_bytes("x.gguf", bytes, &LoadOptions::default()));
    fuzz("gguf", 0.2, &[crate::families::tiny_gguf()], &read);
}

#[test]
fn saes_of_every_format() {
    type Read = fn(&[u8], &[u8]) -> saerun::error::Result<saerun::sae::Sae>;
    let lens: Read = |cfg, weights| sae_lens::from_files(cfg, weights, None);
    let sparse: Read = |cfg, weights| sparsify::from_files(cfg, weights, None);
    let folders: [(&str, Read, &str, &str); 9] = [
        ("sae_lens_topk_rescaled", lens, "cfg.json", "sae_weights.safetensors"),
        ("sae_lens_jumprelu", lens, "cfg.json", "sae_weights.safetensors"),
        ("sae_lens_gated", lens, "cfg.json", "sae_weights.safetensors"),
        ("sae_lens_v5", lens, "cfg.json", "sae_weights.safetensors"),
        ("sparsify/layers.1.mlp", sparse, "cfg.json", "sae.safetensors"),
        ("dictionary_learning_GatedAutoEncoder", dictionary_learning::from_files, "config.json", "ae.pt"),
        ("dictionary_learning_BatchTopKSAE", dictionary_learning::from_files, "config.json", "ae.pt"),
        ("dictionary_learning_MatryoshkaBatchTopKSAE", dictionary_learning::from_files, "config.json", "ae.pt"),
        ("neel_nanda", neel_nanda::from_files, "25_cfg.json", "25.pt"),
    ];
    for (name, read, cfg, weights) in folders {
        let (cfg, weights) = (sae(&format!("{name}/{cfg}")), sae(&format!("{name}/{weights}")));
        let short = name.replace('/', "-");
        fuzz(&format!("{short}-config"), 0.3, std::slice::from_ref(&cfg), &|bytes| plain(read(bytes, &weights)));
        fuzz(&format!("{short}-weights"), 0.3, std::slice::from_ref(&weights), &|bytes| plain(read(&cfg, bytes)));
    }
    let ours = br#"{"architecture": "relu", "decoder_norm": "unit", "training": {"d_sae": 4}, "history": [{"step": 1, "tokens": 2, "loss": 1.0, "mse": 1.0, "l0": 1.0, "l1": 1.0, "l1_coefficient": 1.0, "penalty": 0.0, "dead": 0, "lr": 0.1}]}"#;
    let (cfg, weights) = (sae("sae_lens_standard/cfg.json"), sae("sae_lens_standard/sae_weights.safetensors"));
    fuzz("sae_lens-saerun.json", 0.3, &[ours.to_vec()], &|bytes| {
        plain(sae_lens::from_files(&cfg, &weights, Some(bytes)))
    });
    // What travels with an SAE, and its normalization: read, compared and written again.
    let mut full: serde_json::Value = serde_json::from_slice(&cfg).expect("JSON");
    full["normalize_activations"] = "layer_norm".into();
    full["metadata"] = serde_json::json!({
        "sae_lens_version": "6.54.12", "hook_name": "blocks.0.hook_mlp_out", "hook_head_index": null, "model_name": "m", "context_size": 64,
        "model_from_pretrained_kwargs": { "center_writing_weights": true, "revision": "main" }, "prepend_bos": true,
        "seqpos_slice": [1, null], "skip_first": 1, "exclude_special_tokens": [0, 1], "model_digest": "ab",
    });
    let rows = Activations::from_rows((0..24).map(|x| x as f32).collect(), 6, "blocks.1.hook_mlp_out").expect("rows");
    fuzz("sae_lens-metadata", 0.3, &[full.to_string().into_bytes()], &|bytes| {
        plain(sae_lens::from_files(bytes, &weights, None).and_then(|sae| {
            let found = agreement::with_activations(&sae, &rows)?;
            sae_lens::to_files(&sae).map(|files| (found, files))
        }))
    });
}

/// A model of ours, small.
fn small_model() -> TargetModel {
    let text = "the quick brown fox jumps over the lazy dog and the cat sat on the mat\n".repeat(60);
    let options = model::TrainOptions {
        d_model: 4,
        n_heads: 1,
        d_mlp: 4,
        n_ctx: 8,
        d_vocab: 270,
        tokens: 16,
        batch_size: 16,
        ..Default::default()
    };
    let corpus = Corpus::new("test", vec![text]);
    model::train(&corpus, &options, &mut saerun::progress::NoCheckpoint, &saerun::progress::Silent).expect("a model")
}

#[test]
fn model_folders_of_ours() {
    let parts = files::to_files(&small_model()).expect("files");
    for i in 0..3 {
        let read = |bytes: &[u8]| {
            let with = |j: usize| if i == j { bytes } else { &parts[j].1 };
            plain(files::from_bytes("m", with(0), with(1), with(2)))
        };
        fuzz(&format!("model-{}", parts[i].0), 0.3, &[parts[i].1.clone()], &read);
    }
}

#[test]
fn model_folders_of_others() {
    for (name, spoiled, weights) in [
        ("gpt2", "config.json", "model.safetensors"),
        ("neox", "config.json", "model.safetensors"),
        ("llama-3", "config.json", ""),
        ("gelu", "config.json", "model_final.pth"),
        ("gelu", "model_final.pth", ""),
        ("neox", "tokenizer.json", ""),
        ("llama", "tokenizer.json", ""),
        ("llama", "model.safetensors.index.json", ""),
    ] {
        let root = folder();
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/families").join(name);
        for entry in fs::read_dir(&from).expect("a folder").flatten() {
            fs::copy(entry.path(), root.path().join(entry.file_name())).expect("a copy");
        }
        assert!(weights.is_empty() || root.path().join(weights).is_file(), "{name} has no {weights}");
        let whole = fs::read(root.path().join(spoiled)).expect("a file");
        let read = |bytes: &[u8]| {
            fs::write(root.path().join(spoiled), bytes).expect("a file");
            plain(load::path(root.path(), &LoadOptions::default()))
        };
        fuzz(&format!("{name}-{spoiled}"), 0.1, &[whole], &read);
    }
}

#[test]
fn texts() {
    let text = "One document\nof two lines\n<|endoftext|>\nanother\n".as_bytes().to_vec();
    fuzz("txt", 1.0, std::slice::from_ref(&text), &|bytes| plain(Corpus::from_bytes("x.txt", bytes)));
    let lines = b"{\"text\": \"one \\u00e4\"}\n\n{\"text\": \"two\", \"n\": [1, 2.5e3, {}]}\n".to_vec();
    fuzz("jsonl", 1.0, &[lines], &|bytes| plain(Corpus::from_bytes("x.jsonl", bytes)));
    let packed = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("a gzip")
    };
    let read = |bytes: &[u8]| plain(Corpus::from_bytes("x.txt.gz", bytes));
    fuzz(
        "gz",
        1.0,
        &[packed(&text), packed(&[packed(&text), text.repeat(50)].concat().escape_ascii().to_string().into_bytes())],
        &read,
    );
    fuzz("gz-text", 1.0, &[text], &|bytes| read(&packed(bytes)));
}

/// A gzip of nothing but zeros, a thousand times smaller than what it unpacks to, is read in steps up to what memory allows.
#[test]
fn a_gzip_bomb_takes_what_it_holds_and_no_more() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b'a'; 1 << 20]).expect("a gzip");
    }
    let bomb = packer.finish().expect("a gzip");
    let (read, held, _) = super::memory::measured(|| Corpus::from_bytes("x.txt.gz", &bomb).map(|c| c.bytes()));
    assert_eq!(read.expect("a text"), (64 << 20) + 1);
    assert!(bomb.len() < 1 << 17 && held < 5 * (64 << 20), "{} {held}", bomb.len());
}

#[test]
fn tables() {
    let table = Table::from_columns(vec![
        ("name".into(), vec![Value::Text("a, \"b\"".into()), Value::Null]),
        ("x".into(), vec![Value::Float(0.5), Value::Float(-1e300)]),
        ("n".into(), vec![Value::Int(1), Value::Int(i64::MIN)]),
    ]);
    let csv = table.and_then(|t| t.to_csv(&Silent)).expect("a table");
    let more = b"a,b\n1,2.5\n,x\n\"q\"\"q\",\"new\nline\"\n".to_vec();
    fuzz("csv", 1.0, &[csv.into(), more], &|bytes| plain(Table::from_csv(bytes, &Silent)));
}

/// What the harness has found: polars panics where a quoted field is one byte.
#[test]
fn quotes_without_their_other_half_are_refused() {
    for (text, line) in [("a,b\n1,2\".5\n,x\n\"", 2), ("a,b\n1,2\n\"", 3), ("a\n\"x\"y\n", 2), ("a\n\"x\n\ny\n", 2)] {
        let error = Table::from_csv(text.as_bytes(), &Silent).map(|_| ()).expect_err(text);
        assert_eq!(error.code, saerun::error::Code::DamagedFile);
        assert!(error.facts[0].1.ends_with(&format!("line {line}")), "{text}: {error}");
    }
    let table = Table::from_csv("\u{feff}\"a\",b\r\n\"x \"\"y\"\"\",\"1\n2\"\r\n\"\",\r\n".as_bytes(), &Silent)
        .expect("a table");
    assert_eq!((table.columns(), table.height()), (vec!["a".to_string(), "b".to_string()], 2));
}

#[test]
fn yaml_files() {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let params = b"seed: 3\nlr: 1e-3\nnames: [a, \"b\"]\nmore: &x {a: 1}\nsame: *x\n".to_vec();
    fuzz("yaml-params", 1.0, &[params], &|bytes| plain(yaml::parse_params(&text(bytes))));
    let grid =
        b"script: a.rhai\naxes:\n  seed: 0..4\n  lr: [0.1, 0.2]\nfixed: {n: 1}\nexclude:\n  - {seed: 1}\n".to_vec();
    fuzz("yaml-grid", 1.0, &[grid], &|bytes| {
        let text = text(bytes);
        yaml::position(&text, &["axes".into(), "lr".into(), "1".into()]);
        plain(yaml::read::<Grid>(&text, "the grid").map_err(|located| located.error))
    });
    let lock = Lock {
        kernel: Some("avx2".into()),
        saerun: "0".into(),
        script: Script { file: "a.rhai".into(), blake3: "00".into(), imports: [("b".into(), "1".into())].into() },
        params: [("seed".into(), 1.into())].into(),
        steps: Vec::new(),
        inputs: Default::default(),
        files: Default::default(),
        outputs: Default::default(),
    };
    let lock = yaml::lock_to_yaml(&lock).expect("a lock").into_bytes();
    fuzz("yaml-lock", 1.0, &[lock], &|bytes| plain(yaml::lock_from_yaml(&text(bytes))));
}

#[test]
fn files_of_our_own() {
    let root = folder();
    let rows = Activations::from_rows((0..24).map(|x| x as f32).collect(), 4, "blocks.0.hook_mlp_out").expect("rows");
    let whole = rows.to_bytes().expect("bytes");
    let path = root.path().join("rows.safetensors");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("a file");
        plain(Activations::open(&path, None, Box::new(|| Ok(()))).and_then(|rows| rows.sample(1, 0)))
    };
    let (head, data) = header(&whole);
    fuzz("activations", 0.5, &[whole], &read);
    fuzz("activations-header", 0.5, &[head], &|bytes| read(&with_header(bytes, &data)));

    let place = root.path().join("state.checkpoint");
    FileCheckpoint::new(place.clone(), true).save(b"a state").expect("a file");
    let whole = fs::read(&place).expect("a file");
    fuzz("checkpoint-file", 0.5, &[whole], &|bytes| {
        fs::write(&place, bytes).expect("a file");
        Ok(FileCheckpoint::new(place.clone(), true).load().is_some())
    });
    let state = [&9u64.to_le_bytes()[..], b"{\"step\":1,\"loss_sum\":0.5,\"history\":[]}", &[0; 24]].concat();
    let length = (state.len() - 8 - 24) as u64;
    let state = [&length.to_le_bytes()[..], &state[8..]].concat();
    fuzz("model-checkpoint", 1.0, &[state], &|bytes| Ok(State::from_bytes(bytes, &[2]).is_some()));

    let cache = Cache::open(root.path().join("cache"), true);
    let key = Key { function: "f".into(), version: 1, options: serde_json::json!({ "a": 1 }), inputs: Vec::new() };
    let fill = |folder: &std::path::Path| saerun::store::write_atomic(&folder.join("result.json"), b"{\"a\": 1}");
    for name in ["manifest.json", "result.json"] {
        let entry = cache.put(&key, &mut |folder| fill(folder)).expect("an entry");
        let read = |name: &str| (entry.dir().join(name), fs::read(entry.dir().join(name)).expect("a file"));
        let other: Vec<_> =
            ["manifest.json", "result.json"].map(read).into_iter().filter(|(path, _)| !path.ends_with(name)).collect();
        let whole = read(name).1;
        fuzz(&format!("cache-{name}"), 0.3, &[whole], &|bytes| {
            // A damaged entry is removed, and nothing else would then be looked at.
            if !entry.dir().exists() {
                fs::create_dir(entry.dir()).expect("a folder");
                other.iter().for_each(|(path, whole)| fs::write(path, whole).expect("a file"));
            }
            fs::write(entry.dir().join(name), bytes).expect("a file");
            Ok(cache.get(&key, &|_| ()).is_some())
        });
    }
}
