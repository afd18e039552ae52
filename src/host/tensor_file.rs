//! Tensors in files: `.npy` and `.safetensors`.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::TensorView;

use crate::error::{Code, Error, Result};
use crate::host::value::values;
use crate::store::write_atomic;

/// Reads a tensor as f32; `shown` is the path as the script wrote it, `name` one of several in the file.
///
/// # Errors
/// `missing-file`, `damaged-file`, `unsupported` for another ending, `unknown-name`.
pub fn read(path: &Path, shown: &str, name: Option<&str>) -> Result<Tensor> {
    if !path.is_file() {
        return Err(Error::new(Code::MissingFile, format!("there is no file `{shown}`")));
    }
    let damaged = |error: candle_core::Error| {
        let error = Error::from(error);
        Error::new(Code::DamagedFile, format!("`{shown}` cannot be read as a tensor")).fact("reason", error.message)
    };
    let tensor = match ending(path) {
        "npy" => Tensor::read_npy(path).map_err(damaged)?,
        "safetensors" => {
            let mut all = candle_core::safetensors::load(path, &Device::Cpu).map_err(damaged)?;
            let mut known: Vec<String> = all.keys().cloned().collect();
            known.sort();
            let wanted = match (name, known.as_slice()) {
                (Some(name), _) => name.to_string(),
                (None, [only]) => only.clone(),
                (None, _) => {
                    return Err(Error::new(Code::UnknownName, format!("`{shown}` holds {} tensors", known.len()))
                        .fact("known", known.join(", "))
                        .help("name one: `tensor::load(path, #{ name: \"..\" })`"));
                }
            };
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            all.remove(&wanted).ok_or_else(|| Error::unknown(Code::UnknownName, "tensor", &wanted, &known))?
        }
        _ => return Err(unsupported(shown)),
    };
    Ok(tensor.to_dtype(DType::F32)?)
}

/// Writes a tensor, whole or not at all.
///
/// # Errors
/// `unsupported` for another ending, `write-failed`.
pub fn write(path: &Path, shown: &str, name: &str, tensor: &Tensor) -> Result<()> {
    let bytes: Vec<u8> = values(tensor)?.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = match ending(path) {
        "npy" => npy(tensor.dims(), &bytes),
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

/// NumPy's format 1.0: magic, header padded to 64 bytes, then the values.
fn npy(dims: &[usize], values: &[u8]) -> Vec<u8> {
    let shape: String = dims.iter().map(|d| format!("{d}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    let padding = 63 - (10 + header.len()) % 64;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((header.len() + padding + 1) as u16).to_le_bytes());
    bytes.extend(header.bytes().chain(std::iter::repeat_n(b' ', padding)).chain([b'\n']));
    bytes.extend(values);
    bytes
}
