//! Text files that a person wrote: scripts, parameters, grids.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Code, Error, Result};

/// The text of the file at `path`, which `what` names in errors: `the script`, `the parameter file`.
///
/// # Errors
/// `missing-file`; `damaged-file` for a folder, for what is no regular file, and for bytes that are no UTF-8, with the line.
pub fn read(path: &Path, what: &str) -> Result<String> {
    let name = path.display();
    let damaged = |text: String| Error::new(Code::DamagedFile, text);
    let data = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(Code::MissingFile, format!("there is no file `{name}`")),
        _ => damaged(format!("{what} `{name}` cannot be read")).fact("reason", error),
    })?;
    if data.is_dir() {
        return Err(damaged(format!("`{name}` is a folder"))
            .fact("expected", format!("{what}, which is a file"))
            .help("name a file in it"));
    }
    if !data.is_file() {
        return Err(
            damaged(format!("`{name}` is no regular file")).fact("expected", format!("{what}, which is a file"))
        );
    }
    let bytes = std::fs::read(path)
        .map_err(|error| damaged(format!("{what} `{name}` cannot be read")).fact("reason", error))?;
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        damaged(format!("`{name}` is not UTF-8 text"))
            .fact("expected", format!("{what} as UTF-8 text"))
            .fact("given", format!("the byte 0x{:02X} in line {line}", bytes.get(at).copied().unwrap_or_default()))
            .help("save it as UTF-8 in an editor")
    })
}
