//! From pre-activations to sparse codes: what a finished SAE computes, and what a training computes on its way there.

use crate::ops::Rows;
use crate::ops::codes::Codes;
use crate::ops::dense::Padded;
use crate::ops::encode::{Floor, encode, encode_above};
use crate::ops::gated::magnitudes;
use crate::ops::select::{batch_top_k, top_k};

/// The activation of a finished SAE, with what it learned besides the encoder. `pre` is `w_enc (x - b_dec) + b_enc`.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// `relu(pre)`
    Relu,
    /// `relu` of each token's `k` largest `pre`.
    TopK {
        /// How many stay.
        k: usize,
    },
    /// `pre` where it is above the latent's threshold and above 0, `[d_sae]`: JumpReLU, and what batch-wise top-k becomes after training.
    Threshold(Vec<f32>),
    /// Gated: `relu(exp(r_mag) (pre - b_enc) + b_mag)` where `pre > 0`, `[d_sae]` each.
    Gated {
        /// The logarithm of the magnitude's scale.
        r_mag: Vec<f32>,
        /// The magnitude's bias.
        b_mag: Vec<f32>,
    },
}

impl Activation {
    /// The codes of centered rows.
    pub(super) fn codes(&self, x: &Padded, w_enc: Rows<'_>, b_enc: &[f32]) -> Codes {
        let above = |floor| encode_above(x, w_enc, b_enc, floor, None).unwrap_or_else(|| Codes::none(x.n, w_enc.n));
        match self {
            Activation::Relu => above(Floor::All(0.0)),
            Activation::TopK { k } => largest(x, w_enc, b_enc, *k, &mut None),
            Activation::Threshold(thresholds) => {
                let floors: Vec<f32> = thresholds.iter().map(|threshold| threshold.max(0.0)).collect();
                above(Floor::Each(&floors))
            }
            Activation::Gated { r_mag, b_mag } => magnitudes(&above(Floor::All(0.0)), r_mag, b_enc, b_mag),
        }
    }
}

/// Tokens that a first floor is guessed from.
const PROBE: usize = 192;
/// Share of tokens that a floor may fail; they are encoded again without one.
const SHORT: f64 = 0.05;

/// Each token's `k` largest positive pre-activations. `floor` holds a guess of what most tokens' k-th is above, and is left
/// with a better one: it changes the cost, never the result.
pub(super) fn largest(x: &Padded, w_enc: Rows<'_>, b_enc: &[f32], k: usize, floor: &mut Option<f32>) -> Codes {
    let encode = |x: &Padded, floor| encode_above(x, w_enc, b_enc, Floor::All(floor), None);
    let none = || Codes::none(x.n, w_enc.n);
    let guess = floor.unwrap_or_else(|| {
        let probe = Padded::of(&x.rows()[..PROBE.min(x.n) * x.d], x.d);
        encode(&probe, 0.0).map_or(0.0, |codes| low(&top_k(&codes, k), k))
    });
    let mut codes = top_k(&encode(x, guess).unwrap_or_else(none), k);
    let short: Vec<usize> =
        if guess > 0.0 { (0..x.n).filter(|t| codes.token(*t).0.len() < k).collect() } else { Vec::new() };
    if !short.is_empty() {
        let rows: Vec<f32> = short.iter().flat_map(|t| x.row(*t).iter().copied()).collect();
        let again = top_k(&encode(&Padded::of(&rows, x.d), 0.0).unwrap_or_else(none), k);
        codes = codes.replaced(&short, &again);
    }
    *floor = Some(low(&codes, k));
    codes
}

/// The value that all but a few tokens' k-th largest lies above.
fn low(codes: &Codes, k: usize) -> f32 {
    let kth = |t: usize| match codes.token(t).1 {
        values if values.len() < k => 0.0,
        values => values.iter().copied().fold(f32::INFINITY, f32::min),
    };
    let mut values: Vec<f32> = (0..codes.tokens()).map(kth).collect();
    let place = (SHORT * values.len() as f64) as usize;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(place, f32::total_cmp).1 }
}

/// The `k * tokens` largest positive pre-activations of the batch, and the least of them. `floor` as in [`largest`].
pub(super) fn batch_largest(
    x: &Padded,
    w_enc: Rows<'_>,
    b_enc: &[f32],
    k: usize,
    floor: &mut Option<f32>,
) -> (Codes, Option<f32>) {
    let count = k * x.n;
    let first = floor.unwrap_or_else(|| {
        let probe = Padded::of(&x.rows()[..PROBE.min(x.n) * x.d], x.d);
        encode(&probe, w_enc, b_enc, None).and_then(|codes| batch_top_k(&codes, k * probe.n).1).unwrap_or(0.0)
    });
    // Batches differ: a little room saves a second product.
    let mut guess = 0.8 * first;
    loop {
        let found = encode_above(x, w_enc, b_enc, Floor::All(guess), None);
        let found = found.unwrap_or_else(|| Codes::none(x.n, w_enc.n));
        if found.active() >= count || guess == 0.0 {
            let (codes, least) = batch_top_k(&found, count);
            *floor = Some(if codes.active() < count { 0.0 } else { least.unwrap_or(0.0) });
            return (codes, least);
        }
        guess = if guess > 0.3 * first { 0.5 * guess } else { 0.0 };
    }
}
