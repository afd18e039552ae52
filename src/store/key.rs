//! The name of a remembered result: what it was computed from.

use serde_json::Value;

/// What an expensive function's result depends on, and nothing else: no path, no time, no thread count.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The script name of the function, such as `sae::train`.
    pub function: String,
    /// Raised whenever the function's result changes for the same arguments.
    pub version: u32,
    /// Its resolved options, defaults included.
    pub options: Value,
    /// Role and content digest of each input, such as `("activations", "af13…")`.
    pub inputs: Vec<(String, String)>,
}

impl Key {
    /// BLAKE3 of the key's canonical JSON, in hex. The order of options and inputs does not matter.
    pub fn digest(&self) -> String {
        blake3::hash(canonical_json(&self.to_json()).as_bytes()).to_hex().to_string()
    }

    /// The key as JSON, as manifests keep it and `saerun why` compares it.
    pub fn to_json(&self) -> Value {
        let mut inputs = self.inputs.clone();
        inputs.sort();
        sorted(&serde_json::json!({
            "function": self.function,
            "inputs": inputs,
            "options": self.options,
            "version": self.version,
        }))
    }

    /// The function as a folder name: `sae::train` becomes `sae.train`.
    pub(super) fn folder(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' };
        self.function.replace("::", ".").chars().map(plain).collect::<String>().trim_start_matches('.').to_string()
    }
}

/// The same JSON with every object's keys in order, at every depth.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(pairs.into_iter().collect())
        }
        plain => plain.clone(),
    }
}

/// JSON without spaces, keys in order: equal values give equal text. A float of integral value is written as an
/// integer, because scripts may write either (`lr: 1` and `lr: 1.0` are one option).
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical_json).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by(|a, b| a.0.cmp(b.0));
            let texts: Vec<_> = pairs
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::String(key.clone()), canonical_json(value)))
                .collect();
            format!("{{{}}}", texts.join(","))
        }
        Value::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() && x.fract() == 0.0 && x.abs() < 9e15 => (x as i64).to_string(),
            _ => number.to_string(),
        },
        plain => plain.to_string(),
    }
}
