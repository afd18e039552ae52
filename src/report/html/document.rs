//! The document: its head, the begin that says what the run is, the listing, and the facts at the end.

use super::escape::{Ids, escape};
use super::output::{Entry, Writer, plural, short};
use super::{At, Body, Grid, Item, Page, SCRIPT, STYLE, listing, table};
use crate::report::number::duration;

/// SHA-256 of [`SCRIPT`] in base 64: the only script that the page may run. A test says what it must be.
const SCRIPT_HASH: &str = "vvlRpRgIEz8eDy0V4hoktFEqudyJHI6zUzMUYcwd5IQ=";

/// A longer lock is named and not shown.
const LONGEST_LOCK: usize = 60_000;

/// The page of a run, as one HTML file.
pub fn page(page: &Page) -> String {
    let mut writer = Writer { page, ids: Ids::default(), contents: Vec::new() };
    // Ids of the page's own parts come first, so that no heading of a script takes them.
    for id in ["top", "source", "parameters", "steps", "lock", "failure", "contents"] {
        writer.ids.fresh(id);
    }
    let of = |file: &str| -> Vec<&Item> {
        page.items.iter().filter(|item| item.at.as_ref().is_some_and(|at| at.file == file)).collect()
    };
    let mut title = None;
    let mut intro = String::new();
    let mut body = String::new();
    for (i, source) in page.sources.iter().enumerate() {
        let items = of(&source.file);
        let shown = match &source.text {
            Ok(text) => listing::render(&mut writer, i, text, &items),
            Err(reason) => listing::Listing {
                title: None,
                intro: String::new(),
                html: format!(
                    "<p class=\"warning\" role=\"note\">{}</p><div class=\"outputs\">{}</div>",
                    escape(reason),
                    writer.outputs(&items)
                ),
            },
        };
        if i == 0 {
            (title, intro) = (shown.title, shown.intro);
            body += &format!("<h2 id=\"source\" class=\"file-name\">{}</h2>\n{}", escape(&source.file), shown.html);
        } else {
            let id = writer.ids.fresh(&source.file);
            writer.contents.push(Entry { id: id.clone(), kind: "Import", text: source.file.clone() });
            let heading = shown.title.map(|title| format!("<p><b>{}</b></p>", escape(&title))).unwrap_or_default();
            body += &format!(
                "<h2 id=\"{id}\" class=\"file-name\">{}</h2>\n<div class=\"prose between\">{heading}{}</div>\n{}",
                escape(&source.file),
                shown.intro,
                shown.html
            );
        }
    }
    let known = |at: &At| page.sources.iter().any(|source| source.file == at.file);
    let lost: Vec<&Item> = page.items.iter().filter(|item| !item.at.as_ref().is_some_and(known)).collect();
    if !lost.is_empty() {
        body += &format!("<div class=\"outputs alone\">{}</div>\n", writer.outputs(&lost));
    }
    let facts = [parameters(page), steps(&writer), lock(&writer)].concat();
    let title = title.unwrap_or_else(|| page.script.clone());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"saerun {version}\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'\">\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#source\">Skip to the source and its results</a>\n\
         <header class=\"begin\" id=\"top\">\n<div>\n<h1>{title}</h1>\n{summary}\n<div class=\"prose\">\n{intro}</div>\n</div>\n{contents}</header>\n\
         <main>\n{body}</main>\n{facts}<footer><p>Made by saerun {version} from {script}. It loads nothing from anywhere.</p></footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        title = escape(&title),
        version = escape(&page.saerun),
        hash = SCRIPT_HASH,
        summary = summary(page),
        contents = contents(&writer),
        script = escape(&page.script),
    )
}

/// How the run ended, in a line or two.
fn summary(page: &Page) -> String {
    let (state, word) = match page.exit_code {
        None => ("open", "Not finished".to_string()),
        Some(0) => ("good", "Finished".to_string()),
        Some(130) => ("bad", "Interrupted".to_string()),
        Some(code) => ("bad", format!("Failed with exit code {code}")),
    };
    let cached = page.steps.iter().filter(|step| step.cached).count();
    let mut parts = vec![format!("<b class=\"{state}\">{word}</b> in {}", duration(page.seconds))];
    if !page.steps.is_empty() {
        let count = page.steps.len();
        parts.push(format!("{count} {}: {cached} cached, {} ran", plural(count, "step"), count - cached));
    }
    let warnings = page.items.iter().filter(|item| matches!(item.body, Body::Warning(_))).count();
    if warnings > 0 {
        parts.push(format!("{warnings} {}", plural(warnings, "warning")));
    }
    parts.push(format!("saerun {}", escape(&page.saerun)));
    let changed = page.params.iter().filter(|param| param.default.as_ref().is_some_and(|old| *old != param.value));
    let changed: Vec<_> =
        changed.map(|param| format!("<code>{} = {}</code>", escape(&param.name), escape(&param.value))).collect();
    if !changed.is_empty() {
        parts.push(format!("changed: {}", changed.join(" ")));
    }
    let failure = page.items.iter().find_map(|item| match &item.body {
        Body::Failure { message, .. } => {
            Some(format!("<p class=\"failure\"><b>Error</b> <a href=\"#failure\">{}</a></p>", escape(message)))
        }
        _ => None,
    });
    let parts: Vec<String> = parts.into_iter().map(|part| format!("<span>{part}</span>")).collect();
    format!("<p class=\"summary\">{}</p>{}", parts.join(" "), failure.unwrap_or_default())
}

fn contents(writer: &Writer) -> String {
    let page = writer.page;
    let entry = |id: &str, kind: &str, text: &str| {
        let kind = if kind.is_empty() { String::new() } else { format!("<small>{kind}</small> ") };
        format!("<li><a href=\"#{}\">{kind}{}</a></li>\n", escape(id), escape(text))
    };
    let mut list: String = writer.contents.iter().map(|one| entry(&one.id, one.kind, &one.text)).collect();
    let own = [
        ("parameters", "Parameters", page.params.is_empty()),
        ("steps", "Steps", page.steps.is_empty()),
        ("lock", "Run and lock", page.digests.is_empty() && page.lock.is_empty()),
    ];
    list += &own.iter().filter(|(.., empty)| !empty).map(|(id, text, _)| entry(id, "", text)).collect::<String>();
    format!(
        "<nav id=\"contents\" aria-labelledby=\"contents-name\"><h2 id=\"contents-name\">Contents</h2>\n<ul>\n{list}</ul>\n\
         <label class=\"switch\"><input type=\"checkbox\" id=\"hide-code\"> Hide the code</label></nav>\n"
    )
}

fn section(id: &str, title: &str, inner: &str) -> String {
    format!("<section class=\"facts\" aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{inner}</section>\n")
}

fn parameters(page: &Page) -> String {
    if page.params.is_empty() {
        return String::new();
    }
    let row = |param: &super::Param| {
        let default = param.default.clone().unwrap_or_default();
        let changed = if param.default.as_ref().is_some_and(|old| *old != param.value) { "changed" } else { "" };
        vec![param.name.clone(), param.value.clone(), default, changed.to_string()]
    };
    let columns = ["parameter", "value", "default", ""].map(String::from).to_vec();
    let mut grid = Grid::new(columns, page.params.iter().map(row).collect(), 0);
    // Values are of many types: they are shown as they are.
    grid.numeric = vec![false; 4];
    if grid.rows.iter().all(|row| row[3].is_empty()) {
        grid.columns.pop();
    }
    section("parameters", "Parameters", &table::render(&grid, "Parameters", ""))
}

fn steps(writer: &Writer) -> String {
    let page = writer.page;
    if page.steps.is_empty() {
        return String::new();
    }
    let row = |step: &super::Step| {
        let time = if step.cached { "0".to_string() } else { format!("{:.1}", step.seconds) };
        let at = step.at.as_ref().map_or(String::new(), |at| format!("{}:{}", at.file, at.line));
        let state = if step.cached { "cached" } else { "ran" };
        vec![step.function.clone(), short(&step.key).to_string(), state.to_string(), time, at]
    };
    let columns = ["function", "key", "state", "seconds", "line"].map(String::from).to_vec();
    let mut grid = Grid::new(columns, page.steps.iter().map(row).collect(), 0);
    grid.numeric = vec![false, false, false, true, false];
    let ran = page.steps.iter().filter(|step| !step.cached).map(|step| step.seconds).sum();
    let rest = table::rest(&grid);
    let rest = if rest.is_empty() { rest } else { format!(" Shown are {rest}.") };
    let about = format!("<p>The steps that ran took {} together.{rest}</p>\n", duration(ran));
    section("steps", "Steps", &[about, table::render(&grid, "Steps", "")].concat())
}

fn lock(writer: &Writer) -> String {
    let page = writer.page;
    if page.digests.is_empty() && page.lock.is_empty() {
        return String::new();
    }
    let row = |(what, name, digest): &(&str, String, String)| vec![name.clone(), what.to_string(), digest.clone()];
    let columns = ["file", "part", "BLAKE3"].map(String::from).to_vec();
    let mut grid = Grid::new(columns, page.digests.iter().map(row).collect(), 0);
    grid.numeric = vec![false; 3];
    let facts = page.facts.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)));
    let facts: String = facts.collect();
    let facts = if facts.is_empty() { facts } else { format!("<dl class=\"run\">{facts}</dl>\n") };
    let whole = match page.lock.len() {
        0 => String::new(),
        n if n > LONGEST_LOCK => format!("<p>The whole lock is in {}.</p>\n", writer.link("run.yaml")),
        _ => format!(
            "<details><summary>The whole lock, as in {}</summary><pre class=\"print\" tabindex=\"0\">{}</pre></details>\n",
            "run.yaml",
            escape(&page.lock)
        ),
    };
    section("lock", "Run and lock", &[facts, table::render(&grid, "Digests", ""), whole].concat())
}
