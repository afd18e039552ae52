//! `saerun doc`: the script API, from what the engine has registered.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Failure, project};
use crate::error::{Code, Error};
use crate::host::output::out;
use crate::host::session::Setup;
use crate::host::{Session, definitions, docs, engine, reference};
use crate::store;

/// What `saerun doc` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A function (`geometry::peaks`), a namespace, or nothing for the list of all
    name: Option<String>,
    /// Print the list as Markdown, as docs/api.md has it
    #[arg(long)]
    markdown: bool,
    /// Write definitions for editors to DIR/saerun.d.rhai
    #[arg(long, value_name = "DIR")]
    definitions: Option<PathBuf>,
    /// Write the reference as one page, to a file PATH.html or to PATH/saerun.html
    #[arg(long, value_name = "PATH")]
    html: Option<PathBuf>,
}

const AFTER: &str = "\
Examples:
  saerun doc                        every function, one a line
  saerun doc geometry::peaks        what one does, with an example
  saerun doc --definitions .rhai    for editors: completion and hover from .rhai/saerun.d.rhai
  saerun doc --html reference.html  a page to browse, complete in itself";

/// Prints documentation.
pub(super) fn doc(arguments: &Arguments) -> Result<(), Failure> {
    let session = Session::new(Setup { root: project()?, stem: "doc".to_string(), ..Setup::default() })?;
    let functions = docs::functions(&engine(&Arc::new(session)), false);
    if let Some(folder) = &arguments.definitions {
        store::write_atomic(&folder.join("saerun.d.rhai"), definitions::definitions(&functions).as_bytes())?;
    }
    if let Some(path) = &arguments.html {
        let page = path.extension().is_some_and(|extension| extension == "html") && !path.is_dir();
        let file = if page { path.clone() } else { path.join("saerun.html") };
        store::write_atomic(&file, reference::html(&functions).as_bytes())?;
    }
    if arguments.definitions.is_some() || arguments.html.is_some() {
        return Ok(());
    }
    let Some(name) = &arguments.name else {
        let text = if arguments.markdown { docs::markdown(&functions) } else { docs::list(&functions) };
        out!("{text}");
        return Ok(());
    };
    match docs::text(&functions, name) {
        Some(text) => {
            out!("{text}");
            Ok(())
        }
        None => {
            let mut known: Vec<String> = functions.iter().map(docs::Function::path).collect();
            known.dedup();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let mut error = Error::unknown(Code::UnknownFunction, "function", name, &known);
            error.facts.clear();
            Err(Failure::usage(error))
        }
    }
}
