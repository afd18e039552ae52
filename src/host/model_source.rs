//! Where a target model comes from: the program itself, the hub, or the project.

use super::hub;
use super::session::Session;
use crate::error::{Code, Error, Result};
use crate::model::{self, LoadOptions, TargetModel, load};

/// The model of a name or path, put on record by its content.
///
/// # Errors
/// `outside-project`, `out-of-range` for a revision where there is none, and those of [`load::path`] and [`hub::load`].
pub fn load(session: &Session, name_or_path: &str, options: &LoadOptions) -> Result<TargetModel> {
    let hub_name = name_or_path.strip_prefix("hf:");
    if options.revision.is_some() && hub_name.is_none() {
        return Err(Error::new(Code::OutOfRange, "only names of the hub have a `revision`").fact("given", name_or_path));
    }
    if model::list().iter().any(|(name, _)| *name == name_or_path) {
        let model = TargetModel::load_with(name_or_path, options)?;
        session.record_input(&format!("model {name_or_path}"), model.digest()?);
        return Ok(model);
    }
    let model = match hub_name {
        Some(name) => hub::load(name, options)?,
        None => load::path(&session.readable(name_or_path)?, options)?,
    };
    session.record_input(name_or_path, model.digest()?);
    Ok(model)
}
