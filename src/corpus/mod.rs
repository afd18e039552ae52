//! Text to tokens: corpora as lists of documents, their split into training and held-out parts, and the tokenizer.

mod embedded;
mod read;
mod tokenizer;
mod vocabulary;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::rng::Rng;

pub use embedded::{Embedded, list};
pub use tokenizer::{Marks, Tokenizer};
pub use vocabulary::Vocabulary;

/// The line that separates documents in a text file, and the token that begins every context.
pub const DOCUMENT_MARKER: &str = "<|endoftext|>";

/// What reads the documents of a parquet file; the core has no reader of its own.
pub type Parquet<'a> = &'a dyn Fn(&Path) -> Result<Vec<String>>;

/// A list of documents. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: Arc<str>,
    documents: Arc<Vec<String>>,
    digest: Arc<OnceLock<String>>,
}

/// How [`Corpus::split`] divides.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitOptions {
    /// Share of the text, by bytes, that is held out.
    pub test_fraction: f64,
    /// Which documents are held out.
    pub seed: u64,
}

impl Default for SplitOptions {
    fn default() -> Self {
        SplitOptions { test_fraction: 0.05, seed: 0 }
    }
}

impl Corpus {
    /// A corpus of these documents; empty ones are left out.
    pub fn new(name: &str, documents: Vec<String>) -> Self {
        let documents = documents.into_iter().filter(|d| !d.trim().is_empty()).collect();
        Corpus { name: name.into(), documents: Arc::new(documents), digest: Arc::default() }
    }

    /// An embedded corpus by name, else a `.txt`, `.txt.gz` or `.jsonl` file (or a folder of them), documents separated by a
    /// line [`DOCUMENT_MARKER`] or, in JSON lines, one a line under `text`.
    ///
    /// # Errors
    /// `missing-file`, `damaged-file`, `unsupported`.
    pub fn load(name_or_path: &str) -> Result<Self> {
        match embedded::load(name_or_path) {
            Some(corpus) => corpus,
            None => Corpus::load_path(Path::new(name_or_path)),
        }
    }

    /// A file or folder, as [`Corpus::load`] has them.
    ///
    /// # Errors
    /// As [`Corpus::load`].
    pub fn load_path(path: &Path) -> Result<Self> {
        Corpus::load_with(path, &|path| {
            Err(Error::new(Code::Unsupported, format!("`{}` needs a reader of parquet", path.display())))
        })
    }

    /// As [`Corpus::load_path`], with `parquet` for `.parquet` files.
    ///
    /// # Errors
    /// As [`Corpus::load`], and those of `parquet`.
    pub fn load_with(path: &Path, parquet: Parquet<'_>) -> Result<Self> {
        read::load(path, parquet)
    }

    /// The bytes of a `.txt`, `.txt.gz` or `.jsonl` file of this name.
    ///
    /// # Errors
    /// `damaged-file`, `unsupported`, `too-large`.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        Ok(Corpus::new(name, read::read(bytes, Path::new(name))?))
    }

    /// The name of an embedded corpus, or the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The documents, in order.
    pub fn documents(&self) -> &[String] {
        &self.documents
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

    /// Divides into `(train, test)`: whole documents, drawn by `seed` until the share is reached; a single document is cut
    /// into two contiguous parts at a line end, the last being the test.
    ///
    /// # Errors
    /// `out-of-range` when the fraction is not between 0 and 1, or a part would be empty.
    pub fn split(&self, options: &SplitOptions) -> Result<(Corpus, Corpus)> {
        let fraction = options.test_fraction;
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(
                Error::new(Code::OutOfRange, "`test_fraction` must lie between 0 and 1").fact("given", fraction)
            );
        }
        let wanted = (self.bytes() as f64 * fraction) as usize;
        let (train, test) = match self.documents.as_slice() {
            [one] => cut(one, one.len() - wanted),
            documents => {
                let mut held_out = vec![false; documents.len()];
                let mut bytes = 0;
                for i in Rng::new(options.seed, "corpus split").permutation(documents.len()) {
                    if bytes >= wanted {
                        break;
                    }
                    held_out[i as usize] = true;
                    bytes += documents[i as usize].len();
                }
                let part = |test: bool| {
                    documents.iter().zip(&held_out).filter(|(_, h)| **h == test).map(|(d, _)| d.clone()).collect()
                };
                (part(false), part(true))
            }
        };
        let parts = (
            Corpus::new(&format!("{} (train)", self.name), train),
            Corpus::new(&format!("{} (test)", self.name), test),
        );
        if parts.0.documents.is_empty() || parts.1.documents.is_empty() {
            return Err(Error::new(Code::OutOfRange, "the corpus is too small to split")
                .fact("documents", self.documents.len())
                .fact("test_fraction", fraction));
        }
        Ok(parts)
    }
}

/// Cuts a text in two at the last line end before byte `at` (at a character when there is none).
fn cut(text: &str, at: usize) -> (Vec<String>, Vec<String>) {
    let at = (at..=text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
    let at = text[..at].rfind('\n').map_or(at, |line| line + 1);
    (vec![text[..at].to_string()], vec![text[at..].to_string()])
}
