//! Whether an input goes on in the next line: the parser decides, nobody counts brackets.

use rhai::{Engine, LexError, OptimizationLevel, ParseErrorType};

/// Whether the text is the beginning of something: the parser wants more where it ends.
pub fn unfinished(text: &str) -> bool {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(256, 128);
    let Err(error) = engine.compile(text) else {
        // What no script can end in is welcome at the end of a comment that is open.
        return engine.compile(format!("{text}\n)")).is_ok();
    };
    let (line, column) = (error.1.line().unwrap_or(usize::MAX), error.1.position().unwrap_or(0));
    match *error.0 {
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            let line = text.lines().nth(line - 1).unwrap_or_default();
            line.chars().nth(column.saturating_sub(1)) == Some('`')
        }
        ParseErrorType::WrongDocComment => text.lines().last().is_some_and(|line| line.trim().starts_with("///")),
        _ => (line, column) >= end(text),
    }
}

/// The line, from 1, and the column after the last character that is not white space.
fn end(text: &str) -> (usize, usize) {
    let text = text.trim_end();
    (text.lines().count().max(1), text.lines().last().unwrap_or_default().chars().count() + 1)
}
