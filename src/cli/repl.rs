//! `saerun repl [FILE]`: a conversation with the script engine, on a terminal or line by line from a file.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Instant;

use clap::Args;

use super::limits::Watched;
use super::{Failure, plain, run, terminal};
use crate::error::{Code, Error};
use crate::host::output::{errln, out, outln};
use crate::host::repl::{Failed, LAST, Repl, unfinished};
use crate::host::{docs, run as host};

/// What `saerun repl` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// A script to run first; its functions and top-level variables are there then
    file: Option<PathBuf>,
    #[command(flatten)]
    options: run::Options,
}

const AFTER: &str = "\
Example:
  saerun repl scripts/peaks.rhai --set size=smoke
  > let n = geometry::nearest_neighbors(tensor::random_directions(200, 16, 0));
  > geometry::summary(tensor::eye(3)).coherence
  0.0
  > it + 1
  1.0

The value of an input is shown and kept in the variable `it`. A figure is saved as
results/repl/figure-1.svg, and so on. An input that fails changes nothing. `:help` lists commands.
When stdin is no terminal, inputs are read from it, and the exit code is 1 when one has failed.";

/// The commands: name, argument, what they do.
pub(super) const COMMANDS: [(&str, &str, &str); 8] = [
    (":help", "", "list these commands"),
    (":doc", "NAME", "what a function, a method or a namespace does"),
    (":vars", "", "the variables: name, type, value"),
    (":time", "EXPRESSION", "evaluate, and say how long it took"),
    (":load", "FILE", "run a script here; its variables and functions are kept"),
    (":reset", "", "forget all variables, functions and imports"),
    (":quit", "", "leave; so do Ctrl-D and `exit()`"),
    (":q", "", "the same"),
];

/// Whether to go on.
pub(super) enum Next {
    More,
    Leave,
}

/// A conversation and what its inputs have come to.
pub(super) struct Talk {
    pub(super) repl: Repl,
    pub(super) root: PathBuf,
    attention: Arc<Attention>,
    failures: usize,
    interrupted: bool,
    /// The code of the `exit` that ended it.
    left: Option<u8>,
}

/// What a signal finds.
#[derive(Default)]
struct Attention {
    stop: Arc<AtomicBool>,
    busy: AtomicBool,
    presses: AtomicU8,
}

/// Opens the conversation and leads it to its end.
pub(super) fn repl(arguments: &Arguments) -> Result<(), Failure> {
    let attention = Arc::new(Attention::default());
    let watched = Watched { stop: Arc::clone(&attention.stop), ..Watched::default() };
    let setup = arguments.options.setup("repl".to_string(), &watched)?;
    if arguments.file.is_none() && !setup.overrides.is_empty() {
        let error = Error::new(Code::UnknownParameter, "there is no script to set parameters of");
        return Err(Failure::usage(error.help("saerun repl FILE --set NAME=VALUE")));
    }
    if arguments.options.limits.timeout.is_some() {
        let error = Error::new(Code::Unsupported, "a conversation has no `--timeout`");
        return Err(Failure::usage(error.help("Ctrl-C stops what is running")));
    }
    arguments.options.limits.set()?;
    arguments.options.use_threads();
    watch_signals(&attention);
    let root = setup.root.clone();
    let mut talk = Talk { repl: Repl::new(setup)?, root, attention, failures: 0, interrupted: false, left: None };
    if let Some(file) = &arguments.file {
        talk.load(file);
    }
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        terminal::talk(&mut talk)?
    } else {
        talk.read()?
    }
    match talk.left {
        Some(exit_code @ 1..) => return Err(Failure { text: String::new(), exit_code }),
        Some(0) => return Ok(()),
        None => {}
    }
    match (talk.interrupted, talk.failures) {
        _ if terminal => Ok(()),
        (true, _) => Err(Error::new(Code::Interrupted, "interrupted").into()),
        (_, 0) => Ok(()),
        (_, n) => Err(Error::new(Code::Failed, format!("{n} input{} failed", if n == 1 { "" } else { "s" })).into()),
    }
}

impl Talk {
    /// Takes inputs from stdin, line by line, each as many lines as it needs.
    fn read(&mut self) -> Result<(), Failure> {
        let mut input = String::new();
        for line in std::io::stdin().lock().lines() {
            input += &line.map_err(|e| Error::new(Code::DamagedFile, format!("cannot read stdin: {e}")))?;
            if !is_command(&input) && unfinished(&input) {
                input.push('\n');
                continue;
            }
            if matches!(self.take(&std::mem::take(&mut input)), Next::Leave) || self.interrupted {
                return Ok(());
            }
        }
        if !input.trim().is_empty() {
            self.take(&input);
        }
        Ok(())
    }

    /// Does what an input says.
    pub(super) fn take(&mut self, input: &str) -> Next {
        let input = input.trim();
        if !is_command(input) {
            return if input.is_empty() { Next::More } else { self.eval(input) };
        }
        let (command, argument) = input.split_once(char::is_whitespace).unwrap_or((input, ""));
        let argument = argument.trim();
        let wants = COMMANDS.iter().find(|(name, ..)| *name == command).map_or("", |(_, wants, _)| wants);
        if argument.is_empty() && !wants.is_empty() {
            self.complain(
                &Error::new(Code::Failed, format!("`{command}` of what?")).help(format!("{command} {wants}")),
            );
            return Next::More;
        }
        match command {
            ":help" => help(),
            ":doc" => self.doc(argument),
            ":vars" => self.vars(),
            ":time" => {
                let begin = Instant::now();
                let next = self.eval(argument);
                errln!("took {}", took(begin.elapsed().as_secs_f64()));
                return next;
            }
            ":load" => self.load(Path::new(argument)),
            ":reset" => {
                if let Err(error) = self.repl.reset() {
                    self.complain(&error);
                }
            }
            ":quit" | ":q" => return Next::Leave,
            _ => {
                let known: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
                self.complain(&Error::unknown(Code::UnknownName, "command", command, &known));
            }
        }
        Next::More
    }

    /// Runs an input and shows its value; `exit` in it leaves.
    fn eval(&mut self, input: &str) -> Next {
        self.attention.begin();
        let outcome = self.repl.eval(input);
        self.attention.end();
        match outcome {
            _ if self.repl.ended().is_some() => {
                self.left = self.repl.ended();
                return Next::Leave;
            }
            Ok(Some(value)) => outln!("{value}"),
            Ok(None) => {}
            Err(failed) => self.failed(&failed),
        }
        Next::More
    }

    /// Runs a script and takes over what it defines.
    fn load(&mut self, file: &Path) {
        let (name, text) = match host::read(file) {
            Ok((name, text)) => (run::inside(&self.root, &name), text),
            Err(error) => return self.complain(&error),
        };
        self.attention.begin();
        let outcome = self.repl.load(&name, &text);
        self.attention.end();
        // A script that ends by `exit` has ended well, and the conversation goes on.
        if let (Err(failed), None) = (outcome, self.repl.ended()) {
            self.failed(&failed);
        }
    }

    /// Documentation of a function.
    fn doc(&mut self, name: &str) {
        let functions = self.repl.functions(false);
        let all = || docs::text(&self.repl.functions(true), name);
        match docs::text(&functions, name).or_else(all) {
            Some(text) => out!("{text}"),
            None => {
                let known: Vec<String> = functions.iter().map(docs::Function::path).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let mut error = Error::unknown(Code::UnknownFunction, "function", name, &known);
                error.facts.clear();
                self.complain(&error);
            }
        }
    }

    /// A line for each variable.
    fn vars(&self) {
        let all = self.repl.variables();
        let width = |of: fn(&crate::host::repl::Variable) -> &str| all.iter().map(|v| of(v).len()).max().unwrap_or(0);
        let (names, kinds) = (width(|v| &v.name), width(|v| &v.kind));
        for variable in &all {
            let (name, kind) = (&variable.name, &variable.kind);
            outln!("{name:names$}  {kind:kinds$}  {}", self.repl.line(name));
        }
    }

    fn failed(&mut self, failed: &Failed) {
        self.failures += 1;
        self.interrupted |= failed.code == Code::Interrupted;
        errln!("{}", failed.text);
    }

    fn complain(&mut self, error: &Error) {
        self.failures += 1;
        errln!("{}", plain(error));
    }
}

/// Whether an input is one of the commands rather than code.
pub(super) fn is_command(input: &str) -> bool {
    input.trim_start().starts_with(':')
}

fn help() {
    for (name, argument, what) in COMMANDS {
        outln!("{:<18}{what}", format!("{name} {argument}"));
    }
    outln!(
        "\nThe value of an input is shown and kept in `{LAST}`; figures are saved. Tab completes. An input goes on in the\n\
         next line while a bracket, a block or an expression is open. An input that fails changes nothing.\n\
         Ctrl-C stops what is running."
    );
}

/// Seconds, or milliseconds of less than a second.
fn took(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { crate::report::number::duration(seconds) }
}

impl Attention {
    fn begin(&self) {
        self.stop.store(false, Ordering::Relaxed);
        self.presses.store(0, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }
}

/// Ctrl-C stops the input that is running; the third time it ends the process. A signal to an idle process ends it.
fn watch_signals(attention: &Arc<Attention>) {
    use signal_hook::consts;
    crate::progress::stop_by(&attention.stop);
    let attention = Arc::clone(attention);
    let mut signals = match signal_hook::iterator::Signals::new([consts::SIGINT, consts::SIGTERM]) {
        Ok(signals) => signals,
        Err(error) => return errln!("warning: Ctrl-C will end the process: {error}"),
    };
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if !attention.busy.load(Ordering::Relaxed) {
                std::process::exit(130);
            }
            attention.stop.store(true, Ordering::Relaxed);
            match attention.presses.fetch_add(1, Ordering::Relaxed) {
                0 => {}
                1 => errln!("it will stop soon; Ctrl-C once more ends the process"),
                _ => std::process::exit(130),
            }
        }
    });
}
