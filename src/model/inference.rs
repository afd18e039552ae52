//! The forward pass without gradients, on slices, for every family: what reads activations and scores text. The readable path of our
//! own architecture is [`super::transformer::forward`]; a test says how closely they agree. Others are held to what the libraries they
//! come from compute.
//!
//! A few contexts at a time go through all layers on one thread, so nothing waits between layers. No result depends on how contexts are
//! put together: every kernel here works row by row or context by context.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::architecture::{Normalization, Positions};
use super::autograd::with_values;
use super::config::{ActFn, Config};
use super::transformer::activate;
use super::weights::{self, Block, Weights};
use crate::error::Result;
use crate::ops::Rows;
use crate::ops::affine::Affine;
use crate::ops::attention::{Heads, attention};
use crate::ops::gelu::gelu;
use crate::ops::layer_norm::layer_norm;
use crate::ops::rms_norm::rms_norm;
use crate::ops::rotary::Rotary;
use crate::progress::Stop;

/// Rows that one task takes through the model, rounded down to whole contexts.
const ROWS: usize = 384;

/// A model ready to run: its matrices packed for the kernel.
pub(super) struct Inference {
    config: Config,
    rotary: Option<Rotary>,
    layers: Vec<Layer>,
    ln_final: Norm,
    /// The unembedding with its bias as a last column, `[d_vocab, d_model + 1]`, where it has one.
    biased: Option<Vec<f32>>,
}

struct Layer {
    ln: Norm,
    qkv: Affine,
    o: Affine,
    mlp: Option<Mlp>,
}

struct Mlp {
    ln: Norm,
    gate: Option<Affine>,
    w_in: Affine,
    w_out: Affine,
    mid: Option<weights::Norm>,
}

struct Norm {
    kind: Normalization,
    epsilon: f32,
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
    /// Positions a context, where they are fewer than the model's.
    pub n_ctx: Option<usize>,
}

/// What a pass leaves.
pub(super) struct Passed {
    /// The rows at the hook that was to be kept, `[ids, width]`.
    pub kept: Vec<f32>,
    /// The rows after the final normalization, as wide as [`Inference::unembedding`]; none when the pass stopped before.
    pub hidden: Vec<f32>,
}

impl Inference {
    pub fn new(config: &Config, weights: &Weights) -> Inference {
        let rotary = match &config.architecture.positions {
            Positions::Learned => None,
            Positions::Rotary { width, base, divisors } => Some(Rotary::new(config.n_ctx, *width, *base, divisors)),
        };
        let biased = weights.b_u.as_ref().map(|bias| {
            let rows = weights.w_u.as_ref().unwrap_or(&weights.w_e).chunks_exact(config.d_model);
            rows.zip(bias).flat_map(|(row, b)| row.iter().chain([b]).copied()).collect()
        });
        Inference {
            rotary,
            layers: weights.blocks.iter().map(|block| Layer::new(config, block)).collect(),
            ln_final: Norm::new(config, &weights.ln_final),
            biased,
            config: config.clone(),
        }
    }

    /// What turns hidden rows into logits: one row a token, as wide as a hidden row. Where the unembedding has a bias it is the last
    /// column, and hidden rows end in 1.
    pub fn unembedding<'a>(&'a self, weights: &'a Weights) -> Rows<'a> {
        let (n, d) = (self.config.d_vocab, self.config.d_model);
        match &self.biased {
            Some(data) => Rows { data, n, d: d + 1 },
            None => Rows { data: weights.w_u.as_ref().unwrap_or(&weights.w_e), n, d },
        }
    }

    /// Runs whole contexts.
    ///
    /// # Errors
    /// `interrupted`.
    pub fn run(&self, weights: &Weights, ids: &[u32], pass: Pass<'_>) -> Result<Passed> {
        let n_ctx = pass.n_ctx.unwrap_or(self.config.n_ctx);
        let size = (ROWS / n_ctx).max(1) * n_ctx;
        let stop = Stop::here();
        let parts: Vec<Passed> = ids
            .par_chunks(size)
            .enumerate()
            .map(|(part, ids_of_part)| {
                let replace = pass.replace.map(|(hook, rows)| {
                    let width = rows.len() / ids.len();
                    (hook, &rows[part * size * width..][..ids_of_part.len() * width])
                });
                self.run_part(weights, ids_of_part, Pass { replace, n_ctx: Some(n_ctx), ..pass }, &stop)
            })
            .collect::<Result<_>>()?;
        let join = |of: fn(&Passed) -> &[f32]| parts.iter().map(of).collect::<Vec<_>>().concat();
        Ok(Passed { kept: join(|part| &part.kept), hidden: join(|part| &part.hidden) })
    }

    fn run_part(&self, weights: &Weights, ids: &[u32], pass: Pass<'_>, stop: &Stop) -> Result<Passed> {
        let Config { n_heads, d_model: d, .. } = self.config;
        let n_ctx = pass.n_ctx.unwrap_or(self.config.n_ctx);
        let heads = Heads { n_ctx, n_heads, n_kv_heads: self.config.n_kv_heads(), width: self.config.d_head() };
        let parallel = self.config.architecture.parallel;
        let mut resid = embedded(weights, ids, n_ctx, d);
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
            stop.check()?;
            resid = show!(number, "hook_resid_pre", resid);
            let mut qkv = layer.qkv.apply(&layer.ln.apply(&resid));
            if let Some(rotary) = &self.rotary {
                for (place, row) in qkv.chunks_exact_mut(heads.packed()).enumerate() {
                    rotary.turn(row, n_heads + heads.n_kv_heads, heads.width, place % n_ctx);
                }
            }
            let attn_out = show!(number, "hook_attn_out", layer.o.apply(&attention(&qkv, heads)));
            let Some(mlp) = &layer.mlp else {
                resid.iter_mut().zip(&attn_out).for_each(|(r, x)| *r += x);
                resid = show!(number, "hook_resid_post", resid);
                continue;
            };
            let before = parallel.then(|| mlp.ln.apply(&resid));
            resid.iter_mut().zip(&attn_out).for_each(|(r, x)| *r += x);
            if !parallel {
                resid = show!(number, "hook_resid_mid", resid);
            }
            let read = before.unwrap_or_else(|| mlp.ln.apply(&resid));
            let post = show!(number, "mlp.hook_post", self.post(mlp, &read)?);
            let mlp_out = show!(number, "hook_mlp_out", mlp.w_out.apply(&post));
            resid.iter_mut().zip(&mlp_out).for_each(|(r, x)| *r += x);
            resid = show!(number, "hook_resid_post", resid);
        }
        let mut hidden = self.ln_final.apply(&resid);
        if self.biased.is_some() {
            hidden = hidden.chunks_exact(d).flat_map(|row| row.iter().copied().chain([1.0])).collect();
        }
        Ok(Passed { kept, hidden })
    }

    /// What the output matrix of an MLP reads, `[n, d_mlp]`.
    fn post(&self, mlp: &Mlp, read: &[f32]) -> Result<Vec<f32>> {
        let pre = mlp.w_in.apply(read);
        let Some(gate) = &mlp.gate else {
            let mut post = self.activated(pre)?;
            if let Some(mid) = &mlp.mid {
                scale_and_shift(&mut post, mid);
            }
            return Ok(post);
        };
        let mut post = self.activated(gate.apply(read))?;
        post.iter_mut().zip(&pre).for_each(|(p, x)| *p *= x);
        Ok(post)
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

/// The rows that enter the first layer.
fn embedded(weights: &Weights, ids: &[u32], n_ctx: usize, d: usize) -> Vec<f32> {
    let mut resid = Vec::with_capacity(ids.len() * d);
    for (place, &id) in ids.iter().enumerate() {
        let token = &weights.w_e[id as usize * d..(id as usize + 1) * d];
        match &weights.w_pos {
            Some(w_pos) => {
                let position = place % n_ctx * d;
                resid
                    .extend(token.iter().zip(&w_pos[position..position + d]).map(|(token, position)| token + position));
            }
            None => resid.extend(token),
        }
    }
    resid
}

fn scale_and_shift(rows: &mut [f32], norm: &weights::Norm) {
    for row in rows.chunks_exact_mut(norm.weight.len()) {
        row.iter_mut().zip(&norm.weight).for_each(|(x, w)| *x *= w);
        if let Some(bias) = &norm.bias {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        }
    }
}

fn affine(linear: &weights::Linear, d_in: usize) -> Affine {
    let d = linear.w.len() / d_in;
    let zeros = vec![0.0; if linear.b.is_none() { d } else { 0 }];
    Affine::new(Rows { data: &linear.w, n: d_in, d }, linear.b.as_ref().unwrap_or(&zeros))
}

impl Layer {
    fn new(config: &Config, block: &Block) -> Layer {
        let d = config.d_model;
        let mlp = block.mlp.as_ref().map(|mlp| Mlp {
            ln: Norm::new(config, &mlp.ln),
            gate: mlp.gate.as_ref().map(|gate| affine(gate, d)),
            w_in: affine(&mlp.w_in, d),
            w_out: affine(&mlp.w_out, config.d_mlp),
            mid: mlp.mid.clone(),
        });
        let o = affine(&block.o, config.n_heads * config.d_head());
        Layer { ln: Norm::new(config, &block.ln), qkv: affine(&block.qkv, d), o, mlp }
    }
}

impl Norm {
    fn new(config: &Config, norm: &weights::Norm) -> Norm {
        Norm {
            kind: config.architecture.normalization,
            epsilon: config.architecture.norm_epsilon,
            bias: norm.bias.clone().unwrap_or_else(|| vec![0.0; norm.weight.len()]),
            weight: norm.weight.clone(),
        }
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let d = self.weight.len();
        let rows = Rows { data: x, n: x.len() / d, d };
        let mut out = vec![0.0; x.len()];
        match self.kind {
            Normalization::Layer => layer_norm(rows, &self.weight, &self.bias, self.epsilon, &mut out),
            Normalization::Rms => rms_norm(rows, &self.weight, self.epsilon, &mut out),
        }
        out
    }
}
