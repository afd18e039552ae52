//! Best matches and one-to-one matchings between the rows of two dictionaries.

use serde::Serialize;

use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::assignment::assign;
use crate::ops::best_match::best_match;
use crate::ops::cosines::cosines;
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};
use crate::progress::Monitor;

/// The mean over rows of `a` of the best cosine among the rows of `b` (MMCS, Sharkey et al. 2022); `None` when either has no valid row.
///
/// Not symmetric, and many rows may share a best match. Exact in f64. Memory O(n); see [`best_match`] for the cost.
///
/// # Errors
/// `shape-mismatch` when rows differ in length.
pub fn mmcs(a: Rows, b: Rows, sign: Sign) -> Result<Option<f64>> {
    same_width(a, b)?;
    let (a, b) = (UnitRows::new(a, None), UnitRows::new(b, None));
    Ok(mean(best_match(&a, &b, sign).iter().map(|found| sign.of(found.cos))))
}

/// One number for each of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sides {
    /// Of the first.
    pub a: usize,
    /// Of the second.
    pub b: usize,
}

/// Two rows that were matched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Match {
    /// The row of the first.
    pub a: usize,
    /// The row of the second.
    pub b: usize,
    /// Their cosine or correlation, in f64, as `sign` counts it.
    pub similarity: f64,
}

/// A one-to-one matching with the largest sum of similarities.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matching {
    /// Mean similarity over matched pairs: PW-MCC when signed (Song et al. 2025), MCC when absolute (SAELens).
    pub mean: Option<f64>,
    /// The same over as many pairs as the larger side has rows, those without a partner counting 0.
    pub mean_all: Option<f64>,
    /// Median similarity over matched pairs.
    pub median: Option<f64>,
    /// Share of matched pairs whose similarity is above 0.7.
    pub share_above_07: Option<f64>,
    /// Share of matched pairs whose similarity is above 0.9.
    pub share_above_09: Option<f64>,
    /// Valid rows without a partner: of the larger side, as many as it is larger.
    pub unmatched: Sides,
    /// Rows that were left out.
    pub invalid: Sides,
    /// The pairs, by the row of the first side.
    pub pairs: Vec<Match>,
}

/// Matches rows of `a` and `b` one to one so that the sum of cosines is the largest (Hungarian matching), exactly: optimal for the cosines
/// in f32, each given in f64.
///
/// As many pairs as the smaller side has valid rows. See [`assign`] for the cost; memory 4 n_a n_b bytes.
///
/// # Errors
/// `shape-mismatch` when rows differ in length, `too-large` before the work starts, `interrupted` when `monitor` says so.
pub fn matching(a: Rows, b: Rows, sign: Sign, monitor: &dyn Monitor) -> Result<Matching> {
    same_width(a, b)?;
    let (a, b) = (UnitRows::new(a, None), UnitRows::new(b, None));
    let invalid = Sides { a: a.invalid.len(), b: b.invalid.len() };
    Ok(Matching::new(match_rows(&a, &b, sign, monitor)?, Sides { a: a.len(), b: b.len() }, invalid))
}

/// The pairs of the best matching of kept rows, by row of `a`, which is its place in the matrix.
pub(super) fn match_rows(a: &UnitRows, b: &UnitRows, sign: Sign, monitor: &dyn Monitor) -> Result<Vec<Match>> {
    room(a.len(), b.len())?;
    let pairs = one_to_one(
        a.len(),
        b.len(),
        monitor,
        |flipped| {
            if flipped { cosines(b, a, sign) } else { cosines(a, b, sign) }
        },
    )?;
    let row = |unit: &UnitRows, k: usize| unit.index[k] as usize;
    let found = |(i, j)| Match { a: row(a, i), b: row(b, j), similarity: sign.of(a.cos_with(i, b, j)) };
    Ok(pairs.into_iter().map(found).collect())
}

/// Whether the matrix of scores fits into memory.
pub(super) fn room(a: usize, b: usize) -> Result<()> {
    memory::check("the matching", 4 * a as u64 * b as u64, "try `compare::mmcs`, or some of the rows: `t.rows(0, n)`")
}

/// The pairs of the best matching by a matrix of scores, `[a, b]`, or `[b, a]` when asked for the flipped one; ascending in the first.
pub(super) fn one_to_one(
    a: usize,
    b: usize,
    monitor: &dyn Monitor,
    scores: impl FnOnce(bool) -> Vec<f32>,
) -> Result<Vec<(usize, usize)>> {
    let flipped = a > b;
    let columns = assign(&scores(flipped), a.min(b), a.max(b), monitor)?;
    let pairs = columns.into_iter().enumerate().map(|(row, column)| (row, column as usize));
    let mut pairs: Vec<(usize, usize)> = pairs.map(|(i, j)| if flipped { (j, i) } else { (i, j) }).collect();
    pairs.sort_unstable();
    Ok(pairs)
}

impl Matching {
    /// Sums up pairs; `valid` rows there were on each side, and `invalid` ones were left out.
    pub(super) fn new(pairs: Vec<Match>, valid: Sides, invalid: Sides) -> Matching {
        let similarities: Vec<f64> = pairs.iter().map(|pair| pair.similarity).collect();
        let larger = valid.a.max(valid.b);
        let matched = pairs.len();
        Matching {
            mean: mean(similarities.iter().copied()),
            mean_all: (larger > 0).then(|| similarities.iter().sum::<f64>() / larger as f64),
            median: median(&similarities),
            share_above_07: share_above(&similarities, 0.7),
            share_above_09: share_above(&similarities, 0.9),
            unmatched: Sides { a: valid.a - matched, b: valid.b - matched },
            invalid,
            pairs,
        }
    }
}

/// Refuses dictionaries whose rows differ in length.
pub(crate) fn same_width(a: Rows, b: Rows) -> Result<()> {
    if a.d == b.d {
        return Ok(());
    }
    Err(Error::new(Code::ShapeMismatch, "the rows of the two differ in length")
        .fact("first", format!("[{}, {}]", a.n, a.d))
        .fact("second", format!("[{}, {}]", b.n, b.d)))
}

/// The mean, summed in order; `None` of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0usize, 0.0), |(count, sum), x| (count + 1, sum + x));
    (count > 0).then(|| sum / count as f64)
}

/// The share of values above a bound; `None` of nothing.
pub(crate) fn share_above(values: &[f64], bound: f64) -> Option<f64> {
    mean(values.iter().map(|x| f64::from(u8::from(*x > bound))))
}

/// The middle value, or the mean of the middle two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted.get((sorted.len().max(1) - 1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}
