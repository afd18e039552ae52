//! The corpora inside the program; sources and licences are in `assets/corpora/README.md`.

use super::{Corpus, read};
use crate::error::Result;

/// What is known of an embedded corpus without reading it.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// The name that `corpus::load` takes.
    pub name: &'static str,
    /// Length of the text in bytes.
    pub bytes: usize,
    /// Its licence.
    pub license: &'static str,
    /// What it is.
    pub what: &'static str,
    parts: &'static [&'static [u8]],
}

const AUSTEN: &[u8] = include_bytes!("../../assets/corpora/austen.txt.gz");
const KJV: &[u8] = include_bytes!("../../assets/corpora/kjv.txt.gz");
const SOTU: &[u8] = include_bytes!("../../assets/corpora/sotu.txt.gz");

const ALL: [Embedded; 4] = [
    Embedded {
        name: "prose",
        bytes: 20_401_128,
        license: "public domain",
        what: "austen, kjv and sotu together: a fifth, a fifth and three fifths of the bytes; what the prose models were trained on",
        parts: &[AUSTEN, KJV, SOTU],
    },
    Embedded {
        name: "austen",
        bytes: 4_006_922,
        license: "public domain",
        what: "Jane Austen's six novels, a document a chapter",
        parts: &[AUSTEN],
    },
    Embedded {
        name: "kjv",
        bytes: 4_233_468,
        license: "public domain",
        what: "the King James Bible, a document a chapter",
        parts: &[KJV],
    },
    Embedded {
        name: "sotu",
        bytes: 12_160_738,
        license: "public domain",
        what: "State of the Union addresses, 1790 to 2026, a document an address",
        parts: &[SOTU],
    },
];

/// The embedded corpora.
pub fn list() -> &'static [Embedded] {
    &ALL
}

/// The embedded corpus of this name, if there is one.
pub(super) fn load(name: &str) -> Option<Result<Corpus>> {
    let embedded = ALL.iter().find(|c| c.name == name)?;
    let sources: Result<Vec<_>> = embedded.parts.iter().map(|part| read::embedded(part)).collect();
    Some(sources.map(|sources| Corpus::of_sources(name, sources)))
}
