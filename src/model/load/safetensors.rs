//! Tensors out of `.safetensors`, one file or the several of an index.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::tensor::SafeTensors;

use super::tensors::{Tensors, floats};
use super::{damaged, read};
use crate::error::Result;

/// Adds all tensors in the bytes of a file of this name.
///
/// # Errors
/// `damaged-file`.
pub fn add(tensors: &mut Tensors, name: &str, bytes: &[u8]) -> Result<()> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(name, e))?;
    for (name, view) in file.iter() {
        tensors.add(name, view.shape(), floats(&format!("{:?}", view.dtype()), view.data()));
    }
    Ok(())
}

/// The tensors of a file.
///
/// # Errors
/// `missing-file`, `damaged-file`.
pub fn open(path: &Path) -> Result<Tensors> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut tensors = Tensors::new(&name);
    add(&mut tensors, &name, &read(path)?)?;
    Ok(tensors)
}

/// The tensors of a folder: those of the files that `model.safetensors.index.json` names, or of `model.safetensors`.
///
/// # Errors
/// `missing-file`, `damaged-file`.
pub fn open_dir(dir: &Path) -> Result<Tensors> {
    const INDEX: &str = "model.safetensors.index.json";
    let index = dir.join(INDEX);
    if !index.is_file() {
        return open(&dir.join("model.safetensors"));
    }
    let index: serde_json::Value = serde_json::from_slice(&read(&index)?).map_err(|e| damaged(INDEX, e))?;
    let map = index["weight_map"].as_object().ok_or_else(|| damaged(INDEX, "no `weight_map`"))?;
    let mut tensors = Tensors::new(INDEX);
    let files: BTreeSet<&str> = map.values().filter_map(|file| file.as_str()).collect();
    for file in files {
        // An index that was made by others must not read files of its choice.
        if Path::new(file).file_name() != Some(file.as_ref()) {
            return Err(damaged(INDEX, format!("`{file}` is no plain file name")));
        }
        add(&mut tensors, file, &read(&dir.join(file))?)?;
    }
    Ok(tensors)
}
