//! What no n vectors in d dimensions can do better than.

use crate::error::{Code, Error, Result};

/// More vectors or dimensions than this are not counted exactly, and some bounds would take for ever.
pub(super) const MOST: usize = 1_000_000_000_000;

/// Refuses numbers of vectors and dimensions that are no use.
pub(super) fn not_too_many(n: usize, d: usize) -> Result<()> {
    if n.max(d) > MOST {
        return Err(Error::new(Code::OutOfRange, "there are too many vectors or dimensions")
            .fact("expected", format!("at most {MOST} each"))
            .fact("n", n)
            .fact("d", d));
    }
    Ok(())
}

fn check(n: usize, d: usize) -> Result<()> {
    if n < 2 || d < 1 {
        return Err(Error::new(Code::OutOfRange, "a bound on cosines needs two vectors and a dimension")
            .fact("n", n)
            .fact("d", d));
    }
    not_too_many(n, d)
}

/// The Welch bound: the largest |cosine| among n vectors in d dimensions is at least sqrt((n - d) / (d (n - 1))), and so is
/// the root mean square; 0 for n <= d. Reached by equiangular tight frames alone (Welch 1974).
///
/// # Errors
/// `out-of-range` for n < 2 or d < 1, and for more than 10^12 of either.
pub fn welch_bound(n: usize, d: usize) -> Result<f64> {
    check(n, d)?;
    let (n, d) = (n as f64, d as f64);
    Ok(((n - d).max(0.0) / (d * (n - 1.0))).sqrt())
}

/// A lower bound on the largest signed cosine among n vectors in d dimensions: the best of Rankin's and Levenshtein's.
///
/// n <= d + 1: -1/(n - 1), the simplex. n <= 2 d: 0, the orthoplex (Rankin 1955). Beyond: the s with L(d, s) = n, where
/// L is Levenshtein's function, pieced together from L_3, L_4, ... (Levenshtein 1992); in the plane cos(2 pi / n).
///
/// # Errors
/// `out-of-range` for n < 2 or d < 1, and for more than 10^12 of either.
pub fn levenshtein_bound(n: usize, d: usize) -> Result<f64> {
    check(n, d)?;
    Ok(match (n, d) {
        _ if n <= d + 1 => -1.0 / (n as f64 - 1.0),
        _ if n <= 2 * d => 0.0,
        (_, 1) => 1.0,
        (_, 2) => (std::f64::consts::TAU / n as f64).cos(),
        _ => {
            let (count, d) = (n as f64, d as f64);
            let (mut low, mut high) = (0.0f64, 1.0f64);
            while high - low > f64::EPSILON * high {
                let s = 0.5 * (low + high);
                if s <= low || s >= high {
                    break;
                }
                if levenshtein(d, s, count) < count { low = s } else { high = s }
            }
            0.5 * (low + high)
        }
    })
}

/// Levenshtein's function at 0 <= s < 1 in d >= 3 dimensions, or infinity once it must exceed `enough`.
///
/// With P_i the Gegenbauer polynomials scaled to P_i(1) = 1, L_{2k-1} holds up to the largest root of
/// (P_k - P_{k+1})/(1 - s), and L_{2k} from there to that of (P_k - P_{k+2})/(1 - s^2); as s passes no root of a lower one, the
/// first of these to be negative names the piece.
fn levenshtein(d: f64, s: f64, enough: f64) -> f64 {
    let following = |i: f64, p: f64, q: f64| ((2.0 * i + d - 2.0) * s * p - i * q) / (i + d - 2.0);
    // P_{k-1}, P_k, P_{k+1}, P_{k+2}; C(k+d-3, k-1) and C(k+d-2, k).
    let (mut p0, mut p1) = (1.0, s);
    let mut p2 = following(1.0, p1, p0);
    let (mut odd, mut even) = (1.0, d - 1.0);
    let mut k = 1.0;
    loop {
        let p3 = following(k + 1.0, p2, p1);
        if p1 - p2 <= 0.0 {
            return odd * ((2.0 * k + d - 3.0) / (d - 1.0) - (p0 - p1) / ((1.0 - s) * p1));
        }
        if p1 - p3 <= 0.0 {
            return even * ((2.0 * k + d - 1.0) / (d - 1.0) - (1.0 + s) * (p1 - p2) / ((1.0 - s) * (p1 + p2)));
        }
        // The next piece begins at 2 C(d + k - 1, k) and only grows.
        if 2.0 * even * (d + k - 1.0) / (d - 1.0) > enough {
            return f64::INFINITY;
        }
        (p0, p1, p2) = (p1, p2, p3);
        k += 1.0;
        odd *= (k + d - 3.0) / (k - 1.0);
        even *= (k + d - 2.0) / k;
    }
}
