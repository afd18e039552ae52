//! Errors of the language in the words of saerun.

use std::collections::BTreeSet;

use rhai::{Engine, EvalAltResult, ParseErrorType, Position};

use crate::error::{Code, Error, nearest};
use crate::host::caught::error_in;
use crate::host::docs::{Function, Kind, functions};
use crate::host::raise::script_name;
use crate::host::value::readable_in;

/// The innermost script error in the words of saerun.
pub fn explain(error: &EvalAltResult, engine: &Engine, source: &str) -> Error {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(value, _) => error_in(value).unwrap_or_else(|| thrown(value, engine)),
        // The run is ended: for want of memory, or by a signal.
        E::ErrorTerminated(why, _) => error_in(why).unwrap_or_else(|| Error::new(Code::Interrupted, "interrupted")),
        E::ErrorFunctionNotFound(signature, _) => unknown_call(engine, signature, source),
        E::ErrorVariableNotFound(name, _) => unknown_variable(engine, name, source),
        E::ErrorModuleNotFound(name, _) => unknown_namespace(engine, name),
        E::ErrorPropertyNotFound(name, _) => no_key(name),
        E::ErrorIndexNotFound(index, _) => no_key(&index.to_string()),
        E::ErrorDotExpr(text, _) => property(engine, text),
        E::ErrorMismatchDataType(expected, given, _) | E::ErrorMismatchOutputType(expected, given, _) => {
            mismatch(expected, given)
        }
        E::ErrorArrayBounds(n, index, _) => out_of_bounds("array", *n, *index),
        E::ErrorStringBounds(n, index, _) => out_of_bounds("string", *n, *index),
        E::ErrorBitFieldBounds(n, index, _) => out_of_bounds("bits of an int", *n, *index),
        E::ErrorIndexingType(name, _) => {
            let given = name.split(" [").next().unwrap_or(name);
            Error::new(Code::WrongType, "this value has no elements to index").fact("given", types(given))
        }
        E::ErrorFor(_) => {
            Error::new(Code::WrongType, "`for` needs an array, a range, a string or a map's keys or values")
        }
        E::ErrorParsing(parse, position) => syntax(parse, *position, engine, source),
        E::ErrorArithmetic(text, _) => arithmetic(text),
        E::ErrorUnboundThis(_) => Error::new(Code::UnknownName, "`this` is not bound here")
            .help("`this` is the value before the dot of a method call"),
        E::ErrorAssignmentToConstant(name, _) => Error::new(Code::Failed, format!("`{name}` is a constant"))
            .help("a variable that changes is declared with `let`"),
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            let name = name.trim_start_matches("get$").trim_start_matches("set$");
            let what = if name.contains('$') { "an index" } else { name };
            Error::new(Code::Failed, format!("`{what}` would change a constant"))
                .help("a variable that changes is declared with `let`")
        }
        E::ErrorVariableExists(name, _) => Error::new(Code::Failed, format!("`{name}` is declared already")),
        E::ErrorForbiddenVariable(name, _) => Error::new(Code::Failed, format!("`{name}` cannot be declared here")),
        E::ErrorDataRace(name, _) => in_use(name),
        E::ErrorStackOverflow(_) => {
            Error::new(Code::TooLarge, "calls are nested too deeply").help("does a function call itself without end?")
        }
        E::ErrorDataTooLarge(what, _) => {
            Error::new(Code::TooLarge, format!("{} beyond what a script may hold", lower_first(what)))
                .help("keep numbers in a Tensor or a Table, and text in files")
        }
        E::ErrorTooManyOperations(_) => Error::new(Code::TooLarge, "the script takes too many steps"),
        E::ErrorTooManyVariables(_) => Error::new(Code::TooLarge, "the script has too many variables at a time"),
        E::ErrorTooManyModules(_) => Error::new(Code::TooLarge, "the script imports too many files"),
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.rsplit_once(" (line ").map_or(text, |(head, _)| head);
            Error::new(Code::Failed, lower_first(text))
        }
    }
}

/// The message of an error that a script has thrown without one.
pub const UNSAID: &str = "the script threw an error without a message";

/// The error of what a script has thrown: its text, or that under `message` in a map.
fn thrown(value: &rhai::Dynamic, engine: &Engine) -> Error {
    if value.is_unit() {
        return Error::new(Code::Failed, UNSAID);
    }
    let value = value.flatten_clone();
    let of = |key: &str| {
        let map = value.read_lock::<rhai::Map>()?;
        map.get(key).filter(|value| !value.is_unit()).map(ToString::to_string)
    };
    let error = Error::new(Code::Failed, of("message").unwrap_or_else(|| readable_in(engine, value.clone())));
    match of("help") {
        Some(help) => error.help(help),
        None => error,
    }
}

fn no_key(name: &str) -> Error {
    Error::new(Code::UnknownName, format!("the map has no key `{name}`"))
        .help(format!("`map.get(\"{name}\") ?? value` gives a value for a key that may be absent"))
}

fn mismatch(expected: &str, given: &str) -> Error {
    let error = Error::new(Code::WrongType, "a value has the wrong type");
    let error = if expected.is_empty() { error } else { error.fact("expected", types(expected)) };
    if given.is_empty() { error } else { error.fact("given", types(given)) }
}

fn out_of_bounds(what: &str, n: usize, index: i64) -> Error {
    let expected = if n == 0 { "nothing: it is empty".to_string() } else { format!("0 to {}", n - 1) };
    Error::new(Code::OutOfRange, format!("the index is outside the {what}"))
        .fact("expected", expected)
        .fact("given", index)
}

/// rhai locks a value that is shared with a closure while a call works on it.
fn in_use(name: &str) -> Error {
    let what = match name.split('\'').nth(1) {
        Some(function) => format!("the value that `{function}` works on"),
        None if name.is_empty() => "a value".to_string(),
        None => format!("`{name}`"),
    };
    Error::new(Code::Failed, format!("{what} is used by a closure at the same time"))
        .help("give the closure a copy, or collect what it finds in another variable")
}

/// The error of an operation on numbers, from rhai's text.
fn arithmetic(text: &str) -> Error {
    let Some((what, operation)) = text.split_once(": ") else { return Error::new(Code::OutOfRange, lower_first(text)) };
    let by_zero = operation.ends_with("/ 0") || operation.ends_with("% 0");
    let error = |message: &str| Error::new(Code::OutOfRange, message).fact("given", operation);
    if by_zero {
        return error("division by zero").help("floats divide by zero: `x / 0.0` is an infinity or NaN");
    }
    if what.contains("negative power") {
        return error("an int has no negative power").help("write the base as a float: `2.0 ** -1`");
    }
    if what.to_lowercase().contains("overflow") {
        return beyond_int(operation);
    }
    Error::new(Code::OutOfRange, lower_first(what)).fact("given", operation)
}

/// The error of a whole number that no int holds.
pub fn beyond_int(operation: &str) -> Error {
    Error::new(Code::OutOfRange, "the result is beyond an int")
        .fact("expected", "-9223372036854775808 to 9223372036854775807")
        .fact("given", operation)
        .help("floats such as `2.0` go further, rounded to 53 bits")
}

/// A parse error in the words of saerun.
fn syntax(error: &ParseErrorType, position: Position, engine: &Engine, source: &str) -> Error {
    match error {
        // A word of the language where a name is expected: rhai speaks of the brace that it did not find.
        ParseErrorType::MissingToken(..) | ParseErrorType::PropertyExpected
            if let Some(word) = word_at(source, position).filter(|word| WORDS.contains(word)) =>
        {
            reserved(word)
        }
        ParseErrorType::VariableUndefined(name) => unknown_variable(engine, name, source),
        ParseErrorType::ModuleUndefined(name) => unknown_namespace(engine, name),
        ParseErrorType::Reserved(name) => reserved(name),
        other => Error::new(Code::Syntax, lower_first(&other.to_string())),
    }
}

/// The words of the language that cannot be names.
const WORDS: [&str; 22] = [
    "true", "false", "let", "const", "if", "else", "switch", "do", "while", "until", "loop", "for", "in", "continue",
    "break", "return", "throw", "try", "catch", "import", "export", "fn",
];

/// A reserved word where a name was meant.
fn reserved(name: &str) -> Error {
    let key = format!("as a key of a map, write it in quotes: `\"{name}\": ..`; read it as `map[\"{name}\"]`");
    let help = match name {
        "let" | "const" | "if" | "switch" | "do" | "while" | "loop" | "for" | "continue" | "break" | "return"
        | "throw" | "try" | "import" | "export" | "fn" => format!("is there a `;` or a `}}` missing before it? {key}"),
        _ => format!("choose another name; {key}"),
    };
    Error::new(Code::Syntax, format!("`{name}` is a reserved word")).help(help)
}

/// The word that begins at a position.
fn word_at(source: &str, position: Position) -> Option<&str> {
    let line = source.lines().nth(position.line()?.checked_sub(1)?)?;
    let at = line.char_indices().nth(position.position()?.checked_sub(1)?)?.0;
    let rest = &line[at..];
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|word| !word.is_empty())
}

/// An unknown function, from rhai's signature of the call: `geometry::peeks (array, map)`.
fn unknown_call(engine: &Engine, signature: &str, source: &str) -> Error {
    let (name, arguments) = signature.split_once(" (").map_or((signature, None), |(n, a)| (n, a.strip_suffix(')')));
    let arguments = arguments.map(|list| list.split(", ").filter(|a| !a.is_empty()).map(types).collect::<Vec<_>>());
    let n = arguments.as_ref().map_or(0, Vec::len);
    let many = format!("{n} argument{}", if n == 1 { "" } else { "s" });
    if name.starts_with("anon$") {
        return Error::new(
            Code::WrongType,
            format!("a closure takes other arguments than the {many} it is called with"),
        )
        .fact("given", format!("({})", arguments.unwrap_or_default().join(", ")));
    }
    let defined = source.match_indices(name).any(|(at, _)| {
        source[..at].trim_end().ends_with("fn") && source[at + name.len()..].trim_start().starts_with('(')
    });
    if defined && !name.is_empty() {
        return Error::new(Code::WrongType, format!("no function `{name}` takes {many}"))
            .fact("given", format!("({})", arguments.unwrap_or_default().join(", ")));
    }
    unknown_function(&functions(engine, true), name.trim(), arguments.as_deref(), &[])
}

/// The error for a call that fits no function: the arguments are wrong when the name exists, the name otherwise.
/// `defined` are the names of the script's own functions.
pub fn unknown_function(known: &[Function], name: &str, arguments: Option<&[String]>, defined: &[String]) -> Error {
    let plain = name.trim_start_matches("get$").trim_start_matches("set$");
    let global = |f: &Function| !plain.contains("::") && f.name == plain && f.kind != Kind::Function;
    let same: Vec<&Function> = known.iter().filter(|f| f.path() == plain || global(f)).collect();
    if let (false, Some(arguments)) = (same.is_empty(), arguments) {
        let what = if same.iter().any(|f| f.kind == Kind::Operator) { "operator" } else { "function" };
        let expected = nearest_signatures(&same, arguments);
        return Error::new(Code::WrongType, format!("no {what} `{plain}` takes these arguments"))
            .fact("expected", expected.join("\n"))
            .fact("given", format!("({})", arguments.join(", ")));
    }
    let error = Error::new(Code::UnknownFunction, format!("unknown function `{plain}`"));
    let last = plain.rsplit("::").next().unwrap_or(plain);
    if let Some(f) = known.iter().find(|f| f.name == last && !f.namespace.is_empty()) {
        let path = if f.kind == Kind::Function { f.path() } else { f.signature() };
        return error.help(format!("did you mean `{path}`?"));
    }
    let words = |f: &Function| f.name.starts_with(char::is_alphabetic);
    let mut names: Vec<String> = known.iter().filter(|f| words(f)).map(Function::path).collect();
    if !plain.contains("::") {
        names.extend(known.iter().filter(|f| words(f)).map(|f| f.name.clone()));
        names.extend(defined.iter().cloned());
    }
    names.sort();
    names.dedup();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match nearest(plain, &names) {
        Some(name) => error.help(format!("did you mean `{name}`?")),
        None => error.help("`saerun doc` lists every function"),
    }
}

/// The signatures that come nearest to these argument types, at most four.
fn nearest_signatures(same: &[&Function], arguments: &[String]) -> Vec<String> {
    let odd = ["i8", "u8", "i16", "u16", "i128", "u128", "blob", "char", "range"];
    let matches = |f: &Function| {
        let pairs = f.params.iter().zip(arguments).filter(|((_, kind), given)| kind == *given).count();
        (f.params.len() == arguments.len(), pairs)
    };
    let mut best: Vec<&&Function> =
        same.iter().filter(|f| !f.params.iter().any(|(_, kind)| odd.contains(&kind.as_str()))).collect();
    best.sort_by_key(|f| std::cmp::Reverse(matches(f)));
    let top = best.first().map(|f| matches(f));
    best.retain(|f| Some(matches(f)) == top);
    let mut signatures: Vec<String> = best.iter().map(|f| f.signature()).collect();
    signatures.dedup();
    signatures.truncate(4);
    if signatures.is_empty() { vec!["other types".to_string()] } else { signatures }
}

/// The error for a namespace that is neither registered nor imported.
fn unknown_namespace(engine: &Engine, name: &str) -> Error {
    let known: BTreeSet<String> = functions(engine, false).into_iter().map(|f| f.namespace).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    Error::unknown(Code::UnknownFunction, "namespace", name, &known)
}

/// The error for a variable that is not declared; the help knows the script's own names and those of namespaces.
fn unknown_variable(engine: &Engine, name: &str, source: &str) -> Error {
    let error = Error::new(Code::UnknownName, format!("unknown variable `{name}`"));
    let functions = functions(engine, false);
    if functions.iter().any(|f| f.namespace == name) {
        return error.help(format!("`{name}` is a namespace: write `{name}::..`"));
    }
    if functions.iter().any(|f| f.path() == name) {
        return error.help(format!("it is a function: `{name}(..)`"));
    }
    let words: Vec<&str> =
        source.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    let declares = |word: &str| ["let", "const", "for", "as"].contains(&word);
    let known: Vec<&str> = words.windows(2).filter(|w| declares(w[0])).map(|w| w[1]).filter(|w| *w != name).collect();
    match nearest(name, &known) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("declare it first: `let {name} = ..;`")),
    }
}

/// The error for a property that a value does not have, from rhai's text: the property is the first name in quotes, the
/// type the second.
fn property(engine: &Engine, text: &str) -> Error {
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    let [name, kind, ..] = quoted.as_slice() else { return Error::new(Code::UnknownName, lower_first(text)) };
    let kind = script_name(kind);
    let functions = functions(engine, false);
    let part = |f: &&Function| matches!(f.kind, Kind::Property | Kind::Method);
    let of: Vec<&Function> =
        functions.iter().filter(part).filter(|f| f.params.first().is_some_and(|p| p.1 == kind)).collect();
    let error = Error::new(Code::UnknownName, format!("{kind} has no property `{name}`"));
    match of.iter().find(|f| f.name == *name) {
        Some(f) if f.kind == Kind::Method => error.help(format!("it is a method: `{}`", f.signature())),
        Some(_) => Error::new(Code::Failed, format!("`{name}` of {kind} cannot be set")),
        None => {
            let known: BTreeSet<&str> = of.iter().map(|f| f.name.as_str()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            let error = if known.is_empty() { error } else { error.fact("known", known.join(", ")) };
            nearest(name, &known).map_or(error.clone(), |near| error.help(format!("did you mean `{near}`?")))
        }
    }
}

/// rhai's names of types in the words of scripts: `&str | ImmutableString | String` is a string.
fn types(names: &str) -> String {
    let names: BTreeSet<String> = names.split('|').map(script_name).collect();
    names.into_iter().collect::<Vec<_>>().join(" or ")
}

/// A message that starts in lower case, unless it starts with a name.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_string(),
    }
}
