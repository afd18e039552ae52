//! Methods of arrays that look for an element by a closure, in place of rhai's, which take what is no bool as false.

use rhai::plugin::*;
use rhai::{Array, Dynamic, FnPtr, INT, NativeCallContext};

use crate::host::element::Each;
use crate::host::raise::Raised;

/// The index that a start means: below 0 it counts from the end.
fn from(array: &Array, start: INT) -> usize {
    let n = array.len();
    match usize::try_from(start) {
        Ok(start) => start.min(n),
        Err(_) => n - usize::try_from(start.unsigned_abs()).map_or(n, |back| back.min(n)),
    }
}

/// The index of the first element from `start` on for which a closure holds.
fn position(
    ctx: &NativeCallContext,
    method: &'static str,
    array: &mut Array,
    holds: FnPtr,
    start: INT,
) -> Raised<Option<usize>> {
    let each = Each::new(ctx, method, holds);
    let start = from(array, start);
    for (i, item) in array.iter_mut().enumerate().skip(start) {
        if each.holds(&[], item, Some(i))? {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// Methods of arrays.
#[export_module]
pub mod array_find {
    /// Whether a closure is true of some element.
    ///
    /// * `array`: any array.
    /// * `holds`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert([1, 2, 3].some(|x| x > 2));
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn some(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Raised<bool> {
        Ok(position(&ctx, "some", array, holds, 0)?.is_some())
    }

    /// Whether a closure is true of every element.
    ///
    /// * `array`: any array.
    /// * `holds`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert([1, 2, 3].all(|x| x > 0));
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn all(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Raised<bool> {
        let each = Each::new(&ctx, "all", holds);
        for (i, item) in array.iter_mut().enumerate() {
            if !each.holds(&[], item, Some(i))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first element for which a closure is true, or `()`.
    ///
    /// * `array`: any array.
    /// * `holds`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 5, 8].find(|x| x > 2), 5);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn find(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Raised<Dynamic> {
        find_from(ctx, array, holds, 0)
    }

    /// The first element from an index on for which a closure is true, or `()`.
    ///
    /// * `array`: any array.
    /// * `holds`: a closure from an element, or an element and its index, to a bool.
    /// * `start`: an index; below 0 it counts from the end.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 5, 8].find(|x| x > 2, 2), 8);
    /// ```
    #[rhai_fn(name = "find", pure, return_raw)]
    pub fn find_from(ctx: NativeCallContext, array: &mut Array, holds: FnPtr, start: INT) -> Raised<Dynamic> {
        let found = position(&ctx, "find", array, holds, start)?;
        Ok(found.map_or(Dynamic::UNIT, |i| array[i].clone()))
    }

    /// The index of the first element for which a closure is true, or -1.
    ///
    /// * `array`: any array.
    /// * `holds`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 5, 8].index_of(|x| x > 2), 1);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn index_of(ctx: NativeCallContext, array: &mut Array, holds: FnPtr) -> Raised<INT> {
        index_of_from(ctx, array, holds, 0)
    }

    /// The index of the first element from an index on for which a closure is true, or -1.
    ///
    /// * `array`: any array.
    /// * `holds`: a closure from an element, or an element and its index, to a bool.
    /// * `start`: an index; below 0 it counts from the end.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 5, 8].index_of(|x| x > 2, -1), 2);
    /// ```
    #[rhai_fn(name = "index_of", pure, return_raw)]
    pub fn index_of_from(ctx: NativeCallContext, array: &mut Array, holds: FnPtr, start: INT) -> Raised<INT> {
        Ok(position(&ctx, "index_of", array, holds, start)?.map_or(-1, |i| i as INT))
    }

    /// The first value other than `()` that a closure gives for an element, or `()`.
    ///
    /// * `array`: any array.
    /// * `map`: a closure from an element, or an element and its index.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 5].find_map(|x| if x > 2 { x * 10 }), 50);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn find_map(ctx: NativeCallContext, array: &mut Array, map: FnPtr) -> Raised<Dynamic> {
        find_map_from(ctx, array, map, 0)
    }

    /// The first value other than `()` that a closure gives for an element from an index on, or `()`.
    ///
    /// * `array`: any array.
    /// * `map`: a closure from an element, or an element and its index.
    /// * `start`: an index; below 0 it counts from the end.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 5, 6].find_map(|x| if x > 2 { x * 10 }, 2), 60);
    /// ```
    #[rhai_fn(name = "find_map", pure, return_raw)]
    pub fn find_map_from(ctx: NativeCallContext, array: &mut Array, map: FnPtr, start: INT) -> Raised<Dynamic> {
        let each = Each::new(&ctx, "find_map", map);
        let start = from(array, start);
        for (i, item) in array.iter_mut().enumerate().skip(start) {
            let value = each.call(&[], item, Some(i))?;
            if !value.is_unit() {
                return Ok(value);
            }
        }
        Ok(Dynamic::UNIT)
    }
}
