//! What the penalties on raw rows have in common: the length of a row matters, and W enters through S = WᵀW, `[d, d]`.

use rayon::prelude::*;

use super::Options;
use super::options::{PenaltyOptions, Scope, Side};
use super::scene::{Gradient, View};
use crate::ops::Sign;
use crate::ops::frame::{Length, times};

/// Which cosines count where squares or absolute values make a penalty blind to signs: the one sign stands for both.
pub(super) fn unsigned(options: &Options) -> Scope {
    Scope { sign: Sign::Signed, ..options.cosines() }
}

/// S - shift I.
pub(super) fn shifted(s: &[f64], shift: f64) -> Vec<f64> {
    let mut s = s.to_vec();
    let d = s.len().isqrt();
    (0..d).for_each(|i| s[i * d + i] -= shift);
    s
}

/// The sum of the diagonal of S: that of the squared lengths of the rows.
pub(super) fn trace(s: &[f64]) -> f64 {
    s.iter().step_by(s.len().isqrt() + 1).sum()
}

/// |S - shift I|_F^2.
pub(super) fn distance(s: &[f64], shift: f64) -> f64 {
    shifted(s, shift).iter().map(|x| x * x).sum()
}

/// Adds `weight` times W M to the derivative by the rows of a view, for a `[d, d]` matrix M: with M = 4 (S - shift I) the gradient of
/// [`distance`].
pub(super) fn add_product(gradient: &mut Gradient, (side, view): (Side, &View), weight: f64, matrix: &[f64]) {
    let d = view.unit.raw.d;
    let rows = times(&view.unit, Length::Own, matrix);
    let mut place = vec![None; view.unit.raw.n];
    view.unit.index.iter().enumerate().for_each(|(k, &row)| place[row as usize] = Some(k));
    gradient.raw(side).par_chunks_mut(d.max(1)).zip(place).for_each(|(out, place)| {
        if let Some(k) = place {
            out.iter_mut().zip(&rows[k * d..]).for_each(|(o, x)| *o += (weight * f64::from(*x)) as f32);
        }
    });
}
