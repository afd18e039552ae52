//! Files that are read whole: regular ones only, within the memory that is allowed, and with a look for a stop.
//!
//! A pipe, a device or a socket would block for ever or never end.

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Code, Error, Result};
use crate::{memory, progress};

/// Bytes between two looks for a stop.
pub const STEP: usize = 1 << 20;

/// A regular file, opened.
///
/// # Errors
/// `missing-file` when nothing is there; `unsupported` for a pipe, a device or a socket; `damaged-file` for a folder, and when the
/// system refuses to open it.
pub fn open(path: &Path) -> Result<File> {
    check(path)?;
    File::open(path).map_err(|error| refused(path, &error))
}

/// That a regular file is at this path, and what the system says of it.
///
/// # Errors
/// As [`open`].
pub fn check(path: &Path) -> Result<Metadata> {
    let data = std::fs::metadata(path).map_err(|error| refused(path, &error))?;
    match irregular(data.file_type()) {
        None => Ok(data),
        Some(kind) => {
            let code = if data.is_dir() { Code::DamagedFile } else { Code::Unsupported };
            let error = Error::new(code, format!("`{}` is {kind}", path.display())).fact("expected", "a regular file");
            Err(if data.is_dir() { error.help("name a file in it") } else { error })
        }
    }
}

/// What this is when it is not a regular file.
pub fn irregular(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let special = [
            (kind.is_fifo(), "a named pipe"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
        ];
        if let Some((_, name)) = special.into_iter().find(|(is, _)| *is) {
            return Some(name);
        }
    }
    match (kind.is_file(), kind.is_dir()) {
        (true, _) => None,
        (_, true) => Some("a folder"),
        _ => Some("no regular file"),
    }
}

/// The error of a path that the system does not let us read.
pub fn refused(path: &Path, error: &io::Error) -> Error {
    let reason = error.to_string().to_lowercase();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::new(Code::MissingFile, format!("there is no file `{}`", path.display())).fact("reason", reason)
        }
        _ => Error::new(Code::DamagedFile, format!("cannot read `{}`", path.display())).fact("reason", reason),
    }
}

/// The bytes of a regular file.
///
/// # Errors
/// As [`open`]; `too-large` when they do not fit into memory; `interrupted`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let length = check(path)?.len();
    memory::check(&format!("`{}`", path.display()), length, "use a smaller file, or allow more with `--memory`")?;
    let mut file = open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    loop {
        progress::check_stop()?;
        let part = (&mut file).take(STEP as u64).read_to_end(&mut bytes).map_err(|error| refused(path, &error))?;
        if part == 0 {
            return Ok(bytes);
        }
        // A file that grows while it is read.
        if bytes.len() as u64 > length {
            memory::check(&format!("`{}`", path.display()), bytes.len() as u64, "wait until the file is written")?;
        }
    }
}

/// The text of a regular file, without the byte order mark that some editors write.
///
/// # Errors
/// As [`read`]; `damaged-file` when it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read(path)?;
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    })
}

/// The error of a text that is none, with what it looks like.
pub fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Error {
    let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let byte = bytes.get(at).copied().unwrap_or_default();
    let refused = Error::new(Code::DamagedFile, format!("`{}` is not UTF-8 text", path.display()))
        .fact("expected", "UTF-8 text")
        .fact("given", format!("the byte 0x{byte:02X} in line {line}"));
    match error.as_bytes() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => refused.help("it begins as UTF-16 does: save it as UTF-8"),
        [0x1f, 0x8b, ..] => refused.help("it begins as a gzip file does: give it a name that ends in `.gz`"),
        _ => refused.help("save it as UTF-8"),
    }
}
