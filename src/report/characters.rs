//! Characters that no document may hold: those that XML forbids, and with them the control characters that HTML forbids too.

use std::borrow::Cow;

/// The text with the replacement character for each character that XML or HTML forbids; tabs and line ends stay.
pub fn legible(text: &str) -> Cow<'_, str> {
    if text.contains(is_forbidden) { text.replace(is_forbidden, "\u{fffd}").into() } else { text.into() }
}

/// As [`legible`], on one line.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    match legible(text) {
        text if text.contains(['\n', '\r', '\t']) => text.replace(['\n', '\r', '\t'], " ").into(),
        text => text,
    }
}

fn is_forbidden(c: char) -> bool {
    let code = c as u32;
    c.is_control() && !matches!(c, '\n' | '\r' | '\t') || code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}
