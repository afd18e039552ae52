//! A cell of a table, and its way into and out of polars columns.

use polars::prelude::*;

use super::foreign;
use crate::error::{Code, Error, Result};

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

/// A polars column of one type; a column of nulls alone counts as floats.
pub(super) fn to_column(name: &str, values: &[Value]) -> Result<Column> {
    let mut kinds: Vec<_> = values.iter().map(Value::kind).filter(|kind| *kind != "()").collect();
    kinds.sort_unstable();
    kinds.dedup();
    let label = PlSmallStr::from_str(name);
    Ok(match kinds.as_slice() {
        ["bool"] => {
            let cells = values.iter().map(|v| if let Value::Bool(x) = v { Some(*x) } else { None });
            Column::new(label, cells.collect::<Vec<_>>())
        }
        ["int"] => {
            let cells = values.iter().map(|v| if let Value::Int(x) = v { Some(*x) } else { None });
            Column::new(label, cells.collect::<Vec<_>>())
        }
        [] | ["float"] | ["float", "int"] => {
            Column::new(label, values.iter().map(Value::as_f64).collect::<Vec<Option<f64>>>())
        }
        ["string"] => {
            let cells = values.iter().map(|v| if let Value::Text(x) = v { Some(x.as_str()) } else { None });
            Column::new(label, cells.collect::<Vec<_>>())
        }
        mixed => {
            return Err(Error::new(Code::WrongType, format!("column `{name}` mixes types"))
                .fact("expected", "one of bool, int, float, string")
                .fact("given", mixed.join(" and ")));
        }
    })
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
            let cast = series.cast(&if other.is_integer() { DataType::Int64 } else { DataType::String });
            return from_column(&cast.map_err(foreign)?.into_column());
        }
    })
}

fn cells<T>(items: impl Iterator<Item = Option<T>>, wrap: impl Fn(T) -> Value) -> Vec<Value> {
    items.map(|item| item.map_or(Value::Null, &wrap)).collect()
}
