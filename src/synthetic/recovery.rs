//! How well a dictionary recovers known features.

use serde::Serialize;

use crate::compare::{matching, mean, same_width, share_above};
use crate::error::Result;
use crate::ops::best_match::best_match;
use crate::ops::nearest::Nearest;
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};
use crate::progress::Monitor;

/// Scores of a dictionary against the true features. Recall asks for each feature how near the nearest latent is, precision for each
/// latent how near the nearest feature is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recovery {
    /// Recall: mean over features of the best cosine of a latent (MMCS, Sharkey et al. 2022), signed.
    pub mmcs: Option<f64>,
    /// Precision: mean over latents of the best cosine of a feature, signed.
    pub mmcs_precision: Option<f64>,
    /// Share of features whose best cosine is above 0.7.
    pub recall_above_07: Option<f64>,
    /// Share of features whose best cosine is above 0.9.
    pub recall_above_09: Option<f64>,
    /// Share of latents whose best cosine is above 0.7.
    pub precision_above_07: Option<f64>,
    /// Share of latents whose best cosine is above 0.9.
    pub precision_above_09: Option<f64>,
    /// Mean absolute cosine of the best one-to-one matching (MCC, SAELens), over matched pairs.
    pub mcc: Option<f64>,
    /// The same with what has no partner counting 0.
    pub mcc_all: Option<f64>,
    /// Mean cosine of the best one-to-one matching of signed cosines (PW-MCC, Song et al. 2025), over matched pairs.
    pub mcc_signed: Option<f64>,
    /// Different features among the latents' best (by absolute cosine), over the number of latents.
    pub uniqueness: Option<f64>,
    /// Latents that are zero or not finite: left out.
    pub invalid: usize,
}

/// Scores `dictionary` against `features`, both one row a direction. Exact; see [`matching`] for cost and memory.
///
/// # Errors
/// Those of [`matching`].
pub fn recovery(dictionary: Rows, features: Rows, monitor: &dyn Monitor) -> Result<Recovery> {
    same_width(dictionary, features)?;
    let (w, truth) = (UnitRows::new(dictionary, None), UnitRows::new(features, None));
    let cosines = |found: &[Nearest]| found.iter().map(|n| n.cos).collect::<Vec<f64>>();
    let recall = cosines(&best_match(&truth, &w, Sign::Signed));
    let precision = cosines(&best_match(&w, &truth, Sign::Signed));
    let mut best: Vec<usize> = best_match(&w, &truth, Sign::Abs).iter().map(|n| n.index).collect();
    best.sort_unstable();
    best.dedup();
    let absolute = matching(dictionary, features, Sign::Abs, monitor)?;
    let signed = matching(dictionary, features, Sign::Signed, monitor)?;
    Ok(Recovery {
        mmcs: mean(recall.iter().copied()),
        mmcs_precision: mean(precision.iter().copied()),
        recall_above_07: share_above(&recall, 0.7),
        recall_above_09: share_above(&recall, 0.9),
        precision_above_07: share_above(&precision, 0.7),
        precision_above_09: share_above(&precision, 0.9),
        mcc: absolute.mean,
        mcc_all: absolute.mean_all,
        mcc_signed: signed.mean,
        uniqueness: (!w.is_empty() && !truth.is_empty()).then(|| best.len() as f64 / w.len() as f64),
        invalid: w.invalid.len(),
    })
}
