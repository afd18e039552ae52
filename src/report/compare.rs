//! Two versions of a result file: where they differ, cell by cell in CSV, line by line in other text.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::csv::{Field, Records};

/// The largest difference of two floats from different processors, as a share of the larger one.
pub const RELATIVE: f64 = 1e-3;

/// A place where two versions of a file differ; `old` is the first one, `new` the second.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are what their names say")]
pub enum Difference {
    /// The cells of a row and column; rows count from 1, without the header. The distance is that of two numbers.
    Cell { row: usize, column: String, old: String, new: String, distance: Option<f64> },
    /// The headers of a table.
    Columns { old: Vec<String>, new: Vec<String> },
    /// How many rows a table has.
    Rows { old: usize, new: usize },
    /// A line of a text, from 1.
    Line { line: usize, old: String, new: String },
    /// A byte of a file that is no text, from 0; one file may only be longer.
    Byte { at: usize },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Cell { row, column, old, new, distance } => {
                write!(f, "row {row}, column `{column}`: {} -> {}", shown(old), shown(new))?;
                distance.map_or(Ok(()), |distance| write!(f, " ({} apart)", super::number::rounded(distance)))
            }
            Difference::Columns { old, new } => write!(f, "columns: {} -> {}", old.join(", "), new.join(", ")),
            Difference::Rows { old, new } => write!(f, "rows: {old} -> {new}"),
            Difference::Line { line, old, new } => {
                write!(f, "line {line}:\n  - {}\n  + {}", clipped(old), clipped(new))
            }
            Difference::Byte { at } => write!(f, "byte {at} is the first that differs"),
        }
    }
}

/// Every difference: of a `.csv` the cells of the rows that both have, of other text the lines.
pub fn differences(name: &str, old: &[u8], new: &[u8]) -> Vec<Difference> {
    all(name, old, new, &|_, a, b| a == b)
}

/// The first difference that another processor does not explain: floats may differ by a part in a thousand, columns by
/// their declared tolerance; ints and text must be equal. Numbers in other text may differ by a unit of their last digit
/// too, those of a figure by a pixel.
pub fn beyond(name: &str, old: &[u8], new: &[u8], tolerance: &BTreeMap<String, f64>) -> Option<Difference> {
    let close = |column: &str, a: &str, b: &str| match name.rsplit('.').next() {
        Some("csv") => close_cells(a, b, tolerance.get(column).copied()),
        Some("svg") => close_text(a, b, 1.0),
        _ => close_text(a, b, 0.0),
    };
    all(name, old, new, &close).into_iter().next()
}

/// Every place where `agree` finds none, given the column, the old text and the new one.
fn all(name: &str, old: &[u8], new: &[u8], agree: &dyn Fn(&str, &str, &str) -> bool) -> Vec<Difference> {
    if old == new {
        return Vec::new();
    }
    match (std::str::from_utf8(old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) => {
            let tables = name.ends_with(".csv").then(|| records(old).zip(records(new))).flatten();
            tables.map_or_else(|| lines(old, new, agree), |(old, new)| cells(&old, &new, agree))
        }
        _ => {
            let at = old.iter().zip(new).take_while(|(a, b)| a == b).count();
            vec![Difference::Byte { at }]
        }
    }
}

fn cells(old: &[Vec<Field>], new: &[Vec<Field>], agree: &dyn Fn(&str, &str, &str) -> bool) -> Vec<Difference> {
    let names = |rows: &[Vec<Field>]| -> Vec<String> {
        rows.first().into_iter().flatten().map(|field| field.text.to_string()).collect()
    };
    let (header, other) = (names(old), names(new));
    if header != other {
        return vec![Difference::Columns { old: header, new: other }];
    }
    let mut found = Vec::new();
    for (row, (a, b)) in old.iter().zip(new).enumerate().skip(1) {
        for (i, column) in header.iter().enumerate() {
            let missing = Field { text: "".into(), quoted: false };
            let (a, b) = (a.get(i).unwrap_or(&missing), b.get(i).unwrap_or(&missing));
            // What is quoted is text, which is equal or not, even where it looks like a number.
            let text = a.quoted || b.quoted;
            if if text { a != b } else { !agree(column, &a.text, &b.text) } {
                let numbers = a.text.parse::<f64>().ok().zip(b.text.parse::<f64>().ok()).filter(|_| !text);
                let distance = numbers.map(|(a, b)| (b - a).abs()).filter(|distance| distance.is_finite());
                let same = a.text == b.text;
                let written = |f: &Field| if same && f.quoted { format!("{:?}", f.text) } else { f.text.to_string() };
                found.push(Difference::Cell {
                    row,
                    column: column.clone(),
                    old: written(a),
                    new: written(b),
                    distance,
                });
            }
        }
    }
    if old.len() != new.len() {
        found.push(Difference::Rows { old: old.len().saturating_sub(1), new: new.len().saturating_sub(1) });
    }
    found
}

fn lines(old: &str, new: &str, agree: &dyn Fn(&str, &str, &str) -> bool) -> Vec<Difference> {
    // Not `str::lines`, which takes `\r\n` for `\n` and does not see a missing end of the last line.
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let line = |i: usize| {
        let (a, b) = (old.get(i).copied(), new.get(i).copied());
        let same = a.zip(b).is_some_and(|(a, b)| a == b || agree("", a, b));
        let text = |line: Option<&str>| line.map_or("(the end)".to_string(), str::to_string);
        (!same).then(|| Difference::Line { line: i + 1, old: text(a), new: text(b) })
    };
    (0..old.len().max(new.len())).filter_map(line).collect()
}

/// Whether two cells of a table agree where another processor made one of them.
fn close_cells(a: &str, b: &str, tolerance: Option<f64>) -> bool {
    let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>()) else { return a == b };
    if a == b || (x.is_nan() && y.is_nan()) {
        return true;
    }
    match tolerance {
        Some(most) => (x - y).abs() <= most,
        None => !(is_whole(a) && is_whole(b)) && (x - y).abs() <= RELATIVE * x.abs().max(y.abs()),
    }
}

/// Whether two lines agree but for their numbers, and these nearly; `least` is a difference that always passes.
fn close_text(a: &str, b: &str, least: f64) -> bool {
    let (a, b) = (pieces(a), pieces(b));
    let close = |(a, b): (&&str, &&str)| {
        let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>()) else { return a == b };
        let unit = if is_whole(a) && is_whole(b) { 0.0 } else { last_digit(a).max(last_digit(b)) };
        let share = if unit > 0.0 { RELATIVE * x.abs().max(y.abs()) } else { 0.0 };
        x == y || (x - y).abs() <= least.max(share).max(1.0001 * unit)
    };
    a.len() == b.len() && a.iter().zip(&b).all(close)
}

/// Whether a number is written as an int.
fn is_whole(number: &str) -> bool {
    number.trim_start_matches('-').bytes().all(|c| c.is_ascii_digit())
}

/// What one more in the last digit of a number adds.
fn last_digit(number: &str) -> f64 {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32);
    10f64.powi(exponent.parse::<i32>().unwrap_or(0) - decimals)
}

/// A line as numbers and what is between them.
fn pieces(line: &str) -> Vec<&str> {
    let bytes = line.as_bytes();
    let (mut found, mut from, mut at) = (Vec::new(), 0, 0);
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    while at < bytes.len() {
        if !digit(at) {
            at += 1;
            continue;
        }
        let start = if at > from && bytes[at - 1] == b'-' { at - 1 } else { at };
        while digit(at) || (bytes.get(at) == Some(&b'.') && digit(at + 1)) {
            at += 1;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
            if digit(at + 1 + sign) {
                at += 1 + sign;
                while digit(at) {
                    at += 1;
                }
            }
        }
        found.push(&line[from..start]);
        found.push(&line[start..at]);
        from = at;
    }
    found.push(&line[from..]);
    found
}

/// The records of a CSV text; `None` when it is none.
fn records(text: &str) -> Option<Vec<Vec<Field<'_>>>> {
    let (mut records, mut rows, mut row) = (Records::new(text), Vec::new(), Vec::new());
    while records.next(&mut row).ok()? {
        rows.push(std::mem::take(&mut row));
    }
    Some(rows)
}

fn shown(cell: &str) -> String {
    if cell.is_empty() { "nothing".to_string() } else { clipped(cell) }
}

fn clipped(text: &str) -> String {
    if text.chars().count() <= 160 {
        text.to_string()
    } else {
        format!("{}..", text.chars().take(158).collect::<String>())
    }
}
