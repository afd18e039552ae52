//! `corpus::`: text to train and test on.

use std::path::Path;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, INT, Map, NativeCallContext, exported_module};

use crate::corpus::{self as core, Corpus as Core, Reading, SplitOptions};
use crate::error::{Code, Error, Result};
use crate::host::bind::language;
use crate::host::ending::guarded;
use crate::host::options::Options;
use crate::host::raise::{At, Raised, count};
use crate::host::session::{Session, session};
use crate::host::value::from_json;
use crate::report::table::Table;
use crate::{input, progress};

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<Core>(engine, "Corpus", |c| {
        format!("Corpus {} ({} documents, {} bytes)", c.name(), c.documents().len(), c.bytes())
    });
    engine.register_static_module("corpus", exported_module!(corpus).into());
}

/// What `corpus::load` takes.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoadOptions {
    field: String,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions { field: core::FIELD.to_string() }
    }
}

/// The documents of a parquet file: one column of texts. A file that its reader cannot bear is a damaged one.
fn parquet(path: &Path, column: &str) -> Result<Vec<String>> {
    let bytes = input::read(path)?;
    let column = column.to_string();
    let texts = progress::abandonable(move || guarded(|| Table::texts_of_parquet(bytes, &column)))?;
    texts.unwrap_or_else(|panic| {
        let reason = panic.facts.first().map_or_else(String::new, |(_, reason)| reason.clone());
        Err(Error::new(Code::DamagedFile, format!("cannot read `{}`", path.display())).fact("reason", reason))
    })
}

fn load_corpus(session: &Session, name_or_path: &str, options: &LoadOptions) -> Result<Core> {
    if core::list().iter().any(|c| c.name == name_or_path) {
        if options.field != core::FIELD {
            return Err(
                Error::new(Code::UnknownOption, "an embedded corpus has no `field`").fact("given", &options.field)
            );
        }
        let corpus = Core::load(name_or_path)?;
        session.record_input(&format!("corpus {name_or_path}"), corpus.digest());
        return Ok(corpus);
    }
    let reading = Reading { field: &options.field, parquet: &parquet, monitor: session.monitor() };
    let corpus = Core::load_with(&session.readable_tree(name_or_path)?, &reading)?;
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
    /// Returns an array of maps: `name`, `bytes`, `license`, `what`. Of the bytes of `prose`, `austen` has 20 %, `kjv` 21 % and `sotu` 60 %.
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
    /// * `name_or_path`: a name of `corpus::list()`; a `.txt`, `.jsonl` or `.ndjson` (one JSON object with a field `text` a line) or `.json` file (such
    ///   an object, or an array of them), each also packed as `.gz`; a `.parquet` file (with a column `text`; needs a build with the feature
    ///   `parquet`); or a folder of them, with the folders inside, in the order of their paths. Endings count in any case; hidden files are
    ///   passed over, and files of other kinds are named in a warning. In text files a line `<|endoftext|>` separates documents, and line ends
    ///   of Windows become plain ones; a byte order mark is left out.
    ///
    /// Returns a Corpus.
    /// Errors: `missing-file`, `damaged-file` (with the line of a JSON object that cannot be read), `unsupported`, `too-large`, `outside-project`.
    ///
    /// ```rhai
    /// assert_eq(corpus::load("austen").documents, 270);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, name_or_path: &str) -> Raised<Corpus> {
        load_with(ctx, name_or_path, Map::new())
    }

    /// Loads text from the project, with options.
    ///
    /// * `name_or_path`: as without options.
    /// * `options`: `field` `"text"`: the field of JSON, and the column of parquet, that holds the text.
    ///
    /// Returns a Corpus.
    /// Errors: as without options; `unknown-option` for the `field` of an embedded corpus.
    ///
    /// ```rhai
    /// assert_eq(corpus::load("austen", #{ field: "text" }).documents, 270);
    /// ```
    #[rhai_fn(name = "load", return_raw)]
    pub fn load_with(ctx: NativeCallContext, name_or_path: &str, options: Map) -> Raised<Corpus> {
        let options: LoadOptions = Options::new("corpus::load", options).read().at(&ctx)?;
        load_corpus(&session(&ctx), name_or_path, &options).at(&ctx)
    }

    /// Divides a corpus into a part to train on and a part that is held out.
    ///
    /// * `corpus`: what to divide.
    /// * `options`: `test_fraction`: share of the bytes that is held out, 0.05; `seed`: which documents, 0; `stratify` false: hold out this
    ///   share of each source by itself (the parts of an embedded corpus, the files of a folder), so that the test has the sources in the
    ///   shares of the whole, as far as whole documents allow. Without it, long documents weigh: of the default test of `prose`, 83 % of the
    ///   bytes are `sotu`, which is 60 % of the whole. It is off by default because the embedded models were trained on the default
    ///   split, and another one would put some of their training text into the test.
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
