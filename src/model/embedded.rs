//! The target models inside the program; `assets/models/README.md` is their card.

use super::{Config, TargetModel, files};
use crate::error::Result;

type Files = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

macro_rules! model {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../assets/models/", $name, "/config.json")),
            include_bytes!(concat!("../../assets/models/", $name, "/model.safetensors")),
            include_bytes!(concat!("../../assets/models/", $name, "/tokenizer.json")),
        )
    };
}

const ALL: &[Files] = &[model!("prose-1l"), model!("prose-1l-seed1"), model!("sotu-1l")];

/// Names and configurations of the embedded models.
pub fn list() -> Vec<(&'static str, Config)> {
    let configs = ALL.iter().map(|(name, config, _, _)| Some((*name, serde_json::from_slice(config).ok()?)));
    configs.flatten().collect()
}

/// The embedded model of this name, if there is one.
pub(super) fn load(name: &str) -> Option<Result<TargetModel>> {
    let (name, config, weights, tokenizer) = ALL.iter().find(|model| model.0 == name)?;
    Some(files::from_bytes(name, config, weights, tokenizer))
}
