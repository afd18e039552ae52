//! What tells the families of decoder-only transformers apart: everything that one forward pass must know beyond the sizes.

use serde::{Deserialize, Serialize};

use crate::corpus::Marks;

/// Whose weights these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Trained by `model::train`.
    #[default]
    Saerun,
    /// TransformerLens' own models: gelu-1l and its kin.
    TransformerLens,
    /// GPT-2.
    Gpt2,
    /// GPT-NeoX and Pythia.
    GptNeox,
    /// Llama, and what shares its architecture.
    Llama,
}

impl Family {
    /// Its name in scripts and files.
    pub fn name(self) -> &'static str {
        match self {
            Family::Saerun => "saerun",
            Family::TransformerLens => "transformer_lens",
            Family::Gpt2 => "gpt2",
            Family::GptNeox => "gpt_neox",
            Family::Llama => "llama",
        }
    }
}

/// How rows are normalized before each sublayer and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// LayerNorm.
    #[default]
    Layer,
    /// RMSNorm: no mean is taken off and no bias added.
    Rms,
}

/// How a position is told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// A learned row is added to the token's.
    #[default]
    Learned,
    /// Queries and keys are turned; see [`crate::ops::rotary`].
    Rotary {
        /// How many values of a head are turned, from its first.
        width: usize,
        /// The base of the frequencies.
        base: f64,
        /// What each pair's frequency is divided by; nothing for 1.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        divisors: Vec<f64>,
    },
}

/// What follows attention in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MlpKind {
    /// `act(x W_in + b_in) W_out + b_out`
    #[default]
    Plain,
    /// `(act(x W_gate) * (x W_in + b_in)) W_out + b_out`
    Gated,
    /// Nothing: an attention-only model.
    None,
}

/// The part of a configuration in which families differ. The default is what `model::train` makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Architecture {
    /// Whose weights these are.
    pub family: Family,
    /// The normalization.
    pub normalization: Normalization,
    /// What it adds to the variance or the mean square.
    pub norm_epsilon: f32,
    /// The positions.
    pub positions: Positions,
    /// Width of a head; `d_model / n_heads` where it is not given.
    pub d_head: Option<usize>,
    /// Heads of keys and values, each shared by `n_heads / n_kv_heads` heads of queries; `n_heads` where it is not given.
    pub n_kv_heads: Option<usize>,
    /// The MLP.
    pub mlp: MlpKind,
    /// Whether attention and MLP both read the residual stream as it was before the layer.
    pub parallel: bool,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
    /// The longest context that the weights were made for, where `n_ctx` is shorter.
    pub n_ctx_max: Option<usize>,
    /// Whether the mean over the residual stream was taken off everything that writes to it.
    pub center_writing_weights: bool,
    /// The version that was asked for by name.
    pub revision: Option<String>,
    /// The tokens that begin contexts and divide documents; by default [`crate::corpus::DOCUMENT_MARKER`] does both.
    pub marks: Option<Marks>,
}

impl Default for Architecture {
    fn default() -> Self {
        Architecture {
            family: Family::Saerun,
            normalization: Normalization::Layer,
            norm_epsilon: crate::ops::layer_norm::EPSILON,
            positions: Positions::Learned,
            d_head: None,
            n_kv_heads: None,
            mlp: MlpKind::Plain,
            parallel: false,
            tied: true,
            n_ctx_max: None,
            center_writing_weights: false,
            revision: None,
            marks: None,
        }
    }
}

impl Architecture {
    /// Whether it is that of `model::train`, which files and digests leave out.
    pub fn is_own(&self) -> bool {
        *self == Architecture::default()
    }
}
