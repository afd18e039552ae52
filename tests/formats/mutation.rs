//! Readers on files cut short and on pickles made to do harm; `tests/fuzz.rs` damages files at random.

use std::time::{Duration, Instant};

use saerun::error::Result;
use saerun::sae::Sae;
use saerun::sae::format::{dictionary_learning, neel_nanda, sae_lens, sparsify};

use super::fixtures;
use crate::fuzz::archive;

type Reader = fn(&[u8], &[u8]) -> Result<Sae>;

/// Configuration and weights of one file pair a reader.
fn cases() -> Vec<(&'static str, Reader, Vec<u8>, Vec<u8>)> {
    let read = |name: &str| std::fs::read(fixtures().join(name)).unwrap();
    let folder =
        |name: &str, cfg: &str, weights: &str| (read(&format!("{name}/{cfg}")), read(&format!("{name}/{weights}")));
    let lens: Reader = |cfg, weights| sae_lens::from_files(cfg, weights, None);
    let sparsify: Reader = |cfg, weights| sparsify::from_files(cfg, weights, None);
    let mut cases = Vec::new();
    for name in ["sae_lens_topk_rescaled", "sae_lens_jumprelu", "sae_lens_gated", "sae_lens_v5"] {
        let (cfg, weights) = folder(name, "cfg.json", "sae_weights.safetensors");
        cases.push((name, lens, cfg, weights));
    }
    let (cfg, weights) = folder("sparsify/layers.1.mlp", "cfg.json", "sae.safetensors");
    cases.push(("sparsify", sparsify, cfg, weights));
    for name in ["AutoEncoder", "BatchTopKSAE", "MatryoshkaBatchTopKSAE", "GatedAutoEncoder"] {
        let (cfg, weights) = folder(&format!("dictionary_learning_{name}"), "config.json", "ae.pt");
        cases.push((name, dictionary_learning::from_files, cfg, weights));
    }
    let (cfg, weights) = folder("neel_nanda", "25_cfg.json", "25.pt");
    cases.push(("neel_nanda", neel_nanda::from_files, cfg, weights));
    cases
}

#[test]
fn damaged_saes_are_errors_and_never_panics() {
    let begin = Instant::now();
    for (name, read, cfg, weights) in cases() {
        assert!(read(&cfg, &weights).is_ok(), "{name}");
        for end in (0..weights.len()).step_by(7) {
            assert!(read(&cfg, &weights[..end]).is_err(), "{name}, {end} bytes of the weights");
        }
        for end in 0..cfg.len() - 1 {
            let cut = read(&cfg[..end], &weights);
            assert!(cut.is_err() || cfg[end..].trim_ascii().is_empty(), "{name}, {end} bytes of the configuration");
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(240), "{:?}", begin.elapsed());
}

#[test]
fn hostile_pickles_are_errors_at_once() {
    let begin = Instant::now();
    let tensor = |shape: &[u8], strides: &[u8]| {
        let head = b"}X\x05\0\0\0W_encctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0";
        [head.as_slice(), shape, strides, b"\x89NtRs."].concat()
    };
    let reason = |pickle: &[u8]| neel_nanda::from_files(b"{}", &archive(pickle)).unwrap_err().facts[0].1.clone();
    // A tensor that is whole is missed for its companions, so the archive itself is sound.
    assert_eq!(reason(&tensor(b"K\x02K\x02\x86", b"K\x02K\x01\x86")), "there is no tensor `W_dec`");
    // One number shown a trillion times, more numbers than there are, strides that leave the storage.
    for (shape, strides) in [
        (b"J\0\0\x10\0J\0\0\x10\0\x86".as_slice(), b"K\0K\0\x86".as_slice()),
        (b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"J\xff\xff\xff\x7fK\x01\x86"),
        (b"K\x02K\x02\x86", b"K\x03K\x01\x86"),
        (b"K\x02K\x02\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
    ] {
        assert_eq!(reason(&tensor(shape, strides)), "`W_enc` reaches beyond its values");
    }
    // What doubles with each step, nests without end, promises more than it holds, or uses what is not there.
    let doubling: Vec<u8> = b"Nq\0".iter().chain(b"h\0h\0\x86q\0".repeat(4000).iter()).chain(b".").copied().collect();
    let nested: Vec<u8> = [b"N".as_slice(), &b"\x85".repeat(1 << 20), b"."].concat();
    for pickle in [
        doubling.as_slice(),
        &nested,
        b"X\xff\xff\xff\xffabc",
        b"}r\xff\xff\xff\xff.",
        b"\x8a\xff",
        b"ctorch",
        b"t.",
        b"\x87.",
        b"(0",
        b"",
        b"RRR",
        b"}(K\x01u.",
        b"}X\x05\0\0\0W_encctorch._utils\n_rebuild_tensor_v2\n)Rs.",
        b"}X\x05\0\0\0W_encctorch._utils\n_rebuild_parameter\n)Rs.",
        b"}X\x05\0\0\0W_enccos\nsystem\nX\x02\0\0\0ls\x85Rs.",
    ] {
        assert!(neel_nanda::from_files(b"{}", &archive(pickle)).is_err());
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
