//! Tables as text: CSV for comparing, Markdown for reading.

use super::order::STRETCH;
use super::{Table, Value};
use crate::error::Result;
use crate::progress::Monitor;
use crate::report::{characters, csv, number};

impl Table {
    /// CSV with a header: commas, LF, every float at full precision, null as an empty field, quotes by RFC 4180. Text
    /// that would read back as a number, a bool or nothing is quoted, so that the table reads back as it is.
    ///
    /// # Errors
    /// `too-large`; `interrupted`.
    pub fn to_csv(&self, monitor: &dyn Monitor) -> Result<String> {
        let header: Vec<_> = self.columns().iter().map(|name| csv::header_field(name)).collect();
        let mut text = header.join(",") + "\n";
        self.each_row(monitor, |row| {
            for (i, value) in row.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&csv_field(value));
            }
            text.push('\n');
            Ok(())
        })?;
        Ok(text)
    }

    /// A Markdown table, floats at four significant digits, numbers to the right, columns aligned. Characters that Markdown
    /// would take for marks are escaped.
    ///
    /// # Errors
    /// `too-large`; `interrupted`.
    pub fn to_markdown(&self, monitor: &dyn Monitor) -> Result<String> {
        let header: Vec<String> = self.columns().iter().map(|name| markdown_text(name)).collect();
        let columns = self.cells(monitor)?;
        let right: Vec<bool> = columns
            .iter()
            .map(|cells| cells.iter().all(|cell| !matches!(cell, Value::Text(_) | Value::Bool(_))))
            .collect();
        let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count().max(3)).collect();
        for (width, cells) in widths.iter_mut().zip(&columns) {
            for stretch in cells.chunks(STRETCH) {
                monitor.check()?;
                let widest = stretch.iter().map(|cell| markdown_field(cell).chars().count()).max();
                *width = widest.unwrap_or(0).max(*width);
            }
        }
        let mut text = String::new();
        let line = |cells: &mut dyn Iterator<Item = String>, text: &mut String| {
            for ((cell, width), right) in cells.zip(&widths).zip(&right) {
                *text += &if *right { format!("| {cell:>width$} ") } else { format!("| {cell:<width$} ") };
            }
            text.push_str("|\n");
        };
        line(&mut header.into_iter(), &mut text);
        for (width, right) in widths.iter().zip(&right) {
            text += &format!("| {}{} ", "-".repeat(width - 1), if *right { ":" } else { "-" });
        }
        text += "|\n";
        for row in 0..self.height() {
            if row % STRETCH == 0 {
                monitor.check()?;
            }
            line(&mut columns.iter().map(|cells| markdown_field(&cells[row])), &mut text);
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
        Value::Text(x) => csv::text_field(x),
    }
}

fn markdown_field(value: &Value) -> String {
    match value {
        Value::Float(x) => number::rounded(*x),
        Value::Text(x) => markdown_text(x),
        other => csv_field(other),
    }
}

/// Text that Markdown shows as it is: `<unk>`, `*a*`, `_x_`, a pipe.
fn markdown_text(text: &str) -> String {
    let text = characters::on_one_line(text);
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    for (i, c) in text.char_indices() {
        let rest = &text[i + c.len_utf8()..];
        let after = rest.chars().next();
        let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_mark = match c {
            '\\' | '|' | '`' | '<' | '[' | '~' | '$' => true,
            // Between blanks it opens and closes nothing, and neither does an underscore within a word.
            '*' => !(blank(before) && blank(after)),
            '_' => !(blank(before) && blank(after) || word(before) && word(after)),
            // Only what ends like `&lt;` is a character by its name.
            '&' => rest.trim_start_matches(|c: char| c == '#' || c.is_ascii_alphanumeric()).starts_with(';'),
            _ => false,
        };
        if is_mark {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}
