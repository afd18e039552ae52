//! `model::`: target models.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, Map, NativeCallContext, exported_module};
use serde_json::json;

use crate::activations::{Activations, HarvestOptions};
use crate::corpus::Corpus as CoreCorpus;
use crate::error::{Code, Error, Result};
use crate::host::bind::language;
use crate::host::harvest::harvest;
use crate::host::model_source;
use crate::host::options::Options;
use crate::host::raise::{At, Raised};
use crate::host::remember::{self, key, resolved};
use crate::host::session::session;
use crate::host::value::{from_json, to_script};
use crate::memory;
use crate::model::{
    self as core, GenerateOptions, HistoryRow, LoadOptions, LossOptions, TargetModel as Core, TrainOptions, files,
    ngram,
};
use crate::report::table::{Table, Value};
use crate::store;

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<Core>(engine, "TargetModel", |m| {
        let c = m.config();
        format!("TargetModel {} ({} layers, d_model {}, d_vocab {})", m.name(), c.n_layers, c.d_model, c.d_vocab)
    });
    engine.register_static_module("model", exported_module!(model).into());
}

/// Versions of what is remembered: raised when the same arguments would give another result.
const TRAIN_VERSION: u32 = 2;
const LOSS_VERSION: u32 = 3;

const HISTORY: &str = "history.json";

fn from_entry(entry: &store::Entry) -> Result<Core> {
    let read = |name: &str| {
        std::fs::read(entry.verified(name)?)
            .map_err(|e| Error::new(Code::DamagedFile, "a cached model cannot be read").fact("reason", e))
    };
    let model =
        files::from_bytes("trained", &read("config.json")?, &read("model.safetensors")?, &read("tokenizer.json")?)?;
    let history: Vec<HistoryRow> = serde_json::from_slice(&read(HISTORY)?)
        .map_err(|e| Error::new(Code::DamagedFile, "a cached history is damaged").fact("reason", e))?;
    Ok(model.with_history(history))
}

/// Trains, or takes what the same call trained before.
fn train_model(ctx: &NativeCallContext, corpus: &CoreCorpus, options: &TrainOptions) -> Result<Core> {
    let session = session(ctx);
    let inputs = [("corpus", corpus.digest()), ("corpus name", corpus.name())];
    let key = key("model::train", TRAIN_VERSION, resolved(options, &["checkpoint_every"]), &inputs);
    let entry = session.remember(key, &mut |folder, checkpoint| {
        let model = core::train(corpus, options, checkpoint, session.monitor())?;
        let history = remember::to_value(&model.history())?.to_string();
        for (name, bytes) in files::to_files(&model)? {
            store::write_atomic(&folder.join(name), &bytes)?;
        }
        store::write_atomic(&folder.join(HISTORY), history.as_bytes())
    })?;
    from_entry(&entry)
}

/// The functions of the namespace `model`.
#[export_module]
pub mod model {
    /// The script type: a language model whose activations can be read.
    pub type TargetModel = crate::model::TargetModel;
    /// The script type: a list of documents.
    pub type Corpus = crate::corpus::Corpus;

    /// Lists the target models inside the program.
    ///
    /// Returns an array of maps: `name`, `architecture`, `d_model`, `n_layers`, `d_vocab`, `trained_on`, `ce_loss` (held out, nats a
    /// token).
    ///
    /// ```rhai
    /// assert(model::list().some(|m| m.name == "prose-1l"));
    /// ```
    pub fn list() -> Array {
        let row = |(name, c): (&str, core::Config)| {
            from_json(&json!({
                "name": name, "architecture": c.architecture.family.name(), "d_model": c.d_model, "n_layers": c.n_layers, "d_vocab": c.d_vocab,
                "trained_on": c.trained_on, "ce_loss": c.ce_loss,
            }))
        };
        core::list().into_iter().map(row).collect()
    }

    /// Loads a target model: an embedded one by name, or the weights of saerun or another tool.
    ///
    /// * `name_or_path`: a name of `model::list()`; a folder that `m.save` wrote; TransformerLens weights (`.pth`, `.pt`, `.safetensors`) with
    ///   `config.json` and `tokenizer.json` beside them, or their folder; a Hugging Face folder of GPT-2, GPT-NeoX/Pythia or Llama
    ///   (`config.json`, `model.safetensors` or its index, `tokenizer.json`); a llama-architecture `.gguf`, tokenizer inside; or
    ///   `hf:org/name`, downloaded from the Hugging Face hub (`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`; built with the
    ///   cargo feature `hub`).
    ///
    /// Returns a TargetModel. Its `config` says which token begins contexts and which divides documents.
    /// Errors: `missing-file`, `damaged-file`, `shape-mismatch`, `unsupported`, `out-of-range`, `outside-project`.
    ///
    /// ```rhai
    /// assert_eq(model::load("prose-1l").config.d_model, 512);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(ctx: NativeCallContext, name_or_path: &str) -> Raised<TargetModel> {
        load_with(ctx, name_or_path, Map::new())
    }

    /// Loads a target model, with options.
    ///
    /// * `name_or_path`: as without options.
    /// * `options`: `center_writing_weights` false: take its mean over the residual stream off all that writes to it, as TransformerLens'
    ///   `from_pretrained` does and SAELens does not (LayerNorm models only; the model says the same, its hooks show another); `n_ctx`:
    ///   positions a context, the model's own but at most 2048 by default; `prepend_bos`: whether a token begins each context, the family's
    ///   convention by default (as TransformerLens; for `.gguf` as the file says); `revision`: a branch, tag or commit of an `hf:` name.
    ///
    /// Returns a TargetModel.
    /// Errors: as without options.
    ///
    /// ```rhai
    /// let m = model::load("prose-1l", #{ center_writing_weights: true, n_ctx: 64 });
    /// assert(m.config.center_writing_weights && m.config.n_ctx == 64);
    /// ```
    #[rhai_fn(name = "load", return_raw)]
    pub fn load_with(ctx: NativeCallContext, name_or_path: &str, options: Map) -> Raised<TargetModel> {
        let options: LoadOptions = Options::new("model::load", options).read().at(&ctx)?;
        model_source::load(&session(&ctx), name_or_path, &options).at(&ctx)
    }

    /// Trains a target model: a decoder-only transformer with its own byte-level BPE. Remembered by content and resumable.
    ///
    /// * `corpus`: the text.
    /// * `options`: `n_layers` 1, `d_model` 512, `n_heads` 8, `d_mlp` 2048, `act_fn` `"gelu"` (exact) `"gelu_new"` `"relu"` `"silu"` `"solu_ln"`,
    ///   `n_ctx` 128, `d_vocab` 4096, `tokens` 6,000,000, `batch_size` 2048 tokens, `optimizer` `"muon"` (for the matrices of the layers; the
    ///   rest takes AdamW) or `"adam_w"` (for which a smaller `lr` is safer), `lr` 0.004 (100 steps of warm-up, then linear decay to zero), `weight_decay` 0.1, `seed` 0,
    ///   `checkpoint_every` 200 steps.
    ///
    /// Returns a TargetModel, its weights rounded to f16.
    /// Errors: `out-of-range` for sizes that make no transformer, `diverged`.
    ///
    /// ```rhai
    /// let m = model::train(corpus::load("kjv"), #{
    ///     d_model: 16, n_heads: 2, d_mlp: 32, n_ctx: 16, d_vocab: 300, tokens: 640, batch_size: 64,
    /// });
    /// assert_eq(m.history.column("step"), [10]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn train(ctx: NativeCallContext, corpus: Corpus, options: Map) -> Raised<TargetModel> {
        let options: TrainOptions = Options::new("model::train", options).read().at(&ctx)?;
        train_model(&ctx, &corpus, &options).at(&ctx)
    }

    /// Writes the model as a folder: `config.json`, `model.safetensors` (f16 where that keeps the values, TransformerLens names),
    /// `tokenizer.json`.
    ///
    /// * `model`: the model.
    /// * `dir`: a folder of the project; one that `save` wrote is replaced, one that holds anything else is not.
    /// * `options`: `ce_loss`: the held-out cross-entropy to keep in its configuration.
    ///
    /// Errors: `outside-project`, `write-failed`.
    ///
    /// ```rhai
    /// model::load("prose-1l").save("copy", #{ ce_loss: 4.0 });
    /// assert_eq(model::load("copy").config.ce_loss, 4.0);
    /// ```
    #[rhai_fn(global, name = "save", return_raw, pure)]
    pub fn save_with(ctx: NativeCallContext, model: &mut TargetModel, dir: &str, options: Map) -> Raised<()> {
        let mut options = Options::new("m.save", options);
        let ce_loss: Option<f64> = options.take_native("ce_loss").at(&ctx)?;
        options.finish().at(&ctx)?;
        let model = ce_loss.map_or_else(|| model.clone(), |loss| model.with_ce_loss(loss));
        let dir = session(&ctx).writable(dir).at(&ctx)?;
        store::write_dir_atomic(&dir, &files::to_files(&model).at(&ctx)?).at(&ctx)
    }

    /// Writes the model as a folder, as it is.
    ///
    /// * `model`: the model.
    /// * `dir`: a folder of the project; one that `save` wrote is replaced, one that holds anything else is not.
    ///
    /// ```rhai
    /// model::load("prose-1l").save("same");
    /// assert_eq(model::load("same").config, model::load("prose-1l").config);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn save(ctx: NativeCallContext, model: &mut TargetModel, dir: &str) -> Raised<()> {
        save_with(ctx, model, dir, Map::new())
    }

    /// The model's name.
    ///
    /// * `model`: the model.
    ///
    /// ```rhai
    /// assert_eq(model::load("sotu-1l").name, "sotu-1l");
    /// ```
    #[rhai_fn(global, get = "name", pure)]
    pub fn name(model: &mut TargetModel) -> String {
        model.name().to_string()
    }

    /// The model's shape and origin.
    ///
    /// * `model`: the model.
    ///
    /// Returns a map: `n_layers`, `d_model`, `n_heads`, `d_mlp`, `act_fn`, `n_ctx`, `d_vocab`, `trained_on`, `tokens`, `seed`, `ce_loss`; its
    /// architecture: `family`, `n_kv_heads`, `d_head`, `normalization`, `norm_epsilon`, `positions`, `rotary_width`, `rotary_base`, `mlp`,
    /// `parallel`, `tied`, `n_ctx_max`; how it was loaded: `center_writing_weights`, `revision`; and the tokens that begin contexts (`()` where
    /// none does) and divide documents: `bos_id`, `bos_token`, `separator_id`, `separator_token`, `marks_from`.
    ///
    /// ```rhai
    /// assert_eq(model::load("prose-1l").config.act_fn, "gelu");
    /// ```
    #[rhai_fn(global, get = "config", return_raw, pure)]
    pub fn config(ctx: NativeCallContext, model: &mut TargetModel) -> Raised<Dynamic> {
        to_script(&model.description()).at(&ctx)
    }

    /// The names of the model's hooks, as TransformerLens has them.
    ///
    /// * `model`: the model.
    ///
    /// Returns an array of strings.
    ///
    /// ```rhai
    /// assert(model::load("prose-1l").hooks.contains("blocks.0.hook_mlp_out"));
    /// ```
    #[rhai_fn(global, get = "hooks", pure)]
    pub fn hooks(model: &mut TargetModel) -> Array {
        model.hooks().into_iter().map(Dynamic::from).collect()
    }

    /// How the model's training went; empty for a loaded model.
    ///
    /// * `model`: the model.
    ///
    /// Returns a Table: `step`, `tokens`, `loss` (nats a token, mean since the row before), `lr`.
    ///
    /// ```rhai
    /// assert_eq(model::load("prose-1l").history.height, 0);
    /// ```
    #[rhai_fn(global, get = "history", return_raw, pure)]
    pub fn history(ctx: NativeCallContext, model: &mut TargetModel) -> Raised<Table> {
        let columns = ["step", "tokens", "loss", "lr"].map(String::from).to_vec();
        let row = |h: &HistoryRow| {
            vec![Value::Int(h.step as i64), Value::Int(h.tokens as i64), Value::Float(h.loss), Value::Float(h.lr)]
        };
        Table::from_rows(columns, model.history().iter().map(row).collect()).at(&ctx)
    }

    /// The tokens of a text.
    ///
    /// * `model`: the model.
    /// * `text`: any text.
    ///
    /// Returns an array of ints; no document marker is added. What its tokenizer.json says of truncation, padding or dropout is not applied.
    /// Errors: `out-of-range` for a token that the model does not have, `unsupported` when the tokenizer cannot work on the text.
    ///
    /// ```rhai
    /// assert(model::load("prose-1l").tokenize("the king").len() <= 3);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn tokenize(ctx: NativeCallContext, model: &mut TargetModel, text: &str) -> Raised<Array> {
        let ids = model.tokenizer().encode(text).at(&ctx)?;
        memory::check("the array", 16 * ids.len() as u64, "tokenize less text at a time").at(&ctx)?;
        Ok(ids.into_iter().map(|id| Dynamic::from(i64::from(id))).collect())
    }

    /// Continues a text.
    ///
    /// * `model`: the model.
    /// * `text`: how it begins.
    /// * `options`: `tokens` 50, `temperature` 0.0 (the likeliest token each time), `seed` 0.
    ///
    /// Returns the text with its continuation.
    ///
    /// ```rhai
    /// let text = model::load("prose-1l").generate("In the beginning", #{ tokens: 3 });
    /// assert(text.starts_with("In the beginning"));
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn generate(ctx: NativeCallContext, model: &mut TargetModel, text: &str, options: Map) -> Raised<String> {
        let options: GenerateOptions = Options::new("m.generate", options).read().at(&ctx)?;
        model.generate(text, &options, session(&ctx).monitor()).at(&ctx)
    }

    /// The mean cross-entropy on a corpus, over every position that has a next token in its context. Remembered by content.
    ///
    /// * `model`: the model.
    /// * `corpus`: the text.
    /// * `options`: `tokens`: how many to score, all by default; `seed` 0: which; `zero_ablate`: a hook whose rows are set to zero at
    ///   all positions but the first of a context (and the loss is taken over those positions).
    ///
    /// Returns a float, nats a token.
    /// Errors: `unknown-name` for a hook, `out-of-range` for more tokens than there are.
    ///
    /// ```rhai
    /// let text = corpus::load("sotu").split().test;
    /// assert(model::load("sotu-1l").ce_loss(text, #{ tokens: 2000 }) < 6.0);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn ce_loss(ctx: NativeCallContext, model: &mut TargetModel, corpus: Corpus, options: Map) -> Raised<f64> {
        let options: LossOptions = Options::new("m.ce_loss", options).read().at(&ctx)?;
        let session = session(&ctx);
        let inputs = [("model", model.digest().at(&ctx)?), ("corpus", corpus.digest())];
        let key = key("m.ce_loss", LOSS_VERSION, resolved(&options, &[]), &inputs);
        let loss =
            remember::json(&session, key, &mut || Ok(json!(model.ce_loss(&corpus, &options, session.monitor())?)));
        Ok(loss.at(&ctx)?.as_f64().unwrap_or(f64::NAN))
    }

    /// What the model must beat: unigram and bigram models fitted to the tokens of one corpus and scored on another.
    ///
    /// * `model`: the model, for its tokenizer.
    /// * `train`: the text to fit.
    /// * `test`: the text to score.
    ///
    /// Returns a map, nats a token: `unigram` (add-one), `bigram` (interpolated with the unigram by Witten and Bell), `bigram_linear`
    /// (interpolated with one weight, the best of 0.05, 0.1 ... 0.95 for the test text).
    ///
    /// ```rhai
    /// let text = corpus::load("austen").split();
    /// let b = model::load("prose-1l").ngram_losses(text.train, text.test);
    /// assert(b.bigram < b.unigram && b.bigram <= b.bigram_linear);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn ngram_losses(
        ctx: NativeCallContext,
        model: &mut TargetModel,
        train: Corpus,
        test: Corpus,
    ) -> Raised<Dynamic> {
        let tokens = |corpus: &Corpus| model.tokenizer().stream(corpus).at(&ctx);
        let (train, test) = (tokens(&train)?, tokens(&test)?);
        to_script(&ngram::baselines(&train, &test, model.config().d_vocab).at(&ctx)?).at(&ctx)
    }

    /// Reads the model's activations at a hook, each context's first positions left out, rows in one uniform shuffle. Remembered by content.
    ///
    /// * `model`: the model.
    /// * `corpus`: the text.
    /// * `options`: `hook` (required): one of `m.hooks`; `tokens`: rows, all that the corpus gives by default; `seed` 0: which contexts,
    ///   and the order; `skip_first` 1: positions of each context left out; `dtype` `"f32"` or `"f16"`: how rows are stored; `store`
    ///   `"file"` or `"stream"`: a stream is read from the model while it is used, each time anew and nothing stored, in shuffled sections of
    ///   about 65,536 rows, the next one while this one is in use; `exclude` `[]`: tokens whose positions are left out wherever they stand,
    ///   besides `skip_first`: `"bos"` (which begins contexts), `"eos"` (which follows documents), tokens as the vocabulary has them, or ids.
    ///
    /// Returns Activations [tokens, width], backed by a file, or by the model.
    /// Errors: `unknown-name` for a hook or a token of `exclude`, `out-of-range` for more tokens than there are.
    ///
    /// ```rhai
    /// let a = model::load("prose-1l").activations(corpus::load("austen"), #{ hook: "blocks.0.hook_mlp_out", tokens: 300 });
    /// assert_eq(a.shape, [300, 512]);
    /// ```
    #[rhai_fn(global, return_raw, pure)]
    pub fn activations(
        ctx: NativeCallContext,
        model: &mut TargetModel,
        corpus: Corpus,
        options: Map,
    ) -> Raised<Activations> {
        let options: HarvestOptions = Options::new("m.activations", options).read().at(&ctx)?;
        harvest(&session(&ctx), model, &corpus, &options).at(&ctx)
    }
}
