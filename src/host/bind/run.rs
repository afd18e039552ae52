//! `run::`: prose, progress, requirements and text files of a run.

use rhai::plugin::*;
use rhai::{Array, Dynamic, NativeCallContext};

use crate::error::{Code, Error};
use crate::host::raise::{At, Raised};
use crate::host::session::session;
use crate::host::value::readable;

/// The functions of the namespace `run`.
#[export_module]
pub mod run {
    /// Adds prose to the report of this run.
    ///
    /// * `markdown`: the text, in Markdown.
    ///
    /// Errors: `failed` when the script has saved a file `notes.md` of its own, which is where the prose goes.
    ///
    /// ```rhai
    /// run::note("## What is asked\nDo the neighbors share one neighbor?");
    /// assert(true);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn note(ctx: NativeCallContext, markdown: &str) -> Raised<()> {
        session(&ctx).note(markdown).at(&ctx)
    }

    /// Wraps an array so that a `for` loop over it shows a progress bar.
    ///
    /// * `items`: an array of any values.
    /// * `label`: the name of the bar.
    ///
    /// Returns the items, in order.
    ///
    /// ```rhai
    /// let sum = 0;
    /// for seed in run::progress([1, 2, 3], "seeds") { sum += seed; }
    /// assert_eq(sum, 6);
    /// ```
    pub fn progress(ctx: NativeCallContext, items: Array, label: &str) -> Progress {
        Progress { items: items.into(), next: 0, label: label.into(), session: session(&ctx) }
    }

    /// Stops the script with a message when a condition does not hold.
    ///
    /// * `condition`: a bool.
    /// * `message`: what to say.
    ///
    /// Errors: `failed`, with the message, when the condition is false.
    ///
    /// ```rhai
    /// run::require(1 < 2, "order is lost");
    /// let said = "";
    /// try { run::require(false, "no data") } catch (e) { said = e.message; }
    /// assert_eq(said, "no data");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn require(ctx: NativeCallContext, condition: bool, message: &str) -> Raised<()> {
        if condition { Ok(()) } else { Err(Error::new(Code::Failed, message)).at(&ctx) }
    }

    /// Writes a text file into the results folder of this script.
    ///
    /// * `name`: the file's name, such as `"answer.md"`; it stays inside `results/<script>/`. A run saves each name once.
    /// * `text`: what to write; any other value is written as `print` shows it.
    ///
    /// Errors: `outside-project` for a name that leads elsewhere, `failed` for one that is taken, `write-failed`.
    ///
    /// ```rhai
    /// run::save_text("answer.md", "No: they do not share one neighbor.\n");
    /// assert(true);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn save_text(ctx: NativeCallContext, name: &str, text: Dynamic) -> Raised<()> {
        session(&ctx).save(name, readable(&ctx, text).as_bytes()).at(&ctx)
    }
}

/// An array that reports how far a loop over it has come.
#[derive(Clone)]
pub struct Progress {
    items: std::sync::Arc<[Dynamic]>,
    next: usize,
    label: String,
    session: std::sync::Arc<crate::host::Session>,
}

impl Iterator for Progress {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        self.session.monitor().update(&self.label, self.next as u64, self.items.len() as u64, "");
        let item = self.items.get(self.next)?;
        self.next += 1;
        Some(item.clone())
    }
}
