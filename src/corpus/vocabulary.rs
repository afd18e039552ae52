//! A `tokenizer.json` for tokens that come in another form, such as the metadata of a `.gguf`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};

/// Tokens in the order of their ids. `types` are those of SentencePiece: 1 text, 2 unknown, 3 control, 4 defined by a user, 5 unused,
/// 6 a byte; a token without a type is text.
pub struct Vocabulary<'a> {
    /// The tokens.
    pub tokens: &'a [String],
    /// Their types.
    pub types: &'a [i32],
}

/// GPT-2's split of a text before BPE.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Vocabulary<'_> {
    /// A byte-level BPE with its merges, best first, each two tokens with a space between. `split` says by llama.cpp's name how a text is
    /// split first.
    ///
    /// # Errors
    /// `unsupported` for another split, `damaged-file` for merges of what is no token.
    pub fn byte_level(&self, merges: &[String], split: &str) -> Result<String> {
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
        let by = |pattern: &str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
        let splits = match split {
            "default" | "gpt-2" => vec![by(GPT2)],
            "smollm" => vec![json!({ "type": "Digits", "individual_digits": true }), by(GPT2)],
            "llama-bpe" | "llama3" => vec![by(LLAMA3)],
            other => {
                return Err(Error::new(Code::Unsupported, "a tokenizer that splits text in an unknown way")
                    .fact("known", "default, gpt-2, smollm, llama-bpe")
                    .fact("given", other));
            }
        };
        let pairs = merges.iter().map(|merge| merge.split_once(' ')).collect::<Option<Vec<_>>>();
        let pairs = pairs.ok_or_else(|| Error::new(Code::DamagedFile, "a merge that is not of two tokens"))?;
        let splits: Vec<Value> = splits.into_iter().chain([bytes.clone()]).collect();
        // Llama 3 has words whose merges do not lead to them.
        let model =
            json!({ "type": "BPE", "vocab": self.ids(), "merges": pairs, "ignore_merges": split.starts_with("llama") });
        Ok(self.json(&Value::Null, &json!({ "type": "Sequence", "pretokenizers": splits }), &bytes, &model))
    }

    /// A SentencePiece BPE: spaces are `▁`, pairs are merged by the score of what they make, other characters fall back to bytes.
    ///
    /// # Errors
    /// `damaged-file` when there is not a score a token.
    pub fn sentence_piece(&self, scores: &[f32], add_prefix: bool) -> Result<String> {
        if scores.len() != self.tokens.len() {
            return Err(Error::new(Code::DamagedFile, "not a score a token")
                .fact("tokens", self.tokens.len())
                .fact("scores", scores.len()));
        }
        let ids = self.ids();
        // Every way to put a token together from two others; the best score first, then the longest left part.
        let mut merges: Vec<(f32, &str, &str)> = Vec::new();
        for (token, score) in
            self.tokens.iter().zip(scores).enumerate().filter(|(id, _)| self.kind(*id) == 1).map(|(_, t)| t)
        {
            let parts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
            merges
                .extend(parts.filter(|(a, b)| ids.contains_key(a) && ids.contains_key(b)).map(|(a, b)| (*score, a, b)));
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.len().cmp(&a.1.len())));
        let pairs: Vec<(&str, &str)> = merges.into_iter().map(|(_, a, b)| (a, b)).collect();
        let unknown = (0..self.tokens.len()).find(|id| self.kind(*id) == 2).map(|id| &self.tokens[id]);
        let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
        let prefix = json!({ "type": "Prepend", "prepend": "▁" });
        let normalizers: Vec<Value> = if add_prefix { vec![prefix, spaces] } else { vec![spaces] };
        let mut decoders = vec![
            json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if add_prefix {
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        let model = json!({
            "type": "BPE", "vocab": ids, "merges": pairs, "unk_token": unknown, "fuse_unk": true, "byte_fallback": true,
        });
        let sequence = json!({ "type": "Sequence", "normalizers": normalizers });
        Ok(self.json(&sequence, &Value::Null, &json!({ "type": "Sequence", "decoders": decoders }), &model))
    }

    fn kind(&self, id: usize) -> i32 {
        self.types.get(id).copied().unwrap_or(1)
    }

    fn ids(&self) -> BTreeMap<&str, usize> {
        self.tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect()
    }

    /// Tokens that stand for themselves wherever they are written.
    fn added(&self) -> Vec<Value> {
        let whole = |(id, token): (usize, &String)| {
            let special = self.kind(id) != 4;
            [2, 3, 4].contains(&self.kind(id)).then(|| {
                json!({
                    "id": id, "content": token, "special": special,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                })
            })
        };
        self.tokens.iter().enumerate().filter(|(_, token)| !token.is_empty()).filter_map(whole).collect()
    }

    fn json(&self, normalizer: &Value, pre_tokenizer: &Value, decoder: &Value, model: &Value) -> String {
        let all = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": self.added(), "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": null, "decoder": decoder, "model": model,
        });
        all.to_string()
    }
}
