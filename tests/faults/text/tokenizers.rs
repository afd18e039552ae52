//! What a tokenizer.json may say.

use serde_json::{Value, json};

use super::{refused, tokenizer, with_tiny};

/// What is done to a tokenizer.json.
type Change = Box<dyn Fn(&mut Value)>;

const LOSS: &str = r#"
    let m = model::load("m");
    let c = corpus::load("docs.jsonl");
    print(m.ce_loss(c, #{}));
    print(m.activations(c, #{ hook: "blocks.0.hook_mlp_out" }).shape[0]);
"#;

/// The loss and the number of rows with a changed tokenizer.
fn loss(change: impl Fn(&mut Value)) -> (f64, usize) {
    let mut json = tokenizer();
    change(&mut json);
    let project = with_tiny(LOSS);
    project.write("m/tokenizer.json", json.to_string());
    let text = project.prints();
    let mut lines = text.lines();
    (lines.next().expect("a loss").parse().expect("a float"), lines.next().expect("rows").parse().expect("an int"))
}

#[test]
fn truncation_and_padding_of_a_tokenizer_json_are_cleared() {
    // W1
    let expected = loss(|_| {});
    assert!((expected.0 - 6.540397).abs() < 2e-5, "{expected:?}");
    assert!(expected.1 > 130_000, "{expected:?}");
    let padding = |strategy: Value| json!({ "strategy": strategy, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "x" });
    let changes: [Change; 5] = [
        Box::new(|json| {
            json["truncation"] =
                json!({ "direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0 });
        }),
        Box::new(move |json| json["padding"] = padding(json!({ "Fixed": 2048 }))),
        Box::new(move |json| {
            json["truncation"] = json!({ "direction": "Left", "max_length": 7, "strategy": "OnlyFirst", "stride": 3 });
            json["padding"] = padding(json!("BatchLongest"));
        }),
        // No special tokens are added, and a template without the text would leave it out.
        Box::new(|json| {
            json["post_processor"] =
                json!({ "type": "TemplateProcessing", "pair": [], "special_tokens": {}, "single": [] });
        }),
        // What the library would refuse, had it to do it.
        Box::new(|json| json["truncation"] = json!({ "max_length": 2, "strategy": "LongestFirst", "stride": 9 })),
    ];
    for change in changes {
        assert_eq!(loss(change), expected);
    }
}

#[test]
fn dropout_of_a_tokenizer_json_is_cleared() {
    // A6
    let text = |dropout: f64| {
        let mut json = tokenizer();
        json["model"]["dropout"] = json!(dropout);
        let project =
            with_tiny(r#"print(model::load("m").tokenize("It was the best of times, it was the worst of times"));"#);
        project.write("m/tokenizer.json", json.to_string());
        project.prints()
    };
    let expected = text(0.0);
    assert_eq!(text(0.5), expected);
    assert_eq!(text(1.0), expected);
}

#[test]
fn tokenizers_that_cannot_work_are_refused_with_the_field() {
    // A5
    let vocabulary = |json: &Value| json["model"]["vocab"].clone();
    let cases: Vec<(&str, Change, &str, &str)> = vec![
        (
            "fixed length",
            Box::new(|json| json["pre_tokenizer"] = json!({ "type": "FixedLength", "length": 0 })),
            "damaged-file",
            "pre_tokenizer.length",
        ),
        (
            "fixed length in a sequence",
            Box::new(|json| {
                json["pre_tokenizer"] =
                    json!({ "type": "Sequence", "pretokenizers": [{ "type": "FixedLength", "length": 0 }] });
            }),
            "damaged-file",
            "pre_tokenizer.length",
        ),
        (
            "word piece without its unknown token",
            Box::new(move |json| {
                json["model"] = json!({
                    "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                    "vocab": vocabulary(json),
                });
            }),
            "damaged-file",
            "model.unk_token",
        ),
        (
            "word level, empty",
            Box::new(|json| json["model"] = json!({ "type": "WordLevel", "unk_token": "[UNK]", "vocab": {} })),
            "damaged-file",
            "model.vocab",
        ),
        (
            "unigram, empty",
            Box::new(|json| json["model"] = json!({ "type": "Unigram", "unk_id": null, "vocab": [] })),
            "damaged-file",
            "model.vocab",
        ),
        (
            "unigram without a token for unknown text",
            Box::new(|json| {
                json["model"] =
                    json!({ "type": "Unigram", "unk_id": null, "vocab": [["<|endoftext|>", 0.0], ["a", -1.0]] });
            }),
            "unsupported",
            "model.unk_id",
        ),
        (
            "BPE, empty",
            Box::new(|json| {
                json["model"]["vocab"] = json!({});
                json["model"]["merges"] = json!([]);
            }),
            "damaged-file",
            "model.vocab",
        ),
        (
            "BPE with an unknown token that is none",
            Box::new(|json| json["model"]["unk_token"] = json!("<nothing>")),
            "damaged-file",
            "model.unk_token",
        ),
        (
            "two tokens of one id",
            Box::new(|json| json["model"]["vocab"]["Ġthe"] = json!(5)),
            "damaged-file",
            "model.vocab",
        ),
        (
            "a merge of what is no token",
            Box::new(|json| json["model"]["merges"] = json!([["zzq", "qqz"]])),
            "damaged-file",
            "field: model",
        ),
        (
            "a prefix longer than the tokens that are merged",
            Box::new(|json| json["model"]["continuing_subword_prefix"] = json!("#".repeat(50))),
            "damaged-file",
            "field: model",
        ),
        (
            "an empty pattern that is replaced",
            Box::new(|json| {
                json["normalizer"] = json!({ "type": "Replace", "pattern": { "String": "" }, "content": "x" })
            }),
            "unsupported",
            "field: normalizer",
        ),
        (
            "a pattern that does not parse",
            Box::new(|json| {
                json["pre_tokenizer"] =
                    json!({ "type": "Split", "pattern": { "Regex": "(" }, "behavior": "Isolated", "invert": false });
            }),
            "damaged-file",
            "field: pre_tokenizer",
        ),
        (
            "a table of characters",
            Box::new(|json| json["normalizer"] = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" })),
            "unsupported",
            "normalizer",
        ),
    ];
    for (what, change, code, field) in cases {
        let mut json = tokenizer();
        change(&mut json);
        let project = with_tiny(r#"model::load("m").tokenize("Some text, with ünknown characters");"#);
        project.write("m/tokenizer.json", json.to_string());
        let stderr = refused(&project, code);
        assert!(stderr.contains(field), "{what}: {stderr}");
    }
}

#[test]
fn a_token_beyond_the_model_is_refused_only_in_text_that_has_it() {
    let mut json = tokenizer();
    let extra = json!({
        "id": 512, "content": "<extra>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
    });
    json["added_tokens"].as_array_mut().expect("tokens").push(extra);
    let project = with_tiny(
        r#"
        let m = model::load("m");
        print(m.tokenize("plain text").len() > 1);
        m.save("copy");
        print(model::load("copy").tokenize("plain text") == m.tokenize("plain text"));
        m.tokenize("text with <extra> in it");
    "#,
    );
    project.write("m/tokenizer.json", json.to_string());
    let stderr = refused(&project, "out-of-range");
    assert!(stderr.contains("<extra>") && stderr.contains("512"), "{stderr}");
    // A tokenizer of another model is still refused: its own vocabulary is larger.
    json["model"]["vocab"]["zzzz"] = json!(4000);
    project.write("m/tokenizer.json", json.to_string());
    refused(&project, "damaged-file");
}

#[test]
fn a_document_that_is_cut_for_the_tokenizer_has_the_same_tokens() {
    // H7
    let text = "It was the best of times,\nit was  the worst of times: 1,859 and l'été… don't\n\n\tstop ".repeat(2000);
    // The library itself takes the text as a whole where a pre-tokenizer is not known to be safe; a prefix that is never met changes nothing.
    let tokens = |change: &dyn Fn(&mut Value)| {
        let mut json = tokenizer();
        change(&mut json);
        let project =
            with_tiny(r#"print(model::load("m").tokenize(corpus::load("long.txt").head(1_000_000)).to_json());"#);
        project.write("m/tokenizer.json", json.to_string());
        project.write("long.txt", &text);
        project.prints()
    };
    let (prefix, normalizer) = (json!(true), json!({ "type": "NFC" }));
    let changes: [&dyn Fn(&mut Value); 3] =
        [&|_| {}, &|json| json["pre_tokenizer"]["add_prefix_space"] = prefix.clone(), &|json| {
            json["normalizer"] = normalizer.clone()
        }];
    for change in changes {
        let cut = tokens(change);
        let whole = tokens(&|json| {
            change(json);
            let own = json["pre_tokenizer"].clone();
            let never = json!({ "type": "CharDelimiterSplit", "delimiter": "\u{1}" });
            json["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [never, own] });
        });
        assert!(cut.len() > 100_000);
        assert!(cut == whole, "the pieces of a text have other tokens than the whole");
    }
}
