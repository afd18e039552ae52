//! What is checked before line 1 runs: that every function that is called exists, in the script and in what it imports.
//! rhai itself finds a missing function only when the call is reached, perhaps after hours.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Dynamic, Engine, Expr, Position, Stmt};
use serde_json::Value;

use crate::error::{Code, Error};
use crate::host::bind::params::typed;
use crate::host::diagnostic::{Place, Report, unknown_function};
use crate::host::docs::{Function, Kind, functions};
use crate::host::jail;
use crate::host::run::parse;
use crate::host::session::{Override, Session};
use crate::host::value::to_json;

/// Checks a compiled script and everything that it imports by a literal path.
///
/// # Errors
/// The first call of a function that does not exist, or the first import that cannot be found or parsed.
pub fn check(engine: &Engine, session: &Session, ast: &AST) -> Result<(), Box<Report>> {
    let known = functions(engine, true);
    check_file(engine, session, ast, &known, &mut Seen::default())?;
    let declares = calls(ast).iter().any(|call| call.namespace.is_empty() && call.name == "params");
    match session.overrides().keys().next() {
        Some(name) if !declares => {
            let error = Error::new(Code::UnknownParameter, format!("unknown parameter `{name}`"))
                .fact("expected", "nothing: the script declares no parameters")
                .help("a script declares them by `let p = params(#{ name: default });`");
            Err(Box::new(Report::bare(error)))
        }
        _ => Ok(()),
    }
}

/// What the check has come across in all files.
#[derive(Default)]
struct Seen {
    files: BTreeSet<String>,
    /// Keys of maps, any of which may hold a closure that is called like a method.
    keys: BTreeSet<String>,
}

/// One call in a script.
struct Call {
    namespace: Vec<String>,
    name: String,
    method: bool,
    arguments: usize,
    position: Position,
}

fn check_file(
    engine: &Engine,
    session: &Session,
    ast: &AST,
    known: &[Function],
    seen: &mut Seen,
) -> Result<(), Box<Report>> {
    let file = ast.source().unwrap_or_default().to_string();
    if !seen.files.insert(file.clone()) {
        return Ok(());
    }
    let at = |error: Error, position: Position| {
        let line = position.line();
        let column = position.position().unwrap_or(0);
        let place = line.map(|line| Place { file: file.clone(), line, column });
        Box::new(Report { error, place, frames: Vec::new() })
    };
    let mut imported: Vec<(String, Vec<Defined>)> = Vec::new();
    for (path, alias, position) in imports(ast) {
        let (name, text) = jail::locate(session, Some(&file), &path).map_err(|error| at(error, position))?;
        let module = parse(engine, session, &name, &text)?;
        imported.push((alias, defined_in(&module)));
        check_file(engine, session, &module, known, seen)?;
    }
    seen.keys.extend(keys(ast));
    let defined = defined_in(ast);
    for call in calls(ast) {
        if KEYWORDS.contains(&call.name.as_str()) || call.name.starts_with("anon$") {
            continue;
        }
        let closure = call.method && seen.keys.contains(&call.name);
        let wrong = match call.namespace.as_slice() {
            [] if closure => None,
            [] => {
                let global = |f: &&Function| f.namespace.is_empty() || f.kind != Kind::Function;
                let native: Vec<&Function> = known.iter().filter(|f| f.name == call.name).filter(global).collect();
                finding(&call, known, &native, &defined)
            }
            [space] => match imported.iter().find(|(alias, _)| alias == space) {
                Some((_, theirs)) => finding(&call, &[], &[], theirs),
                None if space == "global" => None,
                None => {
                    let of = |f: &&Function| f.namespace == *space && f.name == call.name;
                    finding(&call, known, &known.iter().filter(of).collect::<Vec<_>>(), &[])
                }
            },
            _ => None,
        };
        if let Some(error) = wrong {
            return Err(at(error, call.position));
        }
    }
    Ok(())
}

/// A function of a script: its name and how many parameters it has.
type Defined = (String, usize);

fn defined_in(ast: &AST) -> Vec<Defined> {
    ast.iter_functions().map(|f| (f.name.to_string(), f.params.len())).collect()
}

/// What is wrong with a call, given the native functions and the script functions that it may mean.
fn finding(call: &Call, known: &[Function], native: &[&Function], defined: &[Defined]) -> Option<Error> {
    let given = call.arguments + usize::from(call.method);
    let own: Vec<&Defined> = defined.iter().filter(|(name, _)| *name == call.name).collect();
    if native.iter().any(|f| f.params.len() == given) || own.iter().any(|(_, n)| *n == call.arguments) {
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
    let (what, n) = (if call.method { "method" } else { "function" }, call.arguments);
    let message = format!("no {what} `{path}` takes {n} argument{}", plural(n));
    Some(Error::new(Code::WrongType, message).fact("expected", takes.join("\n")))
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// What looks like a call and is part of the language.
const KEYWORDS: [&str; 9] =
    ["print", "debug", "type_of", "call", "curry", "Fn", "is_def_var", "is_def_fn", "is_shared"];

/// Every call of a script, function bodies and closures included, in the order of their positions.
fn calls(ast: &AST) -> Vec<Call> {
    let mut found: Vec<Call> = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        let (call, method, position) = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) => {
                (call, false, *position)
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => (call, true, *position),
            _ => return true,
        };
        if !call.is_operator_call() {
            let namespace = call.namespace.path.iter().map(|part| part.name.to_string()).collect();
            let name = call.name.to_string();
            found.push(Call { namespace, name, method, arguments: call.args.len(), position });
        }
        true
    });
    found.sort_by_key(|call| (call.position.line(), call.position.position()));
    found
}

/// Every key of a map literal and every property that is named.
fn keys(ast: &AST) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::Map(map, _))) => found.extend(map.0.iter().map(|(key, _)| key.name.to_string())),
            Some(ASTNode::Expr(Expr::Property(property, _))) => {
                found.insert(property.2.to_string());
            }
            _ => {}
        }
        true
    });
    found
}

/// Every import by a literal path: the path, its name in the script, the position.
fn imports(ast: &AST) -> Vec<(String, String, Position)> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last()
            && let (Expr::StringConstant(file, at), alias) = &**import
        {
            let position = if at.is_none() { *position } else { *at };
            found.push((file.to_string(), alias.name.to_string(), position));
        }
        true
    });
    found
}

/// The parameters that a script declares, with their defaults as source text, in their order there; read from the
/// syntax tree, so nothing runs; the tree must not be optimized. `None` when it declares none.
pub fn declared(ast: &AST, source: &str) -> Option<Vec<(String, String)>> {
    let mut found = None;
    ast.walk(&mut |path: &[ASTNode]| {
        let call = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => call,
            _ => return true,
        };
        if call.name != "params" || !call.namespace.is_empty() {
            return true;
        }
        let pairs: Vec<(String, Position)> = match call.args.first() {
            Some(Expr::Map(map, _)) => map.0.iter().map(|(k, v)| (k.name.to_string(), v.start_position())).collect(),
            _ => return true,
        };
        found = Some(pairs.into_iter().map(|(name, position)| (name, literal(source, position))).collect());
        false
    });
    found
}

/// A parameter's value from outside as the type that the script declares; nothing runs, and the tree must not be
/// optimized. A default that is no literal fixes no type here; `params` will check the value when the script runs.
///
/// # Errors
/// `unknown-parameter`, `wrong-type`.
pub fn resolve(ast: &AST, name: &str, given: &Value) -> Result<Value, Error> {
    let mut defaults: Vec<(String, Dynamic)> = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) = path.last() else {
            return true;
        };
        if call.name == "params"
            && let Some(Expr::Map(map, _)) = call.args.first()
        {
            let default = |value: &Expr| value.get_literal_value(None).unwrap_or(Dynamic::UNIT);
            defaults.extend(map.0.iter().map(|(key, value)| (key.name.to_string(), default(value))));
        }
        true
    });
    let Some((_, default)) = defaults.iter().find(|(declared, _)| declared == name) else {
        let known: Vec<&str> = defaults.iter().map(|(declared, _)| declared.as_str()).collect();
        return Err(Error::unknown(Code::UnknownParameter, "parameter", name, &known));
    };
    let given = match given {
        Value::String(text) => Override::Text(text.clone()),
        other => Override::Plain(other.clone()),
    };
    to_json(&typed(name, default, &given)?, name)
}

/// The source text of a default value: up to the comma or brace that ends it.
fn literal(source: &str, position: Position) -> String {
    let line = position.line().unwrap_or(1);
    let rest: String = source.lines().skip(line - 1).collect::<Vec<_>>().join("\n");
    let mut depth = 0;
    let mut quoted = false;
    let mut text = String::new();
    for c in rest.chars().skip(position.position().unwrap_or(1).saturating_sub(1)) {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted && depth > 0 => depth -= 1,
            ',' | '}' | '\n' if !quoted && depth == 0 => break,
            _ => {}
        }
        text.push(c);
    }
    text.trim().to_string()
}
