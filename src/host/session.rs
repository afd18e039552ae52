//! One run of one script: where it works, what it may change, what it remembers, what it leaves on record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use candle_core::Device;
use rhai::{Engine, NativeCallContext};
use serde_json::Value;

use crate::device::DeviceName;
use crate::error::{Code, Error, Result};
use crate::host::code;
use crate::host::console::{Console, Voice, locked};
use crate::host::events::{Event, Place};
use crate::host::inputs::Inputs;
use crate::host::saving::Keeping;
use crate::progress::{Checkpoint, Monitor, Stop};
use crate::report::number::duration;
use crate::store;

/// What the command line says about a run.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The project folder; everything a script reads or writes lies inside.
    pub root: PathBuf,
    /// The script's file name without `.rhai`; results go to `results/<stem>/`.
    pub stem: String,
    /// Another folder for the results: that of a cell of a sweep, or `--out`.
    pub results: Option<PathBuf>,
    /// Another folder for what is remembered, in place of the project's: `verify` computes everything afresh.
    pub cache: Option<PathBuf>,
    /// Parameters from `--params` and `--set`, the latter having won.
    pub overrides: BTreeMap<String, Override>,
    /// Whether remembered results may be used; they are written in any case.
    pub use_cache: bool,
    /// Nothing on stderr but warnings and errors.
    pub quiet: bool,
    /// Whether long work shows how far it is.
    pub progress: bool,
    /// Events on stdout, one JSON object a line, instead of what the script prints.
    pub json: bool,
    /// Set to end the run soon: Ctrl-C.
    pub stop: Arc<AtomicBool>,
    /// The exit code that the stop stands for, set before it; 0 counts as 130, that of Ctrl-C.
    pub stop_code: Arc<AtomicUsize>,
    /// Folders and files outside the project that scripts may read.
    pub allow_read: Vec<PathBuf>,
    /// Where SAEs are trained, when not on the CPU.
    pub device: Option<(DeviceName, Device)>,
    /// The script's path inside the project: the owner of the results.
    pub script: String,
    /// How what the script saves is kept until the run has ended.
    pub keeping: Keeping,
}

/// A parameter's value from outside the script.
#[derive(Debug, Clone, PartialEq)]
pub enum Override {
    /// Text from `--set name=text`, read as the type that the declaration fixes.
    Text(String),
    /// A value from a parameter file.
    Plain(Value),
}

/// One run of one script. Bindings get it by [`session`].
pub struct Session {
    root: PathBuf,
    stem: String,
    results: store::Results,
    cache: store::Cache,
    overrides: BTreeMap<String, Override>,
    console: Console,
    params: Mutex<Option<Value>>,
    steps: Mutex<Vec<store::Step>>,
    pub(super) inputs: Mutex<Inputs>,
    pub(super) script: String,
    pub(super) keeping: Keeping,
    /// Whether the folder of the results is this run's.
    pub(super) taken: Mutex<bool>,
    sources: Mutex<BTreeMap<String, Arc<str>>>,
    engine: Mutex<Weak<Engine>>,
    /// The call that is being computed, not remembered, and since when.
    computing: Mutex<Option<(store::Key, Instant)>>,
    misuse: AtomicBool,
    pub(super) stop_code: Arc<AtomicUsize>,
    allow_read: Vec<PathBuf>,
    device: Option<(DeviceName, Device)>,
    pub(super) ended: OnceLock<u8>,
    /// Whether the script is over.
    pub(super) ending: AtomicBool,
}

/// The session of the engine that makes this call, which is told where the call stands.
pub fn session(ctx: &NativeCallContext) -> Arc<Session> {
    let tag = ctx.tag().and_then(|tag| tag.clone().try_cast::<Arc<Session>>());
    let session = tag.expect("`host::engine` puts the session into the engine's tag, and no script can change it");
    let (position, file) = (ctx.call_position(), ctx.call_source());
    if let (Some(line), Some(file)) = (position.line(), file) {
        let column = position.position().unwrap_or(0);
        session.console.set_place(Some(Place { file: file.to_string(), line, column }));
    }
    session
}

impl Session {
    /// Opens the project for one run.
    ///
    /// # Errors
    /// `outside-project` when the script's name cannot be that of a folder.
    pub fn new(setup: Setup) -> Result<Self> {
        let results = match setup.results {
            Some(folder) => store::Results::at(folder),
            None => store::Results::new(&setup.root, &setup.stem)?,
        };
        let cache = setup.cache.unwrap_or_else(|| setup.root.join(".saerun").join("cache"));
        Ok(Session {
            results: if setup.keeping == Keeping::Direct { results } else { results.staged(&setup.root) },
            cache: store::Cache::open(cache, setup.use_cache).until(Arc::clone(&setup.stop)),
            console: Console::new(Voice { quiet: setup.quiet, progress: setup.progress, json: setup.json }, setup.stop),
            overrides: setup.overrides,
            root: setup.root,
            stem: setup.stem,
            params: Mutex::new(None),
            steps: Mutex::new(Vec::new()),
            inputs: Mutex::default(),
            script: setup.script,
            keeping: setup.keeping,
            taken: Mutex::new(false),
            sources: Mutex::new(BTreeMap::new()),
            engine: Mutex::new(Weak::new()),
            computing: Mutex::new(None),
            misuse: AtomicBool::new(false),
            stop_code: setup.stop_code,
            allow_read: setup.allow_read,
            device: setup.device,
            ended: OnceLock::new(),
            ending: AtomicBool::new(false),
        })
    }

    /// The project folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folders and files outside the project that the script may read.
    pub fn allow_read(&self) -> &[PathBuf] {
        &self.allow_read
    }

    /// Where SAEs are trained, when not on the CPU.
    pub fn device(&self) -> Option<&(DeviceName, Device)> {
        self.device.as_ref()
    }

    /// The script's file name without `.rhai`.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Writes into `results/<stem>/`.
    pub fn results(&self) -> &store::Results {
        &self.results
    }

    /// The cache of expensive calls.
    pub fn cache(&self) -> &store::Cache {
        &self.cache
    }

    /// The terminal.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What long work in the core reports to.
    pub fn monitor(&self) -> &dyn Monitor {
        &self.console
    }

    /// Parameters from the command line, by name.
    pub fn overrides(&self) -> &BTreeMap<String, Override> {
        &self.overrides
    }

    /// The result of an expensive call: from the cache, or computed into a fresh folder that then becomes the entry.
    /// One line on stderr says which. `compute` gets the folder and a checkpoint that survives interruption.
    ///
    /// # Errors
    /// Those of `compute`, and `write-failed`.
    pub fn remember(
        &self,
        key: store::Key,
        compute: &mut dyn FnMut(&Path, &mut dyn Checkpoint) -> Result<()>,
    ) -> Result<store::Entry> {
        let short: String = key.digest().chars().take(8).collect();
        let function = key.function.clone();
        self.record(&key);
        // Closures that the work calls move the place; the step belongs to the call that was made here.
        let at = self.console.place();
        let start = Instant::now();
        let finished = |cached| {
            let (function, key) = (key.function.clone(), key.digest());
            self.console.emit(Event::Step {
                function,
                key,
                cached,
                seconds: start.elapsed().as_secs_f64(),
                at: at.clone(),
            });
        };
        if let Some(entry) = self.cache.get(&key, &|text| self.console.warn(text)) {
            self.console.say(&format!("cached {function} {short}"));
            finished(true);
            return Ok(entry);
        }
        self.console.check()?;
        let mut checkpoint = self.cache.checkpoint(&key);
        let outer = locked(&self.computing).replace((key.clone(), start));
        let entry = self.cache.put(&key, &mut |folder| {
            compute(folder, &mut checkpoint)?;
            // What a kernel that was stopped has left is not to be remembered.
            if Stop::here().told() { self.console.check() } else { Ok(()) }
        });
        *locked(&self.computing) = outer;
        self.console.clear();
        let entry = entry?;
        self.console.say(&format!("ran    {function} {short} in {}", duration(start.elapsed().as_secs_f64())));
        finished(false);
        self.console.set_place(at);
        Ok(entry)
    }

    /// The expensive call that is being computed right now, and since when.
    pub fn computing(&self) -> Option<(store::Key, Instant)> {
        locked(&self.computing).clone()
    }

    /// Puts a call into the run lock, once for each key; whether it ran or was cached is not part of it.
    pub fn record(&self, key: &store::Key) {
        let step = store::Step::of(key);
        let mut steps = locked(&self.steps);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }

    /// What the results of this run were made from; `script` is the name of the script that was run.
    pub fn lock(&self, script: &str) -> store::Lock {
        let digest = |(name, text): (&String, &Arc<str>)| (name.clone(), code::digest(text));
        let mut imports: BTreeMap<String, String> = locked(&self.sources).iter().map(digest).collect();
        let blake3 = imports.remove(script).unwrap_or_default();
        let params = match self.params() {
            Value::Object(pairs) => pairs.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        let (inputs, files) = self.inputs();
        store::Lock {
            saerun: env!("CARGO_PKG_VERSION").to_string(),
            // Bits are those of the device, where there is one.
            kernel: Some(match &self.device {
                Some((name, _)) => name.to_string(),
                None => crate::ops::kernel::kernel().name.to_string(),
            }),
            script: store::Script { file: script.to_string(), blake3, imports },
            params,
            steps: locked(&self.steps).clone(),
            inputs,
            files,
            outputs: self.results.written(),
        }
    }

    /// Fixes the resolved parameters.
    ///
    /// # Errors
    /// `failed` when the script has called `params` before.
    pub fn set_params(&self, resolved: Value, defaults: Value) -> Result<()> {
        let mut params = locked(&self.params);
        if params.is_some() {
            return Err(Error::new(Code::Failed, "`params` was called twice")
                .fact("expected", "at most one call of `params` a script")
                .help("declare every parameter in one map"));
        }
        if let (Value::Object(values), Value::Object(defaults)) = (&resolved, defaults) {
            let (values, defaults) = (values.clone().into_iter().collect(), defaults.into_iter().collect());
            self.console.emit(Event::Params { values, defaults, at: self.console.place() });
        }
        *params = Some(resolved);
        Ok(())
    }

    /// The resolved parameters: an empty map when the script declares none.
    pub fn params(&self) -> Value {
        locked(&self.params).clone().unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }

    /// Says that the command line is to blame for what fails now, not the script.
    pub fn blame_command_line(&self) {
        self.misuse.store(true, Ordering::Relaxed);
    }

    /// The exit code that a failure of this run stands for.
    pub fn exit_code(&self, error: &Error) -> u8 {
        match error.code {
            _ if self.misuse.load(Ordering::Relaxed) => 2,
            Code::Interrupted => self.stopped_code(),
            code => code.exit_code(),
        }
    }

    /// Keeps the text of a source file, for reports and digests; `name` is its path inside the project.
    pub fn add_source(&self, name: &str, text: &str) {
        locked(&self.sources).insert(name.to_string(), text.into());
    }

    /// The text of a source file that was run or imported.
    pub fn source(&self, name: &str) -> Option<Arc<str>> {
        locked(&self.sources).get(name).cloned()
    }

    /// The source files that were run or imported and the BLAKE3 of each, by path inside the project.
    pub fn sources(&self) -> Vec<(String, String)> {
        let digest = |text: &Arc<str>| blake3::hash(text.as_bytes()).to_hex().to_string();
        locked(&self.sources).iter().map(|(name, text)| (name.clone(), digest(text))).collect()
    }

    /// The texts of the source files that were run or imported, by path inside the project.
    pub fn source_texts(&self) -> BTreeMap<String, String> {
        locked(&self.sources).iter().map(|(name, text)| (name.clone(), text.to_string())).collect()
    }

    /// Lets closures call back into the engine from within the core; the last engine that was set counts.
    pub fn set_engine(&self, engine: &Arc<Engine>) {
        *locked(&self.engine) = Arc::downgrade(engine);
    }

    /// The running engine, for calling closures from within the core.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        locked(&self.engine).upgrade()
    }
}
