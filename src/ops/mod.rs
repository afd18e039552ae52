//! CPU kernels on slices. Each kernel sits in its own file beside a slow, obvious reference, and allocates no randomness.

pub mod adam;
pub mod adam_w;
pub mod affine;
pub mod assignment;
pub mod attention;
pub mod backward;
pub mod best_match;
pub mod codes;
pub mod coherence;
pub mod cosines;
pub mod cross;
pub mod cross_entropy;
pub mod decode;
pub mod dense;
pub mod eigenvector;
pub mod element;
pub mod elementary;
pub mod encode;
pub mod entries;
pub mod frame;
pub mod gated;
pub mod gelu;
mod gram;
pub mod hinge;
pub mod jump;
pub mod kernel;
pub mod largest;
pub mod layer_norm;
pub mod linear;
pub mod log_sum_exp;
pub mod matmul;
pub mod muon;
pub mod nearest;
pub mod nested;
pub mod pairs;
pub mod panels;
pub mod polar;
pub mod repel;
pub mod rms_norm;
pub mod rotary;
pub mod rounded;
pub mod screen;
pub mod screened;
pub mod select;
pub mod simd;
pub mod unit;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// A row-major `[n, d]` matrix by reference; of a dictionary, one row per latent.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The `n * d` values, row after row.
    pub data: &'a [f32],
    /// How many rows.
    pub n: usize,
    /// How long a row is.
    pub d: usize,
}

impl<'a> Rows<'a> {
    /// Checks that `data` holds `n` rows of length `d`.
    ///
    /// # Errors
    /// `shape-mismatch` when it does not.
    pub fn new(data: &'a [f32], n: usize, d: usize) -> Result<Self> {
        if data.len() != n * d {
            return Err(Error::new(Code::ShapeMismatch, "the values do not fill the shape")
                .fact("expected", format!("{n} x {d}"))
                .fact("given", data.len()));
        }
        Ok(Rows { data, n, d })
    }

    /// Row `i`, of length `d`.
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.d..(i + 1) * self.d]
    }
}

/// Whether a cosine counts with its sign or by its absolute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// c
    #[default]
    Signed,
    /// |c|
    Abs,
}

impl Sign {
    /// The cosine as this sign convention counts it.
    pub fn of(self, c: f64) -> f64 {
        match self {
            Sign::Signed => c,
            Sign::Abs => c.abs(),
        }
    }
}
