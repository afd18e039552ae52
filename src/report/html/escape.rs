//! Text in HTML, and names that are used once.

use std::collections::BTreeSet;

use crate::report::characters::legible;

/// The text, safe between tags and inside quotes. Characters that HTML forbids become the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 8);
    for c in legible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\r' => {}
            c => safe.push(c),
        }
    }
    safe
}

/// The ids of a page.
#[derive(Debug, Default)]
pub(super) struct Ids {
    used: BTreeSet<String>,
}

impl Ids {
    /// An id made of the letters and digits of `text`, that nothing else on the page has.
    pub(super) fn fresh(&mut self, text: &str) -> String {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let mut slug = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
        if slug.is_empty() {
            slug = "part".to_string();
        }
        let mut id = slug.clone();
        let mut number = 2;
        while !self.used.insert(id.clone()) {
            id = format!("{slug}-{number}");
            number += 1;
        }
        id
    }
}
