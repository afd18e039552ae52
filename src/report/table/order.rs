//! Sorting and joining, by a total order of cells.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Table, Value};
use crate::error::{Code, Error, Result};

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

/// A cell in the total order: bools, numbers by value (2 equals 2.0, NaN last), text by its bytes, nulls last.
#[derive(Debug, Clone)]
pub(super) struct Ordered(pub Value);

impl Ordered {
    fn rank(&self) -> u8 {
        match self.0 {
            Value::Bool(_) => 0,
            Value::Int(_) | Value::Float(_) => 1,
            Value::Text(_) => 2,
            Value::Null => 3,
        }
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (a, b) => match (a.as_f64(), b.as_f64()) {
                // Adding zero takes the sign off a negative zero.
                (Some(a), Some(b)) => a.is_nan().cmp(&b.is_nan()).then((a + 0.0).total_cmp(&(b + 0.0))),
                _ => self.rank().cmp(&other.rank()),
            },
        }
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordered {}

impl Table {
    /// The rows in the order of a column; equal ones keep their order, nulls come last either way.
    ///
    /// # Errors
    /// `unknown-name`.
    pub fn sort(&self, name: &str, descending: bool) -> Result<Table> {
        let cells: Vec<_> = self.column(name)?.into_iter().map(Ordered).collect();
        let mut rows: Vec<usize> = (0..cells.len()).collect();
        rows.sort_by(|a, b| {
            let (a, b) = (&cells[*a], &cells[*b]);
            let order = a.cmp(b);
            if descending && a.0 != Value::Null && b.0 != Value::Null { order.reverse() } else { order }
        });
        self.take(&rows)
    }

    /// The rows of both tables that agree in the columns `on`, in the order of the left table, then of the right one.
    /// A null agrees with nothing. A right column whose name is taken gets the suffix `_right`.
    ///
    /// # Errors
    /// `unknown-name`; `out-of-range` when `on` is empty or the suffixed name is taken as well.
    pub fn join(&self, other: &Table, on: &[String], how: Join) -> Result<Table> {
        if on.is_empty() {
            return Err(Error::new(Code::OutOfRange, "a join needs at least one column to join on"));
        }
        let mut partners: BTreeMap<Vec<Ordered>, Vec<usize>> = BTreeMap::new();
        for (i, key) in other.keys(on)?.into_iter().enumerate() {
            partners.entry(key).or_default().push(i);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (i, key) in self.keys(on)?.into_iter().enumerate() {
            let null = key.iter().any(|cell| cell.0 == Value::Null);
            match partners.get(&key).filter(|_| !null) {
                Some(rows) => rows.iter().for_each(|row| {
                    left.push(i);
                    right.push(Some(*row));
                }),
                None if how == Join::Left => {
                    left.push(i);
                    right.push(None);
                }
                None => {}
            }
        }
        let mut columns = Vec::new();
        for name in self.columns() {
            let cells = self.column(&name)?;
            columns.push((name, left.iter().map(|row| cells[*row].clone()).collect::<Vec<_>>()));
        }
        for name in other.columns().into_iter().filter(|name| !on.contains(name)) {
            let cells = other.column(&name)?;
            let values = right.iter().map(|row| row.map_or(Value::Null, |row| cells[row].clone())).collect();
            let taken = columns.iter().any(|(known, _)| *known == name);
            columns.push((if taken { format!("{name}_right") } else { name }, values));
        }
        Table::from_columns(columns)
    }

    /// For each row, its cells in these columns.
    pub(super) fn keys(&self, names: &[String]) -> Result<Vec<Vec<Ordered>>> {
        let mut keys = vec![Vec::with_capacity(names.len()); self.height()];
        for name in names {
            keys.iter_mut().zip(self.column(name)?).for_each(|(key, cell)| key.push(Ordered(cell)));
        }
        Ok(keys)
    }
}
