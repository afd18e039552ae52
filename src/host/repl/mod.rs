//! A conversation with the script engine: each input sees the variables, functions and imports of those before it.
//!
//! An input counts whole or not at all. It runs on a copy of the variables, in a session and an engine of its own, and
//! only when it has ended well do its variables, functions and imports become part of the conversation. A file that is
//! loaded is the exception: when it stops halfway, what it had defined by then is kept, to look into.

mod complete;
mod history;
mod input;
mod show;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use rhai::{AST, Caches, Dynamic, Engine, EvalAltResult, Module, NativeCallContext, Position, Scope, Shared};

use crate::error::{Code, Error};
use crate::host::diagnostic::Report;
use crate::host::raise::type_name;
use crate::host::session::Setup;
use crate::host::{Session, attempt, docs, language, preflight, run};

pub use complete::{Candidate, Names, complete, hint};
pub use history::History;
pub use input::unfinished;

/// The variable that holds the last value that was shown.
pub const LAST: &str = "it";

/// A conversation.
pub struct Repl {
    setup: Setup,
    scope: Scope<'static>,
    /// The functions of each input that defined some, the latest last.
    functions: Vec<Shared<Module>>,
    imports: Vec<(String, Shared<Module>)>,
    /// The scripts that those functions are in, by name.
    sources: Vec<(String, Arc<str>)>,
    inputs: usize,
    /// Sessions that a closure in a variable may still call into.
    sessions: Vec<Weak<Session>>,
    /// The latest session and its engine.
    session: Arc<Session>,
    engine: Arc<Engine>,
}

/// An input that failed.
#[derive(Debug)]
pub struct Failed {
    /// The kind of failure.
    pub code: Code,
    /// The report as text, with terminal colors.
    pub text: String,
}

/// A variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The script type of its value.
    pub kind: String,
    /// The keys of a map.
    pub keys: Vec<String>,
}

/// What an input or a file left, when it ended and when it did not.
struct Played {
    outcome: Result<Dynamic, Box<Report>>,
    scope: Scope<'static>,
    functions: Option<Shared<Module>>,
    imports: Vec<(String, Shared<Module>)>,
}

impl Repl {
    /// Begins a conversation. Parameters of the setup are those of the first file that is loaded.
    ///
    /// # Errors
    /// Those of [`Session::new`].
    pub fn new(setup: Setup) -> crate::error::Result<Self> {
        let session = Arc::new(Session::new(setup.clone())?);
        let engine = Arc::new(crate::host::engine(&session));
        let mut scope = Scope::new();
        scope.push(LAST, Dynamic::UNIT);
        Ok(Repl {
            setup,
            scope,
            functions: Vec::new(),
            imports: Vec::new(),
            sources: Vec::new(),
            inputs: 0,
            sessions: Vec::new(),
            session,
            engine,
        })
    }

    /// Forgets everything but the setup and the figures.
    ///
    /// # Errors
    /// Those of [`Session::new`].
    pub fn reset(&mut self) -> crate::error::Result<()> {
        *self = Repl::new(self.setup.clone())?;
        Ok(())
    }

    /// Runs an input. Returns its value as text, and keeps it in the variable `it`; `None` when it has none.
    ///
    /// # Errors
    /// What stopped it; then nothing has changed.
    pub fn eval(&mut self, text: &str) -> Result<Option<String>, Failed> {
        let name = self.name_of(text);
        let before = self.scope.clone();
        let played = self.play(&name, text, before)?;
        let value = played.outcome.map_err(|report| self.failed(&report))?;
        let defines = played.functions.is_some() || text.contains("const");
        self.scope = latest(&[&played.scope]);
        self.keep(played.functions, played.imports, (!defines).then_some(name.as_str()));
        if value.is_unit() {
            return Ok(None);
        }
        self.scope.set_or_push(LAST, value.clone());
        self.show(&value).map(Some)
    }

    /// Runs the script of a file, which is called `name` in reports, and takes over its variables and functions.
    ///
    /// # Errors
    /// What stopped it; then what it had defined before is there.
    pub fn load(&mut self, name: &str, text: &str) -> Result<(), Failed> {
        let played = self.play(name, text, Scope::new())?;
        // The parameters of the command line were those of the first file.
        self.setup.overrides.clear();
        self.scope = latest(&[&self.scope, &played.scope]);
        self.keep(played.functions, played.imports, None);
        played.outcome.map(|_| ()).map_err(|report| self.failed(&report))
    }

    /// The code of the `exit` that ended the last input or script, if one did.
    pub fn ended(&self) -> Option<u8> {
        self.session.ended()
    }

    /// The variables, by name.
    pub fn variables(&self) -> Vec<Variable> {
        let named = self.scope.iter_raw().filter(|(name, _, value)| *name != LAST || !value.is_unit());
        let mut all: Vec<Variable> = named
            .map(|(name, _, value)| {
                let kind = if value.is_unit() { "()".to_string() } else { type_name(&value.flatten_clone()) };
                Variable { name: name.to_string(), kind, keys: show::keys(value) }
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The value of a variable, on one short line.
    pub fn line(&self, variable: &str) -> String {
        let value = self.scope.get(variable).map(Dynamic::flatten_clone).unwrap_or_default();
        show::line(&value, &|value| self.readable(value))
    }

    /// Every function that can be called: those of saerun and of the conversation, and rhai's own `with_standard`.
    pub fn functions(&self, with_standard: bool) -> Vec<docs::Function> {
        let mut all = docs::functions(&self.engine, with_standard);
        all.retain(|function| !function.name.contains('$'));
        all
    }

    /// What can be completed.
    pub fn names(&self) -> Names {
        Names { functions: self.functions(true), variables: self.variables() }
    }

    /// The name of an input in reports; one that was given before keeps its name, so that closures in it stay the same.
    fn name_of(&mut self, text: &str) -> String {
        let same = |(name, known): &&(String, Arc<str>)| name.starts_with("input ") && &**known == text;
        if let Some((name, _)) = self.sources.iter().find(same) {
            return name.clone();
        }
        self.inputs += 1;
        format!("input {}", self.inputs)
    }

    /// A session and an engine that know the conversation so far. What is left of earlier sessions calls into it too.
    fn begin(&mut self, overrides: bool) -> Result<(), Failed> {
        let mut setup = self.setup.clone();
        if !overrides {
            setup.overrides.clear();
        }
        self.session = Arc::new(Session::new(setup).map_err(|error| self.bare(error))?);
        for (name, text) in &self.sources {
            self.session.add_source(name, text);
        }
        self.connect();
        self.sessions.push(Arc::downgrade(&self.session));
        Ok(())
    }

    /// Makes the engine of the session anew.
    fn connect(&mut self) {
        let mut engine = crate::host::engine(&self.session);
        for functions in &self.functions {
            engine.register_global_module(Shared::clone(functions));
        }
        for (name, module) in &self.imports {
            engine.register_static_module(name, Shared::clone(module));
        }
        self.engine = Arc::new(engine);
        self.sessions.retain(|session| session.strong_count() > 0);
        for session in self.sessions.iter().filter_map(Weak::upgrade).chain([Arc::clone(&self.session)]) {
            session.set_engine(&self.engine);
        }
    }

    /// Compiles, checks and runs a script in this scope.
    fn play(&mut self, name: &str, text: &str, mut scope: Scope<'static>) -> Result<Played, Failed> {
        let file = !name.starts_with("input ");
        self.begin(file)?;
        let (session, engine) = (&self.session, &self.engine);
        let played = run::on_big_stack(session, || {
            let ast = run::parse_with(engine, session, &scope, name, text)?;
            preflight::check(engine, session, &ast)?;
            let ast = attempt::executable(ast, &scope, text, language);
            let (outcome, imports) = evaluate(engine, &mut scope, &ast);
            session.console().clear();
            let outcome = outcome.map_err(|raised| Box::new(Report::new(&raised, name, engine, session)));
            let functions = ast.has_functions().then(|| Shared::clone(ast.shared_lib()));
            Ok(Played { outcome, scope, functions, imports })
        });
        played.map_err(|report| self.failed(&report))
    }

    /// Makes what an input defined part of the conversation, and the scripts of this session but the one `without`.
    fn keep(
        &mut self,
        functions: Option<Shared<Module>>,
        imports: Vec<(String, Shared<Module>)>,
        without: Option<&str>,
    ) {
        let texts = self.session.sources().into_iter().filter(|(name, _)| Some(name.as_str()) != without);
        self.sources = texts.filter_map(|(name, _)| Some((name.clone(), self.session.source(&name)?))).collect();
        if functions.is_some() || !imports.is_empty() {
            self.functions.extend(functions);
            self.imports.extend(imports);
            self.connect();
        }
    }

    /// A value as text; figures in it are saved.
    fn show(&self, value: &Dynamic) -> Result<String, Failed> {
        show::value(&self.session, value, &|value| self.readable(value)).map_err(|error| self.bare(error))
    }

    /// A value as `print` shows it.
    fn readable(&self, value: Dynamic) -> String {
        let global = self.engine.new_global_runtime_state();
        let ctx = NativeCallContext::from((&*self.engine, "to_string", None, &global, Position::NONE));
        crate::host::value::readable(&ctx, value)
    }

    /// A failure that belongs to no line.
    fn bare(&self, error: Error) -> Failed {
        self.failed(&Report::bare(error))
    }

    fn failed(&self, report: &Report) -> Failed {
        Failed { code: report.error.code, text: report.draw(&self.session) }
    }
}

/// What an evaluation gives: its value, and the modules that it imported, by name.
type Evaluated = (Result<Dynamic, Box<EvalAltResult>>, Vec<(String, Shared<Module>)>);

/// Runs the statements of a script; unlike the plain ways to do so, this one hands out what was imported.
#[allow(deprecated)] // "volatile", says rhai; hence the exact pin of its version
fn evaluate(engine: &Engine, scope: &mut Scope<'static>, ast: &AST) -> Evaluated {
    let mut global = engine.new_global_runtime_state();
    global.source = ast.source().map(Into::into);
    global.lib.push(Shared::clone(ast.shared_lib()));
    // Functions see constants of the top level as `global::NAME`, those of earlier inputs too.
    let constants = scope.iter_raw().filter(|(_, constant, _)| *constant);
    let constants = constants.map(|(name, _, value)| (name.into(), value.clone())).collect();
    global.constants = Some(Shared::new(std::sync::RwLock::new(constants)));
    let outcome = engine.eval_statements_raw(&mut global, &mut Caches::new(), scope, ast.statements());
    let imports = global.scan_imports_raw().map(|(name, module)| (name.to_string(), Shared::clone(module)));
    (outcome, imports.collect())
}

/// One scope with the variables of all, the latest of each name.
fn latest(scopes: &[&Scope<'static>]) -> Scope<'static> {
    let mut seen = BTreeSet::new();
    // rhai hands them out from the last to the first.
    let all = scopes.iter().rev().flat_map(|scope| scope.iter_raw());
    let kept: Vec<_> = all.filter(|(name, ..)| seen.insert(name.to_string())).collect();
    let mut fresh = Scope::new();
    for (name, constant, value) in kept.into_iter().rev() {
        let value = value.clone();
        if constant {
            fresh.push_constant_dynamic(name, value)
        } else {
            fresh.push_dynamic(name, value)
        };
    }
    fresh
}
