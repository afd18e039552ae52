//! Calls of functions that do not exist, or with another number of arguments than any takes. rhai finds these only when the
//! call is reached, perhaps after hours.

use std::collections::BTreeSet;

use rhai::AST;

use super::facts::{CLOSURE, Call, Facts};
use super::{Known, Say, Severity};
use crate::error::{Code, Error};
use crate::host::docs::{Function, Kind};
use crate::host::explain::unknown_function;

/// A function of a script: its name and how many parameters it has.
pub(super) type Defined = (String, usize);

/// The functions that a script defines.
pub(super) fn defined_in(ast: &AST) -> Vec<Defined> {
    ast.iter_functions().map(|f| (f.name.to_string(), f.params.len())).collect()
}

/// What a call in one file may mean.
pub(super) struct Scope<'a> {
    /// What the engine offers.
    pub known: &'a Known,
    /// The imports by their names here, with what they define; `None` when that is not known.
    pub imported: Vec<(String, Option<Vec<Defined>>)>,
    /// The functions of this file.
    pub defined: Vec<Defined>,
    /// Keys of maps, any of which may hold a closure that is called like a method.
    pub keys: &'a BTreeSet<String>,
}

/// The functions that a call may mean.
pub(super) enum Meaning<'a> {
    /// Functions of the engine and of this file.
    Here(Vec<&'a Function>),
    /// Functions of a namespace of the engine.
    Namespace(Vec<&'a Function>),
    /// Functions of an imported script.
    Import(&'a [Defined]),
    /// Nobody knows before it runs.
    Open,
}

/// What looks like a call and is part of the language.
const KEYWORDS: [&str; 9] =
    ["print", "debug", "type_of", "call", "curry", "Fn", "is_def_var", "is_def_fn", "is_shared"];

impl Scope<'_> {
    /// What a call means.
    pub(super) fn meaning(&self, call: &Call) -> Meaning<'_> {
        if KEYWORDS.contains(&call.name.as_str()) || call.name.starts_with(CLOSURE) {
            return Meaning::Open;
        }
        let functions = self.known.functions.iter().filter(|f| f.name == call.name);
        match call.namespace.as_slice() {
            [] if call.method && self.keys.contains(&call.name) => Meaning::Open,
            [] => Meaning::Here(functions.filter(|f| f.namespace.is_empty() || f.kind != Kind::Function).collect()),
            [space] => match self.imported.iter().find(|(alias, _)| alias == space) {
                Some((_, Some(theirs))) => Meaning::Import(theirs),
                Some((_, None)) => Meaning::Open,
                None if space == "global" => Meaning::Open,
                None => Meaning::Namespace(functions.filter(|f| f.namespace == *space).collect()),
            },
            _ => Meaning::Open,
        }
    }
}

/// Says which calls cannot work.
pub(super) fn check(facts: &Facts, scope: &Scope, say: &mut Say) {
    for call in &facts.calls {
        let known = scope.known.functions.as_slice();
        let wrong = match scope.meaning(call) {
            Meaning::Here(native) => finding(call, known, &native, &scope.defined),
            Meaning::Namespace(native) => finding(call, known, &native, &[]),
            Meaning::Import(theirs) => finding(call, &[], &[], theirs),
            Meaning::Open => None,
        };
        if let Some(error) = wrong {
            say(Severity::Error, error.code.name(), error, call.position);
        }
    }
}

/// What is wrong with a call, given the native functions and the script functions that it may mean.
fn finding(call: &Call, known: &[Function], native: &[&Function], defined: &[Defined]) -> Option<Error> {
    let n = call.arguments.len();
    let given = n + usize::from(call.method);
    let own: Vec<&Defined> = defined.iter().filter(|(name, _)| *name == call.name).collect();
    if native.iter().any(|f| f.params.len() == given) || own.iter().any(|(_, takes)| *takes == n) {
        return None;
    }
    let path = call.namespace.iter().chain([&call.name]).cloned().collect::<Vec<_>>().join("::");
    if native.is_empty() && own.is_empty() {
        let names: Vec<String> = defined.iter().map(|(name, _)| name.clone()).collect();
        let mut error = unknown_function(known, &path, None, &names);
        if known.is_empty() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            error = Error::unknown(Code::UnknownFunction, "function", &call.name, &names);
            error.message = format!("unknown function `{path}`");
        }
        if call.method {
            error.message = format!("unknown method `{}`", call.name);
        }
        return Some(error);
    }
    let mut takes: Vec<String> = native.iter().map(|f| f.signature()).collect();
    takes.extend(own.iter().map(|(name, n)| format!("{name} with {n} argument{}", plural(*n))));
    takes.dedup();
    takes.truncate(4);
    let what = if call.method { "method" } else { "function" };
    let message = format!("no {what} `{path}` takes {n} argument{}", plural(n));
    Some(Error::new(Code::WrongType, message).fact("expected", takes.join("\n")))
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
