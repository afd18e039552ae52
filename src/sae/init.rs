//! How a training begins: weights, the scale of the activations, and their variance.

use rayon::prelude::*;

use super::architecture::Architecture;
use super::options::{Init, NormalizeActivations, TrainOptions};
use super::weights::Weights;
use crate::activations::Activations;
use crate::error::{Code, Error, Result};
use crate::ops::Rows;
use crate::ops::backward::LATENT_CHUNK;
use crate::ops::dense::{Padded, TOKEN_TILE, with_tile};
use crate::ops::matmul::{Threads, View, matmul};
use crate::progress::{Monitor, Stop};
use crate::rng::Rng;

/// Rows of the sample that the start is measured on.
const SAMPLE: usize = 8192;

/// The start of a training.
#[derive(Debug, Clone)]
pub struct Start {
    /// The weights.
    pub weights: Weights,
    /// What activations are multiplied by.
    pub scale: f32,
    /// Total variance of the scaled sample: the mean over rows of |x - mean|².
    pub variance: f64,
    /// The mean starting threshold, and the mean of its square.
    pub threshold: [f64; 2],
}

/// Measures a sample and draws the weights.
///
/// # Errors
/// What reading the activations gives; `diverged` when the sample is not finite; `interrupted`.
pub fn begin(activations: &Activations, options: &TrainOptions, monitor: &dyn Monitor) -> Result<Start> {
    let d = activations.d_in();
    let seed = Rng::new(options.seed, "sae::train sample").bits();
    let mut x = activations.sample(SAMPLE.min(activations.len()), seed)?;
    let n = (x.len() / d) as f64;
    let scale = match options.normalize_activations {
        NormalizeActivations::None => 1.0,
        NormalizeActivations::ExpectedAverageOnlyIn => {
            let mean_norm = x.chunks_exact(d).map(|row| square_sum(row).sqrt()).sum::<f64>() / n;
            if mean_norm > 0.0 { ((d as f64).sqrt() / mean_norm) as f32 } else { 1.0 }
        }
    };
    x.iter_mut().for_each(|x| *x *= scale);
    let mut mean = vec![0.0f64; d];
    for row in x.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x) / n);
    }
    let b_dec: Vec<f32> = mean.iter().map(|mean| *mean as f32).collect();
    let x = Padded::centered(&x, &b_dec);
    let variance = x.rows().chunks_exact(d).map(square_sum).sum::<f64>() / n;
    if !variance.is_finite() {
        return Err(Error::new(Code::Diverged, "the activations are not all finite numbers")
            .help("harvest them again, or look at the rows of `a.sample(1000, 0)`"));
    }
    monitor.check()?;
    let w_dec = Rng::new(options.seed, "sae::train directions").directions(options.d_sae, d);
    monitor.check()?;
    let sds = match options.init {
        Init::Tied => 0.0,
        Init::Sparse => options.init_sd,
    };
    let encoder = Rows { data: &w_dec, n: options.d_sae, d };
    let (b_enc, first) = biases(Architecture::named(&options.architecture)?, options.init, encoder, &x, sds);
    monitor.check()?;
    let mut weights = Weights::new(w_dec.clone(), b_enc, w_dec, b_dec);
    let thresholds = first.iter().map(|log| f64::from(*log).exp());
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / options.d_sae as f64;
    let threshold = [mean(&mut thresholds.clone()), mean(&mut thresholds.map(|t| t * t))];
    weights.extra[0].value = first;
    Ok(Start { weights, scale, variance, threshold })
}

/// The encoder biases of latents with these encoder rows, and the first of what their rule learns besides. `x` is a centered sample.
///
/// A sparse start puts every latent's threshold `sds` standard deviations above its mean: into the bias (relu, gated), or into the threshold
/// (jumprelu, whose biases start at 0). The top-k family is sparse by itself.
pub fn biases(architecture: Architecture, init: Init, w_enc: Rows<'_>, x: &Padded, sds: f64) -> (Vec<f32>, Vec<f32>) {
    let zeros = || vec![0.0f32; w_enc.n];
    match (architecture, init) {
        (Architecture::Relu | Architecture::Gated, Init::Sparse) => (sparse_biases(w_enc, x, sds), zeros()),
        (Architecture::JumpRelu, _) => {
            // A threshold of 0 would never move: its logarithm has no gradient.
            let least = 1e-3 * (x.rows().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / x.n.max(1) as f64).sqrt();
            let log = |bias: f32| (-f64::from(bias)).max(least.max(1e-30)).ln() as f32;
            (zeros(), sparse_biases(w_enc, x, sds).into_iter().map(log).collect())
        }
        _ => (zeros(), zeros()),
    }
}

fn square_sum(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x).powi(2)).sum()
}

/// For each encoder row `w`, the bias `-(mean + sds * sd)` of `w · x` over the centered sample: it fires only in the upper tail.
pub fn sparse_biases(w_enc: Rows<'_>, x: &Padded, sds: f64) -> Vec<f32> {
    let d = x.d;
    let stop = Stop::here();
    w_enc
        .data
        .par_chunks(LATENT_CHUNK * d)
        .flat_map_iter(|weights| {
            let width = weights.len() / d;
            let mut sums = vec![[0.0f64; 2]; width];
            for t in (0..x.tiles()).take_while(|_| !stop.requested()) {
                let (rows, real) = x.tile(t);
                with_tile(TOKEN_TILE * width, |tile| {
                    let weights = View::new(weights, width, d);
                    matmul(tile, width, 0.0, View::new(rows, TOKEN_TILE, d), weights.t(), Threads::One);
                    for row in tile.chunks_exact(width).take(real) {
                        for (sums, pre) in sums.iter_mut().zip(row) {
                            sums[0] += f64::from(*pre);
                            sums[1] += f64::from(*pre).powi(2);
                        }
                    }
                });
            }
            let n = x.n.max(1) as f64;
            sums.into_iter().map(move |[sum, squares]| {
                let mean = sum / n;
                let sd = (squares / n - mean * mean).max(0.0).sqrt();
                -(mean + sds * sd) as f32
            })
        })
        .collect()
}
