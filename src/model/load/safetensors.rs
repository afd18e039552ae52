//! Tensors out of `.safetensors`, one file or the several of an index.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::tensor::SafeTensors;

use super::tensors::{Tensors, check_memory, floats};
use super::{damaged, json, read};
use crate::error::Result;
use crate::progress;

/// Adds all tensors in the bytes of a file of this name.
///
/// # Errors
/// `damaged-file`.
pub fn add(tensors: &mut Tensors, name: &str, bytes: &[u8]) -> Result<()> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(name, e))?;
    for (name, view) in file.iter() {
        progress::check_stop()?;
        check_memory(view.shape().iter().product())?;
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

/// The tensors of a folder: those of `model.safetensors`, or of the several files that `model.safetensors.index.json` names. An index beside
/// the whole file is left from an earlier save; it counts where it names that file itself.
///
/// # Errors
/// `missing-file`, `damaged-file`.
pub fn open_dir(dir: &Path) -> Result<Tensors> {
    const INDEX: &str = "model.safetensors.index.json";
    const WHOLE: &str = "model.safetensors";
    let (index, whole) = (dir.join(INDEX), dir.join(WHOLE));
    if !index.is_file() {
        return open(&whole);
    }
    let index = read(&index).and_then(|bytes| json::<serde_json::Value>(INDEX, &bytes));
    let named = index.and_then(|index| files(INDEX, &index));
    if whole.is_file() && !named.as_ref().is_ok_and(|files| files.contains(WHOLE)) {
        return open(&whole);
    }
    let mut tensors = Tensors::new(INDEX);
    for file in named? {
        add(&mut tensors, &file, &read(&dir.join(&file))?)?;
    }
    Ok(tensors)
}

/// The files that an index names.
fn files(name: &str, index: &serde_json::Value) -> Result<BTreeSet<String>> {
    let map = index["weight_map"].as_object().ok_or_else(|| damaged(name, "no `weight_map`"))?;
    let files: BTreeSet<String> = map.values().filter_map(|file| file.as_str()).map(str::to_string).collect();
    // An index that was made by others must not read files of its choice.
    match files.iter().find(|file| Path::new(file).file_name() != Some(file.as_ref())) {
        Some(file) => Err(damaged(name, format!("`{file}` is no plain file name"))),
        None => Ok(files),
    }
}
