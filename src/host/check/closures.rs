//! Closures that outlive a turn of a loop whose variable they capture. rhai shares the variable, so all of them see its last
//! value.

use rhai::{Expr, Token};

use super::facts::{Facts, spot};
use super::{Say, Severity};
use crate::error::{Code, Error};

/// The name of the lint.
const CODE: &str = "loop-capture";

/// Says which closures are kept in a collection that is older than the loop. A loop that may end early is left alone: it may be
/// meant to keep the last one.
pub(super) fn check<'a>(facts: &Facts<'a>, say: &mut Say) {
    let mut said = Vec::new();
    for store in &facts.stores {
        for closure in kept(facts, store.value) {
            let Some(captured) = facts.captures.get(&spot(closure.start_position())) else { continue };
            for &index in captured {
                let variable = &facts.variables[index];
                let place = (spot(closure.start_position()), index);
                if store.target >= index || variable.ends_early || said.contains(&place) {
                    continue;
                }
                said.push(place);
                let name = &variable.name;
                let error = Error::new(Code::Failed, format!("this closure shares the loop variable `{name}`"))
                    .fact(
                        "why",
                        format!("every closure kept in `{}` sees the last value", facts.variables[store.target].name),
                    )
                    .help(format!("copy it first: `let own = {name};`, and use `own` in the closure"));
                say(Severity::Warning, CODE, error, closure.start_position());
            }
        }
    }
}

/// The closures that stay alive with a value: itself, elements of literals, the penalty of a regularizer.
fn kept<'a>(facts: &Facts<'a>, value: &'a Expr) -> Vec<&'a Expr> {
    let all = |items: &mut dyn Iterator<Item = &'a Expr>| items.flat_map(|item| kept(facts, item)).collect();
    match facts.behind(value) {
        closure @ Expr::Stmt(_) if facts.captures.contains_key(&spot(closure.start_position())) => vec![closure],
        Expr::Array(items, _) => all(&mut items.iter()),
        Expr::Map(map, _) => all(&mut map.0.iter().map(|(_, value)| value)),
        Expr::FnCall(call, _) if matches!(call.op_token, Some(Token::Plus | Token::Multiply)) => {
            all(&mut call.args.iter())
        }
        Expr::FnCall(call, _)
            if call.name == "custom" && call.namespace.path.first().is_some_and(|p| p.name == "reg") =>
        {
            all(&mut call.args.iter().skip(1))
        }
        _ => Vec::new(),
    }
}
