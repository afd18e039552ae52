//! Aggregation, in row order and f64: the same bytes every time.

use std::cmp::Ordering;

use super::order::{self, STRETCH};
use super::value::EXACT;
use super::{Table, Value};
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;

/// What becomes of the cells of a group. Nulls are left out, and NaN of the extremes; of no cells, the mean, the extremes and the
/// sd are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The arithmetic mean.
    Mean,
    /// The sum; of ints an int, or an error.
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

    /// The aggregate of these cells; `column` and `group` name them in errors.
    fn of(self, cells: &[&Value], column: &str, group: impl Fn() -> String) -> Result<Value> {
        let cells: Vec<&Value> = cells.iter().copied().filter(|cell| **cell != Value::Null).collect();
        match self {
            Aggregate::Count => return Ok(Value::Int(cells.len() as i64)),
            Aggregate::Min => return Ok(extreme(&cells, Ordering::Less)),
            Aggregate::Max => return Ok(extreme(&cells, Ordering::Greater)),
            _ => {}
        }
        if let Some(other) = cells.iter().find(|cell| cell.as_f64().is_none()) {
            let message = format!("no {} of column `{column}`", self.name());
            return Err(Error::new(Code::WrongType, message).fact("expected", "numbers").fact("given", other.kind()));
        }
        let numbers = Numbers::of(&cells);
        Ok(match (self, &numbers) {
            (Aggregate::Sum, Numbers::Ints(ints)) => {
                let sum: i128 = ints.iter().map(|x| i128::from(*x)).sum();
                let overflow = || {
                    let error = Error::new(Code::OutOfRange, format!("the sum of column `{column}` overflows"));
                    let error = if group().is_empty() { error } else { error.fact("group", group()) };
                    error
                        .fact("expected", "a sum that an int of 64 bits can hold")
                        .fact("given", sum)
                        .help(format!("make the column floats: `with_column(\"{column}\", ..)` with `x.to_float()`"))
                };
                Value::Int(i64::try_from(sum).map_err(|_| overflow())?)
            }
            (Aggregate::Sum, Numbers::Floats(floats)) => Value::Float(floats.iter().sum()),
            (Aggregate::Sd, numbers) => numbers.sd().into(),
            (_, numbers) => numbers.mean().into(),
        })
    }
}

/// The least or the largest of cells, the first of equal ones, NaN left out.
fn extreme(cells: &[&Value], wanted: Ordering) -> Value {
    let cells = cells.iter().filter(|cell| !matches!(cell, Value::Float(x) if x.is_nan()));
    let best = cells.reduce(|best, cell| if order::compare(cell, best) == wanted { cell } else { best });
    best.map_or(Value::Null, |cell| canonical((*cell).clone()))
}

/// Of values that are equal, one: zero without a sign, and one NaN.
fn canonical(value: Value) -> Value {
    match value {
        Value::Float(x) if x.is_nan() => Value::Float(f64::NAN),
        Value::Float(x) => Value::Float(x + 0.0),
        other => other,
    }
}

/// The numbers of some cells.
enum Numbers {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
}

impl Numbers {
    /// Those of a column, which has one type; other cells are left out.
    fn of(cells: &[&Value]) -> Numbers {
        let ints = || cells.iter().filter_map(|cell| if let Value::Int(x) = cell { Some(*x) } else { None });
        if ints().next().is_some() {
            return Numbers::Ints(ints().collect());
        }
        Numbers::Floats(cells.iter().filter_map(|cell| cell.as_f64()).collect())
    }

    fn len(&self) -> usize {
        match self {
            Numbers::Ints(ints) => ints.len(),
            Numbers::Floats(floats) => floats.len(),
        }
    }

    /// The arithmetic mean; that of ints from their exact sum.
    fn mean(&self) -> Option<f64> {
        let n = self.len() as f64;
        match self {
            _ if n == 0.0 => None,
            Numbers::Ints(ints) => Some(ints.iter().map(|x| i128::from(*x)).sum::<i128>() as f64 / n),
            Numbers::Floats(floats) => Some(mean(floats)),
        }
    }

    /// The sample standard deviation.
    fn sd(&self) -> Option<f64> {
        if self.len() < 2 {
            return None;
        }
        let floats: Vec<f64> = match self {
            // Large ints are taken from the first one, or their differences would be lost.
            Numbers::Ints(ints) if ints.iter().any(|x| x.unsigned_abs() > EXACT) => {
                ints.iter().map(|x| (i128::from(*x) - i128::from(ints[0])) as f64).collect()
            }
            Numbers::Ints(ints) => ints.iter().map(|x| *x as f64).collect(),
            Numbers::Floats(floats) => floats.clone(),
        };
        let mean = mean(&floats);
        let largest = floats.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
        // Squares of the very large and the very small leave the range of floats.
        let scale =
            if largest > 1e150 && largest.is_finite() || largest > 0.0 && largest < 1e-150 { largest } else { 1.0 };
        let squares: f64 = floats.iter().map(|x| ((x - mean) / scale) * ((x - mean) / scale)).sum();
        Some(scale * (squares / (floats.len() - 1) as f64).sqrt())
    }
}

/// The arithmetic mean of one number or more, also where their sum is beyond the largest float.
fn mean(numbers: &[f64]) -> f64 {
    let n = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    if sum.is_finite() || !numbers.iter().all(|x| x.is_finite()) {
        sum / n
    } else {
        numbers.iter().map(|x| x / n).sum()
    }
}

impl Table {
    /// One row for each distinct combination of the columns `by`, in ascending order of these columns (NaN after the other numbers, nulls
    /// last), with the aggregates in the order given: output name, column, aggregate. All NaN are one, and so are 0.0 and -0.0.
    ///
    /// # Errors
    /// `unknown-name`; `wrong-type` for the mean, sum or sd of a column that holds no numbers; `out-of-range` for a sum of ints
    /// that overflows; `too-large`; `interrupted`.
    pub fn group_by(
        &self,
        by: &[String],
        aggregates: &[(String, String, Aggregate)],
        monitor: &dyn Monitor,
    ) -> Result<Table> {
        let keys = self.keys(by)?;
        let (rows, groups) = keys.groups(monitor)?;
        let first = |k: usize, group: &std::ops::Range<usize>| canonical(keys.columns[k][rows[group.start]].clone());
        let mut columns = Vec::new();
        for (k, name) in by.iter().enumerate() {
            columns.push((name.clone(), groups.iter().map(|group| first(k, group)).collect()));
        }
        for (output, column, aggregate) in aggregates {
            let cells = self.column(column)?;
            let mut values = Vec::with_capacity(groups.len());
            let mut seen = STRETCH;
            for group in &groups {
                if seen >= STRETCH {
                    monitor.check()?;
                    seen = 0;
                }
                seen += group.len();
                let name = || {
                    let keys = by.iter().enumerate().map(|(k, name)| format!("{name} = {}", first(k, group).shown()));
                    keys.collect::<Vec<_>>().join(", ")
                };
                let cells: Vec<&Value> = rows[group.clone()].iter().map(|row| &cells[*row]).collect();
                values.push(aggregate.of(&cells, column, name)?);
            }
            columns.push((output.clone(), values));
        }
        Table::from_columns(columns)
    }

    /// One row for each column: its name and type, the number of cells and of nulls, and for numbers the mean, sd, least,
    /// quartiles (linear between neighbors) and largest, as floats. NaN counts as a cell; the least, the quartiles and the largest
    /// leave it out.
    ///
    /// # Errors
    /// `too-large`; `interrupted`.
    pub fn describe(&self, monitor: &dyn Monitor) -> Result<Table> {
        self.fits("the description", self.height(), 2)?;
        let names = ["column", "type", "count", "nulls", "mean", "sd", "min", "q25", "median", "q75", "max"];
        let mut rows = Vec::new();
        for (name, column) in self.columns().into_iter().zip(self.frame.columns()) {
            monitor.check()?;
            let cells = super::value::from_column(column)?;
            let present: Vec<&Value> = cells.iter().filter(|cell| **cell != Value::Null).collect();
            let kind = present.first().map(|cell| cell.kind());
            let all = Numbers::of(&present);
            let numbers: Vec<f64> = present.iter().filter_map(|cell| cell.as_f64()).filter(|x| !x.is_nan()).collect();
            let sorted = order::ordered(numbers.len(), |a, b| order::floats(numbers[a], numbers[b]), monitor)?;
            let mut row = vec![
                Value::Text(name),
                kind.map_or(Value::Null, |kind| Value::Text(kind.to_string())),
                Value::Int(present.len() as i64),
                Value::Int((cells.len() - present.len()) as i64),
                all.mean().into(),
                all.sd().into(),
            ];
            row.extend([0.0, 0.25, 0.5, 0.75, 1.0].map(|q| quantile(&numbers, &sorted, q).into()));
            rows.push(row);
        }
        Table::from_rows(names.map(String::from).to_vec(), rows)
    }
}

/// Of numbers in the order of `sorted`, linear between neighbors.
fn quantile(numbers: &[f64], sorted: &[usize], q: f64) -> Option<f64> {
    let place = q * sorted.len().checked_sub(1)? as f64;
    let at = |place: f64| numbers[sorted[place as usize]] + 0.0;
    let (low, high, share) = (at(place.floor()), at(place.ceil()), place.fract());
    let inside = if (high - low).is_finite() { low + (high - low) * share } else { low * (1.0 - share) + high * share };
    Some(if low == high { low } else { inside })
}
