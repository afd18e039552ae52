//! What can be said of a script without running it: syntax, calls that cannot work, and slips that would run and mislead.
//!
//! Errors are what would surely fail when it is reached; a run refuses to begin with one. Warnings run, and do something else
//! than it looks. Only what is certain is said, so that a clean script stays clean.

mod calls;
mod closures;
mod facts;
mod floats;
pub mod keys;
mod numbers;
mod options;
mod unused;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use rhai::{AST, Engine, Expr, Position};
use serde_json::{Value, json};

use crate::error::{Code, Error};
use crate::host::diagnostic::{Place, Report};
use crate::host::docs::{Function, functions};
use crate::host::jail;
use crate::host::run::parse;
use crate::host::session::Session;

pub use crate::host::diagnostic::Severity;

/// One thing that a check has found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Whether a run would refuse.
    pub severity: Severity,
    /// A stable name: that of the error, or that of the lint.
    pub code: &'static str,
    /// What, where, and what to try.
    pub report: Report,
}

impl Finding {
    /// The finding as text, in the manner of the other reports.
    pub fn draw(&self, session: &Session) -> String {
        self.report.draw_as(self.severity, self.code, session)
    }

    /// The finding as JSON: `severity`, `code`, `file`, `line`, `column`, `what`, `facts`, `help`.
    pub fn to_json(&self) -> Value {
        let place = self.report.place.as_ref();
        let facts: serde_json::Map<String, Value> =
            self.report.error.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "severity": self.severity.name(),
            "code": self.code,
            "file": place.map(|place| &place.file),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "what": self.report.error.message,
            "facts": facts,
            "help": self.report.error.help,
        })
    }

    /// File, line and column, for sorting.
    pub fn spot(&self) -> (String, usize, usize) {
        let place = self.report.place.clone();
        place.map_or((String::new(), 0, 0), |place| (place.file, place.line, place.column))
    }
}

/// Everything that is to be said of a script and of what it imports; nothing runs.
pub fn check(engine: &Engine, session: &Arc<Session>, name: &str, text: &str) -> Vec<Finding> {
    match parse(engine, session, name, text) {
        Ok(ast) => findings(engine, session, &ast),
        Err(report) => vec![Finding { severity: Severity::Error, code: report.error.code.name(), report: *report }],
    }
}

/// The same for a script that is parsed already; its tree must not be optimized.
pub fn findings(engine: &Engine, session: &Session, ast: &AST) -> Vec<Finding> {
    let known = Known { functions: functions(engine, true), own: functions(engine, false), options: keys::accepted() };
    let mut checker = Checker { engine, session, known: &known, seen: Seen::default(), found: Vec::new() };
    checker.file(ast);
    checker.params();
    let mut found = checker.found;
    let main = ast.source().unwrap_or_default();
    found.sort_by_key(|finding| (finding.spot().0 != main, finding.spot(), finding.severity));
    found
}

/// What the engine offers.
struct Known {
    /// Every function, rhai's own included.
    functions: Vec<Function>,
    /// The functions of saerun.
    own: Vec<Function>,
    /// The option keys of functions.
    options: Vec<keys::Accepts>,
}

/// What the check has come across in all files.
#[derive(Default)]
struct Seen {
    files: BTreeSet<String>,
    /// The files whose imports are being followed.
    open: Vec<String>,
    /// Keys of maps, any of which may hold a closure that is called like a method.
    keys: BTreeSet<String>,
    /// The calls of `params` that every run reaches.
    params: Vec<(String, Position)>,
}

struct Checker<'a> {
    engine: &'a Engine,
    session: &'a Session,
    known: &'a Known,
    seen: Seen,
    found: Vec<Finding>,
}

/// What one file says of itself, for its findings.
type Say<'a> = dyn FnMut(Severity, &'static str, Error, Position) + 'a;

impl Checker<'_> {
    /// Checks one file, what it imports first.
    fn file(&mut self, ast: &AST) {
        let file = ast.source().unwrap_or_default().to_string();
        if !self.seen.files.insert(file.clone()) {
            return;
        }
        self.seen.open.push(file.clone());
        let functions = facts::Functions::of(ast);
        let facts = walk::walk(ast.statements(), &functions);
        let mut imported: Vec<(String, Option<Vec<calls::Defined>>)> = Vec::new();
        for import in &facts.imports {
            // A path that is only known when the script runs may hold anything.
            let module = match facts.behind(import.path) {
                Expr::StringConstant(path, _) => self.import(&file, path, import),
                _ => None,
            };
            imported.push((import.alias.clone(), module.map(|module| calls::defined_in(&module))));
        }
        self.seen.open.pop();
        self.seen.keys.extend(facts.keys.iter().cloned());
        let declares = |call: &&facts::Call| call.name == "params" && call.namespace.is_empty() && call.always;
        let declared = facts.calls.iter().filter(declares).map(|call| (file.clone(), call.position));
        self.seen.params.extend(declared);
        let scope =
            calls::Scope { known: self.known, imported, defined: calls::defined_in(ast), keys: &self.seen.keys };
        let found = &mut self.found;
        let say: &mut Say = &mut |severity, code, error, position| {
            found.push(Finding { severity, code, report: Report::at(error, place(&file, position)) });
        };
        calls::check(&facts, &scope, say);
        options::check(&facts, &scope, say);
        floats::check(&facts, self.known, say);
        numbers::check(&facts, &self.session.source(&file).unwrap_or_default(), say);
        closures::check(&facts, say);
        unused::check(&facts, say);
    }

    /// Follows one import; `None` when there is nothing to look into.
    fn import(&mut self, file: &str, path: &str, import: &facts::Import) -> Option<AST> {
        let mut say = |error: Error| {
            let report = Report::at(error, place(file, import.position));
            self.found.push(Finding { severity: Severity::Error, code: report.error.code.name(), report });
        };
        let (name, text) = match jail::locate(self.session, Some(file), path) {
            Ok(found) => found,
            Err(error) => {
                say(error);
                return None;
            }
        };
        if self.seen.open.contains(&name) && import.always {
            say(Error::new(Code::Failed, format!("`{name}` imports itself, directly or through others")));
        }
        match parse(self.engine, self.session, &name, &text) {
            Ok(ast) => {
                self.file(&ast);
                Some(ast)
            }
            Err(report) => {
                if self.seen.files.insert(name) {
                    self.found.push(Finding {
                        severity: Severity::Error,
                        code: report.error.code.name(),
                        report: *report,
                    });
                }
                None
            }
        }
    }

    /// All calls of `params` but one are too many.
    fn params(&mut self) {
        // The script comes last, after what it imports: its own first call is the one that counts.
        let calls = std::mem::take(&mut self.seen.params);
        let Some(main) = calls.last().map(|(file, _)| file.clone()) else { return };
        let counts = calls.iter().position(|(file, _)| *file == main);
        for (_, (file, position)) in calls.iter().enumerate().filter(|(i, _)| Some(*i) != counts) {
            let error = Error::new(Code::Failed, "`params` is called more than once")
                .fact("expected", "at most one call of `params` a script")
                .help("declare every parameter in one map");
            let report = Report::at(error, place(file, *position));
            self.found.push(Finding { severity: Severity::Error, code: Code::Failed.name(), report });
        }
    }
}

fn place(file: &str, position: Position) -> Option<Place> {
    let column = position.position().unwrap_or(0);
    position.line().map(|line| Place { file: file.to_string(), line, column })
}
