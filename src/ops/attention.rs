//! Causal multi-head attention (Vaswani et al. 2017) on a packed matrix of queries, keys and values, and its gradient. Several heads
//! of queries may share one of keys and values (Ainslie et al. 2023). One task a (context, head); scores are at most `n_ctx x n_ctx`, so each task fits a cache.

use rayon::prelude::*;

use super::elementary::exp;
use super::matmul::{Threads, View, matmul};
use super::simd::{dot_lanes, map_sum_lanes, max_lanes, wide};

/// The sizes of one attention layer over a batch.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Positions a context.
    pub n_ctx: usize,
    /// Heads of queries.
    pub n_heads: usize,
    /// Heads of keys and values; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub width: usize,
}

impl Heads {
    /// Heads that each have keys and values of their own, `d` wide together.
    pub fn even(n_ctx: usize, n_heads: usize, d: usize) -> Heads {
        Heads { n_ctx, n_heads, n_kv_heads: n_heads, width: d / n_heads }
    }

    /// Width of all heads together: that of the result.
    pub fn d(&self) -> usize {
        self.n_heads * self.width
    }

    /// Width of a packed row: all queries, then all keys, then all values, head by head.
    pub fn packed(&self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.width
    }

    /// Query, key and value of one head in one context: views `[n_ctx, width]` into the packed rows.
    fn parts<'a>(&self, context: &'a [f32], head: usize) -> [View<'a>; 3] {
        let shared = head / (self.n_heads / self.n_kv_heads);
        [head, self.n_heads + shared, self.n_heads + self.n_kv_heads + shared]
            .map(|place| View::strided(&context[place * self.width..], self.n_ctx, self.width, self.packed()))
    }

    /// The causal attention pattern `[n_ctx, n_ctx]` of one head.
    fn pattern(&self, q: View<'_>, k: View<'_>) -> Vec<f32> {
        let n = self.n_ctx;
        let scale = 1.0 / (self.width as f32).sqrt();
        let mut scores = vec![0.0; n * n];
        matmul(&mut scores, n, 0.0, q, k.t(), Threads::One);
        causal_softmax(&mut scores, n, scale);
        scores
    }
}

wide! {
    /// In each row of `[n, n]` scores: the softmax of the scaled scores up to the diagonal, zeros after it.
    fn causal_softmax(scores: &mut [f32], n: usize, scale: f32) {
        for (i, row) in scores.chunks_exact_mut(n).enumerate() {
            let (seen, hidden) = row.split_at_mut(i + 1);
            let top = max_lanes(seen);
            let normalizer = 1.0 / map_sum_lanes(seen, |s| exp((s - top) * scale));
            seen.iter_mut().for_each(|s| *s *= normalizer);
            hidden.fill(0.0);
        }
    }
}

wide! {
    /// From the gradient by the pattern `[n, n]` to that by the scores, in place.
    fn softmax_gradient(gradient: &mut [f32], pattern: &[f32], n: usize, scale: f32) {
        for (row, p) in gradient.chunks_exact_mut(n).zip(pattern.chunks_exact(n)) {
            let along = dot_lanes(row, p);
            row.iter_mut().zip(p).for_each(|(g, p)| *g = p * (*g - along) * scale);
        }
    }
}

/// Softmax(q kᵀ / sqrt(width)) v with a causal mask. `qkv` is `[contexts * n_ctx, packed]`; the result `[contexts * n_ctx, d]`.
pub fn attention(qkv: &[f32], heads: Heads) -> Vec<f32> {
    let Heads { n_ctx, n_heads, .. } = heads;
    let (d, packed) = (heads.d(), heads.packed());
    let mut out = vec![0.0; qkv.len() / packed * d];
    out.par_chunks_mut(n_ctx * d).zip(qkv.par_chunks(n_ctx * packed)).for_each(|(out, context)| {
        for head in 0..n_heads {
            let [q, k, v] = heads.parts(context, head);
            let pattern = heads.pattern(q, k);
            let at = &mut out[head * heads.width..];
            matmul(at, d, 0.0, View::new(&pattern, n_ctx, n_ctx), v, Threads::One);
        }
    });
    out
}

/// The gradient of [`attention`] in `qkv`, for heads that share nothing; patterns are computed again instead of kept.
///
/// # Panics
/// When heads share keys and values.
pub fn attention_gradient(qkv: &[f32], grad_out: &[f32], heads: Heads) -> Vec<f32> {
    let Heads { n_ctx: n, n_heads, n_kv_heads, .. } = heads;
    assert_eq!(n_heads, n_kv_heads, "a gradient of shared keys");
    let d = heads.d();
    let scale = 1.0 / (heads.width as f32).sqrt();
    let mut grad = vec![0.0; qkv.len()];
    let contexts = grad.par_chunks_mut(3 * n * d).zip(qkv.par_chunks(3 * n * d)).zip(grad_out.par_chunks(n * d));
    contexts.for_each(|((grad, context), grad_out)| {
        for head in 0..n_heads {
            let [q, k, v] = heads.parts(context, head);
            let pattern = heads.pattern(q, k);
            let upstream = View::strided(&grad_out[head * heads.width..], n, heads.width, d);
            let weights = View::new(&pattern, n, n);
            let mut scores = vec![0.0; n * n];
            matmul(&mut scores, n, 0.0, upstream, v.t(), Threads::One);
            softmax_gradient(&mut scores, &pattern, n, scale);
            let scores = View::new(&scores, n, n);
            let mut write = |part: usize, a: View<'_>, b: View<'_>| {
                matmul(&mut grad[part * d + head * heads.width..], 3 * d, 0.0, a, b, Threads::One);
            };
            write(0, scores, k);
            write(1, scores.t(), q);
            write(2, weights.t(), upstream);
        }
    });
    grad
}
