//! The options of a toy, their limits, and the firing probabilities that follow from them.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::progress::Stop;

/// What rates are scaled by at most.
const LARGEST: f64 = 1e301;

/// The options of [`super::Superposition::new`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuperpositionOptions {
    /// How many features. Required: 0 stands for missing.
    pub features: usize,
    /// Width of the activations. Required.
    pub d: usize,
    /// How many rows. Required.
    pub tokens: usize,
    /// Features active on a token, on average.
    pub active: f64,
    /// Feature i fires `decay^i` times as often as feature 0. Default: 0.99^(512 / features), Sharkey's at 512 features; whatever their
    /// number, the rarest then fires 0.006 times as often as the commonest.
    pub decay: Option<f64>,
    /// The least strength of an active feature.
    pub strength_min: f64,
    /// The largest; strengths are uniform in between.
    pub strength_max: f64,
    /// Standard deviation of the Gaussian noise on every coordinate.
    pub noise: f64,
    /// Share of what decides about firing that features have in common, from 0 to below 1.
    pub correlation: f64,
    /// How many common factors there are.
    pub correlation_rank: usize,
    /// How many trees; the features of a tree fire only if their parents do. 0: none.
    pub trees: usize,
    /// Children of a feature of a tree.
    pub branching: usize,
    /// Levels of a tree below its root.
    pub depth: usize,
    /// Whether at most one child of a parent fires.
    pub exclusive: bool,
    /// Names the random streams.
    pub seed: u64,
}

impl Default for SuperpositionOptions {
    fn default() -> Self {
        SuperpositionOptions {
            features: 0,
            d: 0,
            tokens: 0,
            active: 5.0,
            decay: None,
            strength_min: 0.0,
            strength_max: 1.0,
            noise: 0.0,
            correlation: 0.0,
            correlation_rank: 25,
            trees: 0,
            branching: 4,
            depth: 3,
            exclusive: false,
            seed: 0,
        }
    }
}

/// More tokens than this do not have a part of the random stream each.
const MOST_TOKENS: usize = 1 << 40;

/// More features than this do not fit a token's share of the random stream.
const MOST: usize = 1 << 20;

impl SuperpositionOptions {
    /// # Errors
    /// `out-of-range`, naming the option.
    pub(super) fn validate(&self) -> Result<()> {
        let positive = [("features", self.features), ("d", self.d), ("tokens", self.tokens)];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::new(Code::OutOfRange, format!("synthetic::superposition needs `{name}`"))
                .fact("expected", "1 or more")
                .help("`#{ features: 512, d: 256, tokens: 100_000 }` is the usual toy"));
        }
        let wrong = |name: &str, expected: &str, given: f64| {
            Err(Error::new(Code::OutOfRange, format!("option `{name}` of synthetic::superposition is out of range"))
                .fact("expected", expected)
                .fact("given", given))
        };
        if self.tokens > MOST_TOKENS {
            return wrong("tokens", "at most 2^40", self.tokens as f64);
        }
        if self.features > MOST || self.d > MOST {
            return wrong("features", "at most 1048576 features and dimensions", self.features.max(self.d) as f64);
        }
        if !(self.active > 0.0 && self.active <= self.features as f64) {
            return wrong("active", "above 0, at most the number of features", self.active);
        }
        if !(self.decay() > 0.0 && self.decay() <= 1.0) {
            return wrong("decay", "above 0, at most 1", self.decay());
        }
        if !(self.strength_min >= 0.0 && self.strength_min <= self.strength_max && self.strength_max.is_finite()) {
            return wrong("strength_min", "0 to `strength_max`", self.strength_min);
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return wrong("noise", "0 or more", self.noise);
        }
        if !(0.0..1.0).contains(&self.correlation) {
            return wrong("correlation", "0 to below 1", self.correlation);
        }
        if self.correlation > 0.0 && !(1..=1 << 16).contains(&self.correlation_rank) {
            return wrong("correlation_rank", "1 to 65536", self.correlation_rank as f64);
        }
        if self.trees > 0 && (self.branching == 0 || self.in_trees().is_none_or(|n| n > self.features)) {
            return wrong("trees", "trees that hold at most `features` features", self.trees as f64);
        }
        Ok(())
    }

    /// The decay, resolved.
    pub fn decay(&self) -> f64 {
        self.decay.unwrap_or_else(|| 0.99f64.powf(512.0 / self.features as f64))
    }

    /// How many features the trees hold; `None` when that is beyond counting.
    fn in_trees(&self) -> Option<usize> {
        let mut level = self.trees;
        let mut all = level;
        for _ in 0..self.depth {
            level = level.checked_mul(self.branching)?;
            all = all.checked_add(level)?;
        }
        Some(all)
    }

    /// The parent of each feature. Features are numbered by level: all roots, all children of roots, and so on, then those outside
    /// the trees; so parents come before children and are commoner.
    pub(super) fn parents(&self) -> Vec<Option<usize>> {
        let mut parents = vec![None; self.features];
        let (mut above, mut level) = (0, self.trees);
        for _ in 0..if self.trees > 0 { self.depth } else { 0 } {
            let first = above + level;
            for child in 0..level * self.branching {
                parents[first + child] = Some(above + child / self.branching);
            }
            (above, level) = (first, level * self.branching);
        }
        parents
    }

    /// How often each feature fires: proportional to `decay^i`, but never more than always, than its parent, or (exclusive) than its part
    /// of its parent; scaled so that `active` of them fire on a token.
    ///
    /// # Errors
    /// `out-of-range` when so many cannot be active; `interrupted`.
    pub(super) fn rates(&self, parents: &[Option<usize>]) -> Result<Vec<f64>> {
        let decay = self.decay();
        let shares: Vec<f64> = (0..parents.len()).map(|i| decay.powf(i as f64)).collect();
        let part = if self.exclusive { self.branching as f64 } else { 1.0 };
        let rates = |scale: f64| {
            let mut rates: Vec<f64> = Vec::with_capacity(parents.len());
            for (i, parent) in parents.iter().enumerate() {
                let most = parent.map_or(1.0, |p| rates[p] / part);
                rates.push((scale * shares[i]).min(most));
            }
            rates
        };
        let sum = |scale: f64| rates(scale).iter().sum::<f64>();
        if sum(LARGEST) < self.active {
            return Err(Error::new(Code::OutOfRange, "so many features cannot be active at once")
                .fact("`active`", self.active)
                .fact("at most", format!("{:.3}", sum(LARGEST)))
                .help("use fewer active features, a `decay` nearer to 1, or trees that are not `exclusive`"));
        }
        let (mut low, mut high) = (0.0, 1.0);
        let stop = Stop::here();
        while sum(high) < self.active && high < LARGEST {
            stop.check()?;
            (low, high) = (high, high * 2.0);
        }
        for _ in 0..100 {
            stop.check()?;
            let middle = 0.5 * (low + high);
            if sum(middle) < self.active { low = middle } else { high = middle }
        }
        Ok(rates(high))
    }
}
