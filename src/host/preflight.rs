//! Before line 1 runs: what would surely fail is refused, and the parameters that a script declares are read off its text.

use rhai::{AST, ASTNode, Dynamic, Engine, Expr, Position, Stmt};
use serde_json::Value;

use crate::error::{Code, Error};
use crate::host::bind::params::typed;
use crate::host::check::{self, Severity};
use crate::host::diagnostic::Report;
use crate::host::session::{Override, Session};
use crate::host::value::to_json;

/// Checks a compiled script and everything that it imports by a literal path.
///
/// # Errors
/// A report of everything that would surely fail; of what is not certain or only a warning, `saerun check` speaks.
pub fn check(engine: &Engine, session: &Session, ast: &AST) -> Result<(), Box<Report>> {
    let findings = check::findings(engine, session, ast);
    let mut errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error).map(|f| f.report);
    if let Some(first) = errors.next() {
        return Err(Box::new(Report { also: errors.collect(), ..first }));
    }
    match session.overrides().keys().next() {
        Some(name) if !declares(ast) => {
            let error = Error::new(Code::UnknownParameter, format!("unknown parameter `{name}`"))
                .fact("expected", "nothing: the script declares no parameters")
                .help("a script declares them by `let p = params(#{ name: default });`");
            Err(Box::new(Report::bare(error)))
        }
        _ => Ok(()),
    }
}

/// Whether a script calls `params`, with whatever it gives it.
fn declares(ast: &AST) -> bool {
    !ast.walk(&mut |path: &[ASTNode]| match path.last() {
        Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) => {
            call.name != "params" || !call.namespace.is_empty()
        }
        _ => true,
    })
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
            Some(Expr::Map(map, _)) => map.0.iter().map(|(key, _)| (key.name.to_string(), key.pos)).collect(),
            _ => return true,
        };
        found = Some(pairs.into_iter().map(|(name, position)| (name, written(source, position))).collect());
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

/// The source text of the default of the key at a position. Where it ends, the parser says: at the first comma, brace or
/// comment up to which the text is an expression.
fn written(source: &str, key: Position) -> String {
    let parser = Engine::new_raw();
    let line = key.line().unwrap_or(1) - 1;
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let column = key.position().unwrap_or(1).saturating_sub(1);
    let rest = source[start..].char_indices().nth(column).map_or("", |(at, _)| &source[start + at..]);
    let ends_at = |text: &str, signs: &[&str]| {
        let mut ends: Vec<usize> = signs.iter().flat_map(|sign| text.match_indices(*sign)).map(|(at, _)| at).collect();
        ends.sort_unstable();
        ends.into_iter().find(|end| parser.compile_expression(&text[..*end]).is_ok())
    };
    let Some(colon) = ends_at(rest, &[":"]) else { return String::new() };
    let value = rest[colon + 1..].trim_start();
    let value = &value[..ends_at(value, &[",", "}", "//", "/*"]).unwrap_or(value.len())];
    value.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_string()
}
