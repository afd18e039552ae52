//! `corpus::`: text to train and test on.

use std::path::Path;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, INT, Map, NativeCallContext, exported_module};

use crate::corpus::{self as core, Corpus as Core, SplitOptions};
use crate::error::{Code, Error, Result};
use crate::host::bind::language;
use crate::host::options::Options;
use crate::host::raise::{At, Raised, count};
use crate::host::session::{Session, session};
use crate::host::value::from_json;
use crate::report::table::Table;

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<Core>(engine, "Corpus", |c| {
        format!("Corpus {} ({} documents, {} bytes)", c.name(), c.documents().len(), c.bytes())
    });
    engine.register_static_module("corpus", exported_module!(corpus).into());
}

/// The documents of a parquet file: its column `text`.
fn parquet(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::new(Code::MissingFile, format!("cannot read `{}`", path.display())).fact("reason", error)
    })?;
    Table::texts_of_parquet(bytes, "text")
}

fn load_corpus(session: &Session, name_or_path: &str) -> Result<Core> {
    if core::list().iter().any(|c| c.name == name_or_path) {
        let corpus = Core::load(name_or_path)?;
        session.record_input(&format!("corpus {name_or_path}"), corpus.digest());
        return Ok(corpus);
    }
    let corpus = Core::load_with(&session.readable(name_or_path)?, &parquet)?;
    session.record_input(name_or_path, corpus.digest());
    Ok(corpus)
}

/// The functions of the namespace `corpus`.
#[export_module]
pub mod corpus {
    /// The script type: a list of documents.
    pub type Corpus = crate::corpus::Corpus;

    /// Lists the corpora inside the program.
    ///
    /// Returns an array of maps: `name`, `bytes`, `license`, `what`.
    ///
    /// ```rhai
    /// assert(corpus::list().some(|c| c.name == "prose"));
    /// ```
    pub fn list() -> Array {
        let row = |c: &core::Embedded| {
            from_json(&serde_json::json!({ "name": c.name, "bytes": c.bytes, "license": c.license, "what": c.what }))
        };
        core::list().iter().map(row).collect()
    }

    /// Loads an embedded corpus by name, or text from the project.
    ///
    /// * `name_or_path`: a name of `corpus::list()`, or a `.txt`, `.txt.gz`, `.jsonl` (one JSON object with a field `text` a line) or `.parquet` file
    ///   (with a column `text`; needs a build with the feature `parquet`), or a folder of them. In text files a line `<|endoftext|>` separates
    ///   documents.
    ///
    /// Returns a Corpus.
    /// Errors: `missing-file`, `damaged-file`, `unsupported`, `outside-project`.
    ///
    /// ```rhai
    /// assert_eq(corpus::load("austen").documents, 270);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, name_or_path: &str) -> Raised<Corpus> {
        load_corpus(&session(&ctx), name_or_path).at(&ctx)
    }

    /// Divides a corpus into a part to train on and a part that is held out.
    ///
    /// * `corpus`: what to divide.
    /// * `options`: `test_fraction`: share of the bytes that is held out, 0.05; `seed`: which documents, 0.
    ///
    /// Returns a map `train`, `test`: whole documents; of a single document, contiguous parts.
    /// Errors: `out-of-range` for a fraction outside 0 to 1 or a corpus too small to divide.
    ///
    /// ```rhai
    /// let parts = corpus::load("sotu").split(#{ test_fraction: 0.1, seed: 0 });
    /// assert(parts.test.bytes * 5 < parts.train.bytes);
    /// ```
    #[rhai_fn(global, name = "split", return_raw, pure)]
    pub fn split_with(ctx: NativeCallContext, corpus: &mut Corpus, options: Map) -> Raised<Map> {
        let options: SplitOptions = Options::new("c.split", options).read().at(&ctx)?;
        let (train, test) = corpus.split(&options).at(&ctx)?;
        Ok([("train".into(), Dynamic::from(train)), ("test".into(), Dynamic::from(test))].into())
    }

    /// Divides a corpus with the default options: 5 % held out, seed 0.
    ///
    /// * `corpus`: what to divide.
    ///
    /// Returns a map `train`, `test`.
    ///
    /// ```rhai
    /// assert(corpus::load("kjv").split().test.documents > 10);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn split(ctx: NativeCallContext, corpus: &mut Corpus) -> Raised<Map> {
        split_with(ctx, corpus, Map::new())
    }

    /// Length of all documents in bytes.
    ///
    /// * `corpus`: the corpus.
    ///
    /// ```rhai
    /// assert(corpus::load("kjv").bytes > 4_000_000);
    /// ```
    #[rhai_fn(global, get = "bytes", pure)]
    pub fn bytes(corpus: &mut Corpus) -> INT {
        corpus.bytes() as INT
    }

    /// How many documents there are.
    ///
    /// * `corpus`: the corpus.
    ///
    /// ```rhai
    /// assert_eq(corpus::load("sotu").documents, 249);
    /// ```
    #[rhai_fn(global, get = "documents", pure)]
    pub fn documents(corpus: &mut Corpus) -> INT {
        corpus.documents().len() as INT
    }

    /// The beginning of the text.
    ///
    /// * `corpus`: the corpus.
    /// * `n_chars`: how many characters.
    ///
    /// Returns a string.
    /// Errors: `out-of-range` for a negative number.
    ///
    /// ```rhai
    /// assert_eq(corpus::load("kjv").head(9), "Genesis 1");
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn head(ctx: NativeCallContext, corpus: &mut Corpus, n_chars: INT) -> Raised<String> {
        Ok(corpus.head(count(n_chars, "the number of characters").at(&ctx)?))
    }
}
