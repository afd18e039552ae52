//! The values of one axis: a list, a range, or text such as `0..4,10`.

use serde_json::Value;

use crate::error::{Code, Error, Result};

/// The most values that a range may stand for.
const MOST: i64 = 1_000_000;

/// The values that a grid file gives: a list as it is, text by [`parse`], anything else as the one value.
///
/// # Errors
/// `out-of-range` for an empty list or range.
pub fn values(given: &Value) -> Result<Vec<Value>> {
    match given {
        Value::Array(items) if items.is_empty() => Err(empty("[]")),
        Value::Array(items) => Ok(items.clone()),
        Value::String(text) => parse(text),
        one => Ok(vec![one.clone()]),
    }
}

/// Values separated by commas. `a..b` stands for the whole numbers from `a` up to `b`, `b` left out, and `a..=b` has `b`
/// too, as in scripts. What is no range stays text, and is read as the type that the script declares.
///
/// # Errors
/// `out-of-range` for an empty value or range, and for a range of more than a million numbers.
pub fn parse(text: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        match range(part) {
            Some((from, to)) if from >= to => return Err(empty(part)),
            Some((from, to)) if to.saturating_sub(from).saturating_add(all.len() as i64) > MOST => {
                return Err(Error::new(Code::OutOfRange, "the range is too long")
                    .fact("expected", format!("at most {MOST} numbers"))
                    .fact("given", part));
            }
            Some((from, to)) => all.extend((from..to).map(Value::from)),
            None if part.is_empty() => return Err(empty(text)),
            None => all.push(Value::String(part.to_string())),
        }
    }
    Ok(all)
}

/// The first number, and the first that is left out.
fn range(text: &str) -> Option<(i64, i64)> {
    let (from, to) = text.split_once("..")?;
    let number = |text: &str| text.trim().replace('_', "").parse::<i64>().ok();
    let to = match to.strip_prefix('=') {
        Some(last) => number(last)?.checked_add(1)?,
        None => number(to)?,
    };
    Some((number(from)?, to))
}

fn empty(given: &str) -> Error {
    Error::new(Code::OutOfRange, "an axis has no values")
        .fact("expected", "a list such as `[0.01, 0.1]`, or a range such as `0..4`, which is 0, 1, 2, 3")
        .fact("given", format!("`{given}`"))
}
