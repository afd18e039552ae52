//! The gated rule (Rajamanoharan et al. 2024, arXiv 2404.16014): one encoder row, used twice.
//!
//! With `p = w_enc_i · (x - b_dec)`: the gate `pi = p + b_gate` decides whether the latent fires (`pi > 0`), the magnitude
//! `relu(exp(r) p + b_mag)` how much. The loss of a token is `|x̂ - x|² + lambda sum_i relu(pi_i) norm_i + |x̂_gate - x|²`, where `x̂_gate` decodes
//! `relu(pi)` with the decoder held fixed: the gate has no other gradient.
//!
//! ```text
//! dm   = g · w_dec_i                     where the gate is open and the magnitude above 0
//! dpi  = g_gate · w_dec_i + (lambda / n) norm_i      where the gate is open
//! d p  = exp(r) dm + dpi     d r = exp(r) p dm     d b_mag = dm     d b_gate = dpi
//! ```

use super::backward::Sums;
use super::codes::Codes;
use super::simd::{add_scaled_lanes, dot_lanes, wide};

/// The activations behind open gates: `gates` holds every `pi` above 0. Latents whose magnitude is not above 0 do not fire.
pub fn magnitudes(gates: &Codes, r_mag: &[f32], b_gate: &[f32], b_mag: &[f32]) -> Codes {
    gates.filter_map(|i, pi| {
        let i = i as usize;
        let f = r_mag[i].exp() * (pi - b_gate[i]) + b_mag[i];
        (f > 0.0).then_some(f)
    })
}

wide! {
    /// The sums of a latent with `[r, b_gate, b_mag, lambda / n * norm]`; `fires` holds its open gates, `g` the residuals of magnitudes and gates. The
    /// extra gradients are those of `r` and `b_mag`.
    pub(super) fn gated_gradient(
        fires: (&[u32], &[f32]),
        g: (&[f32], &[f32]),
        x: &[f32],
        w_dec: &[f32],
        latent: &[f32; 4],
        dec: &mut [f32],
        enc: &mut [f32],
    ) -> Sums {
        let d = w_dec.len();
        let [r, b_gate, b_mag, penalty] = *latent;
        let scale = r.exp();
        let mut sums = Sums::default();
        for (t, pi) in fires.0.iter().zip(fires.1) {
            let at = *t as usize * d;
            let (g, g_gate, x) = (&g.0[at..at + d], &g.1[at..at + d], &x[at..at + d]);
            let gate = dot_lanes(g_gate, w_dec) + penalty;
            let mut input = gate;
            let linear = scale * (pi - b_gate);
            let f = linear + b_mag;
            if f > 0.0 {
                let df = dot_lanes(g, w_dec);
                add_scaled_lanes(dec, f, g);
                sums.extra[0] += linear * df;
                sums.extra[1] += df;
                input += scale * df;
            }
            add_scaled_lanes(enc, input, x);
            sums.input += input;
            sums.b_enc += gate;
            sums.counted += pi;
        }
        sums
    }
}
