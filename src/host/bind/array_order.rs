//! Methods of arrays that put them in order, in place of rhai's: those lose the errors of a comparator, take its floats for no
//! order, refuse ints beside floats, and leave arrays with NaN in no order, or panic.

use std::cmp::Ordering;

use rhai::plugin::*;
use rhai::{Array, Dynamic, FnPtr, NativeCallContext};

use crate::error::{Code, Error, Result};
use crate::host::element::{Each, sort as merge};
use crate::host::number;
use crate::host::raise::{At, Raised, describe, type_name};

/// Orders two numbers, NaN last; `back` turns the order of the others.
fn numbers(a: &Dynamic, b: &Dynamic, back: bool) -> Option<Ordering> {
    let nan = |x: &Dynamic| x.as_float().is_ok_and(f64::is_nan);
    let order = number::order(a, b)?;
    Some(if back && !nan(a) && !nan(b) { order.reverse() } else { order })
}

/// Orders two values of one kind; `None` when they have no order.
fn order(a: &Dynamic, b: &Dynamic, back: bool) -> Option<Ordering> {
    if let Some(order) = numbers(a, b, back) {
        return Some(order);
    }
    let order = if a.is_string() && b.is_string() {
        a.as_immutable_string_ref().ok()?.cmp(&*b.as_immutable_string_ref().ok()?)
    } else if let (Ok(a), Ok(b)) = (a.as_char(), b.as_char()) {
        a.cmp(&b)
    } else if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        a.cmp(&b)
    } else if a.is_unit() && b.is_unit() {
        Ordering::Equal
    } else {
        return None;
    };
    Some(if back { order.reverse() } else { order })
}

/// Puts an array in its natural order, or the reverse.
fn put_in_order(array: &mut Array, back: bool) -> Result<()> {
    let Some(first) = array.first().cloned() else { return Ok(()) };
    if array.len() == 1 {
        return Ok(());
    }
    if let Some(i) = array.iter().position(|item| order(&first, item, back).is_none()) {
        return Err(no_order(&first, &array[i], i));
    }
    array.sort_by(|a, b| order(a, b, back).unwrap_or(Ordering::Equal));
    Ok(())
}

/// The error for an array that has no order of its own.
fn no_order(first: &Dynamic, other: &Dynamic, i: usize) -> Error {
    let help = "give a comparator, such as `|a, b| a.v - b.v`";
    if type_name(first) == type_name(other) {
        let error = Error::new(Code::WrongType, format!("the elements have no order: {}", describe(first)));
        return error.fact("expected", "numbers, strings, chars or bools").help(help);
    }
    Error::new(Code::WrongType, "the elements are of types that have no common order")
        .fact("expected", "numbers, or all strings, chars or bools")
        .fact("given", format!("{} at 0, {} at {i}", describe(first), describe(other)))
        .help(help)
}

/// The order of arrays.
#[export_module]
pub mod array_order {
    /// Puts the elements in ascending order: numbers, ints beside floats, with NaN last; or strings, chars, bools. Equal ones keep
    /// their order.
    ///
    /// * `array`: any array.
    ///
    /// Errors: `wrong-type` for elements without a common order.
    ///
    /// ```rhai
    /// let a = [2.5, 1, 3];
    /// a.sort();
    /// assert_eq(a, [1, 2.5, 3]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sort(ctx: NativeCallContext, array: &mut Array) -> Raised<()> {
        put_in_order(array, false).at(&ctx)
    }

    /// Puts the elements in the order of a comparator. Equal ones keep their order.
    ///
    /// * `array`: any array.
    /// * `compare`: a closure from two elements to a number, below 0 when the first one comes before the second and above 0 when it comes
    ///   after it; or to a bool, true when it comes before.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives neither a number nor a bool, `out-of-range` when it gives NaN. Then the array is as it was.
    ///
    /// ```rhai
    /// let a = [0.5, 0.25, 2.0];
    /// a.sort(|x, y| y - x);
    /// assert_eq(a, [2.0, 0.5, 0.25]);
    /// ```
    #[rhai_fn(name = "sort", name = "sort_by", return_raw)]
    pub fn sort_by(ctx: NativeCallContext, array: &mut Array, compare: FnPtr) -> Raised<()> {
        let each = Each::new(&ctx, "sort", compare);
        merge(array, |a, b| each.before(a, b))
    }

    /// Puts the elements in descending order, NaN last. Equal ones keep their order.
    ///
    /// * `array`: any array.
    ///
    /// Errors: `wrong-type` for elements without a common order.
    ///
    /// ```rhai
    /// let a = [2.5, 1, 3];
    /// a.sort_desc();
    /// assert_eq(a, [3, 2.5, 1]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sort_desc(ctx: NativeCallContext, array: &mut Array) -> Raised<()> {
        put_in_order(array, true).at(&ctx)
    }

    /// Gives the elements in ascending order, as `sort` has it.
    ///
    /// * `array`: any array; it stays as it is.
    ///
    /// Errors: `wrong-type` for elements without a common order.
    ///
    /// ```rhai
    /// assert_eq([2.5, 1, 3].order(), [1, 2.5, 3]);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn order(ctx: NativeCallContext, array: &mut Array) -> Raised<Array> {
        let mut ordered = array.clone();
        put_in_order(&mut ordered, false).at(&ctx)?;
        Ok(ordered)
    }

    /// Gives the elements in the order of a comparator, as `sort` has it.
    ///
    /// * `array`: any array; it stays as it is.
    /// * `compare`: a closure from two elements to a number, below 0 when the first one comes before the second and above 0 when it comes
    ///   after it; or to a bool, true when it comes before.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives neither a number nor a bool, `out-of-range` when it gives NaN.
    ///
    /// ```rhai
    /// assert_eq([0.5, 0.25, 2.0].order(|x, y| y - x), [2.0, 0.5, 0.25]);
    /// ```
    #[rhai_fn(name = "order", name = "order_by", pure, return_raw)]
    pub fn order_by(ctx: NativeCallContext, array: &mut Array, compare: FnPtr) -> Raised<Array> {
        let each = Each::new(&ctx, "order", compare);
        let mut ordered = array.clone();
        merge(&mut ordered, |a, b| each.before(a, b))?;
        Ok(ordered)
    }

    /// Gives the elements in descending order, NaN last.
    ///
    /// * `array`: any array; it stays as it is.
    ///
    /// Errors: `wrong-type` for elements without a common order.
    ///
    /// ```rhai
    /// assert_eq([2.5, 1, 3].order_desc(), [3, 2.5, 1]);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn order_desc(ctx: NativeCallContext, array: &mut Array) -> Raised<Array> {
        let mut ordered = array.clone();
        put_in_order(&mut ordered, true).at(&ctx)?;
        Ok(ordered)
    }
}
