//! Corpora from files. The kind of a file is told by its name, in any case: `.txt`, `.jsonl`, `.ndjson`, `.json`, each also with `.gz`, and
//! `.parquet`.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::json::{self, Place};
use super::{Corpus, DOCUMENT_MARKER, Reading};
use crate::error::{Code, Error, Result};
use crate::{input, memory, progress};

/// The most text that one file may hold once unpacked: a compressed file cannot fill the memory.
const MAX_BYTES: u64 = 4 << 30;

/// What a short document takes beside its text: its place in the list, and the allocator's own bytes.
const BESIDE: u64 = 56;

/// Documents shorter than this are not seen by the counting allocator.
const UNSEEN: usize = 1 << 16;

/// How much may be added between two looks at the memory.
const LOOK: u64 = 4 << 20;

/// How many files a warning names.
const NAMED: usize = 10;

/// The documents of one file as they are read, within the memory that is allowed.
#[derive(Default)]
pub(super) struct Documents {
    list: Vec<String>,
    /// Bytes that the counting allocator does not see.
    unseen: u64,
    checked: u64,
}

impl Documents {
    /// None yet; `unseen` bytes are held by the files before.
    fn after(unseen: u64) -> Documents {
        Documents { list: Vec::new(), unseen, checked: unseen }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a document.
    pub fn push(&mut self, text: String) -> Result<()> {
        self.unseen += BESIDE + if text.capacity() < UNSEEN { text.capacity() as u64 } else { 0 };
        self.list.push(text);
        if self.unseen - self.checked > LOOK {
            self.checked = self.unseen;
            memory::check("the documents", self.unseen, "use some of them")?;
        }
        Ok(())
    }
}

/// Splits a text at lines that hold the marker alone. Line ends of Windows become plain ones.
fn split(text: String, documents: &mut Documents) -> Result<()> {
    let mut text = text;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if !text.contains(DOCUMENT_MARKER) && !text.contains('\r') {
        // One document: the text itself.
        if !text.ends_with('\n') {
            text.push('\n');
        }
        return documents.push(text);
    }
    let mut document = String::new();
    for line in text.lines() {
        if line.trim() == DOCUMENT_MARKER {
            progress::check_stop()?;
            documents.push(std::mem::take(&mut document))?;
        } else {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.push(document)
}

/// The documents in the gzip bytes of an embedded corpus.
pub(super) fn embedded(bytes: &[u8]) -> Result<Vec<String>> {
    let mut documents = Documents::default();
    split(text(flate2::read::GzDecoder::new(bytes), 0, Path::new("embedded corpus"))?, &mut documents)?;
    Ok(documents.list)
}

/// The text that a reader gives; `expected` is its length where it is known.
fn text(mut reader: impl Read, expected: u64, path: &Path) -> Result<String> {
    let room = |bytes: u64| {
        // As much again for the documents.
        memory::check(&format!("the text of `{}`", path.display()), 2 * bytes, "use some of it")
    };
    if expected > 0 {
        room(expected)?;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(expected.min(MAX_BYTES)).unwrap_or(0));
    let mut part = vec![0; input::STEP];
    loop {
        progress::check_stop()?;
        let n = match reader.read(&mut part) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Error::new(Code::DamagedFile, format!("cannot read `{}`", path.display()))
                    .fact("reason", error.to_string().to_lowercase()));
            }
        };
        let has = bytes.len() as u64 + n as u64;
        if has > MAX_BYTES {
            return Err(Error::new(Code::TooLarge, format!("`{}` holds too much text", path.display()))
                .fact("limit", format!("{} GiB", MAX_BYTES >> 30))
                .help("divide it into several files of one folder"));
        }
        if has > bytes.capacity() as u64 {
            // The buffer is moved to one of twice the size.
            room(has + has / 2)?;
        }
        bytes.extend_from_slice(&part[..n]);
    }
    String::from_utf8(bytes).map_err(|error| input::not_utf8(path, &error))
}

/// A file or a folder of files; see [`Corpus::load_with`].
pub(super) fn load(path: &Path, reading: &Reading<'_>) -> Result<Corpus> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let data = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => missing(path, &error.to_string()),
        _ => input::refused(path, &error),
    })?;
    let sources = if data.is_dir() { folder(path, reading)? } else { vec![file(path, reading, 0)?.list] };
    let corpus = Corpus::of_sources(&name, sources);
    if corpus.documents().is_empty() {
        return Err(Error::new(Code::DamagedFile, format!("`{}` holds no text", path.display()))
            .help("give a .txt, .jsonl, .ndjson or .json file (also with .gz), a .parquet file, or a folder of them"));
    }
    Ok(corpus)
}

/// All that can be read in a folder and the folders in it, in the order of their paths, a source a file; hidden files are left out, and
/// files of other kinds are named in a warning.
fn folder(path: &Path, reading: &Reading<'_>) -> Result<Vec<Vec<String>>> {
    let mut walk = Walk::default();
    walk.enter(path)?;
    walk.files.sort();
    let shown = |file: &Path| file.strip_prefix(path).unwrap_or(file).display().to_string();
    let mut skipped: Vec<String> = walk.skipped.iter().map(|(file, why)| format!("{} ({why})", shown(file))).collect();
    let (mut sources, mut unseen) = (Vec::new(), 0);
    for found in &walk.files {
        match file(found, reading, unseen) {
            Ok(documents) => {
                unseen = documents.unseen;
                sources.push(documents.list);
            }
            // Folders of data come with settings in JSON.
            Err(error) if kind(found).is_some_and(|kind| kind.form == Form::Json) && lacks_field(&error) => {
                skipped.push(format!("{} (no field `{}`)", shown(found), reading.field));
            }
            Err(error) => return Err(error),
        }
    }
    let more = if skipped.len() > NAMED { format!(" and {} more", skipped.len() - NAMED) } else { String::new() };
    let named = format!("{}{more}", skipped.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "));
    if sources.is_empty() {
        let error = Error::new(Code::DamagedFile, format!("`{}` holds no file that can be read", path.display()));
        let error = if skipped.is_empty() { error } else { error.fact("not read", named) };
        return Err(error.fact("known", KNOWN).help("turn the files into JSON lines with a field `text`"));
    }
    if !skipped.is_empty() {
        let name = path.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy());
        reading.monitor.warn(&format!("files of `{name}` are not read: {named}"));
    }
    Ok(sources)
}

fn lacks_field(error: &Error) -> bool {
    error.facts.iter().any(|(name, _)| name == "fields")
}

/// The files of a folder and the folders in it.
#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    skipped: Vec<(PathBuf, &'static str)>,
    /// The real folders that are open, so that a link to one of them does not lead round in a circle.
    open: Vec<PathBuf>,
}

impl Walk {
    fn enter(&mut self, folder: &Path) -> Result<()> {
        progress::check_stop()?;
        let failed = |error: std::io::Error| input::refused(folder, &error);
        let real = folder.canonicalize().map_err(failed)?;
        if self.open.contains(&real) {
            self.skipped.push((folder.to_path_buf(), "a link to a folder that it is in"));
            return Ok(());
        }
        self.open.push(real);
        let mut entries: Vec<PathBuf> =
            folder.read_dir().map_err(failed)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        entries.sort();
        for path in entries {
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            match std::fs::metadata(&path).map(|data| data.file_type()) {
                Err(_) => self.skipped.push((path, "a link to nothing")),
                Ok(kind) if kind.is_dir() => self.enter(&path)?,
                Ok(special) => match (input::irregular(special), kind(&path)) {
                    (Some(what), _) => self.skipped.push((path, what)),
                    (None, None) => self.skipped.push((path, "another kind of file")),
                    (None, Some(_)) => self.files.push(path),
                },
            }
        }
        self.open.pop();
        Ok(())
    }
}

fn missing(path: &Path, reason: &str) -> Error {
    let names: Vec<&str> = super::list().iter().map(|c| c.name).collect();
    let error =
        Error::new(Code::MissingFile, format!("no corpus `{}`", path.display())).fact("reason", reason.to_lowercase());
    match crate::error::nearest(&path.file_name().unwrap_or_default().to_string_lossy(), &names) {
        Some(name) => error.help(format!("did you mean the embedded corpus `{name}`?")),
        None => error.help(format!("give a file, a folder, or an embedded corpus: {}", names.join(", "))),
    }
}

const KNOWN: &str = ".txt, .jsonl, .ndjson, .json, the same with .gz, .parquet";

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    JsonLines,
    Json,
    Parquet,
}

#[derive(Clone, Copy)]
struct Kind {
    form: Form,
    packed: bool,
}

/// What a name says of its file.
fn kind(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let bare = name.strip_suffix(".gz").filter(|bare| !bare.is_empty());
    let packed = bare.is_some();
    let form = match bare.unwrap_or(&name).rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => match ending {
            "txt" => Form::Text,
            "jsonl" | "ndjson" => Form::JsonLines,
            "json" => Form::Json,
            "parquet" if !packed => Form::Parquet,
            _ => return None,
        },
        _ => return None,
    };
    Some(Kind { form, packed })
}

/// The documents of one file; `unseen` bytes are held by those before.
fn file(path: &Path, reading: &Reading<'_>, unseen: u64) -> Result<Documents> {
    let length = input::check(path)?.len();
    let kind = kind(path).ok_or_else(|| unknown(path))?;
    if kind.form == Form::Parquet {
        let mut documents = Documents::after(unseen);
        (reading.parquet)(path, reading.field)?.into_iter().try_for_each(|text| documents.push(text))?;
        return Ok(documents);
    }
    read(input::open(path)?, if kind.packed { 0 } else { length }, path, reading.field, unseen)
}

/// The documents in the bytes of a file of this name.
pub(super) fn of_bytes(bytes: &[u8], path: &Path) -> Result<Vec<String>> {
    Ok(read(bytes, 0, path, super::FIELD, 0)?.list)
}

fn read(file: impl Read, length: u64, path: &Path, field: &str, unseen: u64) -> Result<Documents> {
    let kind = kind(path).filter(|kind| kind.form != Form::Parquet).ok_or_else(|| unknown(path))?;
    let text =
        if kind.packed { text(flate2::read::MultiGzDecoder::new(file), 0, path) } else { text(file, length, path) };
    let (text, mut documents, place) = (text?, Documents::after(unseen), Place { path, field });
    match kind.form {
        Form::JsonLines => json::lines(&text, &place, &mut documents)?,
        Form::Json => json::values(text.trim_start_matches('\u{feff}'), &place, &mut documents)?,
        Form::Text | Form::Parquet => split(text, &mut documents)?,
    }
    Ok(documents)
}

fn unknown(path: &Path) -> Error {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let error =
        Error::new(Code::Unsupported, format!("cannot read `{}` as a corpus", path.display())).fact("known", KNOWN);
    let unpack = |with: &str| format!("unpack it first, with `{with}`, or pack it with gzip");
    match ending.as_str() {
        "zst" | "zstd" => error.help(unpack("zstd -d")),
        "bz2" => error.help(unpack("bzip2 -d")),
        "xz" | "lzma" => error.help(unpack("xz -d")),
        "zip" => error.help(unpack("unzip")),
        "gz" => error.help("name it for what it holds: `.txt.gz` or `.jsonl.gz`"),
        "tar" | "tgz" => error.help(unpack("tar -xf")),
        _ => error.help("turn it into JSON lines with a field `text`"),
    }
}
