//! The weights of any decoder-only transformer, as plain values. Matrices multiply on the right: `x w + b`, `w [d_in, d_out]`.

use candle_core::{Device, Tensor};

use super::autograd::with_values;
use super::config::Config;
use super::transformer::{Block as OwnBlock, Parameters};
use crate::error::{Code, Error, Result};

/// Weight and bias of a normalization, `[d]` each.
#[derive(Debug, Clone)]
pub struct Norm {
    /// The weight.
    pub weight: Vec<f32>,
    /// The bias, where there is one.
    pub bias: Option<Vec<f32>>,
}

/// A matrix with its bias.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[d_in, d_out]`, row after row.
    pub w: Vec<f32>,
    /// `[d_out]`, where there is one.
    pub b: Option<Vec<f32>>,
}

/// The MLP of a layer.
#[derive(Debug, Clone)]
pub struct Mlp {
    /// What normalizes its input `[d_model]`.
    pub ln: Norm,
    /// `[d_model, d_mlp]`
    pub w_in: Linear,
    /// `[d_mlp, d_model]`
    pub w_out: Linear,
    /// `[d_model, d_mlp]`, where it is gated.
    pub gate: Option<Linear>,
    /// The LayerNorm that is a part of `solu_ln` `[d_mlp]`, where it has weights.
    pub mid: Option<Norm>,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Block {
    /// What normalizes the input of attention `[d_model]`.
    pub ln: Norm,
    /// All queries, all keys, all values side by side, head by head: `[d_model, d_qkv]`.
    pub qkv: Linear,
    /// `[n_heads d_head, d_model]`
    pub o: Linear,
    /// The MLP, where there is one.
    pub mlp: Option<Mlp>,
}

/// All weights.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Token embedding `[d_vocab, d_model]`.
    pub w_e: Vec<f32>,
    /// Position embedding `[n_ctx, d_model]`, where positions are learned.
    pub w_pos: Option<Vec<f32>>,
    /// The layers.
    pub blocks: Vec<Block>,
    /// What normalizes before the unembedding `[d_model]`.
    pub ln_final: Norm,
    /// Unembedding `[d_vocab, d_model]`, one row a token; the embedding where it is not given.
    pub w_u: Option<Vec<f32>>,
    /// Its bias `[d_vocab]`, where there is one.
    pub b_u: Option<Vec<f32>>,
}

impl Weights {
    /// Calls `f` with every array, in one fixed order.
    pub fn each<'a>(&'a self, f: &mut dyn FnMut(&'a [f32])) {
        let mut all: Vec<Option<&'a Vec<f32>>> = vec![Some(&self.w_e), self.w_pos.as_ref()];
        for block in &self.blocks {
            all.extend([Some(&block.ln.weight), block.ln.bias.as_ref()]);
            all.extend([&block.qkv, &block.o].into_iter().flat_map(|m| [Some(&m.w), m.b.as_ref()]));
            let Some(mlp) = &block.mlp else { continue };
            all.extend([Some(&mlp.ln.weight), mlp.ln.bias.as_ref()]);
            all.extend([&mlp.w_in, &mlp.w_out].into_iter().flat_map(|m| [Some(&m.w), m.b.as_ref()]));
            all.extend(mlp.gate.iter().flat_map(|m| [Some(&m.w), m.b.as_ref()]));
            all.extend(mlp.mid.iter().flat_map(|n| [Some(&n.weight), n.bias.as_ref()]));
        }
        all.extend([Some(&self.ln_final.weight), self.ln_final.bias.as_ref(), self.w_u.as_ref(), self.b_u.as_ref()]);
        all.into_iter().flatten().for_each(|array| f(array));
    }

    /// Takes the mean over the residual stream off everything that writes to it. LayerNorm takes it off again wherever it is read, so
    /// the model says the same; what its hooks show is another: see TransformerLens' `center_writing_weights`.
    pub fn center_writing(&mut self, d_model: usize) {
        // A tied unembedding reads; it stays what it was.
        self.w_u.get_or_insert_with(|| self.w_e.clone());
        center(&mut self.w_e, d_model);
        self.w_pos.iter_mut().for_each(|w| center(w, d_model));
        for block in &mut self.blocks {
            let outputs = block.mlp.iter_mut().map(|mlp| &mut mlp.w_out);
            for output in std::iter::once(&mut block.o).chain(outputs) {
                center(&mut output.w, d_model);
                output.b.iter_mut().for_each(|b| center(b, d_model));
            }
        }
    }

    /// The weights of our own architecture.
    ///
    /// # Errors
    /// `internal` when a tensor is no plain array.
    pub fn of(parameters: &Parameters<Tensor>) -> Result<Weights> {
        let values = |tensor: &Tensor| Ok::<_, Error>(with_values(tensor, <[f32]>::to_vec)?);
        let norm = |w: &Tensor, b: &Tensor| Ok::<_, Error>(Norm { weight: values(w)?, bias: Some(values(b)?) });
        let linear = |w: &Tensor, b: &Tensor| Ok::<_, Error>(Linear { w: values(w)?, b: Some(values(b)?) });
        let block = |b: &OwnBlock<Tensor>| {
            let mlp = Mlp {
                ln: norm(&b.ln2_w, &b.ln2_b)?,
                w_in: linear(&b.w_in, &b.b_in)?,
                w_out: linear(&b.w_out, &b.b_out)?,
                gate: None,
                mid: None,
            };
            let (qkv, o) = (linear(&b.w_qkv, &b.b_qkv)?, linear(&b.w_o, &b.b_o)?);
            Ok(Block { ln: norm(&b.ln1_w, &b.ln1_b)?, qkv, o, mlp: Some(mlp) })
        };
        Ok(Weights {
            w_e: values(&parameters.w_e)?,
            w_pos: Some(values(&parameters.w_pos)?),
            blocks: parameters.blocks.iter().map(block).collect::<Result<_>>()?,
            ln_final: norm(&parameters.ln_final_w, &parameters.ln_final_b)?,
            w_u: None,
            b_u: None,
        })
    }

    /// The parameters of our own architecture as tensors, for the readable path.
    ///
    /// # Errors
    /// `unsupported` for another architecture.
    pub fn parameters(&self, config: &Config) -> Result<Parameters<Tensor>> {
        let mut arrays = Vec::new();
        self.each(&mut |array| arrays.push(array));
        let own = config.architecture.is_own() && self.w_u.is_none();
        let mut arrays = arrays.into_iter().filter(|_| own);
        Parameters::build(config, |shape, _| match arrays.next() {
            Some(array) => Ok(Tensor::from_slice(array, shape, &Device::Cpu)?),
            None => Err(Error::new(Code::Unsupported, "only models of `model::train` have a readable path")),
        })
    }
}

/// Takes its mean off each row of length `d`, in f64.
fn center(rows: &mut [f32], d: usize) {
    for row in rows.chunks_exact_mut(d) {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / d as f64;
        row.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
    }
}
