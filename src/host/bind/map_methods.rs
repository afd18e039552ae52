//! Methods of maps that call a closure on each value, in place of rhai's, which take what is no bool as false.

use rhai::plugin::*;
use rhai::{FnPtr, Map, NativeCallContext};

use crate::host::element::Each;
use crate::host::raise::Raised;

/// Takes out the pairs for which a closure gives `out`; none when it fails.
fn take_out(ctx: &NativeCallContext, method: &'static str, map: &mut Map, holds: FnPtr, out: bool) -> Raised<Map> {
    let each = Each::new(ctx, method, holds);
    let mask = map.iter_mut().map(|(key, value)| each.holds(&[key.into()], value, None));
    let mask = mask.collect::<Raised<Vec<bool>>>()?;
    let (mut taken, mut kept) = (Map::new(), Map::new());
    for ((key, value), holds) in std::mem::take(map).into_iter().zip(mask) {
        if holds == out {
            taken.insert(key, value)
        } else {
            kept.insert(key, value)
        };
    }
    *map = kept;
    Ok(taken)
}

/// Methods of maps.
#[export_module]
pub mod map_methods {
    /// Gives what a closure makes of each value, under the same keys.
    ///
    /// * `map`: any map; it stays as it is.
    /// * `make`: a closure from a key and its value; or from a key, with the value as `this`.
    ///
    /// Errors: what the closure raises; `wrong-type` when it takes other arguments.
    ///
    /// ```rhai
    /// assert_eq(#{ a: 1, b: 2 }.map(|key, x| x * 10), #{ a: 10, b: 20 });
    /// ```
    #[rhai_fn(name = "map", pure, return_raw)]
    pub fn map_values(ctx: NativeCallContext, map: &mut Map, make: FnPtr) -> Raised<Map> {
        let each = Each::new(&ctx, "map", make);
        map.iter_mut().map(|(key, value)| Ok((key.clone(), each.call(&[key.into()], value, None)?))).collect()
    }

    /// Gives the pairs for which a closure is true.
    ///
    /// * `map`: any map; it stays as it is.
    /// * `keep`: a closure from a key and its value to a bool; or from a key, with the value as `this`.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments.
    ///
    /// ```rhai
    /// assert_eq(#{ a: 1, b: 2 }.filter(|key, x| x > 1), #{ b: 2 });
    /// ```
    #[rhai_fn(pure, return_raw)]
    pub fn filter(ctx: NativeCallContext, map: &mut Map, keep: FnPtr) -> Raised<Map> {
        let mut rest = map.clone();
        take_out(&ctx, "filter", &mut rest, keep, true)
    }

    /// Takes out the pairs for which a closure is true, and gives them.
    ///
    /// * `map`: any map.
    /// * `out`: a closure from a key and its value to a bool; or from a key, with the value as `this`.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments. Then the map is as it was.
    ///
    /// ```rhai
    /// let m = #{ a: 1, b: 2 };
    /// assert_eq(m.drain(|key, x| x > 1), #{ b: 2 });
    /// assert_eq(m, #{ a: 1 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn drain(ctx: NativeCallContext, map: &mut Map, out: FnPtr) -> Raised<Map> {
        take_out(&ctx, "drain", map, out, true)
    }

    /// Keeps the pairs for which a closure is true, and gives the others.
    ///
    /// * `map`: any map.
    /// * `keep`: a closure from a key and its value to a bool; or from a key, with the value as `this`.
    ///
    /// Errors: what the closure raises; `wrong-type` when it gives no bool, or takes other arguments. Then the map is as it was.
    ///
    /// ```rhai
    /// let m = #{ a: 1, b: 2 };
    /// assert_eq(m.retain(|key, x| x > 1), #{ a: 1 });
    /// assert_eq(m, #{ b: 2 });
    /// ```
    #[rhai_fn(return_raw)]
    pub fn retain(ctx: NativeCallContext, map: &mut Map, keep: FnPtr) -> Raised<Map> {
        take_out(&ctx, "retain", map, keep, false)
    }
}
