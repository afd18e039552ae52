//! Parameters that are declared and never read, and variables that nothing reads.

use rhai::Expr;

use super::facts::{Facts, Kind};
use super::{Say, Severity};
use crate::error::{Code, Error};

/// The names of the lints.
const PARAMETER: &str = "unused-parameter";
const VARIABLE: &str = "unused-variable";

/// Says which are not used; a name that begins with `_` says so itself.
pub(super) fn check(facts: &Facts, say: &mut Say) {
    // `f!(..)` sees every variable of its caller.
    if facts.shows_scope {
        return;
    }
    for variable in facts.variables.iter().filter(|v| v.kind == Kind::Declared && !v.name.starts_with('_')) {
        if variable.reads == 0 {
            let name = &variable.name;
            let what = if variable.writes > 0 { "is set and never read" } else { "is never read" };
            let error = Error::new(Code::Failed, format!("variable `{name}` {what}"))
                .help(format!("remove it, or call it `_{name}` if it is to stay"));
            say(Severity::Warning, VARIABLE, error, variable.position);
            continue;
        }
        let Some(Expr::FnCall(call, _)) = variable.init else { continue };
        let [Expr::Map(declared, _)] = call.args.as_slice() else { continue };
        if call.name != "params" || !call.namespace.is_empty() || variable.whole > 0 || variable.writes > 0 {
            continue;
        }
        for (key, _) in declared.0.iter().filter(|(key, _)| !variable.parts.contains(key.name.as_str())) {
            let message = format!("parameter `{}` is declared and never read", key.name);
            let error = Error::new(Code::Failed, message).help(format!(
                "read it as `{}.{}`, or remove it: `--set` of it would change nothing",
                variable.name, key.name
            ));
            say(Severity::Warning, PARAMETER, error, key.pos);
        }
    }
}
