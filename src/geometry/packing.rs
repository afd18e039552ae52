//! Packings: n unit vectors in d dimensions whose nearest neighbors are as far off as gradient descent can bring them.
//!
//! This is the floor that a penalty on nearest-neighbor cosines pushes a dictionary towards when nothing else holds it. Descent stalls well above the
//! proven bounds; at (8192, 512) the bound is 0.021 and the floor about 0.05.
//!
//! From random directions, every step pushes apart all pairs whose cosine comes near nu, the least mean nearest-neighbor cosine so far. How near
//! is the width g, which shrinks geometrically over the run: wide at first, so that every vector feels many others and the whole evens out; narrow
//! at last, so that only touching pairs count and the mean comes down on them. At the end about 2 d neighbors touch each vector, which is as many
//! as there are directions to hold it in. The widths are fractions of 1/sqrt(d), the spread of random cosines.
//!
//! The step is gradient descent with momentum on the sphere. Its size is set by the curvature of the energy: the pushes' slopes
//! form R^T R, R with a row for each pair, whose largest eigenvalue is near (sqrt(q) + sqrt(2))^2 for random pairs (Marchenko and Pastur
//! 1967), q being the sum of slopes over ordered pairs, over n d.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::nearest::nearest;
use crate::ops::repel::{Push, Repulsion, repel};
use crate::ops::simd::{add_scaled, dot};
use crate::ops::unit::{TILE, UnitRows};
use crate::ops::{Rows, Sign};
use crate::progress::Monitor;
use crate::rng::Rng;

/// Share of the velocity that the next step keeps.
const MOMENTUM: f32 = 0.9;
/// No vector turns further in one step (radians): the first pushes come from all sides and are far too strong.
const TURN: f32 = 0.2;
/// Bytes that a thread needs for a tile, and for its close pairs should all be close.
const THREAD: u128 = 8 << 20;
/// More steps than this are a slip: a packing gains nothing from them.
const MOST_STEPS: u64 = 10_000_000;
/// About how many rows the history has.
const HISTORY: u64 = 100;

/// What pushes the vectors apart, with g the width of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The sum over pairs of max(0, c - nu + g)^2.
    #[default]
    Hinge,
    /// The sum over pairs of exp(c / g), whose logarithm times g is a smooth maximum.
    LogSumExp,
}

impl Objective {
    /// First and last width, times sqrt(d), and the step size, times the largest curvature. Found by trial at (1024, 64).
    fn schedule(self) -> (f64, f64, f64) {
        match self {
            Objective::Hinge => (2.5, 0.003, 1.5),
            Objective::LogSumExp => (1.0, 0.003, 1.5),
        }
    }

    /// The nu of the next step. The hinge's may only fall: one that rose with the vectors would give way to them, and
    /// momentum would then swing the whole packing to and fro. Of the exponentials it is but a factor.
    fn follow(self, nu: f64, found: f64) -> f64 {
        match self {
            Objective::Hinge => nu.min(found),
            Objective::LogSumExp => found,
        }
    }

    fn push(self, nu: f64, width: f64) -> Push {
        match self {
            Objective::Hinge => Push::Hinge { from: (nu - width) as f32 },
            Objective::LogSumExp => Push::Exponential { center: nu as f32, width: width as f32 },
        }
    }
}

/// Options of [`packing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PackingOptions {
    /// Cosines with their sign (points), or absolute (lines).
    pub sign: Sign,
    /// Steps of the descent; the width takes the same way over any number.
    pub steps: u64,
    /// Seed of the random directions at the start.
    pub seed: u64,
    /// What pushes.
    pub objective: Objective,
}

impl Default for PackingOptions {
    fn default() -> Self {
        PackingOptions { sign: Sign::Signed, steps: 1000, seed: 0, objective: Objective::Hinge }
    }
}

/// A packing.
#[derive(Debug, Clone, PartialEq)]
pub struct Packing {
    /// The unit vectors, `[n, d]`.
    pub vectors: Vec<f32>,
    /// How it came about.
    pub history: Vec<PackingStep>,
    /// Mean over vectors of the cosine to the nearest, settled in f64.
    pub mean_max_cos: f64,
    /// The largest cosine of a pair, settled in f64.
    pub max_max_cos: f64,
}

/// The vectors before one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PackingStep {
    /// Steps done.
    pub step: u64,
    /// Mean over vectors of the cosine to the nearest.
    pub mean_max_cos: f64,
    /// The largest cosine of a pair.
    pub max_max_cos: f64,
    /// The width of the pushes.
    pub width: f64,
    /// How many neighbors push a vector, on average.
    pub neighbors: f64,
}

/// Packs `n` vectors in `d` dimensions.
///
/// Every step costs n^2 d / 2 multiply-adds and 2 d for each pair that pushes (about d n of them towards the end); the vectors are held
/// five times. The result depends on the arguments alone, not on threads.
///
/// # Errors
/// `out-of-range` for fewer than 2 vectors or dimensions or more than ten million steps; `too-large` when the memory would not do, before any work; `interrupted`
/// when `monitor` says so.
pub fn packing(n: usize, d: usize, options: &PackingOptions, monitor: &dyn Monitor) -> Result<Packing> {
    if n < 2 || d < 2 {
        return Err(Error::new(Code::OutOfRange, "a packing needs two vectors and two dimensions")
            .fact("n", n)
            .fact("d", d));
    }
    if options.steps > MOST_STEPS {
        return Err(Error::new(Code::OutOfRange, "the packing has too many steps")
            .fact("expected", format!("at most {MOST_STEPS}"))
            .fact("given", options.steps));
    }
    let size = 4 * n.div_ceil(TILE) as u128 * TILE as u128 * d as u128;
    let threads = rayon::current_num_threads() as u128;
    let needed = u64::try_from(size.saturating_mul(5).saturating_add(threads * THREAD)).unwrap_or(u64::MAX);
    memory::check("the packing", needed, "try fewer vectors or dimensions")?;

    let PackingOptions { sign, steps, seed, objective } = *options;
    let (first, last, rate) = objective.schedule();
    let mut vectors = Rng::new(seed, "geometry::packing").directions(n, d);
    let mut velocity = vec![0.0; n * d];
    let mut nu = extremes(&vectors, n, d, sign)?.0;
    let mut history = Vec::new();
    for step in 0..steps {
        let width = first * (last / first).powf(step as f64 / steps as f64) / (d as f64).sqrt();
        let unit = UnitRows::new(Rows::new(&vectors, n, d)?, None);
        let found = repel(&unit, sign, objective.push(nu, width), monitor)?;
        let q = found.stiffness / (n * d) as f64;
        let size = rate / (q.sqrt() + 2f64.sqrt()).powi(2);
        vectors = turn(&unit, &mut velocity, &found.pull, size as f32);
        let row = record(step, width, &found);
        monitor.update("packing", step + 1, steps, &format!("mean max cos {:.5}", row.mean_max_cos));
        nu = objective.follow(nu, row.mean_max_cos);
        if step.is_multiple_of(steps.div_ceil(HISTORY)) || step + 1 == steps {
            history.push(row);
        }
    }
    let unit = UnitRows::new(Rows::new(&vectors, n, d)?, None);
    let vectors: Vec<f32> = (0..unit.tiles()).flat_map(|b| &unit.tile(b)[..unit.tile_len(b) * d]).copied().collect();
    let (mean_max_cos, max_max_cos) = extremes(&vectors, n, d, sign)?;
    Ok(Packing { vectors, history, mean_max_cos, max_max_cos })
}

/// Mean and largest cosine to the nearest.
fn extremes(vectors: &[f32], n: usize, d: usize, sign: Sign) -> Result<(f64, f64)> {
    let unit = UnitRows::new(Rows::new(vectors, n, d)?, None);
    let cosines: Vec<f64> = nearest(&unit, sign).iter().map(|a| sign.of(a.cos)).collect();
    Ok((cosines.iter().sum::<f64>() / n as f64, cosines.into_iter().fold(f64::NEG_INFINITY, f64::max)))
}

/// The row of the history for what a step found.
fn record(step: u64, width: f64, found: &Repulsion) -> PackingStep {
    let n = found.nearest.len() as f64;
    PackingStep {
        step,
        mean_max_cos: found.nearest.iter().map(|&c| f64::from(c)).sum::<f64>() / n,
        max_max_cos: found.nearest.iter().fold(f64::NEG_INFINITY, |most, &c| most.max(f64::from(c))),
        width,
        neighbors: found.pairs as f64 / n,
    }
}

/// The vectors after a step against the pull; the velocity stays tangent to the sphere at each of them, to first order.
///
/// A velocity that leads uphill is dropped (O'Donoghue and Candès 2015): where pairs begin to push only when they come close, momentum could
/// otherwise swing to and fro for ever.
fn turn(unit: &UnitRows, velocity: &mut [f32], pull: &[f32], size: f32) -> Vec<f32> {
    let d = unit.raw.d;
    let downhill: Vec<f32> = velocity.par_chunks(d).zip(pull.par_chunks(d)).map(|(v, h)| dot(v, h)).collect();
    let momentum = if downhill.iter().map(|&x| f64::from(x)).sum::<f64>() < 0.0 { 0.0 } else { MOMENTUM };
    let mut moved = vec![0.0; velocity.len()];
    let rows = moved.par_chunks_mut(d).zip(velocity.par_chunks_mut(d)).zip(pull.par_chunks(d));
    rows.enumerate().for_each(|(k, ((moved, velocity), pull))| {
        let u = &unit.tile(k / TILE)[k % TILE * d..][..d];
        velocity.iter_mut().zip(pull).for_each(|(v, h)| *v = momentum * *v + size * h);
        add_scaled(velocity, -dot(velocity, u), u);
        let length = dot(velocity, velocity).sqrt();
        if length > TURN {
            velocity.iter_mut().for_each(|v| *v *= TURN / length);
        }
        moved.iter_mut().zip(u.iter().zip(&*velocity)).for_each(|(m, (u, v))| *m = u - v);
    });
    moved
}
