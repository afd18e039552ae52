//! Aggregation, in row order and f64: the same bytes every time.

use std::collections::BTreeMap;

use super::order::Ordered;
use super::{Table, Value};
use crate::error::{Code, Error, Result};

/// What becomes of the cells of a group. Nulls are left out; of no cells, the mean, the extremes and the sd are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The arithmetic mean.
    Mean,
    /// The sum; of ints an int.
    Sum,
    /// The least.
    Min,
    /// The largest.
    Max,
    /// How many that are not null.
    Count,
    /// The sample standard deviation (n - 1); null for fewer than two.
    Sd,
}

impl Aggregate {
    /// Every aggregate, in the order of the documentation.
    pub const ALL: [Aggregate; 6] =
        [Aggregate::Mean, Aggregate::Sum, Aggregate::Min, Aggregate::Max, Aggregate::Count, Aggregate::Sd];

    /// Its name in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Aggregate::Mean => "mean",
            Aggregate::Sum => "sum",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
            Aggregate::Count => "count",
            Aggregate::Sd => "sd",
        }
    }

    /// The aggregate of this name.
    ///
    /// # Errors
    /// `unknown-name`.
    pub fn parse(name: &str) -> Result<Aggregate> {
        let names = Aggregate::ALL.map(Aggregate::name);
        let found = Aggregate::ALL.into_iter().find(|aggregate| aggregate.name() == name);
        found.ok_or_else(|| Error::unknown(Code::UnknownName, "aggregate", name, &names))
    }

    /// The aggregate of these cells; `column` names them in errors.
    fn of(self, cells: &[&Value], column: &str) -> Result<Value> {
        let cells: Vec<&Value> = cells.iter().copied().filter(|cell| **cell != Value::Null).collect();
        let extreme = |cell: Option<Ordered>| Ok(cell.map_or(Value::Null, |cell| cell.0));
        let ordered = cells.iter().map(|cell| Ordered((*cell).clone()));
        match self {
            Aggregate::Count => return Ok(Value::Int(cells.len() as i64)),
            Aggregate::Min => return extreme(ordered.min()),
            Aggregate::Max => return extreme(ordered.max()),
            _ => {}
        }
        if let Some(other) = cells.iter().find(|cell| cell.as_f64().is_none()) {
            let message = format!("no {} of column `{column}`", self.name());
            return Err(Error::new(Code::WrongType, message).fact("expected", "numbers").fact("given", other.kind()));
        }
        let numbers: Vec<f64> = cells.iter().filter_map(|cell| cell.as_f64()).collect();
        let ints = cells.iter().try_fold(0i64, |sum, cell| match cell {
            Value::Int(x) => sum.checked_add(*x),
            _ => None,
        });
        Ok(match (self, ints) {
            (Aggregate::Sum, Some(sum)) => Value::Int(sum),
            (Aggregate::Sum, None) => Value::Float(numbers.iter().sum()),
            (Aggregate::Sd, _) => sd(&numbers).into(),
            _ => mean(&numbers).into(),
        })
    }
}

impl Table {
    /// One row for each distinct combination of the columns `by`, in ascending order of these columns (nulls last), with
    /// the aggregates in the order given: output name, column, aggregate.
    ///
    /// # Errors
    /// `unknown-name`; `wrong-type` for the mean, sum or sd of a column that holds no numbers.
    pub fn group_by(&self, by: &[String], aggregates: &[(String, String, Aggregate)]) -> Result<Table> {
        let mut groups: BTreeMap<Vec<Ordered>, Vec<usize>> = BTreeMap::new();
        for (i, key) in self.keys(by)?.into_iter().enumerate() {
            groups.entry(key).or_default().push(i);
        }
        let mut columns = Vec::new();
        for (k, name) in by.iter().enumerate() {
            columns.push((name.clone(), groups.keys().map(|key| key[k].0.clone()).collect()));
        }
        for (output, column, aggregate) in aggregates {
            let cells = self.column(column)?;
            let values = groups.values().map(|rows| {
                let cells: Vec<&Value> = rows.iter().map(|row| &cells[*row]).collect();
                aggregate.of(&cells, column)
            });
            columns.push((output.clone(), values.collect::<Result<_>>()?));
        }
        Table::from_columns(columns)
    }

    /// One row for each column: its name and type, the number of cells and of nulls, and for numbers the mean, sd, least,
    /// quartiles (linear between neighbors) and largest.
    ///
    /// # Errors
    /// `internal`, which should not happen.
    pub fn describe(&self) -> Result<Table> {
        let names = ["column", "type", "count", "nulls", "mean", "sd", "min", "q25", "median", "q75", "max"];
        let mut rows = Vec::new();
        for name in self.columns() {
            let cells = self.column(&name)?;
            let kind = cells.iter().map(Value::kind).filter(|kind| *kind != "()").max_by_key(|kind| *kind == "float");
            let present = cells.iter().filter(|cell| **cell != Value::Null).count();
            let mut numbers: Vec<f64> = cells.iter().filter_map(Value::as_f64).collect();
            let (mean, sd) = (mean(&numbers), sd(&numbers));
            numbers.sort_by(f64::total_cmp);
            let mut row = vec![
                Value::Text(name),
                kind.map_or(Value::Null, |kind| Value::Text(kind.to_string())),
                Value::Int(present as i64),
                Value::Int((cells.len() - present) as i64),
                mean.into(),
                sd.into(),
            ];
            row.extend([0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&numbers, q).into()));
            rows.push(row);
        }
        Table::from_rows(names.map(String::from).to_vec(), rows)
    }
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

fn sd(numbers: &[f64]) -> Option<f64> {
    let mean = mean(numbers).filter(|_| numbers.len() > 1)?;
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    Some((squares / (numbers.len() - 1) as f64).sqrt())
}

/// Of sorted numbers, linear between neighbors.
fn quantile(numbers: &[f64], q: f64) -> Option<f64> {
    let place = q * numbers.len().checked_sub(1)? as f64;
    let (low, high) = (numbers[place.floor() as usize], numbers[place.ceil() as usize]);
    Some(if low == high { low } else { low + (high - low) * place.fract() })
}
