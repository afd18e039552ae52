//! The forward pass of a training step, by rule, and what it leaves for the gradients.

use rayon::prelude::*;

use super::activation::{batch_largest, largest};
use super::engine::{Measured, Rule, Way};
use super::weights::Weights;
use crate::ops::backward::{self, Stream};
use crate::ops::codes::{ByLatent, Codes};
use crate::ops::decode::decode;
use crate::ops::dense::{Counts, DENSE_ABOVE, Padded, dense_forward};
use crate::ops::encode::{Floor, encode, encode_above};
use crate::ops::gated::magnitudes;
use crate::ops::jump::within_reach;
use crate::ops::nested::nested;
use crate::ops::simd::{add_scaled, dot};

/// A reconstruction that latents in need of revival take part in, beside the true one.
#[derive(Debug, Clone)]
pub struct Auxiliary {
    /// Its residual, times 2 and its weight over the number of tokens.
    pub g: Padded,
    /// Its codes, over all latents; none of those in it fires in the true reconstruction.
    pub codes: ByLatent,
    /// Whether activations are multiples of exponentials (ghost gradients) rather than pre-activations (aux-k).
    pub exponential: bool,
}

/// What a forward pass leaves.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// The centered inputs.
    pub x: Padded,
    /// Residuals times `2 / n`: of the reconstruction; then of the gates (gated). Of nested reconstructions the sums that each group reads.
    g: Vec<Padded>,
    /// The first residual summed over tokens.
    pub g_sum: Vec<f64>,
    /// Pre-activations latent by latent; none after the dense way.
    codes: Option<ByLatent>,
    /// What the sparsity term weighs a latent's activation with.
    pub norms: Vec<f32>,
    /// Which latents fired.
    pub fired: Vec<bool>,
    /// A guess of what the largest pre-activations are above; it costs or saves time and changes no result.
    floor: Option<f32>,
}

impl Pass {
    pub fn new(weights: &Weights, rule: &Rule) -> Pass {
        let residuals = match rule {
            Rule::Gated => 2,
            Rule::Matryoshka { widths, .. } => widths.len(),
            _ => 1,
        };
        Pass {
            x: Padded::zeros(0, weights.d_in()),
            g: vec![Padded::zeros(0, weights.d_in()); residuals],
            g_sum: vec![0.0; weights.d_in()],
            codes: None,
            norms: vec![1.0; weights.d_sae()],
            fired: vec![false; weights.d_sae()],
            floor: None,
        }
    }

    /// Encodes and decodes a batch `[n, d_in]`. `density` is that of the last step; `free` whether decoder norms weigh activations.
    pub fn run(
        &mut self,
        weights: &Weights,
        rule: &Rule,
        x: &[f32],
        (way, density, free): (Way, f64, bool),
    ) -> Measured {
        let d = weights.d_in();
        let n = x.len() / d;
        if self.x.n != n {
            self.x = Padded::zeros(n, d);
            self.g.fill(Padded::zeros(n, d));
        }
        self.x.center(x, &weights.b_dec.value);
        if free {
            let decoder = weights.decoder();
            self.norms
                .par_iter_mut()
                .enumerate()
                .for_each(|(i, norm)| *norm = dot(decoder.row(i), decoder.row(i)).sqrt());
        }
        let mut measured = match rule {
            Rule::Relu => {
                let counts = self.relu(weights, way, density);
                let error = self.residual(x);
                Measured::new(counts, error)
            }
            Rule::TopK { k } => {
                let codes = largest(&self.x, weights.encoder(), &weights.b_enc.value, *k, &mut self.floor);
                let counts = self.decode(weights, &codes, &codes);
                Measured::new(counts, self.residual(x))
            }
            Rule::BatchTopK { k } => {
                let (codes, least) =
                    batch_largest(&self.x, weights.encoder(), &weights.b_enc.value, *k, &mut self.floor);
                let counts = self.decode(weights, &codes, &codes);
                Measured { least, ..Measured::new(counts, self.residual(x)) }
            }
            Rule::JumpRelu { bandwidth } => self.jump(weights, *bandwidth, x),
            Rule::Gated => self.gated(weights, x),
            Rule::Matryoshka { k, widths } => self.nested(weights, *k, widths, x),
        };
        if matches!(rule, Rule::Relu | Rule::Gated) {
            measured.sparsity = measured.l1;
        }
        measured
    }

    fn relu(&mut self, weights: &Weights, way: Way, density: f64) -> Counts {
        let (encoder, b_enc) = (weights.encoder(), &weights.b_enc.value);
        let codes = match way {
            Way::Dense => None,
            Way::Measured if density > DENSE_ABOVE => None,
            Way::Measured => encode(&self.x, encoder, b_enc, Some(2.0 * DENSE_ABOVE)),
            Way::Sparse => encode(&self.x, encoder, b_enc, None),
        };
        let Some(codes) = codes else {
            self.codes = None;
            let dictionaries = (encoder, b_enc.as_slice(), weights.decoder());
            let counts = dense_forward(&self.x, dictionaries, &weights.b_dec.value, &self.norms, &mut self.g[0]);
            self.fired.clone_from(&counts.fired);
            return counts;
        };
        self.decode(weights, &codes, &codes)
    }

    fn jump(&mut self, weights: &Weights, bandwidth: f32, x: &[f32]) -> Measured {
        let thresholds: Vec<f32> = weights.extra[0].value.iter().map(|log| log.exp()).collect();
        let floors: Vec<f32> = thresholds.iter().map(|threshold| threshold - 0.5 * bandwidth).collect();
        let near = encode_above(&self.x, weights.encoder(), &weights.b_enc.value, Floor::Each(&floors), None);
        let near = near.unwrap_or_else(|| Codes::none(self.x.n, thresholds.len()));
        let active = near.filter_map(|i, pre| (pre > thresholds[i as usize]).then_some(pre));
        let counts = self.decode(weights, &active, &near);
        let learning = self.codes.as_ref().map(|codes| within_reach(codes, &thresholds, bandwidth));
        let learning = learning.map(|latents| latents as f64 / thresholds.len() as f64);
        let measured = Measured::new(counts, self.residual(x));
        Measured { sparsity: measured.l0, learning, ..measured }
    }

    fn gated(&mut self, weights: &Weights, x: &[f32]) -> Measured {
        let b_gate = &weights.b_enc.value;
        let gates = encode(&self.x, weights.encoder(), b_gate, None);
        let gates = gates.unwrap_or_else(|| Codes::none(self.x.n, b_gate.len()));
        let [r_mag, b_mag] = &weights.extra;
        let active = magnitudes(&gates, &r_mag.value, b_gate, &b_mag.value);
        let counts = Counts { weighted: weigh(&gates, &self.norms), ..self.decode(weights, &active, &gates) };
        let measured = Measured::new(counts, self.residual(x));
        let g = &mut self.g[1];
        let real = g.n * g.d;
        decode(&gates, weights.decoder(), &weights.b_dec.value, &mut g.data[..real]);
        let (error, _) = residual(g, x);
        Measured { error: measured.mse + error / g.n as f64, ..measured }
    }

    fn nested(&mut self, weights: &Weights, k: usize, widths: &[usize], x: &[f32]) -> Measured {
        let (codes, least) = batch_largest(&self.x, weights.encoder(), &weights.b_enc.value, k, &mut self.floor);
        let (n, real) = (self.x.n, self.x.n * self.x.d);
        let scale = 2.0 / (n * widths.len()) as f32;
        let mut streams: Vec<&mut [f32]> = self.g.iter_mut().map(|g| &mut g.data[..real]).collect();
        let errors = nested(&codes, weights.decoder(), &weights.b_dec.value, widths, x, scale, &mut streams);
        // Every prefix holds the first group and the decoder's bias.
        self.g_sum = column_sums(&self.g[0]);
        let counts = self.keep(&codes, &codes);
        let error = errors.iter().sum::<f64>() / (errors.len() * n) as f64;
        let whole = errors.last().copied().unwrap_or(0.0);
        Measured { error, least, ..Measured::new(counts, (whole, n)) }
    }

    /// Decodes `active` and keeps `learned`, the pre-activations that gradients are made of.
    fn decode(&mut self, weights: &Weights, active: &Codes, learned: &Codes) -> Counts {
        let g = &mut self.g[0];
        let real = g.n * g.d;
        decode(active, weights.decoder(), &weights.b_dec.value, &mut g.data[..real]);
        self.keep(active, learned)
    }

    fn keep(&mut self, active: &Codes, learned: &Codes) -> Counts {
        self.fired.fill(false);
        active.latents.iter().for_each(|i| self.fired[*i as usize] = true);
        self.codes = Some(learned.by_latent());
        Counts { active: active.active() as u64, weighted: weigh(active, &self.norms), fired: Vec::new() }
    }

    /// Turns the reconstruction into the residual and returns the squared error over how many tokens.
    fn residual(&mut self, x: &[f32]) -> (f64, usize) {
        let (error, sum) = residual(&mut self.g[0], x);
        self.g_sum = sum;
        (error, self.g[0].n)
    }

    /// `x - x̂`, `[n, d_in]`.
    pub fn error(&self, rule: &Rule) -> Vec<f32> {
        let (g, share) = match rule {
            Rule::Matryoshka { widths, .. } => (&self.g[widths.len() - 1], widths.len()),
            _ => (&self.g[0], 1),
        };
        let scale = -0.5 * (share * g.n) as f32;
        g.rows().iter().map(|g| scale * g).collect()
    }

    /// What gradients read, and for each latent where it reads (nothing where all read the first).
    pub fn streams<'a>(
        &'a self,
        rule: &Rule,
        coefficient: f64,
        auxiliary: Option<&'a Auxiliary>,
    ) -> (Vec<Stream<'a>>, Vec<u8>) {
        let codes = self.codes.as_ref();
        let sparsity = (coefficient / self.x.n as f64) as f32;
        let gradient = match rule {
            Rule::Relu => backward::Rule::Plain { sparsity },
            Rule::TopK { .. } | Rule::BatchTopK { .. } | Rule::Matryoshka { .. } => {
                backward::Rule::Plain { sparsity: 0.0 }
            }
            Rule::JumpRelu { bandwidth } => backward::Rule::Jump { bandwidth: *bandwidth, sparsity },
            Rule::Gated => backward::Rule::Gated { sparsity, gate: &self.g[1] },
        };
        let mut stream_of = Vec::new();
        let mut streams = vec![Stream { g: &self.g[0], codes, rule: gradient }];
        if let Rule::Matryoshka { widths, .. } = rule {
            streams = self.g.iter().map(|g| Stream { g, codes, rule: gradient }).collect();
            stream_of = vec![0; self.fired.len()];
            for (j, pair) in widths.windows(2).enumerate() {
                stream_of[pair[0]..pair[1]].fill(j as u8 + 1);
            }
        }
        if let Some(Auxiliary { g, codes, exponential }) = auxiliary {
            stream_of.resize(self.fired.len(), 0);
            let place = streams.len() as u8;
            for (i, stream) in stream_of.iter_mut().enumerate() {
                if codes.offsets[i] < codes.offsets[i + 1] {
                    *stream = place;
                }
            }
            let plain = backward::Rule::Plain { sparsity: 0.0 };
            let rule = if *exponential { backward::Rule::Exponential } else { plain };
            streams.push(Stream { g, codes: Some(codes), rule });
        }
        (streams, stream_of)
    }
}

impl Measured {
    fn new(counts: Counts, (error, n): (f64, usize)) -> Measured {
        let n = n as f64;
        let (mse, l0, l1) = (error / n, counts.active as f64 / n, counts.weighted / n);
        Measured { mse, error: mse, l0, l1, sparsity: 0.0, learning: None, least: None }
    }
}

/// The sum of activations, each weighed by its latent's norm.
fn weigh(codes: &Codes, norms: &[f32]) -> f64 {
    codes.latents.iter().zip(&codes.values).map(|(i, f)| f64::from(*f * norms[*i as usize])).sum()
}

/// Tokens whose sums one task makes.
const BLOCK: usize = 256;

/// Turns a reconstruction into `2 (x̂ - x) / n`; returns the squared error and the sum over tokens.
fn residual(g: &mut Padded, x: &[f32]) -> (f64, Vec<f64>) {
    let (d, n) = (g.d, g.n);
    let scale = 2.0 / n as f32;
    let parts: Vec<(f64, Vec<f32>)> = g.data[..n * d]
        .par_chunks_mut(BLOCK * d)
        .zip(x.par_chunks(BLOCK * d))
        .map(|(g, x)| {
            let mut sum = vec![0.0f32; d];
            let mut squares = 0.0;
            for (g, x) in g.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
                g.iter_mut().zip(x).for_each(|(g, x)| *g -= x);
                squares += f64::from(dot(g, g));
                g.iter_mut().for_each(|g| *g *= scale);
                add_scaled(&mut sum, 1.0, g);
            }
            (squares, sum)
        })
        .collect();
    let error = parts.iter().map(|(squares, _)| squares).sum();
    (error, total(parts.into_iter().map(|(_, sum)| sum), d))
}

/// The sum of the rows.
fn column_sums(g: &Padded) -> Vec<f64> {
    let parts: Vec<Vec<f32>> = g
        .rows()
        .par_chunks(BLOCK * g.d)
        .map(|rows| {
            let mut sum = vec![0.0f32; g.d];
            rows.chunks_exact(g.d).for_each(|row| add_scaled(&mut sum, 1.0, row));
            sum
        })
        .collect();
    total(parts.into_iter(), g.d)
}

fn total(parts: impl Iterator<Item = Vec<f32>>, d: usize) -> Vec<f64> {
    let mut total = vec![0.0; d];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += f64::from(part));
    }
    total
}
