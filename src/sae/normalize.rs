//! What some SAEs do to each row before they encode it, and undo after they decode it. SAELens's definitions (6.54):
//!
//! | name | input | output |
//! |---|---|---|
//! | `layer_norm` | `(x - mean) / (sd + 1e-5)` with the mean and the unbiased standard deviation of the row's coordinates | `y sd + mean` |
//! | `constant_norm_rescale` | `x sqrt(d_in) / norm(x)` | `y norm(x) / sqrt(d_in)` |
//!
//! Sums are in f64. A row of norm 0 stays as it is.

use crate::error::{Code, Error, Result};

/// What a row goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalize {
    /// Nothing.
    None,
    /// To mean 0 and standard deviation 1.
    LayerNorm,
    /// To a norm of sqrt(d_in).
    ConstantNorm,
}

/// What takes a row's reconstruction back: `y scale + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Undo {
    scale: f32,
    shift: f32,
}

/// What SAELens adds to the standard deviation, on the way in only.
const EPSILON: f64 = 1e-5;

impl Normalize {
    /// Every one that saerun carries out.
    pub const ALL: [Normalize; 3] = [Normalize::None, Normalize::LayerNorm, Normalize::ConstantNorm];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Normalize::None => "none",
            Normalize::LayerNorm => "layer_norm",
            Normalize::ConstantNorm => "constant_norm_rescale",
        }
    }

    /// The one of this name.
    ///
    /// # Errors
    /// `unknown-name`.
    pub fn named(name: &str) -> Result<Normalize> {
        let known = Normalize::ALL.map(Normalize::name);
        let found = Normalize::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::unknown(Code::UnknownName, "normalization of activations", name, &known))
    }

    /// Normalizes rows of length `d` in place, and says how to take each back; nothing to take back for [`Normalize::None`].
    pub(super) fn apply(self, rows: &mut [f32], d: usize) -> Vec<Undo> {
        match self {
            Normalize::None => Vec::new(),
            Normalize::LayerNorm => rows.chunks_exact_mut(d).map(layer_norm).collect(),
            Normalize::ConstantNorm => rows.chunks_exact_mut(d).map(constant_norm).collect(),
        }
    }
}

/// Takes reconstructions of length `d` back to where their rows were.
pub(super) fn undo(rows: &mut [f32], d: usize, how: &[Undo]) {
    for (row, Undo { scale, shift }) in rows.chunks_exact_mut(d).zip(how) {
        row.iter_mut().for_each(|y| *y = *y * scale + shift);
    }
}

fn layer_norm(row: &mut [f32]) -> Undo {
    let n = row.len() as f64;
    let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let square: f64 = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
    let sd = (square / (n - 1.0).max(1.0)).sqrt();
    row.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) / (sd + EPSILON)) as f32);
    Undo { scale: sd as f32, shift: mean as f32 }
}

fn constant_norm(row: &mut [f32]) -> Undo {
    let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { norm / (row.len() as f64).sqrt() } else { 1.0 };
    row.iter_mut().for_each(|x| *x = (f64::from(*x) / scale) as f32);
    Undo { scale: scale as f32, shift: 0.0 }
}
