//! What a script sees as `m.config`: the configuration in full, in one flat map.

use serde_json::{Map, Value, json};

use super::TargetModel;
use super::architecture::{Normalization, Positions};

impl TargetModel {
    /// How the model was loaded, under the names that SAELens gives these facts in the metadata of an SAE; `model_digest` is
    /// [`TargetModel::identity`]. Whoever reads activations later must load the model in the same way.
    pub fn loading(&self) -> Map<String, Value> {
        let architecture = &self.config().architecture;
        let mut loading = Map::new();
        // Weights that RMSNorm reads cannot be centered, and there is nothing to say.
        if architecture.normalization == Normalization::Layer {
            loading.insert("center_writing_weights".into(), architecture.center_writing_weights.into());
        }
        if let Some(revision) = &architecture.revision {
            loading.insert("revision".into(), revision.as_str().into());
        }
        let mut facts = Map::new();
        facts.insert("model_class_name".into(), "HookedTransformer".into());
        facts.insert("model_digest".into(), self.identity().into());
        facts.insert("model_from_pretrained_kwargs".into(), loading.into());
        facts.insert("prepend_bos".into(), self.tokenizer().marks().bos.is_some().into());
        facts
    }

    /// Sizes, origin, architecture and marks, by name. What is not known or not there is null.
    pub fn description(&self) -> Value {
        let (c, a, marks) = (self.config(), &self.config().architecture, self.tokenizer().marks());
        let rotary = match &a.positions {
            Positions::Learned => None,
            Positions::Rotary { width, base, .. } => Some((*width, *base)),
        };
        json!({
            "n_layers": c.n_layers, "d_model": c.d_model, "n_heads": c.n_heads, "d_mlp": c.d_mlp, "act_fn": c.act_fn,
            "n_ctx": c.n_ctx, "d_vocab": c.d_vocab, "trained_on": c.trained_on, "tokens": c.tokens, "seed": c.seed,
            "ce_loss": c.ce_loss,
            "family": a.family, "n_kv_heads": c.n_kv_heads(), "d_head": c.d_head(), "normalization": a.normalization,
            "norm_epsilon": a.norm_epsilon, "positions": if rotary.is_some() { "rotary" } else { "learned" },
            "rotary_width": rotary.map(|r| r.0), "rotary_base": rotary.map(|r| r.1), "mlp": a.mlp, "parallel": a.parallel,
            "tied": a.tied, "n_ctx_max": a.n_ctx_max.unwrap_or(c.n_ctx),
            "center_writing_weights": a.center_writing_weights, "revision": a.revision,
            "bos_id": marks.bos, "bos_token": marks.bos.and_then(|id| self.tokenizer().token(id)),
            "separator_id": marks.separator, "separator_token": self.tokenizer().token(marks.separator),
            "marks_from": marks.from,
        })
    }
}
