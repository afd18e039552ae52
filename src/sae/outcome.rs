//! What a finished training says about itself: whether it has the L0 that it was asked for.

use serde_json::{Value, json};

use super::Config;
use super::architecture::Architecture;

/// An L0 further from what was asked for than this share of it is missed.
const MISSED: f64 = 0.1;

/// Where the L0 of the finished weights is kept among the options of the training, when it was missed.
const KEY: &str = "missed_l0";

/// Adds to the resolved options of a training what L0 its weights have, where that is not the target.
pub(super) fn note(training: &mut Value, l0: f64, target: f64, steps: u64) {
    if (l0 - target).abs() > MISSED * target {
        training[KEY] = json!({ "l0": l0, "target": target, "steps": steps });
    }
}

/// What to say about a training that has missed its L0, and what helps.
pub fn missed(config: &Config) -> Option<String> {
    let missed = config.training.get(KEY)?;
    let (l0, target) = (missed["l0"].as_f64()?, missed["target"].as_f64()?);
    let steps = missed["steps"].as_u64()?;
    let takes_k = Architecture::named(&config.architecture).is_ok_and(Architecture::takes_k);
    let name = if takes_k { "k" } else { "target_l0" };
    let l0 = (100.0 * l0).round() / 100.0;
    let advice = match takes_k {
        true => "so many latents are never above 0 at once: try a smaller `k` or a larger `d_sae`".to_string(),
        false => advice(config, l0, target, steps),
    };
    Some(format!("L0 is {l0} where `{name}` is {target}, after {steps} steps: {advice}"))
}

fn advice(_: &Config, _: f64, _: f64, _: u64) -> String {
    "more steps bring it nearer: more `tokens`, or a smaller `batch_size`".to_string()
}
