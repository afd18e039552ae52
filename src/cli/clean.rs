//! `saerun clean`: removes what is remembered.

use super::{Failure, project};
use crate::store;

/// Removes `.saerun/cache` and says how much that was.
pub(super) fn clean() -> Result<(), Failure> {
    let bytes = store::clean(&project()?.join(".saerun").join("cache"))?;
    anstream::println!("removed {bytes} bytes ({:.1} MB) of remembered results", bytes as f64 / 1e6);
    Ok(())
}
