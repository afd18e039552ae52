//! Activations that are sums of known features, made row by row from the row's number.

use std::sync::Arc;

use rayon::prelude::*;
use statrs::function::erf::{erfc, erfc_inv};

use super::options::SuperpositionOptions;
use crate::activations::{Activations, Source};
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::simd::add_scaled;
use crate::progress::Stop;
use crate::rng::Rng;

/// Rows up to this size are made once and kept, larger ones whenever they are read.
const KEPT_BYTES: usize = 256 << 20;
/// Rows of a task.
const ROWS: usize = 256;
/// Words of the random stream that a token has for itself.
const WORDS: u128 = 1 << 24;

/// A toy: its features, and what they do on each token.
pub struct Superposition {
    options: SuperpositionOptions,
    /// The true features, row-major `[features, d]`.
    pub features: Vec<f32>,
    /// How often each fires: exact, but for features of trees when there is correlation too.
    pub rates: Vec<f64>,
    /// The feature without which it does not fire.
    pub parents: Vec<Option<usize>>,
    /// How often each fires given that its parent does.
    given: Vec<f64>,
    /// Children of each feature: they follow each other.
    children: Vec<std::ops::Range<usize>>,
    /// The features without parents, commoner ones first, each with log(1 - rate).
    free: Vec<(usize, f64)>,
    copula: Option<Copula>,
}

/// What makes features fire together: feature i fires when sqrt(1 - c) e + sqrt(c) l_i·z is below a threshold, with e its own and z the
/// token's common normal numbers, and l_i a random unit vector.
struct Copula {
    share: f64,
    rank: usize,
    /// `[rank, features]`
    loadings: Vec<f32>,
    /// Standard normal quantile of the given rate of each feature.
    threshold: Vec<f64>,
}

impl Superposition {
    /// Draws features (or takes them, `[features, d]`) and rates.
    ///
    /// # Errors
    /// `out-of-range` for options that make no sense, `shape-mismatch` for features of another shape, `too-large`; `interrupted`.
    pub fn new(options: SuperpositionOptions, features: Option<Vec<f32>>) -> Result<Superposition> {
        options.validate()?;
        check_memory(&options)?;
        let (n, d, seed) = (options.features, options.d, options.seed);
        let features = features.unwrap_or_else(|| Rng::new(seed, "synthetic features").directions(n, d));
        if features.len() != n * d {
            return Err(Error::new(Code::ShapeMismatch, "the directions are not those of the features")
                .fact("expected", format!("[{n}, {d}]"))
                .fact("given", format!("{} values", features.len())));
        }
        if !features.iter().all(|x| x.is_finite()) {
            return Err(Error::new(Code::OutOfRange, "a direction is not finite"));
        }
        let parents = options.parents();
        let rates = options.rates(&parents)?;
        let given: Vec<f64> = (0..n).map(|i| parents[i].map_or(rates[i], |p| (rates[i] / rates[p]).min(1.0))).collect();
        let mut children = vec![0..0; n];
        for (child, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                let start = if children[*parent].is_empty() { child } else { children[*parent].start };
                children[*parent] = start..child + 1;
            }
        }
        let free = (0..n).filter(|i| parents[*i].is_none()).map(|i| (i, (-rates[i]).ln_1p())).collect();
        let copula = (options.correlation > 0.0).then(|| Copula::new(&options, &given));
        Stop::here().check()?;
        Ok(Superposition { options, features, rates, parents, given, children, free, copula })
    }

    /// The rows as activations: kept up to 256 MiB, beyond that made whenever they are read.
    ///
    /// # Errors
    /// `out-of-range` when the directions are so long that a row is not finite.
    pub fn activations(self: &Arc<Self>) -> Result<Activations> {
        let (tokens, d) = (self.options.tokens, self.options.d);
        if tokens.saturating_mul(4 * d) <= KEPT_BYTES {
            let mut rows = vec![0.0; tokens * d];
            self.read(0, &mut rows);
            Stop::here().check()?;
            return Activations::from_rows(rows, d, "");
        }
        let mut hasher = blake3::Hasher::new_derive_key("saerun 1 synthetic rows");
        hasher.update(format!("{:?}", self.options).as_bytes());
        self.features.iter().for_each(|x| _ = hasher.update(&x.to_le_bytes()));
        Activations::made(tokens, d, hasher.finalize().to_hex().to_string(), Box::new(Arc::clone(self)))
    }

    /// The features that are active on a token and their strengths: parents before children, else ascending.
    pub fn active(&self, token: usize) -> Vec<(usize, f64)> {
        self.token(&mut self.stream(), token)
    }

    fn stream(&self) -> Rng {
        Rng::new(self.options.seed, "synthetic tokens")
    }

    /// As [`Superposition::active`]; leaves the stream where the token's noise begins.
    fn token(&self, rng: &mut Rng, token: usize) -> Vec<(usize, f64)> {
        rng.seek(token as u128 * WORDS);
        let common = self.copula.as_ref().map(|copula| copula.draw(rng));
        let mut fired = match &common {
            None => self.free_alone(rng),
            Some(chance) => self.free.iter().map(|(i, _)| *i).filter(|i| chance.fires(*i, rng.uniform())).collect(),
        };
        let mut at = 0;
        while let Some(children) = fired.get(at).map(|i| self.children[*i].clone()).filter(|_| self.options.trees > 0) {
            at += 1;
            if self.options.exclusive {
                let chance = |i: usize| common.as_ref().map_or(self.given[i], |chance| chance.of(i));
                // Correlation may raise the children's chances above what there is to share.
                let all = children.clone().map(chance).sum::<f64>().max(1.0);
                let mut left = rng.uniform() * all;
                fired.extend(children.clone().find(|i| {
                    left -= chance(*i);
                    left < 0.0
                }));
            } else {
                fired.extend(children.filter(|i| {
                    let u = rng.uniform();
                    common.as_ref().map_or(u < self.given[*i], |chance| chance.fires(*i, u))
                }));
            }
        }
        let (low, high) = (self.options.strength_min, self.options.strength_max);
        fired.into_iter().map(|i| (i, low + (high - low) * rng.uniform())).collect()
    }

    /// Which features without parents fire, independently: as many steps as fire, not as there are. A step leaps over those that do not
    /// fire, as if all were as common as the next one, and takes where it lands with the probability that is right for it.
    fn free_alone(&self, rng: &mut Rng) -> Vec<usize> {
        let mut fired = Vec::new();
        let mut at = 0;
        while let Some(&(next, silent)) = self.free.get(at) {
            let rate = self.rates[next];
            // A rate too small for its logarithm never fires.
            let leap = if rate >= 1.0 { 0.0 } else { ((1.0 - rng.uniform()).ln() / silent).floor() };
            if leap.is_nan() || leap >= (self.free.len() - at) as f64 {
                break;
            }
            at += leap as usize;
            let here = self.free[at].0;
            if rng.uniform() * rate < self.rates[here] {
                fired.push(here);
            }
            at += 1;
        }
        fired
    }
}

/// Refuses a toy whose directions, rates and factors would not fit into memory, or whose rows that are kept would not.
fn check_memory(options: &SuperpositionOptions) -> Result<()> {
    let [n, d, tokens] = [options.features, options.d, options.tokens].map(|n| n as f64);
    let rank = if options.correlation > 0.0 { options.correlation_rank as f64 } else { 0.0 };
    let rows = if 4.0 * tokens * d <= KEPT_BYTES as f64 { 4.0 * tokens * d } else { 0.0 };
    // The directions once more as a tensor; the factors once more while they are turned.
    let needed = 8.0 * n * d + 8.0 * n * rank + 160.0 * n + rows;
    memory::check("the toy", needed as u64, "try fewer `features` or a smaller `d`")
}

impl Source for Arc<Superposition> {
    fn read(&self, from: usize, out: &mut [f32]) {
        let (d, noise, stop) = (self.options.d, self.options.noise, Stop::here());
        out.par_chunks_mut(ROWS * d).enumerate().for_each(|(task, rows)| {
            let mut rng = self.stream();
            for (k, row) in rows.chunks_exact_mut(d).enumerate().take_while(|_| !stop.requested()) {
                row.fill(0.0);
                for (i, strength) in self.token(&mut rng, from + task * ROWS + k) {
                    add_scaled(row, strength as f32, &self.features[i * d..(i + 1) * d]);
                }
                if noise > 0.0 {
                    row.iter_mut().for_each(|x| *x += (noise * rng.normal()) as f32);
                }
            }
        });
    }
}

impl Copula {
    fn new(options: &SuperpositionOptions, given: &[f64]) -> Copula {
        let (n, rank) = (options.features, options.correlation_rank);
        let rows = Rng::new(options.seed, "synthetic correlation").directions(n, rank);
        let mut loadings = vec![0.0; rank * n];
        for (i, row) in rows.chunks_exact(rank).enumerate() {
            row.iter().enumerate().for_each(|(k, x)| loadings[k * n + i] = *x);
        }
        let threshold = given.iter().map(|p| -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)).collect();
        Copula { share: options.correlation, rank, loadings, threshold }
    }

    /// Draws what a token's features have in common.
    fn draw(&self, rng: &mut Rng) -> Chances<'_> {
        let n = self.threshold.len();
        let mut shift = vec![0.0; n];
        for k in 0..self.rank {
            add_scaled(&mut shift, rng.normal() as f32, &self.loadings[k * n..(k + 1) * n]);
        }
        Chances { copula: self, shift }
    }
}

/// How likely features are on one token, given what they have in common.
struct Chances<'a> {
    copula: &'a Copula,
    /// l_i·z
    shift: Vec<f32>,
}

impl Chances<'_> {
    fn point(&self, i: usize) -> f64 {
        let c = self.copula.share;
        (self.copula.threshold[i] - c.sqrt() * f64::from(self.shift[i])) / (1.0 - c).sqrt()
    }

    /// The probability of feature `i`.
    fn of(&self, i: usize) -> f64 {
        0.5 * erfc(-self.point(i) / std::f64::consts::SQRT_2)
    }

    /// Whether feature `i` fires when it draws `u`, uniform on [0, 1). Most do not, and need no exact probability to say so.
    fn fires(&self, i: usize, u: f64) -> bool {
        let bounds = [(-3.0, 1.35e-3), (-2.0, 2.276e-2), (-1.0, 0.1587), (0.0, 0.5)];
        let point = self.point(i);
        let at_most = bounds.iter().find(|(end, _)| point < *end).map_or(1.0, |(_, most)| *most);
        u < at_most && u < self.of(i)
    }
}
