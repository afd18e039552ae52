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
