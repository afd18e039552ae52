//! Files of other tools, both ways. `tests/formats/` holds SAEs that the tools themselves made, each with inputs and what the tool makes of
//! them (`tests/oracle/sae_formats.py`); with `SAERUN_PYTHON` naming a Python that has the tools, they are made afresh, and read ours.

use std::path::{Path, PathBuf};

use saerun::error::{Code, Error};
use saerun::rng::Rng;
use saerun::sae::format::{self, Format, dictionary_learning, neel_nanda, sae_lens, sparsify};
use saerun::sae::{self, Activation, Config, DecoderNorm, Sae};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

mod mutation;
mod parquet;
mod peer;
mod tensor;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/saes")
}

/// Every SAE below a folder: the path to load, and the folder with what is expected of it.
pub fn saes(root: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
        if folder.join("expected.safetensors").exists() {
            let pair = folder.join("25.pt");
            found.push((if pair.exists() { pair } else { folder.clone() }, folder));
        }
    }
    found.sort();
    found
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = tensors.tensor(name).unwrap();
    assert_eq!(view.dtype(), Dtype::F32);
    view.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
}

/// Largest differences from what is expected, as shares of the largest number: of the codes and of the reconstructions.
pub fn differences(sae: &Sae, expected: &Path) -> [f64; 2] {
    let bytes = std::fs::read(expected.join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (codes, out) = (floats(&tensors, "codes"), floats(&tensors, "reconstructions"));
    let scale = codes.iter().chain(&out).fold(0.0f64, |max, x| max.max(f64::from(*x).abs()));
    let x = floats(&tensors, "x");
    let ours = sae::encode(sae, &x).unwrap();
    assert!(ours.active() > 0);
    let far = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).fold(0.0, |max: f64, (a, b)| max.max((f64::from(*a) - f64::from(*b)).abs())) / scale
    };
    [far(&ours.to_dense(), &codes), far(&sae::decode(sae, &ours).unwrap(), &out)]
}

/// An SAE of random weights.
pub fn random(architecture: &str, activation: fn(usize) -> Activation, centered: bool) -> Sae {
    let (d_in, d_sae) = (16, 40);
    let config = Config {
        architecture: architecture.into(),
        d_in,
        d_sae,
        hook_name: "blocks.0.hook_mlp_out".into(),
        model_name: "tiny".into(),
        context_size: Some(64),
        decoder_norm: DecoderNorm::Unit,
        apply_b_dec_to_input: centered,
        normalize_activations: "none".into(),
        training: serde_json::Value::Null,
        metadata: Default::default(),
        other: Default::default(),
    };
    let mut rng = Rng::new(1, "test formats");
    let mut normals = |n: usize| {
        let mut out = vec![0.0; n];
        rng.fill_normal(&mut out, 0.5);
        out
    };
    let (w_enc, b_enc, b_dec) = (normals(d_in * d_sae), normals(d_sae), normals(d_in));
    Sae::new(config, activation(d_sae), w_enc, b_enc, rng.directions(d_sae, d_in), b_dec).unwrap()
}

/// One of every kind that we write.
pub fn ours() -> Vec<(&'static str, Sae)> {
    vec![
        ("relu", random("relu", |_| Activation::Relu, true)),
        ("relu_without_b_dec", random("relu", |_| Activation::Relu, false)),
        ("topk", random("topk", |_| Activation::TopK { k: 5 }, true)),
        ("batch_topk", random("batch_topk", |n| Activation::Threshold(vec![0.8; n]), true)),
        ("matryoshka", random("matryoshka_batch_topk", |n| Activation::Threshold(vec![0.8; n]), true)),
        (
            "jumprelu",
            random("jumprelu", |n| Activation::Threshold((0..n).map(|i| i as f32 / n as f32).collect()), true),
        ),
        (
            "gated",
            random(
                "gated",
                |n| Activation::Gated {
                    r_mag: (0..n).map(|i| 0.3 - 0.5 * i as f32 / n as f32).collect(),
                    b_mag: (0..n).map(|i| 0.2 * i as f32 / n as f32).collect(),
                },
                true,
            ),
        ),
    ]
}

pub fn write(dir: &Path, files: &[(String, Vec<u8>)]) {
    std::fs::create_dir_all(dir).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// Leaves the inputs and what we make of them beside an SAE, for the other tool to compare.
pub fn leave(dir: &Path, sae: &Sae) {
    let mut x = vec![0.0; 64 * sae.config.d_in];
    Rng::new(2, "test formats").fill_normal(&mut x, 1.0);
    let codes = sae::encode(sae, &x).unwrap();
    let out = sae::decode(sae, &codes).unwrap();
    let tensors = [
        ("x", x, sae.config.d_in),
        ("codes", codes.to_dense(), sae.config.d_sae),
        ("reconstructions", out, sae.config.d_in),
    ];
    let bytes = tensors.map(|(name, values, width)| {
        (name, [64, width], values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
    });
    let views =
        bytes.iter().map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    std::fs::write(dir.join("expected.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn saes_of_other_tools_compute_what_they_do_there() {
    let all = saes(&fixtures());
    assert_eq!(all.len(), 16);
    for (path, folder) in all {
        let sae = format::load(&path).unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        let [codes, reconstructions] = differences(&sae, &folder);
        assert!(codes < 1e-5 && reconstructions < 1e-5, "{}: {codes} {reconstructions}", path.display());
        assert!(sae.history.is_empty() && sae.config.training.is_null());
    }
}

#[test]
fn names_and_architectures_are_recorded() {
    let load = |name: &str| format::load(&fixtures().join(name)).unwrap().config;
    let place = |config: &Config| (config.model_name.clone(), config.hook_name.clone(), config.context_size);
    let tiny = ("tiny".to_string(), "blocks.1.hook_mlp_out".to_string(), Some(64));
    for (name, architecture) in [
        ("sae_lens_standard", "relu"),
        ("sae_lens_topk_rescaled", "topk"),
        ("sae_lens_v5", "topk"),
        ("sae_lens_jumprelu", "jumprelu"),
        ("sae_lens_gated", "gated"),
        ("dictionary_learning_AutoEncoderNew", "relu"),
        ("dictionary_learning_AutoEncoderTopK", "topk"),
        ("dictionary_learning_BatchTopKSAE", "batch_topk"),
        ("dictionary_learning_MatryoshkaBatchTopKSAE", "matryoshka_batch_topk"),
        ("dictionary_learning_JumpReluAutoEncoder", "jumprelu"),
        ("dictionary_learning_GatedAutoEncoder", "gated"),
    ] {
        let config = load(name);
        assert_eq!((config.architecture.as_str(), place(&config)), (architecture, tiny.clone()), "{name}");
        assert_eq!((config.d_sae, config.d_in), (10, 6));
        let reads_x = ["dictionary_learning_AutoEncoderNew", "dictionary_learning_JumpReluAutoEncoder"].contains(&name);
        assert_eq!(config.apply_b_dec_to_input, !reads_x, "{name}");
    }
    let sparsify = load("sparsify/layers.1.mlp");
    assert_eq!(place(&sparsify), (String::new(), "blocks.1.hook_mlp_out".into(), None));
    let neel = load("neel_nanda/25.pt");
    assert_eq!(place(&neel), ("gelu-1l".into(), "blocks.0.hook_mlp_out".into(), Some(128)));
}

#[test]
fn every_architecture_goes_through_a_folder_and_sparsify_takes_top_k_only() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sae) in ours() {
        for format in Format::WRITTEN {
            let dir = folder.path().join(format.name()).join(name);
            match format::to_files(&sae, format) {
                Ok(files) => write(&dir, &files),
                Err(error) => {
                    assert!(format == Format::Sparsify && name != "topk", "{error:?}");
                    assert_eq!(error.code, Code::Unsupported);
                    continue;
                }
            }
            assert_eq!(Format::of(&dir).unwrap(), format);
            assert!(crate::sae::plain_facts(format::load(&dir).unwrap()) == sae, "{name} as {}", format.name());
        }
    }
    // An encoder that reads x: only with b_dec 0 is it the same.
    let mut sae = random("topk", |_| Activation::TopK { k: 5 }, false);
    assert_eq!(sparsify::to_files(&sae).unwrap_err().code, Code::Unsupported);
    sae.b_dec.fill(0.0);
    assert!(sparsify::to_files(&sae).is_ok());
    assert_eq!(format::to_files(&sae, Format::NeelNanda).unwrap_err().code, Code::Unsupported);
    assert_eq!(Format::written("sparsfy").unwrap_err().help.as_deref(), Some("did you mean `sparsify`?"));
}

#[test]
fn a_difference_is_seen() {
    let (_, sae) = ours().remove(2);
    let same = sae::difference(&sae, &sae, 100, 0).unwrap();
    assert_eq!((same.codes, same.reconstructions, same.l0), (0.0, 0.0, 5.0));
    assert!(same.within(0.0));
    let mut other = sae.clone();
    other.w_dec[3] += 0.01;
    let found = sae::difference(&sae, &other, 100, 0).unwrap();
    assert!(found.codes == 0.0 && found.reconstructions > 0.0 && !found.within(1e-5), "{found:?}");
    other.w_dec[3] = f32::NAN;
    assert!(!sae::difference(&sae, &other, 100, 0).unwrap().within(1e-5));
    let small = format::load(&fixtures().join("sae_lens_topk")).unwrap();
    assert_eq!(sae::difference(&sae, &small, 100, 0).unwrap_err().code, Code::ShapeMismatch);
}

/// The bytes of a file with a key changed.
fn with(path: &Path, key: &[&str], value: serde_json::Value) -> Vec<u8> {
    let mut all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    *key.iter().fold(&mut all, |at, key| &mut at[*key]) = value;
    serde_json::to_vec(&all).unwrap()
}

#[test]
fn what_is_not_computed_is_named() {
    let of = |error: Error| (error.code, error.message);
    let read = |path: PathBuf| std::fs::read(path).unwrap();

    let dir = fixtures().join("sparsify/layers.1.mlp");
    let weights = read(dir.join("sae.safetensors"));
    for (key, value) in [
        ("activation", "groupmax".into()),
        ("transcode", true.into()),
        ("skip_connection", true.into()),
        ("signed", true.into()),
    ] {
        let (code, message) =
            of(sparsify::from_files(&with(&dir.join("cfg.json"), &[key], value), &weights, None).unwrap_err());
        assert!(code == Code::Unsupported && message.contains(key), "{message}");
    }
    let other = sparsify::from_files(&with(&dir.join("cfg.json"), &["num_latents"], 0.into()), &weights, None);
    assert_eq!(other.unwrap_err().code, Code::ShapeMismatch);

    let dir = fixtures().join("dictionary_learning_AutoEncoderTopK");
    let weights = read(dir.join("ae.pt"));
    let code = |key: &[&str], value: serde_json::Value| {
        dictionary_learning::from_files(&with(&dir.join("config.json"), key, value), &weights).unwrap_err().code
    };
    assert_eq!(code(&["trainer", "dict_class"], "IdentityDict".into()), Code::Unsupported);
    assert_eq!(code(&["trainer", "dict_class"], serde_json::Value::Null), Code::DamagedFile);
    assert_eq!(code(&["trainer", "dict_class"], "AutoEncoder".into()), Code::Unsupported);
    assert_eq!(code(&["trainer", "k"], 4.into()), Code::DamagedFile);

    let dir = fixtures().join("sae_lens_v5");
    let weights = read(dir.join("sae_weights.safetensors"));
    for (key, value) in [
        ("activation_fn_str", "tanh-relu".into()),
        ("architecture", "abstopk".into()),
        ("architecture", "transcoder".into()),
        ("normalize_activations", true.into()),
        ("normalize_activations", "covariance_whitening".into()),
        ("reshape_activations", "hook_z".into()),
    ] {
        let (code, message) =
            of(sae_lens::from_files(&with(&dir.join("cfg.json"), &[key], value), &weights, None).unwrap_err());
        assert!(code == Code::Unsupported && message.contains(key), "{message}");
    }

    assert_eq!(format::load(Path::new("nowhere")).unwrap_err().code, Code::MissingFile);
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixtures().join("neel_nanda/25.pt"), folder.path().join("26.pt")).unwrap();
    assert_eq!(
        neel_nanda::from_path(&folder.path().join("26.pt"), &saerun::progress::Silent).unwrap_err().code,
        Code::MissingFile
    );
    let old = neel_nanda::from_files(b"{}", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap_err();
    assert!(old.code == Code::Unsupported && old.message.contains("1.6"), "{old:?}");
}

#[test]
fn checkpoints_find_their_configuration_above() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures().join("dictionary_learning_GatedAutoEncoder");
    std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
    std::fs::copy(from.join("config.json"), folder.path().join("config.json")).unwrap();
    let checkpoint = folder.path().join("checkpoints/ae_100.pt");
    std::fs::copy(from.join("ae.pt"), &checkpoint).unwrap();
    assert!(format::load(&checkpoint).unwrap() == format::load(&from).unwrap());
    assert!(format::load(&from.join("ae.pt")).unwrap() == format::load(&from).unwrap());
}
