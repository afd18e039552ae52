//! From a core [`Error`] to a script error with a position, and the words for types that scripts use.

use std::path::Path;

use rhai::{Dynamic, Engine, EvalAltResult, INT, NativeCallContext, Position};

use crate::error::{Code, Error, Result};
use crate::host::diagnostic::Trace;
use crate::host::explain::explain;
use crate::host::session::{Session, session};
use crate::progress::Stop;

/// What a fallible binding returns.
pub type Raised<T> = std::result::Result<T, Box<EvalAltResult>>;

/// Adds the script position to a core result: `core_call(..).at(&ctx)?` is the only conversion in the bindings.
pub trait At<T> {
    /// The same result, positioned at the call that `ctx` stands for.
    ///
    /// # Errors
    /// The core's error as a script error that `catch (e)` sees with `e.code` and `e.message`; an interruption as a
    /// termination, which no script can catch.
    fn at(self, ctx: &NativeCallContext) -> Raised<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, ctx: &NativeCallContext) -> Raised<T> {
        // What a kernel that was stopped has left is not to be used.
        let whole =
            self.and_then(
                |value| if Stop::here().told() { session(ctx).monitor().check().map(|()| value) } else { Ok(value) },
            );
        whole.map_err(|error| raise(in_project(error, session(ctx).root()), ctx.call_position()))
    }
}

/// Paths inside the project as scripts write them, relative to it.
fn in_project(mut error: Error, root: &Path) -> Error {
    let prefix = format!("{}{}", root.display(), std::path::MAIN_SEPARATOR);
    error.message = error.message.replace(&prefix, "");
    error.facts.iter_mut().for_each(|(_, value)| *value = value.replace(&prefix, ""));
    error.help = error.help.map(|help| help.replace(&prefix, ""));
    error
}

impl<T> At<T> for candle_core::Result<T> {
    fn at(self, ctx: &NativeCallContext) -> Raised<T> {
        self.map_err(Error::from).at(ctx)
    }
}

/// The script error that carries `error`.
pub fn raise(error: Error, position: Position) -> Box<EvalAltResult> {
    if error.code == Code::Interrupted {
        return Box::new(EvalAltResult::ErrorTerminated(Dynamic::UNIT, position));
    }
    Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(error), position))
}

/// A script error from inside a closure, as a core error: the way back through the core.
pub fn lower(raised: &EvalAltResult, engine: &Engine, session: &Session) -> Error {
    let trace = Trace::of(raised, "");
    // An `exit` in a closure ends the script as well; the session has its code.
    match trace.inner {
        EvalAltResult::ErrorTerminated(why, _) if !why.is_unit() => {}
        EvalAltResult::ErrorTerminated(..) | EvalAltResult::Exit(..) => {
            return Error::new(Code::Interrupted, "interrupted");
        }
        _ => {}
    }
    let error = explain(trace.inner, engine, &session.source(&trace.file).unwrap_or_default());
    match trace.inner.position().line() {
        Some(line) => error.fact("in the closure, line", line),
        None => error,
    }
}

/// The name that scripts use for the type of a value: `int`, `float`, `string`, `array`, `map`, `Tensor`.
pub fn type_name(value: &Dynamic) -> String {
    script_name(value.type_name())
}

/// The name that scripts use for a Rust or rhai type name.
pub fn script_name(name: &str) -> String {
    let name = name.trim().trim_start_matches("&mut ").trim_start_matches('&').trim();
    let last = name.rsplit("::").next().unwrap_or(name);
    match last {
        "i64" | "INT" | "usize" | "u64" | "u32" | "i32" => "int",
        "f64" | "f32" | "FLOAT" => "float",
        "str" | "String" | "ImmutableString" | "&str" => "string",
        "Array" => "array",
        "Map" => "map",
        "FnPtr" | "Fn" => "closure",
        "Dynamic" | "?" => "any",
        "Blob" => "blob",
        "ExclusiveRange" | "InclusiveRange" | "Range<i64>" | "RangeInclusive<i64>" => "range",
        other => other,
    }
    .to_string()
}

/// A `wrong-type` error: what was to be `expected`, and the type of the value that was given.
pub fn wrong_type(what: &str, expected: &str, given: &Dynamic) -> Error {
    Error::new(Code::WrongType, format!("{what} has the wrong type"))
        .fact("expected", expected)
        .fact("given", describe(given))
}

/// A value with its type, short enough for a report.
pub fn describe(value: &Dynamic) -> String {
    if value.is_unit() {
        return "()".to_string();
    }
    let kind = type_name(value);
    if value.is_int() || value.is_float() || value.is_bool() {
        format!("{kind} {value}")
    } else if value.is_string() {
        let text = value.to_string();
        let short: String = text.chars().take(40).collect();
        format!("{kind} {short:?}{}", if short.len() < text.len() { "..." } else { "" })
    } else {
        format!(
            "{} {kind}",
            if kind.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
        )
    }
}

/// A script int as a count or an index.
///
/// # Errors
/// `out-of-range` when it is negative; `what` names it.
pub fn count(value: INT, what: &str) -> Result<usize> {
    usize::try_from(value).map_err(|_| {
        Error::new(Code::OutOfRange, format!("{what} is negative")).fact("expected", "0 or more").fact("given", value)
    })
}

/// A script number as a float; an int serves.
///
/// # Errors
/// `wrong-type` when it is neither a float nor an int.
pub fn number(value: &Dynamic, what: &str) -> Result<f64> {
    value.as_float().or_else(|_| value.as_int().map(|i| i as f64)).map_err(|_| wrong_type(what, "a number", value))
}

/// An array of numbers as floats; an int serves.
///
/// # Errors
/// `wrong-type` at the first element that is no number.
pub fn numbers(values: &[Dynamic], what: &str) -> Result<Vec<f64>> {
    values.iter().enumerate().map(|(i, value)| number(value, &format!("{what}[{i}]"))).collect()
}
