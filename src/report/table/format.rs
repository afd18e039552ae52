//! Tables as text: CSV for comparing, Markdown for reading.

use super::{Table, Value};
use crate::error::Result;
use crate::report::number;

impl Table {
    /// CSV with a header: commas, LF, every float at full precision, null as an empty field, quotes by RFC 4180. Text
    /// that would read back as a number, a bool or nothing is quoted.
    ///
    /// # Errors
    /// `internal`, which should not happen.
    pub fn to_csv(&self) -> Result<String> {
        let header: Vec<_> = self.columns().iter().map(|name| quoted(name, false)).collect();
        let mut text = header.join(",") + "\n";
        for row in self.rows()? {
            let fields: Vec<_> = row.iter().map(csv_field).collect();
            text += &(fields.join(",") + "\n");
        }
        Ok(text)
    }

    /// A Markdown table, floats at four significant digits, numbers to the right, columns aligned.
    ///
    /// # Errors
    /// `internal`, which should not happen.
    pub fn to_markdown(&self) -> Result<String> {
        let mut cells = vec![self.columns().iter().map(|name| markdown_text(name)).collect::<Vec<_>>()];
        let rows = self.rows()?;
        let right: Vec<bool> = (0..cells[0].len())
            .map(|c| rows.iter().all(|row| !matches!(row[c], Value::Text(_) | Value::Bool(_))))
            .collect();
        cells.extend(rows.iter().map(|row| row.iter().map(markdown_field).collect()));
        let widths: Vec<usize> = (0..right.len())
            .map(|c| cells.iter().map(|row| row[c].chars().count()).max().unwrap_or(0).max(3))
            .collect();
        let mut text = String::new();
        for (i, row) in cells.iter().enumerate() {
            for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
                text += &if *right { format!("| {cell:>width$} ") } else { format!("| {cell:<width$} ") };
            }
            text += "|\n";
            if i == 0 {
                for (width, right) in widths.iter().zip(&right) {
                    text += &format!("| {}{} ", "-".repeat(width - 1), if *right { ":" } else { "-" });
                }
                text += "|\n";
            }
        }
        Ok(text)
    }
}

fn csv_field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(x) => x.to_string(),
        Value::Int(x) => x.to_string(),
        Value::Float(x) => number::exact(*x),
        Value::Text(x) => {
            let looks_typed = x.parse::<f64>().is_ok() || matches!(x.to_lowercase().as_str(), "true" | "false");
            quoted(x, x.is_empty() || looks_typed)
        }
    }
}

/// The text, in quotes when it must be or `always`.
fn quoted(text: &str, always: bool) -> String {
    let must = text.contains([',', '"', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ');
    if must || always { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

fn markdown_field(value: &Value) -> String {
    match value {
        Value::Float(x) => number::rounded(*x),
        Value::Text(x) => markdown_text(x),
        other => csv_field(other),
    }
}

fn markdown_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// The first line of CSV text in which a quote stands where none can: within a field, or without its other half. polars takes
/// the first and the last byte off a quoted field, and panics when they are the same.
pub(super) fn misquoted(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut line, mut at) = (1, 0);
    while at < bytes.len() {
        let begin = line;
        if bytes[at] == b'"' {
            // Up to the quote that closes the field; two are one inside.
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (None, _) => return Some(begin),
                    (Some(b'"'), Some(b'"')) => at += 1,
                    (Some(b'"'), None | Some(b',' | b'\n' | b'\r')) => break,
                    (Some(b'"'), Some(_)) => return Some(line),
                    (Some(b'\n'), _) => line += 1,
                    _ => {}
                }
                at += 1;
            }
            at += 1;
        }
        while at < bytes.len() && !matches!(bytes[at], b',' | b'\n') {
            if bytes[at] == b'"' {
                return Some(line);
            }
            at += 1;
        }
        line += usize::from(bytes.get(at) == Some(&b'\n'));
        at += 1;
    }
    None
}
