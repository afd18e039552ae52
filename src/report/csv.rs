//! CSV by RFC 4180, the one reader for tables, pages and comparisons: records of fields, each with whether it was quoted.

use std::borrow::Cow;

use crate::error::{Code, Error, Result};

/// A record longer than this is no row of a table: the file has no line ends, or a quote that nothing closes.
const LONGEST: usize = 64 << 20;

/// More fields than this in a record are no table either.
pub const MOST_FIELDS: usize = 100_000;

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// The text, without the quotes around it.
    pub text: Cow<'a, str>,
    /// Whether it was in quotes: then it is text, whatever it looks like.
    pub quoted: bool,
}

impl Field<'_> {
    /// Whether nothing stands there: a missing value. Empty text is quoted.
    pub fn is_missing(&self) -> bool {
        self.text.is_empty() && !self.quoted
    }
}

/// Reads record by record. Lines end with LF, CRLF or CR; a byte order mark is left out.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Records<'a> {
    /// The records of a text.
    pub fn new(text: &'a str) -> Records<'a> {
        Records { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, line: 1 }
    }

    /// The line at which the next record begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Puts the next record into `fields`; false at the end of the text.
    ///
    /// # Errors
    /// `damaged-file`, with the line, for a quote where none can stand, and for a record that is far too long.
    pub fn next(&mut self, fields: &mut Vec<Field<'a>>) -> Result<bool> {
        fields.clear();
        if self.at >= self.text.len() {
            return Ok(false);
        }
        let (begin, line) = (self.at, self.line);
        loop {
            let field = if self.byte() == Some(b'"') { self.quoted()? } else { self.plain()? };
            fields.push(field);
            let long = |what: String| damaged(what, line).help("is it a table, with a row in each line?");
            if fields.len() > MOST_FIELDS {
                return Err(long(format!("more than {MOST_FIELDS} fields in a row")));
            }
            if self.at - begin > LONGEST {
                return Err(long(format!("a row of more than {} MiB", LONGEST >> 20)));
            }
            match self.byte() {
                Some(b',') => self.at += 1,
                Some(b'\r') if self.text.as_bytes().get(self.at + 1) == Some(&b'\n') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Ok(true),
            }
            if self.text.as_bytes()[self.at - 1] != b',' {
                self.line += 1;
                return Ok(true);
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// A field without quotes, up to the comma or the line's end.
    fn plain(&mut self) -> Result<Field<'a>> {
        let rest = &self.text.as_bytes()[self.at..];
        // No further than a row may be long: a file without line ends must not be searched to its end.
        let rest = &rest[..rest.len().min(LONGEST + 1)];
        let end = rest.iter().position(|b| matches!(b, b',' | b'\n' | b'\r' | b'"')).unwrap_or(rest.len());
        if rest.get(end) == Some(&b'"') {
            return Err(misquoted(self.line));
        }
        if end > LONGEST {
            return Err(damaged(format!("a row of more than {} MiB", LONGEST >> 20), self.line)
                .help("is it a table, with a row in each line?"));
        }
        let text = &self.text[self.at..self.at + end];
        self.at += end;
        Ok(Field { text: text.into(), quoted: false })
    }

    /// A field in quotes; two quotes stand for one.
    fn quoted(&mut self) -> Result<Field<'a>> {
        let bytes = self.text.as_bytes();
        let (begin, line) = (self.at + 1, self.line);
        let (mut at, mut doubled) = (begin, false);
        loop {
            match (bytes.get(at), bytes.get(at + 1)) {
                _ if at - begin > LONGEST => {
                    return Err(damaged(format!("a field of more than {} MiB", LONGEST >> 20), line)
                        .help("does a quote open there that nothing closes?"));
                }
                (None, _) => return Err(misquoted(line)),
                (Some(b'"'), Some(b'"')) => (at, doubled) = (at + 2, true),
                (Some(b'"'), None | Some(b',' | b'\n' | b'\r')) => break,
                (Some(b'"'), Some(_)) => return Err(misquoted(self.line)),
                (Some(b), _) => {
                    self.line += usize::from(*b == b'\n');
                    at += 1;
                }
            }
        }
        let text = &self.text[begin..at];
        self.at = at + 1;
        let text = if doubled { text.replace("\"\"", "\"").into() } else { text.into() };
        Ok(Field { text, quoted: true })
    }
}

fn damaged(reason: String, line: usize) -> Error {
    Error::new(Code::DamagedFile, "this is no CSV table").fact("reason", format!("{reason}, line {line}"))
}

fn misquoted(line: usize) -> Error {
    damaged("a quote that does not belong there".to_string(), line)
        .help("a field that holds a quote is quoted itself, and its quotes are doubled")
}

/// What a field without quotes stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plain {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float, `NaN` and `inf` included.
    Float(f64),
    /// Digits of a whole number that 64 bits cannot hold; as a float it is rounded.
    LargeInt(f64),
    /// A number beyond the largest float, such as `7e013608`.
    LargeFloat,
    /// Nothing of these.
    Text,
}

/// What a field without quotes stands for. The writer asks the same, and quotes text that would read back as anything else.
pub fn plain(text: &str) -> Plain {
    match text {
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        _ => {}
    }
    let number = text.trim_matches([' ', '\t']);
    if let Ok(x) = number.parse::<i64>() {
        return Plain::Int(x);
    }
    let Ok(x) = number.parse::<f64>() else { return Plain::Text };
    if number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+')) {
        Plain::LargeInt(x)
    } else if x.is_infinite() && number.bytes().any(|b| b.is_ascii_digit()) {
        Plain::LargeFloat
    } else {
        Plain::Float(x)
    }
}

/// The text as a field: in quotes when its characters need them, or when it would read back as something else than text.
pub fn text_field(text: &str) -> String {
    quoted(text, text.is_empty() || plain(text) != Plain::Text)
}

/// A name in the header, which is always text: in quotes only when its characters need them.
pub fn header_field(name: &str) -> String {
    quoted(name, name.is_empty())
}

fn quoted(text: &str, always: bool) -> String {
    let must = text.contains([',', '"', '\n', '\r']) || text.starts_with([' ', '\u{feff}']) || text.ends_with(' ');
    if must || always { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}

/// The text of a file, which must be UTF-8.
///
/// # Errors
/// `damaged-file`, with the line and what the file may be instead.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let at = error.valid_up_to();
    let line = 1 + bytes[..at].iter().filter(|b| **b == b'\n').count();
    let reason = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file looks like UTF-16".to_string(),
        _ => format!("byte 0x{:02x} in line {line}; the file may be Latin-1 or Windows-1252", bytes[at]),
    };
    Err(Error::new(Code::DamagedFile, "the text of the table is not UTF-8")
        .fact("reason", reason)
        .help("save the file as UTF-8, such as by `iconv -f latin1 -t utf-8`"))
}
