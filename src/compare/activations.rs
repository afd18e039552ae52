//! Latents of two SAEs matched by what they do on the same tokens, for SAEs whose bases have nothing to do with each other.

use rayon::prelude::*;

use super::matching::{Match, Matching, Sides, one_to_one, room};
use crate::activations::Activations;
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::codes::{ByLatent, Codes};
use crate::progress::Monitor;
use crate::sae::{Sae, encode};

/// Rows that are encoded at once.
const CHUNK: usize = 2048;

/// Matches latents of `s` on `x` with latents of `t` on `y` one to one so that the sum of Pearson correlations of their activations is
/// the largest. Row i of `x` and row i of `y` belong to the same token. Latents that are constant on these tokens (most of them dead) have
/// no correlation: they are left out and counted under `invalid`.
///
/// Exact sums in f64 over the tokens on which both fire: tokens x l0_s x l0_t multiply-adds beside the encoding, then the matching; memory 4 n_s n_t
/// bytes and 16 a firing.
///
/// # Errors
/// `shape-mismatch` when widths differ from the SAEs' or the numbers of tokens from each other, `too-large`, `interrupted`, and what
/// reading gives.
pub fn activation_matching(
    s: &Sae,
    x: &Activations,
    t: &Sae,
    y: &Activations,
    monitor: &dyn Monitor,
) -> Result<Matching> {
    if x.len() != y.len() {
        return Err(Error::new(Code::ShapeMismatch, "the activations are not of the same tokens")
            .fact("first", format!("{} rows", x.len()))
            .fact("second", format!("{} rows", y.len())));
    }
    room(s.config.d_sae, t.config.d_sae)?;
    let (f, g) = (Latents::new(codes(s, x, monitor)?), Latents::new(codes(t, y, monitor)?));
    monitor.check()?;
    let pairs =
        one_to_one(
            f.keep.len(),
            g.keep.len(),
            monitor,
            |flipped| {
                if flipped { g.correlations(&f) } else { f.correlations(&g) }
            },
        )?;
    let found = |(i, j): (usize, usize)| {
        let (a, b) = (f.keep[i], g.keep[j]);
        Match { a, b, similarity: f.correlation(a, &g, b) }
    };
    let invalid = Sides { a: f.codes.d_sae - f.keep.len(), b: g.codes.d_sae - g.keep.len() };
    let valid = Sides { a: f.keep.len(), b: g.keep.len() };
    Ok(Matching::new(pairs.into_iter().map(found).collect(), valid, invalid))
}

/// The codes of all activations.
fn codes(sae: &Sae, activations: &Activations, monitor: &dyn Monitor) -> Result<Codes> {
    let (d, tokens) = (activations.d_in(), activations.len());
    if d != sae.config.d_in {
        return Err(Error::new(Code::ShapeMismatch, "the activations are not as wide as the SAE's input")
            .fact("expected", format!("d_in {}", sae.config.d_in))
            .fact("given", d));
    }
    let mut all = Codes { d_sae: sae.config.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
    for from in (0..tokens).step_by(CHUNK) {
        monitor.check()?;
        let mut rows = vec![0.0; CHUNK.min(tokens - from) * d];
        activations.read(from, &mut rows)?;
        let part = encode(sae, &rows)?;
        if from == 0 {
            let each = part.active() as u64 / part.tokens().max(1) as u64 + 1;
            memory::check("the codes of all tokens", 16 * each * tokens as u64, "try fewer tokens or a sparser SAE")?;
        }
        let active = all.active();
        all.offsets.extend(part.offsets[1..].iter().map(|offset| active + offset));
        all.latents.extend(part.latents);
        all.values.extend(part.values);
        monitor.update("encode", (from + rows.len() / d) as u64, tokens as u64, "");
    }
    Ok(all)
}

/// Activations of latents, token by token and latent by latent, with their moments.
struct Latents {
    codes: Codes,
    by: ByLatent,
    /// Mean activation of each latent.
    mean: Vec<f64>,
    /// Root of the sum of squared differences from the mean.
    spread: Vec<f64>,
    /// The latents that are not constant, ascending.
    keep: Vec<usize>,
}

impl Latents {
    fn new(codes: Codes) -> Latents {
        let (by, tokens) = (codes.by_latent(), codes.tokens() as f64);
        let latents = 0..codes.d_sae;
        let mean: Vec<f64> =
            latents.clone().map(|i| by.latent(i).1.iter().map(|v| f64::from(*v)).sum::<f64>() / tokens).collect();
        let spread = |i: usize| {
            let values = by.latent(i).1;
            let silent = tokens - values.len() as f64;
            let square = values.iter().map(|v| (f64::from(*v) - mean[i]).powi(2)).sum::<f64>();
            (square + silent * mean[i].powi(2)).sqrt()
        };
        let spread: Vec<f64> = latents.clone().map(spread).collect();
        let varies = |i: &usize| {
            let values = by.latent(*i).1;
            !values.is_empty() && (values.len() < codes.tokens() || values.iter().any(|v| *v != values[0]))
        };
        let keep = latents.filter(varies).collect();
        Latents { codes, by, mean, spread, keep }
    }

    /// The correlations of kept latents with kept latents of `other`, `[self.keep.len(), other.keep.len()]`.
    fn correlations(&self, other: &Latents) -> Vec<f32> {
        let (tokens, width) = (self.codes.tokens() as f64, other.keep.len());
        let mut out = vec![0.0; self.keep.len() * width];
        let rows = out.par_chunks_mut(width.max(1)).zip(&self.keep);
        rows.for_each_init(
            || vec![0.0f64; other.codes.d_sae],
            |sums, (out, &i)| {
                sums.fill(0.0);
                let (fired, values) = self.by.latent(i);
                for (&token, &f) in fired.iter().zip(values) {
                    let (latents, values) = other.codes.token(token as usize);
                    latents.iter().zip(values).for_each(|(j, g)| sums[*j as usize] += f64::from(f) * f64::from(*g));
                }
                for (out, &j) in out.iter_mut().zip(&other.keep) {
                    let covariance = sums[j] - tokens * self.mean[i] * other.mean[j];
                    *out = (covariance / (self.spread[i] * other.spread[j])) as f32;
                }
            },
        );
        out
    }

    /// One correlation, in f64 and within [-1, 1].
    fn correlation(&self, i: usize, other: &Latents, j: usize) -> f64 {
        let ((a, f), (b, g)) = (self.by.latent(i), other.by.latent(j));
        let mut k = 0;
        let mut sum = 0.0;
        for (token, f) in a.iter().zip(f) {
            k += b[k..].iter().take_while(|t| *t < token).count();
            if b.get(k) == Some(token) {
                sum += f64::from(*f) * f64::from(g[k]);
            }
        }
        let covariance = sum - self.codes.tokens() as f64 * self.mean[i] * other.mean[j];
        (covariance / (self.spread[i] * other.spread[j])).clamp(-1.0, 1.0)
    }
}
