//! YAML in and out. The only file that names serde_yaml, which is archived upstream.

use std::fmt::Display;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::store::Lock;

/// The run lock as YAML, one fact a line, under a comment that says what the file is.
///
/// # Errors
/// `internal` when an option cannot be written as YAML.
pub fn lock_to_yaml(lock: &Lock) -> Result<String> {
    let failed = |error: &dyn Display| Error::new(Code::Internal, format!("cannot write the run lock: {error}"));
    let value = serde_json::to_value(lock).map_err(|error| failed(&error))?;
    // `Value` keeps maps in the order of their keys; the lock's own order (script first, outputs last) is by field.
    let mut text = format!("# Written by `saerun {}`; do not edit.\n", lock.script.file);
    for field in ["saerun", "script", "params", "inputs", "steps", "outputs"] {
        let one = serde_json::Map::from_iter([(field.to_string(), crate::store::sorted(&value[field]))]);
        text += &serde_yaml::to_string(&one).map_err(|error| failed(&error))?;
    }
    Ok(text)
}

/// A run lock as it was written.
///
/// # Errors
/// `damaged-file` when it is no lock.
pub fn lock_from_yaml(text: &str) -> Result<Lock> {
    serde_yaml::from_str(text)
        .map_err(|error| Error::new(Code::DamagedFile, "the run lock cannot be read").fact("reason", error))
}

/// The parameters in a file given by `--params`: a map of names to values; an empty file is an empty map.
///
/// # Errors
/// `damaged-file` with the line when it is no YAML, `wrong-type` when it is no map of names.
pub fn parse_params(text: &str) -> Result<Value> {
    let value: Value = serde_yaml::from_str(text)
        .map_err(|error| Error::new(Code::DamagedFile, "the parameter file is no valid YAML").fact("reason", error))?;
    match value {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        Value::Object(_) => Ok(value),
        _ => Err(Error::new(Code::WrongType, "a parameter file holds names and values")
            .fact("expected", "lines such as `seed: 3`")),
    }
}
