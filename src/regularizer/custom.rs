//! A penalty written by the user: a function of the decoder as a candle tensor, differentiated by candle autograd.
//!
//! It holds what its operations hold. Measured on 4096 rows of 256 values: `mean_max_cos` written as a closure over the whole
//! Gram matrix took 0.47 s of CPU a step where the built-in took 0.06 s, and the process 670 MB where it took 50 MB.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};

use super::scene::{Gradient, Scene};
use super::{Penalty, Regularizer};
use crate::error::{Code, Error, Result};

/// The kind in cache keys and the run lock.
const KIND: &str = "custom";

impl Regularizer {
    /// A function of the decoder as a tensor `[d_sae, d_in]`, which must return a tensor of one element; candle autograd
    /// gives the gradient. `source_digest` stands for the function in [`Regularizer::describe`].
    pub fn custom(name: String, function: CustomFn, source_digest: String) -> Self {
        let label = name.clone();
        Regularizer::term(1.0, Custom { name, function, source_digest }).labelled(1.0, label)
    }
}

/// From the decoder `[d_sae, d_in]` (f32, CPU) to a tensor of one element, by candle operations.
pub type CustomFn = Arc<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

struct Custom {
    name: String,
    function: CustomFn,
    source_digest: String,
}

impl Custom {
    fn error(&self, what: &str) -> Error {
        Error::new(Code::WrongType, format!("the custom regularizer `{}` {what}", self.name))
    }
}

impl Penalty for Custom {
    fn describe(&self) -> Value {
        json!({ "kind": KIND, "name": self.name, "source": self.source_digest })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, gradient: Option<&mut Gradient>) -> Result<f64> {
        let w = scene.dictionary.w_dec;
        let var = Var::from_slice(w.data, (w.n, w.d), &Device::Cpu)?;
        let result = (self.function)(var.as_tensor())?;
        if result.elem_count() != 1 {
            return Err(self
                .error("does not return one number")
                .fact("expected", "a tensor of one element")
                .fact("given", format!("shape {:?}", result.dims()))
                .help("end it with a sum or a mean over all elements"));
        }
        let scalar = result.flatten_all()?.get(0)?;
        let value = f64::from(scalar.to_dtype(DType::F32)?.to_scalar::<f32>()?);
        if let Some(gradient) = gradient {
            let grads = scalar.backward()?;
            let Some(grad) = grads.get(var.as_tensor()) else {
                return Err(self
                    .error("has no gradient")
                    .fact("expected", "a result computed from the tensor it is given")
                    .help("build the result from the argument by tensor operations alone"));
            };
            let grad = grad.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            for (out, g) in gradient.dec.iter_mut().zip(grad) {
                *out += (weight * f64::from(g)) as f32;
            }
        }
        Ok(value)
    }
}
