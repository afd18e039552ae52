//! The training loop.

use candle_core::Device;

use super::architecture::Architecture;
use super::checkpoint::{Progress, State, from_bytes, to_bytes};
use super::cost::check_memory;
use super::engine::{Engine, Measured, Way};
use super::init::begin;
use super::options::{Dead, TrainOptions};
use super::order::{self, Order};
use super::penalty::Penalty;
use super::resample::resample;
use super::revive::{aux_k, ghost};
use super::schedule::{Controller, Schedule};
use super::{HistoryRow, Sae};
use crate::activations::Activations;
use crate::error::{Code, Error, Result};
use crate::ops::adam::AdamStep;
use crate::progress::{Checkpoint, Monitor, Stop};
use crate::regularizer::Regularizer;
use crate::rng::Rng;

/// The width of jumprelu's estimator as a share of the mean threshold at the start.
const BANDWIDTH: f64 = 0.1;
/// The weight of aux-k's error (Gao et al. 2024).
const AUX_COEFFICIENT: f64 = 1.0 / 32.0;
/// Weight of a new batch in running means (SAELens and dictionary_learning follow the threshold of batch-wise top-k as fast).
const FOLLOW: f32 = 0.01;
/// No latent is resampled after this share of the run.
const RESAMPLE_UNTIL: f64 = 0.75;

/// Trains an SAE on activations, in the order in which they are stored or, with `shuffle`, in one drawn by the seed.
///
/// The loss of a token is `|x̂ - x|²` and the architecture's sparsity term (with `relu`, `l1 * sum_i f_i`, times `|w_dec_i|` with free decoder
/// rows), averaged over the batch, plus the regularizer's penalty, whose gradient joins the others before the projection of unit rows. The result depends on the arguments alone: not on
/// threads, nor on how often the work was interrupted and taken up from `checkpoint`.
///
/// # Errors
/// An option out of range; `too-large` when the memory would not do, before any work; `diverged` when loss or weights stop being finite;
/// `interrupted` when `monitor` says so, with the state saved; what reading the activations or saving the state gives.
pub fn train(
    activations: &Activations,
    options: &TrainOptions,
    regularizer: &Regularizer,
    checkpoint: &mut dyn Checkpoint,
    monitor: &dyn Monitor,
) -> Result<Sae> {
    train_on(None, activations, options, regularizer, checkpoint, monitor)
}

/// [`train`] with the products of each step on a device, by candle ([`super::on_device`]); the penalty and Adam stay on the CPU.
///
/// # Errors
/// As [`train`]; `unsupported` for latents revived by aux-k or ghost gradients; what the device gives.
pub fn train_on(
    device: Option<&Device>,
    activations: &Activations,
    options: &TrainOptions,
    regularizer: &Regularizer,
    checkpoint: &mut dyn Checkpoint,
    monitor: &dyn Monitor,
) -> Result<Sae> {
    options.validate()?;
    if device.is_some() && matches!(options.dead()?, Dead::AuxK | Dead::Ghost) {
        return Err(Error::new(Code::Unsupported, "latents are revived by aux-k and ghost gradients on the CPU only")
            .help("`dead: \"resample\"` or `dead: \"none\"`, or leave `--device` out"));
    }
    if options.dead()? == Dead::AuxK && Architecture::named(&options.architecture)? == Architecture::Relu {
        monitor.warn(
            "aux-k revives by positive pre-activations, which a dead relu latent does not have: it does nothing here; `dead: \"resample\"` \
             and `dead: \"ghost\"` do",
        );
    }
    let rows = activations.len();
    if rows == 0 {
        return Err(Error::new(Code::OutOfRange, "there are no activations to train on"));
    }
    check_memory(activations, options, regularizer, (checkpoint.keeps(), device.is_some()))?;
    let key = training_key(device, activations, options, regularizer)?;
    let mut run = Run::begin(device, activations, options, (&mut *checkpoint, &key), monitor)?;
    let mut penalty = Penalty::new(regularizer, run.engine.weights.w_dec.value.len());
    while run.progress.step < run.schedule.steps {
        if monitor.stopped() {
            run.save(checkpoint, &key)?;
            monitor.check()?;
        }
        match run.step(&mut penalty, monitor) {
            // Nothing of the step has happened yet, unless it was cut in two.
            Err(error) if error.code == Code::Interrupted && !run.broken => {
                run.save(checkpoint, &key)?;
                return Err(error);
            }
            done => done?,
        }
        if run.progress.step % options.checkpoint_every == 0 && run.progress.step < run.schedule.steps {
            run.save(checkpoint, &key)?;
        }
    }
    drop(penalty);
    run.warn(monitor);
    run.finish(monitor)
}

/// A training between two steps.
pub(super) struct Run<'a> {
    pub activations: &'a Activations,
    pub options: &'a TrainOptions,
    pub architecture: Architecture,
    pub schedule: Schedule,
    pub engine: Engine,
    pub progress: Progress,
    resample_rng: Rng,
    window: u64,
    x: Vec<f32>,
    device: Option<&'a Device>,
    order: Option<Order>,
    /// Whether a step was cut short after it had begun to change the weights.
    broken: bool,
}

impl<'a> Run<'a> {
    fn begin(
        device: Option<&'a Device>,
        activations: &'a Activations,
        options: &'a TrainOptions,
        (checkpoint, key): (&mut dyn Checkpoint, &str),
        monitor: &dyn Monitor,
    ) -> Result<Run<'a>> {
        let tokens = options.tokens.unwrap_or(activations.len() as u64);
        let schedule = Schedule::new(options, (tokens / options.batch_size as u64).max(1));
        let mut resample_rng = Rng::new(options.seed, "sae::train resample");
        let architecture = Architecture::named(&options.architecture)?;
        let saved = checkpoint.load().and_then(|bytes| from_bytes(&bytes, key));
        let State { weights, progress } = match saved {
            Some(state) => state,
            None => {
                let start = begin(activations, options, monitor)?;
                let l1 = options.l1_coefficient.unwrap_or(match architecture {
                    Architecture::JumpRelu => start.threshold[1],
                    _ => 0.1 * start.variance.sqrt(),
                });
                let progress = Progress {
                    step: 0,
                    density: 0.0,
                    last_fired: vec![0; options.d_sae],
                    controller: Controller::new(l1, options.target_l0),
                    resample_position: resample_rng.position().to_string(),
                    scale: start.scale,
                    variance: start.variance,
                    bandwidth: BANDWIDTH * start.threshold[0],
                    least: None,
                    learning: None,
                    history: Vec::new(),
                };
                State { weights: start.weights, progress }
            }
        };
        resample_rng.seek(progress.resample_position.parse().unwrap_or(0));
        let window = options.dead_window.unwrap_or(tokens / 10).div_ceil(options.batch_size as u64).max(1);
        let rule = architecture.rule(options, progress.bandwidth);
        let engine = Engine::new(weights, options.decoder_norm, rule, progress.density);
        let x = vec![0.0; options.batch_size * activations.d_in()];
        let order = options.shuffle.then(|| Order::new(activations, options.seed)).transpose()?;
        let broken = false;
        Ok(Run {
            activations,
            options,
            architecture,
            schedule,
            engine,
            progress,
            resample_rng,
            window,
            x,
            device,
            order,
            broken,
        })
    }

    fn step(&mut self, penalty: &mut Penalty<'_>, monitor: &dyn Monitor) -> Result<()> {
        let Run { options, schedule, .. } = *self;
        let (step, stop) = (self.progress.step, Stop::here());
        self.read(step)?;
        let l1 = if self.architecture.takes_k() { 0.0 } else { self.progress.controller.l1() };
        let l1 = l1 * schedule.l1_share(step);
        let lr = schedule.lr(step);
        let (dense, measured) = match self.device {
            Some(device) => self.engine.forward_on(device, &self.x).map(|(dense, measured)| (Some(dense), measured))?,
            None => (None, self.engine.forward(&self.x, Way::Measured)),
        };
        stop.check()?;
        let penalty_value = penalty.measure(&self.engine, || self.alive(), options.seed, step)?;
        let revival = self.revive(measured.mse)?;
        stop.check()?;
        let loss = measured.error + l1 * measured.sparsity + penalty_value + revival;
        if !loss.is_finite() {
            return Err(diverged("loss", step, lr));
        }
        for (last, fired) in self.progress.last_fired.iter_mut().zip(self.engine.fired()) {
            if *fired {
                *last = step + 1;
            }
        }
        let adam = AdamStep::new(lr, options.beta1, options.beta2, step + 1);
        match dense {
            Some(dense) => self.engine.update_by(dense.gradients(l1)?, &adam, penalty.gradients()),
            None => self.engine.update(l1, &adam, penalty.gradients()),
        }
        if stop.overdue() {
            self.broken = true;
            stop.check()?;
        }
        // From here on the step has happened: what is left of it, resampling above all, is not cut in two.
        let _undivided = Stop::ignore();
        self.progress.controller.observe(measured.l0, schedule.lr_share(step));
        self.steer(measured.l0, schedule.lr_share(step));
        self.follow(&measured);
        self.progress.density = self.engine.density;
        self.progress.step = step + 1;

        let Measured { mse, l0, l1: activation, .. } = measured;
        if step.is_multiple_of(options.log_every) || step + 1 == schedule.steps {
            if !self.finite() {
                return Err(diverged("weights", step, lr));
            }
            let tokens = (step + 1) * options.batch_size as u64;
            let dead = self.dead().len() as u64;
            let row = HistoryRow {
                step: step + 1,
                tokens,
                loss,
                mse,
                l0,
                l1: activation,
                l1_coefficient: l1,
                penalty: penalty_value,
                dead,
                lr,
            };
            self.progress.history.push(row);
        }
        let fvu = mse / self.progress.variance.max(f64::MIN_POSITIVE);
        monitor.update("sae", step + 1, schedule.steps, &format!("l0 {l0:.1} fvu {fvu:.3} l1 {l1:.3}"));
        self.resample()
    }

    /// Moves the thresholds of a jumprelu SAE toward its target L0, all by one factor.
    fn steer(&mut self, l0: f64, pace: f64) {
        if self.architecture != Architecture::JumpRelu {
            return;
        }
        let Some(shift) = self.progress.controller.shift(l0, pace) else { return };
        let bandwidth = self.options.bandwidth.is_none().then_some(&mut self.progress.bandwidth);
        self.engine.shift_thresholds(shift, bandwidth);
    }

    /// Adds the loss of dead latents where the options ask for one.
    fn revive(&mut self, mse: f64) -> Result<f64> {
        let how = self.options.dead()?;
        if !matches!(how, Dead::AuxK | Dead::Ghost) {
            return Ok(0.0);
        }
        let dead: Vec<usize> = self.dead();
        if dead.is_empty() {
            return Ok(0.0);
        }
        if how == Dead::Ghost {
            return Ok(ghost(&mut self.engine, &dead, mse));
        }
        let k = self.options.k_aux.unwrap_or((self.activations.d_in() / 2).max(1));
        Ok(aux_k(&mut self.engine, &dead, k, self.options.aux_coefficient.unwrap_or(AUX_COEFFICIENT)))
    }

    /// Keeps running means of what the finished SAE and its warnings need.
    fn follow(&mut self, measured: &Measured) {
        let progress = &mut self.progress;
        if let Some(least) = measured.least {
            progress.least = Some(progress.least.map_or(least, |mean| mean + FOLLOW * (least - mean)));
        }
        if let Some(share) = measured.learning {
            let follow = f64::from(FOLLOW);
            progress.learning = Some(progress.learning.map_or(share, |mean| mean + follow * (share - mean)));
        }
    }

    /// Reads the batch of a step.
    fn read(&mut self, step: u64) -> Result<()> {
        let from = u128::from(step) * self.options.batch_size as u128;
        order::read(self.activations, self.order.as_mut(), from, &mut self.x)?;
        if self.progress.scale != 1.0 {
            self.x.iter_mut().for_each(|x| *x *= self.progress.scale);
        }
        Ok(())
    }

    /// Which latents have fired within the window, the batch at hand included; before a window has passed, all count as alive.
    fn alive(&self) -> Vec<bool> {
        let now = self.progress.step + 1;
        let last_fired = self.progress.last_fired.iter().zip(self.engine.fired());
        last_fired.map(|(last, fired)| *fired || last + self.window >= now).collect()
    }

    fn dead(&self) -> Vec<usize> {
        self.alive().iter().enumerate().filter(|(_, alive)| !**alive).map(|(i, _)| i).collect()
    }

    fn resample(&mut self) -> Result<()> {
        let (step, steps) = (self.progress.step, self.schedule.steps);
        let every = ((self.options.resample_every * steps as f64).round() as u64).max(1);
        let due = step % every == 0 && (step as f64) < RESAMPLE_UNTIL * steps as f64;
        if !due || self.options.dead()? != Dead::Resample {
            return Ok(());
        }
        let dead = self.dead();
        if dead.is_empty() {
            return Ok(());
        }
        let (scale, rng) = (self.progress.scale, &mut self.resample_rng);
        let cut = if self.architecture.batch_wise() { self.progress.least.unwrap_or(0.0) } else { 1.0 };
        let activation = self.architecture.activation(self.options, &self.engine.weights, 1.0, cut);
        let made = resample(&mut self.engine, &activation, &dead, self.activations, scale, self.options, rng)?;
        dead.iter().take(made).for_each(|i| self.progress.last_fired[*i] = step);
        self.progress.resample_position = self.resample_rng.position().to_string();
        Ok(())
    }

    fn finite(&self) -> bool {
        let weights = &self.engine.weights;
        weights.params().iter().all(|param| param.value.iter().all(|x| x.is_finite()))
    }

    fn save(&self, checkpoint: &mut dyn Checkpoint, key: &str) -> Result<()> {
        if !checkpoint.keeps() {
            return Ok(());
        }
        let bytes = to_bytes(&self.engine.weights, &self.progress, key)
            .map_err(|error| Error::new(Code::Internal, format!("the training state does not serialize: {error}")))?;
        checkpoint.save(&bytes)
    }
}

fn diverged(what: &str, step: u64, lr: f64) -> Error {
    Error::new(Code::Diverged, format!("the {what} stopped being finite"))
        .fact("step", step + 1)
        .fact("lr", lr)
        .help("try a smaller `lr` or a smaller regularizer coefficient, or `normalize_activations: \"expected_average_only_in\"`")
}

/// What names a training: a state of any other is not taken up.
fn training_key(
    device: Option<&Device>,
    activations: &Activations,
    options: &TrainOptions,
    regularizer: &Regularizer,
) -> Result<String> {
    let mut parts = serde_json::json!([1, options, activations.digest()?, regularizer.describe()]);
    if let (Some(device), Some(parts)) = (device, parts.as_array_mut()) {
        parts.push(format!("{:?}", device.location()).into());
    }
    Ok(blake3::hash(parts.to_string().as_bytes()).to_hex().to_string())
}
