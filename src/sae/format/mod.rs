//! Files of SAEs, ours and other tools': one file per format. The core makes and reads bytes; the store writes them.

mod cfg;
pub mod dictionary_learning;
pub mod neel_nanda;
pub mod sae_lens;
pub mod sparsify;
mod stored;
mod written;

use std::path::Path;

use super::Sae;
use crate::error::{Code, Error, Result};

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A folder of SAELens.
    SaeLens,
    /// A folder of sparsify.
    Sparsify,
    /// A folder of dictionary_learning, or one of its checkpoints.
    DictionaryLearning,
    /// A pair of files as Neel Nanda has published them.
    NeelNanda,
}

impl Format {
    /// Every format that is read.
    pub const ALL: [Format; 4] = [Format::SaeLens, Format::Sparsify, Format::DictionaryLearning, Format::NeelNanda];

    /// The formats that are written, the default first.
    pub const WRITTEN: [Format; 2] = [Format::SaeLens, Format::Sparsify];

    /// The name in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Format::SaeLens => "sae_lens",
            Format::Sparsify => "sparsify",
            Format::DictionaryLearning => "dictionary_learning",
            Format::NeelNanda => "neel_nanda",
        }
    }

    /// The format to write of this name.
    ///
    /// # Errors
    /// `unknown-name`, with the nearest name.
    pub fn written(name: &str) -> Result<Format> {
        let known = Format::WRITTEN.map(Format::name);
        let found = Format::WRITTEN.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| Error::unknown(Code::UnknownName, "format to write", name, &known))
    }

    /// The format of the SAE at `path`, by the names of its files.
    ///
    /// # Errors
    /// `missing-file` when nothing there has such a name.
    pub fn of(path: &Path) -> Result<Format> {
        let torch = path.extension().is_some_and(|ending| ending == "pt");
        let checkpoint = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ae"));
        if path.is_file() && torch {
            let ours = checkpoint && !neel_nanda::config_of(path).exists();
            return Ok(if ours { Format::DictionaryLearning } else { Format::NeelNanda });
        }
        let marks = [
            (sae_lens::WEIGHTS, Format::SaeLens),
            (sparsify::WEIGHTS, Format::Sparsify),
            (dictionary_learning::WEIGHTS, Format::DictionaryLearning),
        ];
        let found = marks.into_iter().find(|(name, _)| path.join(name).is_file());
        found.map(|(_, format)| format).ok_or_else(|| {
            Error::new(Code::MissingFile, format!("there is no SAE at `{}`", path.display()))
                .fact("expected", "a folder with sae_weights.safetensors, sae.safetensors or ae.pt, or a file NAME.pt")
                .help("give the innermost folder: SAEs of several layers lie in a folder each")
        })
    }
}

/// Reads the SAE at `path`, whatever its format.
///
/// # Errors
/// `missing-file`; `damaged-file` and `shape-mismatch` when a file is not what it claims to be; `unsupported` for what this version does not compute.
pub fn load(path: &Path) -> Result<Sae> {
    match Format::of(path)? {
        Format::SaeLens => sae_lens::from_dir(path),
        Format::Sparsify => sparsify::from_dir(path),
        Format::NeelNanda => neel_nanda::from_path(path),
        Format::DictionaryLearning if path.is_dir() => dictionary_learning::from_dir(path),
        Format::DictionaryLearning => {
            // Checkpoints lie one folder deeper than their configuration.
            let config = path.with_file_name(dictionary_learning::CONFIG);
            let above = path.parent().and_then(Path::parent).map(|folder| folder.join(dictionary_learning::CONFIG));
            let config = above.filter(|above| !config.exists() && above.exists()).unwrap_or(config);
            dictionary_learning::from_paths(&config, path)
        }
    }
}

/// The files of a folder in this format, by name.
///
/// # Errors
/// `unsupported` when the format cannot hold the SAE.
pub fn to_files(sae: &Sae, format: Format) -> Result<Vec<(String, Vec<u8>)>> {
    match format {
        Format::SaeLens => sae_lens::to_files(sae),
        Format::Sparsify => sparsify::to_files(sae),
        Format::DictionaryLearning | Format::NeelNanda => {
            Err(Error::new(Code::Unsupported, format!("the format `{}` is only read", format.name())))
        }
    }
}
