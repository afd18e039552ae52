//! The source of a script in color, and which of its lines belong together.
//!
//! A small lexer of its own: the page is made of plain data, far from the script engine, and colors need no more than this.

use super::escape::escape;

const KEYWORDS: [&str; 30] = [
    "let", "const", "if", "else", "switch", "do", "while", "until", "loop", "for", "in", "continue", "break", "return",
    "throw", "try", "catch", "fn", "private", "import", "export", "as", "global", "this", "true", "false", "is", "and",
    "or", "not",
];

/// Strings in strings in strings are looked into this deep.
const DEEPEST: usize = 32;

/// A source file, line by line.
pub(super) struct Lines {
    /// The HTML of each line.
    pub html: Vec<String>,
    /// The prose of each line that is a `//!` comment.
    pub prose: Vec<Option<String>>,
    /// Whether a statement, a comment or an empty line begins here, rather than going on.
    pub starts: Vec<bool>,
    /// Whether each line is empty.
    pub blank: Vec<bool>,
    /// Leading spaces of each line.
    pub indent: Vec<usize>,
    /// Characters of each line.
    pub width: Vec<usize>,
}

/// Reads a source file.
pub(super) fn lines(text: &str) -> Lines {
    let mut lines = Lines { html: vec![], prose: vec![], starts: vec![], blank: vec![], indent: vec![], width: vec![] };
    for line in text.lines() {
        let inner = line.trim_start();
        lines.blank.push(inner.is_empty());
        lines.indent.push(line.chars().count() - inner.chars().count());
        lines.width.push(line.chars().count());
    }
    let count = lines.blank.len();
    lines.html = vec![String::new(); count];
    lines.prose = vec![None; count];
    lines.starts = vec![true; count];
    let mut open: Vec<char> = Vec::new();
    let mut last = ';';
    let mut at = 0;
    let mut rest = text;
    while let Some((kind, length)) = token(rest, 0) {
        let (piece, after) = rest.split_at(length);
        for (i, part) in piece.split('\n').enumerate() {
            if i > 0 {
                at += 1;
                let inside = open.last().is_some_and(|bracket| *bracket != '{');
                if let Some(start) = lines.starts.get_mut(at) {
                    *start = !inside && matches!(last, ';' | '{' | '}') && kind.is_none();
                }
            }
            let Some(html) = lines.html.get_mut(at) else { continue };
            match kind {
                Some(class) if !part.trim().is_empty() => {
                    *html += &format!("<i class=\"{class}\">{}</i>", escape(part))
                }
                _ => *html += &escape(part),
            }
            if let (Some("c"), Some(prose)) = (kind, part.strip_prefix("//!")) {
                lines.prose[at] = Some(prose.strip_prefix(' ').unwrap_or(prose).trim_end().to_string());
            }
        }
        match piece {
            "(" | "[" | "{" | "#{" => open.extend(piece.chars().next()),
            ")" | "]" | "}" => drop(open.pop()),
            _ => {}
        }
        if !piece.trim().is_empty() && kind != Some("c") {
            last = piece.chars().last().unwrap_or(last);
            // A closed map or index is an expression that may go on; a closed block is not.
            if kind.is_some() {
                last = 'x';
            }
        }
        rest = after;
    }
    lines
}

/// The next token: its class, if it has a color, and its length in bytes; `depth` counts the strings that hold it.
fn token(text: &str, depth: usize) -> Option<(Option<&'static str>, usize)> {
    let first = text.chars().next()?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let run = |keep: &dyn Fn(char) -> bool| text.find(|c| !keep(c)).unwrap_or(text.len());
    Some(match first {
        '/' if text.starts_with("//") => (Some("c"), text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => (Some("c"), comment(text)),
        '"' => (Some("s"), quoted(text, '"')),
        '\'' => (Some("s"), quoted(text, '\'')),
        '`' if depth < DEEPEST => (Some("s"), template(text, depth + 1)),
        '#' if text.starts_with("#{") => (None, 2),
        '\n' => (None, 1),
        c if c.is_ascii_digit() => (Some("m"), number(text)),
        c if c.is_alphabetic() || c == '_' => {
            let length = run(&word);
            let after = text[length..].trim_start_matches(' ');
            let class = match &text[..length] {
                name if KEYWORDS.contains(&name) => Some("k"),
                _ if after.starts_with("::") => Some("n"),
                _ if after.starts_with('(') => Some("f"),
                _ => None,
            };
            (class, length)
        }
        ' ' | '\t' => (None, run(&|c| c == ' ' || c == '\t')),
        other => (None, other.len_utf8()),
    })
}

fn number(text: &str) -> usize {
    let mut before = '0';
    let mut end = 0;
    for (i, c) in text.char_indices() {
        let next = text[i + c.len_utf8()..].chars().next();
        let point = c == '.' && next.is_some_and(|c| c.is_ascii_digit()) && !text[..i].contains('.');
        let sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !text.starts_with("0x");
        if !(c.is_ascii_alphanumeric() || c == '_' || point || sign) {
            break;
        }
        (before, end) = (c, i + 1);
    }
    end
}

/// The length of a block comment; comments nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < text.len() {
        match &text.as_bytes()[i..] {
            [b'/', b'*', ..] => (depth, i) = (depth + 1, i + 2),
            [b'*', b'/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    text.len()
}

/// The length of a string up to its closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a string in backticks, whose `${..}` may hold strings of their own.
fn template(text: &str, depth: usize) -> usize {
    let mut i = 1;
    while i < text.len() {
        match &text.as_bytes()[i..] {
            [b'`', ..] => return i + 1,
            [b'$', b'{', ..] => i += 2 + block(&text[i + 2..], depth),
            _ => i += 1,
        }
        while !text.is_char_boundary(i) {
            i += 1;
        }
    }
    text.len()
}

/// The length of code up to the brace that closes it, that brace included.
fn block(text: &str, depth: usize) -> usize {
    let (mut open, mut i) = (1, 0);
    while let Some((_, length)) = token(&text[i..], depth) {
        match &text[i..i + length] {
            "{" | "#{" => open += 1,
            "}" => open -= 1,
            _ => {}
        }
        i += length;
        if open == 0 {
            break;
        }
    }
    i
}
