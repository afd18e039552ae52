//! A training step by dense products and autograd in candle: for devices that the sparse engine has no kernels for.
//!
//! Weights go to the device and gradients come back at each step; Adam, the projection of unit rows and the penalty stay with the engine. Gradients
//! are those of the sparse engine to f32 rounding, so each is the other's test. Cost: a forward pass of two dense products, twice that for
//! the gradients, several matrices `[tokens, d_sae]` on the device, and `16 d_sae d_in` bytes each step between it and the host. Which latents
//! top-k keeps is chosen on the host.

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};

use super::engine::{Gradients, Measured, Rule};
use super::weights::Weights;
use crate::error::Result;
use crate::ops::codes::Codes;
use crate::ops::select::{batch_top_k, top_k};

/// A forward pass, ready for its gradients.
pub struct Dense {
    /// In the order of [`Weights::params`].
    vars: Vec<Var>,
    x: Tensor,
    /// The loss without sparsity, a scalar.
    error: Tensor,
    /// What the sparsity coefficient multiplies, a scalar; none where nothing does.
    sparsity: Option<Tensor>,
}

/// What a rule makes of a batch: all but the first three are scalars over the whole batch.
struct Forward {
    /// Activations, `[tokens, d_sae]`.
    active: Tensor,
    /// What L1 is measured of: the activations, or the gates.
    counted: Tensor,
    /// The reconstruction.
    out: Tensor,
    /// Squared errors besides that of `out`, or in its place.
    error: Tensor,
    sparsity: Option<Tensor>,
    learning: Option<f64>,
    least: Option<f32>,
}

impl Dense {
    /// Encodes and decodes a batch `[n, d_in]`; with what it measures, and which latents fired. `free` is whether decoder norms weigh
    /// activations.
    ///
    /// # Errors
    /// What the device gives: too little memory, above all.
    pub fn forward(
        device: &Device,
        weights: &Weights,
        (rule, free): (&Rule, bool),
        x: &[f32],
    ) -> Result<(Dense, Measured, Vec<bool>)> {
        let (d, d_sae) = (weights.d_in(), weights.d_sae());
        let shapes: [&[usize]; 6] = [&[d_sae, d], &[d_sae], &[d_sae, d], &[d], &[d_sae], &[d_sae]];
        let params = weights.params().into_iter().zip(shapes);
        let vars = params.map(|(param, shape)| Var::from_slice(&param.value, shape, device));
        let vars = vars.collect::<CandleResult<_>>()?;
        let tokens = x.len() / d;
        let zero = Tensor::zeros((), DType::F32, device)?;
        let mut dense = Dense { vars, x: Tensor::from_slice(x, (tokens, d), device)?, error: zero, sparsity: None };
        let norms = if free { Some(dense.vars[2].sqr()?.sum(1)?.sqrt()?) } else { None };
        let Forward { active, counted, out, error, sparsity, learning, least } = dense.run(rule, norms.as_ref())?;
        let n = tokens as f64;
        let fires = active.gt(0.0)?.to_dtype(DType::F32)?.sum(0)?.to_vec1::<f32>()?;
        let measured = Measured {
            mse: scalar(&dense.squared(&out)?)?,
            error: scalar(&error)?,
            l0: fires.iter().map(|fires| f64::from(*fires)).sum::<f64>() / n,
            l1: scalar(&dense.mean(&weighed(&counted, norms.as_ref())?)?)?,
            sparsity: sparsity.as_ref().map_or(Ok(0.0), scalar)?,
            learning,
            least,
        };
        (dense.error, dense.sparsity) = (error, sparsity);
        Ok((dense, measured, fires.iter().map(|fires| *fires > 0.0).collect()))
    }

    /// The gradients of the loss, with this coefficient of sparsity.
    ///
    /// # Errors
    /// As [`Dense::forward`].
    pub fn gradients(&self, coefficient: f64) -> Result<Gradients> {
        let loss = match &self.sparsity {
            Some(sparsity) => (&self.error + (sparsity * coefficient)?)?,
            None => self.error.clone(),
        };
        let gradients = loss.backward()?;
        let of = |at: usize| match gradients.get(&self.vars[at]) {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![0.0; self.vars[at].elem_count()]),
        };
        Ok(Gradients { w_enc: of(0)?, b_enc: of(1)?, w_dec: of(2)?, b_dec: of(3)?, extra: [of(4)?, of(5)?] })
    }

    fn run(&self, rule: &Rule, norms: Option<&Tensor>) -> CandleResult<Forward> {
        let product = self.x.broadcast_sub(&self.vars[3])?.matmul(&self.vars[0].t()?)?;
        let pre = product.broadcast_add(&self.vars[1])?;
        let plain = |active: Tensor, least: Option<f32>| {
            let out = self.decode(&active)?;
            let (error, counted) = (self.squared(&out)?, active.clone());
            Ok(Forward { active, counted, out, error, sparsity: None, learning: None, least })
        };
        match rule {
            Rule::Relu => {
                let forward = plain(pre.relu()?, None)?;
                let sparsity = Some(self.mean(&weighed(&forward.active, norms)?)?);
                Ok(Forward { sparsity, ..forward })
            }
            Rule::TopK { k } => plain(kept(&pre, |codes| (top_k(codes, *k), None))?.0, None),
            Rule::BatchTopK { k } => {
                let (active, least) = kept(&pre, |codes| batch_top_k(codes, k * codes.tokens()))?;
                plain(active, least)
            }
            Rule::Matryoshka { k, widths } => {
                let (active, least) = kept(&pre, |codes| batch_top_k(codes, k * codes.tokens()))?;
                let forward = plain(active, least)?;
                let mut sum = Tensor::zeros((), DType::F32, self.x.device())?;
                for width in widths {
                    // Products on GPUs take whole rows only.
                    let part = forward.active.narrow(1, 0, *width)?.contiguous()?;
                    let part = part.matmul(&self.vars[2].narrow(0, 0, *width)?)?;
                    sum = (sum + self.squared(&part.broadcast_add(&self.vars[3])?)?)?;
                }
                Ok(Forward { error: (sum / widths.len() as f64)?, ..forward })
            }
            Rule::JumpRelu { bandwidth } => self.jump(&pre, f64::from(*bandwidth)),
            Rule::Gated => {
                let open = pre.gt(0.0)?.to_dtype(DType::F32)?;
                let linear = product.broadcast_mul(&self.vars[4].exp()?)?.broadcast_add(&self.vars[5])?;
                let forward = plain((linear.relu()? * open)?, None)?;
                let counted = pre.relu()?;
                // Gates reconstruct by a decoder that does not learn from it.
                let fixed = counted.matmul(&self.vars[2].detach())?.broadcast_add(&self.vars[3].detach())?;
                let error = (&forward.error + self.squared(&fixed)?)?;
                let sparsity = Some(self.mean(&weighed(&counted, norms)?)?);
                Ok(Forward { counted, error, sparsity, ..forward })
            }
        }
    }

    /// See [`crate::ops::jump`]: what its estimators make of derivatives by the threshold joins the loss as terms whose value is 0.
    fn jump(&self, pre: &Tensor, width: f64) -> CandleResult<Forward> {
        let n = self.x.dim(0)? as f64;
        let theta = self.vars[4].exp()?;
        let fires = pre.broadcast_gt(&theta)?.to_dtype(DType::F32)?;
        let active = (pre * &fires)?;
        let out = self.decode(&active)?;
        let near = pre.broadcast_sub(&theta)?.abs()?.lt(width / 2.0)?.to_dtype(DType::F32)?;
        let df = ((&out - &self.x)? * (2.0 / n))?.matmul(&self.vars[2].t()?)?;
        let nothing = (&theta - theta.detach())?;
        let term = |slopes: Tensor| ((slopes.sum(0)? * (-1.0 / width))?.detach() * &nothing)?.sum_all();
        let error = (self.squared(&out)? + term((&near * df.broadcast_mul(&theta)?)?)?)?;
        let sparsity = (self.mean(&fires)?.detach() + term((&near / n)?)?)?;
        let learning = near.max(0)?.mean_all()?.to_scalar::<f32>()?;
        let (counted, sparsity) = (active.clone(), Some(sparsity));
        Ok(Forward { active, counted, out, error, sparsity, learning: Some(f64::from(learning)), least: None })
    }

    fn decode(&self, f: &Tensor) -> CandleResult<Tensor> {
        f.matmul(&self.vars[2])?.broadcast_add(&self.vars[3])
    }

    /// The squared error of a reconstruction, a token.
    fn squared(&self, out: &Tensor) -> CandleResult<Tensor> {
        self.mean(&(out - &self.x)?.sqr()?)
    }

    /// The sum, a token.
    fn mean(&self, values: &Tensor) -> CandleResult<Tensor> {
        values.sum_all()? / self.x.dim(0)? as f64
    }
}

/// Activations times their latents' norms.
fn weighed(f: &Tensor, norms: Option<&Tensor>) -> CandleResult<Tensor> {
    norms.map_or_else(|| Ok(f.clone()), |norms| f.broadcast_mul(norms))
}

/// The positive entries of `pre` that `choose` keeps, zeros elsewhere.
fn kept(pre: &Tensor, choose: impl Fn(&Codes) -> (Codes, Option<f32>)) -> CandleResult<(Tensor, Option<f32>)> {
    let (_, d_sae) = pre.dims2()?;
    let (chosen, least) = choose(&Codes::from_dense(&pre.relu()?.flatten_all()?.to_vec1::<f32>()?, d_sae));
    let mut mask = chosen.to_dense();
    mask.iter_mut().for_each(|x| *x = f32::from(*x != 0.0));
    Ok(((pre * Tensor::from_vec(mask, pre.dims(), pre.device())?)?, least))
}

fn scalar(t: &Tensor) -> CandleResult<f64> {
    Ok(f64::from(t.to_scalar::<f32>()?))
}
