//! Text to tokens: corpora as lists of documents, their split into training and held-out parts, and the tokenizer.

mod embedded;
mod json;
mod pieces;
mod read;
mod split;
mod tokenizer;
mod tokenizer_file;
mod vocabulary;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::{Code, Error, Result};
use crate::progress::{Monitor, Silent};

pub use embedded::{Embedded, list};
pub use split::SplitOptions;
pub use tokenizer::{Marks, Tokenizer};
pub use vocabulary::Vocabulary;

/// The line that separates documents in a text file, and the token that begins every context.
pub const DOCUMENT_MARKER: &str = "<|endoftext|>";

/// The field of JSON, and the column of parquet, that holds the text.
pub const FIELD: &str = "text";

/// What reads the documents in a column of a parquet file; the core has no reader of its own.
pub type Parquet<'a> = &'a dyn Fn(&Path, &str) -> Result<Vec<String>>;

/// How files are read.
pub struct Reading<'a> {
    /// The field of JSON, and the column of parquet, that holds the text.
    pub field: &'a str,
    /// What reads `.parquet` files.
    pub parquet: Parquet<'a>,
    /// Is told which files of a folder are not read.
    pub monitor: &'a dyn Monitor,
}

/// A list of documents. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: Arc<str>,
    documents: Arc<Vec<String>>,
    /// For each document the number of the text that it comes from: a part of an embedded corpus, or a file of a folder.
    sources: Arc<Vec<u32>>,
    digest: Arc<OnceLock<String>>,
}

impl Corpus {
    /// A corpus of these documents, all of one source; empty ones are left out.
    pub fn new(name: &str, documents: Vec<String>) -> Self {
        Corpus::of_sources(name, vec![documents])
    }

    /// A corpus of the documents of several sources, one after the other; empty documents are left out.
    pub fn of_sources(name: &str, sources: Vec<Vec<String>>) -> Self {
        let (mut documents, mut numbers) = (Vec::new(), Vec::new());
        for (number, mut source) in sources.into_iter().enumerate() {
            source.retain(|document| !document.trim().is_empty());
            numbers.resize(numbers.len() + source.len(), number as u32);
            if documents.is_empty() { documents = source } else { documents.append(&mut source) }
        }
        Corpus::of_parts(name, documents, numbers)
    }

    fn of_parts(name: &str, documents: Vec<String>, sources: Vec<u32>) -> Self {
        let (documents, sources) = (Arc::new(documents), Arc::new(sources));
        Corpus { name: name.into(), documents, sources, digest: Arc::default() }
    }

    /// An embedded corpus by name, else a file or a folder, as [`Corpus::load_path`] has them.
    ///
    /// # Errors
    /// `missing-file`, `damaged-file`, `unsupported`, `too-large`, `interrupted`.
    pub fn load(name_or_path: &str) -> Result<Self> {
        match embedded::load(name_or_path) {
            Some(corpus) => corpus,
            None => Corpus::load_path(Path::new(name_or_path)),
        }
    }

    /// A `.txt`, `.jsonl`, `.ndjson` or `.json` file, each also with `.gz`, or a folder of them with the folders inside, in the order of
    /// their paths. In text, documents are separated by a line [`DOCUMENT_MARKER`]; JSON has them under [`FIELD`]. A byte order mark is
    /// left out, and line ends of Windows in text files become plain ones.
    ///
    /// # Errors
    /// As [`Corpus::load`].
    pub fn load_path(path: &Path) -> Result<Self> {
        let parquet = |path: &Path, _: &str| {
            Err(Error::new(Code::Unsupported, format!("`{}` needs a reader of parquet", path.display())))
        };
        Corpus::load_with(path, &Reading { field: FIELD, parquet: &parquet, monitor: &Silent })
    }

    /// As [`Corpus::load_path`], with `.parquet` files, another field, or with warnings.
    ///
    /// # Errors
    /// As [`Corpus::load`], and those of the reader of parquet.
    pub fn load_with(path: &Path, reading: &Reading<'_>) -> Result<Self> {
        read::load(path, reading)
    }

    /// The bytes of a file of this name, of any kind that [`Corpus::load_path`] reads.
    ///
    /// # Errors
    /// `damaged-file`, `unsupported`, `too-large`.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        Ok(Corpus::new(name, read::of_bytes(bytes, Path::new(name))?))
    }

    /// The name of an embedded corpus, or the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The documents, in order.
    pub fn documents(&self) -> &[String] {
        &self.documents
    }

    fn shared(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.documents)
    }

    /// Length in bytes of all documents.
    pub fn bytes(&self) -> usize {
        self.documents.iter().map(String::len).sum()
    }

    /// BLAKE3 of the documents, in hex.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            for document in self.documents.iter() {
                hasher.update(&(document.len() as u64).to_le_bytes());
                hasher.update(document.as_bytes());
            }
            hasher.finalize().to_hex().to_string()
        })
    }

    /// The first `n` characters.
    pub fn head(&self, n: usize) -> String {
        self.documents.iter().flat_map(|d| d.chars().chain("\n".chars())).take(n).collect()
    }
}
