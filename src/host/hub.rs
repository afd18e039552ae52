//! Models of the Hugging Face hub by name. Only with the cargo feature `hub`: its client is most of what a TLS stack costs to build.

use crate::error::{Code, Error, Result};
use crate::model::{LoadOptions, TargetModel};

/// Loads `org/name`.
///
/// # Errors
/// `unsupported` in this build.
pub fn load(name: &str, _: &LoadOptions) -> Result<TargetModel> {
    Err(Error::new(Code::Unsupported, format!("`hf:{name}` needs the download client, which this build leaves out"))
        .help("build with `--features hub`, or give a folder with the model's files"))
}
