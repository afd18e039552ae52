//! The page of a run: one file that explains itself, from plain data to a string.
//!
//! It loads nothing from anywhere and reads the same without scripts; a few lines of JavaScript make tables sortable. Everything that a
//! script says is text: prose may use Markdown and no HTML, pictures are rewritten from a list of harmless elements, and a
//! content security policy stands behind both. The source is shown with what it made beside the lines that made it.
//!
//! # Where the page goes, and why it is not committed
//! A page says what happened in *one* run: how long each step took, what was remembered. The next run of the same script is
//! another page, though its results have the same bytes. So the page is no result: a run that ends well leaves it beside them, as
//! `results/<script>/report.html`, ready to be sent to a colleague, and `.gitignore` keeps it out of the repository, where hosts show HTML as source
//! and every run would make a diff. What is committed are the tables, figures, notes and the lock that it was made of. For the same run record
//! and results the page has the same bytes, so `saerun report` can make it again at any time.

mod document;
mod escape;
mod figure;
mod listing;
mod markdown;
mod output;
mod source;
mod table;

pub use document::page;
pub use table::Grid;

/// The style of every page.
pub const STYLE: &str = include_str!("style.css");

/// What makes tables sortable.
pub const SCRIPT: &str = include_str!("sort.js");

/// A run, as a page shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The script's path inside the project.
    pub script: String,
    /// Version of saerun.
    pub saerun: String,
    /// The exit code; none while the run goes on.
    pub exit_code: Option<u8>,
    /// How long the run took.
    pub seconds: f64,
    /// What else is known of the run: name and value.
    pub facts: Vec<(String, String)>,
    /// The declared parameters.
    pub params: Vec<Param>,
    /// The script, then the files that it imports.
    pub sources: Vec<Source>,
    /// What happened, in order.
    pub items: Vec<Item>,
    /// The remembered functions that were called, in order.
    pub steps: Vec<Step>,
    /// Digests: what it is of, its name, BLAKE3 in hex.
    pub digests: Vec<(&'static str, String, String)>,
    /// The run lock as YAML.
    pub lock: String,
    /// How a link from the page to a file of the results begins: empty when the page lies beside them. None makes no links.
    pub folder: Option<String>,
}

/// A declared parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What the run took.
    pub value: String,
    /// What the script declares, when it is known.
    pub default: Option<String>,
}

/// A source file.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its path inside the project.
    pub file: String,
    /// Its text, or why it cannot be shown.
    pub text: Result<String, String>,
}

/// A line of a source file.
#[derive(Debug, Clone, PartialEq)]
pub struct At {
    /// The file's path inside the project.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// Something that the page shows, and the line that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The call; none for what belongs to no line.
    pub at: Option<At>,
    /// What it is.
    pub body: Body,
}

/// What a line made.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A print.
    Print(String),
    /// Prose in Markdown.
    Note(String),
    /// A warning.
    Warning(String),
    /// The step of this index in [`Page::steps`].
    Step(usize),
    /// A saved table and the files that hold it.
    Table(Vec<String>, Grid),
    /// A saved figure.
    Figure {
        /// The file.
        file: String,
        /// The text of the file.
        svg: String,
        /// What it shows in numbers: a title and a table for each chart.
        data: Vec<(String, Grid)>,
    },
    /// A saved text, and whether it is Markdown.
    Text(String, String, bool),
    /// Another saved file, and what there is to say about it.
    File(String, String),
    /// What stopped the run.
    Failure {
        /// The error's stable name.
        code: String,
        /// One clause.
        message: String,
        /// What was expected, given, and the like.
        facts: Vec<(String, String)>,
        /// One thing to try.
        help: Option<String>,
    },
}

/// A call of a remembered function.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Such as `sae::train`.
    pub function: String,
    /// The digest of its key.
    pub key: String,
    /// Whether its result was remembered.
    pub cached: bool,
    /// How long it took.
    pub seconds: f64,
    /// The call.
    pub at: Option<At>,
}
