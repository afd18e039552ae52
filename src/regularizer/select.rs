//! Choosing a regularizer from trained and measured SAEs: averages over seeds, what no other setting beats, and the choice with its reason.
//!
//! A setting is a regularizer with a coefficient. SAEs are compared at equal sparsity alone: a setting of which one run missed the target
//! L0 is neither on the Pareto front nor chosen, since more active latents reconstruct better whatever the dictionary.

/// By how much a difference of two shares may be off.
const ROUNDING: f64 = 1e-12;

/// What is measured of one SAE; `None` where it is not known or not defined. Numbers that are not finite count as unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// Active latents a token.
    pub l0: Option<f64>,
    /// 1 - fvu.
    pub explained_variance: Option<f64>,
    /// Squared error over squared distance from the mean.
    pub fvu: Option<f64>,
    /// The share of the target model's loss that the reconstruction saves.
    pub ce_loss_score: Option<f64>,
    /// Mean cosine of a decoder row to its nearest.
    pub mean_max_cos: Option<f64>,
    /// The largest cosine between two decoder rows.
    pub max_max_cos: Option<f64>,
    /// Share of latents that fire on none of the test tokens.
    pub dead_fraction: Option<f64>,
}

impl Scores {
    fn all(&mut self) -> [&mut Option<f64>; 7] {
        [
            &mut self.l0,
            &mut self.explained_variance,
            &mut self.fvu,
            &mut self.ce_loss_score,
            &mut self.mean_max_cos,
            &mut self.max_max_cos,
            &mut self.dead_fraction,
        ]
    }
}

/// One trained SAE.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The name of the regularizer; `"none"` for the baseline.
    pub regularizer: String,
    /// What it was multiplied with; 0 for the baseline.
    pub coefficient: f64,
    /// The seed of the training.
    pub seed: u64,
    /// How it came out.
    pub scores: Scores,
    /// Whether its L0 is near enough to the target.
    pub l0_matched: bool,
}

/// The runs of one regularizer with one coefficient.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The name of the regularizer.
    pub regularizer: String,
    /// What it was multiplied with.
    pub coefficient: f64,
    /// How many runs there are.
    pub seeds: usize,
    /// The means over the runs; `None` where one of them lacks the number.
    pub scores: Scores,
    /// Whether the L0 of every run is near enough to the target.
    pub l0_matched: bool,
}

/// How faithful an SAE is: higher is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconstruction {
    /// [`Scores::explained_variance`]
    ExplainedVariance,
    /// [`Scores::ce_loss_score`]
    CeLossScore,
}

impl Reconstruction {
    /// The name of the column.
    pub fn name(self) -> &'static str {
        match self {
            Reconstruction::ExplainedVariance => "explained_variance",
            Reconstruction::CeLossScore => "ce_loss_score",
        }
    }

    fn of(self, scores: &Scores) -> Option<f64> {
        match self {
            Reconstruction::ExplainedVariance => scores.explained_variance,
            Reconstruction::CeLossScore => scores.ce_loss_score,
        }
    }
}

/// The means over seeds, in the order in which the settings first occur. A setting with a missing number lacks its mean: the
/// mean of the others would be that of easier seeds.
pub fn settings(runs: &[Run]) -> Vec<Setting> {
    let mut all: Vec<Setting> = Vec::new();
    for run in runs {
        let known = |s: &&mut Setting| s.regularizer == run.regularizer && s.coefficient == run.coefficient;
        let mut scores = run.scores;
        scores.all().into_iter().for_each(|x| *x = x.filter(|x| x.is_finite()));
        match all.iter_mut().find(known) {
            None => all.push(Setting {
                regularizer: run.regularizer.clone(),
                coefficient: run.coefficient,
                seeds: 1,
                scores,
                l0_matched: run.l0_matched,
            }),
            Some(setting) => {
                for (sum, x) in setting.scores.all().into_iter().zip(scores.all()) {
                    *sum = sum.zip(*x).map(|(sum, x)| sum + x);
                }
                setting.seeds += 1;
                setting.l0_matched &= run.l0_matched;
            }
        }
    }
    for setting in &mut all {
        let seeds = setting.seeds as f64;
        setting.scores.all().into_iter().flatten().for_each(|sum| *sum /= seeds);
    }
    all
}

/// The settings that no other beats, in their order: none is at least as good in both reconstruction and mean max cosine and better in
/// one. Settings that missed the L0 or lack one of the two numbers take no part; equal ones are both kept.
pub fn pareto(settings: &[Setting], by: Reconstruction) -> Vec<usize> {
    let points: Vec<(usize, f64, f64)> = (0..settings.len()).filter_map(|i| point(settings, i, by)).collect();
    let beats = |a: &(usize, f64, f64), b: &(usize, f64, f64)| a.1 >= b.1 && a.2 <= b.2 && (a.1 > b.1 || a.2 < b.2);
    points.iter().filter(|b| !points.iter().any(|a| beats(a, b))).map(|point| point.0).collect()
}

/// Setting i with its reconstruction and its mean max cosine, where it can be compared.
fn point(settings: &[Setting], i: usize, by: Reconstruction) -> Option<(usize, f64, f64)> {
    let s = settings.get(i).filter(|s| s.l0_matched)?;
    by.of(&s.scores).zip(s.scores.mean_max_cos).map(|(reconstruction, cos)| (i, reconstruction, cos))
}

/// What [`choose`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The chosen setting, by its place; `None` when the baseline cannot be compared.
    pub setting: Option<usize>,
    /// Why, with the numbers, in a sentence or two.
    pub reason: String,
}

/// The setting of least mean max cosine among those that lose at most `tolerance` of the baseline's reconstruction and lie below its mean
/// max cosine; the baseline itself when there are none. Setting `baseline` is the one without a regularizer. Of equal ones the
/// better reconstruction wins, then the first.
pub fn choose(settings: &[Setting], baseline: usize, by: Reconstruction, tolerance: f64) -> Choice {
    let what = by.name();
    let Some((_, base, base_cos)) = point(settings, baseline, by) else {
        let l0 = settings.get(baseline).and_then(|s| s.scores.l0).map_or("unknown".into(), |l0| format!("{l0:.2}"));
        let reason = format!(
            "Nothing is chosen: the baseline without a regularizer missed the target L0 (it has {l0}) or lacks {what} or its mean max \
             cosine, so nothing can be compared with it."
        );
        return Choice { setting: None, reason };
    };
    let others: Vec<(usize, f64, f64)> =
        (0..settings.len()).filter(|&i| i != baseline).filter_map(|i| point(settings, i, by)).collect();
    let left_out = settings.len() - 1 - others.len();
    let rest = match left_out {
        0 => String::new(),
        1 => " 1 setting missed the target L0 or lacks a number and was left out.".to_string(),
        n => format!(" {n} settings missed the target L0 or lack a number and were left out."),
    };
    let name = |i: usize| format!("{} x {}", settings[i].regularizer, settings[i].coefficient);
    // A loss of 0.9 - 0.88 is one of 0.02.
    let fit = others.iter().filter(|(_, found, cos)| base - found <= tolerance + ROUNDING && *cos < base_cos);
    // The smaller cosine, then the better reconstruction; `min_by` keeps the first of equal ones.
    let best = fit.clone().min_by(|a, b| a.2.total_cmp(&b.2).then(b.1.total_cmp(&a.1)));
    let reason = match best {
        Some(&(i, found, cos)) => format!(
            "{} is chosen: its mean max cosine of {cos:.4} is the lowest (without a regularizer {base_cos:.4}) with {what} {found:.4} against \
             {base:.4}, a loss of {:.4} where {tolerance} is allowed. {} of {} settings compared lower the cosine within that loss.{rest}",
            name(i),
            base - found,
            fit.count(),
            others.len(),
        ),
        None => {
            let lower = others.iter().filter(|other| other.2 < base_cos).max_by(|a, b| a.1.total_cmp(&b.1));
            let why = lower.map_or("no setting lowers it at all".to_string(), |&(i, found, cos)| {
                format!("the mildest, {}, reaches {cos:.4} for a loss of {:.4}", name(i), base - found)
            });
            format!(
                "No regularizer is chosen: none of the {} settings compared lowers the mean max cosine of {base_cos:.4} for a loss of at most \
                 {tolerance} of {what} {base:.4}; {why}.{rest}",
                others.len(),
            )
        }
    };
    Choice { setting: Some(best.map_or(baseline, |&(i, ..)| i)), reason }
}
