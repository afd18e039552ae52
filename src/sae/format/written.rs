//! What the writers of SAE folders share.

use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;

use crate::error::{Code, Error, Result};

/// A JSON file, for reading.
///
/// # Errors
/// `internal` when it does not serialize.
pub(super) fn pretty(value: &Value) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| internal(&error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A `.safetensors` file of f32 tensors.
///
/// # Errors
/// `internal` when they do not serialize.
pub(super) fn safetensors(tensors: &[(&str, Vec<usize>, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut views = Vec::new();
    for (name, shape, bytes) in tensors {
        views.push((*name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|error| internal(&error))?));
    }
    safetensors::serialize(views, None).map_err(|error| internal(&error))
}

/// Little-endian numbers.
pub(super) fn bytes_of(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0u8; 4 * values.len()];
    bytes.as_chunks_mut::<4>().0.iter_mut().zip(values).for_each(|(bytes, x)| *bytes = x.to_le_bytes());
    bytes
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("the SAE does not serialize: {error}"))
}
