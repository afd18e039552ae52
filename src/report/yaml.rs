//! YAML in and out. The only file that names serde_yaml, which is archived upstream.

use std::fmt::{self, Display};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
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
    for field in ["saerun", "kernel", "script", "params", "inputs", "steps", "outputs"] {
        if value.get(field).is_none() {
            continue;
        }
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
    let damaged = |error| Error::new(Code::DamagedFile, "the parameter file is no valid YAML").fact("reason", error);
    // As a `Value` of YAML, where a key that stands twice is an error; JSON would keep the last one.
    let value: serde_yaml::Value = serde_yaml::from_str(text.trim_start_matches('\u{feff}')).map_err(damaged)?;
    match serde_yaml::from_value::<Value>(value).map_err(damaged)? {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        value @ Value::Object(_) => Ok(value),
        _ => Err(Error::new(Code::WrongType, "a parameter file holds names and values")
            .fact("expected", "lines such as `seed: 3`")),
    }
}

/// An error in a YAML text, and where.
#[derive(Debug, Clone)]
pub struct Located {
    /// What is wrong.
    pub error: Error,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// The value that a file written by a person stands for; `what` names the file in errors.
///
/// # Errors
/// `damaged-file` where the text is no YAML, or does not have the form of a `T`.
pub fn read<T: DeserializeOwned>(text: &str, what: &str) -> std::result::Result<T, Located> {
    serde_yaml::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Located {
            error: Error::new(Code::DamagedFile, format!("{what} cannot be read")).fact("reason", reason),
            line,
            column,
        }
    })
}

/// Line and column of the entry of a YAML text that a path leads to, or of the last one that is there: of a map's entry
/// the key, of a list's the value. serde_yaml tells positions in errors only, so an error is raised at the place.
pub fn position(text: &str, path: &[String]) -> (usize, usize) {
    let probed = Probe(path).deserialize(serde_yaml::Deserializer::from_str(text));
    probed.err().and_then(|error| error.location()).map_or((1, 1), |at| (at.line(), at.column()))
}

/// Follows a path and fails at its end; every kind of value that is not descended into fails by itself.
struct Probe<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the end of the path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Err(A::Error::custom("here")) };
        while let Some(found) = map.next_key_seed(Key { wanted: first, last: rest.is_empty() })? {
            if found { map.next_value_seed(Probe(rest))? } else { map.next_value::<IgnoredAny>().map(drop)? }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..first.parse().unwrap_or(0) {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Probe(rest)).map(drop)
    }
}

/// Whether a key is the wanted one; fails there when the path ends with it.
struct Key<'a> {
    wanted: &'a str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> std::result::Result<bool, E> {
        if self.last && key == self.wanted { Err(E::custom("here")) } else { Ok(key == self.wanted) }
    }
}
