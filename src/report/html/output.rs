//! What a line of the script made, as HTML.

use super::escape::{Ids, escape};
use super::{At, Body, Grid, Item, Page, Step, figure, markdown, table};
use crate::report::number::duration;

/// More lines of prints at one place are left out in the middle.
const PRINTS: usize = 200;

/// A page being written: what it is about, the ids that are taken, and the list of its contents so far.
pub(super) struct Writer<'a> {
    pub page: &'a Page,
    pub ids: Ids,
    pub contents: Vec<Entry>,
}

/// A line of the contents.
pub(super) struct Entry {
    pub id: String,
    /// What kind of thing it is; empty for a heading.
    pub kind: &'static str,
    pub text: String,
}

impl Writer<'_> {
    /// Everything that one place of the script made: its steps first, then the rest in order, prints in a row together.
    pub(super) fn outputs(&mut self, items: &[&Item]) -> String {
        let page = self.page;
        let steps = items.iter().filter_map(|item| match item.body {
            Body::Step(i) => page.steps.get(i),
            _ => None,
        });
        let mut html = steps_at(&steps.collect::<Vec<_>>());
        let mut prints: Vec<&str> = Vec::new();
        for item in items {
            if let Body::Print(text) = &item.body {
                prints.extend(text.split('\n'));
                continue;
            }
            html += &printed(&std::mem::take(&mut prints));
            html += &self.output(item);
        }
        html += &printed(&prints);
        html
    }

    fn output(&mut self, item: &Item) -> String {
        let from = self.line_link(item.at.as_ref());
        match &item.body {
            Body::Print(_) | Body::Step(_) => String::new(),
            Body::Note(markdown) => {
                let id = self.enter("note", "Note", first_line(markdown));
                let prose = markdown::render(markdown, 3, false, &mut self.ids);
                format!("<section class=\"note prose\" id=\"{id}\" aria-label=\"Note\">\n{}</section>\n", prose.html)
            }
            Body::Warning(message) => {
                format!("<p class=\"warning\" role=\"note\"><b>Warning</b> {}</p>\n", escape(message))
            }
            Body::Table(files, grid) => self.table(files, grid, &from),
            Body::Figure { file, svg, data } => self.figure(file, svg, data, &from),
            Body::Text(file, text, is_markdown) => {
                let id = self.enter(file, "Text", file.clone());
                let inner = match is_markdown {
                    true => {
                        format!("<div class=\"prose\">{}</div>", markdown::render(text, 4, false, &mut self.ids).html)
                    }
                    false => format!("<pre class=\"print\">{}</pre>", escape(text)),
                };
                let head = head(file, &[self.link(file), from]);
                format!("<section class=\"made\" id=\"{id}\">{head}{inner}</section>\n")
            }
            Body::File(file, about) => {
                let about = if about.is_empty() { String::new() } else { format!(" <span>{}</span>", escape(about)) };
                format!("<p class=\"file\">Saved {}{about} {from}</p>\n", self.link(file))
            }
            Body::Failure { code, message, facts, help } => {
                let facts: String = facts
                    .iter()
                    .map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)))
                    .collect();
                let facts = if facts.is_empty() { facts } else { format!("<dl>{facts}</dl>") };
                let help = help.as_ref().map(|help| format!("<p><b>Help</b> {}</p>", escape(help))).unwrap_or_default();
                format!(
                    "<section class=\"failure\" id=\"failure\" aria-label=\"Error\"><p><b>Error</b> <code>{}</code> {from}</p><p>{}</p>{facts}{help}</section>\n",
                    escape(code),
                    escape(message)
                )
            }
        }
    }

    fn table(&mut self, files: &[String], grid: &Grid, from: &str) -> String {
        let name = files.first().map_or("table", |file| stem(file)).to_string();
        let id = self.enter(&format!("table {name}"), "Table", name.clone());
        let links: Vec<String> = files.iter().map(|file| self.link(file)).collect();
        let (count, rest) = (grid.total, table::rest(grid));
        let size = if rest.is_empty() { format!("{count} {}", plural(count, "row")) } else { rest };
        let head = head(&name, &[links.join(", "), size, from.to_string()]);
        format!(
            "<section class=\"made\" id=\"{id}\">{head}{}</section>\n",
            table::render(grid, &format!("Table {name}"), "")
        )
    }

    fn figure(&mut self, file: &str, svg: &str, data: &[(String, Grid)], from: &str) -> String {
        let id = self.enter(&format!("figure {}", stem(file)), "Figure", stem(file).to_string());
        let picture = match figure::inline(svg, &id) {
            Some(picture) => picture,
            None => format!(
                "<p class=\"file\">This picture is too large, or not made by a plot: see {}.</p>",
                self.link(file)
            ),
        };
        let description = figure::part(svg, "desc").map(|text| format!("<p>{text}</p>")).unwrap_or_default();
        let tables = data.iter().map(|(title, grid)| {
            let caption = [escape(title), table::rest(grid)].into_iter().filter(|part| !part.is_empty());
            table::render(grid, &format!("Data of {title}"), &caption.collect::<Vec<_>>().join(": "))
        });
        let tables: String = tables.collect();
        let what = if tables.is_empty() { "Description" } else { "Description and data" };
        let details = match tables.is_empty() && description.is_empty() {
            true => String::new(),
            false => format!("<details><summary>{what}</summary>{description}{tables}</details>"),
        };
        let head = head(stem(file), &[self.link(file), from.to_string()]);
        format!("<section class=\"made\" id=\"{id}\">{head}<div class=\"picture\">{picture}</div>{details}</section>\n")
    }

    /// A link to a file of the results, or its name where no link can lead there.
    pub(super) fn link(&self, file: &str) -> String {
        match &self.page.folder {
            Some(folder) => format!("<a href=\"{}\">{}</a>", escape(&url(&format!("{folder}{file}"))), escape(file)),
            None => format!("<code>{}</code>", escape(file)),
        }
    }

    /// A link to a line of the source.
    pub(super) fn line_link(&self, at: Option<&At>) -> String {
        let has = |text: &str, line: usize| (1..=text.lines().count()).contains(&line);
        let place = at.and_then(|at| {
            let i = self.page.sources.iter().position(|source| source.file == at.file)?;
            self.page.sources[i].text.as_ref().is_ok_and(|text| has(text, at.line)).then_some(i)
        });
        match (place, at) {
            (Some(0), Some(at)) => format!("<a href=\"#{}\">line {}</a>", line_id(0, at.line), at.line),
            (Some(i), Some(at)) => {
                format!("<a href=\"#{}\">{}:{}</a>", line_id(i, at.line), escape(&at.file), at.line)
            }
            (None, Some(at)) => escape(&format!("{}:{}", at.file, at.line)),
            _ => String::new(),
        }
    }

    /// Puts something into the contents, and gives it its id.
    fn enter(&mut self, name: &str, kind: &'static str, text: String) -> String {
        let id = self.ids.fresh(name);
        self.contents.push(Entry { id: id.clone(), kind, text });
        id
    }
}

/// The id of a line of a source file. No other id begins with a capital letter.
pub(super) fn line_id(source: usize, line: usize) -> String {
    if source == 0 { format!("L{line}") } else { format!("L{source}-{line}") }
}

/// `1 row`, `2 rows`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_string() } else { format!("{noun}s") }
}

fn head(name: &str, about: &[String]) -> String {
    let about: Vec<String> =
        about.iter().filter(|part| !part.is_empty()).map(|part| format!("<span>{part}</span>")).collect();
    format!("<header><h3>{}</h3><p>{}</p></header>\n", escape(name), about.join(" "))
}

/// One mark for each function that was called here.
fn steps_at(steps: &[&Step]) -> String {
    let mut functions: Vec<&str> = Vec::new();
    for step in steps {
        if !functions.contains(&step.function.as_str()) {
            functions.push(&step.function);
        }
    }
    let mark = |function: &&str| {
        let here: Vec<&&Step> = steps.iter().filter(|step| step.function == **function).collect();
        let cached = here.iter().filter(|step| step.cached).count();
        let ran = here.len() - cached;
        let time = duration(here.iter().filter(|step| !step.cached).map(|step| step.seconds).sum());
        let class = if ran > 0 { "ran" } else { "cached" };
        let state = match (here.len(), ran, cached) {
            (1, 1, _) => format!("ran in {time}"),
            (1, 0, _) => "cached".to_string(),
            (_, _, 0) => format!("ran {ran} times in {time}"),
            (_, 0, _) => format!("cached {cached} times"),
            _ => format!("ran {ran} times in {time}, cached {cached} times"),
        };
        let key = match here.as_slice() {
            [one] => format!(" <span class=\"key\">{}</span>", escape(short(&one.key))),
            _ => String::new(),
        };
        format!("<li class=\"{class}\"><code>{}</code>{key} {state}</li>", escape(function))
    };
    let marks: String = functions.iter().map(mark).collect();
    if marks.is_empty() { marks } else { format!("<ul class=\"steps\">{marks}</ul>\n") }
}

/// The digits of a key that the console shows.
pub(super) fn short(key: &str) -> &str {
    key.get(..8).unwrap_or(key)
}

fn printed(lines: &[&str]) -> String {
    let text = match lines.len() {
        0 => return String::new(),
        n if n <= PRINTS => lines.join("\n"),
        n => {
            let gap = format!("[{} lines are not shown]", n - PRINTS);
            [&lines[..PRINTS - 50], &[gap.as_str()], &lines[n - 50..]].concat().join("\n")
        }
    };
    let scrolls = if lines.len() > 24 { " tabindex=\"0\"" } else { "" };
    format!("<pre class=\"print\"{scrolls}>{}</pre>\n", escape(&text))
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// The begin of a note, for the contents.
fn first_line(markdown: &str) -> String {
    let line =
        markdown.lines().map(|line| line.trim_start_matches(['#', '-', '*', '>', ' '])).find(|line| !line.is_empty());
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let short: String = words.iter().take(6).copied().collect::<Vec<_>>().join(" ").replace(['*', '`'], "");
    if words.len() > 6 { format!("{short} ...") } else { short }
}

/// Percent-encodes what may not stand in a relative link.
fn url(path: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
