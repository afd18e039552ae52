//! A source file with what it made beside the lines that made it, and its prose between them.

use super::escape::escape;
use super::output::{Entry, Writer, line_id};
use super::source::{Lines, lines};
use super::{Body, Item, figure, markdown};

/// A part of a source file, by lines from 0, the second excluded.
enum Part {
    /// Doc comments `//!`.
    Prose(usize, usize),
    /// Code, and the items that it made.
    Code(usize, usize, Vec<usize>),
}

/// The listing of a source file, and the prose that it begins with.
pub(super) struct Listing {
    pub title: Option<String>,
    pub intro: String,
    pub html: String,
}

/// Writes source file number `source`; `items` are those of its lines.
pub(super) fn render(writer: &mut Writer, source: usize, text: &str, items: &[&Item]) -> Listing {
    let lines = lines(text);
    let mut listing = Listing { title: None, intro: String::new(), html: String::new() };
    let mut first = true;
    for part in parts(&lines, items) {
        match part {
            Part::Prose(from, to) => {
                let prose: Vec<&str> = lines.prose[from..to].iter().flatten().map(String::as_str).collect();
                let prose = markdown::render(&prose.join("\n"), 1, first, &mut writer.ids);
                let headings = prose.headings.into_iter();
                writer.contents.extend(headings.map(|(id, text)| Entry { id, kind: "", text }));
                if first {
                    listing.title = prose.title;
                    listing.intro = prose.html;
                } else {
                    listing.html += &format!("<div class=\"prose between\">\n{}</div>\n", prose.html);
                }
            }
            Part::Code(from, to, made) => {
                let here: Vec<&Item> = made.iter().map(|i| items[*i]).collect();
                let code: String = (from..to).map(|i| line(&lines, source, i, &here)).collect();
                let class = match here.is_empty() {
                    true => "row quiet",
                    false if here.iter().any(|item| is_wide(item)) => "row wide",
                    false => "row",
                };
                let outputs = match here.is_empty() {
                    true => String::new(),
                    false => format!("<div class=\"outputs\">\n{}</div>", writer.outputs(&here)),
                };
                listing.html +=
                    &format!("<div class=\"{class}\"><pre class=\"code\"><code>{code}</code></pre>{outputs}</div>\n");
            }
        }
        first = false;
    }
    listing
}

/// Cuts a file into prose, code that made nothing to show, and statements that did.
fn parts(lines: &Lines, items: &[&Item]) -> Vec<Part> {
    let count = lines.html.len();
    // The statement of every item, by its first line.
    let mut made: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (i, item) in items.iter().enumerate() {
        let line = item.at.as_ref().map_or(0, |at| at.line.saturating_sub(1)).min(count.saturating_sub(1));
        let start = (0..=line).rev().find(|l| lines.starts.get(*l) == Some(&true)).unwrap_or(0);
        if let Some(list) = made.get_mut(start) {
            list.push(i);
        }
    }
    let mut parts = Vec::new();
    let mut i = 0;
    while i < count {
        let from = i;
        if lines.prose[i].is_some() {
            i += lines.prose[i..].iter().take_while(|prose| prose.is_some()).count();
            parts.push(Part::Prose(from, i));
            continue;
        }
        let stops = |l: &usize| *l == count || lines.prose[*l].is_some() || !made[*l].is_empty();
        let statement = |l: &usize| *l == count || lines.starts[*l] || lines.prose[*l].is_some();
        if made[i].is_empty() {
            i = (i + 1..=count).find(stops).unwrap_or(count);
        } else {
            i = (i + 1..=count).find(statement).unwrap_or(count);
        }
        // Between prose and code, and at the end, empty lines say nothing.
        let after_prose = parts.last().is_none_or(|part| matches!(part, Part::Prose(..)));
        let head = lines.blank[from..i].iter().take_while(|blank| **blank).count();
        if from + head < i {
            parts.push(Part::Code(if after_prose { from + head } else { from }, i, made[from].clone()));
        }
    }
    parts
}

/// Whether something needs the width of the page: it stands below its lines then.
fn is_wide(item: &Item) -> bool {
    match &item.body {
        Body::Table(_, grid) => grid.columns.len() > 10,
        Body::Figure { svg, .. } => figure::width(svg) > 900.0,
        _ => false,
    }
}

/// One line of code; those that made something are marked.
fn line(lines: &Lines, source: usize, i: usize, made: &[&Item]) -> String {
    let marked = made.iter().any(|item| item.at.as_ref().is_some_and(|at| at.line == i + 1));
    let class = if marked { "l made-here" } else { "l" };
    // A long line goes on below its own indentation.
    let style = match (lines.width[i] > 60, lines.indent[i]) {
        (true, indent @ 1..) => format!(" style=\"--i:{indent}ch\""),
        _ => String::new(),
    };
    format!(
        "<span class=\"{class}\" id=\"{}\" data-n=\"{}\"{style}>{}\n</span>",
        escape(&line_id(source, i + 1)),
        i + 1,
        lines.html[i]
    )
}
