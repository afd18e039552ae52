//! `sae::`: the files of sparse autoencoders.

use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Map, Module, NativeCallContext, exported_module};

use crate::error::Result;
use crate::host::bind::sae::Sae;
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::host::session::{Session, session};
use crate::sae::format::{self, Format, LoadOptions};
use crate::store;

/// The functions of this file, for the namespace `sae`.
pub(super) fn module() -> Module {
    exported_module!(files)
}

/// The SAE at a path, put on record by its content.
fn load_sae(session: &Arc<Session>, path: &str, options: &LoadOptions) -> Result<Sae> {
    let full = session.readable(path)?;
    let mut core = format::load_with(&full, options, session.monitor())?;
    if let Some(hook) = &options.hook {
        let named = std::mem::replace(&mut core.config.hook_name, hook.clone());
        if !named.is_empty() && named != *hook {
            session
                .monitor()
                .warn(&format!("the SAE at `{path}` names the hook `{named}`; it is taken for one of `{hook}`"));
        }
    }
    session.monitor().check()?;
    let loaded = Sae::new(core)?;
    session.record_input(path, &loaded.digest);
    Ok(loaded)
}

/// Reading and writing SAEs.
#[export_module]
mod files {
    /// The script type: a sparse autoencoder.
    pub type Sae = crate::host::bind::sae::Sae;

    /// Loads an SAE from the project; the format is recognized by the names of the files.
    ///
    /// Weights are turned to our orientation and to f32, and compute what they do in the tool that made them. What a format does not say stays
    /// empty: `config.training` is `()`, `config.hook_name` may be `""`. What the files say of the activations (model, options of its loading, hook,
    /// positions, tokens) is in `config.metadata`, goes along when the SAE is saved, and is compared with what it is evaluated on.
    ///
    /// * `path`: a folder of SAELens (`cfg.json`, `sae_weights.safetensors`; versions 3 to 6; standard, topk, jumprelu, gated), of sparsify
    ///   (`cfg.json`, `sae.safetensors`; topk) or of dictionary_learning (`ae.pt`, `config.json`; `AutoEncoder`, `AutoEncoderNew`,
    ///   `AutoEncoderTopK`, `BatchTopKSAE`, `MatryoshkaBatchTopKSAE`, `JumpReluAutoEncoder`, `GatedAutoEncoder`; also a file
    ///   `checkpoints/ae_100.pt` below its `config.json`), or a file `NAME.pt` with `NAME_cfg.json` beside it (Neel Nanda's).
    ///
    /// Returns a Sae.
    /// Errors: `missing-file`; `damaged-file`, also for a number that is not finite; `shape-mismatch`; `unsupported` for transcoders, skip
    /// connections and architectures or normalizations that are not there; `too-large`; `outside-project`.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([64, 4], 0));
    /// let s = sae::train(x, #{ d_sae: 8, batch_size: 32 });
    /// s.save("mine");
    /// assert_eq(sae::load("mine").decoder, s.decoder);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, path: &str) -> Raised<Sae> {
        load_with(ctx, path, Map::new())
    }

    /// Loads an SAE from the project, with options.
    ///
    /// * `path`: as without options.
    /// * `options`: `hook`: the hook that it belongs to, where its files do not say it; `format` `"sae_lens"`, `"sparsify"`,
    ///   `"dictionary_learning"` or `"neel_nanda"`: where the files' names do not tell; `scale`: what activations were multiplied by in training,
    ///   where a SAELens folder says `normalize_activations: "expected_average_only_in"`: sqrt(d_in) over the mean norm of the activations that it
    ///   was trained on. It is folded into the weights.
    ///
    /// Returns a Sae.
    /// Errors: as without options; `unknown-name` for a format; `out-of-range` for a scale that is not above 0, or has no use.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([64, 4], 0));
    /// sae::train(x, #{ d_sae: 8, batch_size: 32 }).save("mine");
    /// assert_eq(sae::load("mine", #{ hook: "blocks.0.hook_mlp_out" }).config.hook_name, "blocks.0.hook_mlp_out");
    /// ```
    #[rhai_fn(name = "load", return_raw)]
    pub fn load_with(ctx: NativeCallContext, path: &str, options: Map) -> Raised<Sae> {
        let options: LoadOptions = Options::new("sae::load", options).read().at(&ctx)?;
        load_sae(&session(&ctx), path, &options).at(&ctx)
    }

    /// Writes the SAE as a SAELens 6 folder, with all that is known of the activations that it was trained on in its metadata.
    ///
    /// * `s`: the SAE.
    /// * `dir`: a folder of the project; one that `save` wrote is replaced, one that holds anything else is not.
    ///
    /// ```rhai
    /// let s = sae::train(activations::from_tensor(tensor::randn([64, 4], 0)), #{ d_sae: 8, batch_size: 32 });
    /// s.save("mine");
    /// assert_eq(sae::load("mine").encoder, s.encoder);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn save(ctx: NativeCallContext, s: &mut Sae, dir: &str) -> Raised<()> {
        save_with(ctx, s, dir, Map::new())
    }

    /// Writes the SAE as a folder that another tool loads.
    ///
    /// * `s`: the SAE.
    /// * `dir`: a folder of the project; one that `save` wrote is replaced, one that holds anything else is not.
    /// * `options`: `format` `"sae_lens"` (version 6), or `"sparsify"`, which holds top-k SAEs only.
    ///
    /// Errors: `outside-project`, `write-failed`, `unknown-name` for a format, `unsupported` where it cannot hold the SAE.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([64, 4], 0));
    /// let s = sae::train(x, #{ d_sae: 8, batch_size: 32, architecture: "topk", k: 2 });
    /// s.save("mine", #{ format: "sparsify" });
    /// assert_eq(sae::load("mine").encode(tensor::eye(4)), s.encode(tensor::eye(4)));
    /// ```
    #[rhai_fn(global, name = "save", return_raw, pure)]
    pub fn save_with(ctx: NativeCallContext, s: &mut Sae, dir: &str, options: Map) -> Raised<()> {
        let mut options = Options::new("s.save", options);
        let format: Option<rhai::ImmutableString> = options.take_native("format").at(&ctx)?;
        options.finish().at(&ctx)?;
        let format = format.map_or(Ok(Format::SaeLens), |name| Format::written(&name)).at(&ctx)?;
        let dir = session(&ctx).writable(dir).at(&ctx)?;
        store::write_dir_atomic(&dir, &format::to_files(&s.core, format).at(&ctx)?).at(&ctx)
    }
}
