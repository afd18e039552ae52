//! What the bindings of `tensor` share: shapes, room in memory, and work that a stop is heard in.

use candle_core::Device;
use rhai::{Array, Dynamic, INT, NativeCallContext};

use crate::error::{Code, Error, Result};
use crate::host::apart::{apart, product};
use crate::host::raise::{count, wrong_type};
use crate::host::session::session;
use crate::memory;

/// A script array as a shape.
pub(super) fn shape_of(shape: &Array) -> Result<Vec<usize>> {
    let one = |value: &Dynamic| match value.as_int() {
        Ok(n) => count(n, "a length in the shape"),
        Err(_) => Err(wrong_type("a length in the shape", "an int", value)),
    };
    let dims: Vec<usize> = shape.iter().map(one).collect::<Result<_>>()?;
    room(&dims)?;
    Ok(dims)
}

/// Refuses a tensor of this shape that does not fit into memory.
pub(super) fn room(shape: &[usize]) -> Result<()> {
    // Rows without elements still count one by one wherever rows are gone through.
    let rows: Vec<usize> = shape.iter().map(|n| (*n).max(1)).collect();
    memory::check_shape("the tensor", &rows, "try a smaller shape, or work in parts")
}

/// Does work on so many values times sizes, heard by a stop.
pub(super) fn worked<T: Send + 'static, E: Into<Error> + Send + 'static>(
    ctx: &NativeCallContext,
    sizes: &[usize],
    work: impl FnOnce() -> std::result::Result<T, E> + Send + 'static,
) -> Result<T> {
    apart(&session(ctx), product(sizes), work)?.map_err(Into::into)
}

/// A tensor of these values.
pub(super) fn make(values: Vec<f32>, dims: &[usize]) -> Result<candle_core::Tensor> {
    Ok(candle_core::Tensor::from_vec(values, dims, &Device::Cpu)?)
}

/// Row numbers `from..to`, checked against the first dimension.
pub(super) fn row_range(tensor: &candle_core::Tensor, from: INT, to: INT) -> Result<(usize, usize)> {
    let n = tensor.dims().first().copied().unwrap_or(0);
    let (a, b) = (count(from, "the first row")?, count(to, "the end row")?);
    if a <= b && b <= n {
        return Ok((a, b));
    }
    Err(Error::new(Code::OutOfRange, "the rows are outside the tensor")
        .fact("expected", format!("0 <= from <= to <= {n}"))
        .fact("given", format!("from {from}, to {to}")))
}
