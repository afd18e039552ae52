//! What a script does, apart from how it is written down: comments and layout do not count.

use std::borrow::Cow;

use rhai::Engine;

/// The byte order mark that some editors put before a text.
const MARK: char = '\u{feff}';

/// A script as the engine reads it: without a byte order mark, and with a first line `#!..` as blanks. Every other character
/// stays in its place, so that positions are those of the file.
pub fn plain(text: &str) -> Cow<'_, str> {
    let unmarked = text.strip_prefix(MARK).unwrap_or(text);
    let blank = if unmarked.len() < text.len() { " " } else { "" };
    match unmarked.strip_prefix("#!") {
        Some(rest) => {
            let (line, rest) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
            Cow::Owned(format!("{blank}{}{rest}", " ".repeat(2 + line.chars().count())))
        }
        None if blank.is_empty() => Cow::Borrowed(text),
        None => Cow::Owned(format!("{blank}{unmarked}")),
    }
}

/// BLAKE3 of a script's code, in hex: of the text without comments and needless space, as rhai compacts it; of the text as it is where
/// that cannot be parsed. So prose can be made better without computing results again.
pub fn digest(text: &str) -> String {
    let mut engine = Engine::new_raw();
    engine.set_max_expr_depths(0, 0);
    let compact = engine.compact_script(plain(text));
    blake3::hash(compact.as_deref().unwrap_or(text).as_bytes()).to_hex().to_string()
}

/// [`digest`] of a file; `None` when it cannot be read.
pub fn digest_of(path: &std::path::Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| digest(&text))
}
