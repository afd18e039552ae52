//! From a script's option map to a typed struct: every failure names the function, the key, and what would be right.

use rhai::{Dynamic, Map};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Result;
use crate::host::raise::{script_name, wrong_type};
use crate::host::value::to_json;
use crate::options::{self, fields_of};

/// The options of one call, before they are typed.
pub struct Options<'a> {
    function: &'a str,
    map: Map,
    native: Vec<&'static str>,
}

impl<'a> Options<'a> {
    /// The options `map` of a call of `function`, such as `sae::train`.
    pub fn new(function: &'a str, map: Map) -> Self {
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
        // An unknown key comes before a value that cannot be one.
        if let Some(key) = self.map.keys().find(|key| !known.is_empty() && !known.contains(&key.as_str())) {
            return Err(options::unknown(self.function, key, &known));
        }
        options::read(self.function, &known, self.plain()?, serde_json::from_value)
    }

    /// What is left, as plain values by key; `()` counts as absent.
    ///
    /// # Errors
    /// `wrong-type` for closures and native values, `out-of-range` for numbers that are not finite.
    pub fn plain(&self) -> Result<Vec<(String, Value)>> {
        let given = self.map.iter().filter(|(_, value)| !value.is_unit());
        let plain = |(key, value): (&rhai::Identifier, &Dynamic)| {
            Ok((key.to_string(), to_json(value, &format!("option `{key}` of {}", self.function))?))
        };
        given.map(plain).collect()
    }

    /// For functions without options of their own beyond the native ones: nothing may be left.
    ///
    /// # Errors
    /// `unknown-option` for any key that is left.
    pub fn finish(self) -> Result<()> {
        match self.map.keys().next() {
            Some(key) => Err(options::unknown(self.function, key, &self.native)),
            None => Ok(()),
        }
    }
}
