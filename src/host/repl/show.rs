//! Values as the prompt shows them: tables as tables, figures as the file that they are saved in, the rest on few lines.

use std::sync::Arc;

use rhai::{Array, Dynamic, Map};

use crate::error::Result;
use crate::host::Session;
use crate::progress::Silent;
use crate::report::plot::Figure;
use crate::report::table::{Table, Value};

/// What fits on one line, how many items of an array are shown, how many rows of a table, how long a line of `:vars` is.
const WIDTH: usize = 100;
const ITEMS: usize = 10;
const ROWS: usize = 20;
const LINE: usize = 60;

/// A value as text. Every figure in it is saved and named; `readable` shows what is neither table, figure nor container.
///
/// # Errors
/// `write-failed` for a figure.
pub(super) fn value(session: &Arc<Session>, value: &Dynamic, readable: &dyn Fn(Dynamic) -> String) -> Result<String> {
    Shower { session, readable }.show(value, 0)
}

struct Shower<'a> {
    session: &'a Arc<Session>,
    readable: &'a dyn Fn(Dynamic) -> String,
}

impl Shower<'_> {
    fn show(&self, value: &Dynamic, depth: usize) -> Result<String> {
        if let Some(map) = value.read_lock::<Map>() {
            let part = |(key, value): (&_, &_)| Ok(format!("{key}: {}", self.show(value, depth + 1)?));
            let parts = map.iter().map(part).collect::<Result<Vec<_>>>()?;
            return Ok(enclosed("#{", parts, "}", depth));
        }
        if let Some(array) = value.read_lock::<Array>() {
            if let Some(table) = as_table(&array).filter(|_| depth == 0) {
                return table_text(&table);
            }
            let shown = if array.len() > ITEMS + 2 { ITEMS } else { array.len() };
            let mut parts =
                array.iter().take(shown).map(|item| self.show(item, depth + 1)).collect::<Result<Vec<_>>>()?;
            if shown < array.len() {
                parts.push(format!("... {} more", array.len() - shown));
            }
            return Ok(enclosed("[", parts, "]", depth));
        }
        if let Some(figure) = value.read_lock::<Figure>() {
            return self.figure(&figure);
        }
        match value.read_lock::<Table>() {
            Some(table) if depth == 0 => table_text(&table),
            _ if value.is_string() => Ok(string(&value.to_string())),
            _ => Ok((self.readable)(value.flatten_clone())),
        }
    }

    /// Saves a figure under the first number that is free, and says where.
    fn figure(&self, figure: &Figure) -> Result<String> {
        let dir = self.session.results().dir();
        let name = (1..).map(|n| format!("figure-{n}.svg")).find(|name| !dir.join(name).exists()).unwrap_or_default();
        self.session.save(&name, figure.to_svg(self.session.monitor())?.as_bytes())?;
        let path = dir.join(&name);
        let path = path.strip_prefix(self.session.root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        Ok(format!("{}: {path}", figure.summary()))
    }
}

/// Maps with the same keys and plain values, of which functions return lists, as a table; `None` for anything else.
fn as_table(items: &Array) -> Option<Table> {
    let columns: Vec<String> = items.first()?.read_lock::<Map>()?.keys().map(ToString::to_string).collect();
    let row = |item: &Dynamic| {
        let map = item.read_lock::<Map>()?;
        let same = map.len() == columns.len();
        columns.iter().filter(|_| same).map(|key| cell(map.get(key.as_str())?)).collect::<Option<Vec<_>>>()
    };
    let rows = items.iter().map(row).collect::<Option<Vec<_>>>()?;
    Table::from_rows(columns, rows).ok()
}

fn cell(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Null);
    }
    let number = value.as_int().map(Value::Int).or_else(|_| value.as_float().map(Value::Float));
    let plain = number.or_else(|_| value.as_bool().map(Value::Bool)).ok();
    plain.or_else(|| value.is_string().then(|| Value::Text(value.to_string())))
}

/// The first rows of a table.
fn table_text(table: &Table) -> Result<String> {
    let mut text = table.head(ROWS).to_markdown(&Silent)?.trim_end().to_string();
    if table.height() > ROWS {
        text += &format!("\n... {} more rows", table.height() - ROWS);
    }
    Ok(text)
}

/// A string in quotes, and one of several lines as it is.
fn string(text: &str) -> String {
    if text.contains('\n') { text.to_string() } else { format!("{text:?}") }
}

/// The parts of a container, on one line when they fit.
fn enclosed(open: &str, parts: Vec<String>, close: &str, depth: usize) -> String {
    let line = if open == "[" { parts.join(", ") } else { format!(" {} ", parts.join(", ")) };
    if parts.is_empty() {
        return format!("{open}{close}");
    }
    if line.len() + 2 * depth <= WIDTH && !line.contains('\n') {
        return format!("{open}{line}{close}");
    }
    let inner = "  ".repeat(depth + 1);
    let lines: Vec<String> = parts.iter().map(|part| format!("{inner}{part}")).collect();
    format!("{open}\n{}\n{}{close}", lines.join(",\n"), "  ".repeat(depth))
}

/// A value as the one line that a list has room for.
pub(super) fn line(value: &Dynamic, readable: &dyn Fn(Dynamic) -> String) -> String {
    let whole = match value.read_lock::<Array>() {
        Some(array) if array.len() > ITEMS => {
            let first = Dynamic::from_array(array.iter().take(ITEMS).cloned().collect());
            format!("{} items: {}", array.len(), readable(first))
        }
        _ if value.is_string() => string(&value.to_string()),
        _ => readable(value.clone()),
    };
    let words: Vec<&str> = whole.split_whitespace().collect();
    let whole = words.join(" ");
    if whole.chars().count() <= LINE {
        return whole;
    }
    whole.chars().take(LINE - 3).chain("...".chars()).collect()
}

/// The keys of a map, for completion.
pub(super) fn keys(value: &Dynamic) -> Vec<String> {
    value.read_lock::<Map>().map(|map| map.keys().map(ToString::to_string).collect()).unwrap_or_default()
}
