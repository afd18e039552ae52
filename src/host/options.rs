//! From a script's option map to a typed struct: every failure names the function, the key, and what would be right.

use std::cell::RefCell;

use rhai::{Dynamic, Map};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::host::raise::{script_name, wrong_type};
use crate::host::value::to_json;

/// The options of one call, before they are typed.
pub struct Options {
    function: &'static str,
    map: Map,
    native: Vec<&'static str>,
}

impl Options {
    /// The options `map` of a call of `function`, such as `sae::train`.
    pub fn new(function: &'static str, map: Map) -> Self {
        Options { function, map, native: Vec::new() }
    }

    /// Takes out an option that is a native value or a closure; `()` counts as absent, an int serves for a float.
    ///
    /// # Errors
    /// `wrong-type` when it is there and is no `T`.
    pub fn take_native<T: Clone + 'static>(&mut self, key: &'static str) -> Result<Option<T>> {
        self.native.push(key);
        let Some(value) = self.map.remove(key).filter(|value| !value.is_unit()) else { return Ok(None) };
        let int_as_float = value.as_int().ok().and_then(|i| Dynamic::from(i as f64).try_cast::<T>());
        if let Some(found) = int_as_float.or_else(|| value.clone().try_cast::<T>()) {
            return Ok(Some(found));
        }
        let expected = format!("a {}", script_name(std::any::type_name::<T>()));
        Err(wrong_type(&format!("option `{key}` of {}", self.function), &expected, &value))
    }

    /// Takes out an option as it is, for those of several types; `()` counts as absent.
    pub fn take_any(&mut self, key: &'static str) -> Option<Dynamic> {
        self.native.push(key);
        self.map.remove(key).filter(|value| !value.is_unit())
    }

    /// What is left, as `T`; `()` counts as absent. Give `T` the attribute `#[serde(default)]` for its defaults.
    ///
    /// # Errors
    /// `unknown-option` for a key that `T` does not have; `wrong-type`, `unknown-name` or `out-of-range` for a value
    /// that its field cannot hold; each names the key.
    pub fn read<T: DeserializeOwned>(self) -> Result<T> {
        let known: Vec<&str> = fields_of::<T>().iter().copied().chain(self.native.iter().copied()).collect();
        let mut plain = Vec::new();
        for (key, value) in &self.map {
            if !known.is_empty() && !known.contains(&key.as_str()) {
                return Err(self.unknown(key, &known));
            }
            if !value.is_unit() {
                plain.push((key.to_string(), to_json(value, &format!("option `{key}` of {}", self.function))?));
            }
        }
        let current = RefCell::new(None);
        let given: Vec<(String, Value)> = plain.clone();
        let pairs = plain.into_iter().inspect(|(key, _)| *current.borrow_mut() = Some(key.clone()));
        T::deserialize(MapDeserializer::new(pairs)).map_err(|error: serde_json::Error| {
            let value = |key: &str| given.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
            let key = current.borrow().clone();
            self.explain(&error.to_string(), key.as_deref(), key.as_deref().and_then(value))
        })
    }

    /// For functions without options of their own beyond the native ones: nothing may be left.
    ///
    /// # Errors
    /// `unknown-option` for any key that is left.
    pub fn finish(self) -> Result<()> {
        match self.map.keys().next() {
            Some(key) => Err(self.unknown(key, &self.native)),
            None => Ok(()),
        }
    }

    /// The error for a key that the function does not have.
    fn unknown(&self, key: &str, known: &[&str]) -> Error {
        let mut error = Error::unknown(Code::UnknownOption, "option", key, known);
        error.message = format!("{} has no option `{key}`", self.function);
        error
    }

    /// serde's message as an error in the words of scripts. serde names what it expected; it does not name the key.
    fn explain(&self, message: &str, key: Option<&str>, given: Option<Value>) -> Error {
        let ticked: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if message.starts_with("missing field") {
            let name = ticked.first().copied().unwrap_or("?");
            return Error::new(Code::WrongType, format!("option `{name}` of {} is required", self.function))
                .fact("expected", "a value")
                .fact("given", "nothing")
                .help(format!("add `{name}: ..` to the option map"));
        }
        let what = format!("option `{}` of {}", key.unwrap_or("?"), self.function);
        if let Some((name, known)) = ticked.split_first().filter(|_| message.starts_with("unknown variant")) {
            let mut error = Error::unknown(Code::UnknownName, "name", name, known);
            error.message = format!("{what} has no choice `{name}`");
            return error;
        }
        if let Some((name, known)) = ticked.split_first().filter(|_| message.starts_with("unknown field")) {
            return Error::unknown(Code::UnknownOption, &format!("key in {what}:"), name, known);
        }
        let shown = given.map_or_else(|| "nothing".to_string(), |value| json_words(&value));
        if let Some((kind, expected)) = message.split_once(", expected ") {
            let code = if kind.starts_with("invalid value") { Code::OutOfRange } else { Code::WrongType };
            let problem = if code == Code::OutOfRange { "is out of range" } else { "has the wrong type" };
            let error = Error::new(code, format!("{what} {problem}")).fact("expected", expected_words(expected));
            let error = error.fact("given", &shown);
            return if kind.contains("floating point") && expected_words(expected).contains("int") {
                error.help("an int is written without a dot or an exponent, such as `1_000_000`")
            } else {
                error
            };
        }
        Error::new(Code::OutOfRange, format!("{what}: {message}")).fact("given", shown)
    }
}

/// A JSON value with its script type.
fn json_words(value: &Value) -> String {
    match value {
        Value::Null => "()".to_string(),
        Value::Bool(x) => format!("bool {x}"),
        Value::Number(x) if x.is_f64() => format!("float {x}"),
        Value::Number(x) => format!("int {x}"),
        Value::String(x) => format!("string {x:?}"),
        Value::Array(_) => "an array".to_string(),
        Value::Object(_) => "a map".to_string(),
    }
}

/// serde's name of an expected type in the words of scripts.
fn expected_words(expected: &str) -> String {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "an int, 0 or more".to_string(),
        "a nonzero usize" | "a nonzero u64" => "an int, 1 or more".to_string(),
        "i64" | "i32" => "an int".to_string(),
        "f64" | "f32" => "a number".to_string(),
        "a boolean" => "true or false".to_string(),
        "a sequence" => "an array".to_string(),
        "string or map" => "a name".to_string(),
        other => other.replace("struct ", "a map of ").replace("a sequence", "an array"),
    }
}

/// The names of the fields of a struct, asked of its own `Deserialize`; empty when it is not a plain struct.
pub(crate) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Probe<'a>(&'a RefCell<&'static [&'static str]>);

    impl<'de> Deserializer<'de> for Probe<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> std::result::Result<V::Value, Self::Error> {
            Err(Self::Error::custom("only the fields are asked for"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> std::result::Result<V::Value, Self::Error> {
            *self.0.borrow_mut() = fields;
            Err(Self::Error::custom("only the fields are asked for"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let fields = RefCell::new(&[] as &'static [&'static str]);
    let _ = T::deserialize(Probe(&fields)).is_ok();
    fields.into_inner()
}
