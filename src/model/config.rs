//! The shape of a target model, and what it was trained on.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// The activation function of the MLP, by TransformerLens names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActFn {
    /// GELU with the exact error function.
    #[default]
    Gelu,
    /// GELU by tanh, as in GPT-2.
    GeluNew,
    /// max(x, 0)
    Relu,
    /// x sigmoid(x)
    Silu,
    /// x softmax(x), then LayerNorm (Elhage et al. 2022).
    SoluLn,
}

/// The configuration of a decoder-only transformer: pre-LayerNorm, learned positions, tied unembedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Layers.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention heads; each is `d_model / n_heads` wide.
    pub n_heads: usize,
    /// Width of the MLP.
    pub d_mlp: usize,
    /// The MLP's activation function.
    pub act_fn: ActFn,
    /// Positions a context, the first being the document marker.
    pub n_ctx: usize,
    /// Tokens.
    pub d_vocab: usize,
    /// The corpus it was trained on, by name.
    pub trained_on: String,
    /// Tokens seen in training.
    pub tokens: u64,
    /// Seed of the training.
    pub seed: u64,
    /// Cross-entropy on held-out text, nats a token, where it was measured.
    pub ce_loss: Option<f64>,
}

impl Config {
    /// # Errors
    /// `out-of-range` when the sizes do not make a transformer.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("n_layers", self.n_layers, 1, 256),
            ("d_model", self.d_model, 1, 65_536),
            ("n_heads", self.n_heads, 1, 1024),
            ("d_mlp", self.d_mlp, 1, 1 << 20),
            ("n_ctx", self.n_ctx, 2, 1 << 20),
            ("d_vocab", self.d_vocab, 2, 1 << 20),
        ];
        for (name, value, low, high) in sizes {
            if !(low..=high).contains(&value) {
                return Err(Error::new(Code::OutOfRange, format!("`{name}` makes no transformer"))
                    .fact("expected", format!("{low} to {high}"))
                    .fact("given", value));
            }
        }
        if !self.d_model.is_multiple_of(self.n_heads) {
            return Err(Error::new(Code::OutOfRange, "`n_heads` must divide `d_model`")
                .fact("d_model", self.d_model)
                .fact("n_heads", self.n_heads));
        }
        Ok(())
    }
}
