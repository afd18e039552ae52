//! One line of numbers about a dictionary, and its spectrum.

use rayon::prelude::*;
use serde::Serialize;

use crate::ops::frame::{eigenvalues, frame};
use crate::ops::nearest::{Nearest, nearest};
use crate::ops::pairs::pairs;
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};

/// Statistics of the unit rows. Pair statistics are over i != j and `None` with fewer than two valid rows; those of
/// the spectrum are `None` with none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Valid rows N.
    pub n: usize,
    /// Length of a row.
    pub d: usize,
    /// How many rows are zero or not finite.
    pub invalid: usize,
    /// Mean of c_ij.
    pub mean_cos: Option<f64>,
    /// Mean of |c_ij|.
    pub mean_abs_cos: Option<f64>,
    /// Root mean square of c_ij.
    pub rms_cos: Option<f64>,
    /// Mean over rows of the largest c_ij.
    pub mean_max_cos: Option<f64>,
    /// Mean over rows of the largest |c_ij|.
    pub mean_max_abs_cos: Option<f64>,
    /// The largest c_ij.
    pub max_max_cos: Option<f64>,
    /// The largest |c_ij|.
    pub coherence: Option<f64>,
    /// The least c_ij.
    pub min_cos: Option<f64>,
    /// Sum over all i, j (i = j included) of c_ij^2, which is |UᵀU|_F^2; at least max(N, N^2/d).
    pub frame_potential: Option<f64>,
    /// Rank of U: eigenvalues of UᵀU above (max(N, d) * 2^-23)^2 times the largest, numpy's rule for f32.
    pub rank: Option<usize>,
    /// (sum l)^2 / sum l^2 over the eigenvalues l of UᵀU.
    pub participation_ratio: Option<f64>,
    /// exp of the entropy of l / sum l.
    pub effective_rank: Option<f64>,
    /// sum l / max l.
    pub stable_rank: Option<f64>,
}

/// The statistics of `w`: three passes over the Gram matrix by tiles and the eigenvalues of a d x d matrix.
pub fn summary(w: Rows) -> Summary {
    let unit = UnitRows::new(w, None);
    let count = unit.len() as f64;
    let ordered = count * (count - 1.0);
    let over_pairs = |total: f64| (unit.len() > 1).then(|| total / ordered);
    let sum: f64 = unit.sum().iter().map(|x| x * x).sum();
    let s = frame(&unit);
    let potential: f64 = s.iter().map(|x| x * x).sum();
    let l: Vec<f64> = if unit.is_empty() { Vec::new() } else { positive(eigenvalues(&s, w.d)) };
    let (trace, squares) = (l.iter().sum::<f64>(), l.iter().map(|x| x * x).sum::<f64>());
    let top = l.first().copied().filter(|&l| l > 0.0);
    let small = (unit.len().max(w.d) as f64 * f64::from(f32::EPSILON)).powi(2);
    let entropy = -l.iter().filter(|&&l| l > 0.0).map(|l| l / trace * (l / trace).ln()).sum::<f64>();
    let (signed, abs) = (
        Extremes::of(&nearest(&unit, Sign::Signed), Sign::Signed),
        Extremes::of(&nearest(&unit, Sign::Abs), Sign::Abs),
    );
    let all = pairs(&unit);
    Summary {
        n: unit.len(),
        d: w.d,
        invalid: unit.invalid.len(),
        mean_cos: over_pairs(sum - count),
        mean_abs_cos: all.and_then(|p| over_pairs(p.sum_abs)),
        rms_cos: over_pairs((potential - count).max(0.0)).map(f64::sqrt),
        mean_max_cos: signed.map(|e| e.mean),
        mean_max_abs_cos: abs.map(|e| e.mean),
        max_max_cos: signed.map(|e| e.max),
        coherence: abs.map(|e| e.max),
        min_cos: all.map(|p| p.min_cos),
        frame_potential: top.map(|_| potential),
        rank: top.map(|top| l.iter().filter(|&&l| l > small * top).count()),
        participation_ratio: top.map(|_| trace * trace / squares),
        effective_rank: top.map(|_| entropy.exp()),
        stable_rank: top.map(|top| trace / top),
    }
}

/// Mean and largest of the nearest cosines.
#[derive(Clone, Copy)]
struct Extremes {
    mean: f64,
    max: f64,
}

impl Extremes {
    fn of(nearest: &[Nearest], sign: Sign) -> Option<Self> {
        let values = nearest.iter().map(|a| sign.of(a.cos));
        (!nearest.is_empty()).then(|| Extremes {
            mean: values.clone().sum::<f64>() / nearest.len() as f64,
            max: values.fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// Rounding leaves tiny negative eigenvalues where there are zeros.
fn positive(mut values: Vec<f64>) -> Vec<f64> {
    values.iter_mut().for_each(|l| *l = l.max(0.0));
    values
}

/// The d eigenvalues of UᵀU, descending, in f64; their sum is the number of valid rows.
pub fn spectrum(w: Rows) -> Vec<f64> {
    positive(eigenvalues(&frame(&UnitRows::new(w, None)), w.d))
}

/// For each row 1 / sum over j (j = i included) of c_ij^2: the share of a dimension that the row has to itself (Elhage et
/// al. 2022; for unit rows the capacity of Scherlis et al. 2022). `None` for invalid rows. O(N d^2).
pub fn feature_dimensionality(w: Rows) -> Vec<Option<f64>> {
    let unit = UnitRows::new(w, None);
    let s = frame(&unit);
    let shares: Vec<f64> = (0..unit.len())
        .into_par_iter()
        .map(|k| {
            let mut u = vec![0.0; w.d];
            unit.add_to(k, 1.0, &mut u);
            let lines = s.chunks_exact(w.d).map(|line| line.iter().zip(&u).map(|(s, x)| s * x).sum::<f64>());
            1.0 / lines.zip(&u).map(|(line, x)| line * x).sum::<f64>()
        })
        .collect();
    let mut result = vec![None; w.n];
    unit.index.iter().zip(shares).for_each(|(&row, share)| result[row as usize] = Some(share));
    result
}
