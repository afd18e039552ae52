//! `table::`: the methods that make one table of another.

use rhai::plugin::*;
use rhai::{Dynamic, FnPtr, INT, Map, Module, NativeCallContext, exported_module};

use crate::error::{Code, Error, Result};
use crate::host::bind::table::{each_map, to_cells, to_names};
use crate::host::element::Each;
use crate::host::options::Options;
use crate::host::raise::{At, Raised, count};
use crate::host::session::session;
use crate::report::table::{Aggregate, Join, Table as Core};

/// The module, to be combined with that of `table`.
pub(super) fn module() -> Module {
    exported_module!(query)
}

/// What `group_by` computes: output name, column, aggregate, in the order of the table's columns.
fn to_aggregates(table: &Core, wanted: &Map) -> Result<Vec<(String, String, Aggregate)>> {
    // A column that is not there is an error even when the others are.
    wanted.keys().try_for_each(|name| table.column(name).map(|_| ()))?;
    let mut found = Vec::new();
    for column in table.columns() {
        let Some(value) = wanted.get(column.as_str()) else { continue };
        let kinds = to_names(value, &format!("the aggregate of `{column}`"))?;
        for kind in &kinds {
            let output = if kinds.len() > 1 { format!("{column}_{kind}") } else { column.clone() };
            found.push((output, column.clone(), Aggregate::parse(kind)?));
        }
    }
    Ok(found)
}

/// More functions of the namespace `table`.
#[export_module]
mod query {
    /// The script type; see `table`.
    pub type Table = crate::report::table::Table;

    /// Keeps some columns, in the order given.
    ///
    /// * `names`: an array of column names, or one name.
    ///
    /// Returns a Table.
    /// Errors: `unknown-name`.
    ///
    /// ```rhai
    /// let t = table::from_rows(["a", "b", "c"], [[1, 2, 3]]);
    /// assert_eq(t.select(["c", "a"]).columns, ["c", "a"]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn select(ctx: NativeCallContext, table: &mut Table, names: Dynamic) -> Raised<Table> {
        table.select(&to_names(&names, "names").at(&ctx)?).at(&ctx)
    }

    /// Keeps the rows for which a closure is true.
    ///
    /// * `keep`: a closure from a row, as a map, to a bool.
    ///
    /// Returns a Table.
    /// Errors: what the closure raises; `wrong-type` when it returns no bool.
    ///
    /// ```rhai
    /// let t = table::from_columns([["seed", [0, 1, 2]]]);
    /// assert_eq(t.filter(|row| row.seed > 0).height, 2);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn filter(ctx: NativeCallContext, table: &mut Table, keep: FnPtr) -> Raised<Table> {
        let each = Each::new(&ctx, "Table.filter", keep);
        let (mut mask, mut raised) = (Vec::with_capacity(table.height()), None);
        let look = |row| match each.holds(&[], &mut Dynamic::from_map(row), Some(mask.len())) {
            Ok(wanted) => {
                mask.push(wanted);
                Ok(())
            }
            Err(error) => {
                raised = Some(error);
                Err(Error::new(Code::Failed, "the closure failed"))
            }
        };
        let done = each_map(table, session(&ctx).monitor(), look);
        raised.map_or(Ok(()), Err)?;
        done.at(&ctx)?;
        table.filter(&mask).at(&ctx)
    }

    /// Puts the rows in ascending order of a column; equal rows keep their order, NaN comes after the other
    /// numbers, `()` last.
    ///
    /// * `name`: the column.
    ///
    /// Returns a Table.
    /// Errors: `unknown-name`.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [3, 1, 2]]]).sort("x").column("x"), [1, 2, 3]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn sort(ctx: NativeCallContext, table: &mut Table, name: &str) -> Raised<Table> {
        table.sort(name, false, session(&ctx).monitor()).at(&ctx)
    }

    /// Puts the rows in the order of a column; equal rows keep their order, `()` comes last either way, and
    /// NaN counts as larger than all numbers.
    ///
    /// * `name`: the column.
    /// * `options`: `descending`: a bool, false by default.
    ///
    /// Returns a Table.
    /// Errors: `unknown-name`.
    ///
    /// ```rhai
    /// let t = table::from_columns([["x", [3, 1, 2]]]);
    /// assert_eq(t.sort("x", #{ descending: true }).column("x"), [3, 2, 1]);
    /// ```
    #[rhai_fn(name = "sort", global, pure, return_raw)]
    pub fn sort_with(ctx: NativeCallContext, table: &mut Table, name: &str, options: Map) -> Raised<Table> {
        let mut options = Options::new("Table.sort", options);
        let descending = options.take_native::<bool>("descending").at(&ctx)?;
        options.finish().at(&ctx)?;
        table.sort(name, descending.unwrap_or(false), session(&ctx).monitor()).at(&ctx)
    }

    /// Keeps the first rows.
    ///
    /// * `n`: how many, 0 or more; all when there are fewer.
    ///
    /// Returns a Table.
    /// Errors: `out-of-range` when `n` is negative.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [3, 1, 2]]]).head(2).column("x"), [3, 1]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn head(ctx: NativeCallContext, table: &mut Table, n: INT) -> Raised<Table> {
        Ok(table.head(count(n, "the number of rows").at(&ctx)?))
    }

    /// Adds a column at the end, or replaces the one of this name where it stands.
    ///
    /// * `name`: the column.
    /// * `values`: an array or a Tensor of one dimension, one value a row.
    ///
    /// Returns a Table.
    /// Errors: `shape-mismatch` for another length, `wrong-type` for mixed types.
    ///
    /// ```rhai
    /// let t = table::from_columns([["x", [1, 2]]]).with_column("y", [0.5, ()]);
    /// assert_eq(t.columns, ["x", "y"]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn with_column(ctx: NativeCallContext, table: &mut Table, name: &str, values: Dynamic) -> Raised<Table> {
        table.with_column(name, &to_cells(&values, "values").at(&ctx)?).at(&ctx)
    }

    /// Joins the rows of two tables that agree in some columns, in the order of the first table. Numbers agree by value, an
    /// int with a float too, and NaN with NaN; `()` agrees with nothing.
    ///
    /// * `other`: the second table; those of its columns whose name is taken get the suffix `_right`.
    /// * `on`: an array of column names that both have, or one name.
    ///
    /// Returns a Table with the rows that have a partner.
    /// Errors: `unknown-name`; `wrong-type` for a column of two types that never agree, such as int and string; `too-large`
    /// for more rows than memory holds.
    ///
    /// ```rhai
    /// let scores = table::from_rows(["seed", "score"], [[0, 0.8], [1, 0.9]]);
    /// let peaks = table::from_rows(["seed", "peak"], [[1, 0.3]]);
    /// assert_eq(scores.join(peaks, "seed").column("score"), [0.9]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn join(ctx: NativeCallContext, table: &mut Table, other: Table, on: Dynamic) -> Raised<Table> {
        table.join(&other, &to_names(&on, "on").at(&ctx)?, Join::Inner, session(&ctx).monitor()).at(&ctx)
    }

    /// Joins the rows of two tables, and says what becomes of rows without a partner. Numbers agree by value, an int with a
    /// float too, and NaN with NaN; `()` agrees with nothing.
    ///
    /// * `other`: the second table; those of its columns whose name is taken get the suffix `_right`.
    /// * `on`: an array of column names that both have, or one name.
    /// * `options`: `how`: `"inner"` (default) leaves such rows out, `"left"` keeps those of the first table.
    ///
    /// Returns a Table.
    /// Errors: `unknown-name`; `wrong-type` for a column of two types that never agree, such as int and string; `too-large`
    /// for more rows than memory holds.
    ///
    /// ```rhai
    /// let scores = table::from_rows(["seed", "score"], [[0, 0.8], [1, 0.9]]);
    /// let peaks = table::from_rows(["seed", "peak"], [[1, 0.3]]);
    /// assert_eq(scores.join(peaks, "seed", #{ how: "left" }).height, 2);
    /// ```
    #[rhai_fn(name = "join", global, pure, return_raw)]
    pub fn join_with(
        ctx: NativeCallContext,
        table: &mut Table,
        other: Table,
        on: Dynamic,
        options: Map,
    ) -> Raised<Table> {
        let mut options = Options::new("Table.join", options);
        let how = options.take_native::<rhai::ImmutableString>("how").at(&ctx)?;
        options.finish().at(&ctx)?;
        let how = Join::parse(how.as_deref().unwrap_or("inner")).at(&ctx)?;
        table.join(&other, &to_names(&on, "on").at(&ctx)?, how, session(&ctx).monitor()).at(&ctx)
    }

    /// Puts the rows of another table under those of this one.
    ///
    /// * `other`: a table with the same columns, in any order.
    ///
    /// Returns a Table.
    /// Errors: `shape-mismatch` when the columns differ, `wrong-type` when their types do.
    ///
    /// ```rhai
    /// let t = table::from_columns([["x", [1]]]);
    /// assert_eq(t.concat(t).column("x"), [1, 1]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn concat(ctx: NativeCallContext, table: &mut Table, other: Table) -> Raised<Table> {
        table.concat(&other, session(&ctx).monitor()).at(&ctx)
    }

    /// Gives one row for each group of rows that agree in some columns, in ascending order of these columns. Every NaN is
    /// in one group, and so are 0.0 and -0.0.
    ///
    /// * `names`: an array of column names, or one name.
    /// * `aggregates`: a map from column to `"mean"`, `"sum"`, `"min"`, `"max"`, `"count"` or `"sd"` (n - 1), or to an
    ///   array of these, whose columns are then named `score_mean`, `score_sd`.
    ///
    /// Returns a Table; `()` is left out of every aggregate, NaN of `min` and `max`, and an undefined one is `()`.
    /// Errors: `unknown-name` for a column or an aggregate, `wrong-type` for the mean of what is no number, `out-of-range`
    /// for a sum of ints that overflows.
    ///
    /// ```rhai
    /// let t = table::from_rows(["reg", "score"], [["b", 0.5], ["a", 0.25], ["b", 1.5]]);
    /// assert_eq(t.group_by("reg", #{ score: "mean" }).column("score"), [0.25, 1.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn group_by(ctx: NativeCallContext, table: &mut Table, names: Dynamic, aggregates: Map) -> Raised<Table> {
        let aggregates = to_aggregates(table, &aggregates).at(&ctx)?;
        table.group_by(&to_names(&names, "names").at(&ctx)?, &aggregates, session(&ctx).monitor()).at(&ctx)
    }

    /// Sums up each column: type, count, missing values, and for numbers mean, sd, least, quartiles, largest, as floats. NaN
    /// is left out of the least, the quartiles and the largest.
    ///
    /// Returns a Table with one row a column.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [1.0, 3.0]]]).describe().column("mean"), [2.0]);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn describe(ctx: NativeCallContext, table: &mut Table) -> Raised<Table> {
        table.describe(session(&ctx).monitor()).at(&ctx)
    }
}
