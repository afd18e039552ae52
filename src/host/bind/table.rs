//! `table::`: making, reading, taking apart and saving tables. What makes one table of another is in `table_query`.

use std::collections::BTreeMap;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, INT, Map, Module, NativeCallContext, exported_module};

use crate::error::{Code, Error, Result};
use crate::host::bind::{language, table_query};
use crate::host::options::Options;
use crate::host::raise::{At, Raised, wrong_type};
use crate::host::session::session;
use crate::host::value;
use crate::memory;
use crate::progress::Monitor;
use crate::report::table::{Table as Core, Value};

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<Core>(engine, "Table", Core::summary);
    let mut module: Module = exported_module!(table);
    module.combine(table_query::module());
    engine.register_static_module("table", module.into());
}

/// A script value as a cell.
fn to_cell(value: &Dynamic, what: &str) -> Result<Value> {
    if value.is_unit() {
        Ok(Value::Null)
    } else if let Ok(x) = value.as_bool() {
        Ok(Value::Bool(x))
    } else if let Ok(x) = value.as_int() {
        Ok(Value::Int(x))
    } else if let Ok(x) = value.as_float() {
        Ok(Value::Float(x))
    } else if value.is_string() || value.is_char() {
        Ok(Value::Text(value.to_string()))
    } else {
        Err(wrong_type(what, "a bool, int, float, string or ()", value))
    }
}

/// A cell as a script value.
fn from_cell(cell: Value) -> Dynamic {
    match cell {
        Value::Null => Dynamic::UNIT,
        Value::Bool(x) => x.into(),
        Value::Int(x) => x.into(),
        Value::Float(x) => x.into(),
        Value::Text(x) => x.into(),
    }
}

/// The cells in an array or a one-dimensional tensor.
pub(super) fn to_cells(values: &Dynamic, what: &str) -> Result<Vec<Value>> {
    if let Some(array) = values.read_lock::<Array>() {
        return array.iter().enumerate().map(|(i, value)| to_cell(value, &format!("{what}[{i}]"))).collect();
    }
    match values.read_lock::<candle_core::Tensor>() {
        Some(t) if t.dims().len() == 1 => {
            Ok(value::values(&t)?.into_iter().map(|x| Value::Float(f64::from(x))).collect())
        }
        _ => Err(wrong_type(what, "an array, or a Tensor of one dimension", values)),
    }
}

/// One name, or an array of names.
pub(super) fn to_names(names: &Dynamic, what: &str) -> Result<Vec<String>> {
    let text = |value: &Dynamic| {
        value.clone().into_string().map_err(|_| wrong_type(what, "a column name or an array of them", value))
    };
    match names.read_lock::<Array>() {
        Some(array) => array.iter().map(text).collect(),
        None => Ok(vec![text(names)?]),
    }
}

/// Calls `f` with each row as a script map.
pub(super) fn each_map(table: &Core, monitor: &dyn Monitor, mut f: impl FnMut(Map) -> Result<()>) -> Result<()> {
    let names: Vec<rhai::Identifier> = table.columns().iter().map(|name| name.as_str().into()).collect();
    table.each_row(monitor, |row| f(names.iter().cloned().zip(row.into_iter().map(from_cell)).collect()))
}

/// The rows as script maps.
fn to_maps(table: &Core, monitor: &dyn Monitor) -> Result<Array> {
    // About what a map takes, and each of its entries.
    let bytes = (table.height() as u64).saturating_mul(64 + 96 * table.columns().len() as u64);
    memory::check("the rows as maps", bytes, "take one column by `column`, or fewer rows by `head`")?;
    let mut maps = Array::with_capacity(table.height());
    each_map(table, monitor, |map| {
        maps.push(Dynamic::from_map(map));
        Ok(())
    })?;
    Ok(maps)
}

/// The option `tolerance` of a table: by how much its columns may differ.
fn tolerances(table: &Core, given: Option<Map>) -> Result<BTreeMap<String, f64>> {
    let columns = table.columns();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let one = |(name, value): (&rhai::Identifier, &Dynamic)| {
        if !columns.contains(&name.as_str()) {
            return Err(Error::unknown(Code::UnknownName, "column", name, &columns));
        }
        let what = format!("the tolerance of `{name}`");
        let most = value.as_float().or_else(|_| value.as_int().map(|x| x as f64));
        match most.map_err(|_| wrong_type(&what, "a number", value))? {
            most if most >= 0.0 && most.is_finite() => Ok((name.to_string(), most)),
            most => Err(Error::new(Code::OutOfRange, format!("{what} is no size")).fact("given", most)),
        }
    };
    given.unwrap_or_default().iter().map(one).collect()
}

/// The file name without an ending that the call adds itself.
pub(super) fn stem<'a>(name: &'a str, ending: &str) -> &'a str {
    name.strip_suffix(ending).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// The functions of the namespace `table`.
#[export_module]
pub mod table {
    /// The script type: named columns of equal length, each of bools, ints, floats or strings, and `()`.
    pub type Table = crate::report::table::Table;

    /// Makes a table from column names and rows.
    ///
    /// * `columns`: an array of names.
    /// * `rows`: an array of arrays, one a row, each with one value for each column.
    ///
    /// Returns a Table.
    /// Errors: `shape-mismatch` for a row of another length, `wrong-type` for a column of mixed types.
    ///
    /// ```rhai
    /// let t = table::from_rows(["seed", "score"], [[0, 0.846], [1, ()]]);
    /// assert_eq(t.height, 2);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_rows(ctx: NativeCallContext, columns: Array, rows: Array) -> Raised<Table> {
        let columns = to_names(&columns.into(), "columns").at(&ctx)?;
        let cells = rows.iter().enumerate().map(|(i, row)| to_cells(row, &format!("rows[{i}]")));
        Table::from_rows(columns, cells.collect::<Result<_>>().at(&ctx)?).at(&ctx)
    }

    /// Makes a table from pairs of a name and values, in this order.
    ///
    /// * `columns`: an array of `[name, values]`; `values` is an array or a Tensor of one dimension.
    ///
    /// Returns a Table.
    /// Errors: `shape-mismatch` for columns of different length, `wrong-type` for a column of mixed types.
    ///
    /// ```rhai
    /// let t = table::from_columns([["seed", [0, 1]], ["score", [0.846, 0.828]]]);
    /// assert_eq(t.columns, ["seed", "score"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn from_columns(ctx: NativeCallContext, columns: Array) -> Raised<Table> {
        let pair = |(i, pair): (usize, &Dynamic)| match pair.read_lock::<Array>().as_deref().map(Vec::as_slice) {
            Some([name, values]) if name.is_string() => {
                Ok((name.to_string(), to_cells(values, &format!("column `{name}`"))?))
            }
            _ => Err(wrong_type(&format!("columns[{i}]"), "a pair [name, values]", pair)),
        };
        let columns = columns.iter().enumerate().map(pair).collect::<Result<_>>().at(&ctx)?;
        Table::from_columns(columns).at(&ctx)
    }

    /// Reads a table from a file of the project: CSV (UTF-8, a header, commas) or parquet.
    ///
    /// A column of a CSV file is of bools, ints or floats when all of its fields are, and of strings otherwise. A field in
    /// quotes is a string whatever it looks like, and an empty one without quotes is `()`.
    ///
    /// * `path`: a `.csv` file, or a `.parquet` file where the program was built with the feature `parquet`.
    ///
    /// Returns a Table.
    /// Errors: `missing-file`; `damaged-file`, also for a folder and for text that is not UTF-8; `out-of-range` for a number
    /// beyond 64 bits; `unsupported` for parquet without the feature; `outside-project`.
    ///
    /// ```rhai
    /// let code = "";
    /// try { table::read("no.csv") } catch (e) { code = e.code; }
    /// assert_eq(code, "missing-file");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read(ctx: NativeCallContext, path: &str) -> Raised<Table> {
        let session = session(&ctx);
        let full = session.readable(path).at(&ctx)?;
        let table = Table::read(&full, session.monitor()).at(&ctx)?;
        session.record_file(path, &full).at(&ctx)?;
        Ok(table)
    }

    /// The names of the columns, in order.
    ///
    /// * `table`: a Table.
    ///
    /// Returns an array of strings.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [1]], ["a", [2]]]).columns, ["x", "a"]);
    /// ```
    #[rhai_fn(global, get = "columns", pure)]
    pub fn columns(table: &mut Table) -> Array {
        table.columns().into_iter().map(Dynamic::from).collect()
    }

    /// The number of rows.
    ///
    /// * `table`: a Table.
    ///
    /// Returns an int.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [1, 2, 3]]]).height, 3);
    /// ```
    #[rhai_fn(global, get = "height", pure)]
    pub fn height(table: &mut Table) -> INT {
        table.height() as INT
    }

    /// The values of a column.
    ///
    /// * `name`: the name of the column.
    ///
    /// Returns an array, with `()` for missing values.
    /// Errors: `unknown-name`.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [1.5, ()]]]).column("x")[0], 1.5);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn column(ctx: NativeCallContext, table: &mut Table, name: &str) -> Raised<Array> {
        Ok(table.column(name).at(&ctx)?.into_iter().map(from_cell).collect())
    }

    /// All rows, each as a map from column name to value.
    ///
    /// Returns an array of maps.
    ///
    /// ```rhai
    /// assert_eq(table::from_rows(["seed", "score"], [[3, 0.8]]).rows()[0].seed, 3);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn rows(ctx: NativeCallContext, table: &mut Table) -> Raised<Array> {
        to_maps(table, session(&ctx).monitor()).at(&ctx)
    }

    /// Gives JSON text: an array of objects, one a row.
    ///
    /// * `table`: a Table; floats that are not finite become null.
    ///
    /// Returns a string.
    ///
    /// ```rhai
    /// assert_eq(table::from_columns([["x", [1, ()]]]).to_json(), `[{"x":1},{"x":null}]`);
    /// ```
    #[rhai_fn(name = "to_json", global, pure, return_raw)]
    pub fn table_to_json(ctx: NativeCallContext, table: &mut Table) -> Raised<String> {
        table.to_json(session(&ctx).monitor()).map(|json| json.to_string()).at(&ctx)
    }

    /// Gives a Markdown table, floats at four significant digits, and text with Markdown's marks escaped.
    ///
    /// * `table`: a Table.
    ///
    /// Returns a string, for `print` and `run::note`.
    ///
    /// ```rhai
    /// assert(table::from_columns([["x", [0.123456]]]).to_markdown().contains("0.1235"));
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn to_markdown(ctx: NativeCallContext, table: &mut Table) -> Raised<String> {
        table.to_markdown(session(&ctx).monitor()).at(&ctx)
    }

    /// Writes the table into the results of this script: `name.csv` at full precision and `name.md` for reading.
    ///
    /// * `name`: a file name without folder and ending.
    ///
    /// Errors: `outside-project` for a name that leads elsewhere, `failed` for one that this run has saved, `write-failed`.
    ///
    /// ```rhai
    /// table::from_columns([["x", [1.5]]]).save("scores");
    /// assert(true);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn save(ctx: NativeCallContext, table: &mut Table, name: &str) -> Raised<()> {
        save_with(ctx, table, name, Map::new())
    }

    /// Writes the table into the results of this script, with options.
    ///
    /// * `name`: a file name without folder and ending.
    /// * `options`: `parquet`: whether `name.parquet` is written too, false by default; needs a build with the feature `parquet`.
    ///   `tolerance`: a map from columns to the largest difference that `saerun verify` lets pass on a processor with other
    ///   instructions; a part in a thousand by default for floats, none for other cells.
    ///
    /// Errors: `unsupported` for parquet without the feature, `unknown-name` for a tolerance of a column that is not there,
    /// `wrong-type` or `out-of-range` for one that is no number from 0 up, `outside-project`, `write-failed`.
    ///
    /// ```rhai
    /// table::from_columns([["l0", [17.2]]]).save("scores", #{ parquet: false, tolerance: #{ l0: 0.1 } });
    /// assert(true);
    /// ```
    #[rhai_fn(name = "save", global, pure, return_raw)]
    pub fn save_with(ctx: NativeCallContext, table: &mut Table, name: &str, options: Map) -> Raised<()> {
        let mut options = Options::new("Table.save", options);
        let parquet = options.take_native::<bool>("parquet").at(&ctx)?;
        let tolerance = tolerances(table, options.take_native::<Map>("tolerance").at(&ctx)?).at(&ctx)?;
        options.finish().at(&ctx)?;
        let (session, name) = (session(&ctx), stem(name, ".csv"));
        let mut files = Vec::new();
        if parquet == Some(true) {
            files.push((format!("{name}.parquet"), table.to_parquet().at(&ctx)?));
        }
        files.push((format!("{name}.csv"), table.to_csv(session.monitor()).at(&ctx)?.into_bytes()));
        files.push((format!("{name}.md"), table.to_markdown(session.monitor()).at(&ctx)?.into_bytes()));
        session.save_all(&files).at(&ctx)?;
        session.results().declare_tolerance(&format!("{name}.csv"), tolerance);
        Ok(())
    }
}
