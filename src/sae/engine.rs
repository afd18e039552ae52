//! One training step of a ReLU SAE: forward, gradients, update. Sparse by default, dense while codes are dense.
//!
//! The loss is `mean over tokens of (|x̂ - x|² + l1 * sum_i f_i norm_i)`, plus a penalty on the dictionary whose gradient comes from
//! outside; `norm_i` is 1 with unit decoder rows and `|w_dec_i|` with free ones.

use rayon::prelude::*;

use super::options::DecoderNorm;
use crate::ops::Rows;
use crate::ops::adam::{AdamStep, adam};
use crate::ops::backward::{Batch, LATENT_CHUNK, LatentGradients, Latents, backward};
use crate::ops::codes::ByLatent;
use crate::ops::decode::decode;
use crate::ops::dense::{Counts, DENSE_ABOVE, dense_forward};
use crate::ops::encode::{Padded, encode};
use crate::ops::simd::{add_scaled, dot};

/// A parameter and its two Adam moments.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// The values.
    pub value: Vec<f32>,
    /// Adam's first moment.
    pub first: Vec<f32>,
    /// Adam's second moment.
    pub second: Vec<f32>,
}

impl Param {
    /// A parameter that Adam has not moved yet.
    pub fn new(value: Vec<f32>) -> Param {
        Param { first: vec![0.0; value.len()], second: vec![0.0; value.len()], value }
    }

    fn runs(&mut self, size: usize) -> impl IndexedParallelIterator<Item = ParamRun<'_>> {
        let moments = self.first.par_chunks_mut(size).zip(self.second.par_chunks_mut(size));
        let values = self.value.par_chunks_mut(size);
        values.zip(moments).map(|(value, (first, second))| ParamRun { value, first, second })
    }
}

/// All parameters of an SAE in training; dictionaries are `[d_sae, d_in]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The encoder.
    pub w_enc: Param,
    /// Its bias, `[d_sae]`.
    pub b_enc: Param,
    /// The decoder.
    pub w_dec: Param,
    /// Its bias, `[d_in]`, also subtracted from the input.
    pub b_dec: Param,
}

impl Weights {
    /// How many latents.
    pub fn d_sae(&self) -> usize {
        self.b_enc.value.len()
    }

    /// How wide the input is.
    pub fn d_in(&self) -> usize {
        self.b_dec.value.len()
    }

    /// The encoder by rows.
    pub fn encoder(&self) -> Rows<'_> {
        Rows { data: &self.w_enc.value, n: self.d_sae(), d: self.d_in() }
    }

    /// The decoder by rows.
    pub fn decoder(&self) -> Rows<'_> {
        Rows { data: &self.w_dec.value, n: self.d_sae(), d: self.d_in() }
    }
}

/// Which way a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the density of the last step, and of this one as it is encoded.
    Measured,
    /// Sparse, however dense the codes are.
    Sparse,
    /// Dense products.
    Dense,
}

/// What a forward pass measures, means over tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Squared error, summed over coordinates.
    pub mse: f64,
    /// Active latents.
    pub l0: f64,
    /// Sum of activations, weighted by the decoder's norms where those are free.
    pub l1: f64,
}

/// The gradients of every parameter, as a test wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// `[d_sae, d_in]`
    pub w_enc: Vec<f32>,
    /// `[d_sae]`
    pub b_enc: Vec<f32>,
    /// `[d_sae, d_in]`
    pub w_dec: Vec<f32>,
    /// `[d_in]`
    pub b_dec: Vec<f32>,
}

/// The weights and what one step leaves for the next.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The weights.
    pub weights: Weights,
    /// Share of active pairs in the last forward pass.
    pub density: f64,
    norm: DecoderNorm,
    x: Padded,
    g: Padded,
    codes: Option<ByLatent>,
    norms: Vec<f32>,
    fired: Vec<bool>,
    g_sum: Vec<f64>,
}

impl Engine {
    /// An engine that begins with these weights; `density` is that of the step before, 0 if there was none.
    pub fn new(weights: Weights, norm: DecoderNorm, density: f64) -> Engine {
        let (d_in, d_sae) = (weights.d_in(), weights.d_sae());
        Engine {
            weights,
            density,
            norm,
            x: Padded::zeros(0, d_in),
            g: Padded::zeros(0, d_in),
            codes: None,
            norms: vec![1.0; d_sae],
            fired: vec![false; d_sae],
            g_sum: vec![0.0; d_in],
        }
    }

    /// Which latents fired in the last forward pass.
    pub fn fired(&self) -> &[bool] {
        &self.fired
    }

    /// Encodes and decodes a batch `[n, d_in]` and keeps what the gradients need.
    pub fn forward(&mut self, x: &[f32], way: Way) -> Measured {
        let d = self.weights.d_in();
        let n = x.len() / d;
        if self.x.n != n {
            self.x = Padded::zeros(n, d);
            self.g = Padded::zeros(n, d);
        }
        self.x.center(x, &self.weights.b_dec.value);
        if self.norm == DecoderNorm::Free {
            let decoder = self.weights.decoder();
            self.norms
                .par_iter_mut()
                .enumerate()
                .for_each(|(i, norm)| *norm = dot(decoder.row(i), decoder.row(i)).sqrt());
        }
        let counts = self.reconstruct(way);
        let mse = self.residual(x);
        self.fired = counts.fired;
        self.density = counts.active as f64 / (n * self.weights.d_sae()) as f64;
        let n = n as f64;
        Measured { mse: mse / n, l0: counts.active as f64 / n, l1: counts.weighted / n }
    }

    /// Writes the reconstruction to `g` and keeps the codes where they are sparse.
    fn reconstruct(&mut self, way: Way) -> Counts {
        let Engine { weights, x, g, norms, .. } = self;
        let (encoder, decoder) = (weights.encoder(), weights.decoder());
        let codes = match way {
            Way::Dense => None,
            Way::Measured if self.density > DENSE_ABOVE => None,
            Way::Measured => encode(x, encoder, &weights.b_enc.value, Some(2.0 * DENSE_ABOVE)),
            Way::Sparse => encode(x, encoder, &weights.b_enc.value, None),
        };
        self.codes = None;
        let Some(codes) = codes else {
            return dense_forward(x, (encoder, &weights.b_enc.value, decoder), &weights.b_dec.value, norms, g);
        };
        let real = g.n * g.d;
        decode(&codes, decoder, &weights.b_dec.value, &mut g.data[..real]);
        let weighted = codes.latents.iter().zip(&codes.values).map(|(i, f)| f64::from(*f * norms[*i as usize])).sum();
        let by_latent = codes.by_latent();
        let fired = by_latent.offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
        self.codes = Some(by_latent);
        Counts { active: codes.active() as u64, weighted, fired }
    }

    /// Turns the reconstruction in `g` into `2 (x̂ - x) / n`, sums it over tokens, and returns the squared error.
    fn residual(&mut self, x: &[f32]) -> f64 {
        const BLOCK: usize = 256;
        let (d, n) = (self.g.d, self.g.n);
        let scale = 2.0 / n as f32;
        let parts: Vec<(f64, Vec<f32>)> = self.g.data[..n * d]
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
        self.g_sum.fill(0.0);
        for (_, part) in &parts {
            self.g_sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(*part));
        }
        parts.iter().map(|(squares, _)| squares).sum()
    }

    /// Moves every parameter by one Adam step on the gradients of the last forward pass, plus `penalty`: gradients of the decoder and
    /// the encoder that a regularizer left, `[d_sae, d_in]` each.
    pub fn update(&mut self, l1: f64, step: &AdamStep, penalty: Option<(&[f32], &[f32])>) {
        let Engine { weights, norm, x, g, codes, norms, g_sum, .. } = self;
        let d = x.d;
        let batch = batch(x, g, codes.as_ref(), norms, *norm, l1, penalty);
        let unit = *norm == DecoderNorm::Unit;
        let runs = weights
            .w_enc
            .runs(LATENT_CHUNK * d)
            .zip(weights.b_enc.runs(LATENT_CHUNK))
            .zip(weights.w_dec.runs(LATENT_CHUNK * d))
            .map(|((w_enc, b_enc), w_dec)| Update { w_enc, b_enc, w_dec, d, unit, step });
        let input = backward(runs, &batch);
        let gradient = input_gradient(g_sum, &input);
        let b_dec = &mut weights.b_dec;
        adam(step, &mut b_dec.value, &mut b_dec.first, &mut b_dec.second, &gradient);
    }

    /// The gradients that [`Engine::update`] would use, before the projection of unit rows.
    pub fn gradients(&self, l1: f64, penalty: Option<(&[f32], &[f32])>) -> Gradients {
        let Engine { weights, norm, x, g, codes, norms, g_sum, .. } = self;
        let (d, n) = (x.d, weights.d_sae());
        let batch = batch(x, g, codes.as_ref(), norms, *norm, l1, penalty);
        let (mut w_enc, mut b_enc, mut w_dec) = (vec![0.0; n * d], vec![0.0; n], vec![0.0; n * d]);
        let runs = w_enc
            .par_chunks_mut(LATENT_CHUNK * d)
            .zip(b_enc.par_chunks_mut(LATENT_CHUNK))
            .zip(w_dec.par_chunks_mut(LATENT_CHUNK * d))
            .enumerate()
            .map(|(run, ((w_enc, b_enc), w_dec))| Collect { weights, first: run * LATENT_CHUNK, w_enc, b_enc, w_dec });
        let input = backward(runs, &batch);
        Gradients { b_dec: input_gradient(g_sum, &input), w_enc, b_enc, w_dec }
    }
}

fn batch<'a>(
    x: &'a Padded,
    g: &'a Padded,
    codes: Option<&'a ByLatent>,
    norms: &'a [f32],
    norm: DecoderNorm,
    l1: f64,
    start: Option<(&'a [f32], &'a [f32])>,
) -> Batch<'a> {
    Batch { x, g, codes, sparsity: (l1 / x.n as f64) as f32, norms, free: norm == DecoderNorm::Free, start }
}

fn input_gradient(g_sum: &[f64], input: &[f64]) -> Vec<f32> {
    g_sum.iter().zip(input).map(|(g, input)| (g - input) as f32).collect()
}

/// A run of a parameter that one task owns.
struct ParamRun<'a> {
    value: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl ParamRun<'_> {
    fn step(&mut self, range: std::ops::Range<usize>, step: &AdamStep, gradient: &[f32]) -> &mut [f32] {
        let (first, second) = (&mut self.first[range.clone()], &mut self.second[range.clone()]);
        adam(step, &mut self.value[range.clone()], first, second, gradient);
        &mut self.value[range]
    }
}

/// Takes gradients by an Adam step; unit decoder rows stay on the sphere.
struct Update<'a> {
    w_enc: ParamRun<'a>,
    b_enc: ParamRun<'a>,
    w_dec: ParamRun<'a>,
    d: usize,
    unit: bool,
    step: &'a AdamStep,
}

impl Latents for Update<'_> {
    fn weights(&self) -> (&[f32], &[f32], &[f32]) {
        (self.w_enc.value, self.b_enc.value, self.w_dec.value)
    }

    fn take(&mut self, place: usize, gradients: LatentGradients<'_>) {
        let range = place * self.d..(place + 1) * self.d;
        if self.unit {
            let row = &self.w_dec.value[range.clone()];
            let radial = dot(gradients.w_dec, row);
            add_scaled(gradients.w_dec, -radial, row);
        }
        let row = self.w_dec.step(range.clone(), self.step, gradients.w_dec);
        if self.unit {
            normalize(row);
        }
        self.w_enc.step(range, self.step, gradients.w_enc);
        self.b_enc.step(place..place + 1, self.step, &[gradients.b_enc]);
    }
}

/// Scales a row to norm 1; a zero row stays.
pub(super) fn normalize(row: &mut [f32]) {
    let norm = dot(row, row).sqrt();
    if norm > 0.0 {
        let scale = 1.0 / norm;
        row.iter_mut().for_each(|x| *x *= scale);
    }
}

/// Takes gradients by keeping them.
struct Collect<'a> {
    weights: &'a Weights,
    first: usize,
    w_enc: &'a mut [f32],
    b_enc: &'a mut [f32],
    w_dec: &'a mut [f32],
}

impl Latents for Collect<'_> {
    fn weights(&self) -> (&[f32], &[f32], &[f32]) {
        let d = self.weights.d_in();
        let (rows, end) = (self.first, self.first + self.b_enc.len());
        let weights = self.weights;
        (
            &weights.w_enc.value[rows * d..end * d],
            &weights.b_enc.value[rows..end],
            &weights.w_dec.value[rows * d..end * d],
        )
    }

    fn take(&mut self, place: usize, gradients: LatentGradients<'_>) {
        let d = self.weights.d_in();
        self.w_enc[place * d..(place + 1) * d].copy_from_slice(gradients.w_enc);
        self.w_dec[place * d..(place + 1) * d].copy_from_slice(gradients.w_dec);
        self.b_enc[place] = gradients.b_enc;
    }
}
