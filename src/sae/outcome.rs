//! What a finished training says about itself: whether it has the L0 that it was asked for.

use serde_json::{Value, json};
use statrs::function::erf::erfc_inv;

use super::Config;
use super::architecture::Architecture;

/// An L0 further from what was asked for than this share of it is missed.
const MISSED: f64 = 0.1;

/// Below this learning rate a faster one is worth trying: L0 moves no faster than weights do.
const FAST: f64 = 3e-3;

/// Where the L0 of the finished weights is kept among the options of the training, when it was missed.
const KEY: &str = "missed_l0";

/// Adds to the resolved options of a training what L0 its weights have, where that is not the target.
/// `start` is the L0 of the first step.
pub(super) fn note(training: &mut Value, l0: f64, target: f64, steps: u64, start: f64) {
    if (l0 - target).abs() > MISSED * target {
        training[KEY] = json!({ "l0": l0, "target": target, "steps": steps, "start": start });
    }
}

/// The config with what its training's options leave unsaid: `shuffle`, and that no L0 was missed.
pub fn complete(config: &Config) -> Config {
    let mut config = config.clone();
    if let Some(training) = config.training.as_object_mut().filter(|training| training.contains_key("d_sae")) {
        training.entry("shuffle").or_insert(Value::Bool(false));
        training.entry(KEY).or_insert(Value::Null);
    }
    config
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
        true => "fewer latents than that are above 0: try a smaller `k` or a larger `d_sae`".to_string(),
        false => advice(config, target, missed["start"].as_f64()?)?,
    };
    Some(format!("L0 is {l0} where `{name}` is {target}, after {steps} steps: {advice}"))
}

/// What brings a training nearer to its target: time, a faster rate, and a start that is not far off.
fn advice(config: &Config, target: f64, start: f64) -> Option<String> {
    let number = |key: &str| config.training.get(key)?.as_f64();
    let mut parts = vec!["4 times the steps (more `tokens`, or a smaller `batch_size`)".to_string()];
    let lr = number("lr")?;
    if lr < FAST {
        // Rounded, so that it reads as a person would have chosen it.
        parts.push(format!("`lr: {}`", (1e6 * lr).round().clamp(1.0, 1e5 * FAST) / 1e5));
    }
    let sd = start_at(target / config.d_sae as f64);
    if config.training["init"] == "sparse" && !(0.5..=2.0).contains(&(start / target)) && sd > 0.0 {
        parts.push(format!("`init_sd: {}`, which starts near the target", (10.0 * sd).round() / 10.0));
    }
    Some(format!("try {}", parts.join(" and ")))
}

/// How many standard deviations above the mean a normal number is with this probability.
fn start_at(share: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv((2.0 * share).min(1.0))
}
