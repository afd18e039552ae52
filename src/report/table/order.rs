//! Sorting and joining, by a total order of cells.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

use polars::prelude::DataFrame;

use super::{Table, Value, foreign, picked};
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::progress::Monitor;

/// So many rows are handled between two looks for a stop.
pub(super) const STRETCH: usize = 1 << 16;

/// Which rows a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// Rows with a partner.
    #[default]
    Inner,
    /// All rows of the left table; without a partner the right cells are null.
    Left,
}

impl Join {
    /// The join of this name: `inner` or `left`.
    ///
    /// # Errors
    /// `unknown-name`.
    pub fn parse(name: &str) -> Result<Join> {
        match name {
            "inner" => Ok(Join::Inner),
            "left" => Ok(Join::Left),
            _ => Err(Error::unknown(Code::UnknownName, "kind of join", name, &["inner", "left"])),
        }
    }
}

/// The total order of cells: bools, numbers by value (2 equals 2.0, -0.0 equals 0.0, every NaN equals every other and comes
/// last), text by its bytes, nulls.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => floats(*a, *b),
        (Value::Int(a), Value::Float(b)) => int_with_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => int_with_float(*b, *a).reverse(),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// NaN last, whatever its sign and bits.
pub(super) fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// By value, where the int as a float would be rounded too.
fn int_with_float(a: i64, b: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() || b >= BEYOND {
        return Ordering::Less;
    }
    if b < -BEYOND {
        return Ordering::Greater;
    }
    a.cmp(&(b.trunc() as i64)).then_with(|| floats(0.0, b.fract()))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Float(_) => 1,
        Value::Text(_) => 2,
        Value::Null => 3,
    }
}

/// The numbers `0..n` in the stable order of `order`. Sorted in stretches that are then merged, as a comparison that ended
/// the sort of the standard library would leave it without an order.
pub(super) fn ordered(n: usize, order: impl Fn(usize, usize) -> Ordering, monitor: &dyn Monitor) -> Result<Vec<usize>> {
    let mut rows: Vec<usize> = (0..n).collect();
    for stretch in rows.chunks_mut(STRETCH) {
        monitor.check()?;
        stretch.sort_by(|a, b| order(*a, *b));
    }
    let mut width = STRETCH;
    while width < n {
        let mut merged = Vec::with_capacity(n);
        for pair in rows.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut i, mut j) = (0, 0);
            while i < left.len() || j < right.len() {
                if merged.len() % STRETCH == 0 {
                    monitor.check()?;
                }
                let from_right = i == left.len() || j < right.len() && order(right[j], left[i]) == Ordering::Less;
                merged.push(if from_right { right[j] } else { left[i] });
                if from_right { j += 1 } else { i += 1 }
            }
        }
        rows = merged;
        width *= 2;
    }
    Ok(rows)
}

/// The cells of some columns, by which rows are ordered and matched.
pub(super) struct Keys {
    pub(super) columns: Vec<Vec<Value>>,
    height: usize,
}

impl Keys {
    fn compare(&self, i: usize, other: &Keys, j: usize) -> Ordering {
        let orders = self.columns.iter().zip(&other.columns).map(|(a, b)| compare(&a[i], &b[j]));
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The rows in ascending order, and the ranges of it that agree.
    pub(super) fn groups(&self, monitor: &dyn Monitor) -> Result<(Vec<usize>, Vec<Range<usize>>)> {
        let rows = ordered(self.height, |a, b| self.compare(a, self, b), monitor)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            if i % STRETCH == 0 {
                monitor.check()?;
            }
            match ranges.last_mut() {
                Some(range) if self.compare(rows[range.start], self, *row).is_eq() => range.end = i + 1,
                _ => ranges.push(i..i + 1),
            }
        }
        Ok((rows, ranges))
    }

    fn has_null(&self, row: usize) -> bool {
        self.columns.iter().any(|cells| cells[row] == Value::Null)
    }
}

impl Table {
    /// The rows in the order of a column; equal ones keep their order, NaN comes after all numbers, nulls come last either way.
    ///
    /// # Errors
    /// `unknown-name`; `too-large`; `interrupted`.
    pub fn sort(&self, name: &str, descending: bool, monitor: &dyn Monitor) -> Result<Table> {
        self.fits("the sorted table", self.height(), 1)?;
        let cells = self.column(name)?;
        let order = |a: usize, b: usize| {
            let (a, b) = (&cells[a], &cells[b]);
            let order = compare(a, b);
            if descending && *a != Value::Null && *b != Value::Null { order.reverse() } else { order }
        };
        self.take(&ordered(cells.len(), order, monitor)?, monitor)
    }

    /// The rows of both tables that agree in the columns `on`, in the order of the left table, then of the right one.
    /// Numbers agree by value, an int with a float too, and NaN with NaN; a null agrees with nothing. A right column whose
    /// name is taken gets the suffix `_right`.
    ///
    /// # Errors
    /// `unknown-name`; `wrong-type` for a column of two types that never agree, such as int and string; `out-of-range`
    /// when `on` is empty or the suffixed name is taken as well; `too-large` for more rows than fit into memory, which are
    /// counted first; `interrupted`.
    pub fn join(&self, other: &Table, on: &[String], how: Join, monitor: &dyn Monitor) -> Result<Table> {
        if on.is_empty() {
            return Err(Error::new(Code::OutOfRange, "a join needs at least one column to join on"));
        }
        let (keys, partners) = (self.keys(on)?, other.keys(on)?);
        for (name, (a, b)) in on.iter().zip(keys.columns.iter().zip(&partners.columns)) {
            comparable(name, a, b)?;
        }
        let (sorted, groups) = partners.groups(monitor)?;
        let matches = matches(&keys, &partners, &sorted, &groups, monitor)?;
        let counts = matches.iter().map(|range| if how == Join::Left { range.len().max(1) } else { range.len() });
        let rows = counts.fold(0usize, usize::saturating_add);
        self.fits("the joined table", rows, self.columns().len() + other.columns().len() - on.len()).map_err(
            |error| error.fact("rows", rows).help("is a key repeated in both tables? group one of them by it first"),
        )?;
        let (mut left, mut right) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (i, range) in matches.into_iter().enumerate() {
            if i % STRETCH == 0 || range.len() > STRETCH {
                monitor.check()?;
            }
            if range.is_empty() && how == Join::Left {
                left.push(i);
                right.push(None);
            }
            left.extend(range.clone().map(|_| i));
            right.extend(sorted[range].iter().map(|row| Some(*row)));
        }
        self.joined(other, on, &left, &right, monitor)
    }

    /// The cells of a join, from the numbers of their rows in both tables.
    fn joined(
        &self,
        other: &Table,
        on: &[String],
        left: &[usize],
        right: &[Option<usize>],
        monitor: &dyn Monitor,
    ) -> Result<Table> {
        let mut names: BTreeSet<String> = self.columns().into_iter().collect();
        let mut columns = self.take(left, monitor)?.frame.columns().to_vec();
        for column in other.frame.columns() {
            let name = column.name().to_string();
            if on.contains(&name) {
                continue;
            }
            let label = if names.contains(&name) { format!("{name}_right") } else { name };
            if !names.insert(label.clone()) {
                return Err(Error::new(Code::OutOfRange, format!("two columns are named `{label}`")));
            }
            columns.push(picked(column, &label, right.len(), |i| right[i], monitor)?);
        }
        Ok(Table { frame: DataFrame::new(left.len(), columns).map_err(foreign)? })
    }

    /// For each row, its cells in these columns.
    pub(super) fn keys(&self, names: &[String]) -> Result<Keys> {
        self.fits("the keys", self.height(), names.len())?;
        let columns = names.iter().map(|name| self.column(name)).collect::<Result<_>>()?;
        Ok(Keys { columns, height: self.height() })
    }

    /// Refuses work on so many rows and columns that cannot fit into memory.
    pub(super) fn fits(&self, work: &str, rows: usize, columns: usize) -> Result<()> {
        // A cell, once as itself and once in its column, and two numbers of rows.
        let bytes = (rows as u64).saturating_mul(40 * columns as u64 + 32);
        memory::check(work, bytes, "take fewer rows or columns, such as by `filter` or `select`")
    }
}

/// For each row of `keys`, the range of `sorted` that agrees with it.
fn matches(
    keys: &Keys,
    partners: &Keys,
    sorted: &[usize],
    groups: &[Range<usize>],
    monitor: &dyn Monitor,
) -> Result<Vec<Range<usize>>> {
    let mut found = Vec::with_capacity(keys.height);
    for row in 0..keys.height {
        if row % STRETCH == 0 {
            monitor.check()?;
        }
        let group = groups.binary_search_by(|group| partners.compare(sorted[group.start], keys, row));
        found.push(match group {
            Ok(group) if !keys.has_null(row) => groups[group].clone(),
            _ => 0..0,
        });
    }
    Ok(found)
}

/// An error where the cells of two columns can never agree, because they are of other types.
fn comparable(name: &str, left: &[Value], right: &[Value]) -> Result<()> {
    let kind = |cells: &[Value]| cells.iter().find(|cell| **cell != Value::Null).map(|cell| (cell.kind(), rank(cell)));
    match (kind(left), kind(right)) {
        (Some((a, left)), Some((b, right))) if left != right => {
            Err(Error::new(Code::WrongType, format!("column `{name}` has another type in each table"))
                .fact("left", a)
                .fact("right", b)
                .help(format!(
                    "make them one type by `with_column(\"{name}\", ..)`, such as of `x.to_string()` or `parse_int(x)`"
                )))
        }
        _ => Ok(()),
    }
}
