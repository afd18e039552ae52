//! From what happened in a run to the page that shows it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::host::events::{Event, Place, Stamped};
use crate::report::html::{At, Body, Grid, Item, Page, Param, Source, Step};
use crate::report::yaml;
use crate::store::{Lock, Record, Written};

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
    /// The texts of the script and of what it imports, by path inside the project, as far as they are known.
    pub sources: BTreeMap<String, String>,
    /// What its record says, if it has one.
    pub record: Option<&'a Record>,
    /// How a link from the page to a file of the results begins, if one can lead there.
    pub folder: Option<String>,
}

impl Run<'_> {
    /// The page.
    pub fn page(mut self) -> Page {
        // Records are kept without the lock among the outputs: it is what lists them.
        self.lock.outputs.remove("run.yaml");
        let mut page = Page {
            script: self.lock.script.file.clone(),
            saerun: self.lock.saerun.clone(),
            facts: self.record.map(facts).unwrap_or_default(),
            folder: self.folder.clone(),
            digests: digests(&self.lock),
            lock: yaml::lock_to_yaml(&self.lock).unwrap_or_default(),
            ..Page::default()
        };
        let lock = &self.lock.script;
        page.sources = std::iter::once(&lock.file).chain(lock.imports.keys()).map(|file| self.source(file)).collect();
        for (i, stamped) in self.events.iter().enumerate() {
            page.seconds = page.seconds.max(stamped.after);
            self.add(&mut page, i, &stamped.event);
        }
        page
    }

    fn source(&self, file: &str) -> Source {
        let unknown = || "The text of this file was not kept with the run.".to_string();
        Source { file: file.to_string(), text: self.sources.get(file).cloned().ok_or_else(unknown) }
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

/// What a record says that a colleague may want to know: no name of a machine and no command line, which may hold paths.
fn facts(record: &Record) -> Vec<(String, String)> {
    let machine = &record.machine;
    let memory = machine.peak_memory_bytes.map(|bytes| format!("at most {} MiB", bytes >> 20));
    let commit = record.git.as_ref().map(|git| git.commit.clone() + if git.dirty { ", with changes" } else { "" });
    let facts = [
        ("run", Some(record.id.clone())),
        ("began", Some(record.begin.clone())),
        ("processor", Some(format!("{}, {} threads, {}", machine.cpu, machine.threads, machine.kernel))),
        ("system", Some(machine.os.clone())),
        ("memory", memory),
        ("commit", commit),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect()
}

/// The digests in a lock, one a row.
fn digests(lock: &Lock) -> Vec<(&'static str, String, String)> {
    let script = std::iter::once(("script", lock.script.file.clone(), lock.script.blake3.clone()));
    let imports = lock.script.imports.iter().map(|(name, digest)| ("import", name.clone(), digest.clone()));
    let inputs = lock.inputs.iter().map(|(name, digest)| ("input", name.clone(), digest.clone()));
    let outputs = lock.outputs.iter().map(|(name, Written { blake3, .. })| ("output", name.clone(), blake3.clone()));
    script.chain(imports).chain(inputs).chain(outputs).collect()
}
