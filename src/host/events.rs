//! What happens in a run, as plain data: for the run record, the report, and `--format json`, which prints one object a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::plot::Data;

/// The version of the lines of `--format json`; a field may be added without changing it.
pub const SCHEMA: u32 = 1;

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file's path inside the project.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1; 0 when only the line is known.
    pub column: usize,
}

/// One thing that happened, in the order of the script. `at` is the call that made it happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins.
    Begin {
        /// The version of these lines: [`SCHEMA`].
        schema: u32,
        /// Version of saerun.
        saerun: String,
        /// The script's path inside the project.
        script: String,
    },
    /// The script declared its parameters; the values are the resolved ones.
    Params {
        /// By name.
        values: BTreeMap<String, Value>,
        /// What the script declares, by name.
        #[serde(default)]
        defaults: BTreeMap<String, Value>,
        /// The call of `params`.
        at: Option<Place>,
    },
    /// `print` or `debug`.
    Print {
        /// What was printed, without the end of the line.
        text: String,
        /// The call.
        at: Option<Place>,
    },
    /// A remembered function has its result.
    Step {
        /// Such as `sae::train`.
        function: String,
        /// The digest of its key.
        key: String,
        /// Whether the result was remembered; it was computed otherwise.
        cached: bool,
        /// How long it took.
        seconds: f64,
        /// The call.
        at: Option<Place>,
    },
    /// A file of the results was written.
    Saved {
        /// Its name in the folder of the results.
        file: String,
        /// BLAKE3 of its content, in hex.
        blake3: String,
        /// Its length.
        bytes: u64,
        /// The call; none for what a run leaves at its end.
        at: Option<Place>,
    },
    /// What the picture in a file of the results shows, in numbers.
    Figure {
        /// Its name in the folder of the results.
        file: String,
        /// One table a chart, the first rows of each.
        data: Vec<Data>,
        /// The call.
        at: Option<Place>,
    },
    /// Prose for the report.
    Note {
        /// In Markdown.
        markdown: String,
        /// The call of `run::note`.
        at: Option<Place>,
    },
    /// Something worth a look that stops nothing.
    Warning {
        /// One clause.
        message: String,
        /// The call.
        at: Option<Place>,
    },
    /// Long work goes on; at most one line in some seconds, and not kept in the record.
    Progress {
        /// What is being done.
        label: String,
        /// Units that are finished.
        done: u64,
        /// Of so many.
        total: u64,
        /// Such as `loss 4.29`.
        note: String,
    },
    /// The run failed.
    Failed {
        /// The error's stable name, such as `unknown-option`.
        code: String,
        /// One clause.
        message: String,
        /// What was expected, given, and the like.
        facts: Vec<(String, String)>,
        /// One thing to try.
        help: Option<String>,
        /// Where.
        at: Option<Place>,
    },
    /// The run is over.
    End {
        /// The exit code of the process.
        exit_code: u8,
        /// How long all of it took.
        seconds: f64,
    },
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since the run began.
    pub after: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
