//! `saerun params FILE`: what a script declares, without running it.

use std::path::Path;
use std::sync::Arc;

use super::{Failure, project};
use crate::host::output::{errln, outln};
use crate::host::session::Setup;
use crate::host::{Session, engine, preflight, run as host};

/// Prints one `name = default` a line.
pub(super) fn params(file: &Path) -> Result<(), Failure> {
    let (name, text) = host::read(file).map_err(Failure::usage)?;
    let session = Arc::new(Session::new(Setup { root: project()?, stem: "params".to_string(), ..Setup::default() })?);
    let engine = engine(&session);
    let ast = host::parse(&engine, &session, &name, &text)
        .map_err(|report| Failure { text: report.draw(&session), exit_code: report.error.code.exit_code() })?;
    let declared = preflight::declared(&ast, &text).unwrap_or_default();
    if declared.is_empty() {
        errln!("{name} declares no parameters");
    }
    for (parameter, default) in declared {
        outln!("{parameter} = {default}");
    }
    Ok(())
}
