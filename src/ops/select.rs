//! Which of a token's (or a batch's) pre-activations stay: the k largest.
//!
//! Equal values go to the lower latent (then the earlier token), so the choice is one and the same at any thread count. Both work on codes that
//! hold every candidate above a floor. A token with at least k candidates above any floor has its k largest among them, so
//! a good floor makes the choice cheap and a bad one makes it no less exact.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::codes::Codes;

/// The `k` largest entries of each token, latents ascending, or all of them where there are fewer. O(candidates).
pub fn top_k(codes: &Codes, k: usize) -> Codes {
    let kept: Vec<Vec<(u32, f32)>> = (0..codes.tokens())
        .into_par_iter()
        .map(|t| {
            let (latents, values) = codes.token(t);
            let mut entries: Vec<(u32, f32)> = latents.iter().copied().zip(values.iter().copied()).collect();
            if k == 0 {
                entries.clear();
            } else if entries.len() > k {
                entries.select_nth_unstable_by(k - 1, |a, b| larger(a.1, b.1).then(a.0.cmp(&b.0)));
                entries.truncate(k);
                entries.sort_unstable_by_key(|entry| entry.0);
            }
            entries
        })
        .collect();
    let mut out = Codes { d_sae: codes.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
    for entries in kept {
        for (latent, value) in entries {
            out.latents.push(latent);
            out.values.push(value);
        }
        out.offsets.push(out.latents.len());
    }
    out
}

/// The `count` largest entries of the whole batch, and the least of them; all where there are fewer. O(candidates).
pub fn batch_top_k(codes: &Codes, count: usize) -> (Codes, Option<f32>) {
    if count == 0 {
        return (codes.filter_map(|_, _| None), None);
    }
    let mut values = codes.values.clone();
    let least = if values.len() > count {
        *values.select_nth_unstable_by(count - 1, |a, b| larger(*a, *b)).1
    } else {
        return (codes.clone(), values.into_iter().reduce(f32::min));
    };
    let above = codes.values.iter().filter(|value| **value > least).count();
    // Of the entries equal to the least, the first.
    let mut equal = count - above;
    let mut out = Codes { d_sae: codes.d_sae, offsets: vec![0], latents: Vec::new(), values: Vec::new() };
    for t in 0..codes.tokens() {
        let (latents, values) = codes.token(t);
        for (latent, value) in latents.iter().zip(values) {
            let tied = *value == least && equal > 0;
            if *value > least || tied {
                equal -= usize::from(tied);
                out.latents.push(*latent);
                out.values.push(*value);
            }
        }
        out.offsets.push(out.latents.len());
    }
    (out, Some(least))
}

/// [`top_k`] by sorting every row of the dense matrix; values that are not positive are not kept.
pub fn top_k_reference(dense: &[f32], d_sae: usize, k: usize) -> Codes {
    let mut out = vec![0.0; dense.len()];
    for (row, out) in dense.chunks_exact(d_sae).zip(out.chunks_exact_mut(d_sae)) {
        let mut order: Vec<usize> = (0..d_sae).collect();
        order.sort_by(|a, b| larger(row[*a], row[*b]));
        order.into_iter().take(k).filter(|i| row[*i] > 0.0).for_each(|i| out[i] = row[i]);
    }
    Codes::from_dense(&out, d_sae)
}

/// [`batch_top_k`] by sorting the dense matrix; values that are not positive are not kept.
pub fn batch_top_k_reference(dense: &[f32], d_sae: usize, count: usize) -> Codes {
    let mut out = vec![0.0; dense.len()];
    let mut order: Vec<usize> = (0..dense.len()).collect();
    order.sort_by(|a, b| larger(dense[*a], dense[*b]));
    order.into_iter().take(count).filter(|i| dense[*i] > 0.0).for_each(|i| out[i] = dense[i]);
    Codes::from_dense(&out, d_sae)
}

/// The order in which the larger value comes first.
fn larger(a: f32, b: f32) -> Ordering {
    b.total_cmp(&a)
}
