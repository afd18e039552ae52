//! The spectral restricted isometry penalty: the largest |eigenvalue| of S - I, S = WᵀW of the rows as they are.
//!
//! With v its unit eigenvector: gradient 2 sign W v vᵀ. Exact by default, by the eigenvalues of a d x d matrix: O(N d^2 + d^3), which at d = 512
//! is a tenth of a second or more a step. `power` instead takes that many multiplications of a random start vector (uniform in
//! [0, 1], by `seed`), O(N d) each: the penalty is then |A v| with A = S - I, and its gradient that for the v so found, held fixed,
//! W (v yᵀ + y vᵀ) with y = A v / |A v|; both come to the exact ones from below. The authors' code squares the norm; here it is not squared.
//!
//! More rows than dimensions cannot have S = I: a tight frame of unit rows has S = (N/d) I. `target: "tight"` compares with that. With
//! fewer rows than dimensions S has eigenvalue 0, and the penalty is at least 1.

use std::num::NonZeroUsize;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::{PenaltyOptions, Scope, Side, penalty_options};
use super::raw::shifted;
use super::scene::{Gradient, Scene, View};
use super::{Entry, Penalty, Regularizer, parse};
use crate::error::Result;
use crate::ops::Sign;
use crate::ops::eigenvector::eigenvector;
use crate::ops::frame::{Length, eigenvalues};
use crate::options::Described;
use crate::progress::Stop;
use crate::rng::Rng;

pub(super) const ENTRY: Entry = Entry {
    name: "srip",
    summary: "the spectral norm of the distance from a frame",
    formula: "the largest |eigenvalue| of W^T W - I (or of W^T W - (N/d) I) over the raw rows",
    source: "Bansal, Chen and Wang 2018, arXiv 1810.09102",
    example: "assert(abs(reg::srip(#{ target: \"tight\" }).value(w) - 0.5) < 1e-12);",
    options: SripOptions::described,
    read: |options| parse(options, |options| Ok(Regularizer::srip(options))),
};

/// What S is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// I: orthonormal columns.
    #[default]
    Identity,
    /// (N/d) I: a tight frame of N unit rows.
    Tight,
}

penalty_options! {
    coefficient = 1.0, sign = Signed;
    /// Options of [`Regularizer::srip`]; `sign` has no effect.
    pub struct SripOptions {
        /// multiplications of the power iteration, an int from 1; by default the exact eigenvalue
        power: Option<NonZeroUsize> = None,
        /// names the start vector of the power iteration
        seed: u64 = 0,
        /// "identity": S is compared with I; "tight": with (N/d) I
        target: Target = Target::Identity,
    }
}

impl Regularizer {
    /// The spectral norm of S - I.
    pub fn srip(options: SripOptions) -> Self {
        Regularizer::of(ENTRY.name, &options, Srip(options))
    }
}

struct Srip(SripOptions);

impl Penalty for Srip {
    fn describe(&self) -> Value {
        let SripOptions { power, seed, target, .. } = self.0;
        let scope = Scope { sign: Sign::Signed, ..self.0.cosines() };
        // The seed of an exact eigenvalue changes nothing.
        json!({ "kind": ENTRY.name, "scope": scope, "power": power, "seed": power.map(|_| seed), "target": target })
    }

    fn bytes(&self, n: f64, d: f64) -> f64 {
        8.0 * n * d + 80.0 * d * d
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let SripOptions { power, seed, target, matrix, rows, .. } = self.0;
        let mut value = 0.0;
        for (side, view) in scene.views(matrix, rows) {
            let shift = match target {
                Target::Identity => 1.0,
                Target::Tight => view.unit.len() as f64 / view.unit.raw.d as f64,
            };
            let (sigma, v, y) = match power {
                Some(steps) => by_power(view, shift, steps.get(), seed),
                None => exact(view, shift),
            };
            value += sigma;
            if let Some(gradient) = gradient.as_deref_mut() {
                add_outer(gradient, (side, view), weight, &v, &y);
            }
        }
        Ok(value)
    }
}

/// The largest |eigenvalue| of A = S - shift I, its unit vector v, and y = A v / |A v|.
fn exact(view: &View, shift: f64) -> (f64, Vec<f64>, Vec<f64>) {
    let d = view.unit.raw.d;
    let a = shifted(view.frame(Length::Own), shift);
    let values = eigenvalues(&a, d);
    let (most, least) = (values[0], values[d - 1]);
    let top = if most.abs() >= least.abs() { most } else { least };
    let v = eigenvector(&a, d, top);
    // At 0, the least value there is, no direction leads down.
    let sign = if top == 0.0 { 0.0 } else { top.signum() };
    let y = v.iter().map(|x| x * sign).collect();
    (top.abs(), v, y)
}

/// |A v|, v and A v / |A v| after `steps` multiplications.
fn by_power(view: &View, shift: f64, steps: usize, seed: u64) -> (f64, Vec<f64>, Vec<f64>) {
    let mut rng = Rng::new(seed, "reg::srip");
    let mut v: Vec<f64> = (0..view.unit.raw.d).map(|_| rng.uniform()).collect();
    normalize(&mut v);
    let stop = Stop::here();
    for _ in (0..steps).take_while(|_| !stop.requested()) {
        v = times(view, shift, &v);
        normalize(&mut v);
    }
    let mut y = times(view, shift, &v);
    let sigma = normalize(&mut y);
    (sigma, v, y)
}

/// Scales to length 1 and returns the length; 0 stays.
fn normalize(v: &mut [f64]) -> f64 {
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm > 0.0 {
        v.iter_mut().for_each(|x| *x /= norm);
    }
    norm
}

fn inner(row: &[f32], v: &[f64]) -> f64 {
    row.iter().zip(v).map(|(x, v)| f64::from(*x) * v).sum()
}

/// (WᵀW - shift I) v, in the order of rows within fixed blocks, then of the blocks.
fn times(view: &View, shift: f64, v: &[f64]) -> Vec<f64> {
    const BLOCK: usize = 512;
    let unit = &view.unit;
    let starts: Vec<usize> = (0..unit.len()).step_by(BLOCK).collect();
    let stop = Stop::here();
    let parts: Vec<Vec<f64>> = starts
        .into_par_iter()
        .map(|from| {
            let mut part = vec![0.0; v.len()];
            for k in (from..unit.len().min(from + BLOCK)).take_while(|_| !stop.requested()) {
                let along = inner(unit.raw_row(k), v);
                part.iter_mut().zip(unit.raw_row(k)).for_each(|(p, x)| *p += along * f64::from(*x));
            }
            part
        })
        .collect();
    let mut out: Vec<f64> = v.iter().map(|x| -shift * x).collect();
    parts.iter().for_each(|part| out.iter_mut().zip(part).for_each(|(o, p)| *o += p));
    out
}

/// Adds `weight` W (v yᵀ + y vᵀ) to the derivative by the rows of a view.
fn add_outer(gradient: &mut Gradient, (side, view): (Side, &View), weight: f64, v: &[f64], y: &[f64]) {
    let d = view.unit.raw.d;
    let out = gradient.raw(side);
    for (k, &row) in view.unit.index.iter().enumerate() {
        let (along_v, along_y) = (inner(view.unit.raw_row(k), v), inner(view.unit.raw_row(k), y));
        let row = row as usize * d;
        for (o, (v, y)) in out[row..row + d].iter_mut().zip(v.iter().zip(y)) {
            *o += (weight * (along_v * y + along_y * v)) as f32;
        }
    }
}
