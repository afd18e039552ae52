//! The kernels of `ops` as candle operations with gradients: candle keeps the graph, `ops` does the arithmetic.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Error, Layout, Result, Shape, Storage, Tensor};

use crate::ops::Rows;
use crate::ops::attention::{Heads, attention, attention_gradient};
use crate::ops::cross_entropy::{cross_entropy, cross_entropy_gradient};
use crate::ops::gelu::{gelu, gelu_gradient};
use crate::ops::layer_norm::{EPSILON, layer_norm, layer_norm_gradient};
use crate::ops::linear::{linear, linear_gradient};

/// The values of a contiguous f32 tensor in CPU memory.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (from, to) = layout.contiguous_offsets().ok_or_else(|| Error::msg("a tensor that is not contiguous"))?;
    Ok(&storage.as_slice::<f32>()?[from..to])
}

/// Calls `f` with the values of a contiguous f32 tensor.
pub(super) fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(values(storage, layout)?)),
        _ => Err(Error::msg("a tensor outside CPU memory")),
    }
}

fn rows<'a>(data: &'a [f32], shape: &Shape) -> Result<Rows<'a>> {
    let (n, d) = shape.dims2()?;
    Ok(Rows { data, n, d })
}

fn tensor(data: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(data, like.shape(), like.device())
}

/// `x w + b` for `x [n, d_in]`, `w [d_in, d_out]`, `b [d_out]`.
pub(super) struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = rows(values(x, lx)?, lx.shape())?;
        let w = rows(values(w, lw)?, lw.shape())?;
        Ok((CpuStorage::F32(linear(x, w, values(b, lb)?)), (x.n, w.d).into()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Grads3> {
        let (gx, gw, gb) = with_values(x, |xs| {
            with_values(w, |ws| {
                with_values(grad, |gs| {
                    let (x, w) = (rows(xs, x.shape())?, rows(ws, w.shape())?);
                    Ok::<_, Error>(linear_gradient(x, w, rows(gs, grad.shape())?))
                })
            })
        })????;
        Ok((Some(tensor(gx, x)?), Some(tensor(gw, w)?), Some(tensor(gb, b)?)))
    }
}

type Grads3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// LayerNorm of `x [n, d]` with weight and bias `[d]`.
pub(super) struct LayerNorm;

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = rows(values(x, lx)?, lx.shape())?;
        let mut out = vec![0.0; x.data.len()];
        layer_norm(x, values(w, lw)?, values(b, lb)?, EPSILON, &mut out);
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Grads3> {
        let (gx, gw, gb) = with_values(x, |xs| {
            with_values(w, |ws| {
                with_values(grad, |gs| Ok::<_, Error>(layer_norm_gradient(rows(xs, x.shape())?, ws, gs)))
            })
        })????;
        Ok((Some(tensor(gx, x)?), Some(tensor(gw, w)?), Some(tensor(gb, b)?)))
    }
}

/// GELU with the exact error function.
pub(super) struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu_erf"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut out = vec![0.0; x.len()];
        gelu(x, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut out = vec![0.0; x.elem_count()];
        with_values(x, |x| with_values(grad, |g| gelu_gradient(x, g, &mut out)))??;
        Ok(Some(tensor(out, x)?))
    }
}

/// Causal attention on packed queries, keys and values `[contexts * n_ctx, 3 d]`.
pub(super) struct Attention(pub Heads);

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, _) = layout.shape().dims2()?;
        Ok((CpuStorage::F32(attention(values(qkv, layout)?, self.0)), (n, self.0.d()).into()))
    }

    fn bwd(&self, qkv: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let out = with_values(qkv, |q| with_values(grad, |g| attention_gradient(q, g, self.0)))??;
        Ok(Some(tensor(out, qkv)?))
    }
}

/// Mean cross-entropy of final hidden states `[n, d]` under the unembedding `[d_vocab, d]`, as a one-element tensor. The
/// gradients are found in the forward pass, where the probabilities are at hand, and handed out in the backward pass.
pub(super) struct CrossEntropy {
    targets: Vec<u32>,
    gradients: Mutex<Option<(Vec<f32>, Vec<f32>)>>,
    train: bool,
}

impl CrossEntropy {
    pub(super) fn new(targets: Vec<u32>, train: bool) -> Self {
        CrossEntropy { targets, gradients: Mutex::new(None), train }
    }
}

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, h: &CpuStorage, lh: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (hidden, w_u) = (rows(values(h, lh)?, lh.shape())?, rows(values(w, lw)?, lw.shape())?);
        let loss = if self.train {
            let (loss, grad_hidden, grad_w) = cross_entropy_gradient(hidden, w_u, &self.targets);
            *self.gradients.lock().map_err(|_| Error::msg("a poisoned lock"))? = Some((grad_hidden, grad_w));
            loss
        } else {
            let (sum, count) = cross_entropy(hidden, w_u, &self.targets);
            sum / count.max(1) as f64
        };
        Ok((CpuStorage::F32(vec![loss as f32]), 1.into()))
    }

    fn bwd(&self, h: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let kept = self.gradients.lock().map_err(|_| Error::msg("a poisoned lock"))?.take();
        let (grad_hidden, grad_w) = kept.ok_or_else(|| Error::msg("a cross-entropy without gradients"))?;
        let scale = f64::from(grad.to_vec1::<f32>()?[0]);
        let (mut grad_hidden, mut grad_w) = (tensor(grad_hidden, h)?, tensor(grad_w, w)?);
        if scale != 1.0 {
            (grad_hidden, grad_w) = ((grad_hidden * scale)?, (grad_w * scale)?);
        }
        Ok((Some(grad_hidden), Some(grad_w)))
    }
}
