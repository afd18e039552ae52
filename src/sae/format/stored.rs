//! Named tensors in the bytes of a file, decoded to f32 when their shape is known.

use rayon::prelude::*;
use safetensors::SafeTensors;

use super::unique::Unique;
use crate::error::{Code, Error, Result};
use crate::ops::element::Element;
use crate::torch::{self, Stored, row_major};

/// The tensors of a file.
#[derive(Debug)]
pub(super) struct Tensors<'a> {
    file: &'a str,
    all: Vec<Stored<'a>>,
}

impl<'a> Tensors<'a> {
    /// The tensors in the bytes of a `.safetensors` file.
    ///
    /// # Errors
    /// `damaged-file`; `unsupported` for a type of number.
    pub(super) fn of_safetensors(file: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(file, &error.to_string()))?;
        // The library takes the last of two tensors of one name.
        let length = bytes.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length) as usize);
        let header = bytes.get(8..8usize.saturating_add(length)).unwrap_or_default();
        serde_json::from_slice::<Unique>(header).map_err(|error| damaged(file, &error.to_string()))?;
        let mut all = Vec::new();
        for (name, view) in tensors.iter() {
            let element = Element::of_safetensors(view.dtype()).ok_or_else(|| {
                Error::new(Code::Unsupported, format!("`{name}` in {file} has type {:?}", view.dtype()))
                    .fact("available", "F64, F32, F16, BF16 and ints")
            })?;
            let shape = view.shape().to_vec();
            all.push(Stored { name: name.to_string(), strides: row_major(&shape), shape, element, data: view.data() });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Tensors { file, all })
    }

    /// The tensors of a state dict that `torch.save` wrote.
    ///
    /// # Errors
    /// `damaged-file`; `unsupported` for the format of torch before 1.6.
    pub(super) fn of_torch(file: &'a str, bytes: &'a [u8]) -> Result<Self> {
        if bytes.starts_with(b"\x80\x02\x8a\x0a") {
            return Err(Error::new(Code::Unsupported, format!("{file} is of a torch before 1.6"))
                .help("load it in Python and `torch.save` it again"));
        }
        let all = torch::tensors(bytes).map_err(|reason| damaged(file, &reason))?;
        Ok(Tensors { file, all })
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|stored| stored.name == name)
    }

    /// The two lengths of a matrix.
    ///
    /// # Errors
    /// `damaged-file` when it is missing or no matrix.
    pub(super) fn matrix(&self, name: &str) -> Result<[usize; 2]> {
        let stored = self.stored(name)?;
        stored.shape.as_slice().try_into().map_err(|_| damaged(self.file, &format!("`{name}` is no matrix")))
    }

    /// Checks that every tensor is one of these.
    ///
    /// # Errors
    /// `unsupported`: a tensor that nobody reads may change what the SAE computes.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        match self.all.iter().find(|stored| !known.contains(&stored.name.as_str())) {
            None => Ok(()),
            Some(Stored { name, .. }) => {
                Err(Error::new(Code::Unsupported, format!("unexpected tensor `{name}` in {}", self.file))
                    .fact("expected", known.join(", ")))
            }
        }
    }

    /// The values of a tensor of this shape, row-major.
    ///
    /// # Errors
    /// `damaged-file` when it is missing, reaches beyond its numbers or holds one that is not finite; `shape-mismatch`.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let stored = self.stored(name)?;
        if stored.shape != shape {
            return Err(Error::new(Code::ShapeMismatch, format!("`{name}` in {} has another shape", self.file))
                .fact("expected", format!("{shape:?}"))
                .fact("given", format!("{:?}", stored.shape)));
        }
        let values =
            stored.values().ok_or_else(|| damaged(self.file, &format!("`{name}` reaches beyond its values")))?;
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(at) => Err(damaged(self.file, &format!("`{name}` is {} at {:?}", values[at], place(at, shape)))),
        }
    }

    /// As [`Tensors::values`], transposed: of a tensor `[m, n]` the values of `[n, m]`.
    ///
    /// # Errors
    /// As [`Tensors::values`].
    pub(super) fn transposed(&self, name: &str, [n, m]: [usize; 2]) -> Result<Vec<f32>> {
        Ok(transpose(&self.values(name, &[m, n])?, m, n))
    }

    fn stored(&self, name: &str) -> Result<&Stored<'a>> {
        let found = self.all.iter().find(|stored| stored.name == name);
        found.ok_or_else(|| damaged(self.file, &format!("there is no tensor `{name}`")))
    }
}

/// The index of a value of a row-major tensor.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape.iter().rev().map(|n| (at % n, at /= n).0).collect();
    index.reverse();
    index
}

/// The transpose of a row-major `[n, m]` matrix.
pub(super) fn transpose(values: &[f32], n: usize, m: usize) -> Vec<f32> {
    // By strips whose lines stay in the first cache, as neighbors of a column lie far apart.
    const STRIP: usize = 16;
    let mut out = vec![0.0; values.len()];
    out.par_chunks_mut((STRIP * n).max(1)).enumerate().for_each(|(strip, out)| {
        let columns = out.len() / n;
        for (i, row) in values.chunks_exact(m).enumerate() {
            for (j, x) in row[strip * STRIP..][..columns].iter().enumerate() {
                out[j * n + i] = *x;
            }
        }
    });
    out
}

/// A file that is not what it claims to be.
pub(super) fn damaged(file: &str, reason: &str) -> Error {
    Error::new(Code::DamagedFile, format!("{file} of the SAE is damaged")).fact("reason", reason)
}
