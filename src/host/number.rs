//! Numbers of scripts: exact comparisons, and conversions that never lose a value without a word.

use std::cmp::Ordering;

use rhai::{Dynamic, FLOAT, INT};

use crate::error::{Code, Error, Result};
use crate::host::explain::beyond_int;

/// 2^63, the first float above every int.
const TWO_63: FLOAT = 9_223_372_036_854_775_808.0;

/// Orders two numbers, ints beside floats by their exact values, -0.0 equal to 0.0, NaN after all others and equal to itself.
/// `None` when one of them is no number.
pub fn order(a: &Dynamic, b: &Dynamic) -> Option<Ordering> {
    match (a.as_int(), b.as_int()) {
        (Ok(a), Ok(b)) => Some(a.cmp(&b)),
        (Ok(a), Err(_)) => Some(of_int_and_float(a, b.as_float().ok()?).unwrap_or(Ordering::Less)),
        (Err(_), Ok(b)) => Some(of_int_and_float(b, a.as_float().ok()?).map_or(Ordering::Greater, Ordering::reverse)),
        (Err(_), Err(_)) => {
            let (a, b) = (a.as_float().ok()?, b.as_float().ok()?);
            Some(a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())))
        }
    }
}

/// Orders an int and a float by their exact values; `None` for NaN.
pub fn of_int_and_float(a: INT, b: FLOAT) -> Option<Ordering> {
    if b.is_nan() {
        None
    } else if b >= TWO_63 {
        Some(Ordering::Less)
    } else if b < -TWO_63 {
        Some(Ordering::Greater)
    } else {
        // The whole part fits into an int; what is left of the float decides between equals.
        let whole = b.trunc();
        let rest = b - whole;
        Some(a.cmp(&(whole as INT)).then(0.0.partial_cmp(&rest).unwrap_or(Ordering::Equal)))
    }
}

/// The whole part of a float.
///
/// # Errors
/// `out-of-range` for NaN, infinities and what is beyond an int.
pub fn to_int(x: FLOAT) -> Result<INT> {
    if (-TWO_63..TWO_63).contains(&x) { Ok(x as INT) } else { Err(no_int(x)) }
}

fn no_int(x: FLOAT) -> Error {
    let what = if x.is_nan() {
        "NaN is no int".to_string()
    } else if x.is_infinite() {
        format!("{x} is no int")
    } else {
        format!("{x:e} is beyond an int")
    };
    Error::new(Code::OutOfRange, what)
        .fact("expected", "a finite float from -9223372036854775808 up to, and not including, 9223372036854775808")
        .help("`x.is_finite` asks first")
}

/// An int from its digits.
///
/// # Errors
/// `wrong-type` for a text that is none, `out-of-range` for one beyond an int, and for a base other than 2 to 36.
pub fn parse_int(text: &str, radix: INT) -> Result<INT> {
    use std::num::IntErrorKind as Kind;
    let base = u32::try_from(radix).ok().filter(|base| (2..=36).contains(base));
    let Some(base) = base else {
        let error = Error::new(Code::OutOfRange, "numbers have no such base");
        return Err(error.fact("expected", "2 to 36").fact("given", radix));
    };
    INT::from_str_radix(text.trim(), base).map_err(|error| match error.kind() {
        Kind::PosOverflow | Kind::NegOverflow => beyond_int(text.trim()),
        _ => no_number(text, "an int in digits, such as `-12`"),
    })
}

/// A float from its digits; `inf` and `nan` are the only words.
///
/// # Errors
/// `wrong-type` for a text that is none, `out-of-range` for digits beyond a float.
pub fn parse_float(text: &str) -> Result<FLOAT> {
    let value: FLOAT = text.trim().parse().map_err(|_| no_number(text, "a number in digits, such as `-1.5e3`"))?;
    if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
        return Err(Error::new(Code::OutOfRange, format!("{} is beyond a float", text.trim()))
            .fact("expected", "-1.8e308 to 1.8e308"));
    }
    Ok(value)
}

fn no_number(text: &str, expected: &str) -> Error {
    let short: String = text.chars().take(40).collect();
    Error::new(Code::WrongType, "the text is no such number")
        .fact("expected", expected)
        .fact("given", format!("{short:?}"))
}

/// The bits of an int moved to the left; below 0 to the right.
///
/// # Errors
/// `out-of-range` for more than 63 places, and when bits would be lost.
pub fn shift_left(x: INT, places: INT) -> Result<INT> {
    if places < 0 {
        return shift_right(x, places.checked_neg().unwrap_or(INT::MAX));
    }
    let moved = x.checked_shl(shift(places)?).unwrap_or(0);
    if moved >> places == x { Ok(moved) } else { Err(beyond_int(&format!("{x} << {places}"))) }
}

/// The bits of an int moved to the right, the sign kept; below 0 to the left.
///
/// # Errors
/// As [`shift_left`].
pub fn shift_right(x: INT, places: INT) -> Result<INT> {
    if places < 0 {
        return shift_left(x, places.checked_neg().unwrap_or(INT::MAX));
    }
    Ok(x.checked_shr(shift(places)?).unwrap_or(0))
}

fn shift(places: INT) -> Result<u32> {
    u32::try_from(places).ok().filter(|places| *places < 64).ok_or_else(|| {
        Error::new(Code::OutOfRange, "an int has 64 bits").fact("expected", "0 to 63 places").fact("given", places)
    })
}
