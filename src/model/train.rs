//! Training of a target model: AdamW on shuffled contexts, by candle's autograd, seeded and resumable bit by bit.

use candle_core::{Device, Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::TargetModel;
use super::architecture::Architecture;
use super::autograd::{CrossEntropy, with_values};
use super::config::{ActFn, Config};
use super::transformer::{Parameters, Role, Then, forward, initial};
use super::weights::Weights;
use crate::corpus::{Corpus, Tokenizer};
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::adam_w::AdamW;
use crate::ops::cross_entropy::NO_TARGET;
use crate::ops::muon::Muon;
use crate::progress::{Checkpoint, Monitor, Stop};
use crate::rng::Rng;

/// How the matrices of the layers are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2017).
    AdamW,
    /// Orthogonalized momentum (Jordan et al. 2024).
    #[default]
    Muon,
}

/// What `model::train` takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainOptions {
    /// Layers.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the MLP.
    pub d_mlp: usize,
    /// Activation function of the MLP.
    pub act_fn: ActFn,
    /// Positions a context.
    pub n_ctx: usize,
    /// Tokens of the vocabulary that is learned from the corpus.
    pub d_vocab: usize,
    /// Tokens to train on; the corpus is passed several times where it is smaller.
    pub tokens: u64,
    /// Tokens a step, rounded down to whole contexts.
    pub batch_size: usize,
    /// How the matrices of the layers are trained; embeddings, biases and LayerNorms always take AdamW.
    pub optimizer: Optimizer,
    /// Highest learning rate; warmed up over 100 steps, then decayed linearly to zero.
    pub lr: f64,
    /// Decoupled weight decay on matrices, embeddings excepted.
    pub weight_decay: f64,
    /// Seed of parameters and data order.
    pub seed: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            n_layers: 1,
            d_model: 512,
            n_heads: 8,
            d_mlp: 2048,
            act_fn: ActFn::Gelu,
            n_ctx: 128,
            d_vocab: 4096,
            tokens: 6_000_000,
            batch_size: 2048,
            optimizer: Optimizer::Muon,
            lr: 4e-3,
            weight_decay: 0.1,
            seed: 0,
            checkpoint_every: 200,
        }
    }
}

impl TrainOptions {
    /// Checks the rates; sizes are checked with the config.
    fn validate(&self) -> Result<()> {
        for (name, value) in [("lr", self.lr), ("weight_decay", self.weight_decay)] {
            if !(value >= 0.0 && (value as f32).is_finite()) {
                return Err(Error::new(Code::OutOfRange, format!("the option `{name}` is out of range"))
                    .fact("expected", "a number of at least 0")
                    .fact("given", value));
            }
        }
        Ok(())
    }
}

/// A line of a training's history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Steps done.
    pub step: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Training cross-entropy, nats a token, averaged since the row before.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
}

const WARMUP: u64 = 100;
const LOG_EVERY: u64 = 50;
const BETAS: (f32, f32) = (0.9, 0.99);
const MOMENTUM: f32 = 0.95;
/// Gradients are scaled down to this global norm.
const MAX_NORM: f64 = 1.0;

/// Everything that changes during training.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    step: u64,
    loss_sum: f64,
    history: Vec<HistoryRow>,
    #[serde(skip)]
    parameters: Vec<Vec<f32>>,
    #[serde(skip)]
    first: Vec<Vec<f32>>,
    #[serde(skip)]
    second: Vec<Vec<f32>>,
}

impl State {
    /// A JSON header, its length before it, then all arrays as little-endian f32.
    fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = serde_json::to_vec(self)
            .map_err(|e| Error::new(Code::Internal, "cannot write the training state").fact("reason", e))?;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        for array in [&self.parameters, &self.first, &self.second].into_iter().flatten() {
            array.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
        }
        Ok(bytes)
    }

    /// The state in these bytes, when they hold arrays of the given lengths.
    pub fn from_bytes(bytes: &[u8], lengths: &[usize]) -> Option<State> {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (header, mut rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
        let mut state: State = serde_json::from_slice(header).ok()?;
        for part in [&mut state.parameters, &mut state.first, &mut state.second] {
            for length in lengths {
                let (array, after) = rest.split_at_checked(4 * length)?;
                part.push(array.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect());
                rest = after;
            }
        }
        rest.is_empty().then_some(state)
    }
}

/// Trains a target model on a corpus. The final weights are rounded to f16, the precision in which they are kept, so that
/// a saved and loaded model is the trained one.
///
/// # Errors
/// `out-of-range` for sizes that make no transformer or a corpus that is too small, `too-large`, `diverged`, `interrupted`.
pub fn train(
    corpus: &Corpus,
    options: &TrainOptions,
    checkpoint: &mut dyn Checkpoint,
    monitor: &dyn Monitor,
) -> Result<TargetModel> {
    let config = Config {
        n_layers: options.n_layers,
        d_model: options.d_model,
        n_heads: options.n_heads,
        d_mlp: options.d_mlp,
        act_fn: options.act_fn,
        n_ctx: options.n_ctx,
        d_vocab: options.d_vocab,
        trained_on: corpus.name().to_string(),
        tokens: options.tokens,
        seed: options.seed,
        ce_loss: None,
        architecture: Architecture::default(),
    };
    config.check()?;
    options.validate()?;
    let contexts_a_step = options.batch_size / options.n_ctx;
    let steps = options.tokens / (contexts_a_step * options.n_ctx).max(1) as u64;
    if contexts_a_step == 0 || steps == 0 {
        return Err(Error::new(Code::OutOfRange, "not one whole step of training")
            .fact("tokens", options.tokens)
            .fact("batch_size", options.batch_size)
            .fact("n_ctx", options.n_ctx));
    }
    check_memory(options)?;
    monitor.update("tokenizer", 0, 1, "");
    let tokenizer = Tokenizer::train(corpus, options.d_vocab)?;
    let stream = tokenizer.stream(corpus)?;
    if stream.len() < 2 * options.n_ctx {
        return Err(Error::new(Code::OutOfRange, "the corpus does not fill two contexts").fact("tokens", stream.len()));
    }
    let data = Batches { stream, n_ctx: options.n_ctx, bos: tokenizer.separator(), seed: options.seed };

    monitor.check()?;
    let start = initial(&config, options.seed)?;
    monitor.check()?;
    let roles: Vec<Role> = start.iter().map(|p| p.role).collect();
    let shapes: Vec<Vec<usize>> = start.iter().map(|p| p.shape.clone()).collect();
    let lengths: Vec<usize> = start.iter().map(|p| p.values.len()).collect();
    let resumed = checkpoint.load().and_then(|bytes| State::from_bytes(&bytes, &lengths));
    let zeros = || lengths.iter().map(|n| vec![0.0; *n]).collect();
    let mut state = resumed.unwrap_or_else(|| State {
        step: 0,
        loss_sum: 0.0,
        history: Vec::new(),
        parameters: start.into_iter().map(|p| p.values).collect(),
        first: zeros(),
        second: zeros(),
    });

    while state.step < steps {
        if monitor.stopped() {
            if checkpoint.keeps() {
                checkpoint.save(&state.to_bytes()?)?;
            }
            monitor.check()?;
        }
        let lr = options.lr * rate(state.step, steps);
        let loss = match step(&config, &shapes, &roles, &mut state, &data, contexts_a_step, lr, options) {
            // Nothing of the step has happened yet.
            Err(error) if error.code == Code::Interrupted && checkpoint.keeps() => {
                checkpoint.save(&state.to_bytes()?)?;
                return Err(error);
            }
            loss => loss?,
        };
        if !loss.is_finite() {
            return Err(Error::new(Code::Diverged, "the training diverged")
                .fact("step", state.step)
                .fact("loss", loss)
                .help(format!("try a smaller `lr` than {}", options.lr)));
        }
        state.loss_sum += loss;
        if state.step.is_multiple_of(LOG_EVERY) || state.step == steps {
            let since = state.step - state.history.last().map_or(0, |row| row.step);
            let tokens = state.step * (contexts_a_step * options.n_ctx) as u64;
            state.history.push(HistoryRow { step: state.step, tokens, loss: state.loss_sum / since as f64, lr });
            state.loss_sum = 0.0;
        }
        monitor.update("model::train", state.step, steps, &format!("loss {loss:.3}"));
        if checkpoint.keeps() && state.step.is_multiple_of(options.checkpoint_every.max(1)) {
            checkpoint.save(&state.to_bytes()?)?;
        }
    }
    let mut values = state.parameters.into_iter().zip(&shapes);
    let parameters = Parameters::build(&config, |_, _| {
        let (values, shape) = values.next().ok_or_else(|| Error::new(Code::Internal, "a parameter is missing"))?;
        let rounded: Vec<f32> = values.iter().map(|&x| half::f16::from_f32(x).to_f32()).collect();
        Ok(Tensor::from_vec(rounded, shape.as_slice(), &Device::Cpu)?)
    })?;
    Ok(TargetModel::new("trained".to_string(), config, Weights::of(&parameters)?, tokenizer, state.history))
}

/// Refuses a training that would not fit into memory: parameters, moments, gradients and a checkpoint, and what the backward
/// pass keeps of each token.
fn check_memory(options: &TrainOptions) -> Result<()> {
    let [layers, d, heads, mlp] = [options.n_layers, options.d_model, options.n_heads, options.d_mlp].map(|n| n as f64);
    let [n_ctx, d_vocab, batch] = [options.n_ctx, options.d_vocab, options.batch_size].map(|n| n as f64);
    let parameters = layers * (4.0 * d * d + 2.0 * d * mlp) + d * (2.0 * d_vocab + n_ctx);
    let kept = batch * layers * (12.0 * d + 6.0 * mlp + 4.0 * heads * n_ctx);
    // A float too large for an integer becomes the largest.
    let needed = (4.0 * (8.0 * parameters + kept)) as u64;
    memory::check("the training", needed, "try a smaller `d_model`, fewer layers or a smaller `batch_size`")
}

/// The share of the highest learning rate at a step.
fn rate(step: u64, steps: u64) -> f64 {
    let warmup = WARMUP.min(steps / 10).max(1);
    let up = (step + 1) as f64 / warmup as f64;
    let down = (steps - step) as f64 / (steps - warmup).max(1) as f64;
    up.min(down).min(1.0)
}

#[expect(clippy::too_many_arguments, reason = "one call, in the loop above")]
fn step(
    config: &Config,
    shapes: &[Vec<usize>],
    roles: &[Role],
    state: &mut State,
    data: &Batches,
    contexts: usize,
    lr: f64,
    options: &TrainOptions,
) -> Result<f64> {
    let (ids, targets) = data.batch(state.step, contexts);
    let vars: Vec<Var> = state
        .parameters
        .iter()
        .zip(shapes)
        .map(|(values, shape)| Ok(Var::from_slice(values, shape.as_slice(), &Device::Cpu)?))
        .collect::<Result<_>>()?;
    let mut next = vars.iter();
    let parameters = Parameters::build(config, |_, _| match next.next() {
        Some(var) => Ok(var.as_tensor().clone()),
        None => Err(Error::new(Code::Internal, "a parameter is missing")),
    })?;
    let stop = Stop::here();
    let hidden = forward(config, &parameters, &ids, &mut |_, _| stop.check().map(|()| Then::Go))?
        .ok_or_else(|| Error::new(Code::Internal, "a forward pass without an end"))?;
    let loss = hidden.apply_op2(&parameters.w_e, CrossEntropy::new(targets, true))?;
    let value = f64::from(loss.to_vec1::<f32>()?[0]);
    let gradients = loss.backward()?;
    let norm = {
        let mut square = 0.0;
        for var in &vars {
            square += gradients.get(var.as_tensor()).map_or(Ok(0.0), |g| with_values(g, sum_of_squares))?;
        }
        square.sqrt()
    };
    stop.check()?;
    state.step += 1;
    let State { step, parameters, first, second, .. } = state;
    let adam = AdamW {
        lr: lr as f32,
        beta1: BETAS.0,
        beta2: BETAS.1,
        weight_decay: 0.0,
        step: *step,
        gradient_scale: (MAX_NORM / norm.max(MAX_NORM)) as f32,
    };
    let muon = Muon { lr: lr as f32, momentum: MOMENTUM, weight_decay: options.weight_decay as f32 };
    let moments = first.par_iter_mut().zip(second.par_iter_mut());
    let updates = parameters.par_iter_mut().zip(moments).zip(&vars).zip(shapes.par_iter().zip(roles));
    updates.try_for_each(|(((value, (first, second)), var), (shape, role))| {
        let Some(gradient) = gradients.get(var.as_tensor()) else { return Ok(()) };
        let matrix = matches!(role, Role::Read | Role::Write);
        with_values(gradient, |gradient| match options.optimizer {
            Optimizer::Muon if matrix => muon.update((shape[0], shape[1]), value, first, gradient),
            _ => {
                let weight_decay = if matrix { muon.weight_decay } else { 0.0 };
                AdamW { weight_decay, ..adam }.update(value, first, second, gradient);
            }
        })
    })?;
    Ok(if norm.is_finite() { value } else { f64::NAN })
}

/// In f64 over fixed blocks whose sums are added in order, so that bits do not depend on threads.
fn sum_of_squares(values: &[f32]) -> f64 {
    let blocks: Vec<f64> =
        values.par_chunks(1 << 14).map(|block| block.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()).collect();
    blocks.iter().sum()
}

/// The data: in each pass over the stream the contexts begin at another offset and come in another order, both fixed by
/// the seed and the number of the pass, so that a step's batch depends on its number alone.
struct Batches {
    stream: Vec<u32>,
    n_ctx: usize,
    bos: u32,
    seed: u64,
}

impl Batches {
    /// Token ids of `contexts` whole contexts, and for each position its next token.
    fn batch(&self, step: u64, contexts: usize) -> (Vec<u32>, Vec<u32>) {
        let length = self.n_ctx - 1;
        let pass_contexts = self.stream.len() / length - 1;
        let mut ids = Vec::with_capacity(contexts * self.n_ctx);
        let mut targets = Vec::with_capacity(contexts * self.n_ctx);
        let mut pass: Option<(u64, usize, Vec<u32>)> = None;
        for i in 0..contexts as u64 {
            let place = step * contexts as u64 + i;
            let (number, within) = (place / pass_contexts as u64, (place % pass_contexts as u64) as usize);
            if pass.as_ref().is_none_or(|p| p.0 != number) {
                let mut rng = Rng::new(self.seed, &format!("model batches {number}"));
                let offset = rng.below(length);
                pass = Some((number, offset, rng.permutation(pass_contexts)));
            }
            let Some((_, offset, order)) = &pass else { continue };
            let from = offset + order[within] as usize * length;
            let text = &self.stream[from..from + length];
            ids.push(self.bos);
            ids.extend(text);
            targets.extend(text);
            targets.push(NO_TARGET);
        }
        (ids, targets)
    }
}
