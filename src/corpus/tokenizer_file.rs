//! A `tokenizer.json` of any tool: what it says about batches is cleared, and what the library would panic on is refused.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{
    DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer as Inner,
};

use crate::contain::contained;
use crate::error::{Code, Error, Result};
use crate::memory;

/// Bytes that the vocabulary takes in memory for a byte of its file, looked at and in use.
const A_BYTE: u64 = 24;

/// The tokenizer, and its file as it was read.
pub(super) struct Parsed {
    pub inner: Inner,
    pub json: Value,
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::new(Code::DamagedFile, "not a tokenizer.json").fact("reason", why)
}

fn wrong(field: &str, why: impl std::fmt::Display) -> Error {
    damaged(why).fact("field", field)
}

/// Reads the file.
///
/// # Errors
/// `damaged-file` or `unsupported`, with the field.
pub(super) fn parse(json: &[u8]) -> Result<Parsed> {
    let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
    memory::check(
        "the tokenizer",
        A_BYTE * json.len() as u64,
        "use a smaller tokenizer, or allow more with `--memory`",
    )?;
    let mut whole: Value = serde_json::from_slice(json).map_err(damaged)?;
    if !whole.is_object() {
        return Err(damaged("no JSON object"));
    }
    // The library panics on a damaged table of characters.
    if whole["normalizer"].to_string().contains("\"Precompiled\"") {
        return Err(Error::new(Code::Unsupported, "a tokenizer with a precompiled normalizer")
            .fact("field", "normalizer")
            .help("use a tokenizer.json whose normalizer is not `Precompiled`"));
    }
    for field in ["normalizer", "pre_tokenizer", "decoder"] {
        let empty = [r#""pattern":{"String":""}"#, r#""pattern":{"Regex":""}"#, r#""prepend":"""#];
        if empty.iter().any(|part| whole[field].to_string().contains(part)) {
            return Err(Error::new(Code::Unsupported, "a tokenizer that looks for an empty pattern")
                .fact("field", field)
                .help("give the pattern in this field of its tokenizer.json"));
        }
    }
    check_pre_tokenizer(&whole["pre_tokenizer"])?;
    check_model(&whole["model"])?;
    let changed = clear_batching(&mut whole);
    let cleared = if changed { whole.to_string().into_bytes() } else { Vec::new() };
    let bytes = if changed { cleared.as_slice() } else { json };
    match contained(|| Inner::from_bytes(bytes)) {
        Ok(Ok(inner)) => Ok(Parsed { inner, json: whole }),
        Ok(Err(error)) => Err(wrong(culprit(&whole), error)),
        Err(panic) => Err(wrong(culprit(&whole), format!("its reader fails on it: {panic}"))),
    }
}

/// The part of the file that the library cannot read.
fn culprit(whole: &Value) -> &'static str {
    fn reads<T: DeserializeOwned>(part: &Value) -> bool {
        part.is_null() || contained(|| serde_json::from_str::<T>(&part.to_string())).is_ok_and(|part| part.is_ok())
    }
    let parts = [
        ("normalizer", reads::<NormalizerWrapper>(&whole["normalizer"])),
        ("pre_tokenizer", reads::<PreTokenizerWrapper>(&whole["pre_tokenizer"])),
        ("post_processor", reads::<PostProcessorWrapper>(&whole["post_processor"])),
        ("decoder", reads::<DecoderWrapper>(&whole["decoder"])),
        ("model", reads::<ModelWrapper>(&whole["model"])),
    ];
    parts.iter().find(|(_, reads)| !reads).map_or("added_tokens", |(name, _)| name)
}

/// Takes out what makes the tokens of a text depend on its batch (documents would be cut short or filled up), or on chance. True where
/// there was something.
fn clear_batching(whole: &mut Value) -> bool {
    let mut changed = false;
    for path in ["/truncation", "/padding", "/model/dropout"] {
        if let Some(value) = whole.pointer_mut(path).filter(|value| !value.is_null()) {
            *value = Value::Null;
            changed = true;
        }
    }
    if loses_text(&whole["post_processor"]) {
        whole["post_processor"] = Value::Null;
        changed = true;
    }
    changed
}

/// Whether what comes after the tokens would leave them out, or repeat them: no special tokens are added, so that a template is nothing but
/// the text, once.
fn loses_text(value: &Value) -> bool {
    let texts =
        |single: &Value| single.as_array().into_iter().flatten().filter(|piece| piece["Sequence"]["id"] == "A").count();
    (value["type"] == "TemplateProcessing" && texts(&value["single"]) != 1)
        || value["processors"].as_array().into_iter().flatten().any(loses_text)
}

/// The library divides a text into parts of no length, and panics.
fn check_pre_tokenizer(value: &Value) -> Result<()> {
    let fixed = value["type"] == "FixedLength";
    if fixed && value.get("length").is_some_and(|length| length.as_u64().is_none_or(|length| length == 0)) {
        return Err(wrong("pre_tokenizer.length", format!("a `FixedLength` of length {}", value["length"])));
    }
    value["pretokenizers"].as_array().into_iter().flatten().try_for_each(check_pre_tokenizer)
}

/// That there is a vocabulary, that no two tokens share an id, and that the token for unknown text is in it.
fn check_model(model: &Value) -> Result<()> {
    let kind = model["type"].as_str().unwrap_or("BPE");
    let vocabulary = &model["vocab"];
    if kind == "Unigram" || vocabulary.is_array() {
        return check_unigram(model);
    }
    let Some(tokens) = vocabulary.as_object() else { return Err(wrong("model.vocab", "no vocabulary")) };
    if tokens.is_empty() {
        return Err(wrong("model.vocab", format!("a {kind} with an empty vocabulary")));
    }
    let mut ids = BTreeSet::new();
    for (token, id) in tokens {
        let id = id.as_u64().filter(|id| *id < u64::from(u32::MAX));
        let id = id.ok_or_else(|| wrong("model.vocab", format!("the token `{token}` has no id")))?;
        // Which of the two a text is decoded to would be chance.
        if !ids.insert(id) {
            return Err(wrong("model.vocab", format!("two tokens have the id {id}, one of them `{token}`")));
        }
    }
    let needed = matches!(kind, "WordPiece" | "WordLevel");
    match model["unk_token"].as_str() {
        Some(unknown) if tokens.contains_key(unknown) => Ok(()),
        None if !needed => Ok(()),
        Some(unknown) => Err(wrong("model.unk_token", format!("`{unknown}` is not in the vocabulary"))),
        None => Err(wrong("model.unk_token", format!("a {kind} without a token for unknown text"))),
    }
}

fn check_unigram(model: &Value) -> Result<()> {
    let tokens = model["vocab"].as_array().map_or(0, Vec::len);
    if tokens == 0 {
        return Err(wrong("model.vocab", "a Unigram with an empty vocabulary"));
    }
    match &model["unk_id"] {
        Value::Null => Ok(()),
        id if id.as_u64().is_some_and(|id| id < tokens as u64) => Ok(()),
        id => Err(wrong("model.unk_id", format!("{id} is none of the {tokens} tokens"))),
    }
}
