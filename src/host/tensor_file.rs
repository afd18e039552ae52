//! Tensors in files: `.npy` and `.safetensors`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::{SafeTensors, tensor::TensorView};

use crate::error::{Code, Error, Result};
use crate::host::value::values;
use crate::ops::element::Element;
use crate::store::write_atomic;
use crate::{input, memory, npy};

/// Reads a tensor as f32; `shown` is the path as the script wrote it, `name` one of several in the file.
///
/// # Errors
/// `missing-file`, `damaged-file`, `unsupported` for another ending, `unknown-name`.
pub fn read(path: &Path, shown: &str, name: Option<&str>) -> Result<Tensor> {
    if !path.exists() {
        return Err(Error::new(Code::MissingFile, format!("there is no file `{shown}`")));
    }
    if !["npy", "safetensors"].contains(&ending(path)) {
        return Err(unsupported(shown));
    }
    let bytes = input::read(path)?;
    memory::check("the tensor", 2 * bytes.len() as u64, "use a smaller file")?;
    from_bytes(&bytes, shown, name)
}

/// As [`read`], of the bytes of the file that is called `shown`.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8], shown: &str, name: Option<&str>) -> Result<Tensor> {
    let (shape, values) = match ending(Path::new(shown)) {
        "npy" => npy::read(bytes).map_err(|reason| damaged(shown, reason))?,
        "safetensors" => {
            let all = SafeTensors::deserialize(bytes).map_err(|error| damaged(shown, error.to_string()))?;
            named(&all, shown, name)?
        }
        _ => return Err(unsupported(shown)),
    };
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn damaged(shown: &str, reason: String) -> Error {
    Error::new(Code::DamagedFile, format!("`{shown}` cannot be read as a tensor")).fact("reason", reason)
}

/// The shape and values of the tensor with this name, or of the only one.
fn named(all: &SafeTensors<'_>, shown: &str, name: Option<&str>) -> Result<(Vec<usize>, Vec<f32>)> {
    let mut known = all.names();
    known.sort_unstable();
    let wanted = match (name, known.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            return Err(Error::new(Code::UnknownName, format!("`{shown}` holds {} tensors", known.len()))
                .fact("known", known.join(", "))
                .help("name one: `tensor::load(path, #{ name: \"..\" })`"));
        }
    };
    let view = all.tensor(wanted).map_err(|_| Error::unknown(Code::UnknownName, "tensor", wanted, &known))?;
    let element = Element::of_safetensors(view.dtype()).ok_or_else(|| {
        Error::new(Code::Unsupported, format!("`{wanted}` in `{shown}` has type {:?}", view.dtype()))
            .fact("available", "F64, F32, F16, BF16, BOOL and ints")
    })?;
    Ok((view.shape().to_vec(), element.to_f32(view.data())))
}

/// Writes a tensor, whole or not at all.
///
/// # Errors
/// `unsupported` for another ending, `write-failed`.
pub fn write(path: &Path, shown: &str, name: &str, tensor: &Tensor) -> Result<()> {
    let bytes: Vec<u8> = values(tensor)?.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = match ending(path) {
        "npy" => npy::write(tensor.dims(), &bytes),
        "safetensors" => {
            let failed = |error: safetensors::SafeTensorError| Error::new(Code::WriteFailed, error.to_string());
            let view = TensorView::new(safetensors::Dtype::F32, tensor.dims().to_vec(), &bytes).map_err(failed)?;
            let none: Option<HashMap<String, String>> = None;
            safetensors::serialize([(name.to_string(), view)], none).map_err(failed)?
        }
        _ => return Err(unsupported(shown)),
    };
    write_atomic(path, &bytes)
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

fn unsupported(shown: &str) -> Error {
    Error::new(Code::Unsupported, format!("`{shown}` is no kind of tensor file"))
        .fact("expected", "a name that ends in .npy or .safetensors")
}
