//! Options, described once: the field of a struct holds an option's name, type, default and meaning, and the documentation, the
//! checking of keys and the error messages follow from it.
//!
//! [`options!`](crate::options!) declares such a struct; [`read`] makes one of the values that a script gave.

use std::cell::RefCell;

use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;

use crate::error::{Code, Error, Result};

/// One option, as the documentation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its key in the option map.
    pub name: &'static str,
    /// Its default as a script writes it: `0.25`, `"signed"`, `()`.
    pub default: String,
    /// What it means.
    pub meaning: String,
}

/// A struct whose fields are the options of a function.
pub trait Described {
    /// The options, in the order of the documentation.
    fn described() -> Vec<Field>;
}

/// Declares a struct of options: each field with its meaning, type and default.
///
/// ```text
/// options! {
///     /// Options of `reg::hinge`.
///     pub struct HingeOptions {
///         /// cosines up to here cost nothing, from -1 to 1
///         tau: f64 = 0.2,
///     }
/// }
/// ```
#[macro_export]
macro_rules! options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $kind:ty = $default:expr,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $crate::options::Described for $name {
            fn described() -> Vec<$crate::options::Field> {
                let meanings = [$((stringify!($field), concat!($($doc),+)),)*];
                $crate::options::fields(&Self::default(), &meanings)
            }
        }
    };
}

/// The fields of a struct with their defaults, for [`options!`](crate::options!).
pub fn fields(defaults: &impl Serialize, meanings: &[(&'static str, &str)]) -> Vec<Field> {
    let defaults = serde_json::to_value(defaults).unwrap_or_default();
    let field = |&(name, meaning): &(&'static str, &str)| {
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        Field { name, default: script_text(&defaults[name]), meaning }
    };
    meanings.iter().map(field).collect()
}

/// A value as a script writes it.
fn script_text(value: &Value) -> String {
    match value {
        Value::Null => "()".to_string(),
        other => other.to_string(),
    }
}

/// Those of the `given` options that are not the default, in words for a label: `abs`, `encoder`, `tau 0.1`, `relu`. Options in
/// `except` are left out.
pub fn differences<T: Described + Serialize + Default>(given: &T, except: &[&str]) -> Vec<String> {
    let json = |options: &T| serde_json::to_value(options).unwrap_or_default();
    let (given, defaults) = (json(given), json(&T::default()));
    let fields = T::described()
        .into_iter()
        .filter(|field| !except.contains(&field.name) && given[field.name] != defaults[field.name]);
    let words = |field: Field| match &given[field.name] {
        Value::String(word) => word.clone(),
        Value::Bool(true) => field.name.to_string(),
        Value::Number(x) => format!("{} {}", field.name, x.as_f64().unwrap_or_default()),
        other => format!("{} {}", field.name, script_text(other)),
    };
    fields.map(words).collect()
}

/// Options of `function` (such as `reg::hinge`), parsed from the values that were given by key.
///
/// # Errors
/// `unknown-option` for a key that is not `known`; `wrong-type`, `unknown-name` or `out-of-range` for a value that its field
/// cannot hold. Each names the key.
pub fn read<T>(
    function: &str,
    known: &[&str],
    given: Vec<(String, Value)>,
    parse: impl Fn(Value) -> serde_json::Result<T>,
) -> Result<T> {
    if let Some((key, _)) = given.iter().find(|(key, _)| !known.is_empty() && !known.contains(&key.as_str())) {
        return Err(unknown(function, key, known));
    }
    let map = |pairs: &[(String, Value)]| Value::Object(pairs.iter().cloned().collect());
    parse(map(&given)).map_err(|error| {
        // serde does not name the key: the culprit is the first option that fails alone, for the same reason.
        let fails = |pair: &&(String, Value)| {
            parse(map(std::slice::from_ref(*pair))).err().is_some_and(|alone| alone.to_string() == error.to_string())
        };
        explain(function, &error.to_string(), given.iter().find(fails))
    })
}

/// The error for a key that the function does not have.
pub fn unknown(function: &str, key: &str, known: &[&str]) -> Error {
    let mut error = Error::unknown(Code::UnknownOption, "option", key, known);
    error.message = format!("{function} has no option `{key}`");
    error
}

/// serde's message as an error in the words of scripts. serde names what it expected; it does not name the key.
fn explain(function: &str, message: &str, given: Option<&(String, Value)>) -> Error {
    let ticked: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("missing field") {
        let name = ticked.first().copied().unwrap_or("?");
        return Error::new(Code::WrongType, format!("option `{name}` of {function} is required"))
            .fact("expected", "a value")
            .fact("given", "nothing")
            .help(format!("add `{name}: ..` to the option map"));
    }
    let what = format!("option `{}` of {function}", given.map_or("?", |(key, _)| key.as_str()));
    if let Some((name, known)) = ticked.split_first().filter(|_| message.starts_with("unknown variant")) {
        let mut error = Error::unknown(Code::UnknownName, "name", name, known);
        error.message = format!("{what} has no choice `{name}`");
        return error;
    }
    if let Some((name, known)) = ticked.split_first().filter(|_| message.starts_with("unknown field")) {
        return Error::unknown(Code::UnknownOption, &format!("key in {what}:"), name, known);
    }
    let shown = given.map_or_else(|| "nothing".to_string(), |(_, value)| json_words(value));
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
pub fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
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
