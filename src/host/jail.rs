//! `import`, inside the project only. rhai's own file resolver follows `..`, absolute paths and links out of it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use crate::error::{Code, Error, Result};
use crate::host::code::plain;
use crate::host::console::locked;
use crate::host::raise::raise;
use crate::host::run::executable;
use crate::host::saving::Keeping;
use crate::host::session::Session;

/// Resolves imports for one run, and records every imported file in its session.
pub struct Jail {
    session: Arc<Session>,
    loaded: Mutex<BTreeMap<String, Option<Shared<Module>>>>,
}

impl Jail {
    /// A resolver for the project of this session.
    pub fn new(session: Arc<Session>) -> Self {
        Jail { session, loaded: Mutex::new(BTreeMap::new()) }
    }
}

/// The project-relative name and the text of the script that `import "path"` in `importer` means: beside the importing
/// script, or else from the project's root.
///
/// # Errors
/// `outside-project` when the path leads out of the project, `missing-file` when nothing is there.
pub fn locate(session: &Session, importer: Option<&str>, path: &str) -> Result<(String, String)> {
    session.inside(path)?;
    let file = with_extension(path);
    let beside = importer.and_then(|name| Path::new(name).parent()).map(|folder| folder.join(&file));
    for candidate in beside.into_iter().chain([file.clone()]) {
        let name = candidate.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>();
        let name = name.to_string_lossy().replace('\\', "/");
        let full = session.inside(&name)?;
        if full.is_file() {
            return Ok((name, crate::input::read_text(&full)?));
        }
        session.missed(&full);
    }
    Err(Error::new(Code::MissingFile, format!("no script `{}` to import", file.display()))
        .fact("expected", "a script inside the project, named from its root or from the importing script's folder"))
}

/// `lib/a` and `lib/a.rhai` mean the same file.
fn with_extension(path: &str) -> PathBuf {
    PathBuf::from(if path.ends_with(".rhai") { path.to_string() } else { format!("{path}.rhai") })
}

impl ModuleResolver for Jail {
    fn resolve(
        &self,
        engine: &Engine,
        importer: Option<&str>,
        path: &str,
        position: Position,
    ) -> std::result::Result<Shared<Module>, Box<EvalAltResult>> {
        let (name, text) = locate(&self.session, importer, path).map_err(|error| raise(error, position))?;
        match locked(&self.loaded).get(&name) {
            Some(Some(module)) => return Ok(Shared::clone(module)),
            Some(None) => {
                let error = Error::new(Code::Failed, format!("`{name}` imports itself, directly or through others"));
                return Err(raise(error, position));
            }
            None => {}
        }
        // What was checked is what runs; a conversation may go on with what has been edited meanwhile.
        let before = self.session.source(&name).filter(|_| self.session.keeping != Keeping::Direct);
        if before.is_some_and(|before| *before != *text) {
            let error = Error::new(Code::Failed, format!("`{name}` has changed while this run was going on"))
                .help("run again: the script is checked as it is now");
            return Err(raise(error, position));
        }
        self.session.add_source(&name, &text);
        let within = |error| Box::new(EvalAltResult::ErrorInModule(name.clone(), error, position));
        let scope = Scope::new();
        let mut ast = engine.compile_with_scope(&scope, plain(&text)).map_err(|error| within(error.into()))?;
        ast.set_source(&name);
        let ast = executable(engine, &scope, ast, &text);
        locked(&self.loaded).insert(name.clone(), None);
        let module = Module::eval_ast_as_new(scope, &ast, engine).map_err(within);
        let mut loaded = locked(&self.loaded);
        loaded.remove(&name);
        let mut module = module?;
        module.set_id(&name);
        let module = Shared::new(module);
        loaded.insert(name, Some(Shared::clone(&module)));
        Ok(module)
    }
}
