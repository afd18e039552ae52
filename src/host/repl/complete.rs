//! What can stand where the cursor is, from what the engine has registered and what the conversation has defined.

use std::collections::BTreeSet;

use crate::host::docs::{Function, Kind};
use crate::host::repl::Variable;

/// What there is to complete.
#[derive(Debug, Default)]
pub struct Names {
    /// Every function that can be called.
    pub functions: Vec<Function>,
    /// Every variable.
    pub variables: Vec<Variable>,
}

/// One way to go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// What replaces the word before the cursor.
    pub word: String,
    /// How a list shows it: a function with its arguments.
    pub shown: String,
}

impl Candidate {
    /// One that is shown as it is written.
    pub fn plain(word: impl Into<String>) -> Self {
        let word = word.into();
        Candidate { shown: word.clone(), word }
    }
}

/// Where the word before the cursor begins, and the words that it may become; `text` ends at the cursor.
pub fn complete(text: &str, names: &Names) -> (usize, Vec<Candidate>) {
    let start = word_start(text);
    let (before, word) = text.split_at(start);
    let found: BTreeSet<Candidate> = if let Some(path) = before.strip_suffix("::") {
        let space = &path[word_start(path)..];
        let inside = |f: &&Function| f.namespace == space && f.kind == Kind::Function;
        names.functions.iter().filter(inside).map(call).collect()
    } else if before.ends_with('.') && !before.ends_with("..") {
        parts(before, names)
    } else {
        names.anywhere(word.is_empty())
    };
    (start, found.into_iter().filter(|candidate| candidate.word.starts_with(word)).collect())
}

/// The arguments of the function whose bracket has just been opened: those of the overload that takes most.
pub fn hint(text: &str, names: &Names) -> Option<String> {
    let path = text.strip_suffix('(')?;
    let start = path.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).map_or(0, |at| at + 1);
    let (before, path) = path.split_at(start);
    let of = before.ends_with('.').then(|| kind_of(before, names)).flatten();
    let named = |f: &&Function| match &of {
        Some(kind) => f.name == path && f.params.first().is_some_and(|(_, first)| first == kind),
        None => f.path() == path,
    };
    let most = names.functions.iter().filter(named).max_by_key(|f| f.params.len())?;
    Some(arguments(&most.params[usize::from(of.is_some()).min(most.params.len())..]) + ")")
}

impl Names {
    /// What can begin an expression. Before a word is begun, only what the user made and the namespaces.
    fn anywhere(&self, few: bool) -> BTreeSet<Candidate> {
        let variables = self.variables.iter().map(|variable| Candidate::plain(&variable.name));
        let spaces = self.functions.iter().filter(|f| !f.namespace.is_empty() && f.kind == Kind::Function);
        let spaces = spaces.map(|f| Candidate::plain(format!("{}::", f.namespace)));
        let plain = |f: &&Function| f.namespace.is_empty() && f.kind == Kind::Function && !few;
        variables.chain(spaces).chain(self.functions.iter().filter(plain).map(call)).collect()
    }
}

/// Methods, properties and keys of what stands before the dot.
fn parts(before: &str, names: &Names) -> BTreeSet<Candidate> {
    let Some(kind) = kind_of(before, names) else { return BTreeSet::new() };
    let of = |f: &&Function| {
        let callable = f.kind != Kind::Operator && (f.kind != Kind::Function || f.namespace.is_empty());
        callable && f.params.first().is_some_and(|(_, first)| *first == kind)
    };
    let keys = names.variables.iter().find(|variable| variable.name == chain(before)).map(|variable| &variable.keys);
    let part = |f: &Function| match f.kind {
        Kind::Property => Candidate::plain(&f.name),
        _ => Candidate {
            word: format!("{}{}", f.name, if f.params.len() == 1 { "()" } else { "(" }),
            shown: format!("{}({}){}", f.name, arguments(&f.params[1..]), result(f)),
        },
    };
    let keys = keys.into_iter().flatten().map(Candidate::plain);
    names.functions.iter().filter(of).map(part).chain(keys).collect()
}

/// The type of `x.y` in text that ends with `x.y.`, as far as it is known.
fn kind_of(before: &str, names: &Names) -> Option<String> {
    let mut links = chain(before).split('.');
    let first = links.next()?;
    let mut kind = names.variables.iter().find(|variable| variable.name == first)?.kind.clone();
    for link in links {
        let property = |f: &&Function| {
            f.kind == Kind::Property && f.name == link && f.params.first().is_some_and(|(_, first)| *first == kind)
        };
        kind = names.functions.iter().filter(property).find(|f| !f.returns.is_empty())?.returns.clone();
    }
    Some(kind)
}

/// The names and dots before the last dot.
fn chain(before: &str) -> &str {
    let path = before.strip_suffix('.').unwrap_or(before);
    &path[path.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).map_or(0, |at| at + 1)..]
}

/// Where the word at the end of the text begins.
fn word_start(text: &str) -> usize {
    let word = text.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_');
    text.len() - word.map(char::len_utf8).sum::<usize>()
}

/// A call of a function.
fn call(f: &Function) -> Candidate {
    let word = format!("{}{}", f.name, if f.params.is_empty() { "()" } else { "(" });
    Candidate { word, shown: format!("{}({}){}", f.name, arguments(&f.params), result(f)) }
}

fn arguments(params: &[(String, String)]) -> String {
    let typed: Vec<String> = params.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
    typed.join(", ")
}

fn result(f: &Function) -> String {
    if f.returns.is_empty() { String::new() } else { format!(" -> {}", f.returns) }
}
