//! The prompt of the REPL: line editing, history, completion and hints, by rustyline.

use std::borrow::Cow;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::Failure;
use super::repl::{COMMANDS, Next, Talk, is_command};
use crate::error::{Code, Error};
use crate::host::output::errln;
use crate::host::repl::{Candidate, History, Names, complete, hint, unfinished};

/// Takes inputs from the terminal until one says to leave.
pub(super) fn talk(talk: &mut Talk) -> Result<(), Failure> {
    let broken = |error: ReadlineError| Error::new(Code::Internal, format!("the terminal does not answer: {error}"));
    let config = Config::builder().completion_type(CompletionType::List).build();
    let past = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, past).map_err(broken)?;
    let (mut history, inputs) = History::open(&talk.root)?;
    editor.set_max_history_size(inputs.len() + 1000).map_err(broken)?;
    for input in inputs {
        editor.add_history_entry(input).map_err(broken)?;
    }
    errln!("saerun {}: `:help` lists commands, Tab completes, Ctrl-D leaves", env!("CARGO_PKG_VERSION"));
    loop {
        editor.set_helper(Some(Desk { names: talk.repl.names() }));
        let input = match editor.readline("> ") {
            Ok(input) => input,
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => Err(broken(error))?,
        };
        if !input.trim().is_empty() {
            editor.add_history_entry(&input).map_err(broken)?;
            history.add(&input)?;
        }
        if matches!(talk.take(&input), Next::Leave) {
            return Ok(());
        }
    }
}

/// What helps while an input is being typed.
struct Desk {
    names: Names,
}

impl Helper for Desk {}

impl Validator for Desk {
    fn validate(&self, ctx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let goes_on = !is_command(ctx.input()) && unfinished(ctx.input());
        Ok(if goes_on { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Completer for Desk {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, ctx: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let text = &line[..pos];
        if text.starts_with(":load ") {
            return FilenameCompleter::new().complete(line, pos, ctx);
        }
        let (start, found) = match text.strip_prefix(':') {
            Some(rest) if rest.chars().all(char::is_alphanumeric) => {
                let commands = COMMANDS.iter().filter(|(name, ..)| name.starts_with(text));
                (0, commands.map(|(name, ..)| Candidate::plain(*name)).collect())
            }
            _ => complete(text, &self.names),
        };
        let pair = |candidate: Candidate| Pair { display: candidate.shown, replacement: candidate.word };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Desk {
    type Hint = Arguments;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Arguments> {
        if pos < line.len() { None } else { hint(line, &self.names).map(Arguments) }
    }
}

/// The arguments of a function: to read, not to insert.
struct Arguments(String);

impl Hint for Arguments {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Highlighter for Desk {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[m"))
    }
}
