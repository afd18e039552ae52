//! `reg::select`: drives the trainings that `regularizer::select` chooses among. Part of the namespace `reg`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, ImmutableString, Map, Module, NativeCallContext, exported_module};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::activations::Activations;
use crate::corpus::Corpus;
use crate::error::{Code, Error, Result};
use crate::geometry;
use crate::host::bind::dictionary::with_rows;
use crate::host::bind::sae::{Sae, train_sae};
use crate::host::bind::sae_measure::{scores, scores_in_model};
use crate::host::options::Options;
use crate::host::raise::{At, Raised, numbers, wrong_type};
use crate::host::session::session;
use crate::model::TargetModel;
use crate::progress::Monitor;
use crate::regularizer::Regularizer;
use crate::regularizer::select::{Choice, Reconstruction, Run, Scores, Setting, choose, pareto, settings};
use crate::report::table::{Table, Value};
use crate::sae::{EvaluateOptions, TrainOptions};

/// The functions of this file, for the namespace `reg`.
pub(super) fn module() -> Module {
    exported_module!(selection)
}

/// The options that are plain values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plain {
    seeds: Vec<u64>,
    target_l0: Option<f64>,
    l0_tolerance: f64,
    tolerance: f64,
    eval_tokens: Option<usize>,
}

impl Default for Plain {
    fn default() -> Self {
        Plain { seeds: vec![0], target_l0: None, l0_tolerance: 0.1, tolerance: 0.02, eval_tokens: None }
    }
}

/// A regularizer among those to choose from.
struct Candidate {
    name: String,
    regularizer: Regularizer,
    coefficients: Vec<f64>,
}

/// A whole selection, ready to run.
struct Selection {
    candidates: Vec<Candidate>,
    train: TrainOptions,
    target_l0: f64,
    test: Activations,
    in_model: Option<(TargetModel, Corpus)>,
    plain: Plain,
}

fn bad(option: &str, expected: &str, given: impl std::fmt::Display) -> Error {
    Error::new(Code::OutOfRange, format!("option `{option}` of reg::select is out of range"))
        .fact("expected", expected)
        .fact("given", given)
}

/// A Regularizer, or a map of one with its name and its own coefficients.
fn candidate(item: &Dynamic, common: &[f64]) -> Result<Candidate> {
    let (regularizer, name, coefficients) = match item.read_lock::<Map>() {
        Some(map) => {
            let mut options = Options::new("a candidate of reg::select", map.clone());
            let regularizer: Option<Regularizer> = options.take_native("regularizer")?;
            let (name, own) =
                (options.take_native::<ImmutableString>("name")?, options.take_native::<Array>("coefficients")?);
            options.finish()?;
            (regularizer, name, own)
        }
        None => (item.clone().try_cast::<Regularizer>(), None, None),
    };
    let expected = "a Regularizer, or a map `#{ regularizer, name, coefficients }`";
    let regularizer = regularizer.ok_or_else(|| wrong_type("a candidate of reg::select", expected, item))?;
    let given = regularizer.label();
    let plain = given.strip_prefix("1 x ").filter(|rest| !rest.contains(" + ")).unwrap_or(&given);
    let coefficients = coefficients.map_or(Ok(common.to_vec()), |own| numbers(&own, "coefficients"))?;
    if coefficients.is_empty() || coefficients.iter().any(|c| *c <= 0.0 || !c.is_finite()) {
        let given = format!("{coefficients:?} for {plain}");
        return Err(bad("coefficients", "numbers above 0, at least one; the baseline is always trained too", given));
    }
    Ok(Candidate { name: name.map_or(plain.to_string(), String::from), regularizer, coefficients })
}

/// Checks everything before the first training.
fn read(activations: &Activations, options: Map) -> Result<Selection> {
    let mut options = Options::new("reg::select", options);
    let items = options.take_native::<Array>("candidates")?.unwrap_or_default();
    let common = numbers(&options.take_native::<Array>("coefficients")?.unwrap_or_default(), "coefficients")?;
    let sae = options.take_native::<Map>("sae")?.unwrap_or_default();
    let test = options.take_native("test")?.unwrap_or_else(|| activations.clone());
    let (model, corpus) = (options.take_native("model")?, options.take_native("corpus")?);
    let plain: Plain = options.read()?;
    let candidates = items.iter().map(|item| candidate(item, &common)).collect::<Result<Vec<_>>>()?;
    let twice = |i: usize| candidates[..i].iter().any(|c| c.name == candidates[i].name) || candidates[i].name == "none";
    if let Some(i) = (0..candidates.len()).find(|&i| twice(i)) {
        let error = bad("candidates", "different names; `none` is always there", &candidates[i].name);
        return Err(error.help("name them: `#{ name: \"mine\", regularizer: .. }`"));
    }
    if candidates.is_empty() || plain.seeds.is_empty() {
        return Err(bad("candidates", "at least one candidate and one seed", "none"));
    }
    if !(plain.tolerance >= 0.0 && plain.l0_tolerance >= 0.0) {
        return Err(bad("tolerance", "tolerances of at least 0", plain.tolerance.min(plain.l0_tolerance)));
    }
    if let Some(key) = ["regularizer", "seed"].into_iter().find(|key| sae.contains_key(*key)) {
        let error = Error::new(Code::UnknownOption, format!("option `sae` of reg::select has no `{key}`"));
        return Err(error.help("give `candidates` and `seeds` beside it"));
    }
    let mut train: TrainOptions = Options::new("reg::select, sae", sae).read()?;
    train.target_l0 = plain.target_l0.or(train.target_l0);
    train.validate()?;
    let Some(target_l0) = train.target_l0.or(train.k.map(|k| k as f64)) else {
        return Err(bad("target_l0", "the L0 that all are trained to", "nothing").help("without it nothing compares"));
    };
    let in_model = match (model, corpus) {
        (Some(model), Some(corpus)) => Some((model, corpus)),
        (None, None) => None,
        _ => return Err(bad("model", "a model with a `corpus` of text, or neither", "one of the two")),
    };
    Ok(Selection { candidates, train, target_l0, test, in_model, plain })
}

impl Selection {
    /// Every setting: the baseline, then each candidate by its coefficients.
    fn grid(&self) -> Vec<(String, f64, Regularizer)> {
        let of = |c: &Candidate| {
            let at = |&coefficient: &f64| (c.name.clone(), coefficient, c.regularizer.scale(coefficient));
            c.coefficients.iter().map(at).collect::<Vec<_>>()
        };
        let baseline = ("none".to_string(), 0.0, Regularizer::none());
        std::iter::once(baseline).chain(self.candidates.iter().flat_map(of)).collect()
    }

    /// Trains and measures every setting with every seed, or takes what is remembered. A training that diverges leaves a run without scores.
    fn run(&self, ctx: &NativeCallContext, activations: &Activations) -> Result<Vec<Run>> {
        let session = session(ctx);
        let grid = self.grid();
        let (total, mut runs) = (grid.len() * self.plain.seeds.len(), Vec::new());
        for (name, coefficient, regularizer) in grid {
            for &seed in &self.plain.seeds {
                let label = format!("{name} x {coefficient}, seed {seed}");
                session.console().say(&format!("select {}/{total}: {label}", runs.len() + 1));
                let options = TrainOptions { seed, ..self.train.clone() };
                let scores = match train_sae(ctx, activations, &options, &regularizer) {
                    Ok(sae) => self.measure(ctx, &sae)?,
                    Err(error) if error.code == Code::Diverged => {
                        session.console().warn(&format!("{label}: {}", error.message));
                        Scores::default()
                    }
                    Err(error) => return Err(error),
                };
                let near = |l0: f64| (l0 - self.target_l0).abs() <= self.plain.l0_tolerance * self.target_l0;
                let l0_matched = scores.l0.is_some_and(near);
                runs.push(Run { regularizer: name.clone(), coefficient, seed, scores, l0_matched });
            }
        }
        Ok(runs)
    }

    fn measure(&self, ctx: &NativeCallContext, sae: &Sae) -> Result<Scores> {
        let session = session(ctx);
        let of = |json: &Json, key: &str| json[key].as_f64();
        let found = scores(&session, sae, &self.test)?;
        let score = match &self.in_model {
            Some((model, corpus)) => {
                let options = EvaluateOptions { tokens: self.plain.eval_tokens, ..EvaluateOptions::default() };
                of(&scores_in_model(&session, sae, (model, corpus), &options)?, "ce_loss_score")
            }
            None => None,
        };
        let summary = with_rows(&sae.decoder_tensor()?, geometry::summary)?;
        Ok(Scores {
            l0: of(&found, "l0"),
            explained_variance: of(&found, "explained_variance"),
            fvu: of(&found, "fvu"),
            ce_loss_score: score,
            mean_max_cos: summary.mean_max_cos,
            max_max_cos: summary.max_max_cos,
            dead_fraction: of(&found, "dead_fraction"),
        })
    }

    /// Tables and choice.
    fn result(&self, runs: &[Run]) -> Result<Map> {
        let all = settings(runs);
        let by = if self.in_model.is_some() { Reconstruction::CeLossScore } else { Reconstruction::ExplainedVariance };
        let Choice { setting, reason } = choose(&all, 0, by, self.plain.tolerance);
        let choice = setting.and_then(|i| self.grid().into_iter().nth(i));
        let front: Vec<Setting> = pareto(&all, by).into_iter().map(|i| all[i].clone()).collect();
        let averages = |settings: &[Setting]| {
            let row = |s: &Setting| self.row(&s.regularizer, s.coefficient, s.seeds as i64, &s.scores, s.l0_matched);
            Table::from_rows(self.columns("seeds"), settings.iter().map(row).collect())
        };
        let row = |r: &Run| self.row(&r.regularizer, r.coefficient, r.seed as i64, &r.scores, r.l0_matched);
        Ok(Map::from([
            ("table".into(), Dynamic::from(Table::from_rows(self.columns("seed"), runs.iter().map(row).collect())?)),
            ("averages".into(), Dynamic::from(averages(&all)?)),
            ("pareto".into(), Dynamic::from(averages(&front)?)),
            ("choice".into(), choice.map_or(Dynamic::UNIT, |(_, _, regularizer)| Dynamic::from(regularizer))),
            ("reason".into(), reason.into()),
            ("reconstruction".into(), by.name().into()),
        ]))
    }

    fn columns(&self, seed: &str) -> Vec<String> {
        let mut names = vec!["regularizer", "coefficient", seed, "l0", "explained_variance", "fvu"];
        names.extend(self.in_model.as_ref().map(|_| "ce_loss_score"));
        names.extend(["mean_max_cos", "max_max_cos", "dead_fraction", "l0_matched"]);
        names.into_iter().map(String::from).collect()
    }

    fn row(&self, name: &str, coefficient: f64, seed: i64, s: &Scores, l0_matched: bool) -> Vec<Value> {
        let mut row = vec![Value::Text(name.to_string()), Value::Float(coefficient), Value::Int(seed)];
        row.extend([s.l0, s.explained_variance, s.fvu].map(Value::from));
        row.extend(self.in_model.as_ref().map(|_| Value::from(s.ce_loss_score)));
        row.extend([s.mean_max_cos, s.max_max_cos, s.dead_fraction].map(Value::from));
        row.push(Value::Bool(l0_matched));
        row
    }
}

/// Choosing among regularizers.
#[export_module]
mod selection {
    /// The script type: rows of a target model at a hook.
    pub type Activations = crate::activations::Activations;

    /// Trains an SAE for every candidate, coefficient and seed at the same L0, with a baseline without a regularizer, and chooses. Each training is
    /// remembered as the `sae::train` with these options that it is, so a further candidate trains that one alone.
    ///
    /// * `activations`: rows [tokens, d_in] to train on.
    /// * `options`: `candidates` (required): an array of Regularizers, or of maps `#{ regularizer, name, coefficients }`;
    ///   `coefficients`: what each is multiplied with, for those without their own; `seeds` [0]; `sae`: the options of `sae::train` but
    ///   `regularizer` and `seed`; `target_l0` (required unless `sae` fixes it); `test`: the activations to measure on, those trained on by default;
    ///   `model`, `corpus`, `eval_tokens`: for the `ce_loss_score` in a target model on held-out text; `tolerance` 0.02: how much reconstruction a
    ///   regularizer may cost; `l0_tolerance` 0.1: how far from the target, as a share of it, an L0 may be for the run to be compared.
    ///
    /// Returns a map: `table` (one row a run: `regularizer`, `coefficient`, `seed`, `l0`, `explained_variance`, `fvu`, `ce_loss_score` with a model,
    /// `mean_max_cos`, `max_max_cos`, `dead_fraction`, `l0_matched`), `averages` over seeds, `pareto` (the averages that no other beats on both
    /// reconstruction and `mean_max_cos`, of those with matched L0), `choice`: the Regularizer of least `mean_max_cos` that loses at most `tolerance`
    /// of the baseline's reconstruction, the baseline if there is none, `()` if the baseline missed the L0; `reason`: a sentence with its numbers;
    /// `reconstruction`: the column compared, `ce_loss_score` with a model, else `explained_variance`.
    /// Errors: `out-of-range`, `wrong-type`, `unknown-option`, those of `sae::train`; a training that diverges is a row without numbers.
    ///
    /// ```rhai
    /// let x = activations::from_tensor(tensor::randn([512, 8], 0));
    /// let r = reg::select(x, #{
    ///     candidates: [reg::mean_max_cos(), reg::hinge(#{ tau: 0.3 })], coefficients: [0.1, 1.0],
    ///     target_l0: 4, sae: #{ d_sae: 16, batch_size: 64 },
    /// });
    /// assert_eq(r.table.height, 5);
    /// assert(r.reason.contains("chosen"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn select(ctx: NativeCallContext, activations: Activations, options: Map) -> Raised<Map> {
        let selection = read(&activations, options).at(&ctx)?;
        let runs = selection.run(&ctx, &activations).at(&ctx)?;
        selection.result(&runs).at(&ctx)
    }
}
