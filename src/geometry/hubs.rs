//! Do many rows share one nearest neighbor?

use serde::{Deserialize, Serialize};

use super::Neighbors;
use crate::error::{Code, Error, Result};

/// Options of [`hubs`]: the rows whose nearest cosine lies in [from, to] are considered.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubsOptions {
    /// Least cosine; by default none.
    pub from: Option<f64>,
    /// Greatest cosine; by default none.
    pub to: Option<f64>,
}

/// The answer to "one shared neighbor?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// At least 90 % of the rows have the same neighbor.
    #[serde(rename = "one neighbor")]
    OneNeighbor,
    /// The Simpson number of the neighbors is at most 5 % of the rows.
    #[serde(rename = "few hubs")]
    FewHubs,
    /// At least 90 % of the rows are their neighbor's neighbor.
    #[serde(rename = "pairs")]
    Pairs,
    /// None of these, or fewer than two rows.
    #[serde(rename = "no sharing")]
    NoSharing,
}

impl Verdict {
    /// The words of the report.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::OneNeighbor => "one neighbor",
            Verdict::FewHubs => "few hubs",
            Verdict::Pairs => "pairs",
            Verdict::NoSharing => "no sharing",
        }
    }
}

/// How the rows considered, S, share their neighbors a(i). k_j is the number of rows in S whose neighbor is j. The
/// statistics of k (Gini, Robin Hood, skewness, antihubs) are over the n rows that are in S or a neighbor of one in S: without
/// a window all N valid rows. Their values under the random null are those without a window. `None` where S is empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hubs {
    /// |S|.
    pub count: usize,
    /// How many different neighbors they have.
    pub distinct: usize,
    /// The row that is the neighbor of most; the lowest on ties.
    pub top_index: Option<usize>,
    /// The share of S whose neighbor it is.
    pub top_share: Option<f64>,
    /// exp of the entropy of p_j = k_j / |S|; the random null tends to .5636 N.
    pub effective_number: Option<f64>,
    /// 1 / sum of p_j^2; the random null tends to N/2.
    pub simpson_number: Option<f64>,
    /// sum over i, j of |k_i - k_j| / (2 n sum k); null .5238.
    pub gini: Option<f64>,
    /// Half the sum of |k - mean k| over sum k; null .3679.
    pub robin_hood: Option<f64>,
    /// Population skewness of k, 0 where k is constant; null 1.
    pub skewness: Option<f64>,
    /// Share of these n rows that are the neighbor of no row in S; null .3679.
    pub antihub_rate: Option<f64>,
    /// Share of i in S with a(a(i)) = i; null about 1/2.
    pub reciprocity: Option<f64>,
    /// Connected components of the graph of i in S and a(i); over all rows this is the number of mutual pairs.
    pub components: usize,
    /// k_j of every row, valid or not.
    pub in_degree: Vec<usize>,
    /// What the numbers say; see [`Verdict`], the first that holds.
    pub verdict: Verdict,
    /// The chance that some row is the neighbor of so many rows in S if in-degrees are Poisson(|S|/N), as for random directions:
    /// 1 - P(Poisson(|S|/N) < max k)^N.
    pub p_value: Option<f64>,
}

/// How the rows of `neighbors`, or those whose cosine is in the window, share neighbors. O(N log N).
///
/// # Errors
/// `out-of-range` for a window whose `to` lies below its `from`.
pub fn hubs(neighbors: &Neighbors, options: &HubsOptions) -> Result<Hubs> {
    let (from, to) = (options.from.unwrap_or(f64::NEG_INFINITY), options.to.unwrap_or(f64::INFINITY));
    if from.is_nan() || to.is_nan() || to < from {
        return Err(Error::new(Code::OutOfRange, "the window ends before it begins").fact("from", from).fact("to", to));
    }
    let chosen = |i: usize| neighbors.cos[i].is_some_and(|c| (from..=to).contains(&c));
    let rows: Vec<(usize, usize)> =
        (0..neighbors.cos.len()).filter(|&i| chosen(i)).filter_map(|i| neighbors.index[i].map(|j| (i, j))).collect();
    let mut in_degree = vec![0usize; neighbors.cos.len()];
    rows.iter().for_each(|&(_, j)| in_degree[j] += 1);
    let count = rows.len();
    let distinct = in_degree.iter().filter(|&&k| k > 0).count();

    let component = neighbors.components(chosen);
    let mut touched: Vec<usize> = rows.iter().map(|&(i, _)| component[i]).collect();
    touched.sort_unstable();
    touched.dedup();

    let mut result = Hubs {
        count,
        distinct,
        top_index: None,
        top_share: None,
        effective_number: None,
        simpson_number: None,
        gini: None,
        robin_hood: None,
        skewness: None,
        antihub_rate: None,
        reciprocity: None,
        components: touched.len(),
        in_degree,
        verdict: Verdict::NoSharing,
        p_value: None,
    };
    if count == 0 {
        return Ok(result);
    }
    let total = count as f64;
    let top = (0..result.in_degree.len()).rev().max_by_key(|&j| result.in_degree[j]).unwrap_or(0);
    let top_degree = result.in_degree[top];
    let top_share = top_degree as f64 / total;
    let shares = result.in_degree.iter().filter(|&&k| k > 0).map(|&k| k as f64 / total);
    let simpson = 1.0 / shares.clone().map(|p| p * p).sum::<f64>();
    let reciprocity = rows.iter().filter(|&&(i, _)| neighbors.is_mutual(i)).count() as f64 / total;
    let spread = Spread::of(&rows, &result.in_degree);
    result.top_index = Some(top);
    result.top_share = Some(top_share);
    result.effective_number = Some((-shares.map(|p| p * p.ln()).sum::<f64>()).exp());
    result.simpson_number = Some(simpson);
    result.gini = Some(spread.gini);
    result.robin_hood = Some(spread.robin_hood);
    result.skewness = Some(spread.skewness);
    result.antihub_rate = Some(spread.antihub_rate);
    result.reciprocity = Some(reciprocity);
    let valid = neighbors.n as f64;
    result.p_value = Some(-(valid * (-poisson_tail(top_degree, total / valid)).ln_1p()).exp_m1());
    result.verdict = match () {
        _ if count < 2 => Verdict::NoSharing,
        _ if top_share >= 0.9 => Verdict::OneNeighbor,
        _ if simpson <= 0.05 * total => Verdict::FewHubs,
        _ if reciprocity >= 0.9 => Verdict::Pairs,
        _ => Verdict::NoSharing,
    };
    Ok(result)
}

/// How unequal the in-degrees are of the rows considered and their neighbors.
struct Spread {
    gini: f64,
    robin_hood: f64,
    skewness: f64,
    antihub_rate: f64,
}

impl Spread {
    /// Of the pairs of a row and its neighbor; there must be one.
    fn of(rows: &[(usize, usize)], in_degree: &[usize]) -> Self {
        let mut takes_part: Vec<bool> = in_degree.iter().map(|&k| k > 0).collect();
        rows.iter().for_each(|&(i, _)| takes_part[i] = true);
        let mut k: Vec<f64> =
            in_degree.iter().zip(takes_part).filter(|(_, part)| *part).map(|(&k, _)| k as f64).collect();
        k.sort_by(f64::total_cmp);
        let n = k.len() as f64;
        let sum: f64 = k.iter().sum();
        let mean = sum / n;
        let moment = |p: i32| k.iter().map(|k| (k - mean).powi(p)).sum::<f64>() / n;
        // Over sorted k the double sum is 2 sum of (2 r - n - 1) k_r, r = 1..n.
        let ranked: f64 = k.iter().enumerate().map(|(r, k)| (2.0 * r as f64 + 1.0 - n) * k).sum();
        let sd = moment(2).sqrt();
        Spread {
            gini: ranked / (n * sum),
            robin_hood: 0.5 * k.iter().map(|k| (k - mean).abs()).sum::<f64>() / sum,
            skewness: if sd > 0.0 { moment(3) / sd.powi(3) } else { 0.0 },
            antihub_rate: k.iter().filter(|&&k| k == 0.0).count() as f64 / n,
        }
    }
}

/// P(Poisson(mean) >= k) for a mean of at most 1, to full relative precision: the terms from k on.
fn poisson_tail(k: usize, mean: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let mut term = (-mean).exp();
    (1..=k).for_each(|m| term = term * mean / m as f64);
    let mut sum = 0.0;
    for m in k + 1..k + 60 {
        sum += term;
        term = term * mean / m as f64;
    }
    sum
}
