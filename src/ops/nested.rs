//! Nested (Matryoshka) reconstructions: one for each prefix of the latents, and what each latent's gradient reads of them.
//!
//! With prefixes of `m_1 < .. < m_G` latents, `x̂_j = sum over i < m_j of f_i w_dec_i + b_dec` and the loss is the mean over j of `|x̂_j - x|²`.
//! A latent of group j (the first prefix that holds it) takes part in the prefixes j..G, so its gradient reads the sum of their residuals.

use rayon::prelude::*;

use super::Rows;
use super::codes::Codes;
use super::simd::{add_scaled, dot};
use crate::progress::Stop;

/// Tokens that one task decodes.
const BLOCK: usize = 64;

/// Writes for each prefix j the sum over m >= j of `scale (x̂_m - x)` to `streams[j]`, rows of `[tokens, d_in]`, and returns for each prefix its
/// squared error summed over tokens. `x` is `[tokens, d_in]`, `widths` ascends.
///
/// Costs `active d_in` multiply-adds and a pass over `G` matrices of the batch's size.
pub fn nested(
    codes: &Codes,
    w_dec: Rows<'_>,
    b_dec: &[f32],
    widths: &[usize],
    x: &[f32],
    scale: f32,
    streams: &mut [&mut [f32]],
) -> Vec<f64> {
    let d = w_dec.d;
    let blocks = codes.tokens().div_ceil(BLOCK);
    // Each stream cut into the rows of one block, so that a task owns its block of all of them.
    let mut cut: Vec<Vec<&mut [f32]>> = (0..blocks).map(|_| Vec::with_capacity(widths.len())).collect();
    for stream in streams {
        stream.chunks_mut(BLOCK * d).zip(&mut cut).for_each(|(part, cut)| cut.push(part));
    }
    let stop = Stop::here();
    let errors: Vec<Vec<f64>> = cut
        .into_par_iter()
        .enumerate()
        .map(|(block, mut streams)| {
            let mut errors = vec![0.0; widths.len()];
            if stop.requested() {
                return errors;
            }
            let mut sum = vec![0.0f32; d];
            for within in 0..BLOCK.min(codes.tokens() - block * BLOCK) {
                let t = block * BLOCK + within;
                let (row, x) = (within * d..(within + 1) * d, &x[t * d..(t + 1) * d]);
                let (latents, values) = codes.token(t);
                sum.iter_mut().zip(b_dec.iter().zip(x)).for_each(|(sum, (b, x))| *sum = b - x);
                let mut next = 0;
                for ((width, stream), error) in widths.iter().zip(&mut streams).zip(&mut errors) {
                    while next < latents.len() && (latents[next] as usize) < *width {
                        add_scaled(&mut sum, values[next], w_dec.row(latents[next] as usize));
                        next += 1;
                    }
                    *error += f64::from(dot(&sum, &sum));
                    stream[row.clone()].iter_mut().zip(&sum).for_each(|(out, sum)| *out = scale * sum);
                }
                for j in (1..widths.len()).rev() {
                    let (head, tail) = streams.split_at_mut(j);
                    add_scaled(&mut head[j - 1][row.clone()], 1.0, &tail[0][row.clone()]);
                }
            }
            errors
        })
        .collect();
    let mut total = vec![0.0; widths.len()];
    for errors in &errors {
        total.iter_mut().zip(errors).for_each(|(total, error)| *total += error);
    }
    total
}

/// The squared errors and streams of [`nested`] by loops over every latent, in f64.
pub fn nested_reference(
    dense: &[f32],
    w_dec: Rows<'_>,
    b_dec: &[f32],
    widths: &[usize],
    x: &[f32],
    scale: f64,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let d = w_dec.d;
    let mut errors = vec![0.0; widths.len()];
    let mut streams = vec![vec![0.0; x.len()]; widths.len()];
    for (t, f) in dense.chunks_exact(w_dec.n.max(1)).enumerate() {
        for (j, width) in widths.iter().enumerate() {
            for c in 0..d {
                let sum: f64 = (0..*width).map(|i| f64::from(f[i]) * f64::from(w_dec.row(i)[c])).sum();
                let error = sum + f64::from(b_dec[c]) - f64::from(x[t * d + c]);
                errors[j] += error * error;
                streams[..=j].iter_mut().for_each(|stream| stream[t * d + c] += scale * error);
            }
        }
    }
    (errors, streams)
}
