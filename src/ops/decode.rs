//! The decoder: an exact sum over the active latents.

use std::ops::Range;

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::dense::{LATENT_TILE, with_tile};
use super::matmul::{Threads, View, matmul};
use super::simd::{add_scaled_lanes, wide};
use crate::progress::Stop;

/// Tokens that one task decodes.
const BLOCK: usize = 64;

/// `out = f w_dec + b_dec` for the tokens of `codes`; `w_dec` is `[d_sae, d_in]`, `out` `[tokens, d_in]`.
///
/// Costs `active d_in` multiply-adds, and reads as many values of the dictionary.
pub fn decode(codes: &Codes, w_dec: Rows<'_>, b_dec: &[f32], out: &mut [f32]) {
    decode_tokens(codes, 0..codes.tokens(), w_dec, b_dec, out);
}

/// [`decode`] of some tokens.
pub fn decode_tokens(codes: &Codes, tokens: Range<usize>, w_dec: Rows<'_>, b_dec: &[f32], out: &mut [f32]) {
    let d = w_dec.d;
    let stop = Stop::here();
    out.par_chunks_mut(BLOCK * d).enumerate().filter(|_| !stop.requested()).for_each(|(block, out)| {
        for (t, out) in out.chunks_exact_mut(d).enumerate() {
            let (latents, values) = codes.token(tokens.start + block * BLOCK + t);
            decode_token(latents, values, w_dec, b_dec, out);
        }
    });
}

/// Share of active pairs above which [`decode_product`] is faster than [`decode`].
pub const PRODUCT_ABOVE: f64 = 0.05;

/// Tokens that one task of the product decodes. Fixed, and its rows padded, because the bits of a product depend on its shape.
const PRODUCT_TOKENS: usize = 256;

/// [`decode_tokens`] by matrix products over all latents, for codes that are not sparse: `tokens d_sae d_in` multiply-adds whatever
/// fires, at the speed of a product. A token's bits depend on its codes alone.
pub fn decode_product(codes: &Codes, tokens: Range<usize>, w_dec: Rows<'_>, b_dec: &[f32], out: &mut [f32]) {
    let (d, d_sae) = (w_dec.d, w_dec.n);
    out.par_chunks_mut(PRODUCT_TOKENS * d).enumerate().for_each(|(block, out)| {
        let first = tokens.start + block * PRODUCT_TOKENS;
        let real = out.len() / d;
        let mut next = vec![0usize; real];
        let mut sums = vec![0.0f32; PRODUCT_TOKENS * d];
        sums.chunks_exact_mut(d).take(real).for_each(|row| row.copy_from_slice(b_dec));
        for from in (0..d_sae).step_by(LATENT_TILE) {
            let width = LATENT_TILE.min(d_sae - from);
            with_tile(PRODUCT_TOKENS * width, |tile| {
                tile.fill(0.0);
                for (t, (row, next)) in tile.chunks_exact_mut(width).zip(&mut next).enumerate() {
                    let (latents, values) = codes.token(first + t);
                    while let Some(i) = latents.get(*next).filter(|i| (**i as usize) < from + width) {
                        row[*i as usize - from] = values[*next];
                        *next += 1;
                    }
                }
                let weights = View::new(&w_dec.data[from * d..(from + width) * d], width, d);
                matmul(&mut sums, d, 1.0, View::new(tile, PRODUCT_TOKENS, width), weights, Threads::One);
            });
        }
        out.copy_from_slice(&sums[..real * d]);
    });
}

wide! {
    /// One token's reconstruction: `out = b_dec + sum of value * w_dec[latent]`.
    pub fn decode_token(latents: &[u32], values: &[f32], w_dec: Rows<'_>, b_dec: &[f32], out: &mut [f32]) {
        out.copy_from_slice(b_dec);
        for (i, value) in latents.iter().zip(values) {
            add_scaled_lanes(out, *value, w_dec.row(*i as usize));
        }
    }
}

/// The decoder over every latent in f64: what [`decode`] is tested against. `dense` is `[n, d_sae]`.
pub fn decode_reference(dense: &[f32], w_dec: Rows<'_>, b_dec: &[f32]) -> Vec<f64> {
    let mut out = Vec::new();
    for row in dense.chunks_exact(w_dec.n.max(1)) {
        for (c, bias) in b_dec.iter().enumerate() {
            let sum: f64 = row.iter().enumerate().map(|(i, f)| f64::from(*f) * f64::from(w_dec.row(i)[c])).sum();
            out.push(sum + f64::from(*bias));
        }
    }
    out
}
