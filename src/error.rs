//! The one error type of the core.
//!
//! An [`Error`] is plain data: a stable [`Code`], a one-clause message, the facts (what was expected, what was
//! given) and at most one line of help. It knows no script position and no rhai: the host adds the position
//! where a binding fails, and the command line draws the report.

use std::fmt;

/// What kind of failure this is: stable, kebab-case in scripts and reports, and mapped to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A script does not parse.
    Syntax,
    /// A function that is not registered was called.
    UnknownFunction,
    /// An option map holds a key that the function does not have.
    UnknownOption,
    /// `--set` or a parameter file names a parameter that the script does not declare.
    UnknownParameter,
    /// A name (hook, corpus, model, architecture, column) is not one of those that exist.
    UnknownName,
    /// A value has another type than the one asked for.
    WrongType,
    /// A value lies outside the range that makes sense.
    OutOfRange,
    /// Two shapes do not fit each other.
    ShapeMismatch,
    /// A file or folder is not there.
    MissingFile,
    /// A file is there and cannot be what it claims to be.
    DamagedFile,
    /// A file is whole, but of a kind that this version does not read or write.
    Unsupported,
    /// A training's loss or parameters stopped being finite numbers.
    Diverged,
    /// The work would need more memory or disk than there is.
    TooLarge,
    /// Writing a file failed.
    WriteFailed,
    /// A path leads outside the project.
    OutsideProject,
    /// `run::require` did not hold, or the script threw.
    Failed,
    /// Ctrl-C or a termination signal.
    Interrupted,
    /// A library below failed in a way that saerun did not foresee.
    Internal,
}

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Code; 18] = [
        Code::Syntax,
        Code::UnknownFunction,
        Code::UnknownOption,
        Code::UnknownParameter,
        Code::UnknownName,
        Code::WrongType,
        Code::OutOfRange,
        Code::ShapeMismatch,
        Code::MissingFile,
        Code::DamagedFile,
        Code::Unsupported,
        Code::Diverged,
        Code::TooLarge,
        Code::WriteFailed,
        Code::OutsideProject,
        Code::Failed,
        Code::Interrupted,
        Code::Internal,
    ];

    /// The name that scripts see as `e.code` and that reports show in brackets.
    pub fn name(self) -> &'static str {
        match self {
            Code::Syntax => "syntax",
            Code::UnknownFunction => "unknown-function",
            Code::UnknownOption => "unknown-option",
            Code::UnknownParameter => "unknown-parameter",
            Code::UnknownName => "unknown-name",
            Code::WrongType => "wrong-type",
            Code::OutOfRange => "out-of-range",
            Code::ShapeMismatch => "shape-mismatch",
            Code::MissingFile => "missing-file",
            Code::DamagedFile => "damaged-file",
            Code::Unsupported => "unsupported",
            Code::Diverged => "diverged",
            Code::TooLarge => "too-large",
            Code::WriteFailed => "write-failed",
            Code::OutsideProject => "outside-project",
            Code::Failed => "failed",
            Code::Interrupted => "interrupted",
            Code::Internal => "internal",
        }
    }

    /// The process exit code: 1 the script failed, 2 usage or configuration, 130 interrupted.
    pub fn exit_code(self) -> u8 {
        match self {
            Code::UnknownParameter => 2,
            Code::Interrupted => 130,
            _ => 1,
        }
    }
}

/// A failure, as plain data. See the module documentation.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// One lower-case clause without a full stop.
    pub message: String,
    /// What was expected, what was given: name and value, in reading order.
    pub facts: Vec<(String, String)>,
    /// One thing to try.
    pub help: Option<String>,
}

/// The result of everything in the core that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind with this one-clause message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), facts: Vec::new(), help: None }
    }

    /// Adds a fact, such as `("expected", "an int")`.
    pub fn fact(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.facts.push((name.to_string(), value.to_string()));
        self
    }

    /// Sets the one thing to try.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A name that is not among the known ones; the help names the nearest.
    pub fn unknown(code: Code, what: &str, given: &str, known: &[&str]) -> Self {
        let error = Error::new(code, format!("unknown {what} `{given}`")).fact("known", known.join(", "));
        match nearest(given, known) {
            Some(name) => error.help(format!("did you mean `{name}`?")),
            None => error,
        }
    }
}

/// The known name nearest to `given` by edit distance, when it is near enough to be a slip.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), *name))
        .filter(|(distance, name)| 3 * distance <= name.len().min(given.len()) + 1)
        .min()
        .map(|(_, name)| name)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for (i, (name, value)) in self.facts.iter().enumerate() {
            write!(f, "{}{name} {value}", if i == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        use candle_core::Error as Candle;
        let text = error.to_string();
        let message = text.lines().next().unwrap_or("tensor operation failed").to_string();
        let mut inner = &error;
        while let Candle::WithBacktrace { inner: next, .. } | Candle::Context { inner: next, .. } = inner {
            inner = next;
        }
        match inner {
            Candle::ShapeMismatchBinaryOp { lhs, rhs, op } => {
                Error::new(Code::ShapeMismatch, format!("shapes do not fit in {op}"))
                    .fact("left", format!("{:?}", lhs.dims()))
                    .fact("right", format!("{:?}", rhs.dims()))
            }
            Candle::DimOutOfRange { .. }
            | Candle::UnexpectedNumberOfDims { .. }
            | Candle::ShapeMismatch { .. }
            | Candle::UnexpectedShape { .. }
            | Candle::EmptyTensor { .. }
            | Candle::NarrowInvalidArgs { .. }
            | Candle::BroadcastIncompatibleShapes { .. }
            | Candle::MatMulUnexpectedStriding(_) => Error::new(Code::ShapeMismatch, message),
            _ => Error::new(Code::Internal, message),
        }
    }
}
