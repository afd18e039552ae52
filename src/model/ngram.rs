//! What a language model must beat: unigram and bigram models fitted to the same tokens.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::{memory, progress};

/// Cross-entropies in nats a token.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Baselines {
    /// Add-one smoothed token frequencies.
    pub unigram: f64,
    /// Bigram interpolated with the unigram by Witten and Bell (1991): the weight of the bigram after token `a` is
    /// `c(a) / (c(a) + distinct successors of a)`.
    pub bigram: f64,
    /// Bigram interpolated with the unigram by one weight (Jelinek and Mercer 1980): the best of 0.05, 0.1 ... 0.95 for the text that
    /// is scored, which favors the baseline.
    pub bigram_linear: f64,
}

/// Tokens between two looks for a stop.
const LOOK: usize = 1 << 16;

/// Bytes of a pair of tokens in the map.
const A_PAIR: u64 = 48;

/// Fits both models to `train` and scores each token of `test` after its first.
///
/// # Errors
/// `too-large` when the pairs do not fit into memory; `interrupted`.
pub fn baselines(train: &[u32], test: &[u32], d_vocab: usize) -> Result<Baselines> {
    let most = (train.len() as u64).min((d_vocab as u64).saturating_mul(d_vocab as u64));
    memory::check("the pairs of tokens", A_PAIR * most, "fit them to less text")?;
    let mut count = vec![1.0f64; d_vocab];
    train.iter().for_each(|&t| count[t as usize] += 1.0);
    let total: f64 = count.iter().sum();
    let mut pairs: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for (i, w) in train.windows(2).enumerate() {
        look(i)?;
        *pairs.entry((w[0], w[1])).or_default() += 1.0;
    }
    let mut after = vec![(0.0, 0.0); d_vocab];
    for ((first, _), n) in &pairs {
        after[*first as usize].0 += n;
        after[*first as usize].1 += 1.0;
    }
    let (mut unigram, mut bigram, mut linear) = (0.0, 0.0, [0.0; 19]);
    for (i, w) in test.windows(2).enumerate() {
        look(i)?;
        let p1 = count[w[1] as usize] / total;
        let (seen, distinct) = after[w[0] as usize];
        let pair = pairs.get(&(w[0], w[1])).copied().unwrap_or(0.0);
        let p2 = if seen > 0.0 { (pair + distinct * p1) / (seen + distinct) } else { p1 };
        unigram -= p1.ln();
        bigram -= p2.ln();
        let conditional = if seen > 0.0 { pair / seen } else { p1 };
        for (i, sum) in linear.iter_mut().enumerate() {
            let weight = 0.05 * (i + 1) as f64;
            *sum -= (weight * conditional + (1.0 - weight) * p1).ln();
        }
    }
    let n = test.len().saturating_sub(1).max(1) as f64;
    let best = linear.into_iter().fold(f64::INFINITY, f64::min);
    Ok(Baselines { unigram: unigram / n, bigram: bigram / n, bigram_linear: best / n })
}

fn look(i: usize) -> Result<()> {
    if i.is_multiple_of(LOOK) { progress::check_stop() } else { Ok(()) }
}
