//! The run lock: what a committed result was made from and by, as plain data. `report::yaml` writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::Key;
use super::results::Written;
use crate::error::{Code, Error, Result};

/// The facts of a run that do not depend on when and where it ran: no time, no host, no path outside the project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of saerun.
    pub saerun: String,
    /// The instruction set of the inner products, the fact about the processor that bits may depend on; unknown in old locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The script.
    pub script: Script,
    /// Every parameter with its resolved value.
    pub params: BTreeMap<String, Value>,
    /// The remembered functions that were called, in the order of the script.
    pub steps: Vec<Step>,
    /// Content digests of the files that were read, by project-relative name.
    pub inputs: BTreeMap<String, String>,
    /// Of those that are files or folders: the digest of their bytes, by which `verify` sees whether they have changed; not kept
    /// in old locks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The files that were written, by name.
    pub outputs: BTreeMap<String, Written>,
}

/// A script and what it imports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its path inside the project, with `/`.
    pub file: String,
    /// BLAKE3 of its code, in hex: comments and layout do not count.
    pub blake3: String,
    /// Imported files: path inside the project and BLAKE3 of the code.
    pub imports: BTreeMap<String, String>,
}

/// A call of a remembered function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Such as `sae::train`.
    pub function: String,
    /// The digest of its key.
    pub key: String,
    /// The version of the function, which is part of the key; unknown in old locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Its options with every default resolved.
    pub options: Value,
    /// Content digests of what it was given, by role; not kept in old locks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
}

impl Lock {
    /// BLAKE3 of everything that the lock says, in hex.
    ///
    /// # Errors
    /// `internal` when it cannot be written as JSON.
    pub fn digest(&self) -> Result<String> {
        let value = serde_json::to_value(self)
            .map_err(|error| Error::new(Code::Internal, format!("cannot write the run lock: {error}")))?;
        Ok(blake3::hash(super::canonical_json(&value).as_bytes()).to_hex().to_string())
    }
}

impl Step {
    /// Whether the key is that of the function, options and inputs that stand beside it; unknown in old locks.
    pub fn is_whole(&self) -> bool {
        let Some(version) = self.version else { return true };
        let inputs = self.inputs.clone().into_iter().collect();
        let key = Key { function: self.function.clone(), version, options: self.options.clone(), inputs };
        key.digest() == self.key
    }

    /// What a lock says of the call that this key stands for.
    pub fn of(key: &Key) -> Step {
        Step {
            function: key.function.clone(),
            key: key.digest(),
            version: Some(key.version),
            options: super::sorted(&key.options),
            inputs: key.inputs.iter().cloned().collect(),
        }
    }
}
