//! The unembedding and the cross-entropy in one: logits exist for one block of rows at a time, never whole.
//! At a vocabulary of 4096 that saves 64 MB and four passes over it a step.

use rayon::prelude::*;

use super::Rows;
use super::elementary::exp;
use super::matmul::{Threads, View, matmul};
use super::simd::{map_sum_lanes, max_lanes, wide};

/// The target of a row that has none, such as the last position of a context.
pub const NO_TARGET: u32 = u32::MAX;

/// Rows whose logits exist at a time. Fixed, because the bits of a product depend on its shape.
const BLOCK: usize = 512;

/// Writes the logits `[rows, d_vocab]` of a block of `hidden` into `logits`.
fn block_logits(hidden: &[f32], w_u: Rows<'_>, logits: &mut [f32]) {
    let rows = hidden.len() / w_u.d;
    matmul(logits, w_u.n, 0.0, View::new(hidden, rows, w_u.d), View::new(w_u.data, w_u.n, w_u.d).t(), Threads::All);
}

wide! {
    /// Replaces logits by probabilities; returns the logarithm of the normalizer, so that `log p = logit - it`.
    fn softmax(row: &mut [f32]) -> f32 {
        let top = max_lanes(row);
        let sum = map_sum_lanes(row, |x| exp(x - top));
        let scale = 1.0 / sum;
        row.iter_mut().for_each(|x| *x *= scale);
        top + sum.ln()
    }
}

/// Summed cross-entropy in nats of `hidden [n, d]` unembedded by `w_u [d_vocab, d]` (one row a token), and how many rows
/// have a target.
pub fn cross_entropy(hidden: Rows<'_>, w_u: Rows<'_>, targets: &[u32]) -> (f64, usize) {
    let (sum, _) = cross_entropy_rows(hidden, w_u, targets);
    (sum, targets.iter().filter(|&&t| t != NO_TARGET).count())
}

/// [`cross_entropy`], and that of each row; 0 for a row without a target.
pub fn cross_entropy_rows(hidden: Rows<'_>, w_u: Rows<'_>, targets: &[u32]) -> (f64, Vec<f64>) {
    let (mut sum, mut rows) = (0.0, Vec::with_capacity(targets.len()));
    let mut logits = vec![0.0; BLOCK.min(hidden.n) * w_u.n];
    for (hidden, targets) in hidden.data.chunks(BLOCK * w_u.d).zip(targets.chunks(BLOCK)) {
        let logits = &mut logits[..targets.len() * w_u.n];
        block_logits(hidden, w_u, logits);
        let block = losses(logits, targets, w_u.n, |_, _, _| {});
        sum += block.iter().sum::<f64>();
        rows.extend(block);
    }
    (sum, rows)
}

/// Loss of each row (0 without a target); `then(row, target, loss)` sees the probabilities and may change them.
fn losses(logits: &mut [f32], targets: &[u32], d_vocab: usize, then: impl Fn(&mut [f32], u32, f64) + Sync) -> Vec<f64> {
    logits
        .par_chunks_mut(d_vocab)
        .zip(targets)
        .map(|(row, &target)| {
            let logit = row.get(target as usize).copied();
            let normalizer = softmax(row);
            let loss = logit.map_or(0.0, |logit| f64::from(normalizer) - f64::from(logit));
            then(row, target, loss);
            loss
        })
        .collect()
}

/// The mean cross-entropy with its gradients: `(loss, grad_hidden [n, d], grad_w_u [d_vocab, d])`.
pub fn cross_entropy_gradient(hidden: Rows<'_>, w_u: Rows<'_>, targets: &[u32]) -> (f64, Vec<f32>, Vec<f32>) {
    let (v, d) = (w_u.n, w_u.d);
    let count = targets.iter().filter(|&&t| t != NO_TARGET).count().max(1);
    let scale = 1.0 / count as f32;
    let mut grad_hidden = vec![0.0; hidden.data.len()];
    let mut grad_w = vec![0.0; w_u.data.len()];
    let mut logits = vec![0.0; BLOCK.min(hidden.n) * v];
    let mut sum = 0.0;
    let blocks = hidden.data.chunks(BLOCK * d).zip(grad_hidden.chunks_mut(BLOCK * d)).zip(targets.chunks(BLOCK));
    for ((hidden, grad_hidden), targets) in blocks {
        let rows = targets.len();
        let logits = &mut logits[..rows * v];
        block_logits(hidden, w_u, logits);
        sum += losses(logits, targets, v, |row, target, _| match row.get_mut(target as usize) {
            Some(p) => {
                *p -= 1.0;
                row.iter_mut().for_each(|x| *x *= scale);
            }
            None => row.fill(0.0),
        })
        .iter()
        .sum::<f64>();
        matmul(grad_hidden, d, 0.0, View::new(logits, rows, v), View::new(w_u.data, v, d), Threads::All);
        matmul(&mut grad_w, d, 1.0, View::new(logits, rows, v).t(), View::new(hidden, rows, d), Threads::All);
    }
    (sum / count as f64, grad_hidden, grad_w)
}

/// Of two final hidden states: the summed cross-entropy of the `patched` one, and the summed KL divergence
/// KL(original || patched) of the next-token distributions, both over rows with a target, in nats.
pub fn compare(original: Rows<'_>, patched: Rows<'_>, w_u: Rows<'_>, targets: &[u32]) -> (f64, f64) {
    let rows = compare_rows(original, patched, w_u, targets);
    rows.into_iter().fold((0.0, 0.0), |sums, row| (sums.0 + row.0, sums.1 + row.1))
}

/// The terms of [`compare`], row by row; 0 for a row without a target.
pub fn compare_rows(original: Rows<'_>, patched: Rows<'_>, w_u: Rows<'_>, targets: &[u32]) -> Vec<(f64, f64)> {
    let (v, d) = (w_u.n, w_u.d);
    let mut first = vec![0.0; BLOCK.min(original.n) * v];
    let mut second = first.clone();
    let mut rows = Vec::with_capacity(targets.len());
    let blocks = original.data.chunks(BLOCK * d).zip(patched.data.chunks(BLOCK * d)).zip(targets.chunks(BLOCK));
    for ((original, patched), targets) in blocks {
        let first = &mut first[..targets.len() * v];
        let second = &mut second[..targets.len() * v];
        block_logits(original, w_u, first);
        block_logits(patched, w_u, second);
        let sums: Vec<(f64, f64)> = first
            .par_chunks_mut(v)
            .zip(second.par_chunks_mut(v))
            .zip(targets)
            .map(|((p, q), &target)| {
                let Some(&logit) = q.get(target as usize) else { return (0.0, 0.0) };
                // sum p (log p - log q) with log p - log q = (a - b) - (log Za - log Zb), a and b the logits.
                let difference: Vec<f32> = p.iter().zip(q.iter()).map(|(a, b)| a - b).collect();
                let normalizer_p = f64::from(softmax(p));
                let normalizer_q = f64::from(softmax(q));
                let mean: f64 = p.iter().zip(&difference).map(|(p, x)| f64::from(p * x)).sum();
                (normalizer_q - f64::from(logit), mean - normalizer_p + normalizer_q)
            })
            .collect();
        rows.extend(sums);
    }
    rows
}
