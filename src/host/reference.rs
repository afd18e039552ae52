//! The script API as one page of HTML: nothing is fetched, nothing needs a script, light and dark by the reader's choice.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::host::docs::{Function, Kind, by_namespace};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#57606a;--line:#d8dee4;--code:#f3f5f7;--link:#0550ae}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#15181c;--soft:#9aa4af;--line:#343b43;--code:#20252b;--link:#79b8ff}}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:var(--paper);font:16px/1.55 system-ui,sans-serif}
a{color:var(--link)}
code,pre{font:0.92em/1.5 ui-monospace,monospace;background:var(--code);border-radius:4px}
code{padding:.1em .3em;overflow-wrap:anywhere}
pre{padding:.7em 1em;overflow-x:auto}
pre code{padding:0;background:none;font-size:1em;overflow-wrap:normal}
header,main{max-width:56rem;margin:0 auto;padding:1rem}
nav{max-width:56rem;margin:0 auto;padding:0 1rem}
nav ul{columns:14rem;list-style:none;margin:.3rem 0 1rem;padding:0}
nav li{padding:.05rem 0}
h2{margin-top:3rem;padding-bottom:.2rem;border-bottom:2px solid var(--line)}
article{border-bottom:1px solid var(--line);padding:.5rem 0}
h3{margin:.6rem 0}
h3 a{color:inherit;text-decoration:none}
h3 a:hover{text-decoration:underline}
:target>h3{outline:2px solid var(--link);outline-offset:4px}
.signature{margin:.2rem 0;padding:.5em 1em}
.top{float:right;font-size:.85rem}
@media(min-width:80rem){nav{position:fixed;inset:0 auto 0 0;width:17rem;overflow-y:auto;padding:1rem}nav ul{columns:1}header,main{margin-left:max(18rem,calc(50% - 28rem))}}
@media print{nav,.top{display:none}}
";

/// The page.
pub fn html(functions: &[Function]) -> String {
    let groups = by_namespace(functions);
    let known: BTreeSet<String> = functions.iter().map(anchor).collect();
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>saerun {version}: the script API</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header id=\"top\">\n<h1>saerun {version}: the script API</h1>\n\
         <p>Every function that scripts can call, as <code>saerun doc</code> shows it. Each example is run by the tests.</p>\n\
         </header>\n<nav aria-label=\"Contents\">\n"
    );
    for (name, group) in &groups {
        let _ = write!(out, "<details open><summary>{}</summary>\n<ul>\n", link(&section(name), title(name)));
        for same in group.chunk_by(|a, b| a.name == b.name) {
            let _ = writeln!(out, "<li>{}</li>", link(&anchor(same[0]), &same[0].name));
        }
        out.push_str("</ul></details>\n");
    }
    out.push_str("</nav>\n<main>\n");
    for (name, group) in &groups {
        let _ = write!(out, "<section id=\"{}\">\n<h2>{}</h2>\n", escape(&section(name)), escape(title(name)));
        for same in group.chunk_by(|a, b| a.name == b.name) {
            article(&mut out, same, &known);
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// The functions of one name: each text below the calls that share it.
fn article(out: &mut String, same: &[&Function], known: &BTreeSet<String>) {
    let id = anchor(same[0]);
    let _ = write!(out, "<article id=\"{}\">\n<h3>{}</h3>\n", escape(&id), link(&id, &same[0].path()));
    for shared in same.chunk_by(|a, b| a.doc == b.doc) {
        let calls: Vec<String> = shared.iter().map(|f| escape(&f.signature())).collect();
        let _ = writeln!(out, "<pre class=\"signature\"><code>{}</code></pre>", calls.join("\n"));
        out.push_str(&prose(&shared[0].doc, known));
    }
    out.push_str("<p class=\"top\"><a href=\"#top\">contents</a></p>\n</article>\n");
}

fn title(namespace: &str) -> &str {
    if namespace.is_empty() { "without a namespace" } else { namespace }
}

fn section(namespace: &str) -> String {
    if namespace.is_empty() { "global".to_string() } else { namespace.to_string() }
}

/// Where the functions of this name stand on the page.
fn anchor(function: &Function) -> String {
    let name = match (function.kind, function.name.as_str()) {
        (Kind::Operator, "+") => "plus",
        (Kind::Operator, "-") => "minus",
        (Kind::Operator, "*") => "times",
        (Kind::Operator, "/") => "over",
        (Kind::Operator, "==") => "equal",
        (Kind::Operator, "!=") => "differs",
        (Kind::Operator, "<") => "less",
        (Kind::Operator, "<=") => "at-most",
        (Kind::Operator, ">") => "greater",
        (Kind::Operator, ">=") => "at-least",
        (_, name) => name,
    };
    format!("{}.{name}", section(&function.namespace))
}

fn link(id: &str, text: &str) -> String {
    format!("<a href=\"#{}\">{}</a>", escape(id), escape(text))
}

/// The Markdown of the documentation: paragraphs, lists of `*`, fenced code, code in the line.
fn prose(doc: &str, known: &BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut open = ""; // The element that the last line left open.
    let close = |out: &mut String, open: &mut &str| {
        match *open {
            "p" => out.push_str("</p>\n"),
            "li" => out.push_str("</li>\n</ul>\n"),
            "pre" => out.push_str("</code></pre>\n"),
            _ => {}
        }
        *open = "";
    };
    for line in doc.lines() {
        let text = line.trim();
        if open == "pre" {
            if text.starts_with("```") {
                close(&mut out, &mut open);
            } else {
                let _ = writeln!(out, "{}", escape(line));
            }
        } else if text.starts_with("```") {
            close(&mut out, &mut open);
            out.push_str("<pre><code>");
            open = "pre";
        } else if text.is_empty() {
            close(&mut out, &mut open);
        } else if let Some(item) = text.strip_prefix("* ") {
            if open == "li" {
                out.push_str("</li>\n");
            } else {
                close(&mut out, &mut open);
                out.push_str("<ul>\n");
            }
            let _ = write!(out, "<li>{}", inline(item, known));
            open = "li";
        } else if open.is_empty() {
            let _ = write!(out, "<p>{}", inline(text, known));
            open = "p";
        } else {
            let line_break = if text.starts_with("Errors: ") { "<br>" } else { "" };
            let _ = write!(out, "{line_break}\n{}", inline(text, known));
        }
    }
    close(&mut out, &mut open);
    out
}

/// Text with code in it; the name of a function leads to where it is explained.
fn inline(text: &str, known: &BTreeSet<String>) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        if i % 2 == 0 {
            out.push_str(&escape(part));
            continue;
        }
        let name = part.split('(').next().unwrap_or(part);
        let id = name.replace("::", ".");
        let code = format!("<code>{}</code>", escape(part));
        match name.contains("::") && known.contains(&id) {
            true => _ = write!(out, "<a href=\"#{}\">{code}</a>", escape(&id)),
            false => out.push_str(&code),
        }
    }
    out
}

/// Text as HTML, in elements and in attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
