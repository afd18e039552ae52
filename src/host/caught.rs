//! What `catch (e)` sees: one shape for every error, those of the engine included.
//!
//! An error of saerun or of the language is an `Error` with `code`, `message`, `help`, `line` and `file`. What a script has
//! thrown itself stays what it is, so that `e == "text"` and `e.key` go on working: a map gets the keys that it lacks, and any
//! other value answers to the same properties.

use rhai::{Dynamic, Engine, EvalAltResult, INT, Map, Position};

use crate::error::{Code, Error};
use crate::host::diagnostic::{Place, Trace, place as place_of};
use crate::host::explain::explain;
use crate::host::raise::{Raised, type_name};
use crate::host::session::Session;
use crate::host::value::readable_in;

/// A caught error: what failed, and where.
#[derive(Debug, Clone)]
pub struct Caught {
    /// What failed.
    pub error: Error,
    /// The line that raised it.
    pub place: Option<Place>,
}

/// The error that a raised value carries; `None` for what a script has thrown itself.
pub fn error_in(value: &Dynamic) -> Option<Error> {
    let caught = value.read_lock::<Caught>().map(|caught| caught.error.clone());
    caught.or_else(|| value.clone().try_cast::<Error>())
}

/// Whether a script may catch this. The end of the run it may not: an interruption, `exit`, the end of a loop or function.
pub fn catchable(raised: &EvalAltResult) -> bool {
    use EvalAltResult as E;
    let inner = raised.unwrap_inner();
    !inner.is_pseudo_error() && !matches!(inner, E::ErrorTerminated(..) | E::ErrorSystem(..) | E::ErrorCustomSyntax(..))
}

/// The value of the variable of `catch (e)`; `file` is the script that catches, and `block` where its `try` begins.
pub fn value(raised: &EvalAltResult, file: &str, block: Position, engine: &Engine, session: &Session) -> Dynamic {
    let trace = Trace::of(raised, file);
    let place = trace.place.clone().or_else(|| trace.frames.last().map(|(place, _)| place.clone()));
    let place = place.or_else(|| place_of(file, block));
    let thrown = match trace.inner {
        EvalAltResult::ErrorRuntime(value, _) => value.flatten_clone(),
        _ => Dynamic::from(explain(trace.inner, engine, &session.source(&trace.file).unwrap_or_default())),
    };
    if thrown.is::<Caught>() {
        return thrown;
    }
    if let Some(error) = error_in(&thrown) {
        return Dynamic::from(Caught { error, place });
    }
    let line = place.map(|place| place.line);
    match thrown.try_cast_result::<Map>() {
        Ok(map) => Dynamic::from_map(filled(map, line, engine)),
        Err(other) => tagged(other, line),
    }
}

/// A thrown map with the keys that it lacks.
fn filled(mut map: Map, line: Option<usize>, engine: &Engine) -> Map {
    let text = readable_in(engine, Dynamic::from_map(map.clone()));
    let mut default = |key: &str, value: Dynamic| {
        map.entry(key.into()).or_insert(value);
    };
    default("code", Code::Failed.name().into());
    default("message", text.into());
    default("help", Dynamic::UNIT);
    default("line", line.map_or(Dynamic::UNIT, |line| Dynamic::from(line as INT)));
    map
}

/// A thrown value that knows its line: in the tag that rhai lets every value carry, below 0, where no script puts its own.
fn tagged(mut value: Dynamic, line: Option<usize>) -> Dynamic {
    if value.tag() >= 0 {
        let line = line.and_then(|line| i32::try_from(line).ok()).unwrap_or(0);
        value.set_tag(-1 - line);
    }
    value
}

/// The line in the tag of a thrown value.
///
/// # Errors
/// For any other value: it has no such property.
pub fn line_of(value: &Dynamic, property: &str) -> Raised<Option<usize>> {
    match value.tag() {
        tag if tag < 0 => Ok(usize::try_from(-1 - i64::from(tag)).ok().filter(|line| *line > 0)),
        _ => {
            let kind = type_name(value);
            let text = format!("Unknown property '{property}' - a getter is not registered for type '{kind}'");
            Err(Box::new(EvalAltResult::ErrorDotExpr(text, rhai::Position::NONE)))
        }
    }
}
