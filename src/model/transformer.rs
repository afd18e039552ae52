//! The transformer that `model::train` trains: parameters in a fixed order, the forward pass with hooks by TransformerLens names.

use candle_core::{DType, Device, Tensor};

use super::architecture::MlpKind;
use super::autograd::{Attention, Gelu, LayerNorm, Linear};
use super::config::{ActFn, Config};
use crate::error::{Code, Error, Result};
use crate::ops::attention::Heads;
use crate::rng::Rng;

/// One layer. Weights multiply on the right: `x w + b`.
#[derive(Debug, Clone)]
pub struct Block<T> {
    /// LayerNorm before attention `[d_model]`.
    pub ln1_w: T,
    /// Its bias `[d_model]`.
    pub ln1_b: T,
    /// Queries, keys and values side by side `[d_model, 3 d_model]`.
    pub w_qkv: T,
    /// Their biases `[3 d_model]`.
    pub b_qkv: T,
    /// Attention output `[d_model, d_model]`.
    pub w_o: T,
    /// Its bias `[d_model]`.
    pub b_o: T,
    /// LayerNorm before the MLP `[d_model]`.
    pub ln2_w: T,
    /// Its bias `[d_model]`.
    pub ln2_b: T,
    /// MLP input `[d_model, d_mlp]`.
    pub w_in: T,
    /// Its bias `[d_mlp]`.
    pub b_in: T,
    /// MLP output `[d_mlp, d_model]`.
    pub w_out: T,
    /// Its bias `[d_model]`.
    pub b_out: T,
}

/// All parameters. The unembedding is `w_eᵀ`.
#[derive(Debug, Clone)]
pub struct Parameters<T> {
    /// Token embedding `[d_vocab, d_model]`.
    pub w_e: T,
    /// Position embedding `[n_ctx, d_model]`.
    pub w_pos: T,
    /// The layers.
    pub blocks: Vec<Block<T>>,
    /// Final LayerNorm `[d_model]`.
    pub ln_final_w: T,
    /// Its bias `[d_model]`.
    pub ln_final_b: T,
}

/// What a parameter is, which decides its start and whether weight decay acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Token and position embeddings.
    Embedding,
    /// A matrix that reads from the residual stream.
    Read,
    /// A matrix that writes to it.
    Write,
    /// A LayerNorm's weight, starting at 1.
    Scale,
    /// A bias, starting at 0.
    Bias,
}

impl<T> Parameters<T> {
    /// Makes each parameter from its shape, role and position in the one fixed order.
    pub fn build(config: &Config, mut make: impl FnMut(&[usize], Role) -> Result<T>) -> Result<Self> {
        let (d, m) = (config.d_model, config.d_mlp);
        let w_e = make(&[config.d_vocab, d], Role::Embedding)?;
        let w_pos = make(&[config.n_ctx, d], Role::Embedding)?;
        let mut blocks = Vec::with_capacity(config.n_layers);
        for _ in 0..config.n_layers {
            blocks.push(Block {
                ln1_w: make(&[d], Role::Scale)?,
                ln1_b: make(&[d], Role::Bias)?,
                w_qkv: make(&[d, 3 * d], Role::Read)?,
                b_qkv: make(&[3 * d], Role::Bias)?,
                w_o: make(&[d, d], Role::Write)?,
                b_o: make(&[d], Role::Bias)?,
                ln2_w: make(&[d], Role::Scale)?,
                ln2_b: make(&[d], Role::Bias)?,
                w_in: make(&[d, m], Role::Read)?,
                b_in: make(&[m], Role::Bias)?,
                w_out: make(&[m, d], Role::Write)?,
                b_out: make(&[d], Role::Bias)?,
            });
        }
        Ok(Parameters { w_e, w_pos, blocks, ln_final_w: make(&[d], Role::Scale)?, ln_final_b: make(&[d], Role::Bias)? })
    }

    /// The parameters in the order of [`Parameters::build`].
    pub fn list(&self) -> Vec<&T> {
        let mut all = vec![&self.w_e, &self.w_pos];
        for b in &self.blocks {
            all.extend([&b.ln1_w, &b.ln1_b, &b.w_qkv, &b.b_qkv, &b.w_o, &b.b_o]);
            all.extend([&b.ln2_w, &b.ln2_b, &b.w_in, &b.b_in, &b.w_out, &b.b_out]);
        }
        all.extend([&self.ln_final_w, &self.ln_final_b]);
        all
    }
}

/// A parameter as plain values.
pub struct Initial {
    /// The values, row after row.
    pub values: Vec<f32>,
    /// The shape they fill.
    pub shape: Vec<usize>,
    /// What the parameter is.
    pub role: Role,
}

/// Fresh parameters in the fixed order: normals of sd 0.02, those that write to the residual stream divided by
/// sqrt(2 n_layers) (GPT-2).
pub fn initial(config: &Config, seed: u64) -> Result<Vec<Initial>> {
    let mut rng = Rng::new(seed, "model init");
    let mut all = Vec::new();
    Parameters::build(config, |shape, role| {
        let mut values = vec![0.0; shape.iter().product()];
        match role {
            Role::Embedding | Role::Read => rng.fill_normal(&mut values, 0.02),
            Role::Write => rng.fill_normal(&mut values, 0.02 / (2.0 * config.n_layers as f64).sqrt()),
            Role::Scale => values.fill(1.0),
            Role::Bias => {}
        }
        all.push(Initial { values, shape: shape.to_vec(), role });
        Ok(())
    })?;
    Ok(all)
}

/// What to do after a hook was shown.
pub enum Then {
    /// Go on.
    Go,
    /// Go on with this tensor in its place.
    Replace(Tensor),
    /// Stop here; the forward pass returns `None`.
    Stop,
}

/// The names of all hooks, in the order in which the forward pass shows them.
pub fn hooks(config: &Config) -> Vec<String> {
    let names =
        ["hook_resid_pre", "hook_attn_out", "hook_resid_mid", "mlp.hook_post", "hook_mlp_out", "hook_resid_post"];
    // As in TransformerLens: nothing lies between attention and MLP where they are parallel, or where there is no MLP.
    let (mlp, parallel) = (config.architecture.mlp != MlpKind::None, config.architecture.parallel);
    let there = |name: &&str| match *name {
        "hook_resid_mid" => mlp && !parallel,
        "mlp.hook_post" | "hook_mlp_out" => mlp,
        _ => true,
    };
    let layers = (0..config.n_layers).map(|layer| (layer, names.iter().filter(|name| there(name))));
    layers.flat_map(|(layer, names)| names.map(move |name| format!("blocks.{layer}.{name}"))).collect()
}

/// The width of a hook's rows.
///
/// # Errors
/// `unknown-name` with the nearest hook.
pub fn hook_width(config: &Config, hook: &str) -> Result<usize> {
    let known = hooks(config);
    if !known.iter().any(|k| k == hook) {
        return Err(Error::unknown(
            Code::UnknownName,
            "hook",
            hook,
            &known.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
    }
    Ok(if hook.ends_with("mlp.hook_post") { config.d_mlp } else { config.d_model })
}

/// The forward pass of our own architecture, whole contexts (`ids.len()` a multiple of `n_ctx`) up to the final LayerNorm: `[n, d_model]`, or
/// `None` when `visit` stopped it. `visit` sees each hook's rows `[n, width]` by name.
pub fn forward(
    config: &Config,
    parameters: &Parameters<Tensor>,
    ids: &[u32],
    visit: &mut dyn FnMut(&str, &Tensor) -> Result<Then>,
) -> Result<Option<Tensor>> {
    let contexts = ids.len() / config.n_ctx;
    let tokens = Tensor::from_slice(ids, ids.len(), &Device::Cpu)?;
    let embedded = parameters.w_e.index_select(&tokens, 0)?;
    let positions = parameters.w_pos.unsqueeze(0)?;
    let embedded = embedded.reshape((contexts, config.n_ctx, config.d_model))?.broadcast_add(&positions)?;
    let mut resid = embedded.reshape((ids.len(), config.d_model))?;
    let heads = Heads::even(config.n_ctx, config.n_heads, config.d_model);

    macro_rules! show {
        ($layer:expr, $name:expr, $tensor:expr) => {{
            let tensor = $tensor;
            match visit(&format!("blocks.{}.{}", $layer, $name), &tensor)? {
                Then::Go => tensor,
                Then::Replace(other) => other,
                Then::Stop => return Ok(None),
            }
        }};
    }
    for (layer, b) in parameters.blocks.iter().enumerate() {
        resid = show!(layer, "hook_resid_pre", resid);
        let normed = resid.apply_op3(&b.ln1_w, &b.ln1_b, LayerNorm)?;
        let mixed = normed.apply_op3(&b.w_qkv, &b.b_qkv, Linear)?.apply_op1(Attention(heads))?;
        let attn_out = show!(layer, "hook_attn_out", mixed.apply_op3(&b.w_o, &b.b_o, Linear)?);
        resid = show!(layer, "hook_resid_mid", (resid + attn_out)?);
        let normed = resid.apply_op3(&b.ln2_w, &b.ln2_b, LayerNorm)?;
        let post = activate(&normed.apply_op3(&b.w_in, &b.b_in, Linear)?, config.act_fn)?;
        let post = show!(layer, "mlp.hook_post", post);
        let mlp_out = show!(layer, "hook_mlp_out", post.apply_op3(&b.w_out, &b.b_out, Linear)?);
        resid = show!(layer, "hook_resid_post", (resid + mlp_out)?);
    }
    Ok(Some(resid.apply_op3(&parameters.ln_final_w, &parameters.ln_final_b, LayerNorm)?))
}

/// The activation function of an MLP, elementwise or, for SoLU, by rows.
pub(super) fn activate(x: &Tensor, act_fn: ActFn) -> Result<Tensor> {
    Ok(match act_fn {
        ActFn::Gelu => x.apply_op1(Gelu)?,
        ActFn::GeluNew => x.gelu()?,
        ActFn::Relu => x.relu()?,
        ActFn::Silu => x.silu()?,
        ActFn::SoluLn => {
            let solu = (x * candle_nn::ops::softmax(x, 1)?)?;
            let width = x.dim(1)?;
            let one = Tensor::ones(width, DType::F32, &Device::Cpu)?;
            solu.apply_op3(&one, &one.zeros_like()?, LayerNorm)?
        }
    })
}
