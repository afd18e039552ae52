//! Every architecture: its kernels against their references, its gradients against candle's autograd, its training against planted truth.

use candle_core::{Device, Result as CandleResult, Tensor, Var};
use saerun::activations::Activations;
use saerun::error::Code;
use saerun::ops::Rows;
use saerun::ops::adam::AdamStep;
use saerun::ops::codes::Codes;
use saerun::ops::nested::{nested, nested_reference};
use saerun::ops::select::{batch_top_k, batch_top_k_reference, top_k, top_k_reference};
use saerun::progress::{Monitor, NoCheckpoint, Silent};
use saerun::regularizer::Regularizer;
use saerun::rng::Rng;
use saerun::sae::engine::{Engine, Gradients, Rule, Way, Weights};
use saerun::sae::format::sae_lens;
use saerun::sae::revive::{aux_k, ghost};
use saerun::sae::{self, Activation, Architecture, DecoderNorm, Sae, TrainOptions};

use crate::sae::{Memory, StopAfter, close, normals, planted, wide};

#[test]
fn the_largest_are_the_largest_and_ties_go_to_the_first() {
    let (n, d_sae) = (70, 90);
    let mut dense: Vec<f32> = normals(n * d_sae, 1.0, 1).iter().map(|x| x.max(0.0)).collect();
    // Many equal values, within tokens and across them.
    dense.iter_mut().step_by(3).for_each(|x| *x = if *x > 0.0 { 0.75 } else { 0.0 });
    let codes = Codes::from_dense(&dense, d_sae);
    for k in [0, 1, 7, 40, 90] {
        assert_eq!(top_k(&codes, k), top_k_reference(&dense, d_sae, k), "k {k}");
        let (batch, least) = batch_top_k(&codes, k * n);
        assert_eq!(batch, batch_top_k_reference(&dense, d_sae, k * n), "k {k}");
        assert_eq!(least, batch.values.iter().copied().reduce(f32::min));
    }
    assert_eq!(top_k(&Codes::none(3, 5), 2), Codes::none(3, 5));
}

#[test]
fn nested_reconstructions_agree_with_their_reference() {
    let (n, d, d_sae, widths) = (130, 13, 40, [3, 10, 40]);
    let dense: Vec<f32> = normals(n * d_sae, 1.0, 2).iter().map(|x| (x - 1.0).max(0.0)).collect();
    let (w_dec, b_dec, x) = (normals(d_sae * d, 0.5, 3), normals(d, 0.5, 4), normals(n * d, 1.0, 5));
    let w_dec = Rows::new(&w_dec, d_sae, d).unwrap();
    let mut streams = vec![vec![0.0f32; n * d]; 3];
    let mut parts: Vec<&mut [f32]> = streams.iter_mut().map(Vec::as_mut_slice).collect();
    let errors = nested(&Codes::from_dense(&dense, d_sae), w_dec, &b_dec, &widths, &x, 0.3, &mut parts);
    let (expected, expected_streams) = nested_reference(&dense, w_dec, &b_dec, &widths, &x, 0.3);
    for (a, b) in errors.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-5 * b);
    }
    for (a, b) in streams.iter().zip(&expected_streams) {
        close(a, b, 1e-5);
    }
}

/// Weights with something in every parameter: some latents fire on most tokens, some hardly, a few never.
fn weights(d: usize, d_sae: usize) -> Weights {
    let directions = Rng::new(13, "test").directions(d_sae, d);
    let mut b_enc = normals(d_sae, 0.5, 15);
    b_enc.iter_mut().take(20).for_each(|b| *b = -9.0);
    let mut weights = Weights::new(normals(d_sae * d, 0.3, 14), b_enc, directions, normals(d, 0.5, 16));
    weights.extra[0].value = normals(d_sae, 0.3, 17);
    weights.extra[1].value = normals(d_sae, 0.3, 18);
    weights
}

const BANDWIDTH: f32 = 0.4;

/// Revived latents by candle, dense: masks and whatever is held fixed are detached. (Whole steps are in `sae::on_device`.)
struct Dense {
    vars: [Var; 6],
    x: Tensor,
    n: f64,
}

impl Dense {
    fn new(weights: &Weights, x: &[f32]) -> Dense {
        let (d, n) = (weights.d_in(), weights.d_sae());
        let shapes: [&[usize]; 6] = [&[n, d], &[n], &[n, d], &[d], &[n], &[n]];
        let mut shapes = shapes.into_iter();
        let vars = weights.params().map(|p| Var::from_slice(&p.value, shapes.next().unwrap(), &Device::Cpu).unwrap());
        let tokens = x.len() / d;
        Dense { vars, x: Tensor::from_slice(x, (tokens, d), &Device::Cpu).unwrap(), n: tokens as f64 }
    }

    fn pre(&self) -> CandleResult<Tensor> {
        self.x.broadcast_sub(&self.vars[3])?.matmul(&self.vars[0].t()?)?.broadcast_add(&self.vars[1])
    }

    fn decode(&self, f: &Tensor) -> CandleResult<Tensor> {
        f.matmul(&self.vars[2])?.broadcast_add(&self.vars[3])
    }

    /// The entries of `pre` that `keep` keeps, by their dense matrix.
    fn masked(&self, pre: &Tensor, keep: impl Fn(&[f32]) -> Codes) -> CandleResult<Tensor> {
        let kept = keep(&pre.flatten_all()?.to_vec1::<f32>()?).to_dense();
        let mask: Vec<f32> = kept.iter().map(|x| f32::from(*x != 0.0)).collect();
        pre * Tensor::from_vec(mask, pre.dims(), &Device::Cpu)?
    }

    fn gradients(&self, loss: &Tensor) -> Gradients {
        let gradients = loss.backward().unwrap();
        let [w_enc, b_enc, w_dec, b_dec, first, second] = self.vars.each_ref().map(|var| match gradients.get(var) {
            Some(gradient) => gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            None => vec![0.0; var.elem_count()],
        });
        Gradients { w_enc, b_enc, w_dec, b_dec, extra: [first, second] }
    }
}

fn agree(given: &Gradients, expected: &Gradients, tolerance: f64) {
    close(&given.w_enc, &wide(&expected.w_enc), tolerance);
    close(&given.b_enc, &wide(&expected.b_enc), tolerance);
    close(&given.w_dec, &wide(&expected.w_dec), tolerance);
    close(&given.b_dec, &wide(&expected.b_dec), tolerance);
    close(&given.extra[0], &wide(&expected.extra[0]), tolerance);
    close(&given.extra[1], &wide(&expected.extra[1]), tolerance);
}

fn rules() -> Vec<Rule> {
    vec![
        Rule::Relu,
        Rule::TopK { k: 9 },
        Rule::BatchTopK { k: 9 },
        Rule::JumpRelu { bandwidth: BANDWIDTH },
        Rule::Gated,
        Rule::Matryoshka { k: 9, widths: vec![40, 130, 300] },
    ]
}

#[test]
fn gradients_of_every_rule_agree_with_autograd() {
    let (d, d_sae, n, coefficient) = (24, 300, 700, 0.07);
    let x = normals(n * d, 1.0, 19);
    for (rule, norm) in
        rules().into_iter().flat_map(|rule| [(rule.clone(), DecoderNorm::Unit), (rule, DecoderNorm::Free)])
    {
        let mut weights = weights(d, d_sae);
        if norm == DecoderNorm::Free {
            weights.w_dec.value.iter_mut().enumerate().for_each(|(at, x)| *x *= 0.5 + (at / d % 7) as f32 / 4.0);
        }
        let mut engine = Engine::new(weights, norm, rule.clone(), 0.0);
        let (dense, expected) = engine.forward_on(&Device::Cpu, &x).unwrap();
        let fired = engine.fired().to_vec();
        let gradients = dense.gradients(coefficient).unwrap();
        // The second pass has a floor from the first: the same codes at another cost.
        for _ in 0..2 {
            let given = engine.forward(&x, Way::Sparse);
            assert_eq!(engine.fired(), fired, "{rule:?}");
            let pairs = [(given.mse, expected.mse), (given.error, expected.error), (given.l0, expected.l0)];
            let more = [(given.l1, expected.l1), (given.sparsity, expected.sparsity)];
            for (given, expected) in pairs.into_iter().chain(more) {
                assert!((given - expected).abs() <= 1e-4 * expected, "{rule:?} {norm:?}: {given} is not {expected}");
            }
            assert_eq!(given.learning.is_some(), expected.learning.is_some());
            assert!((given.learning.unwrap_or(0.0) - expected.learning.unwrap_or(0.0)).abs() < 1e-3);
            assert!((given.least.unwrap_or(0.0) - expected.least.unwrap_or(0.0)).abs() < 1e-5);
            agree(&engine.gradients(coefficient, None), &gradients, 3e-5);
        }
    }
}

#[test]
fn a_step_by_dense_products_moves_the_weights_as_the_sparse_one_does() {
    let (d, d_sae, n) = (24, 300, 700);
    let x = normals(n * d, 1.0, 23);
    let (dec, enc) = (normals(d_sae * d, 1e-2, 24), normals(d_sae * d, 1e-2, 25));
    for rule in rules() {
        let mut sparse = Engine::new(weights(d, d_sae), DecoderNorm::Unit, rule, 0.0);
        let mut dense = sparse.clone();
        let step = AdamStep::new(1e-3, 0.9, 0.999, 1);
        sparse.forward(&x, Way::Sparse);
        sparse.update(0.05, &step, Some((&dec, &enc)));
        let (pass, _) = dense.forward_on(&Device::Cpu, &x).unwrap();
        dense.update_by(pass.gradients(0.05).unwrap(), &step, Some((&dec, &enc)));
        for (a, b) in dense.weights.params().into_iter().zip(sparse.weights.params()) {
            close(&a.first, &wide(&b.first), 3e-5);
            // Adam's first step is a sign: where a gradient is all rounding, so is the step.
            let far = a.value.iter().zip(&b.value).filter(|(a, b)| (*a - *b).abs() > 1e-5).count();
            assert!(far <= a.value.len() / 1000, "{far} of {}", a.value.len());
        }
    }
}

#[test]
fn a_training_by_dense_products_ends_where_the_sparse_one_does() {
    let (truth, activations) = planted(48, 32, 4.0, 60_000, 26);
    let (none, device) = (Regularizer::none(), Device::Cpu);
    for architecture in Architecture::ALL {
        let options = options(architecture);
        let sparse = train(&activations, &options);
        let mut checkpoint = Memory::default();
        let monitor = StopAfter::new(40);
        let stopped = sae::train_on(Some(&device), &activations, &options, &none, &mut checkpoint, &monitor);
        assert_eq!(stopped.unwrap_err().code, Code::Interrupted);
        let dense = sae::train_on(Some(&device), &activations, &options, &none, &mut checkpoint, &Silent).unwrap();
        let [(found, a), (expected, b)] =
            [&dense, &sparse].map(|sae| (mmcs(&truth, sae), sae::evaluate(sae, &activations, &Silent).unwrap()));
        let name = architecture.name();
        assert!((found - expected).abs() < 0.02, "{name}: mmcs {found}, {expected}");
        assert!((a.l0 - b.l0).abs() < 0.1, "{name}: l0 {}, {}", a.l0, b.l0);
        let [a, b] = [a, b].map(|evaluation| evaluation.explained_variance.unwrap());
        assert!((a - b).abs() < 0.02, "{name}: explained variance {a}, {b}");
    }
    let options = TrainOptions { dead: "aux_k".to_string(), ..options(Architecture::TopK) };
    let refused = sae::train_on(Some(&device), &activations, &options, &none, &mut NoCheckpoint, &Silent);
    assert_eq!(refused.unwrap_err().code, Code::Unsupported);
}

#[test]
fn gradients_of_revived_latents_agree_with_autograd() {
    let (d, d_sae, n) = (24, 300, 300);
    let x = normals(n * d, 1.0, 20);
    let mut weights = weights(d, d_sae);
    // Dead for the reconstruction, yet with pre-activations above 0 and far below it: top-k leaves them out.
    weights.b_enc.value.iter_mut().take(40).for_each(|b| *b = -0.8);
    weights.b_enc.value.iter_mut().skip(40).for_each(|b| *b += 3.0);
    let rule = Rule::TopK { k: 30 };
    let mut engine = Engine::new(weights.clone(), DecoderNorm::Unit, rule.clone(), 0.0);
    let measured = engine.forward(&x, Way::Sparse);
    let dead: Vec<usize> = (0..d_sae).filter(|i| !engine.fired()[*i]).collect();
    assert!(dead.len() > 10, "only {} are dead", dead.len());

    let reference = |exponential: bool| -> CandleResult<(Dense, Tensor)> {
        let dense = Dense::new(&weights, &x);
        let pre = dense.pre()?;
        let f = dense.masked(&pre, |values| top_k_reference(values, d_sae, 30))?;
        let error = (&dense.x - dense.decode(&f)?)?;
        let main = (error.sqr()?.sum_all()? / dense.n)?;
        let error = error.detach();
        let chosen = Tensor::from_vec(dead.iter().map(|i| *i as u32).collect(), dead.len(), &Device::Cpu)?;
        let (pre, rows) = (pre.index_select(&chosen, 1)?, dense.vars[2].index_select(&chosen, 0)?);
        let (f, scale) = if exponential {
            let out = pre.exp()?.matmul(&rows)?;
            let length = |t: &Tensor| t.sqr()?.sum_keepdim(1)?.sqrt();
            let scale = ((length(&error)? * 0.5)? / length(&out)?)?.detach();
            (pre.exp()?.broadcast_mul(&scale)?, None)
        } else {
            let f = dense.masked(&pre, |values| top_k_reference(values, dead.len(), 12))?;
            (f, Some(0.25 * (dead.len() as f64 / 12.0).min(1.0)))
        };
        let loss = ((f.matmul(&rows)? - error)?.sqr()?.sum_all()? / dense.n)?;
        let scale = match scale {
            Some(scale) => scale,
            None => f64::from(main.to_scalar::<f32>()?) / f64::from(loss.to_scalar::<f32>()?),
        };
        let loss = (main + (loss * scale)?)?;
        Ok((dense, loss))
    };
    let (dense, loss) = reference(false).unwrap();
    let added = aux_k(&mut engine, &dead, 12, 0.25);
    let expected = f64::from(loss.to_scalar::<f32>().unwrap());
    assert!((measured.error + added - expected).abs() < 1e-4 * expected);
    agree(&engine.gradients(0.0, None), &dense.gradients(&loss), 3e-5);

    let (dense, loss) = reference(true).unwrap();
    let measured = engine.forward(&x, Way::Sparse);
    let added = ghost(&mut engine, &dead, measured.mse);
    assert!((added - measured.mse).abs() < 1e-6 * measured.mse);
    agree(&engine.gradients(0.0, None), &dense.gradients(&loss), 3e-5);
}

fn options(architecture: Architecture) -> TrainOptions {
    let takes_k = architecture.takes_k();
    TrainOptions {
        architecture: architecture.name().to_string(),
        d_sae: 96,
        k: takes_k.then_some(4),
        target_l0: (!takes_k).then_some(4.0),
        batch_size: 256,
        lr: 3e-3,
        // Denser at the start than at the target: latents that begin silent have far to come.
        init_sd: 1.5,
        matryoshka_widths: (architecture == Architecture::MatryoshkaBatchTopK).then(|| vec![48, 80]),
        ..TrainOptions::default()
    }
}

fn train(activations: &Activations, options: &TrainOptions) -> Sae {
    sae::train(activations, options, &Regularizer::none(), &mut NoCheckpoint, &Silent).unwrap()
}

/// The mean over true features of the best cosine in the dictionary.
fn mmcs(truth: &[f32], sae: &Sae) -> f64 {
    let d = sae.config.d_in;
    let best = truth.chunks_exact(d).map(|feature| {
        let cos = sae.w_dec.chunks_exact(d).map(|row| {
            let dot: f64 = row.iter().zip(feature).map(|(a, b)| f64::from(a * b)).sum();
            dot / row.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt().max(1e-12)
        });
        cos.fold(f64::MIN, f64::max)
    });
    best.sum::<f64>() / (truth.len() / d) as f64
}

#[test]
fn every_architecture_recovers_planted_features() {
    let (truth, activations) = planted(48, 32, 4.0, 200_000, 21);
    for architecture in Architecture::ALL {
        let sae = train(&activations, &options(architecture));
        let evaluation = sae::evaluate(&sae, &activations, &Silent).unwrap();
        let (found, l0) = (mmcs(&truth, &sae), evaluation.l0);
        let variance = evaluation.explained_variance.unwrap();
        println!("{}: mmcs {found:.3} l0 {l0:.2} explained variance {variance:.3}", architecture.name());
        assert!(found > 0.9, "{}: mmcs {found}", architecture.name());
        assert!((l0 - 4.0).abs() < 0.6, "{}: l0 {l0}", architecture.name());
        // L1 shrinks activations, so the ReLU explains less at the same L0.
        assert!(variance > 0.6, "{}: explained variance {variance}", architecture.name());
    }
}

#[test]
fn every_architecture_resumes_bit_by_bit_and_keeps_its_bits_at_any_thread_count() {
    let (_, activations) = planted(48, 32, 4.0, 8192, 22);
    let none = Regularizer::none();
    for (i, architecture) in Architecture::ALL.into_iter().enumerate() {
        let options = TrainOptions {
            dead: ["resample", "aux_k", "ghost"][i % 3].to_string(),
            dead_window: Some(1000),
            checkpoint_every: 7,
            log_every: 3,
            ..options(architecture)
        };
        let whole = train(&activations, &options);
        let mut checkpoint = Memory::default();
        for stop in [5, 17] {
            let monitor = StopAfter::new(stop);
            let stopped = sae::train(&activations, &options, &none, &mut checkpoint, &monitor);
            assert_eq!(stopped.unwrap_err().code, Code::Interrupted);
        }
        let resumed = sae::train(&activations, &options, &none, &mut checkpoint, &Silent).unwrap();
        assert!(resumed == whole, "{} resumed differs", architecture.name());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = pool.install(|| train(&activations, &options));
        assert!(alone == whole, "{} on one thread differs", architecture.name());
    }
}

#[test]
fn every_architecture_goes_through_a_sae_lens_folder() {
    let (_, activations) = planted(48, 32, 4.0, 4096, 23);
    let x = activations.sample(100, 0).unwrap();
    for architecture in Architecture::ALL {
        let mut sae = train(&activations, &options(architecture));
        let files = sae_lens::to_files(&sae).unwrap();
        let file = |name: &str| files.iter().find(|(found, _)| found == name).map(|(_, bytes)| bytes.as_slice());
        let (cfg, weights) = (file(sae_lens::CONFIG).unwrap(), file(sae_lens::WEIGHTS).unwrap());
        let back = crate::sae::plain_facts(sae_lens::from_files(cfg, weights, file(sae_lens::EXTRA)).unwrap());
        assert!(back == sae, "{}", architecture.name());
        // Other tools leave no file of ours: what they read computes the same.
        let plain = sae_lens::from_files(cfg, weights, None).unwrap();
        assert_eq!(sae::encode(&plain, &x).unwrap(), sae::encode(&sae, &x).unwrap());
        sae.b_enc[0] += 1.0;
        assert!(back != sae);
    }
}

#[test]
fn a_finished_batch_topk_no_longer_looks_at_its_batch() {
    let (_, activations) = planted(48, 32, 4.0, 50_000, 24);
    let sae = train(&activations, &options(Architecture::BatchTopK));
    let Activation::Threshold(threshold) = &sae.activation else { panic!("{:?}", sae.activation) };
    assert!(threshold[0] > 0.0 && threshold.iter().all(|t| t == &threshold[0]));
    let x = activations.sample(50, 1).unwrap();
    let together = sae::encode(&sae, &x).unwrap();
    let alone = sae::encode(&sae, &x[7 * 32..8 * 32]).unwrap();
    assert_eq!(together.token(7), alone.token(0));
}

/// Keeps warnings.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl Monitor for Warnings {
    fn update(&self, _: &str, _: u64, _: u64, _: &str) {}

    fn stopped(&self) -> bool {
        false
    }

    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_string());
    }
}

#[test]
fn a_jumprelu_that_cannot_learn_its_thresholds_says_so() {
    let (_, activations) = planted(48, 32, 4.0, 20_000, 25);
    let warned = |bandwidth: Option<f64>| {
        let options = TrainOptions { bandwidth, ..options(Architecture::JumpRelu) };
        let warnings = Warnings::default();
        sae::train(&activations, &options, &Regularizer::none(), &mut NoCheckpoint, &warnings).unwrap();
        warnings.0.into_inner().unwrap()
    };
    assert!(warned(None).is_empty());
    assert!(warned(Some(1e-7))[0].contains("bandwidth"));
}

#[test]
fn aux_k_says_where_it_revives_nothing() {
    let (_, activations) = planted(48, 32, 4.0, 4096, 27);
    let trained = |architecture: Architecture, dead: &str| {
        let few = TrainOptions { d_sae: 512, dead_window: Some(1), ..options(architecture) };
        let options = TrainOptions { dead: dead.to_string(), ..few };
        let warnings = Warnings::default();
        let sae = sae::train(&activations, &options, &Regularizer::none(), &mut NoCheckpoint, &warnings).unwrap();
        (sae.w_enc, warnings.0.into_inner().unwrap())
    };
    let (plain, revived) = (trained(Architecture::Relu, "none"), trained(Architecture::Relu, "aux_k"));
    assert!(revived.0 == plain.0 && revived.1[0].contains("does nothing here"), "{:?}", revived.1);
    let (plain, revived) = (trained(Architecture::TopK, "none"), trained(Architecture::TopK, "aux_k"));
    assert!(revived.0 != plain.0 && revived.1.is_empty());
}

#[test]
fn options_of_another_architecture_are_named() {
    let (_, activations) = planted(8, 4, 1.0, 100, 26);
    let error = |options: TrainOptions| {
        sae::train(&activations, &options, &Regularizer::none(), &mut NoCheckpoint, &Silent).unwrap_err()
    };
    let topk = || options(Architecture::TopK);
    assert!(error(TrainOptions { k: None, ..topk() }).message.contains("needs the option `k`"));
    assert_eq!(error(TrainOptions { k: Some(97), ..topk() }).code, Code::OutOfRange);
    assert_eq!(error(TrainOptions { target_l0: Some(3.0), ..topk() }).code, Code::Unsupported);
    assert_eq!(error(TrainOptions { l1_coefficient: Some(3.0), ..topk() }).code, Code::Unsupported);
    assert_eq!(error(TrainOptions { bandwidth: Some(0.1), ..topk() }).code, Code::Unsupported);
    assert_eq!(error(TrainOptions { k_aux: Some(3), ..topk() }).code, Code::Unsupported);
    let nested = || options(Architecture::MatryoshkaBatchTopK);
    assert_eq!(error(TrainOptions { matryoshka_widths: Some(vec![9, 9]), ..nested() }).code, Code::OutOfRange);
    assert_eq!(error(TrainOptions { matryoshka_widths: Some(vec![97]), ..nested() }).code, Code::OutOfRange);
    let jump = || options(Architecture::JumpRelu);
    assert_eq!(error(TrainOptions { bandwidth: Some(0.0), ..jump() }).code, Code::OutOfRange);
    assert!(error(TrainOptions { architecture: "jump_relu".into(), ..jump() }).help.is_some());
}
