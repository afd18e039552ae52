//! `saerun run FILE`, or just `saerun FILE`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::limits::{Limits, Watched};
use super::{Failure, project, threads};
use crate::device::DeviceName;
use crate::error::{Code, Error};
use crate::host::diagnostic::Report;
use crate::host::events::{self, Event};
use crate::host::output::errln;
use crate::host::saving::Keeping;
use crate::host::session::{Override, Setup};
use crate::host::{Session, committed, record, run as host};
use crate::report::yaml;
use crate::store::{self, Record};

/// What `saerun run` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
#[group(id = "run")]
pub struct Arguments {
    /// The script, such as scripts/peaks.rhai
    // clap leaves the group of a struct with a flattened one empty, and an empty group counts as absent.
    #[arg(group = "run")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) options: Options,
    /// What goes to stdout: what the script prints, or every event as a JSON object a line (then prints go to stderr)
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Leave the results in this folder instead of results/SCRIPT
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write the page of the run to this file, also when the run fails [default: results/SCRIPT/report.html, when it ends well]
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// What `saerun verify` adds: remember in this folder, not in the project
    #[arg(long, value_name = "DIR", hide = true)]
    pub(super) verify_in: Option<PathBuf>,
}

/// How scripts run: what every verb that runs them takes.
#[derive(Args)]
pub(super) struct Options {
    /// Set a parameter that the script declares; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Read parameters from a YAML file; --set wins over it
    #[arg(long = "params", value_name = "FILE")]
    params: Option<PathBuf>,
    /// How many threads to compute with [default: all cores]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = threads::threads)]
    threads: Option<u16>,
    /// Where SAEs are trained: cpu, or cuda:0 or metal:0 in a build with that feature [default: cpu]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceName>,
    /// Compute everything afresh, and remember it anew
    #[arg(long)]
    no_cache: bool,
    /// Print nothing on stderr but warnings and errors
    #[arg(long, short)]
    quiet: bool,
    /// Show no progress
    #[arg(long)]
    no_progress: bool,
    #[command(flatten)]
    pub(super) limits: Limits,
}

const AFTER: &str = "\
Examples:
  saerun run scripts/peaks.rhai --set seed=1 --threads 2
  saerun run scripts/peaks.rhai --quiet --format json > events.jsonl

With --format json, stdout holds one JSON object a line and nothing else: begin, params, print,
note, warning, step, saved, progress, failed, end; docs/events.md lists their fields. Where stderr
is no terminal, progress is a line in 30 seconds. NO_COLOR takes the colors away.

Every run leaves a record in .saerun/runs: see `saerun list`, `saerun show` and `saerun why`.";

/// What goes to stdout.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// What the script prints.
    #[default]
    Human,
    /// One JSON object an event; `events.rs` documents them.
    Json,
}

/// `name=value`; blanks around the value are part of it where it is a string.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_string(), value.to_string())),
        _ => Err("expected NAME=VALUE, such as seed=3".to_string()),
    }
}

/// Runs a script and leaves its results, its prose and its lock.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let watched = arguments.options.limits.apply()?;
    arguments.options.use_threads();
    let (script, setup) = open(arguments, &watched)?;
    let session = Arc::new(Session::new(setup)?);
    let ending = Ending { verifying: arguments.verify_in.is_some(), report: arguments.report.clone() };
    watched.guard(&session, None);
    perform(&session, &script, &ending)
}

/// A script: the name by which reports call it, and its text.
pub(super) struct Script {
    pub(super) name: String,
    pub(super) text: String,
}

/// Reads the script that the arguments name, and says how it is to run.
pub(super) fn open(arguments: &Arguments, watched: &Watched) -> Result<(Script, Setup), Failure> {
    let (name, text) = host::read(&arguments.file).map_err(Failure::usage)?;
    let name = inside(&project()?, &name);
    let stem = Path::new(&name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut setup = arguments.options.setup(stem, watched)?;
    setup.script.clone_from(&name);
    // A run of `verify` has a folder of its own, which is not that of its script.
    setup.keeping = if arguments.verify_in.is_some() { Keeping::Staged } else { Keeping::Exclusive };
    setup.json = arguments.format == Format::Json;
    setup.results = arguments.out.as_ref().map(|folder| setup.root.join(folder));
    setup.cache = arguments.verify_in.clone();
    Ok((Script { name, text }, setup))
}

impl Options {
    /// The setup of a run whose results go to `results/<stem>/`.
    pub(super) fn setup(&self, stem: String, watched: &Watched) -> Result<Setup, Failure> {
        Ok(Setup {
            root: project()?,
            stem,
            results: None,
            cache: None,
            overrides: overrides(self).map_err(Failure::usage)?,
            use_cache: !self.no_cache,
            quiet: self.quiet,
            progress: !self.no_progress && !wants_no_progress(),
            json: false,
            stop: Arc::clone(&watched.stop),
            stop_code: Arc::clone(&watched.stop_code),
            allow_read: self.limits.allow_read.clone(),
            device: match self.device {
                Some(name) => name.open().map_err(Failure::usage)?.map(|device| (name, device)),
                None => None,
            },
            script: String::new(),
            keeping: Keeping::Direct,
        })
    }

    /// Computes with as many threads as are asked for, from here on.
    pub(super) fn use_threads(&self) {
        threads::use_threads(self.threads);
    }

    /// The file with parameters, if there is one.
    pub(super) fn params(&self) -> Option<&Path> {
        self.params.as_deref()
    }
}

/// What a run leaves beside its results.
#[derive(Default)]
pub(super) struct Ending {
    /// Whether it is run again to be compared: its record is kept apart.
    pub(super) verifying: bool,
    /// Where the page goes; beside the results by default.
    pub(super) report: Option<PathBuf>,
}

/// Runs a script to its end, and leaves what a run leaves.
pub(super) fn perform(session: &Arc<Session>, script: &Script, ending: &Ending) -> Result<(), Failure> {
    let saerun = env!("CARGO_PKG_VERSION").to_string();
    session.console().emit(Event::Begin { schema: events::SCHEMA, saerun, script: script.name.clone() });
    let begun = record::begin(session);
    let outcome = host::run(session, &script.name, &script.text);
    session.begin_ending();
    let outcome = outcome.map_err(|report| {
        session.console().emit(failed(&report));
        Failure { text: report.draw(session), exit_code: session.exit_code(&report.error) }
    });
    let outcome = outcome.and_then(|()| Ok(leave_record(session, &script.name)?));
    // `exit(n)` ends a run well, and with a code of its own.
    let outcome = outcome.and_then(|()| match session.ended() {
        Some(exit_code @ 1..) => Err(Failure { text: String::new(), exit_code }),
        _ => Ok(()),
    });
    let exit_code = outcome.as_ref().err().map_or(0, |failure| failure.exit_code);
    session.console().emit(Event::End { exit_code, seconds: session.console().elapsed() });
    let kept = record::leave(session, &script.name, begun, ending.verifying, exit_code);
    if let Err(error) = &kept {
        errln!("warning: this run is not on record: {error}");
    }
    let outcome = outcome.map_err(|failure| with_partial(session, kept.as_ref().ok(), failure));
    if ending.verifying {
        return outcome;
    }
    let page = super::report::leave(session, &script.name, kept.ok().as_ref(), ending.report.as_deref(), exit_code);
    session.results().release();
    // What stopped the script comes before what its page lacks.
    outcome.and(page)
}

/// The failure, and where the files are that the run had saved.
fn with_partial(session: &Session, record: Option<&Record>, failure: Failure) -> Failure {
    let place = match record {
        Some(record) => store::partial_dir(session.root(), &record.id),
        None => store::runs_dir(session.root()).join(format!("{}-unrecorded", std::process::id())),
    };
    let note = session.keep_partial(&place).unwrap_or_else(|error| Some(format!("warning: {error}")));
    match note {
        Some(note) => Failure { text: [failure.text, note].join("\n").trim_start().to_string(), ..failure },
        None => failure,
    }
}

/// Whether the environment asks for no progress: a log of continuous integration, mostly.
fn wants_no_progress() -> bool {
    ["NO_PROGRESS", "CI"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// What a failed run says of itself.
fn failed(report: &Report) -> Event {
    let error = &report.error;
    Event::Failed {
        code: error.code.name().to_string(),
        message: error.message.clone(),
        facts: error.facts.clone(),
        help: error.help.clone(),
        at: report.place.clone(),
    }
}

/// Writes the prose and the lock beside the results, and puts all of them into their folder; a script without results leaves
/// nothing.
pub(super) fn leave_record(session: &Session, name: &str) -> crate::error::Result<()> {
    let notes = session.notes();
    session.console().set_place(None);
    if !notes.is_empty() {
        session.save_own("notes.md", format!("{}\n", notes.join("\n\n").trim_end()).as_bytes())?;
    }
    let results = session.results();
    if results.written().is_empty() {
        return Ok(());
    }
    let lock = session.lock(name);
    let before = committed::at(results.home()).filter(|before| before.script.file == lock.script.file);
    session.save_own("run.yaml", yaml::lock_to_yaml(&lock)?.as_bytes())?;
    if before.as_ref().is_some_and(|before| before.params != lock.params) {
        session.console().say("note   these replace results of other parameters; `--out FOLDER` keeps both");
    }
    // What an earlier run left under names that this one does not use would belong to no lock.
    results.commit(&before.map(|before| before.outputs).unwrap_or_default())
}

/// The script's name in reports and in the lock: its path inside the project, or its bare file name.
pub(super) fn inside(root: &Path, name: &str) -> String {
    let path = Path::new(name);
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let shown = real.strip_prefix(root).map(Path::to_path_buf);
    let shown = shown.unwrap_or_else(|_| path.file_name().map(PathBuf::from).unwrap_or_default());
    shown.to_string_lossy().replace('\\', "/")
}

/// The parameters of the file, then those of `--set` over them.
fn overrides(options: &Options) -> crate::error::Result<BTreeMap<String, Override>> {
    let mut all = BTreeMap::new();
    if let Some(path) = &options.params {
        let text = crate::input::read_text(path).map_err(|error| error.fact("wanted", "the file of `--params`"))?;
        if let Value::Object(pairs) = yaml::parse_params(&text)? {
            all.extend(pairs.into_iter().map(|(name, value)| (name, Override::Plain(value))));
        }
    }
    for (i, (name, value)) in options.set.iter().enumerate() {
        if options.set[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::new(Code::Failed, format!("`--set {name}=..` is given twice"))
                .help("keep the one that is meant"));
        }
        all.insert(name.clone(), Override::Text(value.clone()));
    }
    Ok(all)
}
