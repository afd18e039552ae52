//! YAML in and out. The only file that names serde_yaml, which is archived upstream.

use std::fmt::{self, Display};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::store::Lock;

/// Brackets and list marks may be nested so deep; what is deeper takes serde_yaml minutes to refuse. A few more than it allows by
/// itself, which is 128 levels, because brackets inside of text are counted too.
const DEPTH: usize = 1000;

/// The run lock as YAML, one fact a line, under a comment that says what the file is. Its last line is the lock's own digest.
///
/// # Errors
/// `internal` when an option cannot be written as YAML.
pub fn lock_to_yaml(lock: &Lock) -> Result<String> {
    let failed = |error: &dyn Display| Error::new(Code::Internal, format!("cannot write the run lock: {error}"));
    let value = serde_json::to_value(lock).map_err(|error| failed(&error))?;
    // `Value` keeps maps in the order of their keys; the lock's own order (script first, outputs last) is by field.
    let mut text = format!("# Written by `saerun {}`; do not edit.\n", lock.script.file);
    for field in ["saerun", "kernel", "script", "params", "inputs", "files", "steps", "outputs"] {
        if value.get(field).is_none() {
            continue;
        }
        let one = serde_json::Map::from_iter([(field.to_string(), crate::store::sorted(&value[field]))]);
        text += &serde_yaml::to_string(&one).map_err(|error| failed(&error))?;
    }
    // Of what will be read, in case that a number is not written as it was.
    if let Ok(read) = lock_from_yaml(&text) {
        text += &format!("digest: {}\n", read.digest()?);
    }
    Ok(text)
}

/// A run lock as it was written.
///
/// # Errors
/// `damaged-file` when it is no lock.
pub fn lock_from_yaml(text: &str) -> Result<Lock> {
    sealed_lock(text).map(|(lock, _)| lock)
}

/// A run lock, and whether it is what its own digest says; unknown in old locks.
///
/// # Errors
/// `damaged-file` when it is no lock.
pub fn sealed_lock(text: &str) -> Result<(Lock, Option<bool>)> {
    let damaged = |reason: &dyn Display| {
        let error = Error::new(Code::DamagedFile, "the run lock cannot be read").fact("reason", reason);
        match text.lines().any(|line| ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark))) {
            true => error.help("git left marks of a merge in it: run the script again, or take one side whole"),
            false => error.help("run the script again, or take the file from the repository"),
        }
    };
    let mut value: Value = read(text, "the run lock").map_err(|located| damaged(&located.reason()))?;
    let said = value.as_object_mut().and_then(|fields| fields.remove("digest"));
    let lock: Lock = serde_json::from_value(value).map_err(|error| damaged(&error))?;
    let sealed = match said {
        Some(said) => Some(said.as_str() == Some(lock.digest()?.as_str())),
        None => None,
    };
    Ok((lock, sealed))
}

/// The parameters in a file given by `--params`: a map of names to values; an empty file is an empty map.
///
/// # Errors
/// `damaged-file` with the line when it is no YAML or a name stands in it twice, `wrong-type` when it is no map of names.
pub fn parse_params(text: &str) -> Result<Value> {
    let value: Value = read(text, "the parameter file").map_err(|located| {
        Error::new(Code::DamagedFile, "the parameter file is no valid YAML").fact("reason", located.reason())
    })?;
    match value {
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

impl Located {
    /// What is wrong, and the line.
    fn reason(&self) -> String {
        let reason = self.error.facts.first().map_or(&self.error.message, |(_, reason)| reason);
        format!("{reason} (line {})", self.line)
    }
}

/// The value that a file written by a person stands for; `what` names the file in errors. Every reader of YAML goes through
/// here: a mark of the byte order at the start is passed over, a key that stands twice in a map is an error, and so is
/// nesting that no person writes.
///
/// # Errors
/// `damaged-file` where the text is no YAML, or does not have the form of a `T`.
pub fn read<T: DeserializeOwned>(text: &str, what: &str) -> std::result::Result<T, Located> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let failed = |reason: &str, line, column| Located {
        error: Error::new(Code::DamagedFile, format!("{what} cannot be read")).fact("reason", reason),
        line,
        column,
    };
    if let Some((line, column)) = too_deep(text) {
        return Err(failed("it is nested too deeply", line, column));
    }
    let misread = |error: serde_yaml::Error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let reason = error.to_string();
        failed(reason.split(" at line ").next().unwrap_or_default(), line, column)
    };
    // serde_yaml's own maps refuse keys that stand twice; those of other types keep the last.
    serde_yaml::from_str::<serde_yaml::Value>(text).map_err(misread)?;
    serde_yaml::from_str(text).map_err(misread)
}

/// Where brackets or list marks are nested deeper than [`DEPTH`]. Quoted text and comments are left out, as well as they can be
/// told apart without parsing.
fn too_deep(text: &str) -> Option<(usize, usize)> {
    let (mut depth, mut quote, mut before) = (0_usize, None, ' ');
    for (number, line) in text.lines().enumerate() {
        let marks = line.split(' ').take_while(|word| ["", "-", "?"].contains(word)).filter(|word| !word.is_empty());
        if marks.count() > DEPTH {
            return Some((number + 1, 1));
        }
        let mut escaped = false;
        for (column, c) in line.chars().enumerate() {
            let starts = before.is_whitespace() || "[{,:-?(".contains(before);
            match quote {
                Some('"') if escaped => escaped = false,
                Some('"') if c == '\\' => escaped = true,
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None if c == '#' && before.is_whitespace() => break,
                None if (c == '"' || c == '\'') && starts => quote = Some(c),
                None if c == '[' || c == '{' => depth += 1,
                None if c == ']' || c == '}' => depth = depth.saturating_sub(1),
                None => {}
            }
            if depth > DEPTH {
                return Some((number + 1, column + 1));
            }
            before = c;
        }
        before = ' ';
    }
    None
}

/// Line and column of the entry of a YAML text that a path leads to, or of the last one that is there: of a map's entry
/// the key, of a list's the value. serde_yaml tells positions in errors only, so an error is raised at the place.
pub fn position(text: &str, path: &[String]) -> (usize, usize) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(place) = too_deep(text) {
        return place;
    }
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
