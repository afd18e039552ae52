//! The memory that a training takes, asked for before any of it is allocated.

use super::architecture::Architecture;
use super::calibrate;
use super::options::{Dead, Init, TrainOptions};
use crate::activations::Activations;
use crate::error::Result;
use crate::memory;
use crate::ops::dense::{DENSE_ABOVE, TOKEN_TILE};
use crate::regularizer::Regularizer;

/// A pair of token and active latent: latent and value, by token, by latent, and once more while one becomes the other.
const PAIR: f64 = 24.0;

/// Refuses a training that would not fit into the memory that is free now. In floats, as products of sizes out of a script
/// may be larger than any integer.
pub(super) fn check_memory(
    activations: &Activations,
    options: &TrainOptions,
    regularizer: &Regularizer,
    (keeps, on_device): (bool, bool),
) -> Result<()> {
    let [d_in, d_sae, batch] = [activations.d_in(), options.d_sae, options.batch_size].map(|n| n as f64);
    let weights = 4.0 * (2.0 * d_in * d_sae + d_in + 3.0 * d_sae);
    let saved = if keeps { 3.0 * weights } else { 0.0 };
    // Gradients of both dictionaries, and what the terms hold.
    let gradients = if regularizer.is_none() { 0.0 } else { 8.0 * d_in * d_sae };
    let penalty = gradients + regularizer.bytes(options.d_sae, activations.d_in());
    // Whole tiles of inputs and of the residuals of reconstructions.
    let tile = TOKEN_TILE as f64;
    let rows = (12.0 * batch + (8.0 + 4.0 * residuals(options)? as f64) * (batch / tile).ceil() * tile) * d_in;
    let latents = 24.0 * d_sae;
    let sample = 4.0 * d_in * (2.0 * 8192.0);
    let shuffled = if options.shuffle { 16.0 * 65_536.0 } else { 0.0 };
    let device = if on_device { 32.0 * batch * d_sae } else { 0.0 };
    let active = active(options, batch, d_sae)? + calibrate::bytes(options);
    let needed = 3.0 * weights + saved + penalty + rows + latents + sample + shuffled + device + active;
    // A float too large for an integer becomes the largest.
    memory::check("the training", (needed as u64).saturating_add(64 << 20), "try a smaller `d_sae` or `batch_size`")
}

/// How many residuals a step holds.
fn residuals(options: &TrainOptions) -> Result<usize> {
    Ok(match Architecture::named(&options.architecture)? {
        Architecture::MatryoshkaBatchTopK => options.widths().len(),
        Architecture::Gated => 2,
        _ => 1,
    })
}

/// Bytes of the active pairs of a step, of rules whose number of pairs is known beforehand.
fn active(options: &TrainOptions, batch: f64, d_sae: f64) -> Result<f64> {
    // Ghost gradients hold every pair of token and dead latent, twice.
    let ghost = if options.dead()? == Dead::Ghost { 28.0 * batch * d_sae } else { 0.0 };
    let share = match (Architecture::named(&options.architecture)?, options.init) {
        (architecture, _) if architecture.takes_k() => options.k.unwrap_or(0) as f64 / d_sae.max(1.0),
        // Denser steps take the dense way.
        (Architecture::Relu, Init::Tied) => 2.0 * DENSE_ABOVE,
        (Architecture::Gated, Init::Tied) => 0.5,
        // One latent in a hundred is active at the start.
        _ => 0.01,
    };
    Ok(ghost + PAIR * share * batch * d_sae)
}
