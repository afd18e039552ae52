//! A cell of a table, and its way into and out of polars columns.

use std::ops::Range;

use polars::prelude::*;

use super::foreign;
use crate::error::{Code, Error, Result};
use crate::progress::{Monitor, Silent};
use crate::report::number;

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `()` in scripts, an empty field in CSV.
    Null,
    /// A bool.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float, NaN and infinities included.
    Float(f64),
    /// Text.
    Text(String),
}

impl Value {
    /// The name of the type, as errors show it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "()",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
        }
    }

    /// The number, of an int or a float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(x) => Some(*x as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// As a script writes it, for messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Null => "()".to_string(),
            Value::Bool(x) => x.to_string(),
            Value::Int(x) => x.to_string(),
            Value::Float(x) => number::exact(*x),
            Value::Text(x) => format!("{x:?}"),
        }
    }

    /// As JSON; floats that are not finite are null.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(x) => (*x).into(),
            Value::Int(x) => (*x).into(),
            Value::Float(x) => serde_json::Number::from_f64(*x).map_or(serde_json::Value::Null, Into::into),
            Value::Text(x) => x.clone().into(),
        }
    }
}

impl From<Option<f64>> for Value {
    fn from(x: Option<f64>) -> Value {
        x.map_or(Value::Null, Value::Float)
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    Text,
}

/// Columns are made in parts of so many cells, with a look for a stop between them.
const PART: usize = 1 << 18;

/// The type that fits all of these cells; of nulls alone it is float.
pub(super) fn kind_of(name: &str, values: &[Value]) -> Result<Kind> {
    let mut kinds: Vec<&str> = Vec::new();
    for value in values.iter().filter(|value| **value != Value::Null) {
        if !kinds.contains(&value.kind()) {
            kinds.push(value.kind());
        }
    }
    kinds.sort_unstable();
    match kinds.as_slice() {
        ["bool"] => Ok(Kind::Bool),
        ["int"] => Ok(Kind::Int),
        [] | ["float"] => Ok(Kind::Float),
        ["float", "int"] => {
            match values.iter().find(|value| matches!(value, Value::Int(x) if x.unsigned_abs() > EXACT)) {
                Some(Value::Int(x)) if (*x as f64) as i128 != i128::from(*x) => Err(Error::new(
                    Code::WrongType,
                    format!("column `{name}` mixes floats with an int that no float is equal to"),
                )
                .fact("given", x)
                .help("keep such a column as ints alone, or as strings")),
                _ => Ok(Kind::Float),
            }
        }
        ["string"] => Ok(Kind::Text),
        mixed => Err(Error::new(Code::WrongType, format!("column `{name}` mixes types"))
            .fact("expected", "one of bool, int, float, string")
            .fact("given", mixed.join(" and "))),
    }
}

/// Up to here every whole number is a float.
pub(super) const EXACT: u64 = 1 << 53;

/// A polars column of these cells.
pub(super) fn to_column(name: &str, values: &[Value]) -> Result<Column> {
    build(name, kind_of(name, values)?, values.len(), |i| &values[i], &Silent)
}

/// A polars column of `len` cells of this type, which `cell` gives.
pub(super) fn build<'a>(
    name: &str,
    kind: Kind,
    len: usize,
    cell: impl Fn(usize) -> &'a Value,
    monitor: &dyn Monitor,
) -> Result<Column> {
    let part = |range: Range<usize>| {
        let (label, cells) = (PlSmallStr::from_str(name), range.map(&cell));
        match kind {
            Kind::Bool => {
                let of = |v: &Value| if let Value::Bool(x) = v { Some(*x) } else { None };
                Column::new(label, cells.map(of).collect::<Vec<_>>())
            }
            Kind::Int => {
                let of = |v: &Value| if let Value::Int(x) = v { Some(*x) } else { None };
                Column::new(label, cells.map(of).collect::<Vec<_>>())
            }
            Kind::Float => Column::new(label, cells.map(Value::as_f64).collect::<Vec<_>>()),
            Kind::Text => {
                let of = |v: &'a Value| if let Value::Text(x) = v { Some(x.as_str()) } else { None };
                Column::new(label, cells.map(of).collect::<Vec<_>>())
            }
        }
    };
    let mut column = part(0..len.min(PART));
    for begin in (PART..len).step_by(PART) {
        monitor.check()?;
        column.append(&part(begin..len.min(begin + PART))).map_err(foreign)?;
    }
    Ok(column)
}

/// The cells of a polars column.
pub(super) fn from_column(column: &Column) -> Result<Vec<Value>> {
    let series = column.as_materialized_series();
    Ok(match series.dtype() {
        DataType::Boolean => cells(series.bool().map_err(foreign)?.iter(), Value::Bool),
        DataType::Int64 => cells(series.i64().map_err(foreign)?.iter(), Value::Int),
        DataType::Float64 => cells(series.f64().map_err(foreign)?.iter(), Value::Float),
        DataType::String => cells(series.str().map_err(foreign)?.iter(), |x: &str| Value::Text(x.to_string())),
        DataType::Null => vec![Value::Null; series.len()],
        other => {
            let near = match other {
                other if other.is_integer() => DataType::Int64,
                other if other.is_float() => DataType::Float64,
                _ => DataType::String,
            };
            let cast = series.strict_cast(&near).map_err(|error| {
                let reason = error.to_string();
                Error::new(Code::Unsupported, format!("column `{}` is of type {other}", series.name()))
                    .fact("expected", "values that fit a bool, an int of 64 bits, a float or a string")
                    .fact("reason", reason.lines().next().unwrap_or(""))
            });
            return from_column(&cast?.into_column());
        }
    })
}

fn cells<T>(items: impl Iterator<Item = Option<T>>, wrap: impl Fn(T) -> Value) -> Vec<Value> {
    items.map(|item| item.map_or(Value::Null, &wrap)).collect()
}
