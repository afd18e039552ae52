//! `Neighbors`: each row's nearest neighbor, as scripts see it. Part of the namespace `geometry`.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, INT, Map, Module, NativeCallContext, exported_module};
use serde::Deserialize;

use crate::error::Result;
use crate::geometry;
use crate::host::bind::dictionary::{dictionary, with_rows_apart};
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::ops::Sign;

/// Nearest neighbors in row order. Cheap to copy.
#[derive(Clone)]
pub struct Neighbors(Arc<geometry::Neighbors>);

impl Neighbors {
    /// The core's value.
    pub fn core(&self) -> &geometry::Neighbors {
        &self.0
    }

    /// `Neighbors of 8192 rows, signed, 3 invalid`
    pub fn summary(&self) -> String {
        let core = self.core();
        let invalid = if core.invalid.is_empty() { String::new() } else { format!(", {} invalid", core.invalid.len()) };
        format!("Neighbors of {} rows, {}{invalid}", core.n, sign_name(core.sign))
    }
}

/// The option that says how cosines count.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SignOption {
    sign: Sign,
}

/// Reads the options of a function that has `sign` and nothing else.
pub fn read_sign(function: &'static str, options: Map) -> Result<Sign> {
    Ok(Options::new(function, options).read::<SignOption>()?.sign)
}

fn sign_name(sign: Sign) -> &'static str {
    match sign {
        Sign::Signed => "signed",
        Sign::Abs => "abs",
    }
}

/// Floats as a script array, `()` for what is undefined.
pub fn floats(values: &[Option<f64>]) -> Array {
    values.iter().map(|value| value.map_or(Dynamic::UNIT, Dynamic::from)).collect()
}

/// The functions of this file.
pub fn module() -> Module {
    exported_module!(nearest)
}

/// What makes `Neighbors`, and their parts.
#[export_module]
pub mod nearest {
    #[rhai_fn(return_raw)]
    pub fn nearest_neighbors(ctx: NativeCallContext, w: Dynamic) -> Raised<Neighbors> {
        nearest_neighbors_with(ctx, w, Map::new())
    }

    /// Finds the nearest other row of every row by cosine, exactly.
    ///
    /// * `w`: the dictionary, a Tensor [n, d], one row a latent, or an Sae (its decoder).
    /// * `options`: `sign`: `"signed"` (default), or `"abs"` for absolute cosines.
    ///
    /// Returns Neighbors: `cos`, `index`, `second_cos`, `invalid`, `n`, `sign`.
    /// Errors: `wrong-type` for what is no dictionary, `shape-mismatch` for a tensor that is no matrix.
    ///
    /// ```rhai
    /// let w = tensor::from_rows([[1, 0], [2, 0], [0, 1], [0, 0]]);
    /// let near = geometry::nearest_neighbors(w);
    /// assert_eq(near.index, [1, 0, 0, ()]);
    /// assert_eq(near.cos, [1.0, 1.0, 0.0, ()]);
    /// assert_eq(geometry::nearest_neighbors(-w, #{ sign: "abs" }).cos[2], 0.0);
    /// ```
    #[rhai_fn(name = "nearest_neighbors", return_raw)]
    pub fn nearest_neighbors_with(ctx: NativeCallContext, w: Dynamic, options: Map) -> Raised<Neighbors> {
        let sign = read_sign("geometry::nearest_neighbors", options).at(&ctx)?;
        let w = dictionary(&w).at(&ctx)?;
        let found =
            with_rows_apart(&ctx, &w, w.dims()[0], move |rows| geometry::nearest_neighbors(rows, sign)).at(&ctx)?;
        Ok(Neighbors(Arc::new(found)))
    }

    /// The cosine of each row to its nearest neighbor, as `sign` counts it.
    ///
    /// * `neighbors`: Neighbors.
    ///
    /// Returns an array of floats in row order; `()` for invalid rows, and where there is no other row.
    ///
    /// ```rhai
    /// let near = geometry::nearest_neighbors(tensor::from_rows([[1, 0], [3, 4], [0, 0]]));
    /// assert((near.cos[0] - 0.6).abs() < 1e-6);
    /// assert_eq(near.cos[2], ());
    /// ```
    #[rhai_fn(global, get = "cos", pure)]
    pub fn cos(neighbors: &mut Neighbors) -> Array {
        floats(&neighbors.core().cos)
    }

    /// The row that is each row's nearest neighbor, the lowest on ties.
    ///
    /// * `neighbors`: Neighbors.
    ///
    /// Returns an array of ints in row order; `()` for invalid rows, and where there is no other row.
    ///
    /// ```rhai
    /// assert_eq(geometry::nearest_neighbors(tensor::eye(3)).index, [1, 0, 0]);
    /// ```
    #[rhai_fn(global, get = "index", pure)]
    pub fn index(neighbors: &mut Neighbors) -> Array {
        neighbors.core().index.iter().map(|i| i.map_or(Dynamic::UNIT, |i| Dynamic::from(i as INT))).collect()
    }

    /// The cosine of each row to its next nearest neighbor.
    ///
    /// * `neighbors`: Neighbors.
    ///
    /// Returns an array of floats in row order; `()` for invalid rows, and where there are fewer than three valid rows.
    ///
    /// ```rhai
    /// let near = geometry::nearest_neighbors(tensor::from_rows([[1, 0], [1, 0], [0, 1]]));
    /// assert_eq(near.second_cos, [0.0, 0.0, 0.0]);
    /// ```
    #[rhai_fn(global, get = "second_cos", pure)]
    pub fn second_cos(neighbors: &mut Neighbors) -> Array {
        floats(&neighbors.core().second_cos)
    }

    /// The rows that are zero or not finite, ascending: they have no neighbor and are nobody's.
    ///
    /// * `neighbors`: Neighbors.
    ///
    /// Returns an array of ints.
    ///
    /// ```rhai
    /// assert_eq(geometry::nearest_neighbors(tensor::from_rows([[1, 0], [0, 0], [0, 1]])).invalid, [1]);
    /// ```
    #[rhai_fn(global, get = "invalid", pure)]
    pub fn invalid(neighbors: &mut Neighbors) -> Array {
        neighbors.core().invalid.iter().map(|i| Dynamic::from(*i as INT)).collect()
    }

    /// The number of valid rows.
    ///
    /// * `neighbors`: Neighbors.
    ///
    /// Returns an int.
    ///
    /// ```rhai
    /// assert_eq(geometry::nearest_neighbors(tensor::from_rows([[1, 0], [0, 0], [0, 1]])).n, 2);
    /// ```
    #[rhai_fn(global, get = "n", pure)]
    pub fn n(neighbors: &mut Neighbors) -> INT {
        neighbors.core().n as INT
    }

    /// How cosines were counted.
    ///
    /// * `neighbors`: Neighbors.
    ///
    /// Returns `"signed"` or `"abs"`.
    ///
    /// ```rhai
    /// assert_eq(geometry::nearest_neighbors(tensor::eye(3), #{ sign: "abs" }).sign, "abs");
    /// ```
    #[rhai_fn(global, get = "sign", pure)]
    pub fn sign(neighbors: &mut Neighbors) -> String {
        sign_name(neighbors.core().sign).to_string()
    }
}
