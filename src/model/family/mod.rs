//! The families of target models, one file each: what its `config.json` says, and where its tensors belong.

mod gpt2;
mod gpt_neox;
pub mod llama;
pub mod transformer_lens;

use super::config::Config;
use super::load::json::Json;
use super::load::tensors::Tensors;
use super::weights::{Linear, Norm, Weights};
use crate::error::{Code, Error, Result};

/// A family of Hugging Face folders.
pub struct Member {
    /// Its `model_type`.
    pub model_type: &'static str,
    /// The configuration of a `config.json`.
    pub config: fn(&Json<'_>) -> Result<Config>,
    /// The weights out of its tensors.
    pub read: fn(&Config, &mut Tensors) -> Result<Weights>,
}

/// Every family of Hugging Face folders.
pub const ALL: [Member; 3] = [
    Member { model_type: "gpt2", config: gpt2::config, read: gpt2::read },
    Member { model_type: "gpt_neox", config: gpt_neox::config, read: gpt_neox::read },
    Member { model_type: "llama", config: llama::config, read: |c, t| llama::read(c, t, &llama::HUGGING_FACE) },
];

/// The family of a `config.json`.
///
/// # Errors
/// `unsupported` when it is none of [`ALL`].
pub fn find(json: &Json<'_>) -> Result<&'static Member> {
    static MEMBERS: [Member; 3] = ALL;
    let given = json.text("model_type").unwrap_or("none");
    MEMBERS.iter().find(|member| member.model_type == given).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|member| member.model_type).collect();
        Error::new(Code::Unsupported, format!("no target model of the type `{given}`"))
            .fact("known", format!("{}, TransformerLens weights, llama .gguf", known.join(", ")))
    })
}

/// Weight and bias of a normalization under `name.weight` and `name.bias`.
fn norm(tensors: &mut Tensors, name: &str, d: usize, bias: bool) -> Result<Norm> {
    let weight = tensors.take(&format!("{name}.weight"), &[d])?;
    Ok(Norm { weight, bias: if bias { Some(tensors.take(&format!("{name}.bias"), &[d])?) } else { None } })
}

/// A linear layer of torch under `name.weight` and, where it has one, `name.bias`.
fn linear(tensors: &mut Tensors, name: &str, d_in: usize, d_out: usize) -> Result<Linear> {
    let w = tensors.take_turned(&format!("{name}.weight"), d_out, d_in)?;
    Ok(Linear { w, b: tensors.take_if(&format!("{name}.bias"), &[d_out])? })
}
