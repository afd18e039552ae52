//! Target models: kernels against candle's autograd, the forward pass against numpy, training, files, patches.

use candle_core::{Device, Tensor, Var};
use saerun::corpus::{Corpus, Tokenizer};
use saerun::error::{Code, Result};
use saerun::model::transformer::{Parameters, Role, Then, forward};
use saerun::model::{ActFn, Architecture, Config, LossOptions, Patch, TargetModel, TrainOptions, files, ngram, train};
use saerun::ops::Rows;
use saerun::ops::attention::{Heads, attention, attention_gradient};
use saerun::ops::cross_entropy::{NO_TARGET, compare, cross_entropy, cross_entropy_gradient};
use saerun::ops::elementary::{erf, exp};
use saerun::ops::gelu::{gelu, gelu_gradient};
use saerun::ops::layer_norm::{EPSILON, layer_norm, layer_norm_gradient};
use saerun::ops::linear::{linear, linear_gradient};
use saerun::ops::muon::{orthogonalize, orthogonalize_reference};
use saerun::progress::{Checkpoint, Monitor, NoCheckpoint, Silent};
use saerun::rng::Rng;

fn normals(n: usize, purpose: &str) -> Vec<f32> {
    let mut values = vec![0.0; n];
    Rng::new(7, purpose).fill_normal(&mut values, 1.0);
    values
}

pub fn close(name: &str, ours: &[f32], reference: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), reference.len(), "{name}");
    for (i, (a, b)) in ours.iter().zip(reference).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{name}[{i}]: {a} is not {b}");
    }
}

fn var(values: &[f32], shape: &[usize]) -> Var {
    Var::from_slice(values, shape, &Device::Cpu).expect("a tensor")
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
}

#[test]
fn exp_and_erf_are_near_the_exact_ones() {
    for i in -8700..8800 {
        let x = i as f32 / 100.0;
        let exact = f64::from(x).exp();
        assert!((f64::from(exp(x)) / exact - 1.0).abs() < 4e-7, "exp({x})");
    }
    assert_eq!(exp(-100.0), 0.0);
    for i in -600..600 {
        let x = f64::from(i) / 100.0;
        let exact = statrs::function::erf::erf(x);
        assert!((f64::from(erf(x as f32)) - exact).abs() < 4e-7, "erf({x})");
    }
}

#[test]
fn kernels_agree_with_candle() -> Result<()> {
    let (n, d, m) = (70, 12, 20);
    let (x, w, b) = (normals(n * d, "x"), normals(d * m, "w"), normals(m, "b"));
    let up = normals(n * m, "up");
    let (vx, vw, vb) = (var(&x, &[n, d]), var(&w, &[d, m]), var(&b, &[m]));
    let upstream = Tensor::from_slice(&up, (n, m), &Device::Cpu)?;
    let rows = Rows { data: &x, n, d };

    let out = vx.matmul(&vw)?.broadcast_add(&vb)?;
    let weights = Rows { data: &w, n: d, d: m };
    close("linear", &linear(rows, weights, &b), &flat(&out), 1e-5);
    let grads = (out * &upstream)?.sum_all()?.backward()?;
    let (gx, gw, gb) = linear_gradient(rows, weights, Rows { data: &up, n, d: m });
    for (name, ours, v) in [("linear x", gx, &vx), ("linear w", gw, &vw), ("linear b", gb, &vb)] {
        close(name, &ours, &flat(grads.get(v.as_tensor()).expect("a gradient")), 1e-4);
    }

    let out = vx.gelu_erf()?;
    let mut ours = vec![0.0; n * d];
    gelu(&x, &mut ours);
    close("gelu", &ours, &flat(&out), 1e-6);
    let upstream = Tensor::from_slice(&up[..n * d], (n, d), &Device::Cpu)?;
    let grads = (out * &upstream)?.sum_all()?.backward()?;
    gelu_gradient(&x, &up[..n * d], &mut ours);
    close("gelu x", &ours, &flat(grads.get(vx.as_tensor()).expect("a gradient")), 1e-5);

    let (scale, shift) = (var(&w[..d], &[d]), var(&b[..d], &[d]));
    let out = candle_nn::ops::layer_norm_slow(&vx, &scale, &shift, 1e-5)?;
    layer_norm(rows, &w[..d], &b[..d], EPSILON, &mut ours);
    close("layer norm", &ours, &flat(&out), 1e-5);
    let grads = (out * &upstream)?.sum_all()?.backward()?;
    let (gx, gw, gb) = layer_norm_gradient(rows, &w[..d], &up[..n * d]);
    for (name, ours, v) in [("norm x", gx, &vx), ("norm w", gw, &scale), ("norm b", gb, &shift)] {
        close(name, &ours, &flat(grads.get(v.as_tensor()).expect("a gradient")), 1e-4);
    }
    Ok(())
}

#[test]
fn muon_makes_a_matrix_orthogonal() {
    for (rows, cols) in [(12, 30), (30, 12), (20, 20)] {
        let x = normals(rows * cols, "muon");
        let ours = orthogonalize(&x, rows, cols);
        close("muon", &ours, &orthogonalize_reference(&x, rows, cols), 2e-4);
    }
    // Of a diagonal matrix the singular values are the entries: all come near 1, with their signs; zero stays zero.
    let mut x = vec![0.0; 6 * 9];
    for (i, value) in [3.0, -1.0, 0.5, 0.1, -0.02].into_iter().enumerate() {
        x[i * 9 + i] = value;
    }
    for (i, y) in orthogonalize(&x, 6, 9).into_iter().enumerate() {
        let near_one = i % 10 == 0 && i < 50;
        assert!(if near_one { (0.65..1.25).contains(&y.abs()) && y * x[i] > 0.0 } else { y.abs() < 1e-6 }, "{i}: {y}");
    }
    assert_eq!(orthogonalize(&[0.0; 6], 2, 3), [0.0; 6]);
}

#[test]
fn attention_agrees_with_candle() -> Result<()> {
    let (contexts, n, h, d) = (3, 5, 2, 8);
    let heads = Heads::even(n, h, d);
    let qkv = normals(contexts * n * 3 * d, "qkv");
    let packed = var(&qkv, &[contexts * n, 3 * d]);
    let part = |i: usize| -> Result<Tensor> {
        Ok(packed.narrow(1, i * d, d)?.reshape((contexts, n, h, d / h))?.transpose(1, 2)?.contiguous()?)
    };
    let (q, k, v) = (part(0)?, part(1)?, part(2)?);
    let mask: Vec<f32> = (0..n * n).map(|i| if i % n > i / n { f32::NEG_INFINITY } else { 0.0 }).collect();
    let scores = (q.matmul(&k.t()?)? / ((d / h) as f64).sqrt())?;
    let scores = scores.broadcast_add(&Tensor::from_vec(mask, (n, n), &Device::Cpu)?)?;
    let out = candle_nn::ops::softmax(&scores, 3)?.matmul(&v)?;
    let out = out.transpose(1, 2)?.reshape((contexts * n, d))?;
    close("attention", &attention(&qkv, heads), &flat(&out), 1e-5);
    let up = normals(contexts * n * d, "up");
    let grads = (out * Tensor::from_slice(&up, (contexts * n, d), &Device::Cpu)?)?.sum_all()?.backward()?;
    let ours = attention_gradient(&qkv, &up, heads);
    close("attention qkv", &ours, &flat(grads.get(packed.as_tensor()).expect("a gradient")), 1e-4);
    Ok(())
}

#[test]
fn cross_entropy_agrees_with_candle() -> Result<()> {
    let (n, d, v) = (600, 6, 9);
    let (h, w) = (normals(n * d, "h"), normals(v * d, "w"));
    let (vh, vw) = (var(&h, &[n, d]), var(&w, &[v, d]));
    let targets: Vec<u32> = (0..n as u32).map(|i| i % v as u32).collect();
    let logits = vh.matmul(&vw.t()?)?;
    let loss = candle_nn::loss::cross_entropy(&logits, &Tensor::new(targets.as_slice(), &Device::Cpu)?)?;
    let grads = loss.backward()?;
    let (hidden, unembed) = (Rows { data: &h, n, d }, Rows { data: &w, n: v, d });
    let (ours, gh, gw) = cross_entropy_gradient(hidden, unembed, &targets);
    let expected = f64::from(loss.to_scalar::<f32>()?);
    assert!((ours - expected).abs() < 1e-5);
    close("hidden", &gh, &flat(grads.get(vh.as_tensor()).expect("a gradient")), 1e-5);
    close("unembedding", &gw, &flat(grads.get(vw.as_tensor()).expect("a gradient")), 1e-5);

    let (sum, count) = cross_entropy(hidden, unembed, &targets);
    assert!((sum / count as f64 - expected).abs() < 1e-5);
    let mut some = targets.clone();
    some[3..].fill(NO_TARGET);
    assert_eq!(cross_entropy(hidden, unembed, &some).1, 3);

    let (ce, kl) = compare(hidden, hidden, unembed, &targets);
    assert!((ce - sum).abs() < 1e-3 && kl.abs() < 1e-3, "a hidden state against itself");
    let zeros = vec![0.0; n * d];
    let (ce, kl) = compare(hidden, Rows { data: &zeros, n, d }, unembed, &targets);
    assert!((ce / n as f64 - (v as f64).ln()).abs() < 1e-5, "zero hidden states give the uniform distribution");
    let p = candle_nn::ops::softmax(&logits, 1)?;
    let by_hand = f64::from((&p * (p.log()? + (v as f64).ln())?)?.sum_all()?.to_scalar::<f32>()?);
    assert!((kl - by_hand).abs() < 1e-2 * by_hand, "{kl} is not {by_hand}");
    Ok(())
}

fn tiny(d_vocab: usize) -> Config {
    Config {
        n_layers: 2,
        d_model: 8,
        n_heads: 2,
        d_mlp: 16,
        act_fn: ActFn::Gelu,
        n_ctx: 6,
        d_vocab,
        trained_on: "nothing".into(),
        tokens: 0,
        seed: 0,
        ce_loss: None,
        architecture: Architecture::default(),
    }
}

#[test]
fn the_forward_pass_is_numpys() -> Result<()> {
    // tests/oracle/transformer.py prints these numbers.
    const MLP_OUT: [f32; 8] = [0.01744, 0.288305, 0.423576, 0.359633, 0.126548, -0.166054, -0.380558, -0.41608];
    const LOSS: f64 = 3.542914;

    let config = tiny(11);
    let mut count = -1.0;
    let parameters = Parameters::build(&config, |shape, role| {
        count += 1.0;
        let n: usize = shape.iter().product();
        let wave = (0..n).map(|i| (0.7 * i as f64 + count).sin());
        let values: Vec<f32> = wave.map(|x| if role == Role::Scale { 1.0 + 0.1 * x } else { 0.3 * x } as f32).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    })?;
    let ids = [0, 3, 7, 1, 10, 4];
    let mut seen = Vec::new();
    let mut mlp_out = Vec::new();
    let hidden = forward(&config, &parameters, &ids, &mut |hook, rows| {
        seen.push(hook.to_string());
        if hook == "blocks.1.hook_mlp_out" {
            mlp_out = flat(rows);
        }
        Ok(Then::Go)
    })?
    .expect("an end");
    close("mlp_out", &mlp_out[5 * 8..], &MLP_OUT, 2e-6);
    let (hidden, w_u) = (flat(&hidden), flat(&parameters.w_e));
    let targets = [3, 7, 1, 10, 4, NO_TARGET];
    let (sum, count) = cross_entropy(Rows { data: &hidden, n: 6, d: 8 }, Rows { data: &w_u, n: 11, d: 8 }, &targets);
    assert!((sum / count as f64 - LOSS).abs() < 2e-6, "{}", sum / count as f64);
    assert_eq!(seen, saerun::model::transformer::hooks(&config), "hooks come in the order of their list");
    Ok(())
}

/// The path without gradients against the readable one: rows at every hook, and the loss.
#[test]
fn inference_is_the_forward_pass() -> Result<()> {
    for act_fn in [ActFn::Gelu, ActFn::SoluLn] {
        let model = train(&story(), &TrainOptions { n_layers: 2, act_fn, ..options() }, &mut NoCheckpoint, &Silent)?;
        let contexts = model.contexts(&story(), None, 0)?;
        let mut expected = std::collections::BTreeMap::new();
        let hidden = forward(model.config(), &model.parameters()?, &contexts, &mut |hook, rows| {
            expected.insert(hook.to_string(), flat(rows));
            Ok(Then::Go)
        })?
        .expect("an end");
        for (hook, expected) in &expected {
            let mut found = Vec::new();
            model.rows_at(&contexts, hook, &mut |rows| {
                found.extend_from_slice(rows);
                Ok(())
            })?;
            close(hook, &found, expected, 2e-5);
        }
        let targets: Vec<u32> =
            (0..contexts.len()).map(|i| if (i + 1) % 16 == 0 { NO_TARGET } else { contexts[i + 1] }).collect();
        let (hidden, w_u) = (flat(&hidden), flat(&model.parameters()?.w_e));
        let rows = |data| Rows { data, n: <[f32]>::len(data) / 16, d: 16 };
        let (sum, count) = cross_entropy(rows(&hidden), rows(&w_u), &targets);
        let loss = model.ce_loss(&story(), &LossOptions::default(), &Silent)?;
        assert!((loss - sum / count as f64).abs() < 1e-5, "{loss}");
    }
    Ok(())
}

fn story() -> Corpus {
    let line = "The quick brown fox jumps over the lazy dog, and the dog sleeps on. ";
    Corpus::new("story", (0..40).map(|i| format!("{i} {}", line.repeat(5 + i % 3))).collect())
}

fn options() -> TrainOptions {
    TrainOptions {
        n_layers: 1,
        d_model: 16,
        n_heads: 2,
        d_mlp: 32,
        n_ctx: 16,
        d_vocab: 290,
        tokens: 64 * 60,
        batch_size: 64,
        lr: 1e-2,
        checkpoint_every: 7,
        ..TrainOptions::default()
    }
}

/// Stops the training when it has asked `limit` times; keeps what it saves.
struct Interrupt {
    limit: u32,
    asked: std::sync::atomic::AtomicU32,
}

impl Monitor for Interrupt {
    fn update(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn stopped(&self) -> bool {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= self.limit
    }
    fn warn(&self, _: &str) {}
}

#[derive(Default)]
struct Kept(Option<Vec<u8>>);

impl Checkpoint for Kept {
    fn load(&mut self) -> Option<Vec<u8>> {
        self.0.clone()
    }
    fn save(&mut self, state: &[u8]) -> Result<()> {
        self.0 = Some(state.to_vec());
        Ok(())
    }
    fn keeps(&self) -> bool {
        true
    }
}

#[test]
fn training_learns_and_depends_on_its_arguments_alone() -> Result<()> {
    let corpus = story();
    let whole = train(&corpus, &options(), &mut NoCheckpoint, &Silent)?;
    let (first, last) = (whole.history()[0].loss, whole.history()[1].loss);
    assert!(last < first && last < 3.0, "the loss falls: {first} to {last}");

    let mut kept = Kept::default();
    let monitor = Interrupt { limit: 25, asked: 0.into() };
    let stopped = train(&corpus, &options(), &mut kept, &monitor).map(|_| ()).expect_err("an interruption");
    assert_eq!(stopped.code, Code::Interrupted);
    assert!(kept.0.is_some());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let resumed = pool.install(|| train(&corpus, &options(), &mut kept, &Silent))?;
    assert_eq!(files::to_files(&whole)?, files::to_files(&resumed)?, "interrupted, and on one thread");
    assert_eq!(whole.history(), resumed.history());

    let other = train(&corpus, &TrainOptions { seed: 1, ..options() }, &mut NoCheckpoint, &Silent)?;
    assert_ne!(whole.digest()?, other.digest()?);
    kept.0 = Some(vec![9; 100]);
    assert_eq!(train(&corpus, &options(), &mut kept, &Silent)?.digest()?, whole.digest()?, "a damaged checkpoint");
    Ok(())
}

#[test]
fn bad_options_are_refused() {
    let refused = |change: fn(&mut TrainOptions)| {
        let mut options = options();
        change(&mut options);
        train(&story(), &options, &mut NoCheckpoint, &Silent).map(|_| ()).expect_err("an error").code
    };
    assert_eq!(refused(|o| o.n_heads = 3), Code::OutOfRange);
    assert_eq!(refused(|o| o.tokens = 3), Code::OutOfRange);
    assert_eq!(refused(|o| o.d_vocab = 100), Code::OutOfRange);
    assert_eq!(refused(|o| o.d_vocab = 60_000), Code::OutOfRange);
    assert_eq!(refused(|o| o.lr = f64::INFINITY), Code::OutOfRange);
}

fn model() -> Result<TargetModel> {
    train(&story(), &TrainOptions { tokens: 64 * 20, ..options() }, &mut NoCheckpoint, &Silent)
}

#[test]
fn files_round_trip_and_damage_is_an_error() -> Result<()> {
    let model = model()?;
    let all = files::to_files(&model)?;
    let [config, weights, tokenizer] = all.as_slice() else { panic!("three files") };
    let again = files::from_bytes("again", &config.1, &weights.1, &tokenizer.1)?;
    assert_eq!(again.digest()?, model.digest()?);
    let damaged =
        |c: &[u8], w: &[u8], t: &[u8]| files::from_bytes("x", c, w, t).map(|_| ()).expect_err("an error").code;
    assert_eq!(damaged(b"{}", &weights.1, &tokenizer.1), Code::DamagedFile);
    assert_eq!(damaged(&config.1, &weights.1[..100], &tokenizer.1), Code::DamagedFile);
    assert_eq!(damaged(&config.1, &weights.1, b"[]"), Code::DamagedFile);
    let other = String::from_utf8_lossy(&config.1).replace("\"d_mlp\": 32", "\"d_mlp\": 33");
    assert_eq!(damaged(other.as_bytes(), &weights.1, &tokenizer.1), Code::ShapeMismatch);
    assert_eq!(TargetModel::load("no such model").map(|_| ()).expect_err("an error").code, Code::MissingFile);
    Ok(())
}

#[test]
fn patches_replace_what_they_say() -> Result<()> {
    let model = model()?;
    let contexts = model.contexts(&story(), None, 0)?;
    let hook = "blocks.0.hook_mlp_out";
    let keep = |_: &mut [f32]| Ok(());
    let zero = |rows: &mut [f32]| {
        rows.fill(0.0);
        Ok(())
    };
    let mean = vec![0.0; 16];
    let patches = [Patch::Replace(&keep), Patch::Zero, Patch::Replace(&zero), Patch::Mean(&mean)];
    let losses = model.patched(&contexts, hook, 1, &patches, &Silent)?;
    assert_eq!(losses.tokens, contexts.len() / 16 * 14, "neither the first position nor the last");
    assert!((losses.patched[0].ce_loss - losses.ce_loss).abs() < 1e-6 && losses.patched[0].kl_div.abs() < 1e-5);
    let zeroed = losses.patched[1];
    assert!(zeroed.kl_div > 1e-4, "the MLP does something");
    for same in &losses.patched[2..] {
        assert_eq!((same.ce_loss, same.kl_div), (zeroed.ce_loss, zeroed.kl_div));
    }
    let options = LossOptions { zero_ablate: Some(hook.into()), ..LossOptions::default() };
    assert_eq!(model.ce_loss(&story(), &options, &Silent)?, zeroed.ce_loss);
    let wrong = model.patched(&contexts, "blocks.0.hook_mlp_outt", 1, &[], &Silent).map(|_| ()).expect_err("an error");
    assert_eq!((wrong.code, wrong.help.as_deref()), (Code::UnknownName, Some("did you mean `blocks.0.hook_mlp_out`?")));
    Ok(())
}

#[test]
fn ngram_models_are_the_closed_forms() {
    // Two tokens in turn: the bigram is all but certain, the unigram a coin.
    let turn: Vec<u32> = (0..1000).map(|i| i % 2).collect();
    let b = ngram::baselines(&turn, &turn, 2).expect("baselines");
    assert!((b.unigram - 2f64.ln()).abs() < 1e-4, "{b:?}");
    assert!(b.bigram < 0.01 && b.bigram_linear < 0.03, "{b:?}");
    // One pair a -> b seen once: Witten and Bell give (1 + 1 p(b)) / (1 + 1) with p(b) = 2 / 4.
    let b = ngram::baselines(&[0, 1], &[0, 1], 2).expect("baselines");
    assert!((b.bigram - -(1.5f64 / 2.0).ln()).abs() < 1e-12, "{b:?}");
}

#[test]
fn a_tokenizer_gives_its_text_back() -> Result<()> {
    let tokenizer = Tokenizer::train(&story(), 290)?;
    assert_eq!((tokenizer.d_vocab(), tokenizer.bos()), (290, Some(0)));
    let text = "The dog, naïve and quick.\n\tNew line";
    assert_eq!(tokenizer.decode(&tokenizer.encode(text)?)?, text);
    assert_eq!(tokenizer.to_json()?, Tokenizer::train(&story(), 290)?.to_json()?, "the same text, the same tokens");
    let again = Tokenizer::from_json(tokenizer.to_json()?.as_bytes())?;
    assert_eq!(again.encode(text)?, tokenizer.encode(text)?);
    let stream = tokenizer.stream(&story())?;
    assert_eq!(stream.iter().filter(|t| **t == 0).count(), 40, "a marker after each document");
    Ok(())
}

#[test]
fn products_agree_with_their_reference() {
    use saerun::ops::matmul::{Threads, View, matmul, matmul_reference};
    let (a, b) = (normals(30 * 20, "a"), normals(25 * 20, "b"));
    for (x, y) in [
        (View::new(&a, 30, 20), View::new(&b, 25, 20).t()),
        (View::new(&a, 20, 30).t(), View::new(&b, 20, 25)),
        (View::strided(&a[3..], 29, 10, 20), View::strided(&b[7..], 10, 12, 40)),
    ] {
        let expected = matmul_reference(x, y);
        for threads in [Threads::One, Threads::All] {
            let columns = expected.len() / if expected.len() == 29 * 12 { 29 } else { 30 };
            let mut out = vec![1.0; expected.len()];
            matmul(&mut out, columns, 0.5, x, y, threads);
            let halves: Vec<f32> = expected.iter().map(|e| e + 0.5).collect();
            close("product", &out, &halves, 1e-5);
        }
    }
}
