//! A failed script as plain data, with the innermost position; `draw` makes the report that a person reads.

use std::collections::BTreeSet;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use rhai::{Engine, EvalAltResult, ParseErrorType, Position};

use crate::error::{Code, Error, nearest};
use crate::host::docs::{Function, Kind, functions};
pub use crate::host::events::Place;
use crate::host::raise::script_name;
use crate::host::session::Session;

/// A failure with its place.
#[derive(Debug, Clone)]
pub struct Report {
    /// What failed.
    pub error: Error,
    /// Where; `None` when it belongs to no line of a script.
    pub place: Option<Place>,
    /// The calls and imports that led there, outermost first.
    pub frames: Vec<(Place, String)>,
    /// What else is wrong; of a run, all that was found before it began.
    pub also: Vec<Report>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It fails when it is reached.
    Error,
    /// It runs, and does something else than it looks.
    Warning,
}

impl Severity {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

impl Report {
    /// A report without a place, such as a missing script.
    pub fn bare(error: Error) -> Self {
        Report::at(error, None)
    }

    /// A report of a place, without calls that led there.
    pub fn at(error: Error, place: Option<Place>) -> Self {
        Report { error, place, frames: Vec::new(), also: Vec::new() }
    }

    /// The report of a script error; `main` is the script that was run.
    pub fn new(raised: &EvalAltResult, main: &str, engine: &Engine, session: &Session) -> Self {
        let mut file = main.to_string();
        let mut frames: Vec<(Place, String)> = Vec::new();
        let mut inner = raised;
        loop {
            let (next, source, position, text) = match inner {
                EvalAltResult::ErrorInFunctionCall(name, source, next, position) => {
                    let closure = name.starts_with("anon$");
                    let text =
                        if closure { "in this closure".to_string() } else { format!("in this call of `{name}`") };
                    (next, source, position, text)
                }
                EvalAltResult::ErrorInModule(name, next, position) => {
                    (next, name, position, "in this import".to_string())
                }
                _ => break,
            };
            if let Some(place) = place(&file, *position)
                && frames.iter().all(|(frame, _)| *frame != place)
            {
                frames.push((place, text));
            }
            if !source.is_empty() {
                file.clone_from(source);
            }
            inner = next;
        }
        let place = place(&file, inner.position());
        let text = session.source(&file);
        let error = explain(inner, engine, text.as_deref().unwrap_or_default());
        frames.retain(|(frame, _)| Some(frame) != place.as_ref());
        Report { error, place, frames, also: Vec::new() }
    }

    /// The report as text, in the manner of rustc; with terminal colors, which the printing stream strips if need be.
    pub fn draw(&self, session: &Session) -> String {
        let all = std::iter::once(self).chain(&self.also);
        let all: Vec<String> =
            all.map(|report| report.draw_as(Severity::Error, report.error.code.name(), session)).collect();
        all.join("\n\n")
    }

    /// This report alone, as an error or as a warning, under the name `code`.
    pub fn draw_as(&self, severity: Severity, code: &str, session: &Session) -> String {
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(self.error.message.clone())
            .id(code.to_string())
            .elements(Vec::<Snippet<annotate_snippets::Annotation>>::new());
        let mut files: Vec<&str> = Vec::new();
        for place in self.place.iter().chain(self.frames.iter().map(|(place, _)| place)) {
            if !files.contains(&place.file.as_str()) {
                files.push(&place.file);
            }
        }
        for file in files {
            if let Some(text) = session.source(file) {
                group = group.element(self.snippet(file, &text));
            }
        }
        for (name, value) in &self.error.facts {
            group = group.element(Level::NOTE.with_name(name.clone()).message(value.clone()));
        }
        if let Some(help) = &self.error.help {
            group = group.element(Level::HELP.message(help.clone()));
        }
        let report: [Group; 1] = [group];
        Renderer::styled().render(&report)
    }

    /// The lines of one file that matter, with what is said about each.
    fn snippet(&self, file: &str, text: &str) -> Snippet<'static, annotate_snippets::Annotation<'static>> {
        let mut snippet = Snippet::source(text.to_string()).path(file.to_string());
        if let Some(place) = self.place.iter().find(|place| place.file == file) {
            snippet = snippet.annotation(AnnotationKind::Primary.span(span(text, place)));
        }
        for (place, label) in self.frames.iter().filter(|(place, _)| place.file == file) {
            snippet = snippet.annotation(AnnotationKind::Context.span(span(text, place)).label(label.clone()));
        }
        snippet
    }
}

/// A rhai position in a file; `None` for none.
fn place(file: &str, position: Position) -> Option<Place> {
    position.line().map(|line| Place { file: file.to_string(), line, column: position.position().unwrap_or(0) })
}

/// The bytes of the identifier, string or sign at a place; rhai's positions have no length.
fn span(text: &str, place: &Place) -> std::ops::Range<usize> {
    let start: usize = text.split_inclusive('\n').take(place.line.saturating_sub(1)).map(str::len).sum();
    let line = text[start..].lines().next().unwrap_or_default();
    let at = line.char_indices().nth(place.column.saturating_sub(1)).map_or(line.len(), |(i, _)| i);
    let rest = &line[at..];
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let length = match rest.chars().next() {
        Some('"') => rest[1..].find('"').map_or(1, |end| end + 2),
        Some(first) => word.max(first.len_utf8()),
        None => 0,
    };
    start + at..start + at + length
}

/// The innermost script error in the words of saerun.
fn explain(error: &EvalAltResult, engine: &Engine, source: &str) -> Error {
    use EvalAltResult as E;
    match error {
        E::ErrorRuntime(value, _) => match value.clone().try_cast::<Error>() {
            Some(error) => error,
            None => {
                let text = value.read_lock::<rhai::Map>().and_then(|map| map.get("message").map(ToString::to_string));
                Error::new(Code::Failed, text.unwrap_or_else(|| value.to_string()))
            }
        },
        E::ErrorTerminated(..) => Error::new(Code::Interrupted, "interrupted"),
        E::ErrorFunctionNotFound(signature, _) => unknown_call(engine, signature),
        E::ErrorVariableNotFound(name, _) => unknown_variable(engine, name, source),
        E::ErrorModuleNotFound(name, _) => unknown_namespace(engine, name),
        E::ErrorPropertyNotFound(name, _) => Error::new(Code::UnknownName, format!("the map has no key `{name}`"))
            .help(format!("`map.get(\"{name}\") ?? value` gives a value for a key that may be absent")),
        E::ErrorDotExpr(text, _) => property(engine, text),
        E::ErrorMismatchDataType(expected, given, _) | E::ErrorMismatchOutputType(expected, given, _) => {
            Error::new(Code::WrongType, "a value has the wrong type")
                .fact("expected", types(expected))
                .fact("given", types(given))
        }
        E::ErrorArrayBounds(n, index, _) | E::ErrorStringBounds(n, index, _) => {
            let what = if matches!(error, E::ErrorArrayBounds(..)) { "array" } else { "string" };
            let last = n.saturating_sub(1);
            let expected = if *n == 0 { "nothing: it is empty".to_string() } else { format!("0 to {last}") };
            Error::new(Code::OutOfRange, format!("the index is outside the {what}"))
                .fact("expected", expected)
                .fact("given", index)
        }
        E::ErrorIndexingType(name, _) => {
            let given = name.split(" [").next().unwrap_or(name);
            Error::new(Code::WrongType, "this value has no elements to index").fact("given", types(given))
        }
        E::ErrorFor(_) => {
            Error::new(Code::WrongType, "`for` needs an array, a range, a string or a map's keys or values")
        }
        E::ErrorParsing(parse, position) => syntax(parse, *position, engine, source),
        E::ErrorStackOverflow(_) => {
            Error::new(Code::TooLarge, "calls are nested too deeply").help("does a function call itself without end?")
        }
        E::ErrorDataTooLarge(what, _) => {
            Error::new(Code::TooLarge, format!("{} beyond what a script may hold", lower_first(what)))
                .help("keep numbers in a Tensor or a Table, and text in files")
        }
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.rsplit_once(" (line ").map_or(text, |(head, _)| head);
            Error::new(Code::Failed, lower_first(text))
        }
    }
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
fn unknown_call(engine: &Engine, signature: &str) -> Error {
    let (name, arguments) = signature.split_once(" (").map_or((signature, None), |(n, a)| (n, a.strip_suffix(')')));
    let arguments = arguments.map(|list| list.split(", ").filter(|a| !a.is_empty()).map(types).collect::<Vec<_>>());
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
