//! From what happened in a run to the page that shows it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::host::events::{Event, Place, Stamped};
use crate::host::session::Session;
use crate::report::html::{At, Body, Grid, Item, Page, Param, Source, Step};
use crate::report::yaml;
use crate::store::{Lock, Written};

/// Larger files are named and not read.
const LARGEST: u64 = 64 << 20;

/// Larger texts are named and not shown.
const LONGEST_TEXT: usize = 64 << 10;

/// A run that is over, or nearly.
pub struct Run<'a> {
    /// What happened.
    pub events: &'a [Stamped],
    /// What its results were made from.
    pub lock: Lock,
    /// The folder of its results.
    pub results: &'a Path,
    /// The script and what it imports, by path inside the project; the text, or why there is none.
    pub sources: BTreeMap<String, Result<String, String>>,
    /// What else is known: name and value.
    pub facts: Vec<(String, String)>,
    /// How a link from the page to a file of the results begins, if one can lead there.
    pub folder: Option<String>,
}

impl<'a> Run<'a> {
    /// The run of this process.
    pub fn of(session: &'a Session, events: &'a [Stamped], script: &str, folder: Option<String>) -> Run<'a> {
        let named = session.sources().into_iter().map(|(name, _)| {
            let text = session.source(&name).map_or_else(String::new, |text| text.to_string());
            (name, Ok(text))
        });
        let sources = named.collect();
        Run { events, lock: session.lock(script), results: session.results().dir(), sources, facts: vec![], folder }
    }

    /// The page.
    pub fn page(self) -> Page {
        let mut page = Page {
            script: self.lock.script.file.clone(),
            saerun: self.lock.saerun.clone(),
            facts: self.facts.clone(),
            folder: self.folder.clone(),
            digests: digests(&self.lock),
            lock: yaml::lock_to_yaml(&self.lock).unwrap_or_default(),
            ..Page::default()
        };
        let mut sources = self.sources.clone();
        let script = sources.remove_entry(&page.script);
        let all = script.into_iter().chain(sources);
        page.sources = all.map(|(file, text)| Source { file, text }).collect();
        for (i, stamped) in self.events.iter().enumerate() {
            page.seconds = page.seconds.max(stamped.after);
            self.add(&mut page, i, &stamped.event);
        }
        page
    }

    fn add(&self, page: &mut Page, i: usize, event: &Event) {
        let (at, body) = match event {
            Event::Begin { .. } | Event::Progress { .. } | Event::Figure { .. } => return,
            Event::End { exit_code, seconds } => {
                (page.exit_code, page.seconds) = (Some(*exit_code), *seconds);
                return;
            }
            Event::Params { values, defaults, .. } => {
                page.params = values
                    .iter()
                    .map(|(name, value)| Param {
                        name: name.clone(),
                        value: shown(value),
                        default: defaults.get(name).map(shown),
                    })
                    .collect();
                return;
            }
            Event::Print { text, at } => (at, Body::Print(text.clone())),
            Event::Note { markdown, at } => (at, Body::Note(markdown.clone())),
            Event::Warning { message, at } => (at, Body::Warning(message.clone())),
            Event::Step { function, key, cached, seconds, at } => {
                let (function, key) = (function.clone(), key.clone());
                page.steps.push(Step { function, key, cached: *cached, seconds: *seconds, at: line(at) });
                (at, Body::Step(page.steps.len() - 1))
            }
            Event::Failed { code, message, facts, help, at } => {
                let (code, message, facts) = (code.clone(), message.clone(), facts.clone());
                (at, Body::Failure { code, message, facts, help: help.clone() })
            }
            Event::Saved { file, blake3, bytes, at } => match self.saved(i, file, blake3, *bytes, at) {
                Some(body) => (at, body),
                None => return,
            },
        };
        page.items.push(Item { at: line(at), body });
    }

    /// A saved file as the page shows it; none for what another item shows, or a later save replaced.
    fn saved(&self, i: usize, file: &str, digest: &str, bytes: u64, at: &Option<Place>) -> Option<Body> {
        at.as_ref()?;
        let saves = |event: &Event, name: &str| matches!(event, Event::Saved { file, .. } if file == name);
        if self.events[i + 1..].iter().any(|later| saves(&later.event, file)) {
            return None;
        }
        let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
        let twin = |ending: &str| format!("{stem}.{ending}");
        let has = |name: &str| self.events.iter().any(|event| saves(&event.event, name));
        if matches!(ending, "md" | "parquet") && has(&twin("csv")) || ending == "png" && has(&twin("svg")) {
            return None;
        }
        let size = || format!("({bytes} bytes)");
        let read = if bytes <= LARGEST { std::fs::read(self.results.join(file)).ok() } else { None };
        let same = read.as_ref().is_some_and(|read| blake3::hash(read).to_hex().as_str() == digest);
        let text = match read.map(String::from_utf8) {
            None if bytes <= LARGEST => return Some(Body::File(file.to_string(), "which is gone by now".to_string())),
            Some(_) if !same => {
                return Some(Body::File(file.to_string(), "which has changed since this run".to_string()));
            }
            Some(Ok(text)) => text,
            _ => return Some(Body::File(file.to_string(), size())),
        };
        Some(match ending {
            "csv" => {
                let files = ["csv", "md", "parquet"].map(twin).into_iter().filter(|name| has(name));
                Body::Table(files.collect(), Grid::from_csv(&text))
            }
            "svg" => Body::Figure { file: file.to_string(), svg: text, data: self.data(file) },
            "md" | "txt" if text.len() <= LONGEST_TEXT => Body::Text(file.to_string(), text, ending == "md"),
            _ => Body::File(file.to_string(), size()),
        })
    }

    /// What a figure shows in numbers, as it was saved last.
    fn data(&self, name: &str) -> Vec<(String, Grid)> {
        let data = self.events.iter().rev().find_map(|stamped| match &stamped.event {
            Event::Figure { file, data, .. } if file == name => Some(data),
            _ => None,
        });
        let grid = |data: &crate::report::plot::Data| {
            (data.title.clone(), Grid::new(data.columns.clone(), data.rows.clone(), data.omitted))
        };
        data.into_iter().flatten().map(grid).collect()
    }
}

fn line(at: &Option<Place>) -> Option<At> {
    at.as_ref().map(|place| At { file: place.file.clone(), line: place.line })
}

/// A parameter's value as a script writes it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "()".to_string(),
        other => other.to_string(),
    }
}

/// The digests in a lock, one a row.
fn digests(lock: &Lock) -> Vec<(&'static str, String, String)> {
    let script = std::iter::once(("script", lock.script.file.clone(), lock.script.blake3.clone()));
    let imports = lock.script.imports.iter().map(|(name, digest)| ("import", name.clone(), digest.clone()));
    let inputs = lock.inputs.iter().map(|(name, digest)| ("input", name.clone(), digest.clone()));
    let outputs = lock.outputs.iter().map(|(name, Written { blake3, .. })| ("output", name.clone(), blake3.clone()));
    script.chain(imports).chain(inputs).chain(outputs).collect()
}
