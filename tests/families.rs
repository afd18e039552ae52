//! Target models of other families: against what transformers and transformer_lens compute (tests/oracle/families.py), against real
//! models, and against files that were made to do harm.

mod gguf;
mod hostile;

use std::path::{Path, PathBuf};

use saerun::corpus::Corpus;
use saerun::error::{Code, Result};
use saerun::model::load::safetensors;
use saerun::model::{LoadOptions, LossOptions, TargetModel, files, load};
use saerun::ops::attention::{Heads, attention};
use saerun::ops::rms_norm::{rms_norm, rms_norm_reference};
use saerun::ops::rotary::Rotary;
use saerun::progress::Silent;
use saerun::rng::Rng;

use crate::model::close;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/families").join(name)
}

fn options(change: impl FnOnce(&mut LoadOptions)) -> LoadOptions {
    let mut options = LoadOptions::default();
    change(&mut options);
    options
}

fn logits(model: &TargetModel, ids: &[u32]) -> Result<Vec<f32>> {
    Ok(model.logits(ids)?.into_iter().map(|x| x as f32).collect())
}

fn tokens() -> Vec<u32> {
    (0..16).map(|i| (7 * i + 3) % 50).collect()
}

/// The rows at a hook for the tokens of the oracle.
fn rows(model: &TargetModel, hook: &str) -> Result<Vec<f32>> {
    let mut found = Vec::new();
    model.rows_at(&tokens(), hook, &mut |rows| {
        found.extend_from_slice(rows);
        Ok(())
    })?;
    Ok(found)
}

/// Every hook and the logits, under names that begin with `prefix`.
fn agrees(name: &str, model: &TargetModel, prefix: &str) -> Result<()> {
    let mut expected = safetensors::open(&folder(&format!("{name}.expected.safetensors")))?;
    for hook in model.hooks() {
        let oracle = expected.take(&format!("{prefix}{hook}"), &[16, model.hook_width(&hook)?])?;
        close(&format!("{name} {prefix}{hook}"), &rows(model, &hook)?, &oracle, 2e-5);
    }
    close(
        &format!("{name} {prefix}logits"),
        &logits(model, &tokens())?,
        &expected.take(&format!("{prefix}logits"), &[16, 50])?,
        5e-5,
    );
    Ok(())
}

#[test]
fn hugging_face_models_agree_with_transformers() -> Result<()> {
    for (name, family, bos, hooks) in [
        ("gpt2", "gpt2", 0, 12),
        ("neox", "gpt_neox", 0, 10),
        ("neox-sequential", "gpt_neox", 0, 12),
        ("llama", "llama", 1, 12),
        ("llama-3", "llama", 1, 12),
    ] {
        let model = load::path(&folder(name), &LoadOptions::default())?;
        agrees(name, &model, "")?;
        assert_eq!(model.hooks().len(), hooks, "{name}");
        let config = model.description();
        assert_eq!((&config["family"], &config["bos_id"]), (&family.into(), &bos.into()), "{name}");
        assert_eq!(config["marks_from"], "config.json");
    }
    Ok(())
}

#[test]
fn transformer_lens_models_agree_with_transformer_lens() -> Result<()> {
    for (name, hooks) in [("gelu", 12), ("solu", 12), ("attn-only", 6)] {
        let model = load::path(&folder(name), &LoadOptions::default())?;
        agrees(name, &model, "")?;
        assert_eq!(model.hooks().len(), hooks, "{name}");
        let centered = load::path(&folder(name), &options(|o| o.center_writing_weights = true))?;
        agrees(name, &centered, "centered.")?;
        assert_ne!(model.digest()?, centered.digest()?);
        assert_eq!(centered.description()["center_writing_weights"], true);
    }
    assert_eq!(load::path(&folder("gelu").join("model_final.pth"), &LoadOptions::default())?.name(), "gelu");
    Ok(())
}

/// Centering changes what hooks show and nothing else, in every family that reads by LayerNorm.
#[test]
fn centered_models_say_the_same() -> Result<()> {
    let center = options(|o| o.center_writing_weights = true);
    for name in ["gpt2", "neox", "neox-sequential", "gelu", "solu", "attn-only"] {
        let (plain, centered) =
            (load::path(&folder(name), &LoadOptions::default())?, load::path(&folder(name), &center)?);
        close(name, &logits(&centered, &tokens())?, &logits(&plain, &tokens())?, 1e-4);
        let hook = "blocks.1.hook_attn_out";
        let mean =
            |rows: &[f32]| rows.chunks_exact(16).map(|row| row.iter().sum::<f32>().abs() / 16.0).fold(0.0, f32::max);
        assert!(mean(&rows(&centered, hook)?) < 1e-5 && mean(&rows(&plain, hook)?) > 1e-2, "{name}");
    }
    let refused = load::path(&folder("llama"), &center).map(|_| ()).expect_err("an error");
    assert_eq!(refused.code, Code::Unsupported);
    let own = TargetModel::load("sotu-1l")?;
    let centered = TargetModel::load_with("sotu-1l", &center)?;
    let ids: Vec<u32> = (0..30).collect();
    close("sotu-1l", &logits(&centered, &ids)?, &logits(&own, &ids)?, 1e-4);
    assert_ne!(own.digest()?, centered.digest()?);
    Ok(())
}

#[test]
fn saved_models_come_back_bit_by_bit() -> Result<()> {
    for name in ["gpt2", "neox", "llama", "llama-3", "gelu", "solu", "attn-only"] {
        for center in [false, !name.starts_with("llama")] {
            let model = load::path(&folder(name), &options(|o| o.center_writing_weights = center))?;
            let all = files::to_files(&model)?;
            let [config, weights, tokenizer] = all.as_slice() else { panic!("three files") };
            let again = files::from_bytes(name, &config.1, &weights.1, &tokenizer.1)?;
            assert_eq!(again.digest()?, model.digest()?, "{name}");
            assert_eq!(again.description(), model.description(), "{name}");
        }
    }
    Ok(())
}

/// What scripts do with a model works for every family; contexts begin as the family has it.
#[test]
fn every_family_scores_and_generates() -> Result<()> {
    let text =
        Corpus::new("words", (0..20).map(|i| format!("w{} w{} w{} w9 w{}", 3 + i, 40 - i, 4 + i, 5 + i)).collect());
    for name in ["gpt2", "neox", "llama", "gelu", "attn-only"] {
        let model = load::path(&folder(name), &options(|o| o.n_ctx = Some(12)))?;
        assert_eq!((model.config().n_ctx, &model.description()["n_ctx_max"]), (12, &16.into()));
        let loss = model.ce_loss(&text, &LossOptions::default(), &Silent)?;
        assert!(loss.is_finite() && loss > 0.0, "{name}");
        let zero_ablate = Some("blocks.1.hook_attn_out".to_string());
        assert_ne!(
            model.ce_loss(&text, &LossOptions { zero_ablate, ..LossOptions::default() }, &Silent)?,
            loss,
            "{name}"
        );
        let written =
            model.generate("w5 w7", &saerun::model::GenerateOptions { tokens: 3, ..Default::default() }, &Silent)?;
        assert!(written.starts_with("w5 w7"), "{written}");
        let bos = model.tokenizer().bos().expect("a token that begins contexts");
        assert!(model.contexts(&text, None, 0)?.chunks(12).all(|context| context[0] == bos), "{name}");
        let without = load::path(&folder(name), &options(|o| o.prepend_bos = Some(false)))?;
        assert_eq!(without.description()["bos_id"], serde_json::Value::Null);
        let stream = without.tokenizer().stream(&text)?;
        let mut all: Vec<u32> = without.contexts(&text, None, 0)?;
        all.sort_unstable();
        let mut whole = stream[..stream.len() / 16 * 16].to_vec();
        whole.sort_unstable();
        assert_eq!(all, whole, "without a token at the beginning, contexts are the stream cut up");
    }
    for n_ctx in [1, 17] {
        let refused =
            load::path(&folder("gpt2"), &options(|o| o.n_ctx = Some(n_ctx))).map(|_| ()).expect_err("an error");
        assert_eq!(refused.code, Code::OutOfRange);
    }
    Ok(())
}

fn normals(n: usize, purpose: &str) -> Vec<f32> {
    let mut values = vec![0.0; n];
    Rng::new(7, purpose).fill_normal(&mut values, 1.0);
    values
}

#[test]
fn rms_norm_is_its_formula() {
    let (x, w) = (normals(5 * 37, "x"), normals(37, "w"));
    let mut out = vec![0.0; x.len()];
    rms_norm(saerun::ops::Rows { data: &x, n: 5, d: 37 }, &w, 1e-5, &mut out);
    let expected: Vec<f32> = x.chunks_exact(37).flat_map(|row| rms_norm_reference(row, &w, 1e-5)).collect();
    close("rms norm", &out, &expected, 1e-6);
    // Of a constant row every value is the weight.
    rms_norm(saerun::ops::Rows { data: &[3.0; 37], n: 1, d: 37 }, &w, 1e-12, &mut out[..37]);
    close("constant", &out[..37], &w, 1e-6);
}

#[test]
fn turned_products_depend_on_distances_alone() {
    let rotary = Rotary::new(64, 6, 100.0, &[1.0, 2.0, 1.0]);
    let (q, k) = (normals(8, "q"), normals(8, "k"));
    let product = |at: usize, seen: usize| {
        let (mut q, mut k) = (q.clone(), k.clone());
        rotary.turn(&mut q, 1, 8, at);
        rotary.turn(&mut k, 1, 8, seen);
        assert_eq!(q[6..], normals(8, "q")[6..], "what is not turned stays");
        q.iter().zip(&k).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    };
    assert!((product(5, 2) - product(43, 40)).abs() < 1e-4);
    assert!((product(5, 2) - product(5, 3)).abs() > 1e-3);
    // The first pair at position 1 is turned by one radian, the second by 1 / (100^(1/3) * 2).
    let mut row = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0];
    rotary.turn(&mut row, 1, 8, 1);
    let second = 0.5 * 100f32.powf(-1.0 / 3.0);
    close("turn", &row, &[1f32.cos(), second.cos(), 0.0, 1f32.sin(), second.sin(), 0.0, 9.0, 9.0], 1e-6);
}

/// Shared keys and values are the same as copies of them, one a head.
#[test]
fn shared_heads_are_copied_heads() {
    let (n, h, kv, w) = (6, 4, 2, 3);
    let shared = Heads { n_ctx: n, n_heads: h, n_kv_heads: kv, width: w };
    let packed = normals(2 * n * shared.packed(), "packed");
    let copied: Vec<f32> = packed
        .chunks_exact(shared.packed())
        .flat_map(|row| {
            let part = |from: usize| (0..h).flat_map(move |head| &row[from + head / 2 * w..from + head / 2 * w + w]);
            row[..h * w].iter().chain(part(h * w)).chain(part((h + kv) * w)).copied().collect::<Vec<f32>>()
        })
        .collect();
    assert_eq!(attention(&packed, shared), attention(&copied, Heads::even(n, h, h * w)));
}

/// A small Llama as the bytes of a `.gguf`.
pub fn tiny_gguf() -> Vec<u8> {
    gguf::tiny(Vec::new()).expect("a file")
}
