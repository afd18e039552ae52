//! JumpReLU (Rajamanoharan et al. 2024, arXiv 2407.14435): `f = pre` where `pre > theta_i`, else 0, with the L0 loss
//! `lambda * sum_i [pre_i > theta_i]` over tokens.
//!
//! Steps have no derivative, so thresholds learn by straight-through estimators: the derivative of a step by its threshold is minus a rectangle
//! of width `bandwidth` and area 1 around it. With `K` = 1 where `|pre - theta| < bandwidth / 2`, else 0, and `df = g · w_dec_i`:
//!
//! ```text
//! d f / d theta  = -(theta / bandwidth) K           d L0 / d theta = -(1 / bandwidth) K
//! d loss / d ln theta_i = -(theta / bandwidth) sum over t of K_t (theta df_t + lambda / n)
//! ```
//!
//! The pre-activation's own gradient is that of a ReLU on the active set. A threshold that no pre-activation comes close to gets no gradient:
//! the sparsity coefficient then does nothing, and the training warns.

use super::backward::Sums;
use super::codes::ByLatent;
use super::simd::{add_scaled_lanes, dot_lanes, wide};

wide! {
    /// The sums of a latent with `[theta, bandwidth, lambda / n]`; `fires` holds every pre-activation above `theta - bandwidth / 2`. The extra
    /// gradient is that of `ln theta`.
    pub(super) fn jump_gradient(
        fires: (&[u32], &[f32]),
        g: &[f32],
        x: &[f32],
        w_dec: &[f32],
        latent: &[f32; 3],
        dec: &mut [f32],
        enc: &mut [f32],
    ) -> Sums {
        let d = w_dec.len();
        let [theta, bandwidth, sparsity] = *latent;
        let (mut bias, mut log_theta) = (0.0, 0.0);
        for (t, pre) in fires.0.iter().zip(fires.1) {
            let at = *t as usize * d;
            let (g, x) = (&g[at..at + d], &x[at..at + d]);
            let df = dot_lanes(g, w_dec);
            if *pre > theta {
                add_scaled_lanes(dec, *pre, g);
                add_scaled_lanes(enc, df, x);
                bias += df;
            }
            if (*pre - theta).abs() < 0.5 * bandwidth {
                log_theta -= theta / bandwidth * (theta * df + sparsity);
            }
        }
        Sums { input: bias, b_enc: bias, extra: [log_theta, 0.0], counted: 0.0 }
    }
}

/// How many latents have a pre-activation within half a bandwidth of their threshold: those whose thresholds learn from this batch.
pub fn within_reach(codes: &ByLatent, thresholds: &[f32], bandwidth: f32) -> usize {
    let near = |i: &usize| codes.latent(*i).1.iter().any(|pre| (pre - thresholds[*i]).abs() < 0.5 * bandwidth);
    (0..thresholds.len()).filter(near).count()
}
