//! Tables: named columns of equal length, each of one type, over a polars `DataFrame`.
//!
//! A column holds bools, ints, floats or text, and nulls. Everything that decides bytes (sorting, grouping, joining,
//! formatting) is done here in row order, not by polars, whose float sums and group orders may vary.

mod file;
mod format;
mod group;
mod order;
mod parquet;
mod value;

use std::collections::BTreeSet;

use polars::prelude::*;

use crate::error::{Code, Error, Result};
use crate::progress::{Monitor, Silent};

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
        let mut names = BTreeSet::new();
        for (name, values) in &columns {
            if values.len() != height {
                return Err(Error::new(Code::ShapeMismatch, format!("column `{name}` has another length"))
                    .fact("expected", height)
                    .fact("given", values.len()));
            }
            if !names.insert(name) {
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
    /// `too-large`.
    pub fn rows(&self) -> Result<Vec<Vec<Value>>> {
        let mut rows = Vec::with_capacity(self.height());
        self.each_row(&Silent, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Calls `f` with the values of each row, in column order.
    ///
    /// # Errors
    /// Those of `f`; `too-large`; `interrupted`.
    pub fn each_row(&self, monitor: &dyn Monitor, mut f: impl FnMut(Vec<Value>) -> Result<()>) -> Result<()> {
        let mut columns: Vec<_> = self.cells(monitor)?.into_iter().map(Vec::into_iter).collect();
        for row in 0..self.height() {
            if row % order::STRETCH == 0 {
                monitor.check()?;
            }
            f(columns.iter_mut().filter_map(Iterator::next).collect())?;
        }
        Ok(())
    }

    /// The values of all columns.
    fn cells(&self, monitor: &dyn Monitor) -> Result<Vec<Vec<Value>>> {
        self.fits("the cells of the table", self.height(), self.frame.width())?;
        let column = |column| monitor.check().and_then(|()| value::from_column(column));
        self.frame.columns().iter().map(column).collect()
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
        self.take(&rows, &Silent)
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
    /// `shape-mismatch` when the columns differ, `wrong-type` when their types do; `too-large`; `interrupted`.
    pub fn concat(&self, other: &Table, monitor: &dyn Monitor) -> Result<Table> {
        let (mut left, mut right) = (self.columns(), other.columns());
        let columns = left.clone();
        left.sort_unstable();
        right.sort_unstable();
        if left != right {
            return Err(Error::new(Code::ShapeMismatch, "the tables have different columns")
                .fact("left", columns.join(", "))
                .fact("right", other.columns().join(", ")));
        }
        self.fits("the longer table", self.height().saturating_add(other.height()), columns.len())?;
        let both = columns.into_iter().map(|name| {
            monitor.check()?;
            let mut values = self.column(&name)?;
            values.extend(other.column(&name)?);
            Ok((name, values))
        });
        Table::from_columns(both.collect::<Result<_>>()?)
    }

    /// An array of objects, one a row; floats that are not finite are null.
    ///
    /// # Errors
    /// `too-large`; `interrupted`.
    pub fn to_json(&self, monitor: &dyn Monitor) -> Result<serde_json::Value> {
        let names = self.columns();
        let mut rows = Vec::new();
        self.each_row(monitor, |row| {
            let object = names.iter().cloned().zip(row.iter().map(Value::to_json)).collect();
            rows.push(serde_json::Value::Object(object));
            Ok(())
        })?;
        Ok(serde_json::Value::Array(rows))
    }

    /// One line, such as `Table [3 rows, 2 columns] a, b`.
    pub fn summary(&self) -> String {
        let columns = self.columns();
        format!("Table [{} rows, {} columns] {}", self.height(), columns.len(), columns.join(", "))
    }

    /// Where a column stands, or an error that names the nearest.
    fn position(&self, name: &str) -> Result<usize> {
        let place = self.frame.columns().iter().position(|column| column.name().as_str() == name);
        place.ok_or_else(|| {
            let names = self.columns();
            Error::unknown(Code::UnknownName, "column", name, &names.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// These rows, in this order.
    fn take(&self, rows: &[usize], monitor: &dyn Monitor) -> Result<Table> {
        let pick = |column: &Column| picked(column, column.name(), rows.len(), |i| Some(rows[i]), monitor);
        let columns = self.frame.columns().iter().map(pick).collect::<Result<_>>()?;
        Ok(Table { frame: DataFrame::new(rows.len(), columns).map_err(foreign)? })
    }
}

/// The cells of a column at the rows that `row` gives, under the name `label`; null where it gives none.
fn picked(
    column: &Column,
    label: &str,
    height: usize,
    row: impl Fn(usize) -> Option<usize>,
    monitor: &dyn Monitor,
) -> Result<Column> {
    monitor.check()?;
    let cells = value::from_column(column)?;
    let kind = value::kind_of(label, &cells)?;
    value::build(label, kind, height, |i| row(i).map_or(&Value::Null, |i| &cells[i]), monitor)
}

/// A polars error that a checked table should not cause.
fn foreign(error: PolarsError) -> Error {
    let text = error.to_string();
    Error::new(Code::Internal, format!("table operation failed: {}", text.lines().next().unwrap_or("")))
}
