//! The family of architectures: an activation rule from pre-activations to sparse codes, and its gradient on the active set.
//!
//! What each computes is in [`Rule`] (training) and [`Activation`] (afterwards); the gradients are in `ops`.

use super::activation::Activation;
use super::engine::Rule;
use super::options::TrainOptions;
use super::weights::Weights;
use crate::error::{Code, Error, Result};

/// An architecture of SAE. A new one adds a variant and a row in each match here, a [`Rule`] and, where it needs one, a kernel in `ops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `relu(pre)`, kept sparse by L1 (Bricken et al. 2023; April 2024 update of the same group for free decoder norms).
    Relu,
    /// The `k` largest of each token (Makhzani and Frey 2013; Gao et al. 2024, arXiv 2406.04093).
    TopK,
    /// The `k * tokens` largest of each batch; afterwards a threshold (Bussmann et al. 2024, arXiv 2412.06410).
    BatchTopK,
    /// A learned threshold for each latent, kept sparse by L0 (Rajamanoharan et al. 2024, arXiv 2407.14435).
    JumpRelu,
    /// Gate and magnitude, kept sparse by L1 on the gate (Rajamanoharan et al. 2024, arXiv 2404.16014).
    Gated,
    /// Batch-wise top-k with nested dictionaries (Bussmann et al. 2025, arXiv 2503.17547).
    MatryoshkaBatchTopK,
}

impl Architecture {
    /// Every architecture there is.
    pub const ALL: [Architecture; 6] = [
        Architecture::Relu,
        Architecture::TopK,
        Architecture::BatchTopK,
        Architecture::JumpRelu,
        Architecture::Gated,
        Architecture::MatryoshkaBatchTopK,
    ];

    /// The name in scripts and saved files.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Relu => "relu",
            Architecture::TopK => "topk",
            Architecture::BatchTopK => "batch_topk",
            Architecture::JumpRelu => "jumprelu",
            Architecture::Gated => "gated",
            Architecture::MatryoshkaBatchTopK => "matryoshka_batch_topk",
        }
    }

    /// Whether it fixes the number of active latents, by the option `k`, rather than steer it by a sparsity coefficient.
    pub fn takes_k(self) -> bool {
        matches!(self, Architecture::TopK | Architecture::BatchTopK | Architecture::MatryoshkaBatchTopK)
    }

    /// Whether it keeps the largest of a batch, and has one threshold for all latents afterwards.
    pub fn batch_wise(self) -> bool {
        matches!(self, Architecture::BatchTopK | Architecture::MatryoshkaBatchTopK)
    }

    /// The architecture of this name.
    ///
    /// # Errors
    /// `unknown-name`, with the nearest name.
    pub fn named(name: &str) -> Result<Architecture> {
        let known = Architecture::ALL.map(Architecture::name);
        let found = Architecture::ALL.into_iter().find(|architecture| architecture.name() == name);
        found.ok_or_else(|| Error::unknown(Code::UnknownName, "architecture", name, &known))
    }

    /// What a training with these options, already validated, does; `bandwidth` is the jumprelu's where the options leave it open.
    pub fn rule(self, options: &TrainOptions, bandwidth: f64) -> Rule {
        let k = options.k.unwrap_or(0);
        match self {
            Architecture::Relu => Rule::Relu,
            Architecture::TopK => Rule::TopK { k },
            Architecture::BatchTopK => Rule::BatchTopK { k },
            Architecture::JumpRelu => Rule::JumpRelu { bandwidth: options.bandwidth.unwrap_or(bandwidth) as f32 },
            Architecture::Gated => Rule::Gated,
            Architecture::MatryoshkaBatchTopK => Rule::Matryoshka { k, widths: options.widths() },
        }
    }

    /// What the finished SAE computes. `scale` is what activations were multiplied by in training; `cut` the threshold of batch-wise
    /// top-k, or what jumprelu's thresholds are multiplied by.
    pub fn activation(self, options: &TrainOptions, weights: &Weights, scale: f32, cut: f32) -> Activation {
        let [first, second] = [&weights.extra[0].value, &weights.extra[1].value];
        match self {
            Architecture::Relu => Activation::Relu,
            Architecture::TopK => Activation::TopK { k: options.k.unwrap_or(0) },
            Architecture::BatchTopK | Architecture::MatryoshkaBatchTopK => {
                Activation::Threshold(vec![cut / scale; weights.d_sae()])
            }
            Architecture::JumpRelu => Activation::Threshold(first.iter().map(|log| cut * log.exp() / scale).collect()),
            Architecture::Gated => {
                Activation::Gated { r_mag: first.clone(), b_mag: second.iter().map(|b| b / scale).collect() }
            }
        }
    }
}
