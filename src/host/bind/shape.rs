//! Shapes of tensors, as scripts give them.

use rhai::{Array, Dynamic};

use crate::error::Result;
use crate::host::raise::{count, wrong_type};
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
