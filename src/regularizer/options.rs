//! What the cosine penalties have in common: which matrix, which rows, which sign convention.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::ops::Sign;

/// Which of the two weight matrices a penalty looks at; encoder rows are compared in the same way as decoder rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matrix {
    /// `w_dec`
    #[default]
    Decoder,
    /// `w_enc`
    Encoder,
    /// The penalty on `w_dec` plus the penalty on `w_enc`.
    Both,
}

/// Which rows take part; pairs are formed among these alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Every valid row.
    #[default]
    All,
    /// The rows of latents that fire; all rows where that is not known.
    Alive,
    /// The rows of latents that do not fire; all rows where that is not known.
    Dead,
}

/// Which rows a maximum moves: c_ij is largest for row i, and depends on row j as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighborGradient {
    /// Both, as the derivative has it.
    #[default]
    Both,
    /// The row whose maximum it is; its neighbor counts as fixed.
    Detach,
}

/// One of the two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Decoder,
    Encoder,
}

impl Matrix {
    /// The matrices that this names, in order.
    pub(super) fn sides(self) -> &'static [Side] {
        match self {
            Matrix::Decoder => &[Side::Decoder],
            Matrix::Encoder => &[Side::Encoder],
            Matrix::Both => &[Side::Decoder, Side::Encoder],
        }
    }
}

/// Options that every cosine penalty takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What the penalty is multiplied with.
    pub coefficient: f64,
    /// Cosines with their sign, or absolute.
    pub sign: Sign,
    /// Which matrix.
    pub matrix: Matrix,
    /// Which rows.
    pub rows: Which,
}

impl Default for Options {
    fn default() -> Self {
        Options { coefficient: 1.0, sign: Sign::Signed, matrix: Matrix::Decoder, rows: Which::All }
    }
}

/// What a cosine penalty remembers of its options; the coefficient lives in the sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Scope {
    pub sign: Sign,
    pub matrix: Matrix,
    pub rows: Which,
}

impl From<Options> for Scope {
    fn from(options: Options) -> Self {
        Scope { sign: options.sign, matrix: options.matrix, rows: options.rows }
    }
}

/// Checks that an option lies in a closed range.
pub(super) fn within(option: &str, value: f64, (from, to): (f64, f64), expected: &str) -> Result<()> {
    if (from..=to).contains(&value) {
        return Ok(());
    }
    Err(Error::new(Code::OutOfRange, format!("option {option} is out of range"))
        .fact("expected", expected)
        .fact("given", value))
}

/// What cache keys and the run lock hold of a maximum's options; the usual gradient goes without saying.
pub(super) fn describe(kind: &str, scope: Scope, gradient: NeighborGradient) -> Value {
    match gradient {
        NeighborGradient::Both => json!({ "kind": kind, "scope": scope }),
        NeighborGradient::Detach => json!({ "kind": kind, "scope": scope, "neighbor_gradient": gradient }),
    }
}
