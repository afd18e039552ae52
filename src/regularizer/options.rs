//! What the cosine penalties have in common: which matrix, which rows, which sign convention.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::ops::Sign;
use crate::options::Described;

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

/// What the options of every penalty have.
pub(super) trait PenaltyOptions: Described + Serialize + Default {
    /// What the penalty is multiplied by.
    fn coefficient(&self) -> f64;

    /// Which cosines count.
    fn cosines(&self) -> Scope;
}

/// Declares the options of a penalty: its own, and those that all penalties share, with its defaults for the first two of these.
macro_rules! penalty_options {
    (
        coefficient = $coefficient:expr, sign = $sign:ident;
        $(#[$meta:meta])*
        pub struct $name:ident { $($own:tt)* }
    ) => {
        $crate::options! {
            $(#[$meta])*
            #[derive(Copy)]
            pub struct $name {
                $($own)*
                /// what the penalty is multiplied by
                coefficient: f64 = $coefficient,
                /// "signed" or "abs": cosines with their sign, or absolute
                sign: $crate::ops::Sign = $crate::ops::Sign::$sign,
                /// "decoder", "encoder" or "both" (the sum of the two penalties)
                matrix: $crate::regularizer::Matrix = $crate::regularizer::Matrix::Decoder,
                /// "all", "alive" or "dead": the latents that take part, as far as it is known which fire
                rows: $crate::regularizer::Which = $crate::regularizer::Which::All,
            }
        }

        impl $crate::regularizer::options::PenaltyOptions for $name {
            fn coefficient(&self) -> f64 {
                self.coefficient
            }

            fn cosines(&self) -> $crate::regularizer::options::Scope {
                let $name { sign, matrix, rows, .. } = *self;
                $crate::regularizer::options::Scope { sign, matrix, rows }
            }
        }
    };
}
pub(super) use penalty_options;

penalty_options! {
    coefficient = 1.0, sign = Signed;
    /// The options of a penalty that has none of its own.
    pub struct Options {}
}

/// What a cosine penalty remembers of its options; the coefficient lives in the sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Scope {
    pub sign: Sign,
    pub matrix: Matrix,
    pub rows: Which,
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
