//! The forward pass without gradients, on slices: what reads activations and scores text. The readable path is
//! [`super::transformer::forward`]; a test says how closely they agree.
//!
//! A few contexts at a time go through all layers on one thread, so nothing waits between layers. No result depends on how contexts are
//! put together: every kernel here works row by row or context by context.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::autograd::with_values;
use super::config::{ActFn, Config};
use super::transformer::{Block, Parameters, activate};
use crate::error::Result;
use crate::ops::Rows;
use crate::ops::affine::Affine;
use crate::ops::attention::{Heads, attention};
use crate::ops::gelu::gelu;
use crate::ops::layer_norm::layer_norm;

/// Rows that one task takes through the model, rounded down to whole contexts.
const ROWS: usize = 384;

/// A model ready to run: its weights packed for the kernel.
pub(super) struct Inference {
    config: Config,
    w_e: Vec<f32>,
    w_pos: Vec<f32>,
    layers: Vec<Layer>,
    ln_final: Norm,
}

struct Layer {
    ln1: Norm,
    qkv: Affine,
    o: Affine,
    ln2: Norm,
    mlp_in: Affine,
    mlp_out: Affine,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// What a pass does besides running.
#[derive(Clone, Copy, Default)]
pub(super) struct Pass<'a> {
    /// A hook whose rows are taken from here, `[ids, width]`.
    pub replace: Option<(&'a str, &'a [f32])>,
    /// A hook whose rows are kept.
    pub keep: Option<&'a str>,
    /// Whether to stop at the hook that is kept.
    pub stop: bool,
}

/// What a pass leaves.
pub(super) struct Passed {
    /// The rows at the hook that was to be kept, `[ids, width]`.
    pub kept: Vec<f32>,
    /// The rows after the final LayerNorm, `[ids, d_model]`; none when the pass stopped before.
    pub hidden: Vec<f32>,
}

impl Inference {
    pub fn new(config: &Config, parameters: &Parameters<Tensor>) -> Result<Inference> {
        Ok(Inference {
            config: config.clone(),
            w_e: values(&parameters.w_e)?,
            w_pos: values(&parameters.w_pos)?,
            layers: parameters.blocks.iter().map(Layer::new).collect::<Result<_>>()?,
            ln_final: Norm::new(&parameters.ln_final_w, &parameters.ln_final_b)?,
        })
    }

    /// Runs whole contexts.
    pub fn run(&self, ids: &[u32], pass: Pass<'_>) -> Result<Passed> {
        let n_ctx = self.config.n_ctx;
        let size = (ROWS / n_ctx).max(1) * n_ctx;
        let parts: Vec<Passed> = ids
            .par_chunks(size)
            .enumerate()
            .map(|(part, ids_of_part)| {
                let replace = pass.replace.map(|(hook, rows)| {
                    let width = rows.len() / ids.len();
                    (hook, &rows[part * size * width..][..ids_of_part.len() * width])
                });
                self.run_part(ids_of_part, Pass { replace, ..pass })
            })
            .collect::<Result<_>>()?;
        let join = |of: fn(&Passed) -> &[f32]| parts.iter().flat_map(of).copied().collect();
        Ok(Passed { kept: join(|part| &part.kept), hidden: join(|part| &part.hidden) })
    }

    fn run_part(&self, ids: &[u32], pass: Pass<'_>) -> Result<Passed> {
        let Config { n_ctx, n_heads, d_model: d, .. } = self.config;
        let mut resid = Vec::with_capacity(ids.len() * d);
        for (place, &id) in ids.iter().enumerate() {
            let position = place % n_ctx * d;
            let embedded = self.w_e[id as usize * d..].iter().zip(&self.w_pos[position..position + d]);
            resid.extend(embedded.map(|(token, position)| token + position));
        }
        let mut kept = Vec::new();
        macro_rules! show {
            ($layer:expr, $name:expr, $rows:expr) => {{
                let mut rows: Vec<f32> = $rows;
                let is = |hook: &str| hook.strip_prefix("blocks.") == Some(&format!("{}.{}", $layer, $name));
                if let Some((_, values)) = pass.replace.filter(|(hook, _)| is(hook)) {
                    rows.copy_from_slice(values);
                }
                if pass.keep.is_some_and(is) {
                    if pass.stop {
                        return Ok(Passed { kept: rows, hidden: Vec::new() });
                    }
                    kept = rows.clone();
                }
                rows
            }};
        }
        for (number, layer) in self.layers.iter().enumerate() {
            resid = show!(number, "hook_resid_pre", resid);
            let qkv = layer.qkv.apply(&layer.ln1.apply(&resid));
            let mixed = attention(&qkv, Heads { n_ctx, n_heads, d });
            let attn_out = show!(number, "hook_attn_out", layer.o.apply(&mixed));
            resid.iter_mut().zip(&attn_out).for_each(|(r, x)| *r += x);
            resid = show!(number, "hook_resid_mid", resid);
            let pre = layer.mlp_in.apply(&layer.ln2.apply(&resid));
            let post = self.activated(pre)?;
            let post = show!(number, "mlp.hook_post", post);
            let mlp_out = show!(number, "hook_mlp_out", layer.mlp_out.apply(&post));
            resid.iter_mut().zip(&mlp_out).for_each(|(r, x)| *r += x);
            resid = show!(number, "hook_resid_post", resid);
        }
        Ok(Passed { kept, hidden: self.ln_final.apply(&resid) })
    }

    /// The MLP's activation function of `[n, d_mlp]`; those without a kernel of their own by candle.
    fn activated(&self, pre: Vec<f32>) -> Result<Vec<f32>> {
        if self.config.act_fn == ActFn::Gelu {
            let mut post = vec![0.0; pre.len()];
            gelu(&pre, &mut post);
            return Ok(post);
        }
        let width = self.config.d_mlp;
        let shape = (pre.len() / width, width);
        Ok(with_values(&activate(&Tensor::from_vec(pre, shape, &Device::Cpu)?, self.config.act_fn)?, <[f32]>::to_vec)?)
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(with_values(tensor, <[f32]>::to_vec)?)
}

fn affine(w: &Tensor, b: &Tensor) -> Result<Affine> {
    let (n, d) = w.dims2()?;
    Ok(Affine::new(Rows { data: &values(w)?, n, d }, &values(b)?))
}

impl Layer {
    fn new(block: &Block<Tensor>) -> Result<Layer> {
        Ok(Layer {
            ln1: Norm::new(&block.ln1_w, &block.ln1_b)?,
            qkv: affine(&block.w_qkv, &block.b_qkv)?,
            o: affine(&block.w_o, &block.b_o)?,
            ln2: Norm::new(&block.ln2_w, &block.ln2_b)?,
            mlp_in: affine(&block.w_in, &block.b_in)?,
            mlp_out: affine(&block.w_out, &block.b_out)?,
        })
    }
}

impl Norm {
    fn new(weight: &Tensor, bias: &Tensor) -> Result<Norm> {
        Ok(Norm { weight: values(weight)?, bias: values(bias)? })
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let d = self.weight.len();
        let mut out = vec![0.0; x.len()];
        layer_norm(Rows { data: x, n: x.len() / d, d }, &self.weight, &self.bias, &mut out);
        out
    }
}
