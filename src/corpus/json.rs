//! Documents in JSON: one object a line, or one value that is an object or an array of them. Only the wanted field is kept.

use std::fmt;
use std::path::Path;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::read::Documents;
use crate::error::{Code, Error, Result};
use crate::progress;

/// Fields that an error names.
const NAMED: usize = 8;

/// Which file is read, and which field of it.
pub(super) struct Place<'a> {
    pub path: &'a Path,
    pub field: &'a str,
}

/// One object a line; empty lines are passed over.
pub(super) fn lines(text: &str, place: &Place<'_>, documents: &mut Documents) -> Result<()> {
    for (i, line) in text.lines().enumerate() {
        // Files that were put together carry a byte order mark in the middle.
        let line = line.trim_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
        if line.is_empty() {
            continue;
        }
        progress::check_stop()?;
        let at = format!("line {}", i + 1);
        let mut json = serde_json::Deserializer::from_str(line);
        let found = Pick(place.field).deserialize(&mut json);
        let found = found.and_then(|found| json.end().map(|()| found));
        let found = found.map_err(|error| place.broken(&at, &error).fact("column", error.column()))?;
        documents.push(place.text(found, &at)?)?;
    }
    Ok(())
}

/// One value, or several one after the other: each an object, or an array of objects or of texts.
pub(super) fn values(text: &str, place: &Place<'_>, documents: &mut Documents) -> Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    while json.end().is_err() {
        let mut failed = None;
        let each = Each { place, documents, failed: &mut failed };
        let outcome = each.deserialize(&mut json);
        if let Some(error) = failed {
            return Err(error);
        }
        outcome
            .map_err(|error| place.broken(&format!("line {}", error.line()), &error).fact("column", error.column()))?;
    }
    Ok(())
}

impl Place<'_> {
    fn broken(&self, at: &str, error: &serde_json::Error) -> Error {
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_string();
        let reason = match reason.contains("hex escape") || reason.contains("surrogate") {
            true => format!("{reason}: a lone surrogate, half of a pair of `\\u` escapes"),
            false => reason,
        };
        Error::new(Code::DamagedFile, format!("{at} of `{}` is not valid JSON", self.path.display()))
            .fact("reason", reason)
            .fact("expected", format!("{{\"{}\": \"...\"}}", self.field))
    }

    fn text(&self, found: Found, at: &str) -> Result<String> {
        let wrong = |what: String| Error::new(Code::DamagedFile, format!("{at} of `{}` {what}", self.path.display()));
        let field = self.field;
        let (fields, texts) = match found {
            Found::Text(text) => return Ok(text),
            Found::Other(kind) => {
                return Err(wrong(format!("holds {kind} in the field `{field}`"))
                    .fact("expected", "a text")
                    .help("leave such documents out of the file, or write \"\" for an empty one"));
            }
            Found::Bare(kind) => {
                return Err(
                    wrong(format!("is {kind}, no JSON object")).fact("expected", format!("{{\"{field}\": \"...\"}}"))
                );
            }
            Found::Fields(fields, texts) => (fields, texts),
        };
        let error = wrong(format!("has no field `{field}`"));
        let error = error.fact("fields", if fields.is_empty() { "none".to_string() } else { fields.join(", ") });
        Err(match crate::error::nearest(field, &texts.iter().map(String::as_str).collect::<Vec<_>>()) {
            Some(near) => error.help(format!("name the field: `corpus::load(path, #{{ field: \"{near}\" }})`")),
            None => match texts.first() {
                Some(first) => error.help(format!("name the field: `corpus::load(path, #{{ field: \"{first}\" }})`")),
                None => error,
            },
        })
    }
}

/// What one value holds.
enum Found {
    /// The text under the field.
    Text(String),
    /// Something else under the field, by name.
    Other(&'static str),
    /// An object without the field: all fields, and those that hold a text.
    Fields(Vec<String>, Vec<String>),
    /// No object, by name; a text counts as a document where it stands in an array.
    Bare(&'static str),
}

/// Takes one field out of an object.
struct Pick<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Found, D::Error> {
        json.deserialize_any(self)
    }
}

/// The visits of values that are neither text, array nor object.
macro_rules! plain {
    ($value:ty, $made:expr) => {
        fn visit_bool<E>(self, _: bool) -> std::result::Result<$value, E> {
            Ok($made("a truth value"))
        }

        fn visit_i64<E>(self, _: i64) -> std::result::Result<$value, E> {
            Ok($made("a number"))
        }

        fn visit_u64<E>(self, _: u64) -> std::result::Result<$value, E> {
            Ok($made("a number"))
        }

        fn visit_f64<E>(self, _: f64) -> std::result::Result<$value, E> {
            Ok($made("a number"))
        }

        fn visit_unit<E>(self) -> std::result::Result<$value, E> {
            Ok($made("null"))
        }
    };
}

/// Reads the rest of an array.
fn skip<'de, A: SeqAccess<'de>>(mut items: A) -> std::result::Result<(), A::Error> {
    while items.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    plain!(Found, Found::Bare);

    fn visit_str<E>(self, _: &str) -> std::result::Result<Found, E> {
        Ok(Found::Bare("a text"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<Found, A::Error> {
        skip(items).map(|()| Found::Bare("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found, A::Error> {
        let (mut found, mut fields, mut texts) = (None, Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                found = Some(map.next_value_seed(Field { keep: true })?);
                continue;
            }
            let value = map.next_value_seed(Field { keep: false })?;
            if matches!(value, Found::Text(_)) && texts.len() < NAMED {
                texts.push(key.clone());
            }
            if fields.len() < NAMED {
                fields.push(key);
            }
        }
        Ok(found.unwrap_or(Found::Fields(fields, texts)))
    }
}

/// The value of one field: its text, kept or not, or what else it is.
struct Field {
    keep: bool,
}

impl<'de> DeserializeSeed<'de> for Field {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Found, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    plain!(Found, Found::Other);

    fn visit_str<E>(self, text: &str) -> std::result::Result<Found, E> {
        Ok(Found::Text(if self.keep { text.to_string() } else { String::new() }))
    }

    fn visit_string<E>(self, text: String) -> std::result::Result<Found, E> {
        Ok(Found::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<Found, A::Error> {
        skip(items).map(|()| Found::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an object"))
    }
}

/// Adds each document of one value.
struct Each<'a, 'd> {
    place: &'a Place<'a>,
    documents: &'d mut Documents,
    failed: &'d mut Option<Error>,
}

impl Each<'_, '_> {
    fn add(&mut self, text: Result<String>) -> bool {
        let added = text.and_then(|text| progress::check_stop().and_then(|()| self.documents.push(text)));
        *self.failed = added.err();
        self.failed.is_none()
    }
}

impl<'de> DeserializeSeed<'de> for Each<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Each<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> std::result::Result<(), A::Error> {
        let found = Pick(self.place.field).visit_map(map)?;
        let at = format!("document {}", self.documents.len() + 1);
        let text = self.place.text(found, &at);
        if self.add(text) { Ok(()) } else { Err(stop()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> std::result::Result<(), A::Error> {
        while let Some(item) = items.next_element_seed(Item(self.place.field))? {
            let at = format!("document {}", self.documents.len() + 1);
            let text = self.place.text(item, &at);
            if !self.add(text) {
                return Err(stop());
            }
        }
        Ok(())
    }
}

/// Ends the reading: the error itself is kept beside.
fn stop<E: serde::de::Error>() -> E {
    E::custom("stopped")
}

/// An item of an array: an object, or the text itself.
struct Item<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<Found, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a text")
    }

    plain!(Found, Found::Bare);

    fn visit_str<E>(self, text: &str) -> std::result::Result<Found, E> {
        Ok(Found::Text(text.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<Found, A::Error> {
        Pick(self.0).visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Found, A::Error> {
        Pick(self.0).visit_map(map)
    }
}
