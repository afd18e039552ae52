//! Script values as JSON and back, as text that a person can read, and tensors as arrays.

use candle_core::{DType, Tensor};
use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext, Position};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::host::raise::type_name;

/// A plain script value as JSON.
///
/// # Errors
/// `wrong-type` for closures and native values; `out-of-range` for floats that are not finite. `what` names the value.
pub fn to_json(value: &Dynamic, what: &str) -> Result<Value> {
    if let Some(map) = value.read_lock::<Map>() {
        let pairs = map.iter().map(|(k, v)| Ok((k.to_string(), to_json(v, &format!("{what}.{k}"))?)));
        return Ok(Value::Object(pairs.collect::<Result<_>>()?));
    }
    if let Some(array) = value.read_lock::<Array>() {
        let items = array.iter().enumerate().map(|(i, v)| to_json(v, &format!("{what}[{i}]")));
        return Ok(Value::Array(items.collect::<Result<_>>()?));
    }
    if value.is_unit() {
        Ok(Value::Null)
    } else if let Ok(x) = value.as_bool() {
        Ok(Value::Bool(x))
    } else if let Ok(x) = value.as_int() {
        Ok(Value::from(x))
    } else if let Ok(x) = value.as_float() {
        serde_json::Number::from_f64(x).map(Value::Number).ok_or_else(|| {
            Error::new(Code::OutOfRange, format!("{what} is not finite"))
                .fact("expected", "a finite number")
                .fact("given", x)
        })
    } else if value.is_string() || value.is_char() {
        Ok(Value::String(value.to_string()))
    } else {
        let expected = "a plain value: bool, int, float, string, array or map";
        Err(Error::new(Code::WrongType, format!("{what} has the wrong type"))
            .fact("expected", expected)
            .fact("given", format!("a {}", type_name(value))))
    }
}

/// JSON as a script value: null is `()`, an object a map.
pub fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(x) => Dynamic::from(*x),
        Value::Number(x) => x.as_i64().map_or_else(|| Dynamic::from(x.as_f64().unwrap_or(f64::NAN)), Dynamic::from),
        Value::String(x) => Dynamic::from(x.clone()),
        Value::Array(items) => Dynamic::from_array(items.iter().map(from_json).collect()),
        Value::Object(pairs) => {
            Dynamic::from_map(pairs.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect())
        }
    }
}

/// A struct of the core as a script map: fields become keys, `None` and numbers that are not finite become `()`.
///
/// # Errors
/// `internal` when it does not serialize, which no core type does.
pub fn to_script(value: &impl Serialize) -> Result<Dynamic> {
    let json = serde_json::to_value(value).map_err(|e| Error::new(Code::Internal, e.to_string()))?;
    Ok(from_json(&json))
}

/// A value as `print` shows it: every type's own `to_string`.
pub fn readable(ctx: &NativeCallContext, value: Dynamic) -> String {
    let plain = value.to_string();
    ctx.call_native_fn::<ImmutableString>("to_string", (value,)).map_or(plain, String::from)
}

/// The same where no call is at hand.
pub fn readable_in(engine: &Engine, value: Dynamic) -> String {
    let global = engine.new_global_runtime_state();
    readable(&NativeCallContext::from((engine, "to_string", None, &global, Position::NONE)), value)
}

/// Nested arrays of a tensor's values.
pub fn nested(values: &[f32], dims: &[usize]) -> Dynamic {
    match dims {
        [] => Dynamic::from(values.first().copied().map_or(0.0, f64::from)),
        [_] => Dynamic::from_array(values.iter().map(|x| Dynamic::from(f64::from(*x))).collect()),
        [n, rest @ ..] => {
            let size = rest.iter().product::<usize>();
            Dynamic::from_array((0..*n).map(|i| nested(&values[i * size..(i + 1) * size], rest)).collect())
        }
    }
}

/// The values of a tensor in row-major order, as f32.
///
/// # Errors
/// `internal` when candle cannot copy it, which does not happen on the CPU.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?)
}
