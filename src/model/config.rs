//! The shape of a target model, and what it was trained on.

use serde::{Deserialize, Serialize};

use super::architecture::{Architecture, MlpKind, Positions};
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

/// The configuration of a decoder-only transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Layers.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the MLP; 0 where there is none.
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
    /// In what it differs from the transformer of `model::train`.
    #[serde(default, skip_serializing_if = "Architecture::is_own")]
    pub architecture: Architecture,
}

impl Config {
    /// Width of a head.
    pub fn d_head(&self) -> usize {
        self.architecture.d_head.unwrap_or(self.d_model / self.n_heads.max(1))
    }

    /// Heads of keys and values.
    pub fn n_kv_heads(&self) -> usize {
        self.architecture.n_kv_heads.unwrap_or(self.n_heads)
    }

    /// Width of queries, keys and values side by side.
    pub fn d_qkv(&self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads()) * self.d_head()
    }

    /// # Errors
    /// `out-of-range` when the sizes do not make a transformer.
    pub fn check(&self) -> Result<()> {
        let a = &self.architecture;
        let mlp = usize::from(a.mlp != MlpKind::None);
        let sizes = [
            ("n_layers", self.n_layers, 1, 256),
            ("d_model", self.d_model, 1, 65_536),
            ("n_heads", self.n_heads, 1, 1024),
            ("d_mlp", self.d_mlp, mlp, mlp << 20),
            ("n_ctx", self.n_ctx, 2, 1 << 20),
            ("d_vocab", self.d_vocab, 2, 1 << 20),
            ("n_kv_heads", self.n_kv_heads(), 1, self.n_heads),
            ("d_head", self.d_head(), 1, 4096),
        ];
        for (name, value, low, high) in sizes {
            if !(low..=high).contains(&value) {
                return Err(Error::new(Code::OutOfRange, format!("`{name}` makes no transformer"))
                    .fact("expected", format!("{low} to {high}"))
                    .fact("given", value));
            }
        }
        let divides = |part: &str, of: &str, given: (usize, usize)| {
            Err(Error::new(Code::OutOfRange, format!("`{part}` must divide `{of}`"))
                .fact(of, given.1)
                .fact(part, given.0))
        };
        if a.d_head.is_none() && !self.d_model.is_multiple_of(self.n_heads) {
            return divides("n_heads", "d_model", (self.n_heads, self.d_model));
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads()) {
            return divides("n_kv_heads", "n_heads", (self.n_kv_heads(), self.n_heads));
        }
        if let Positions::Rotary { width, base, divisors } = &a.positions {
            let turned = (2..=self.d_head()).contains(width) && width.is_multiple_of(2);
            let frequencies = *base > 1.0 && divisors.iter().chain([base]).all(|x| x.is_finite() && *x > 0.0);
            if !turned || !frequencies || !(divisors.is_empty() || divisors.len() == width / 2) {
                return Err(Error::new(Code::OutOfRange, "the rotary positions make no transformer")
                    .fact("d_head", self.d_head())
                    .fact("width", width)
                    .fact("base", base)
                    .fact("divisors", divisors.len()));
            }
        }
        if !(a.norm_epsilon > 0.0 && a.norm_epsilon < 1.0) {
            return Err(Error::new(Code::OutOfRange, "`norm_epsilon` makes no transformer")
                .fact("expected", "between 0 and 1")
                .fact("given", a.norm_epsilon));
        }
        Ok(())
    }
}
