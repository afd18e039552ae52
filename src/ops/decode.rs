//! The decoder: an exact sum over the active latents.

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::simd::{add_scaled_lanes, wide};
use crate::progress::Stop;

/// Tokens that one task decodes.
const BLOCK: usize = 64;

/// `out = f w_dec + b_dec` for the tokens of `codes`; `w_dec` is `[d_sae, d_in]`, `out` `[tokens, d_in]`.
///
/// Costs `active d_in` multiply-adds, and reads as many values of the dictionary.
pub fn decode(codes: &Codes, w_dec: Rows<'_>, b_dec: &[f32], out: &mut [f32]) {
    let d = w_dec.d;
    let stop = Stop::here();
    out.par_chunks_mut(BLOCK * d).enumerate().filter(|_| !stop.requested()).for_each(|(block, out)| {
        for (t, out) in out.chunks_exact_mut(d).enumerate() {
            let (latents, values) = codes.token(block * BLOCK + t);
            decode_token(latents, values, w_dec, b_dec, out);
        }
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
