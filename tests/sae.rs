//! The SAE room: kernels against their references, gradients against candle's autograd, training against planted truth.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Device;
use saerun::activations::Activations;
use saerun::error::{Code, Result};
use saerun::ops::Rows;
use saerun::ops::adam::{AdamStep, adam, adam_reference};
use saerun::ops::codes::{Codes, by_latent_reference};
use saerun::ops::decode::{decode, decode_reference};
use saerun::ops::dense::Padded;
use saerun::ops::encode::{encode, encode_reference};
use saerun::ops::matmul::{Threads, View, matmul, matmul_reference};
use saerun::ops::simd::{add_scaled, dot, dot_reference};
use saerun::progress::{Checkpoint, Monitor, NoCheckpoint, Silent};
use saerun::regularizer::Regularizer;
use saerun::rng::Rng;
use saerun::sae::engine::{Engine, Rule, Way, Weights};
use saerun::sae::format::sae_lens;
use saerun::sae::{self, Activation, DecoderNorm, Init, NormalizeActivations, Sae, TrainOptions};

pub fn normals(n: usize, sd: f64, seed: u64) -> Vec<f32> {
    let mut out = vec![0.0; n];
    Rng::new(seed, "test normals").fill_normal(&mut out, sd);
    out
}

pub fn close(a: &[f32], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-30f64, |scale, x| scale.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((f64::from(*a) - b).abs() <= tolerance * scale, "at {i}: {a} is not {b} (scale {scale})");
    }
}

pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// Activations with planted features: a few of `features` unit directions at once, each with a positive amount.
pub fn planted(features: usize, d: usize, active: f64, tokens: usize, seed: u64) -> (Vec<f32>, Activations) {
    let mut rng = Rng::new(seed, "test planted");
    let truth = rng.directions(features, d);
    let mut x = vec![0.0f32; tokens * d];
    for row in x.chunks_exact_mut(d) {
        for feature in truth.chunks_exact(d) {
            if rng.uniform() < active / features as f64 {
                let amount = (0.5 + rng.uniform()) as f32;
                row.iter_mut().zip(feature).for_each(|(x, f)| *x += amount * f);
            }
        }
    }
    (truth, Activations::from_rows(x, d, "blocks.0.hook_mlp_out").unwrap())
}

fn train(activations: &Activations, options: &TrainOptions) -> Result<Sae> {
    sae::train(activations, options, &Regularizer::none(), &mut NoCheckpoint, &Silent)
}

#[test]
fn row_kernels_agree_with_their_references() {
    for n in [1, 31, 32, 33, 512, 700] {
        let (a, b) = (normals(n, 1.0, 1), normals(n, 1.0, 2));
        assert!((f64::from(dot(&a, &b)) - dot_reference(&a, &b)).abs() < 1e-4);
        let mut sum = a.clone();
        add_scaled(&mut sum, 2.0, &b);
        let expected: Vec<f64> = a.iter().zip(&b).map(|(a, b)| f64::from(*a) + 2.0 * f64::from(*b)).collect();
        close(&sum, &expected, 1e-6);
    }
}

#[test]
fn product_agrees_with_three_loops() {
    let (m, k, n) = (37, 19, 53);
    let (a, b) = (normals(m * k, 1.0, 3), normals(n * k, 1.0, 4));
    let (a, b) = (View::new(&a, m, k), View::new(&b, n, k).t());
    let reference = wide(&matmul_reference(a, b));
    let mut out = vec![0.0; m * n];
    matmul(&mut out, n, 0.0, a, b, Threads::One);
    close(&out, &reference, 1e-5);
    matmul(&mut out, n, 1.0, a, b, Threads::All);
    close(&out, &reference.iter().map(|x| 2.0 * x).collect::<Vec<_>>(), 1e-5);
}

#[test]
fn encode_decode_and_transposition_agree_with_their_references() {
    // Ragged in every dimension: several tasks of tokens, two of latents, a row length off the lanes.
    let (n, d, d_sae) = (430, 21, 2100);
    let (x, w) = (normals(n * d, 1.0, 5), normals(d_sae * d, 0.3, 6));
    let bias = vec![-2.0f32; d_sae];
    let w = Rows::new(&w, d_sae, d).unwrap();
    let codes = encode(&Padded::centered(&x, &vec![0.0; d]), w, &bias, None).unwrap();
    let reference = encode_reference(Rows::new(&x, n, d).unwrap(), w, &bias);
    close(&codes.to_dense(), &reference, 1e-5);
    assert_eq!(codes.tokens(), n);
    assert_eq!(Codes::from_dense(&codes.to_dense(), d_sae), codes);

    assert_eq!(codes.by_latent(), by_latent_reference(&codes));

    let b_dec = normals(d, 1.0, 7);
    let mut out = vec![0.0; n * d];
    decode(&codes, w, &b_dec, &mut out);
    close(&out, &decode_reference(&codes.to_dense(), w, &b_dec), 1e-5);
}

#[test]
fn a_token_has_the_same_codes_in_any_company() {
    let (n, d, d_sae) = (1100, 24, 300);
    let (x, w) = (normals(n * d, 1.0, 8), normals(d_sae * d, 0.3, 9));
    let w = Rows::new(&w, d_sae, d).unwrap();
    let (bias, shift) = (vec![-1.0f32; d_sae], vec![0.0; d]);
    let all = encode(&Padded::centered(&x, &shift), w, &bias, None).unwrap();
    let alone = encode(&Padded::centered(&x[1050 * d..1051 * d], &shift), w, &bias, None).unwrap();
    assert_eq!(all.token(1050), alone.token(0));
}

#[test]
fn encode_gives_up_on_dense_codes_and_takes_none() {
    let (d, d_sae) = (16, 128);
    let w = normals(d_sae * d, 1.0, 10);
    let w = Rows::new(&w, d_sae, d).unwrap();
    let bias = vec![0.0; d_sae];
    let x = Padded::centered(&normals(100 * d, 1.0, 11), &vec![0.0; d]);
    assert!(encode(&x, w, &bias, Some(0.1)).is_none());
    assert!(encode(&x, w, &bias, Some(0.9)).is_some());
    assert_eq!(encode(&Padded::zeros(0, d), w, &bias, None).unwrap().tokens(), 0);
}

#[test]
fn adam_agrees_with_the_paper_also_where_nothing_fires() {
    let (lr, beta1, beta2) = (1e-3, 0.9, 0.999);
    let n = 45;
    let mut value = normals(n, 1.0, 12);
    let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
    let mut reference: Vec<[f64; 3]> = value.iter().map(|x| [f64::from(*x), 0.0, 0.0]).collect();
    for t in 1..=20 {
        // No gradient on every other step: moments decay and the parameter still moves.
        let gradient = if t % 2 == 0 { vec![0.0; n] } else { normals(n, 0.01, 100 + t) };
        adam(&AdamStep::new(lr, beta1, beta2, t), &mut value, &mut first, &mut second, &gradient);
        for (r, g) in reference.iter_mut().zip(&gradient) {
            *r = adam_reference(lr, beta1, beta2, t, [r[0], r[1], r[2], f64::from(*g)]);
        }
    }
    close(&value, &reference.iter().map(|r| r[0]).collect::<Vec<_>>(), 1e-6);
    close(&second, &reference.iter().map(|r| r[2]).collect::<Vec<_>>(), 1e-5);
}

fn weights(d: usize, d_sae: usize, norm: DecoderNorm) -> Weights {
    let decoder = match norm {
        DecoderNorm::Unit => Rng::new(13, "test").directions(d_sae, d),
        DecoderNorm::Free => normals(d_sae * d, 0.3, 13),
    };
    let encoder = normals(d_sae * d, 0.3, 14);
    Weights::new(encoder, normals(d_sae, 0.5, 15), decoder, normals(d, 0.5, 16))
}

#[test]
fn loss_and_gradients_agree_with_autograd_both_ways() {
    let (d, d_sae, n, l1) = (24, 300, 1100, 0.07);
    let x = normals(n * d, 1.0, 17);
    for norm in [DecoderNorm::Unit, DecoderNorm::Free] {
        let mut engine = Engine::new(weights(d, d_sae, norm), norm, Rule::Relu, 0.0);
        let (dense, expected) = engine.forward_on(&Device::Cpu, &x).unwrap();
        let (loss, expected) = (expected.mse + l1 * expected.l1, dense.gradients(l1).unwrap());
        for way in [Way::Sparse, Way::Dense] {
            let measured = engine.forward(&x, way);
            let given = measured.mse + l1 * measured.l1;
            assert!((given - loss).abs() < 1e-4 * loss, "{given} is not {loss}");
            let gradients = engine.gradients(l1, None);
            close(&gradients.w_enc, &wide(&expected.w_enc), 2e-5);
            close(&gradients.b_enc, &wide(&expected.b_enc), 2e-5);
            close(&gradients.w_dec, &wide(&expected.w_dec), 2e-5);
            close(&gradients.b_dec, &wide(&expected.b_dec), 2e-5);
        }
    }
}

#[test]
fn a_penalty_adds_to_the_gradients() {
    let (d, d_sae, n) = (24, 300, 100);
    let mut engine = Engine::new(weights(d, d_sae, DecoderNorm::Unit), DecoderNorm::Unit, Rule::Relu, 0.0);
    let (dec, enc) = (normals(d_sae * d, 1.0, 18), normals(d_sae * d, 1.0, 19));
    for way in [Way::Sparse, Way::Dense] {
        engine.forward(&normals(n * d, 1.0, 20), way);
        let (plain, with) = (engine.gradients(0.1, None), engine.gradients(0.1, Some((&dec, &enc))));
        let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a + b)).collect::<Vec<_>>();
        close(&with.w_dec, &sum(&plain.w_dec, &dec), 1e-5);
        close(&with.w_enc, &sum(&plain.w_enc, &enc), 1e-5);
    }
}

#[test]
fn a_step_is_projected_adam() {
    let (d, d_sae, n, l1, lr) = (24, 200, 300, 0.1, 1e-2);
    let x = normals(n * d, 1.0, 21);
    for norm in [DecoderNorm::Unit, DecoderNorm::Free] {
        let before = weights(d, d_sae, norm);
        let mut engine = Engine::new(before.clone(), norm, Rule::Relu, 0.0);
        let mut state = [vec![0.0f64; d_sae * d], vec![0.0f64; d_sae * d]];
        let mut decoder = wide(&before.w_dec.value);
        for t in 1..=3 {
            engine.forward(&x, Way::Sparse);
            let mut gradient = wide(&engine.gradients(l1, None).w_dec);
            for (g, w) in gradient.chunks_exact_mut(d).zip(decoder.chunks_exact(d)) {
                if norm == DecoderNorm::Unit {
                    let radial: f64 = g.iter().zip(w).map(|(g, w)| g * w).sum();
                    g.iter_mut().zip(w).for_each(|(g, w)| *g -= radial * w);
                }
            }
            for (i, g) in gradient.iter().enumerate() {
                let [x, m, v] = adam_reference(lr, 0.9, 0.999, t, [decoder[i], state[0][i], state[1][i], *g]);
                (decoder[i], state[0][i], state[1][i]) = (x, m, v);
            }
            if norm == DecoderNorm::Unit {
                for w in decoder.chunks_exact_mut(d) {
                    let length = w.iter().map(|w| w * w).sum::<f64>().sqrt();
                    w.iter_mut().for_each(|w| *w /= length);
                }
            }
            engine.update(l1, &AdamStep::new(lr, 0.9, 0.999, t), None);
            // Adam's first steps are signs: where a gradient is all rounding, so is the step.
            let far =
                engine.weights.w_dec.value.iter().zip(&decoder).filter(|(a, b)| (f64::from(**a) - **b).abs() > 1e-4);
            assert!(far.count() < 5);
        }
    }
}

#[test]
fn the_measured_way_takes_the_dense_way_while_codes_are_dense() {
    let (d, d_sae, n) = (24, 300, 600);
    let x = normals(n * d, 1.0, 22);
    let weights = weights(d, d_sae, DecoderNorm::Unit);
    let mut engine = Engine::new(weights.clone(), DecoderNorm::Unit, Rule::Relu, 0.0);
    let measured = engine.forward(&x, Way::Measured);
    assert!(engine.density > 0.3);
    let mut dense = Engine::new(weights, DecoderNorm::Unit, Rule::Relu, 0.0);
    assert_eq!(measured, dense.forward(&x, Way::Dense));
    assert_eq!(engine.gradients(0.1, None), dense.gradients(0.1, None));
    assert_eq!(engine.fired(), dense.fired());
}

fn small(d_sae: usize) -> TrainOptions {
    TrainOptions { d_sae, batch_size: 256, lr: 3e-3, l1_coefficient: Some(0.1), ..TrainOptions::default() }
}

#[test]
fn training_starts_sparse_unless_told_otherwise() {
    let (_, activations) = planted(64, 32, 4.0, 4096, 1);
    let first = |init| train(&activations, &TrainOptions { init, ..small(256) }).unwrap().history[0].l0 / 256.0;
    let (sparse, tied) = (first(Init::Sparse), first(Init::Tied));
    assert!(sparse < 0.03, "{sparse}");
    assert!(tied > 0.3, "{tied}");
}

#[test]
fn training_recovers_planted_directions() {
    let (truth, activations) = planted(64, 32, 3.0, 60_000, 2);
    for decoder_norm in [DecoderNorm::Unit, DecoderNorm::Free] {
        let options = TrainOptions { tokens: Some(200_000), decoder_norm, dead: "resample".to_string(), ..small(128) };
        let sae = train(&activations, &options).unwrap();
        let mut sum = 0.0;
        for feature in truth.chunks_exact(32) {
            let cos = |row: &[f32]| dot(row, feature) / dot(row, row).sqrt().max(1e-6);
            sum += sae.w_dec.chunks_exact(32).map(cos).fold(-1.0, f32::max);
        }
        let recovered = sum / 64.0;
        assert!(recovered > 0.9, "{decoder_norm:?}: {recovered}");
        let evaluation = sae::evaluate(&sae, &activations, &Silent).unwrap();
        assert!(evaluation.explained_variance.unwrap() > 0.8, "{evaluation:?}");
        if decoder_norm == DecoderNorm::Unit {
            assert!(sae.w_dec.chunks_exact(32).all(|row| (dot(row, row) - 1.0).abs() < 1e-5));
        }
    }
}

#[test]
fn the_controller_lands_on_its_target() {
    let (_, activations) = planted(128, 32, 6.0, 60_000, 3);
    for (target, l1) in [(4.0, None), (8.0, Some(1.0)), (8.0, Some(0.01))] {
        let options = TrainOptions { tokens: Some(240_000), target_l0: Some(target), l1_coefficient: l1, ..small(256) };
        let sae = train(&activations, &options).unwrap();
        let l0 = sae::evaluate(&sae, &activations, &Silent).unwrap().l0;
        assert!((l0 / target - 1.0).abs() < 0.06, "target {target} from {l1:?}: {l0}");
    }
}

#[test]
fn threads_do_not_move_a_bit() {
    let (_, activations) = planted(64, 32, 4.0, 8192, 4);
    let options = TrainOptions { batch_size: 1000, dead: "resample".to_string(), target_l0: Some(5.0), ..small(300) };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&activations, &options).unwrap())
    };
    assert!(with(1) == with(2));
}

/// Stops a training after some steps.
pub struct StopAfter(AtomicU64, u64);

impl StopAfter {
    pub fn new(steps: u64) -> StopAfter {
        StopAfter(AtomicU64::new(0), steps)
    }
}

impl Monitor for StopAfter {
    fn update(&self, _: &str, done: u64, _: u64, _: &str) {
        self.0.store(done, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= self.1
    }

    fn warn(&self, _: &str) {}
}

#[derive(Default)]
pub struct Memory(Option<Vec<u8>>);

impl Checkpoint for Memory {
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
fn an_interrupted_training_ends_in_the_same_bytes() {
    let (_, activations) = planted(64, 32, 4.0, 8192, 5);
    let options = TrainOptions {
        batch_size: 200,
        dead: "resample".to_string(),
        dead_window: Some(1000),
        target_l0: Some(5.0),
        checkpoint_every: 7,
        log_every: 3,
        ..small(300)
    };
    let none = Regularizer::none();
    let whole = train(&activations, &options).unwrap();
    let mut checkpoint = Memory::default();
    for stop in [1, 9, 23] {
        let stopped = sae::train(&activations, &options, &none, &mut checkpoint, &StopAfter::new(stop));
        assert_eq!(stopped.unwrap_err().code, Code::Interrupted);
    }
    // A kill leaves the last regular checkpoint, which is just as good; damaged bytes or another training's begin anew.
    let saved = checkpoint.0.clone().unwrap();
    assert!(sae::train(&activations, &options, &none, &mut checkpoint, &Silent).unwrap() == whole);
    let mut damaged = Memory(Some(saved[..saved.len() - 3].to_vec()));
    assert!(sae::train(&activations, &options, &none, &mut damaged, &Silent).unwrap() == whole);
    let other = TrainOptions { seed: 1, ..options };
    let resumed = sae::train(&activations, &other, &none, &mut Memory(Some(saved)), &Silent).unwrap();
    assert!(resumed == train(&activations, &other).unwrap());
}

#[test]
fn the_scale_of_activations_is_folded_into_the_weights() {
    let (_, activations) = planted(64, 32, 4.0, 20_000, 6);
    let mut rows = vec![0.0; activations.len() * 32];
    activations.read(0, &mut rows).unwrap();
    rows.iter_mut().for_each(|x| *x *= 100.0);
    let large = Activations::from_rows(rows, 32, "blocks.0.hook_mlp_out").unwrap();
    let options = TrainOptions { normalize_activations: NormalizeActivations::ExpectedAverageOnlyIn, ..small(128) };
    let (a, b) = (train(&activations, &options).unwrap(), train(&large, &options).unwrap());
    let score = |sae, activations| sae::evaluate(sae, activations, &Silent).unwrap();
    let (a, b) = (score(&a, &activations), score(&b, &large));
    assert!(a.explained_variance.unwrap() > 0.6, "{a:?}");
    assert!((a.explained_variance.unwrap() - b.explained_variance.unwrap()).abs() < 0.01);
    assert!((b.mse / a.mse / 1e4 - 1.0).abs() < 0.05);
    assert!((b.l1 / a.l1 / 1e2 - 1.0).abs() < 0.05);
}

#[test]
fn bad_options_are_named() {
    let (_, activations) = planted(8, 4, 1.0, 100, 7);
    let code = |options: TrainOptions| train(&activations, &options).unwrap_err();
    assert!(code(TrainOptions::default()).message.contains("d_sae"));
    let small = || small(16);
    assert_eq!(code(TrainOptions { k: Some(3), ..small() }).code, Code::Unsupported);
    assert_eq!(code(TrainOptions { architecture: "topk".into(), ..small() }).code, Code::OutOfRange);
    assert_eq!(code(TrainOptions { architecture: "reul".into(), ..small() }).code, Code::UnknownName);
    assert_eq!(code(TrainOptions { dead: "gost".into(), ..small() }).code, Code::UnknownName);
    assert_eq!(code(TrainOptions { lr_decay: 200.0, ..small() }).code, Code::OutOfRange);
    assert_eq!(code(TrainOptions { target_l0: Some(16.0), ..small() }).code, Code::OutOfRange);
    assert_eq!(code(TrainOptions { d_sae: 1 << 40, ..small() }).code, Code::TooLarge);
}

#[test]
fn divergence_says_where() {
    let rows = (0..8000).map(|i| if i % 3 == 0 { 1e30 } else { -1e30 }).collect();
    let activations = Activations::from_rows(rows, 8, "h").unwrap();
    assert_eq!(train(&activations, &small(16)).unwrap_err().code, Code::Diverged);
    let (_, activations) = planted(8, 4, 1.0, 4000, 8);
    let error = train(&activations, &TrainOptions { lr: 1e30, ..small(16) }).unwrap_err();
    assert_eq!(error.code, Code::Diverged);
    assert!(error.facts.iter().any(|(name, _)| name == "step"));
}

/// Two latents that read and write the two axes.
fn axes() -> Sae {
    let config = sae::Config {
        architecture: "relu".into(),
        d_in: 2,
        d_sae: 3,
        hook_name: "blocks.0.hook_mlp_out".into(),
        model_name: "m".into(),
        context_size: Some(128),
        decoder_norm: DecoderNorm::Unit,
        apply_b_dec_to_input: true,
        normalize_activations: "none".into(),
        training: serde_json::Value::Null,
        metadata: Default::default(),
        other: Default::default(),
    };
    let w_dec = vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0];
    Sae::new(config, Activation::Relu, vec![0.5, 0.0, 0.0, 1.0, -1.0, 0.0], vec![0.0, 0.0, -9.0], w_dec, vec![0.0; 2])
        .unwrap()
}

#[test]
fn evaluation_agrees_with_a_hand_count() {
    // x̂ = (1, 0), (0, 2), (1, 1)
    let x = vec![2.0, 0.0, 0.0, 2.0, 2.0, 1.0];
    let activations = Activations::from_rows(x.clone(), 2, "h").unwrap();
    let sae = axes();
    assert_eq!(sae::reconstruct(&sae, &x, &Silent).unwrap(), vec![1.0, 0.0, 0.0, 2.0, 1.0, 1.0]);
    let e = sae::evaluate(&sae, &activations, &Silent).unwrap();
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    near(e.l0, 4.0 / 3.0);
    near(e.l1, 5.0 / 3.0);
    near(e.mse, 2.0 / 3.0);
    // Column means 4/3 and 1: the total sum of squares is 13 - 3 (16/9 + 1).
    near(e.fvu.unwrap(), 2.0 / (13.0 - 25.0 / 3.0));
    near(e.explained_variance.unwrap() + e.fvu.unwrap(), 1.0);
    near(e.l2_ratio.unwrap(), (0.5 + 1.0 + (2.0f64 / 5.0).sqrt()) / 3.0);
    near(e.relative_reconstruction_bias.unwrap(), 7.0 / 9.0);
    near(e.dead_fraction, 1.0 / 3.0);
    near(e.fraction_below_1e_5, 1.0 / 3.0);
    near(e.l2_norm_in, (4.0 + 5.0f64.sqrt()) / 3.0);
    near(e.l2_norm_out, (3.0 + 2.0f64.sqrt()) / 3.0);
    near(e.cosine_similarity.unwrap(), (2.0 + 3.0 / 10.0f64.sqrt()) / 3.0);
    // Errors (1, 0), (0, 0), (1, 0): their mean is (2/3, 0), which is no variance.
    near(e.frac_variance_explained.unwrap(), 1.0 - (2.0 - 4.0 / 3.0) / (13.0 - 25.0 / 3.0));
    // Squared distances from the mean: 4/9 + 1, 16/9 + 1, 4/9; the mean is rounded to f32.
    let legacy = 1.0 - (9.0 / 13.0 + 9.0 / 4.0) / 3.0;
    assert!((e.explained_variance_legacy.unwrap() - legacy).abs() < 1e-6);
    assert_eq!(sae::firing_rates(&sae, &activations, &Silent).unwrap(), vec![2.0 / 3.0, 2.0 / 3.0, 0.0]);

    let constant = Activations::from_rows(vec![0.0; 6], 2, "h").unwrap();
    let e = sae::evaluate(&sae, &constant, &Silent).unwrap();
    assert_eq!((e.fvu, e.explained_variance, e.l2_ratio, e.relative_reconstruction_bias), (None, None, None, None));
    assert_eq!(
        sae::evaluate(&sae, &Activations::from_rows(vec![0.0; 6], 3, "h").unwrap(), &Silent).unwrap_err().code,
        Code::ShapeMismatch
    );
}

/// The SAE without what a file gains by being written: the versions of the format.
pub fn plain_facts(mut sae: Sae) -> Sae {
    for key in ["sae_lens_version", "sae_lens_training_version"] {
        sae.config.metadata.remove(key);
    }
    sae
}

#[test]
fn sae_lens_folders_come_back_as_they_went() {
    let (_, activations) = planted(16, 8, 2.0, 2000, 9);
    let sae = train(&activations, &small(24)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in sae_lens::to_files(&sae).unwrap() {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    assert!(plain_facts(sae_lens::from_dir(dir.path(), None, &Silent).unwrap()) == sae);
    assert_eq!(sae_lens::to_files(&sae).unwrap(), sae_lens::to_files(&sae).unwrap());

    // Without our own file the weights and names are the same.
    std::fs::remove_file(dir.path().join(sae_lens::EXTRA)).unwrap();
    let plain = sae_lens::from_dir(dir.path(), None, &Silent).unwrap();
    assert!((plain.w_enc, plain.config.hook_name) == (sae.w_enc, sae.config.hook_name));
}

#[test]
fn sae_lens_weights_multiply_on_the_right() {
    let sae = axes();
    let files = sae_lens::to_files(&sae).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&files[1].1).unwrap();
    let w_enc = tensors.tensor("W_enc").unwrap();
    assert_eq!(w_enc.shape(), [2, 3]);
    let values: Vec<f32> = w_enc.data().chunks(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
    assert_eq!(values, vec![0.5, 0.0, -1.0, 0.0, 1.0, 0.0]);
    assert_eq!(tensors.tensor("W_dec").unwrap().shape(), [3, 2]);
    let cfg: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(cfg["metadata"]["hook_name"], cfg["hook_name"]);
    assert_eq!(cfg["architecture"], "standard");
}

#[test]
fn hostile_sae_files_are_errors() {
    let files = sae_lens::to_files(&axes()).unwrap();
    let (cfg, weights) = (&files[0].1, &files[1].1);
    let code = |cfg: &[u8], weights: &[u8]| sae_lens::from_files(cfg, weights, None).unwrap_err().code;
    for end in 0..weights.len() {
        let code = code(cfg, &weights[..end]);
        assert!(matches!(code, Code::DamagedFile | Code::ShapeMismatch), "{code:?}");
    }
    for end in 0..cfg.len() - 2 {
        assert_eq!(code(&cfg[..end], weights), Code::DamagedFile);
    }
    let with = |name: &str, value: serde_json::Value| {
        let mut object: serde_json::Value = serde_json::from_slice(cfg).unwrap();
        object[name] = value;
        code(&serde_json::to_vec(&object).unwrap(), weights)
    };
    assert_eq!(with("d_sae", 4.into()), Code::ShapeMismatch);
    assert_eq!(with("d_sae", u64::MAX.into()), Code::ShapeMismatch);
    assert_eq!(with("d_in", (-1).into()), Code::DamagedFile);
    assert_eq!(with("d_in", 0.into()), Code::DamagedFile);
    assert_eq!(with("architecture", "gated".into()), Code::Unsupported);
    assert_eq!(with("architecture", "temporal".into()), Code::Unsupported);
    assert_eq!(with("architecture", "topk".into()), Code::DamagedFile);
    assert_eq!(with("normalize_activations", "batch_norm".into()), Code::Unsupported);
    assert_eq!(code(b"[]", weights), Code::DamagedFile);
    assert_eq!(sae_lens::from_dir(std::path::Path::new("nowhere"), None, &Silent).unwrap_err().code, Code::MissingFile);
}
