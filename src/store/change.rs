//! What differs between two calls of a remembered function, part of the key by part of the key.

use serde::Serialize;
use serde_json::Value;

use super::Step;

/// A part of a key that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Such as `option lr`, `input activations` or `version of the function`.
    pub part: String,
    /// What it was; `none` where there was none.
    pub from: String,
    /// What it is.
    pub to: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} -> {}", self.part, self.from, self.to)
    }
}

/// The parts in which `to` differs from `from`; empty for one key.
pub fn changes(from: &Step, to: &Step) -> Vec<Change> {
    if from.key == to.key {
        return Vec::new();
    }
    let mut found = Vec::new();
    if from.function != to.function {
        found.push(Change { part: "function".to_string(), from: from.function.clone(), to: to.function.clone() });
    }
    if let (Some(a), Some(b)) = (from.version, to.version)
        && a != b
    {
        found.push(Change { part: "version of the function".to_string(), from: a.to_string(), to: b.to_string() });
    }
    values("option", &from.options, &to.options, &mut found);
    if from.version.is_some() && to.version.is_some() {
        let roles: std::collections::BTreeSet<&String> = from.inputs.keys().chain(to.inputs.keys()).collect();
        for role in roles {
            let (a, b) = (from.inputs.get(role), to.inputs.get(role));
            if a != b {
                let shown = |digest: Option<&String>| digest.map_or("none", |digest| short(digest)).to_string();
                found.push(Change { part: format!("input {role}"), from: shown(a), to: shown(b) });
            }
        }
    } else if found.is_empty() {
        // Old locks keep neither inputs nor versions.
        let part = "inputs or the version of the function".to_string();
        found.push(Change { part, from: "not on record".to_string(), to: "not the same".to_string() });
    }
    found
}

/// Where two JSON values differ, by the path into them.
fn values(path: &str, from: &Value, to: &Value, found: &mut Vec<Change>) {
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let inner = if path == "option" { format!("option {name}") } else { format!("{path}.{name}") };
                values(&inner, a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                values(&format!("{path}[{i}]"), a, b, found);
            }
        }
        _ if super::canonical_json(from) != super::canonical_json(to) => {
            let shown = |value: &Value| match value {
                Value::Null => "none".to_string(),
                Value::String(text) => short(text).to_string(),
                other => clipped(&other.to_string()),
            };
            found.push(Change { part: path.to_string(), from: shown(from), to: shown(to) });
        }
        _ => {}
    }
}

/// For each step of `after`, the one of `before` that it stands for: the one with its key, or else, among those whose
/// keys are not in `after`, the next of its function.
pub fn aligned<'a>(before: &'a [Step], after: &[Step]) -> Vec<Option<&'a Step>> {
    let gone = before.iter().filter(|step| after.iter().all(|other| other.key != step.key));
    let mut gone: Vec<Option<&Step>> = gone.map(Some).collect();
    let partner = |step: &Step| {
        if let Some(same) = before.iter().find(|other| other.key == step.key) {
            return Some(same);
        }
        let slot = gone.iter_mut().find(|slot| slot.is_some_and(|other| other.function == step.function))?;
        slot.take()
    };
    after.iter().map(partner).collect()
}

/// A digest as people see it; other text as it is, clipped.
pub fn short(text: &str) -> &str {
    let digest = text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
    if digest { &text[..8] } else { text }
}

fn clipped(text: &str) -> String {
    if text.chars().count() <= 100 {
        text.to_string()
    } else {
        format!("{}..", text.chars().take(98).collect::<String>())
    }
}
