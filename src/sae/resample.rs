//! Resampling of dead latents (Bricken et al. 2023): each is made anew in the direction of a badly reconstructed input.

use super::activation::Activation;
use super::architecture::Architecture;
use super::engine::Engine;
use super::init::biases;
use super::options::TrainOptions;
use super::weights::normalize;
use crate::activations::Activations;
use crate::error::Result;
use crate::ops::Rows;
use crate::ops::decode::decode;
use crate::ops::dense::Padded;
use crate::ops::simd::dot;
use crate::rng::Rng;

/// New encoder rows have this share of the mean norm of those alive.
const ENCODER_SHARE: f32 = 0.2;
/// Most rows that candidates are chosen from.
const MOST: usize = 32_768;
/// Rows whose error is measured at once.
const CHUNK: usize = 2048;

/// Makes the latents in `dead` anew (`activation` is what the SAE computes now) and returns how many: fewer than asked where there are too few inputs.
///
/// An input is drawn with probability proportional to its squared loss, none twice. The decoder row becomes its direction from `b_dec`,
/// the encoder row the same at 0.2 of the mean norm of encoder rows alive; biases and thresholds are as at the start of a training, so that with
/// `init: "sparse"` the latent is not dense at once. The Adam moments of the latent are set to 0.
///
/// # Errors
/// What reading the activations gives.
pub fn resample(
    engine: &mut Engine,
    activation: &Activation,
    dead: &[usize],
    activations: &Activations,
    scale: f32,
    options: &TrainOptions,
    rng: &mut Rng,
) -> Result<usize> {
    let d = activations.d_in();
    let rows = activations.len().min(MOST).min((4 * dead.len()).max(CHUNK));
    let mut x = activations.sample(rows, rng.bits())?;
    x.iter_mut().for_each(|x| *x *= scale);
    let losses = squared_errors(engine, activation, &x);
    let chosen = draw(&losses, dead.len(), rng);

    let weights = &mut engine.weights;
    let length = ENCODER_SHARE * mean_norm_alive(weights.encoder(), dead);
    let centered = Padded::centered(&x, &weights.b_dec.value);
    let directions: Vec<f32> = chosen
        .iter()
        .flat_map(|row| {
            let mut direction = centered.row(*row).to_vec();
            normalize(&mut direction);
            direction
        })
        .collect();
    let mut encoder = directions.clone();
    encoder.iter_mut().for_each(|x| *x *= length);
    let architecture = Architecture::named(&options.architecture)?;
    let rows = Rows { data: &encoder, n: chosen.len(), d };
    let (b_enc, first) = biases(architecture, options.init, rows, &centered, options.init_sd);
    for (k, i) in dead.iter().take(chosen.len()).enumerate() {
        let row = k * d..(k + 1) * d;
        weights.w_dec.reset(i * d, &directions[row.clone()]);
        weights.w_enc.reset(i * d, &encoder[row]);
        weights.b_enc.reset(*i, &b_enc[k..=k]);
        weights.extra[0].reset(*i, &first[k..=k]);
        weights.extra[1].reset(*i, &[0.0]);
    }
    Ok(chosen.len())
}

fn squared_errors(engine: &Engine, activation: &Activation, x: &[f32]) -> Vec<f64> {
    let weights = &engine.weights;
    let d = weights.d_in();
    let mut errors = Vec::with_capacity(x.len() / d);
    for x in x.chunks(CHUNK * d) {
        let centered = Padded::centered(x, &weights.b_dec.value);
        let codes = activation.codes(&centered, weights.encoder(), &weights.b_enc.value);
        let mut reconstruction = vec![0.0; x.len()];
        decode(&codes, weights.decoder(), &weights.b_dec.value, &mut reconstruction);
        for (out, x) in reconstruction.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            out.iter_mut().zip(x).for_each(|(out, x)| *out -= x);
            errors.push(f64::from(dot(out, out)));
        }
    }
    errors
}

/// Draws `count` indices without replacement, with probability proportional to the square of `loss` (Efraimidis and Spirakis 2006).
fn draw(losses: &[f64], count: usize, rng: &mut Rng) -> Vec<usize> {
    let mut keys: Vec<(f64, usize)> = losses
        .iter()
        .enumerate()
        .map(|(row, loss)| ((1.0 - rng.uniform()).ln() / (loss * loss), row))
        .filter(|(key, _)| key.is_finite())
        .collect();
    keys.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    keys.into_iter().take(count).map(|(_, row)| row).collect()
}

fn mean_norm_alive(encoder: Rows<'_>, dead: &[usize]) -> f32 {
    let mut alive = vec![true; encoder.n];
    dead.iter().for_each(|i| alive[*i] = false);
    let norms: Vec<f32> =
        (0..encoder.n).filter(|i| alive[*i]).map(|i| dot(encoder.row(i), encoder.row(i)).sqrt()).collect();
    if norms.is_empty() { 1.0 } else { norms.iter().sum::<f32>() / norms.len() as f32 }
}
