//! Methods of arrays that call a closure on each element, in place of rhai's: those take what is no bool as false, and `dedup`
//! loses the errors of its closure.

use rhai::plugin::*;
use rhai::{Array, Dynamic, FnPtr, NativeCallContext};

use crate::host::element::Each;
use crate::host::raise::Raised;

/// Takes out the elements for which a closure gives `out`; none when it fails.
fn take_out(
    ctx: &NativeCallContext,
    method: &'static str,
    array: &mut Array,
    holds: FnPtr,
    out: bool,
) -> Raised<Array> {
    let each = Each::new(ctx, method, holds);
    let mask = array.iter_mut().enumerate().map(|(i, item)| each.holds(&[], item, Some(i)));
    let mask = mask.collect::<Raised<Vec<bool>>>()?;
    let (taken, kept): (Vec<_>, Vec<_>) = array.drain(..).zip(mask).partition(|(_, holds)| *holds == out);
    array.extend(kept.into_iter().map(|(item, _)| item));
    Ok(taken.into_iter().map(|(item, _)| item).collect())
}

/// Whether two elements are equal; elements of types that cannot be compared are not.
fn equal(ctx: &NativeCallContext, a: &Dynamic, b: &Dynamic) -> Raised<bool> {
    let outcome = ctx.call_native_fn_raw("==", true, &mut [&mut a.clone(), &mut b.clone()]);
    match outcome {
        Ok(value) => Ok(value.as_bool().unwrap_or(false)),
        Err(raised) => match *raised {
            EvalAltResult::ErrorFunctionNotFound(ref text, _) if text.starts_with("==") => Ok(false),
            _ => Err(raised),
        },
    }
}

/// Keeps each element that is not `same` as the last one kept.
fn dedup_with(array: &mut Array, same: impl Fn(&Dynamic, &Dynamic) -> Raised<bool>) -> Raised<()> {
    let mut last = 0;
    let mut kept = vec![true; array.len()];
    for i in 1..array.len() {
        kept[i] = !same(&array[last], &array[i])?;
        last = if kept[i] { i } else { last };
    }
    let mut kept = kept.into_iter();
    array.retain(|_| kept.next().unwrap_or(true));
    Ok(())
}

/// Methods of arrays.
#[export_module]
pub mod array {
    /// Gives the elements for which a closure is true.
    ///
    /// * `array`: any array; it stays as it is.
    /// * `keep`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 2, 3, 4].filter(|x| x % 2 == 0), [2, 4]);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn filter(ctx: NativeCallContext, array: &mut Array, keep: FnPtr) -> Raised<Array> {
        let each = Each::new(&ctx, "filter", keep);
        let mut kept = Array::new();
        for (i, item) in array.iter_mut().enumerate() {
            if each.holds(&[], item, Some(i))? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }

    /// Gives what a closure makes of each element.
    ///
    /// * `array`: any array; it stays as it is.
    /// * `map`: a closure from an element, or an element and its index.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 2, 3].map(|x| x * x), [1, 4, 9]);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn map(ctx: NativeCallContext, array: &mut Array, map: FnPtr) -> Raised<Array> {
        let each = Each::new(&ctx, "map", map);
        array.iter_mut().enumerate().map(|(i, item)| each.call(&[], item, Some(i))).collect()
    }

    /// Calls a closure on each element, which it sees and may change as `this`.
    ///
    /// * `array`: any array.
    /// * `action`: a closure without a parameter, or of the index.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// let a = [1, 2];
    /// a.for_each(|| this *= 10);
    /// assert_eq(a, [10, 20]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn for_each(ctx: NativeCallContext, array: &mut Array, action: FnPtr) -> Raised<()> {
        let each = Each::new(&ctx, "for_each", action);
        array.iter_mut().enumerate().try_for_each(|(i, item)| each.act(item, i))
    }

    /// Folds the elements from the first to the last, beginning with `()`.
    ///
    /// * `array`: any array.
    /// * `reduce`: a closure from the result so far and an element, and perhaps its index, to the next result.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 2, 3].reduce(|sum, x| if sum == () { x } else { sum + x }), 6);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn reduce(ctx: NativeCallContext, array: &mut Array, reduce: FnPtr) -> Raised<Dynamic> {
        reduce_with(ctx, array, reduce, Dynamic::UNIT)
    }

    /// Folds the elements from the first to the last.
    ///
    /// * `array`: any array.
    /// * `reduce`: a closure from the result so far and an element, and perhaps its index, to the next result.
    /// * `initial`: the first result.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 2, 3].reduce(|sum, x| sum + x, 0), 6);
    /// ```
    #[rhai_fn(name = "reduce", pure, return_raw)]
    pub fn reduce_with(ctx: NativeCallContext, array: &mut Array, reduce: FnPtr, initial: Dynamic) -> Raised<Dynamic> {
        let each = Each::new(&ctx, "reduce", reduce);
        array.iter_mut().enumerate().try_fold(initial, |sum, (i, item)| each.call(&[sum], item, Some(i)))
    }

    /// Folds the elements from the last to the first, beginning with `()`.
    ///
    /// * `array`: any array.
    /// * `reduce`: a closure from the result so far and an element, and perhaps its index, to the next result.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq(["a", "b"].reduce_rev(|text, x| if text == () { x } else { text + x }), "ba");
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn reduce_rev(ctx: NativeCallContext, array: &mut Array, reduce: FnPtr) -> Raised<Dynamic> {
        reduce_rev_with(ctx, array, reduce, Dynamic::UNIT)
    }

    /// Folds the elements from the last to the first.
    ///
    /// * `array`: any array.
    /// * `reduce`: a closure from the result so far and an element, and perhaps its index, to the next result.
    /// * `initial`: the first result.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq(["a", "b"].reduce_rev(|text, x| text + x, ""), "ba");
    /// ```
    #[rhai_fn(name = "reduce_rev", pure, return_raw)]
    pub fn reduce_rev_with(
        ctx: NativeCallContext,
        array: &mut Array,
        reduce: FnPtr,
        initial: Dynamic,
    ) -> Raised<Dynamic> {
        let each = Each::new(&ctx, "reduce_rev", reduce);
        array.iter_mut().enumerate().rev().try_fold(initial, |sum, (i, item)| each.call(&[sum], item, Some(i)))
    }

    /// Gives what a closure makes of the pairs of two arrays; the longer one's rest is left out.
    ///
    /// * `array`, `other`: any arrays.
    /// * `map`: a closure from an element of each, and perhaps the index.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq([1, 2].zip([10, 20], |x, y| x + y), [11, 22]);
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn zip(ctx: NativeCallContext, array: &mut Array, other: Array, map: FnPtr) -> Raised<Array> {
        let each = Each::new(&ctx, "zip", map);
        let pairs = array.iter().zip(other).enumerate();
        pairs.map(|(i, (x, mut y))| each.call(std::slice::from_ref(x), &mut y, Some(i))).collect()
    }

    /// Takes out the elements for which a closure is true, and gives them.
    ///
    /// * `array`: any array.
    /// * `out`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments. Then the array is as it was.
    ///
    /// ```rhai
    /// let a = [1, 2, 3];
    /// assert_eq(a.drain(|x| x > 1), [2, 3]);
    /// assert_eq(a, [1]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn drain(ctx: NativeCallContext, array: &mut Array, out: FnPtr) -> Raised<Array> {
        take_out(&ctx, "drain", array, out, true)
    }

    /// Keeps the elements for which a closure is true, and gives the others.
    ///
    /// * `array`: any array.
    /// * `keep`: a closure from an element, or an element and its index, to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments. Then the array is as it was.
    ///
    /// ```rhai
    /// let a = [1, 2, 3];
    /// assert_eq(a.retain(|x| x > 1), [1]);
    /// assert_eq(a, [2, 3]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn retain(ctx: NativeCallContext, array: &mut Array, keep: FnPtr) -> Raised<Array> {
        take_out(&ctx, "retain", array, keep, false)
    }

    /// Takes out each element that equals the one before it.
    ///
    /// * `array`: any array.
    ///
    /// Errors: what `==` raises.
    ///
    /// ```rhai
    /// let a = [1, 1, 2, 1];
    /// a.dedup();
    /// assert_eq(a, [1, 2, 1]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn dedup(ctx: NativeCallContext, array: &mut Array) -> Raised<()> {
        dedup_with(array, |a, b| equal(&ctx, a, b))
    }

    /// Takes out each element that a closure calls the same as the one before it.
    ///
    /// * `array`: any array.
    /// * `same`: a closure from an element that stays and the next one to a bool.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// let a = [1, 3, 4];
    /// a.dedup(|x, y| x % 2 == y % 2);
    /// assert_eq(a, [1, 4]);
    /// ```
    #[rhai_fn(name = "dedup", return_raw)]
    pub fn dedup_by(ctx: NativeCallContext, array: &mut Array, same: FnPtr) -> Raised<()> {
        let each = Each::new(&ctx, "dedup", same);
        dedup_with(array, |a, b| each.bool(each.of_two(a, b)?))
    }
}
