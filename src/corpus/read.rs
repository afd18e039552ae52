//! Corpora from files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Corpus, DOCUMENT_MARKER, Parquet};
use crate::error::{Code, Error, Result};
use crate::memory;

/// The most text that one file may hold once unpacked: a compressed file cannot fill the memory.
const MAX_BYTES: u64 = 4 << 30;

/// Text is unpacked in steps, each as long as all before it, and the first of so many bytes.
const FIRST: u64 = 1 << 20;

/// Splits a text at lines that hold the marker alone.
pub(super) fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.trim() == DOCUMENT_MARKER {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents
}

/// The text in gzip bytes.
pub(super) fn gunzip(bytes: &[u8]) -> Result<String> {
    text(flate2::read::GzDecoder::new(bytes), Path::new("embedded corpus"))
}

fn text(reader: impl Read, path: &Path) -> Result<String> {
    let damaged =
        |why: String| Error::new(Code::DamagedFile, format!("cannot read `{}`", path.display())).fact("reason", why);
    let (mut bytes, mut reader) = (Vec::new(), reader);
    loop {
        let had = bytes.len() as u64;
        reader.by_ref().take(had.max(FIRST)).read_to_end(&mut bytes).map_err(|e| damaged(e.to_string()))?;
        let has = bytes.len() as u64;
        if has > MAX_BYTES {
            return Err(Error::new(Code::TooLarge, format!("`{}` holds too much text", path.display()))
                .fact("limit", format!("{} GiB", MAX_BYTES >> 30)));
        }
        if has == had {
            break;
        }
        // As much again, and the documents.
        memory::check(&format!("the text of `{}`", path.display()), 2 * has, "use some of it")?;
    }
    String::from_utf8(bytes).map_err(|e| damaged(format!("not UTF-8 after byte {}", e.utf8_error().valid_up_to())))
}

/// A file or a folder of files; see [`Corpus::load_with`].
pub(super) fn load(path: &Path, parquet: Parquet<'_>) -> Result<Corpus> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let mut files = Vec::new();
    if path.is_dir() {
        let entries = path.read_dir().map_err(|e| missing(path, &e.to_string()))?;
        files.extend(entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file() && kind(p).is_some()));
        files.sort();
    } else {
        files.push(path.to_path_buf());
    }
    let mut documents = Vec::new();
    for file in &files {
        documents.extend(load_file(file, parquet)?);
    }
    let corpus = Corpus::new(&name, documents);
    if corpus.documents().is_empty() {
        return Err(Error::new(Code::DamagedFile, format!("`{}` holds no text", path.display()))
            .help("give a .txt, .txt.gz, .jsonl or .parquet file, or a folder of them"));
    }
    Ok(corpus)
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

enum Kind {
    Text,
    Gzip,
    JsonLines,
    Parquet,
}

fn kind(path: &Path) -> Option<Kind> {
    match path.extension()?.to_str()? {
        "txt" => Some(Kind::Text),
        "gz" => Some(Kind::Gzip),
        "jsonl" => Some(Kind::JsonLines),
        "parquet" => Some(Kind::Parquet),
        _ => None,
    }
}

fn load_file(path: &PathBuf, parquet: Parquet<'_>) -> Result<Vec<String>> {
    let file = File::open(path).map_err(|e| missing(path, &e.to_string()))?;
    if let Some(Kind::Parquet) = kind(path) { parquet(path) } else { read(file, path) }
}

/// The documents in a file of this name, or in its bytes.
pub(super) fn read(file: impl Read, path: &Path) -> Result<Vec<String>> {
    match kind(path) {
        Some(Kind::Text) => Ok(documents(&text(file, path)?)),
        Some(Kind::Gzip) => Ok(documents(&text(flate2::read::MultiGzDecoder::new(file), path)?)),
        Some(Kind::JsonLines) => json_lines(&text(file, path)?, path),
        Some(Kind::Parquet) | None => {
            Err(Error::new(Code::Unsupported, format!("cannot read `{}` as a corpus", path.display()))
                .fact("known", ".txt, .txt.gz, .jsonl, .parquet")
                .help("turn it into JSON lines with a field `text`"))
        }
    }
}

fn json_lines(text: &str, path: &Path) -> Result<Vec<String>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(i, line)| {
        let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
        match value.as_ref().and_then(|v| v.get("text")).and_then(|t| t.as_str()) {
            Some(text) => Ok(text.to_string()),
            None => {
                Err(Error::new(Code::DamagedFile, format!("line {} of `{}` is no JSON object", i + 1, path.display()))
                    .fact("expected", "{\"text\": \"...\"}"))
            }
        }
    });
    parsed.collect()
}
