//! Tables from files. A column of a CSV file has the type that fits all of its cells; a field in quotes is text.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use polars::prelude::*;

use super::order::STRETCH;
use super::{Table, foreign};
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::progress::Monitor;
use crate::report::csv::{self, Field, Plain, Records};

/// So many bytes are read between two looks for a stop.
const PIECE: u64 = 16 << 20;

/// More text than this in the first line is no header.
const LONGEST_HEADER: usize = 8 << 20;

impl Table {
    /// The table in a CSV file (a header, commas, UTF-8; empty fields are null, fields in quotes are text) or a parquet file.
    ///
    /// # Errors
    /// `missing-file`; `damaged-file`, also for what is no regular file and for text that is not UTF-8; `out-of-range` for a number in a CSV file
    /// that 64 bits cannot hold; `unsupported` for another ending, and for parquet without the feature of that name;
    /// `too-large`; `interrupted`.
    pub fn read(path: &Path, monitor: &dyn Monitor) -> Result<Table> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !path.exists() {
            return Err(Error::new(Code::MissingFile, format!("there is no file `{}`", path.display())));
        }
        if path.is_dir() {
            return Err(Error::new(Code::DamagedFile, format!("`{}` is a folder", path.display()))
                .fact("expected", "a .csv or .parquet file"));
        }
        if !["csv", "parquet"].contains(&extension.as_str()) {
            return Err(Error::new(Code::Unsupported, format!("tables are not read from `.{extension}` files"))
                .fact("expected", ".csv, .parquet"));
        }
        let bytes = contents(path, monitor)?;
        if extension == "csv" { Table::from_csv(&bytes, monitor) } else { Table::from_parquet(bytes) }
    }

    /// The table in the text of a CSV file; see [`Table::read`].
    ///
    /// # Errors
    /// `damaged-file`, `out-of-range`, `too-large`, `interrupted`.
    pub fn from_csv(bytes: &[u8], monitor: &dyn Monitor) -> Result<Table> {
        let text = csv::utf8(bytes)?;
        let mut records = Records::new(text);
        let mut fields = Vec::new();
        if !records.next(&mut fields)? {
            return Err(damaged("the file is empty").help("the first line of a table names its columns"));
        }
        // The header of a table without columns.
        if fields.len() == 1 && fields[0].is_missing() {
            fields.clear();
        }
        if fields.iter().map(|field| field.text.len()).sum::<usize>() > LONGEST_HEADER {
            return Err(damaged(&format!("the names of the columns have more than {} MiB", LONGEST_HEADER >> 20))
                .help("is it a table, with a row in each line?"));
        }
        let names: Vec<String> = fields.iter().map(|field| field.text.to_string()).collect();
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(damaged(&format!("two columns are named `{}`", pair[0])));
        }
        let mut guesses = vec![Guess::default(); names.len()];
        let mut height = 0u64;
        each_record(&mut records.clone(), names.len(), monitor, |line, fields| {
            height += 1;
            guesses.iter_mut().zip(fields).for_each(|(guess, field)| guess.see(field, line));
            Ok(())
        })?;
        // Each cell twice: as it is read, and in its column.
        let bytes = height.saturating_mul(40 * names.len() as u64).saturating_add(text.len() as u64);
        memory::check("the table", bytes, "split the file, or leave out columns")?;
        let checked = names.iter().zip(guesses).map(|(name, guess)| guess.cells(name, height as usize));
        let mut columns = checked.collect::<Result<Vec<Cells>>>()?;
        each_record(&mut records, names.len(), monitor, |_, fields| {
            columns.iter_mut().zip(fields.drain(..)).for_each(|(cells, field)| cells.push(field));
            Ok(())
        })?;
        let columns = names.iter().zip(columns).map(|(name, cells)| cells.into_column(name)).collect();
        Ok(Table { frame: DataFrame::new(height as usize, columns).map_err(foreign)? })
    }
}

/// The bytes of a regular file.
fn contents(path: &Path, monitor: &dyn Monitor) -> Result<Vec<u8>> {
    let unreadable = |code: Code, reason: String| {
        Error::new(code, format!("cannot read `{}`", path.display())).fact("reason", reason)
    };
    let missing = |error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { Code::MissingFile } else { Code::DamagedFile };
        unreadable(code, error.to_string())
    };
    let about = std::fs::metadata(path).map_err(missing)?;
    if !about.is_file() {
        let reason = if about.is_dir() { "it is a folder" } else { "it is no regular file" };
        return Err(unreadable(Code::DamagedFile, reason.to_string()).fact("expected", "a file with a table"));
    }
    memory::check("the file", about.len(), "split the file")?;
    let mut file = File::open(path).map_err(missing)?;
    let mut bytes = Vec::with_capacity(about.len() as usize);
    while file.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(missing)? > 0 {
        monitor.check()?;
    }
    Ok(bytes)
}

/// Calls `f` with the line and the fields of each row. Blank lines are left out, but in a table of one column, where
/// they are missing values.
fn each_record<'a>(
    records: &mut Records<'a>,
    width: usize,
    monitor: &dyn Monitor,
    mut f: impl FnMut(usize, &mut Vec<Field<'a>>) -> Result<()>,
) -> Result<()> {
    let (mut fields, mut cells) = (Vec::new(), STRETCH);
    loop {
        if cells >= STRETCH {
            monitor.check()?;
            cells = 0;
        }
        let line = records.line();
        if !records.next(&mut fields)? {
            return Ok(());
        }
        cells += 1 + fields.len();
        if width != 1 && fields.len() == 1 && fields[0].is_missing() {
            continue;
        }
        if fields.len() != width {
            return Err(damaged(&format!("a row of another length, line {line}"))
                .fact("expected", format!("{width} fields, as in the header"))
                .fact("given", fields.len())
                .help("a field that holds a comma is quoted"));
        }
        f(line, &mut fields)?;
    }
}

/// What the cells of a column have been so far, each kind with the first line that has it.
#[derive(Debug, Clone, Copy, Default)]
struct Guess {
    bools: bool,
    ints: bool,
    floats: bool,
    text: bool,
    large_int: Option<usize>,
    large_float: Option<usize>,
}

impl Guess {
    fn see(&mut self, field: &Field, line: usize) {
        if field.is_missing() || self.text {
            return;
        }
        match csv::plain(&field.text) {
            _ if field.quoted => self.text = true,
            Plain::Bool(_) => self.bools = true,
            Plain::Int(_) => self.ints = true,
            Plain::Float(_) => self.floats = true,
            Plain::LargeInt(_) => self.large_int = self.large_int.or(Some(line)),
            Plain::LargeFloat => self.large_float = self.large_float.or(Some(line)),
            Plain::Text => self.text = true,
        }
    }

    /// An empty column of the type that fits them all.
    fn cells<'a>(self, name: &str, height: usize) -> Result<Cells<'a>> {
        let numbers = self.ints || self.floats || self.large_int.is_some() || self.large_float.is_some();
        if self.text || self.bools && numbers {
            return Ok(Cells::Text(Vec::with_capacity(height)));
        }
        if self.bools {
            return Ok(Cells::Bool(Vec::with_capacity(height)));
        }
        // Among floats, digits without a point are a float too.
        let large = self.large_float.or(self.large_int.filter(|_| !self.floats));
        if let Some(line) = large {
            return Err(Error::new(Code::OutOfRange, format!("a number of column `{name}` is too large"))
                .fact("line", line)
                .fact("expected", "an int of 64 bits, or a float below 1.8e308")
                .help("quote the column's fields to read them as text"));
        }
        match self.ints && !self.floats {
            true => Ok(Cells::Int(Vec::with_capacity(height))),
            false => Ok(Cells::Float(Vec::with_capacity(height))),
        }
    }
}

/// The cells of a column of one type.
enum Cells<'a> {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<Cow<'a, str>>>),
}

impl<'a> Cells<'a> {
    fn push(&mut self, field: Field<'a>) {
        let missing = field.is_missing();
        match self {
            Cells::Text(cells) => cells.push((!missing).then_some(field.text)),
            Cells::Bool(cells) => {
                let value = csv::plain(&field.text);
                cells.push(if let Plain::Bool(x) = value { Some(x) } else { None });
            }
            Cells::Int(cells) => {
                let value = csv::plain(&field.text);
                cells.push(if let Plain::Int(x) = value { Some(x) } else { None });
            }
            Cells::Float(cells) => cells.push(match csv::plain(&field.text) {
                // The digits themselves: a whole number beyond 2^53 as an int first would be rounded twice.
                Plain::Int(_) => field.text.trim().parse().ok(),
                Plain::Float(x) | Plain::LargeInt(x) => Some(x),
                _ => None,
            }),
        }
    }

    fn into_column(self, name: &str) -> Column {
        let label = PlSmallStr::from_str(name);
        match self {
            Cells::Bool(cells) => Column::new(label, cells),
            Cells::Int(cells) => Column::new(label, cells),
            Cells::Float(cells) => Column::new(label, cells),
            Cells::Text(cells) => Column::new(label, cells),
        }
    }
}

fn damaged(reason: &str) -> Error {
    Error::new(Code::DamagedFile, "this is no CSV table").fact("reason", reason)
}
