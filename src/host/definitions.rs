//! Definitions for editors: one `.d.rhai` text, in the grammar of rhai's language server.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::host::docs::{Function, Kind, by_namespace};

/// The types, then what is called without a namespace (methods, properties and operators included), then each namespace.
pub fn definitions(functions: &[Function]) -> String {
    let mut out = String::from(
        "// The script API of saerun for editors, written by `saerun doc --definitions`.\nmodule static;\n",
    );
    let named = functions.iter().flat_map(|f| f.params.iter().map(|(_, kind)| kind).chain([&f.returns]));
    let types: BTreeSet<&str> =
        named.map(String::as_str).filter(|kind| kind.starts_with(|c: char| c.is_ascii_uppercase())).collect();
    out.push('\n');
    for kind in types {
        let _ = writeln!(out, "type {kind} = ...;");
    }
    for function in functions.iter().filter(|f| f.namespace.is_empty() || f.kind != Kind::Function) {
        out.push('\n');
        define(&mut out, function, "");
    }
    for (namespace, group) in by_namespace(functions) {
        let own: Vec<&&Function> = group.iter().filter(|f| f.kind == Kind::Function).collect();
        if namespace.is_empty() || own.is_empty() {
            continue;
        }
        let _ = write!(out, "\nmodule {namespace} {{");
        for function in own {
            out.push('\n');
            define(&mut out, function, "    ");
        }
        out.push_str("}\n");
    }
    out
}

/// One function with its documentation.
fn define(out: &mut String, function: &Function, indent: &str) {
    for line in function.doc.lines() {
        let _ = writeln!(out, "{}", format!("{indent}/// {line}").trim_end());
    }
    let types: Vec<&str> = function.params.iter().map(|(_, kind)| editor_type(kind)).collect();
    let named = || {
        let pairs = function.params.iter().zip(&types);
        pairs.map(|((name, _), kind)| format!("{name}: {kind}")).collect::<Vec<_>>().join(", ")
    };
    let call = match function.kind {
        Kind::Operator => format!("op {}({})", function.name, types.join(", ")),
        Kind::Property if function.params.len() == 2 => format!("fn set {}({})", function.name, named()),
        Kind::Property => format!("fn get {}({})", function.name, named()),
        Kind::Function | Kind::Method => format!("fn {}({})", function.name, named()),
    };
    let returns = if function.returns.is_empty() { "()" } else { editor_type(&function.returns) };
    let _ = writeln!(out, "{indent}{call} -> {returns};");
}

/// A script type as the language server calls it.
fn editor_type(kind: &str) -> &str {
    match kind {
        "string" => "String",
        "array" => "Array",
        "map" => "Map",
        "closure" => "FnPtr",
        "any" => "?",
        other => other,
    }
}
