//! The documentation of the script API, asked of the live engine: what is registered is what is documented.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rhai::{Engine, FnNamespace};

use crate::host::raise::script_name;

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `name(..)` or `namespace::name(..)`
    Function,
    /// `value.name(..)`
    Method,
    /// `value.name`
    Property,
    /// `a + b`
    Operator,
}

/// One registered function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// The namespace, empty for functions without one.
    pub namespace: String,
    /// The name, without `get$`.
    pub name: String,
    /// How it is called.
    pub kind: Kind,
    /// Name and script type of each parameter.
    pub params: Vec<(String, String)>,
    /// The script type of the result, empty for none.
    pub returns: String,
    /// The doc comment without its slashes; an overload without one has that of a sibling.
    pub doc: String,
}

impl Function {
    /// The name that `saerun doc` takes: `geometry::peaks`, `tensor::shape`, `params`.
    pub fn path(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}::{}", self.namespace, self.name) }
    }

    /// How a call looks, with types.
    pub fn signature(&self) -> String {
        let typed = |params: &[(String, String)]| {
            let all: Vec<_> = params.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
            all.join(", ")
        };
        let of = self.params.first().map_or("", |(_, kind)| kind.as_str());
        let call = match (self.kind, self.params.as_slice()) {
            (Kind::Property, _) => format!("{of}.{}", self.name),
            (Kind::Method, [_, rest @ ..]) => format!("{of}.{}({})", self.name, typed(rest)),
            (Kind::Operator, [(_, a), (_, b)]) => format!("{a} {} {b}", self.name),
            (Kind::Operator, _) => format!("{}{of}", self.name),
            _ => format!("{}({})", self.path(), typed(&self.params)),
        };
        if self.returns.is_empty() { call } else { format!("{call} -> {}", self.returns) }
    }

    /// The first sentence of the documentation.
    pub fn summary(&self) -> String {
        let paragraph: Vec<&str> = self.doc.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
        let paragraph = paragraph.join(" ");
        match paragraph.find(". ") {
            Some(end) => paragraph[..end].to_string(),
            None => paragraph.trim_end_matches('.').to_string(),
        }
    }

    /// The code of each ```` ```rhai ```` block.
    pub fn examples(&self) -> Vec<String> {
        let blocks = self.doc.split("```rhai\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap_or_default().to_string()).collect()
    }
}

/// The comment of a registered function that only exists to fail with a better message: it is not listed.
pub const HIDDEN: &str = "/// (hidden)";

/// Every function that saerun registers, sorted; rhai's own only on request.
pub fn functions(engine: &Engine, with_standard: bool) -> Vec<Function> {
    let all = engine.collect_fn_metadata(
        None,
        |info| {
            let meta = info.metadata;
            let (name, property) = match meta.name.split_once('$') {
                Some(("get" | "set", name)) => (name.to_string(), true),
                _ => (meta.name.to_string(), false),
            };
            let params: Vec<(String, String)> = meta
                .params_info
                .iter()
                .map(|info| info.split_once(':').unwrap_or((info.as_str(), "?")))
                .map(|(name, kind)| (name.trim().to_string(), script_type(kind)))
                .collect();
            let kind = if property {
                Kind::Property
            } else if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                Kind::Operator
            } else if !info.namespace.is_empty() && meta.namespace == FnNamespace::Global {
                Kind::Method
            } else {
                Kind::Function
            };
            let strip = |line: &str| line.strip_prefix("///").map(|l| l.strip_prefix(' ').unwrap_or(l).to_string());
            let scripted = info.script.iter().flat_map(|script| script.comments.iter().copied());
            let comments = meta.comments.iter().map(|comment| comment.as_str()).chain(scripted);
            let lines: Vec<String> = comments.flat_map(|c| c.lines().filter_map(strip)).collect();
            if lines == ["(hidden)"] {
                return None;
            }
            let (doc, returns) = (lines.join("\n"), script_type(&meta.return_type));
            Some(Function { namespace: info.namespace.to_string(), name, kind, params, returns, doc })
        },
        with_standard,
    );
    let all: BTreeSet<Function> = all.into_iter().collect();
    let mut documented: BTreeMap<(String, String), String> = BTreeMap::new();
    for function in all.iter().filter(|function| !function.doc.is_empty()) {
        documented.entry((function.namespace.clone(), function.name.clone())).or_insert_with(|| function.doc.clone());
    }
    let mut all: Vec<Function> = all.into_iter().collect();
    for function in all.iter_mut().filter(|function| function.doc.is_empty()) {
        let key = (function.namespace.clone(), function.name.clone());
        function.doc = documented.get(&key).cloned().unwrap_or_default();
    }
    for function in all.iter_mut().filter(|function| function.returns == "any") {
        if let Some(kind) = told(&function.doc) {
            function.returns = kind.to_string();
        }
    }
    all
}

/// The type that the documentation names where a binding returns a value of any type.
fn told(doc: &str) -> Option<&'static str> {
    let said = doc.lines().find_map(|line| line.strip_prefix("Returns "))?;
    let kinds = [("a map", "map"), ("an array", "array")];
    let (_, kind) =
        kinds.iter().find(|(words, _)| said.strip_prefix(words).is_some_and(|rest| !rest.starts_with(" or")))?;
    Some(kind)
}

/// A Rust type as scripts call it; a result that may fail is what it gives when it does not.
fn script_type(written: &str) -> String {
    let plain: String = written.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = ["Raised<", "RhaiResultOf<"].iter().find_map(|start| plain.strip_prefix(start)?.strip_suffix('>'));
    let inner = inner.or_else(|| plain.strip_prefix("Result<")?.strip_suffix(",Box<EvalAltResult>>"));
    match inner.unwrap_or(&plain) {
        "" | "()" => String::new(),
        kind => script_name(kind.strip_prefix("&mut").unwrap_or(kind)),
    }
}

/// What `saerun doc NAME` prints: every function of this name, path or namespace; `None` when there is none.
pub fn text(functions: &[Function], name: &str) -> Option<String> {
    // `Sae.config`, as signatures write it; `s.config`, whatever the variable; `Sae`, all that it has.
    let (of, last) = name.rsplit_once('.').map_or((None, name), |(of, last)| (Some(of), last));
    let member = |f: &Function| matches!(f.kind, Kind::Method | Kind::Property);
    let receiver = |f: &Function, of: &str| member(f) && f.params.first().is_some_and(|(_, kind)| kind == of);
    let mut chosen: Vec<&Function> = match of {
        Some(of) => {
            let all: Vec<_> = functions.iter().filter(|f| f.name == last && member(f)).collect();
            let own: Vec<_> = all.iter().copied().filter(|f| receiver(f, of)).collect();
            if own.is_empty() { all } else { own }
        }
        None => functions.iter().filter(|f| f.path() == name || f.namespace == name || f.name == name).collect(),
    };
    if chosen.is_empty() && of.is_none() {
        chosen = functions.iter().filter(|f| receiver(f, name)).collect();
    }
    let mut out = String::new();
    let mut shown = "";
    for (i, function) in chosen.iter().enumerate() {
        if i > 0 && function.doc != shown {
            out.push_str(&format!("{}\n\n", indent(shown)));
        }
        let _ = writeln!(out, "{}", function.signature());
        shown = &function.doc;
    }
    if !chosen.is_empty() {
        out.push_str(&indent(shown));
        out.push('\n');
    }
    (!out.is_empty()).then_some(out)
}

/// The documentation under its signature.
fn indent(doc: &str) -> String {
    let lines: Vec<String> = doc.lines().map(|line| format!("    {line}").trim_end().to_string()).collect();
    lines.join("\n")
}

/// The list that `saerun doc` prints without a name: one line a function.
pub fn list(functions: &[Function]) -> String {
    let mut out = String::new();
    for (name, group) in by_namespace(functions) {
        let _ = writeln!(out, "{}", if name.is_empty() { "without a namespace" } else { name });
        for function in group {
            let _ = writeln!(out, "    {}", function.signature());
        }
    }
    out
}

/// The script API as Markdown: a table for each namespace.
pub fn markdown(functions: &[Function]) -> String {
    let mut out = String::new();
    for (name, group) in by_namespace(functions) {
        let title = if name.is_empty() { "Without a namespace".to_string() } else { format!("`{name}`") };
        let _ = write!(out, "### {title}\n\n| call | what it does |\n|---|---|\n");
        for same in group.chunk_by(|a, b| a.name == b.name && a.doc == b.doc) {
            let calls: Vec<String> = same.iter().map(|f| format!("`{}`", f.signature().replace('|', "\\|"))).collect();
            let _ = writeln!(out, "| {} | {} |", calls.join("<br>"), same[0].summary().replace('|', "\\|"));
        }
        out.push('\n');
    }
    out.trim_end().to_string() + "\n"
}

/// The functions by namespace, sorted; those without one first.
pub(super) fn by_namespace(functions: &[Function]) -> BTreeMap<&str, Vec<&Function>> {
    let mut groups: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    for function in functions {
        groups.entry(&function.namespace).or_default().push(function);
    }
    groups
}
