//! `saerun convert IN OUT`: an SAE from one format to another, read back and compared.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::error::{Code, Error};
use crate::host::output::outln;
use crate::report::number::rounded;
use crate::sae::format::{self, Format};
use crate::sae::{Sae, difference};
use crate::store;

/// What `saerun convert` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// An SAE: a folder of SAELens, sparsify or dictionary_learning, or a file NAME.pt beside NAME_cfg.json
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// The folder to write; it must not be there yet
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// The format to write: sae_lens or sparsify (top-k only)
    #[arg(long, default_value = "sae_lens")]
    format: String,
}

const AFTER: &str = "\
Example:
  saerun convert downloads/pythia-70m/ae.pt saes/pythia-70m

  read  downloads/pythia-70m/ae.pt: dictionary_learning, topk [16384, 512] of pythia-70m
  wrote saes/pythia-70m: sae_lens, cfg.json sae_weights.safetensors saerun.json
  256 random inputs, 32 active latents each: largest difference 0 of encodings, 0 of reconstructions

What the files say of the activations (model, how it was loaded, hook, context, positions, tokens)
goes along, and so do keys that saerun does not know. The folder is read back, and both SAEs encode
and decode random inputs. When they differ by more than 0.00001 of the largest number, the exit
code is 1.";

/// How many inputs are compared, and by which stream.
const INPUTS: usize = 256;
const SEED: u64 = 0;

/// The largest difference that rounding explains, as a share of the largest number.
const TOLERANCE: f64 = 1e-5;

/// Converts, and prints what was read, written and compared.
pub(super) fn convert(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { from, to, format } = arguments;
    let format = Format::written(format).map_err(Failure::usage)?;
    if to.symlink_metadata().is_ok() {
        let error = Error::new(Code::WriteFailed, format!("there is something at `{}` already", to.display()));
        return Err(Failure::usage(error.help("name a folder that is not there yet")));
    }
    let sae = format::load(from)?;
    outln!("read  {}: {}, {}", from.display(), Format::of(from)?.name(), summary(&sae));
    let files = format::to_files(&sae, format)?;
    store::write_dir_atomic(to, &files)?;
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    outln!("wrote {}: {}, {}", to.display(), format.name(), names.join(" "));
    let found = difference(&sae, &format::load(to)?, INPUTS, SEED)?;
    outln!(
        "{INPUTS} random inputs, {} active latents each: largest difference {} of encodings, {} of reconstructions",
        rounded(found.l0),
        rounded(found.codes),
        rounded(found.reconstructions)
    );
    if found.within(TOLERANCE) {
        return Ok(());
    }
    Err(Error::new(Code::Failed, format!("`{}` computes something else than `{}`", to.display(), from.display())))?
}

/// `topk [16384, 512] of pythia-70m at blocks.3.hook_resid_post`, without what is not known.
fn summary(sae: &Sae) -> String {
    let config = &sae.config;
    let named = |before: &str, name: &str| if name.is_empty() { String::new() } else { format!(" {before} {name}") };
    let (model, hook) = (named("of", &config.model_name), named("at", &config.hook_name));
    format!("{} [{}, {}]{model}{hook}", config.architecture, config.d_sae, config.d_in)
}
