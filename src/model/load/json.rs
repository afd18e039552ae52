//! A `config.json` of another tool: values by key, each checked for its kind.

use serde_json::Value;

use super::{damaged, unsupported};
use crate::error::{Error, Result};
use crate::model::config::ActFn;

/// A JSON object out of a file.
pub struct Json<'a> {
    /// The file's name.
    pub file: &'a str,
    /// The object.
    pub value: &'a Value,
}

impl Json<'_> {
    fn wrong(&self, key: &str, expected: &str) -> Error {
        let given =
            self.value.get(key).map_or_else(|| "nothing".to_string(), |v| v.to_string().chars().take(60).collect());
        damaged(self.file, format!("`{key}` is {given}, not {expected}"))
    }

    /// What stands under a key and is not null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    /// A size.
    ///
    /// # Errors
    /// `damaged-file` when it is none.
    pub fn size(&self, key: &str) -> Result<usize> {
        self.size_if(key)?.ok_or_else(|| self.wrong(key, "a size"))
    }

    /// A size, where it is given.
    ///
    /// # Errors
    /// `damaged-file` when it is something else.
    pub fn size_if(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_u64().map(|size| Some(size as usize)).ok_or_else(|| self.wrong(key, "a size"))
    }

    /// A number, or its default.
    ///
    /// # Errors
    /// `damaged-file` when it is something else.
    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        self.get(key).map_or(Ok(default), |value| value.as_f64().ok_or_else(|| self.wrong(key, "a number")))
    }

    /// A flag, or its default.
    ///
    /// # Errors
    /// `damaged-file` when it is something else.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        self.get(key).map_or(Ok(default), |value| value.as_bool().ok_or_else(|| self.wrong(key, "true or false")))
    }

    /// A text, where it is given as one.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// An object inside.
    pub fn inside(&self, key: &str) -> Option<Json<'_>> {
        self.get(key).filter(|value| value.is_object()).map(|value| Json { file: self.file, value })
    }

    /// The activation function, by any tool's name.
    ///
    /// # Errors
    /// `unsupported` when there is none of that name.
    pub fn act_fn(&self, key: &str) -> Result<ActFn> {
        match self.text(key).unwrap_or("none") {
            "gelu" => Ok(ActFn::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(ActFn::GeluNew),
            "relu" => Ok(ActFn::Relu),
            "silu" | "swish" => Ok(ActFn::Silu),
            "solu_ln" => Ok(ActFn::SoluLn),
            other => Err(unsupported(self.file, key, other, "gelu, gelu_new, relu, silu, solu_ln")),
        }
    }

    /// Refuses a file in which a flag is not what this version reads.
    ///
    /// # Errors
    /// `unsupported`.
    pub fn only(&self, key: &str, value: bool) -> Result<()> {
        match self.flag(key, value)? == value {
            true => Ok(()),
            false => Err(unsupported(self.file, key, &(!value).to_string(), &value.to_string())),
        }
    }
}
