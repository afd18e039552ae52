//! Which token begins contexts, and which divides documents: each family says so in another place.

use std::path::Path;

use serde_json::Value;

use crate::corpus::{DOCUMENT_MARKER, Marks};
use crate::error::{Code, Error, Result};

/// Tokens that begin a text, where no file says which does.
const KNOWN: [&str; 4] = [DOCUMENT_MARKER, "<|BOS|>", "<s>", "<|begin_of_text|>"];

/// Marks of these ids, which must be tokens. Without a separator the first token divides documents.
///
/// # Errors
/// `damaged-file` for an id that is no token, `unsupported` when there is neither.
pub fn checked(file: &str, bos: Option<u32>, separator: Option<u32>, from: &str, d_vocab: usize) -> Result<Marks> {
    let Some(separator) = separator.or(bos) else {
        return Err(Error::new(Code::Unsupported, format!("`{file}` names no token that begins or ends a text"))
            .fact("looked for", "bos_token_id and eos_token_id, bos_token and eos_token")
            .help("name them in config.json"));
    };
    if let Some(id) = bos.into_iter().chain([separator]).find(|id| *id as usize >= d_vocab) {
        return Err(Error::new(Code::DamagedFile, format!("`{file}` names a token that there is not"))
            .fact("tokens", d_vocab)
            .fact("given", id));
    }
    Ok(Marks { bos, separator, from: from.to_string() })
}

/// The marks of a model folder: by `config.json`, else by `tokenizer_config.json`, `special_tokens_map.json` beside the tokenizer,
/// else by tokens that are known to be such. Contexts begin with the first mark, as in TransformerLens.
///
/// # Errors
/// As [`checked`].
pub fn of_folder(dir: &Path, config: &Value, id: &dyn Fn(&str) -> Option<u32>, d_vocab: usize) -> Result<Marks> {
    // Llama 3 lists several ends.
    let number = |key: &str| {
        let id = config[key].as_u64().or_else(|| config[key][0].as_u64());
        id.map(|id| u32::try_from(id).unwrap_or(u32::MAX))
    };
    if let (bos, eos, true) = (number("bos_token_id"), number("eos_token_id"), config.is_object())
        && (bos.is_some() || eos.is_some())
    {
        return checked("config.json", bos.or(eos), eos, "config.json", d_vocab);
    }
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        let Ok(bytes) = crate::input::read(&dir.join(file)) else { continue };
        let Ok(map) = super::json::<Value>(file, &bytes) else { continue };
        let token = |key: &str| map[key].as_str().or_else(|| map[key]["content"].as_str()).and_then(id);
        let (bos, eos) = (token("bos_token"), token("eos_token"));
        if bos.is_some() || eos.is_some() {
            return checked(file, bos.or(eos), eos, file, d_vocab);
        }
    }
    let known = KNOWN.iter().find_map(|token| id(token).map(|id| (*token, id)));
    let (token, bos) = known.unzip();
    checked("tokenizer.json", bos, bos, token.unwrap_or_default(), d_vocab)
}
