//! Keys of literal option maps that no function of that name takes.

use rhai::{Expr, Position};

use super::calls::{Meaning, Scope};
use super::facts::{Call, Facts};
use super::keys::Accepts;
use super::{Say, Severity};
use crate::error::{Code, Error};

/// Says which keys would be refused. In a `try` the refusal may be what is wanted: a warning there.
pub(super) fn check(facts: &Facts, scope: &Scope, say: &mut Say) {
    for call in &facts.calls {
        let Some(map @ Expr::Map(..)) = call.arguments.last() else { continue };
        let meant = meant(call, scope);
        if meant.is_empty() {
            continue;
        }
        let path = path(call, &meant);
        let severity = if call.tried { Severity::Warning } else { Severity::Error };
        let mut refuse = |what: &str, key: &str, known: &[&str], position| {
            let mut error = Error::unknown(Code::UnknownOption, "option", key, known);
            error.message = format!("{what} has no option `{key}`");
            say(severity, Code::UnknownOption.name(), error, position);
        };
        let known = union(meant.iter().map(|accepts| accepts.keys.as_slice()));
        for (key, value, position) in pairs(map) {
            if !known.contains(&key) {
                refuse(&path, key, &known, position);
                continue;
            }
            // What stands inside counts only where every function that may be meant looks inside.
            let inner: Option<Vec<&[&str]>> = meant
                .iter()
                .map(|accepts| accepts.inside.iter().find(|(name, _)| *name == key).map(|(_, keys)| keys.as_slice()))
                .collect();
            let Some(inner) = inner.map(|all| union(all.into_iter())) else { continue };
            for (inner_key, _, position) in maps(value).flat_map(pairs) {
                if !inner.contains(&inner_key) {
                    refuse(&format!("`{key}` of {path}"), inner_key, &inner, position);
                }
            }
        }
    }
}

/// The functions with options that a call may mean; none when it may mean anything else.
fn meant<'a>(call: &Call, scope: &'a Scope) -> Vec<&'a Accepts> {
    let given = call.arguments.len() + usize::from(call.method);
    let native = match scope.meaning(call) {
        Meaning::Here(_) if scope.defined.iter().any(|(name, _)| *name == call.name) => return Vec::new(),
        Meaning::Here(native) | Meaning::Namespace(native) => native,
        Meaning::Import(_) | Meaning::Open => return Vec::new(),
    };
    let takes_map = |kind: &str| kind == "map" || kind == "any";
    let able = native
        .into_iter()
        .filter(|f| f.params.len() == given && f.params.last().is_some_and(|(_, kind)| takes_map(kind)));
    let accepts = able.map(|f| {
        let same = |a: &&Accepts| a.namespace == f.namespace && a.name == f.name && a.params == given;
        scope.known.options.iter().find(same)
    });
    accepts.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// How the function is called in the finding: `sae::train`, or `save` when it may be that of several types.
fn path(call: &Call, meant: &[&Accepts]) -> String {
    match meant {
        [one] if !call.method => format!("{}::{}", one.namespace, one.name),
        _ => format!("`{}`", call.name),
    }
}

fn union<'a>(all: impl Iterator<Item = &'a [&'static str]>) -> Vec<&'static str> {
    let mut keys: Vec<&str> = Vec::new();
    for key in all.flatten() {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    keys
}

/// The keys and values of a map literal, with the places of the keys.
fn pairs(map: &Expr) -> Vec<(&str, &Expr, Position)> {
    match map {
        Expr::Map(map, _) => map.0.iter().map(|(key, value)| (key.name.as_str(), value, key.pos)).collect(),
        _ => Vec::new(),
    }
}

/// A map literal, or the map literals of an array literal.
fn maps(value: &Expr) -> impl Iterator<Item = &Expr> {
    let items = match value {
        Expr::Array(items, _) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    items.iter().filter(|item| matches!(item, Expr::Map(..)))
}
