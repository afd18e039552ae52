//! Where a text may be cut so that the tokens of the pieces are those of the whole. The library needs some 150 bytes for a byte of the text
//! that it is given at once, and knows no stop in the middle.
//!
//! The usual tokenizers split a text first, by a pattern that never matches across the space after a word, and look at each part by itself. So
//! a piece may begin with that space. Others are cut nowhere.

use serde_json::Value;

/// Pieces are about this long, in bytes.
pub(super) const PIECE: usize = 1 << 16;

/// The letters that a word may end with before a cut: all of these are letters for every pattern below, and no normalization joins them with
/// a space.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, 'а'..='я' | 'А'..='Я' | 'α'..='ω' | '\u{4e00}'..='\u{9fff}' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '가'..='힣')
}

/// Where a text may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cuts {
    /// Nowhere.
    Nowhere,
    /// Before a space, or a line end, that follows a letter: words are split off by a pattern.
    BeforeBlank,
    /// Before a space that follows a letter.
    BeforeSpace,
    /// At such a space, which is left out: the tokenizer puts one before every text.
    AtSpace,
}

/// Patterns that never match across the blank after a letter: GPT-2's, Llama 3's (cl100k), Qwen's.
const PATTERNS: [&str; 4] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// What is known of a step of the tokenizer.
#[derive(Default)]
struct Steps {
    /// Some step always divides between a letter and a space, or between a letter and any blank.
    at_space: bool,
    at_blank: bool,
    /// A space is put before every text, as `▁`.
    prepends: bool,
    /// A space is put before a text that does not begin with one.
    prefixes: bool,
    /// How a space looks to the model.
    space: Option<&'static str>,
}

impl Cuts {
    /// Where texts may be cut for the tokenizer in this file.
    pub fn of(json: &Value) -> Cuts {
        let mut steps = Steps::default();
        let plain = normalizer(&json["normalizer"], &mut steps)
            && pre_tokenizer(&json["pre_tokenizer"], &mut steps)
            && added_tokens(&json["added_tokens"], steps.prepends)
            && (!steps.prepends || steps.space == Some("▁"));
        let divided = steps.at_space || steps.at_blank || never_joined(&json["model"], steps.space.unwrap_or(" "));
        match (plain && divided, steps.prepends, steps.at_blank && !steps.prefixes) {
            (false, _, _) => Cuts::Nowhere,
            (_, true, _) => Cuts::AtSpace,
            (_, _, true) => Cuts::BeforeBlank,
            _ => Cuts::BeforeSpace,
        }
    }

    /// The pieces of a text, in order; the text itself where it is short or may not be cut.
    pub fn pieces(self, text: &str) -> Vec<&str> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while rest.len() > PIECE {
            let Some((end, next)) = self.first(rest, PIECE) else { break };
            pieces.push(&rest[..end]);
            rest = &rest[next..];
        }
        pieces.push(rest);
        pieces
    }

    /// The first cut from this byte on: where the piece ends, and where the next begins.
    fn first(self, text: &str, from: usize) -> Option<(usize, usize)> {
        if self == Cuts::Nowhere {
            return None;
        }
        let blank = |byte: u8| byte == b' ' || (byte == b'\n' && self == Cuts::BeforeBlank);
        let letter = |c: Option<char>| c.is_some_and(is_letter);
        // A space that the tokenizer puts back is put before a letter only.
        let fits = |at: usize| self != Cuts::AtSpace || letter(text[at + 1..].chars().next());
        let at = (from..text.len() - 1)
            .find(|&at| blank(text.as_bytes()[at]) && letter(text[..at].chars().next_back()) && fits(at))?;
        Some((at, at + usize::from(self == Cuts::AtSpace)))
    }
}

/// Whether no added token can reach over a cut. Where a space is put before every text, it is also put after added tokens, so that none may
/// stand at a cut.
fn added_tokens(tokens: &Value, prepends: bool) -> bool {
    tokens.as_array().into_iter().flatten().all(|token| {
        let content = token["content"].as_str().unwrap_or_default();
        let letter = |c: Option<char>| c.is_some_and(is_letter);
        let at_end = (prepends || token["rstrip"] == true) && letter(content.chars().next_back());
        let at_begin = (prepends || token["lstrip"] == true) && letter(content.chars().next());
        !content.contains(char::is_whitespace) && !content.contains('▁') && !at_end && !at_begin
    })
}

/// Whether the normalizer looks at no more than a letter and what is joined to it.
fn normalizer(value: &Value, steps: &mut Steps) -> bool {
    if value.is_null() {
        return true;
    }
    match value["type"].as_str() {
        Some("NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "StripAccents") => true,
        Some("Sequence") => value["normalizers"].as_array().into_iter().flatten().all(|step| normalizer(step, steps)),
        Some("Prepend") => {
            steps.prepends = value["prepend"] == "▁";
            steps.prepends
        }
        Some("Replace") => {
            steps.space = Some("▁");
            value["pattern"]["String"] == " " && value["content"] == "▁"
        }
        _ => false,
    }
}

/// Whether what divides the text looks at no more than the place itself.
fn pre_tokenizer(value: &Value, steps: &mut Steps) -> bool {
    if value.is_null() {
        return true;
    }
    match value["type"].as_str() {
        Some("Sequence") => {
            value["pretokenizers"].as_array().into_iter().flatten().all(|step| pre_tokenizer(step, steps))
        }
        Some("ByteLevel") => {
            // A file that does not say puts a space before, and uses the pattern.
            steps.prefixes |= value["add_prefix_space"] != false;
            steps.at_blank |= value["use_regex"] != false && steps.space.is_none();
            steps.space = steps.space.or(Some("Ġ"));
            true
        }
        Some("Split") => {
            let kept = value["behavior"] == "Isolated" || (value["behavior"] == "Removed" && value["invert"] == true);
            let known = value["pattern"]["Regex"].as_str().is_some_and(|pattern| PATTERNS.contains(&pattern));
            steps.at_blank |= kept && known && steps.space.is_none();
            kept && known
        }
        Some("Metaspace") => {
            let divides = value["split"] != false && value["replacement"].as_str().is_none_or(|with| with == "▁");
            steps.at_space |= divides;
            steps.prefixes = true;
            steps.space = Some("▁");
            divides
        }
        Some("WhitespaceSplit" | "Whitespace" | "BertPreTokenizer") => {
            steps.at_space |= steps.space.is_none();
            true
        }
        Some("Digits") => true,
        _ => false,
    }
}

/// Whether the model is a BPE in which a space only begins tokens: no merge reaches over the place before one.
fn never_joined(model: &Value, space: &str) -> bool {
    let bpe = model["type"].as_str().is_none_or(|kind| kind == "BPE") && model["ignore_merges"] != true;
    let alone = ["end_of_word_suffix", "continuing_subword_prefix"].iter().all(|key| model[*key].is_null());
    let joined = |token: &String| {
        token.match_indices(space).any(|(at, _)| !token[..at].is_empty() && !token[..at].ends_with(space))
    };
    // Unknown text is fused with the unknown text beside it.
    bpe && alone
        && model["vocab"].as_object().is_some_and(|tokens| tokens.contains_key(space) && !tokens.keys().any(joined))
}
