//! The parameters of an SAE in training, with Adam's moments beside them.

use rayon::prelude::*;

use crate::ops::Rows;
use crate::ops::adam::{AdamStep, adam};
use crate::ops::backward::LATENT_CHUNK;
use crate::ops::simd::dot;

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

    /// Sets part of the parameter and forgets how it moved.
    pub(super) fn reset(&mut self, at: usize, values: &[f32]) {
        let range = at..at + values.len();
        self.value[range.clone()].copy_from_slice(values);
        self.first[range.clone()].fill(0.0);
        self.second[range].fill(0.0);
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
    /// Its bias, `[d_sae]`; of a gated SAE, the gate's.
    pub b_enc: Param,
    /// The decoder.
    pub w_dec: Param,
    /// Its bias, `[d_in]`, also subtracted from the input.
    pub b_dec: Param,
    /// What the activation rule learns besides, `[d_sae]` each: the logarithm of the threshold (jumprelu) in the first; the logarithm of the
    /// magnitude's scale and its bias (gated); zeros and untouched otherwise.
    pub extra: [Param; 2],
}

impl Weights {
    /// Weights that Adam has not moved yet, `extra` zero.
    pub fn new(w_enc: Vec<f32>, b_enc: Vec<f32>, w_dec: Vec<f32>, b_dec: Vec<f32>) -> Weights {
        let extra = Param::new(vec![0.0; b_enc.len()]);
        Weights {
            w_enc: Param::new(w_enc),
            b_enc: Param::new(b_enc),
            w_dec: Param::new(w_dec),
            b_dec: Param::new(b_dec),
            extra: [extra.clone(), extra],
        }
    }

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

    /// Every parameter, in the order in which files keep them.
    pub fn params(&self) -> [&Param; 6] {
        let [first, second] = &self.extra;
        [&self.w_enc, &self.b_enc, &self.w_dec, &self.b_dec, first, second]
    }

    /// The parameters of the latents in runs of [`LATENT_CHUNK`], each for one task, and the decoder's bias.
    pub(super) fn split(&mut self) -> (impl IndexedParallelIterator<Item = WeightRun<'_>>, &mut Param) {
        let d = self.d_in();
        let [first, second] = &mut self.extra;
        let extra = first.runs(LATENT_CHUNK).zip(second.runs(LATENT_CHUNK));
        let runs = self
            .w_enc
            .runs(LATENT_CHUNK * d)
            .zip(self.b_enc.runs(LATENT_CHUNK))
            .zip(self.w_dec.runs(LATENT_CHUNK * d))
            .zip(extra)
            .map(|(((w_enc, b_enc), w_dec), (first, second))| WeightRun {
                w_enc,
                b_enc,
                w_dec,
                extra: [first, second],
            });
        (runs, &mut self.b_dec)
    }
}

/// The parameters of a run of latents.
pub(super) struct WeightRun<'a> {
    pub w_enc: ParamRun<'a>,
    pub b_enc: ParamRun<'a>,
    pub w_dec: ParamRun<'a>,
    pub extra: [ParamRun<'a>; 2],
}

/// A run of a parameter that one task owns.
pub(super) struct ParamRun<'a> {
    pub value: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl ParamRun<'_> {
    /// Moves a range by one Adam step and returns it.
    pub fn step(&mut self, range: std::ops::Range<usize>, step: &AdamStep, gradient: &[f32]) -> &mut [f32] {
        let (first, second) = (&mut self.first[range.clone()], &mut self.second[range.clone()]);
        adam(step, &mut self.value[range.clone()], first, second, gradient);
        &mut self.value[range]
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
