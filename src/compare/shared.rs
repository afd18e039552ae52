//! Which latents two SAEs share (Paulo and Belrose 2025, arXiv 2501.16615).

use serde::{Deserialize, Serialize};

use super::matching::{Match, match_rows, mean, same_width};
use crate::error::{Code, Error, Result};
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};
use crate::progress::Monitor;

/// Options of [`shared_latents`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharedOptions {
    /// Both cosines of a shared latent are at least this.
    pub threshold: f64,
}

impl Default for SharedOptions {
    fn default() -> Self {
        SharedOptions { threshold: 0.7 }
    }
}

/// Both weight matrices of an SAE.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// `[d_sae, d_in]`.
    pub decoder: Rows<'a>,
    /// `[d_sae, d_in]`.
    pub encoder: Rows<'a>,
}

/// What two SAEs share. A latent's cosine is the mean of those of its decoder pair and its encoder pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SharedLatents {
    /// Shared latents, as share of all that could be: of the valid latents of the smaller SAE.
    pub share: Option<f64>,
    /// Mean cosine of the shared latents.
    pub mean_cos: Option<f64>,
    /// How many are shared.
    pub count: usize,
    /// Share of latents that both matchings give the same partner, whatever the cosines.
    pub share_same_partner: Option<f64>,
    /// Mean cosine where the matchings agree.
    pub mean_cos_same_partner: Option<f64>,
    /// Mean cosine where they do not.
    pub mean_cos_other_partner: Option<f64>,
    /// Mean cosine of the decoder matching.
    pub decoder_mean: Option<f64>,
    /// Mean cosine of the encoder matching.
    pub encoder_mean: Option<f64>,
    /// Latents of the two whose decoder or encoder row is zero or not finite.
    pub invalid: super::Sides,
    /// The shared latents, by the latent of the first.
    pub pairs: Vec<Match>,
}

/// Matches the latents of two SAEs one to one by decoder and, apart from that, by encoder. A latent is shared when both matchings give it
/// the same partner and both cosines are at least the threshold. Cosines are signed.
///
/// Two matchings, see [`super::matching`] for the cost.
///
/// # Errors
/// `out-of-range` for a threshold that is no cosine; those of [`super::matching`].
pub fn shared_latents(s: Weights, t: Weights, options: &SharedOptions, monitor: &dyn Monitor) -> Result<SharedLatents> {
    let threshold = options.threshold;
    if !(-1.0..=1.0).contains(&threshold) {
        return Err(Error::new(Code::OutOfRange, "the threshold is no cosine")
            .fact("expected", "-1 to 1")
            .fact("given", threshold));
    }
    let (s_valid, t_valid) = (valid(s)?, valid(t)?);
    let by = |a: Rows, b: Rows| {
        same_width(a, b)?;
        match_rows(&UnitRows::new(a, Some(&s_valid)), &UnitRows::new(b, Some(&t_valid)), Sign::Signed, monitor)
    };
    let (decoder, encoder) = (by(s.decoder, t.decoder)?, by(s.encoder, t.encoder)?);

    let mut partner = vec![None; s.decoder.n];
    encoder.iter().for_each(|pair| partner[pair.a] = Some(*pair));
    let (mut same, mut other, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for found in &decoder {
        // Of a larger `s`, the encoder matching may have left this latent out.
        let Some(again) = partner[found.a] else {
            other.push(found.similarity);
            continue;
        };
        let both = (found.similarity + again.similarity) / 2.0;
        if again.b != found.b {
            other.push(both);
            continue;
        }
        same.push(both);
        if found.similarity >= threshold && again.similarity >= threshold {
            pairs.push(Match { similarity: both, ..*found });
        }
    }
    let share = |count: usize| (!decoder.is_empty()).then(|| count as f64 / decoder.len() as f64);
    let invalid = |flags: &[bool]| flags.iter().filter(|valid| !**valid).count();
    Ok(SharedLatents {
        share: share(pairs.len()),
        mean_cos: mean(pairs.iter().map(|pair| pair.similarity)),
        count: pairs.len(),
        share_same_partner: share(same.len()),
        mean_cos_same_partner: mean(same.iter().copied()),
        mean_cos_other_partner: mean(other.iter().copied()),
        decoder_mean: mean(decoder.iter().map(|pair| pair.similarity)),
        encoder_mean: mean(encoder.iter().map(|pair| pair.similarity)),
        invalid: super::Sides { a: invalid(&s_valid), b: invalid(&t_valid) },
        pairs,
    })
}

/// Which latents have a direction in both matrices.
fn valid(weights: Weights) -> Result<Vec<bool>> {
    let (decoder, encoder) = (weights.decoder, weights.encoder);
    if decoder.n != encoder.n {
        return Err(Error::new(Code::ShapeMismatch, "decoder and encoder differ in their number of latents")
            .fact("decoder", decoder.n)
            .fact("encoder", encoder.n));
    }
    let mut valid = vec![true; decoder.n];
    for rows in [decoder, encoder] {
        UnitRows::new(rows, None).invalid.into_iter().for_each(|i| valid[i] = false);
    }
    Ok(valid)
}
