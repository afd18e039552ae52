//! What a script may give where a dictionary is asked for, and lists of numbers in the forms that scripts have them.

use candle_core::Tensor;
use rhai::{Array, Dynamic, NativeCallContext};

use crate::error::{Code, Error, Result};
use crate::host::apart::{apart, product};
use crate::host::bind::neighbors::Neighbors;
use crate::host::bind::sae::Sae;
use crate::host::raise::{number, wrong_type};
use crate::host::session::session;
use crate::host::value::values;
use crate::memory;
use crate::ops::Rows;

/// The dictionary `[n, d]` that `value` is.
///
/// # Errors
/// `wrong-type` for a value of another type, `shape-mismatch` for a tensor that is no matrix or has no columns.
pub fn dictionary(value: &Dynamic) -> Result<Tensor> {
    if let Some(sae) = value.read_lock::<Sae>() {
        return sae.decoder_tensor();
    }
    let Some(tensor) = value.clone().try_cast::<Tensor>() else {
        return Err(wrong_type("the dictionary", "a Tensor [n, d] or an Sae", value));
    };
    match tensor.dims() {
        [_, d] if *d > 0 => Ok(tensor),
        dims => Err(Error::new(Code::ShapeMismatch, "the tensor is no dictionary")
            .fact("expected", "shape [n, d], one row a latent")
            .fact("given", format!("shape {dims:?}"))),
    }
}

/// The encoder that belongs to a dictionary: an Sae has one, a tensor is its own.
///
/// # Errors
/// `internal` when the tensor cannot be made.
pub fn encoder(value: &Dynamic) -> Result<Option<Tensor>> {
    value.read_lock::<Sae>().map(|sae| sae.encoder_tensor()).transpose()
}

/// Calls `f` with the rows of a matrix, copied once.
///
/// # Errors
/// `shape-mismatch` for a tensor that is no matrix.
pub fn with_rows<T>(matrix: &Tensor, f: impl FnOnce(Rows) -> T) -> Result<T> {
    let (n, d) = matrix.dims2().map_err(|_| {
        Error::new(Code::ShapeMismatch, "the tensor is no matrix").fact("given", format!("shape {:?}", matrix.dims()))
    })?;
    Ok(f(Rows::new(&values(matrix)?, n, d)?))
}

/// As [`with_rows`], heard by a stop: `passes` is about how many operations each value takes.
///
/// # Errors
/// As [`with_rows`], `interrupted`.
pub fn with_rows_apart<T: Send + 'static>(
    ctx: &NativeCallContext,
    matrix: &Tensor,
    passes: usize,
    f: impl FnOnce(Rows) -> T + Send + 'static,
) -> Result<T> {
    let (size, matrix) = (product(&[matrix.elem_count(), passes]), matrix.clone());
    apart(&session(ctx), size, move || with_rows(&matrix, f))?
}

/// Looks for a stop after so many elements of an array.
const PATIENCE: usize = 1 << 16;

/// The numbers in an array, a Tensor of one dimension, or the cosines of Neighbors; `()` is left out.
///
/// # Errors
/// `wrong-type` for anything else, and for an element that is no number; `too-large`, `interrupted`.
pub fn number_list(ctx: &NativeCallContext, value: &Dynamic, what: &str) -> Result<Vec<f64>> {
    if let Some(array) = value.read_lock::<Array>() {
        memory::check("the numbers of the array", 8 * array.len() as u64, "try fewer values, or a Tensor")?;
        let mut all = Vec::with_capacity(array.len());
        for (i, item) in array.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
            if i % PATIENCE == 0 {
                session(ctx).monitor().check()?;
            }
            all.push(number(item, what).map_err(|_| wrong_type(&format!("{what}[{i}]"), "a number", item))?);
        }
        return Ok(all);
    }
    if let Some(neighbors) = value.read_lock::<Neighbors>() {
        return Ok(neighbors.core().cos.iter().flatten().copied().collect());
    }
    match value.read_lock::<Tensor>() {
        Some(t) if t.dims().len() == 1 => Ok(values(&t)?.into_iter().map(f64::from).collect()),
        _ => Err(wrong_type(what, "an array, a Tensor of one dimension, or Neighbors", value)),
    }
}
