//! The JSON files of SAE folders.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::stored::damaged;
use super::unique::Unique;
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;

/// A JSON object and the file that it is from.
#[derive(Debug, Clone)]
pub(super) struct Cfg<'a> {
    file: &'a str,
    object: Value,
}

impl<'a> Cfg<'a> {
    /// Parses the bytes of `file`.
    ///
    /// # Errors
    /// `damaged-file` when they are no JSON object, or name a key twice.
    pub(super) fn parse(file: &'a str, bytes: &[u8]) -> Result<Self> {
        let Unique(object) = serde_json::from_slice(bytes).map_err(|error| damaged(file, &error.to_string()))?;
        if object.is_object() { Ok(Cfg { file, object }) } else { Err(damaged(file, "it is not a JSON object")) }
    }

    /// An object without keys.
    pub(super) fn none(file: &'a str) -> Self {
        Cfg { file, object: Value::Null }
    }

    /// The object under a key; without keys when it is missing.
    pub(super) fn child(&self, key: &str) -> Cfg<'a> {
        Cfg { file: self.file, object: self.object.get(key).cloned().unwrap_or_default() }
    }

    /// All keys with their values; none where there is no object.
    pub(super) fn all(&self) -> Map<String, Value> {
        self.object.as_object().cloned().unwrap_or_default()
    }

    /// A key's value as it stands.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A key's value; a missing or null one is `None`.
    ///
    /// # Errors
    /// `damaged-file` for one of another type.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let read = |value: &Value| {
            serde_json::from_value(value.clone()).map_err(|error| self.damaged(&format!("`{key}`: {error}")))
        };
        self.value(key).map(read).transpose()
    }

    /// The text of the first of these keys that has one.
    ///
    /// # Errors
    /// `damaged-file` for one of another type.
    pub(super) fn text(&self, keys: &[&str]) -> Result<Option<String>> {
        keys.iter().find(|key| self.value(key).is_some()).map_or(Ok(None), |key| self.get(key))
    }

    /// An int above 0.
    ///
    /// # Errors
    /// `damaged-file` for anything else.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        match self.get::<usize>(key) {
            Ok(Some(size)) if size > 0 => Ok(size),
            _ => Err(self.damaged(&format!("`{key}` is not an int above 0"))),
        }
    }

    /// Checks that a key has one of the values that this version computes.
    ///
    /// # Errors
    /// `unsupported`.
    pub(super) fn supported(&self, key: &str, value: &str, available: &[&str]) -> Result<()> {
        if available.contains(&value) {
            return Ok(());
        }
        Err(Error::new(Code::Unsupported, format!("`{key}: \"{value}\"` in {} is not available", self.file))
            .fact("available", available.join(", ")))
    }

    /// The error for a file that is not what it claims to be.
    pub(super) fn damaged(&self, reason: &str) -> Error {
        damaged(self.file, reason)
    }
}

/// Bytes that are read between two looks for a stop.
const BLOCK: u64 = 32 << 20;

/// The bytes of a file of an SAE.
///
/// # Errors
/// `missing-file`; `interrupted`.
pub(super) fn read(path: &Path, format: &str, monitor: &dyn Monitor) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Error::new(Code::MissingFile, format!("{name} of the SAE cannot be read"))
            .fact("path", path.display())
            .fact("reason", error)
            .help(format!("the format is {format}"))
    };
    let mut file = File::open(path).map_err(failed)?;
    // What is no plain file has no end, or does not give its bytes.
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is not a plain file")));
    }
    let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |data| data.len() as usize));
    loop {
        monitor.check()?;
        if file.by_ref().take(BLOCK).read_to_end(&mut bytes).map_err(failed)? == 0 {
            return Ok(bytes);
        }
    }
}
