//! The whole state of a training as bytes, so that an interrupted one ends in the same bytes as one that was not.

use serde::{Deserialize, Serialize};

use super::HistoryRow;
use super::schedule::Controller;
use super::weights::{Param, Weights};

const MAGIC: &[u8; 24] = b"saerun sae checkpoint 2\n";

/// What a training knows between two steps.
#[derive(Debug, Clone)]
pub struct State {
    /// The weights with their moments.
    pub weights: Weights,
    /// Everything else.
    pub progress: Progress,
}

/// The small part of the state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Share of active pairs in the last step.
    pub density: f64,
    /// For each latent the last step, counted from 1, in which it fired; 0 for none.
    pub last_fired: Vec<u64>,
    /// The L1 controller.
    pub controller: Controller,
    /// Position in the stream of random numbers of the resampling.
    pub resample_position: String,
    /// What activations are multiplied by.
    pub scale: f32,
    /// Total variance of the sample at the start.
    pub variance: f64,
    /// Width of jumprelu's estimator where the options leave it open.
    pub bandwidth: f64,
    /// Running mean of the least activation that batch-wise top-k kept.
    pub least: Option<f32>,
    /// Share of latents whose threshold learned lately (jumprelu), a running mean.
    pub learning: Option<f64>,
    /// The history so far.
    pub history: Vec<HistoryRow>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    key: String,
    d_in: usize,
    d_sae: usize,
    progress: Progress,
}

/// The state as bytes; `key` names the training it belongs to.
pub fn to_bytes(weights: &Weights, progress: &Progress, key: &str) -> Result<Vec<u8>, serde_json::Error> {
    let (d_in, d_sae) = (weights.d_in(), weights.d_sae());
    let header = serde_json::to_vec(&Header { key: key.to_string(), d_in, d_sae, progress: progress.clone() })?;
    let mut bytes = Vec::with_capacity(MAGIC.len() + 8 + header.len() + state_bytes(d_in, d_sae));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    for param in weights.params() {
        for values in [&param.value, &param.first, &param.second] {
            values.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
        }
    }
    Ok(bytes)
}

/// Bytes of the weights and their moments.
fn state_bytes(d_in: usize, d_sae: usize) -> usize {
    4 * 3 * (2 * d_in * d_sae + d_in + 3 * d_sae)
}

/// The state that [`to_bytes`] wrote for this training; `None` when the bytes are anything else, or hold a number that is not finite: no training
/// saves one, and none can go on from it.
pub fn from_bytes(bytes: &[u8], key: &str) -> Option<State> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_at_checked(8)?;
    let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (header, mut rest) = rest.split_at_checked(length)?;
    let Header { key: found, d_in, d_sae, progress } = serde_json::from_slice(header).ok()?;
    if found != key || progress.last_fired.len() != d_sae {
        return None;
    }
    let mut floats = |n: usize| {
        let (head, tail) = rest.split_at_checked(n.checked_mul(4)?)?;
        rest = tail;
        let values: Vec<f32> = head.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        values.iter().all(|x| x.is_finite()).then_some(values)
    };
    let mut param = |n: usize| Some(Param { value: floats(n)?, first: floats(n)?, second: floats(n)? });
    let size = d_in.checked_mul(d_sae)?;
    let weights = Weights {
        w_enc: param(size)?,
        b_enc: param(d_sae)?,
        w_dec: param(size)?,
        b_dec: param(d_in)?,
        extra: [param(d_sae)?, param(d_sae)?],
    };
    rest.is_empty().then_some(State { weights, progress })
}
