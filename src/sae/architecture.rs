//! The family of architectures: an activation rule from pre-activations to sparse codes, and its gradient on the active set.

use crate::error::{Code, Error, Result};

/// An architecture of SAE. A new one adds its file, a variant and a row in each match here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `f = relu(w_enc (x - b_dec) + b_enc)`, kept sparse by L1 (Bricken et al. 2023).
    Relu,
}

/// What the script API names beyond [`Architecture::ALL`].
const PLANNED: [&str; 5] = ["topk", "batch_topk", "jumprelu", "gated", "matryoshka_batch_topk"];

impl Architecture {
    /// Every architecture there is.
    pub const ALL: [Architecture; 1] = [Architecture::Relu];

    /// The name in scripts and saved files.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Relu => "relu",
        }
    }

    /// Whether it fixes the number of active latents, by the option `k`.
    pub fn takes_k(self) -> bool {
        match self {
            Architecture::Relu => false,
        }
    }

    /// The architecture of this name.
    ///
    /// # Errors
    /// `unsupported` for one that the script API names and this version lacks, else `unknown-name`.
    pub fn named(name: &str) -> Result<Architecture> {
        let known = Architecture::ALL.map(Architecture::name);
        if let Some(found) = Architecture::ALL.into_iter().find(|architecture| architecture.name() == name) {
            return Ok(found);
        }
        if PLANNED.contains(&name) {
            return Err(Error::new(Code::Unsupported, format!("architecture `{name}` is not available"))
                .fact("available", known.join(", ")));
        }
        Err(Error::unknown(Code::UnknownName, "architecture", name, &known))
    }
}
