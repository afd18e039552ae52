//! What changes over a run: the learning rate, the L1 coefficient and the controller that steers L0.

use serde::{Deserialize, Serialize};

use super::options::TrainOptions;

/// The learning rate and the L1 warm-up by step.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Steps in the run.
    pub steps: u64,
    lr: f64,
    lr_warmup: f64,
    lr_decay: f64,
    l1_warmup: f64,
}

impl Schedule {
    /// The schedule of a run of `steps` steps.
    pub fn new(options: &TrainOptions, steps: u64) -> Schedule {
        let share = |share: f64| (share * steps as f64).round();
        Schedule {
            steps,
            lr: options.lr,
            lr_warmup: share(options.lr_warmup),
            lr_decay: share(options.lr_decay),
            l1_warmup: share(options.l1_warmup),
        }
    }

    /// The learning rate as a share of the highest, at this step counted from 0: never 0 before the end.
    pub fn lr_share(&self, step: u64) -> f64 {
        let rise = (step as f64 + 1.0) / (self.lr_warmup + 1.0);
        let fall = (self.steps - step) as f64 / (self.lr_decay + 1.0);
        rise.min(fall).min(1.0)
    }

    /// The learning rate at this step.
    pub fn lr(&self, step: u64) -> f64 {
        self.lr * self.lr_share(step)
    }

    /// The share of the L1 coefficient that counts at this step.
    pub fn l1_share(&self, step: u64) -> f64 {
        if self.l1_warmup == 0.0 { 1.0 } else { ((step as f64 + 1.0) / self.l1_warmup).min(1.0) }
    }
}

/// Steers the sparsity coefficient (of L1, or of jumprelu's L0) by the logarithm of measured over target L0.
///
/// Each step the logarithm of the coefficient moves by `RATE * error`, with `error = ln(smoothed L0 / target)` held to ±1, in proportion
/// to the learning rate: where the weights move slowly, so does the coefficient, and both come to rest together. A second term,
/// `DAMPING * error`, acts at once and does not accumulate; it keeps the loop from swinging. It steers the L0 of training batches: on held-out
/// tokens L0 is the same as long as tokens are not repeated often, and higher when they are.
///
/// A jumprelu threshold learns at the rate of the weights, by 0.03 % a step at the usual one, and only from pre-activations close to it: the coefficient
/// alone would take thousands of steps. So all thresholds also move together, by [`Controller::shift`]; the coefficient decides which of them are high.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Controller {
    target: Option<f64>,
    start: f64,
    log_l1: f64,
    smoothed: Option<f64>,
}

/// How fast the coefficient follows, per step.
const RATE: f64 = 0.03;
/// How fast jumprelu's thresholds follow, per step.
const SHIFT: f64 = 0.03;
/// The immediate response.
const DAMPING: f64 = 0.7;
/// Weight of a new batch in the smoothed L0.
const SMOOTHING: f64 = 0.1;
/// The coefficient stays within this factor of its start value.
const REACH: f64 = 1e4;

impl Controller {
    /// Holds `start` where there is no target.
    pub fn new(start: f64, target: Option<f64>) -> Controller {
        Controller { target, start, log_l1: start.max(f64::MIN_POSITIVE).ln(), smoothed: None }
    }

    /// The coefficient to use now.
    pub fn l1(&self) -> f64 {
        match (self.target, self.error()) {
            (None, _) => self.start,
            (Some(_), error) => self.limit(self.log_l1 + DAMPING * error).exp(),
        }
    }

    /// Takes in the L0 of a batch; `pace` is the learning rate as a share of its highest.
    pub fn observe(&mut self, l0: f64, pace: f64) {
        if self.target.is_none() {
            return;
        }
        let smoothed = self.smoothed.map_or(l0, |old| old + SMOOTHING * (l0 - old));
        self.smoothed = Some(smoothed);
        self.log_l1 = self.limit(self.log_l1 + RATE * pace * self.error());
    }

    /// By how much the logarithm of all thresholds should move after a batch of this L0; none where there is no target.
    pub fn shift(&self, l0: f64, pace: f64) -> Option<f64> {
        let target = self.target?;
        Some(SHIFT * pace * (l0.max(1e-6) / target).ln().clamp(-1.0, 1.0))
    }

    fn error(&self) -> f64 {
        match (self.target, self.smoothed) {
            (Some(target), Some(l0)) => (l0.max(1e-6) / target).ln().clamp(-1.0, 1.0),
            _ => 0.0,
        }
    }

    fn limit(&self, log_l1: f64) -> f64 {
        let start = self.start.max(f64::MIN_POSITIVE).ln();
        log_l1.clamp(start - REACH.ln(), start + REACH.ln())
    }
}
