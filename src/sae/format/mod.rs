//! Files of SAEs, ours and other tools': one file per format. The core makes and reads bytes; the store writes them.

mod cfg;
pub mod dictionary_learning;
pub mod neel_nanda;
pub mod sae_lens;
pub mod sparsify;
mod stored;
mod unique;
mod written;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Sae;
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::progress::{Monitor, Silent};

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

    /// The format of this name.
    ///
    /// # Errors
    /// `unknown-name`, with the nearest name.
    pub fn named(name: &str) -> Result<Format> {
        let known = Format::ALL.map(Format::name);
        let found = Format::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| Error::unknown(Code::UnknownName, "format", name, &known))
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

/// What `sae::load` takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadOptions {
    /// The format, where the files' names do not tell.
    pub format: Option<String>,
    /// The hook that the SAE belongs to, where its files do not say it. [`load_with`] leaves it to its caller, who can compare both.
    pub hook: Option<String>,
    /// What activations were multiplied by in training, where the files say `expected_average_only_in` and do not hold it: it is folded into the
    /// weights.
    pub scale: Option<f64>,
}

/// Reads the SAE at `path`, whatever its format.
///
/// # Errors
/// `missing-file`; `damaged-file` and `shape-mismatch` when a file is not what it claims to be; `unsupported` for what this version does not compute.
pub fn load(path: &Path) -> Result<Sae> {
    load_with(path, &LoadOptions::default(), &Silent)
}

/// As [`load`], with options.
///
/// # Errors
/// As [`load`]; `unknown-name` for a format; `out-of-range` for a scale; `too-large`; `interrupted`.
pub fn load_with(path: &Path, options: &LoadOptions, monitor: &dyn Monitor) -> Result<Sae> {
    let format = options.format.as_deref().map_or_else(|| Format::of(path), Format::named)?;
    // The file itself, its numbers as f32, and the same transposed.
    memory::check("the SAE", 3 * bytes_at(path), "a machine with more memory, or an SAE of fewer latents")?;
    if options.scale.is_some() && format != Format::SaeLens {
        return Err(Error::new(Code::OutOfRange, format!("SAEs of {} have no `scale` to give", format.name())));
    }
    read(path, format, options, monitor)
}

/// Bytes of a file, or of the files of a folder.
fn bytes_at(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| if data.is_file() { data.len() } else { 0 });
    let inside = path.read_dir().into_iter().flatten().flatten();
    size(path) + inside.map(|item| size(&item.path())).sum::<u64>()
}

fn read(path: &Path, format: Format, options: &LoadOptions, monitor: &dyn Monitor) -> Result<Sae> {
    match format {
        Format::SaeLens => sae_lens::from_dir(path, options.scale, monitor),
        Format::Sparsify => sparsify::from_dir(path, monitor),
        Format::NeelNanda => neel_nanda::from_path(path, monitor),
        Format::DictionaryLearning if path.is_dir() => dictionary_learning::from_dir(path, monitor),
        Format::DictionaryLearning => {
            // Checkpoints lie one folder deeper than their configuration.
            let config = path.with_file_name(dictionary_learning::CONFIG);
            let above = path.parent().and_then(Path::parent).map(|folder| folder.join(dictionary_learning::CONFIG));
            let config = above.filter(|above| !config.exists() && above.exists()).unwrap_or(config);
            dictionary_learning::from_paths(&config, path, monitor)
        }
    }
}

/// The files of a folder in this format, by name.
///
/// # Errors
/// `unsupported` when the format cannot hold the SAE; `too-large`.
pub fn to_files(sae: &Sae, format: Format) -> Result<Vec<(String, Vec<u8>)>> {
    let weights = 4 * (sae.w_enc.len() + sae.w_dec.len()) as u64;
    memory::check("the files of the SAE", 3 * weights, "a machine with more memory, or an SAE of fewer latents")?;
    match format {
        Format::SaeLens => sae_lens::to_files(sae),
        Format::Sparsify => sparsify::to_files(sae),
        Format::DictionaryLearning | Format::NeelNanda => {
            Err(Error::new(Code::Unsupported, format!("the format `{}` is only read", format.name())))
        }
    }
}
