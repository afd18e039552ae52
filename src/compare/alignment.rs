//! Two sets of paired rows, such as activations of two target models on the same tokens: the rotation between them, and how alike they are
//! whatever the rotation.

use serde::{Deserialize, Serialize};

use super::matching::same_width;
use crate::error::{Code, Error, Result};
use crate::ops::Rows;
use crate::ops::cross::{Centered, cross, misfit};
use crate::ops::polar::polar;
use crate::rng::Rng;

/// Options of [`procrustes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignOptions {
    /// Whether the mean row of each side is taken from it first.
    pub center: bool,
}

impl Default for AlignOptions {
    fn default() -> Self {
        AlignOptions { center: true }
    }
}

/// The best rotation of one set of rows onto another.
#[derive(Debug, Clone, PartialEq)]
pub struct Procrustes {
    /// R, orthogonal, row-major `[d, d]`: rows of X times R come near those of Y. It may reflect.
    pub rotation: Vec<f32>,
    /// |X R - Y| / |Y|, Frobenius norms, after centering: 0 is a perfect fit. `None` when Y is constant.
    pub residual: Option<f64>,
    /// |X R - Y|.
    pub distance: f64,
    /// Pairs of rows that were left out, as one of them is not finite.
    pub invalid: usize,
}

/// Share of the cross-product's norm that decides where the rows say nothing; it turns the rest by no more than that over the rest's share.
const NUDGE: f64 = 1e-14;

/// The orthogonal R with the least |X R - Y| (Schönemann 1966): the polar factor of Xᵀ Y.
///
/// Where the rows leave R open (fewer rows than dimensions, constant coordinates) it turns as little as it must: always the same R.
/// n d^2 multiply-adds and some forty products of d^3, in f64.
///
/// # Errors
/// `shape-mismatch` when the shapes differ, `out-of-range` when no pair of rows is finite.
pub fn procrustes(x: Rows, y: Rows, options: &AlignOptions) -> Result<Procrustes> {
    same_width(x, y)?;
    let d = x.d;
    let keep = paired(x, y)?;
    let center = |rows: Rows| if options.center { Centered::mean(rows, &keep) } else { vec![0.0; d] };
    let (x_center, y_center) = (center(x), center(y));
    let x = Centered { rows: x, keep: &keep, center: &x_center };
    let y = Centered { rows: y, keep: &keep, center: &y_center };
    let mut m = cross(&x, &y);
    let norm = m.iter().map(|v| v * v).sum::<f64>().sqrt();
    let size = if norm > 0.0 { NUDGE * norm } else { 1.0 };
    let mut noise = Rng::new(0, "compare::procrustes");
    for (at, value) in m.iter_mut().enumerate() {
        // Nearly the identity; the noise keeps what it meets from being singular.
        let one = f64::from(u8::from(at % (d + 1) == 0));
        *value += size * (one + 0.1 * noise.normal() / (d as f64).sqrt());
    }
    let rotation = polar(&m, d)
        .ok_or_else(|| Error::new(Code::OutOfRange, "the rows are too large to be multiplied").fact("norm", norm))?;
    let distance = misfit(&x, &rotation, &y).sqrt();
    let size = y.blocks().map(|block| block.iter().map(|v| v * v).sum::<f64>()).sum::<f64>().sqrt();
    Ok(Procrustes {
        rotation: rotation.iter().map(|v| *v as f32).collect(),
        residual: (size > 0.0).then(|| distance / size),
        distance,
        invalid: x.rows.n - keep.len(),
    })
}

/// Linear CKA of centered rows: |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|), Frobenius norms (Kornblith et al. 2019); 1 when one is a rotation and scaling of
/// the other. Widths may differ. `None` with fewer than two rows or when a side is constant.
///
/// Pairs of rows with a value that is not finite are left out. With fewer rows than some ten times the width it is near 1 for anything.
/// n (d_x + d_y)^2 multiply-adds in f64.
///
/// # Errors
/// `shape-mismatch` when there are not equally many rows.
pub fn cka(x: Rows, y: Rows) -> Result<Option<f64>> {
    let keep = match paired(x, y) {
        Err(error) if error.code == Code::OutOfRange => return Ok(None),
        keep => keep?,
    };
    let (x_mean, y_mean) = (Centered::mean(x, &keep), Centered::mean(y, &keep));
    let x = Centered { rows: x, keep: &keep, center: &x_mean };
    let y = Centered { rows: y, keep: &keep, center: &y_mean };
    let square = |a: &Centered, b: &Centered| cross(a, b).iter().map(|v| v * v).sum::<f64>();
    let (xy, xx, yy) = (square(&x, &y), square(&x, &x), square(&y, &y));
    // What rounding leaves of constant rows is no variance.
    let varies = |square: f64, rows: &Centered| {
        let mean = rows.center.iter().map(|m| m * m).sum::<f64>();
        square.sqrt() > 1e-14 * keep.len() as f64 * mean
    };
    Ok((varies(xx, &x) && varies(yy, &y)).then(|| xy / (xx.sqrt() * yy.sqrt())))
}

/// The places where both rows are finite.
fn paired(x: Rows, y: Rows) -> Result<Vec<usize>> {
    if x.n != y.n {
        return Err(Error::new(Code::ShapeMismatch, "the rows are not paired").fact("first", x.n).fact("second", y.n));
    }
    let finite = |row: &[f32]| row.iter().all(|v| v.is_finite());
    let keep: Vec<usize> = (0..x.n).filter(|&i| finite(x.row(i)) && finite(y.row(i))).collect();
    if keep.is_empty() {
        return Err(Error::new(Code::OutOfRange, "there is no pair of rows").fact("given", x.n));
    }
    Ok(keep)
}
