//! A failed script as plain data, with the innermost position; `draw` makes the report that a person reads.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use rhai::{Engine, EvalAltResult, Position};

use crate::error::Error;
pub use crate::host::events::Place;
use crate::host::explain::explain;
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
        let Trace { inner, file, place, mut frames } = Trace::of(raised, main);
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

/// The way from where a script error is seen to where it was raised.
pub struct Trace<'a> {
    /// The innermost error.
    pub inner: &'a EvalAltResult,
    /// The file that it was raised in.
    pub file: String,
    /// Where it was raised.
    pub place: Option<Place>,
    /// The calls and imports that led there, outermost first.
    pub frames: Vec<(Place, String)>,
}

impl<'a> Trace<'a> {
    /// The way through an error that is seen in the file `main`.
    pub fn of(raised: &'a EvalAltResult, main: &str) -> Self {
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
        Trace { inner, file, place, frames }
    }
}

/// A rhai position in a file; `None` for none.
pub(super) fn place(file: &str, position: Position) -> Option<Place> {
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
