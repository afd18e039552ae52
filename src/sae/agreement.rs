//! Whether an SAE is measured on what it was trained on. Its files say how the activations were made that it was trained on; where those that
//! it is measured on were made in another way, its scores are not what they would be at home, and nothing in the numbers shows it.

use serde_json::Value;

use super::Sae;
use crate::activations::{Activations, Origin, origin};
use crate::error::{Code, Error, Result};
use crate::model::TargetModel;

/// What disagrees between an SAE and activations, one sentence each. Facts that either side does not know are passed over.
///
/// # Errors
/// `unsupported` where the SAE reads one head of a hook, and the activations hold all of it.
pub fn with_activations(sae: &Sae, activations: &Activations) -> Result<Vec<String>> {
    compare(&sae.config.origin(), &activations.origin())
}

/// What disagrees between an SAE and what a model gives at a hook, measured from position `skip_first` of each context on.
///
/// # Errors
/// As [`with_activations`].
pub fn with_model(sae: &Sae, model: &TargetModel, hook: &str, skip_first: usize) -> Result<Vec<String>> {
    let mut facts = origin::of_model(model, hook, skip_first);
    facts.insert("exclude_special_tokens".into(), false.into());
    compare(&sae.config.origin(), &facts)
}

/// The disagreements of facts, those that change most first.
fn compare(trained: &Origin, measured: &Origin) -> Result<Vec<String>> {
    let text = |facts: &Origin, name: &str| facts.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let (hook, other_hook) = (text(trained, "hook_name"), text(measured, "hook_name"));
    if let Some(head) = trained.get("hook_head_index").filter(|head| !head.is_null() && !other_hook.is_empty()) {
        return Err(Error::new(
            Code::Unsupported,
            format!("this SAE reads one head of its hook: `hook_head_index` is {head}"),
        )
        .fact("hook", hook)
        .help("make activations of that head alone with `activations::from_tensor`, and evaluate on those"));
    }
    let mut found = Vec::new();
    if !hook.is_empty() && !other_hook.is_empty() && hook != other_hook {
        found.push(format!("the SAE was trained at `{hook}`, and is measured at `{other_hook}`"));
    }
    found
        .extend([model(trained, measured), centering(trained, measured), bos(trained, measured)].into_iter().flatten());
    found.extend(
        [context(trained, measured), positions(trained, measured), special(trained, measured)].into_iter().flatten(),
    );
    Ok(found)
}

/// Another model, by its weights where both sides know them, by its name and version else.
fn model(trained: &Origin, measured: &Origin) -> Option<String> {
    let text = |facts: &Origin, name: &str| facts.get(name).and_then(Value::as_str).map(str::to_string);
    let names = [text(trained, "model_name"), text(measured, "model_name")].map(Option::unwrap_or_default);
    let digests = [text(trained, "model_digest"), text(measured, "model_digest")];
    let revision = |facts: &Origin| text(facts.get("model_from_pretrained_kwargs")?.as_object()?, "revision");
    let revisions = [revision(trained), revision(measured)];
    if let [Some(a), Some(b)] = &digests {
        return (a != b).then(|| {
            let short = |digest: &str| digest.chars().take(8).collect::<String>();
            format!(
                "the SAE was trained on activations of `{}` (weights {}), and is measured on those of `{}` (weights {}): another model",
                names[0], short(a), names[1], short(b)
            )
        });
    }
    if let [Some(a), Some(b)] = &revisions
        && a != b
    {
        return Some(format!(
            "the SAE was trained on `{}` at revision `{a}`, and is measured at revision `{b}`",
            names[0]
        ));
    }
    let known = names.iter().all(|name| !name.is_empty());
    (known && plain(&names[0]) != plain(&names[1])).then(|| {
        format!(
            "the SAE says that it was trained on `{}`, and is measured on `{}`: if these are not one model, its scores mean nothing",
            names[0], names[1]
        )
    })
}

/// A model's name without its owner and in small letters. GPT-2 has two names.
fn plain(name: &str) -> String {
    let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase();
    if last == "gpt2-small" { "gpt2".to_string() } else { last }
}

fn centering(trained: &Origin, measured: &Origin) -> Option<String> {
    let load = |centered: bool| format!("`model::load(.., #{{ center_writing_weights: {centered} }})`");
    match (origin::centered(trained), origin::centered(measured)) {
        (Some(trained), Some(measured)) if trained != measured => {
            let with = |centered: bool| if centered { "with" } else { "without" };
            Some(format!(
                "the SAE was trained on a model loaded {} `center_writing_weights`, and is measured on one loaded {} it: the activations differ, \
                 and the scores are not the SAE's; load the model by {}",
                with(trained),
                with(measured),
                load(trained)
            ))
        }
        (None, Some(true)) if trained.contains_key("model_from_pretrained_kwargs") => Some(format!(
            "the SAE's `model_from_pretrained_kwargs` do not say `center_writing_weights`, which means without, and it is measured on a model loaded \
             with it; load the model by {}, or say in its cfg.json that it was trained with it",
            load(false)
        )),
        _ => None,
    }
}

fn bos(trained: &Origin, measured: &Origin) -> Option<String> {
    let says = |facts: &Origin| facts.get("prepend_bos")?.as_bool();
    let (trained, measured) = (says(trained)?, says(measured)?);
    let with = |bos: bool| if bos { "with" } else { "without" };
    (trained != measured).then(|| {
        format!(
            "the SAE was trained on contexts {} a token in front (`prepend_bos`), and is measured on contexts {} one; load the model by \
             `model::load(.., #{{ prepend_bos: {trained} }})`",
            with(trained),
            with(measured)
        )
    })
}

fn context(trained: &Origin, measured: &Origin) -> Option<String> {
    let size = |facts: &Origin| facts.get("context_size")?.as_u64();
    let (trained, measured) = (size(trained)?, size(measured)?);
    (measured > trained).then(|| {
        format!(
            "the SAE was trained on contexts of {trained} tokens, and is measured on contexts of {measured}: it has not seen the later positions; \
             load the model by `model::load(.., #{{ n_ctx: {trained} }})`"
        )
    })
}

fn positions(trained: &Origin, measured: &Origin) -> Option<String> {
    let size = measured.get("context_size").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let ((first, end), (from, to)) = (origin::positions(trained)?, origin::positions(measured)?);
    let ends = |end: Option<u64>| end.unwrap_or(u64::MAX).min(size);
    if from < first {
        return Some(format!(
            "the SAE was trained on positions from {first} on, and is measured from {from} on; give `skip_first: {first}`"
        ));
    }
    (ends(to) > ends(end)).then(|| {
        let end = end.unwrap_or(size);
        format!("the SAE was trained on positions before {end} of a context (`seqpos_slice`), and is measured on later ones too")
    })
}

fn special(trained: &Origin, measured: &Origin) -> Option<String> {
    let leaves_out =
        |value: &Value| value.as_bool() == Some(true) || value.as_array().is_some_and(|ids| !ids.is_empty());
    let says = |facts: &Origin| facts.get("exclude_special_tokens").map(leaves_out);
    (says(trained)? && !says(measured)?).then(|| {
        "the SAE was trained without special tokens (`exclude_special_tokens`), and is measured on them too".to_string()
    })
}
