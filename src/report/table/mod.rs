//! Tables: named columns of equal length, each of one type, over a polars `DataFrame`.
//!
//! A column holds bools, ints, floats or text, and nulls. Everything that decides bytes (sorting, grouping, joining,
//! formatting) is done here in row order, not by polars, whose float sums and group orders may vary.

mod format;
mod group;
mod order;
mod parquet;
mod value;

use std::path::Path;

use polars::prelude::*;

use crate::error::{Code, Error, Result};

pub use group::Aggregate;
pub use order::Join;
pub use value::Value;

/// A table. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Table {
    frame: DataFrame,
}

impl Table {
    /// A table from named columns, in this order. Ints among floats become floats; nulls fit everywhere.
    ///
    /// # Errors
    /// `shape-mismatch` for columns of different length, `wrong-type` for a column of mixed types, `out-of-range` for two
    /// columns of one name.
    pub fn from_columns(columns: Vec<(String, Vec<Value>)>) -> Result<Table> {
        let height = columns.first().map_or(0, |(_, values)| values.len());
        let mut series = Vec::with_capacity(columns.len());
        for (i, (name, values)) in columns.iter().enumerate() {
            if values.len() != height {
                return Err(Error::new(Code::ShapeMismatch, format!("column `{name}` has another length"))
                    .fact("expected", height)
                    .fact("given", values.len()));
            }
            if columns[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::new(Code::OutOfRange, format!("two columns are named `{name}`")));
            }
            series.push(value::to_column(name, values)?);
        }
        Ok(Table { frame: DataFrame::new(height, series).map_err(foreign)? })
    }

    /// A table from column names and rows.
    ///
    /// # Errors
    /// As [`Table::from_columns`]; `shape-mismatch` for a row of another length.
    pub fn from_rows(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Result<Table> {
        let mut values: Vec<Vec<Value>> = columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
        for (i, row) in rows.into_iter().enumerate() {
            if row.len() != columns.len() {
                return Err(Error::new(Code::ShapeMismatch, format!("row {i} does not fit the columns"))
                    .fact("expected", columns.len())
                    .fact("given", row.len()));
            }
            row.into_iter().zip(&mut values).for_each(|(value, column)| column.push(value));
        }
        Table::from_columns(columns.into_iter().zip(values).collect())
    }

    /// The table in a CSV file (a header, commas, UTF-8; empty fields are null) or a parquet file.
    ///
    /// # Errors
    /// `missing-file`, `damaged-file`; `unsupported` for another ending, and for parquet without the feature of that name.
    pub fn read(path: &Path) -> Result<Table> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !["csv", "parquet"].contains(&extension.as_str()) {
            return Err(Error::new(Code::Unsupported, format!("tables are not read from `.{extension}` files"))
                .fact("expected", ".csv, .parquet"));
        }
        let bytes = std::fs::read(path).map_err(|error| {
            Error::new(Code::MissingFile, format!("cannot read `{}`", path.display())).fact("reason", error)
        })?;
        if extension == "csv" { Table::from_csv(bytes) } else { Table::from_parquet(bytes) }
    }

    /// The table in the text of a CSV file; see [`Table::read`].
    ///
    /// # Errors
    /// `damaged-file`.
    pub fn from_csv(bytes: Vec<u8>) -> Result<Table> {
        let damaged = |error: PolarsError| {
            let reason = error.to_string();
            Error::new(Code::DamagedFile, "this is no CSV table").fact("reason", reason.lines().next().unwrap_or(""))
        };
        if let Some(line) = format::misquoted(&bytes) {
            return Err(Error::new(Code::DamagedFile, "this is no CSV table")
                .fact("reason", format!("a quote that does not belong there, line {line}"))
                .help("a field that holds a quote is quoted itself, and its quotes are doubled"));
        }
        let frame = CsvReadOptions::default()
            .with_infer_schema_length(None)
            .with_n_threads(Some(1))
            .into_reader_with_file_handle(std::io::Cursor::new(bytes))
            .finish()
            .map_err(damaged)?;
        Table::of_any_types(&frame)
    }

    /// One of the four types for each column, whatever a reader chose.
    fn of_any_types(frame: &DataFrame) -> Result<Table> {
        let columns = frame.columns().iter().map(|c| Ok((c.name().to_string(), value::from_column(c)?)));
        Table::from_columns(columns.collect::<Result<_>>()?)
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> Vec<String> {
        self.frame.get_column_names().into_iter().map(|name| name.to_string()).collect()
    }

    /// How many rows.
    pub fn height(&self) -> usize {
        self.frame.height()
    }

    /// The values of a column.
    ///
    /// # Errors
    /// `unknown-name`.
    pub fn column(&self, name: &str) -> Result<Vec<Value>> {
        value::from_column(&self.frame.columns()[self.position(name)?])
    }

    /// All rows, each with its values in column order.
    ///
    /// # Errors
    /// `internal`, which should not happen.
    pub fn rows(&self) -> Result<Vec<Vec<Value>>> {
        let columns: Vec<_> = self.frame.columns().iter().map(value::from_column).collect::<Result<_>>()?;
        let mut iters: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        Ok((0..self.height()).map(|_| iters.iter_mut().filter_map(Iterator::next).collect()).collect())
    }

    /// These columns, in this order.
    ///
    /// # Errors
    /// `unknown-name`; `out-of-range` for a name given twice.
    pub fn select(&self, names: &[String]) -> Result<Table> {
        for (i, name) in names.iter().enumerate() {
            self.position(name)?;
            if names[..i].contains(name) {
                return Err(Error::new(Code::OutOfRange, format!("column `{name}` is selected twice")));
            }
        }
        Ok(Table { frame: self.frame.select(names.iter().map(String::as_str)).map_err(foreign)? })
    }

    /// The rows for which `keep` is true; one bool a row.
    ///
    /// # Errors
    /// `shape-mismatch` when `keep` has another length.
    pub fn filter(&self, keep: &[bool]) -> Result<Table> {
        if keep.len() != self.height() {
            return Err(Error::new(Code::ShapeMismatch, "one bool is needed for each row")
                .fact("expected", self.height())
                .fact("given", keep.len()));
        }
        let rows: Vec<_> = (0..keep.len()).filter(|i| keep[*i]).collect();
        self.take(&rows)
    }

    /// The first `n` rows, or all.
    pub fn head(&self, n: usize) -> Table {
        Table { frame: self.frame.head(Some(n)) }
    }

    /// The table with a column more, at the end; a column of this name is replaced where it stands.
    ///
    /// # Errors
    /// As [`Table::from_columns`].
    pub fn with_column(&self, name: &str, values: &[Value]) -> Result<Table> {
        if self.frame.width() > 0 && values.len() != self.height() {
            return Err(Error::new(Code::ShapeMismatch, format!("column `{name}` has another length"))
                .fact("expected", self.height())
                .fact("given", values.len()));
        }
        let mut columns = self.frame.columns().to_vec();
        let column = value::to_column(name, values)?;
        match columns.iter().position(|c| c.name().as_str() == name) {
            Some(i) => columns[i] = column,
            None => columns.push(column),
        }
        Ok(Table { frame: DataFrame::new(values.len(), columns).map_err(foreign)? })
    }

    /// The rows of this table, then those of `other`, which has the same columns in any order.
    ///
    /// # Errors
    /// `shape-mismatch` when the columns differ, `wrong-type` when their types do.
    pub fn concat(&self, other: &Table) -> Result<Table> {
        let columns = self.columns();
        if columns.len() != other.columns().len() || columns.iter().any(|name| other.position(name).is_err()) {
            return Err(Error::new(Code::ShapeMismatch, "the tables have different columns")
                .fact("left", columns.join(", "))
                .fact("right", other.columns().join(", ")));
        }
        let both = columns.into_iter().map(|name| {
            let mut values = self.column(&name)?;
            values.extend(other.column(&name)?);
            Ok((name, values))
        });
        Table::from_columns(both.collect::<Result<_>>()?)
    }

    /// An array of objects, one a row; floats that are not finite are null.
    ///
    /// # Errors
    /// `internal`, which should not happen.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        let names = self.columns();
        let object = |row: Vec<Value>| names.iter().cloned().zip(row.iter().map(Value::to_json)).collect();
        Ok(serde_json::Value::Array(
            self.rows()?.into_iter().map(|row| serde_json::Value::Object(object(row))).collect(),
        ))
    }

    /// One line, such as `Table [3 rows, 2 columns] a, b`.
    pub fn summary(&self) -> String {
        let columns = self.columns();
        format!("Table [{} rows, {} columns] {}", self.height(), columns.len(), columns.join(", "))
    }

    /// Where a column stands, or an error that names the nearest.
    fn position(&self, name: &str) -> Result<usize> {
        let names = self.columns();
        names.iter().position(|other| other == name).ok_or_else(|| {
            Error::unknown(Code::UnknownName, "column", name, &names.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// These rows, in this order.
    fn take(&self, rows: &[usize]) -> Result<Table> {
        let rows = IdxCa::from_vec("".into(), rows.iter().map(|i| *i as IdxSize).collect());
        Ok(Table { frame: self.frame.take(&rows).map_err(foreign)? })
    }
}

/// A polars error that a checked table should not cause.
fn foreign(error: PolarsError) -> Error {
    let text = error.to_string();
    Error::new(Code::Internal, format!("table operation failed: {}", text.lines().next().unwrap_or("")))
}
