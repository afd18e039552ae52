//! `params`: what a user may change without editing the script.

use rhai::plugin::*;
use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::host::kinds;
use crate::host::raise::{At, Raised};
use crate::host::session::{Override, session};
use crate::host::value::{from_json, to_json};

/// The function `params`.
#[export_module]
pub mod params {
    /// Declares every parameter of the script with its default, which fixes its type.
    ///
    /// * `defaults`: a map from name to default: bool, int, float, string, or an array or map of them. At most one call a
    ///   script, at top level. `--set name=value` and `--params FILE.yaml` override. A default fixes the type, inside arrays and
    ///   maps too: an int serves for a float, and null for nothing. An array may be given any length; an empty default takes
    ///   elements of any type but null. A map may be given in part; the other keys keep their defaults. Only `()` as a default
    ///   takes anything.
    ///
    /// Returns the map with the overrides in place.
    /// Errors: `unknown-parameter` for an override that is not declared, and for a key that a default map does not have;
    /// `wrong-type` for one of another type.
    ///
    /// ```rhai
    /// let p = params(#{ seed: 0, tokens: 1_000_000, sign: "signed" });
    /// assert_eq(p.tokens, 1_000_000);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn params(ctx: NativeCallContext, defaults: Map) -> Raised<Map> {
        let session = session(&ctx);
        let declared = to_json(&Dynamic::from_map(defaults.clone()), "params").at(&ctx)?;
        let resolved = resolve(defaults, session.overrides()).inspect_err(|_| session.blame_command_line()).at(&ctx)?;
        let json = to_json(&Dynamic::from_map(resolved.clone()), "params").at(&ctx)?;
        session.set_params(json, declared).at(&ctx)?;
        Ok(resolved)
    }
}

/// The defaults with the overrides in place.
fn resolve(mut defaults: Map, overrides: &std::collections::BTreeMap<String, Override>) -> Result<Map> {
    for (name, given) in overrides {
        let Some(default) = defaults.get(name.as_str()) else {
            let known: Vec<&str> = defaults.keys().map(|key| key.as_str()).collect();
            return Err(Error::unknown(Code::UnknownParameter, "parameter", name, &known));
        };
        let value = typed(name, default, given)?;
        defaults.insert(name.as_str().into(), value);
    }
    Ok(defaults)
}

/// An override as a value of its default's type.
pub(crate) fn typed(name: &str, default: &Dynamic, given: &Override) -> Result<Dynamic> {
    let value = match given {
        Override::Plain(value) => from_json(value),
        Override::Text(text) if default.is_string() => Dynamic::from(text.clone()),
        Override::Text(text) => from_json(&parse(text)),
    };
    kinds::fit(&format!("parameter `{name}`"), default, value)
}

/// The text of `--set`: a bool, a number (underscores allowed), a JSON array or map, or else a string.
fn parse(given: &str) -> Value {
    let text = given.trim();
    let plain = text.replace('_', "");
    let number = || plain.parse::<i64>().map(Value::from).ok().or_else(|| plain.parse::<f64>().map(Value::from).ok());
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "()" => Value::Null,
        _ => number()
            .filter(|value| !value.is_null())
            .unwrap_or_else(|| serde_json::from_str(text).unwrap_or_else(|_| Value::String(given.to_string()))),
    }
}
