//! Named tensors out of a file of whatever format, and the questions that every family asks of them.

use std::collections::BTreeMap;

use crate::error::{Code, Error, Result};
use crate::{memory, progress};

/// The values of one tensor, or why there are none.
struct Entry {
    shape: Vec<usize>,
    values: std::result::Result<Vec<f32>, String>,
}

/// Tensors by name, each to be taken once.
pub struct Tensors {
    /// The file, for error messages.
    file: String,
    entries: BTreeMap<String, Entry>,
}

impl Tensors {
    /// None yet, of this file.
    pub fn new(file: &str) -> Tensors {
        Tensors { file: file.to_string(), entries: BTreeMap::new() }
    }

    /// Adds a tensor. `values` may be a reason why it cannot be read: it is an error only when the tensor is wanted.
    pub fn add(&mut self, name: &str, shape: &[usize], values: std::result::Result<Vec<f32>, String>) {
        self.entries.insert(name.to_string(), Entry { shape: shape.to_vec(), values });
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    /// `damaged-file` when it is not there.
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice()).ok_or_else(|| self.missing(name))
    }

    /// How many layers there are whose tensor is called `name` with a number for `{}`.
    pub fn layers(&self, name: &str) -> usize {
        (0..).take_while(|layer| self.has(&name.replace("{}", &format!("{layer}")))).count()
    }

    /// Takes a tensor of this shape, row after row.
    ///
    /// # Errors
    /// `damaged-file` when it is not there, cut short or not finite; `shape-mismatch`; `unsupported` for its kind of numbers.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        progress::check_stop()?;
        let missing = self.missing(name);
        let entry = self.entries.remove(name).ok_or(missing)?;
        if entry.shape != shape {
            return Err(Error::new(Code::ShapeMismatch, format!("`{name}` of `{}` has another shape", self.file))
                .fact("expected", format!("{shape:?}"))
                .fact("given", format!("{:?}", entry.shape)));
        }
        let values = entry.values.map_err(|why| {
            Error::new(Code::Unsupported, format!("`{name}` of `{}` cannot be read", self.file)).fact("reason", why)
        })?;
        let expected = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if expected != Some(values.len()) {
            return Err(self.damaged(format!("`{name}` holds {} values for the shape {shape:?}", values.len())));
        }
        if values.iter().any(|x| !x.is_finite()) {
            return Err(self.damaged(format!("`{name}` holds values that are not finite")));
        }
        Ok(values)
    }

    /// Takes a tensor of this shape when there is one of this name.
    ///
    /// # Errors
    /// As [`Tensors::take`].
    pub fn take_if(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        if self.has(name) { self.take(name, shape).map(Some) } else { Ok(None) }
    }

    /// Takes a matrix `[d_out, d_in]`, as torch's linear layers have it, as `[d_in, d_out]`.
    ///
    /// # Errors
    /// As [`Tensors::take`].
    pub fn take_turned(&mut self, name: &str, d_out: usize, d_in: usize) -> Result<Vec<f32>> {
        Ok(transposed(&self.take(name, &[d_out, d_in])?, d_in))
    }

    fn missing(&self, name: &str) -> Error {
        self.damaged(format!("no tensor `{name}`"))
    }

    fn damaged(&self, why: String) -> Error {
        Error::new(Code::DamagedFile, format!("`{}` is damaged, or of another model", self.file)).fact("reason", why)
    }
}

/// The transposed matrix; `columns` is how long a row of `matrix` is.
pub fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns.max(1);
    let mut out = vec![0.0; matrix.len()];
    // By squares that fit the first cache.
    const SQUARE: usize = 32;
    for (top, left) in (0..rows).step_by(SQUARE).flat_map(|top| (0..columns).step_by(SQUARE).map(move |l| (top, l))) {
        for row in top..rows.min(top + SQUARE) {
            for column in left..columns.min(left + SQUARE) {
                out[column * rows + row] = matrix[row * columns + column];
            }
        }
    }
    out
}

/// That so many values fit into memory as f32.
///
/// # Errors
/// `too-large`.
pub fn check_memory(count: usize) -> Result<()> {
    memory::check(
        "a tensor of the model",
        (count as u64).saturating_mul(4),
        "use a smaller model, or allow more with `--memory`",
    )
}

/// Little-endian numbers as f32, or the reason why there is no way.
pub fn floats(kind: &str, bytes: &[u8]) -> std::result::Result<Vec<f32>, String> {
    match kind {
        "F32" => Ok(bytes.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()),
        "F16" => Ok(bytes.as_chunks::<2>().0.iter().map(|x| half::f16::from_le_bytes(*x).to_f32()).collect()),
        "BF16" => Ok(bytes.as_chunks::<2>().0.iter().map(|x| half::bf16::from_le_bytes(*x).to_f32()).collect()),
        "F64" => Ok(bytes.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x) as f32).collect()),
        other => Err(format!("{other} is none of F32, F16, BF16, F64")),
    }
}
