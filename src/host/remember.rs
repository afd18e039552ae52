//! Expensive calls whose result is small: remembered as one JSON file.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::host::session::Session;
use crate::store;

const FILE: &str = "result.json";

/// The key of a call: `inputs` are names and content digests, `options` the resolved ones.
pub fn key(function: &str, version: u32, options: Value, inputs: &[(&str, &str)]) -> store::Key {
    let inputs = inputs.iter().map(|(name, digest)| (name.to_string(), digest.to_string())).collect();
    store::Key { function: function.to_string(), version, options, inputs }
}

/// The resolved options of a call, for its key and the run lock; `left_out` are those that do not change the result.
pub fn resolved(options: &impl serde::Serialize, left_out: &[&str]) -> Value {
    let mut value = serde_json::to_value(options).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.retain(|name, _| !left_out.contains(&name.as_str()));
    }
    value
}

/// The JSON that `compute` gives, or gave before for this key.
///
/// # Errors
/// Those of `compute`; `write-failed`; `damaged-file`.
pub fn json(session: &Arc<Session>, key: store::Key, compute: &mut dyn FnMut() -> Result<Value>) -> Result<Value> {
    let entry = session.remember(key, &mut |folder, _| {
        let text = compute()?.to_string();
        store::write_atomic(&folder.join(FILE), text.as_bytes())
    })?;
    let damaged = |why: String| Error::new(Code::DamagedFile, "a cached result is damaged").fact("reason", why);
    let text = std::fs::read(entry.verified(FILE)?).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))
}

/// As [`json`]; what was remembered and is not `current`, because an older version did not measure all of it, is computed again in its place.
///
/// # Errors
/// As [`json`].
pub fn json_if(
    session: &Arc<Session>,
    key: store::Key,
    current: &dyn Fn(&Value) -> bool,
    compute: &mut dyn FnMut() -> Result<Value>,
) -> Result<Value> {
    let found = json(session, key.clone(), compute)?;
    if current(&found) {
        return Ok(found);
    }
    session.cache().forget(&key);
    json(session, key, compute)
}

/// A struct of the core as JSON.
///
/// # Errors
/// `internal` when it does not serialize, which no core type does.
pub fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::new(Code::Internal, "a result does not serialize").fact("reason", e))
}
