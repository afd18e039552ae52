//! How activations were made: the facts that must hold again for an SAE of them to mean the same. They travel with the activations, and from there
//! with every SAE that is trained on them.
//!
//! The names are those of the metadata in a `cfg.json` of SAELens (`model_from_pretrained_kwargs`, `prepend_bos`, `seqpos_slice`, ..), so that
//! an SAE from there keeps every fact that it came with. `skip_first` and `model_digest` are saerun's own. A fact that is not known is left out.

use serde_json::{Map, Value, json};

use super::HarvestOptions;
use crate::corpus::Corpus;
use crate::model::TargetModel;

/// Facts by name.
pub type Origin = Map<String, Value>;

/// The facts of a harvest.
pub fn of_harvest(model: &TargetModel, corpus: &Corpus, options: &HarvestOptions) -> Origin {
    let mut facts = of_model(model, &options.hook, options.skip_first);
    facts.insert("dataset_path".into(), corpus.name().into());
    let options = serde_json::to_value(options).unwrap_or_default();
    let excluded = options.get("exclude").and_then(Value::as_array).is_some_and(|tokens| !tokens.is_empty());
    facts.insert("exclude_special_tokens".into(), excluded.into());
    if excluded {
        facts.insert("exclude".into(), options["exclude"].clone());
    }
    facts
}

/// The facts of rows that a model gives at a hook when the first positions of each context are left out.
pub fn of_model(model: &TargetModel, hook: &str, skip_first: usize) -> Origin {
    let mut facts = model.loading();
    facts.insert("model_name".into(), model.name().into());
    facts.insert("hook_name".into(), hook.into());
    facts.insert("hook_head_index".into(), Value::Null);
    facts.insert("context_size".into(), model.config().n_ctx.into());
    facts.insert("skip_first".into(), skip_first.into());
    // The arguments of Python's `slice`: one is where it ends, two are where it begins and ends.
    facts.insert("seqpos_slice".into(), if skip_first == 0 { json!([null]) } else { json!([skip_first, null]) });
    facts
}

/// Whether the mean over the residual stream was taken off the weights that write to it, where that is known.
pub fn centered(facts: &Origin) -> Option<bool> {
    facts.get("model_from_pretrained_kwargs")?.get("center_writing_weights")?.as_bool()
}

/// The positions of a context that were read, from the first on and up to an end, where they are known.
pub fn positions(facts: &Origin) -> Option<(u64, Option<u64>)> {
    if let Some(slice) = facts.get("seqpos_slice").and_then(Value::as_array) {
        let (first, end) = match slice.as_slice() {
            [] => (&Value::Null, &Value::Null),
            [end] => (&Value::Null, end),
            [first, end, ..] => (first, end),
        };
        // A negative number counts from a context's end.
        let known = [first, end].iter().all(|at| at.is_null() || at.is_u64());
        return known.then(|| (first.as_u64().unwrap_or(0), end.as_u64()));
    }
    facts.get("skip_first")?.as_u64().map(|first| (first, None))
}
