//! Running a script: compile, check, run on a big stack, report.

use std::path::Path;
use std::sync::Arc;

use rhai::{AST, Engine, EvalAltResult, OptimizationLevel, Scope};

use crate::error::{Code, Error};
use crate::host::code::plain;
use crate::host::diagnostic::Report;
use crate::host::ending::guarded;
use crate::host::session::Session;
use crate::host::{attempt, engine, language, preflight};
use crate::input;

/// Stack for scripts: 256 nested calls of the interpreter need a few MB each in the worst case.
pub(super) const STACK: usize = 1 << 30;

/// The text of the script at `path`, and the name by which reports call it.
///
/// # Errors
/// `missing-file`, with the nearest script; `damaged-file` for a folder and for what is no text.
pub fn read(path: &Path) -> crate::error::Result<(String, String)> {
    let name = path.to_string_lossy().into_owned();
    match input::read_text(path) {
        Ok(text) => Ok((name, text)),
        Err(error) if error.code == Code::MissingFile => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let names: Vec<String> = entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "rhai"))
                .map(|path| path.strip_prefix("./").unwrap_or(&path).to_string_lossy().into_owned())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let error = Error::new(Code::MissingFile, format!("there is no script `{name}`"));
            Err(match crate::error::nearest(&name, &names) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            })
        }
        Err(error) => Err(error),
    }
}

/// Compiles a script as it was written.
///
/// # Errors
/// A report of the first place that does not parse.
pub fn parse(engine: &Engine, session: &Session, name: &str, text: &str) -> Result<AST, Box<Report>> {
    parse_with(engine, session, &Scope::new(), name, text)
}

/// Compiles a script that sees the variables of `scope`.
///
/// # Errors
/// A report of the first place that does not parse.
pub fn parse_with(
    engine: &Engine,
    session: &Session,
    scope: &Scope,
    name: &str,
    text: &str,
) -> Result<AST, Box<Report>> {
    session.add_source(name, text);
    let mut ast = engine
        .compile_with_scope(scope, plain(text))
        .map_err(|error| Box::new(Report::new(&EvalAltResult::from(error), name, engine, session)))?;
    ast.set_source(name);
    Ok(ast)
}

/// The tree to run for a checked script whose text is `text` and that sees the variables of `scope`.
pub fn executable(engine: &Engine, scope: &Scope, ast: AST, text: &str) -> AST {
    optimize(engine, attempt::executable(ast, scope, text, language))
}

/// The tree with constants folded and dead branches cut, and still with the name of its source, which rhai drops.
fn optimize(engine: &Engine, ast: AST) -> AST {
    let source = ast.source().unwrap_or_default().to_string();
    let mut ast = engine.optimize_ast(&Scope::new(), ast, OptimizationLevel::Simple);
    ast.set_source(source);
    ast
}

/// Compiles a script and checks that everything it calls exists.
///
/// # Errors
/// A report of the first finding.
pub fn compile(engine: &Engine, session: &Session, name: &str, text: &str) -> Result<AST, Box<Report>> {
    let ast = parse(engine, session, name, text)?;
    preflight::check(engine, session, &ast)?;
    Ok(executable(engine, &Scope::new(), ast, text))
}

/// Runs a script to its end; `session.ended()` has the code of an `exit`.
///
/// # Errors
/// A report of what stopped it.
pub fn run(session: &Arc<Session>, name: &str, text: &str) -> Result<(), Box<Report>> {
    run_in(session, engine, name, text)
}

/// As [`run`], in an engine that `make` makes of the session's.
///
/// # Errors
/// As [`run`].
pub fn run_in(
    session: &Arc<Session>,
    make: impl FnOnce(&Arc<Session>) -> Engine + Send,
    name: &str,
    text: &str,
) -> Result<(), Box<Report>> {
    let outcome = on_big_stack(session, || {
        let engine = Arc::new(make(session));
        session.set_engine(&engine);
        let ast = compile(&engine, session, name, text)?;
        let outcome = engine.run_ast_with_scope(&mut Scope::new(), &ast);
        outcome.map_err(|raised| Box::new(Report::new(&raised, name, &engine, session)))
    });
    match outcome {
        Err(_) if session.ended().is_some() => Ok(()),
        other => other,
    }
}

/// Does work that runs scripts, on a thread with the stack that they need; a panic becomes a report.
///
/// # Errors
/// Those of the work, an interruption with its reason; `internal` for a panic.
pub fn on_big_stack<T: Send>(
    session: &Session,
    work: impl FnOnce() -> Result<T, Box<Report>> + Send,
) -> Result<T, Box<Report>> {
    let guarded = || {
        let _watch = session.console().watch();
        guarded(work).unwrap_or_else(|bug| Err(Box::new(session.report_bug(bug))))
    };
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("script".to_string()).stack_size(STACK);
        match thread.spawn_scoped(scope, guarded) {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(Box::new(session.report_bug(no_report())))),
            Err(error) => {
                Err(Box::new(Report::bare(Error::new(Code::TooLarge, format!("no thread for the script: {error}")))))
            }
        }
    });
    session.console().clear();
    outcome.map_err(|mut report| {
        if report.error.code == Code::Interrupted {
            report.error = session.why_stopped();
        }
        report
    })
}

/// A bug in the report of a bug.
fn no_report() -> Error {
    Error::new(Code::Internal, "this is a bug in saerun")
}
