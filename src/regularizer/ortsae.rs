//! The orthogonality penalty of OrtSAE: the squared cosine to the nearest neighbor within random chunks of the rows.
//!
//! A fresh uniform partition into K chunks at every step, by the training's seed and step. With m_i the largest cosine of row i inside
//! its chunk C, reached at a(i): the penalty is the mean over chunks of (1/|C|) sum_{i in C} m_i^2, and h_i += t u_{a(i)},
//! h_{a(i)} += t u_i with t = 2 m_i / (K |C|), times sign(c) where cosines are absolute. With one chunk it is the mean squared
//! nearest-neighbor cosine.
//!
//! The paper squares the maximum with its sign, so a chunk of at most d + 1 rows is drawn back from negative cosines
//! too; `relu` leaves those alone. Cost: N^2 d / (2 K) multiply-adds by tiles, and a copy of one chunk at a time.

use std::num::{NonZeroU64, NonZeroUsize};

use serde_json::{Value, json};

use super::options::{PenaltyOptions, penalty_options};
use super::scene::{Gradient, Scene, View};
use super::{Entry, Penalty, Regularizer, parse, slope};
use crate::error::Result;
use crate::ops::nearest::{Nearest, nearest};
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};
use crate::options::Described;
use crate::rng::Rng;

pub(super) const ENTRY: Entry = Entry {
    name: "ortsae",
    summary: "the mean squared cosine to the nearest row of the same random chunk",
    formula: "1/K sum_k 1/|C_k| sum_{i in C_k} (max_{j in C_k, j!=i} c_ij)^2, the C_k a fresh random partition every step",
    source: "OrtSAE, arXiv 2509.22033, equations 3 to 6",
    example: "assert_eq(reg::ortsae(#{ coefficient: 1 }).value(w), 2.0 / 3.0);",
    options: OrtsaeOptions::described,
    read: |options| parse(options, |options| Ok(Regularizer::ortsae(options))),
};

penalty_options! {
    coefficient = 0.25, sign = Signed;
    /// Options of [`Regularizer::ortsae`]; `coefficient` is the paper's gamma.
    pub struct OrtsaeOptions {
        /// how many chunks K, at most half as many as there are rows; by default the number of rows over `chunk_size`, rounded up
        chunks: Option<NonZeroUsize> = None,
        /// rows of a chunk at most, where `chunks` is not given
        chunk_size: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191),
        /// the penalty counts at every n-th step only, with n times its weight
        every: NonZeroU64 = NonZeroU64::MIN,
        /// whether a negative maximum counts as 0; the paper squares it like any other
        relu: bool = false,
    }
}

impl Regularizer {
    /// Mean over random chunks of the mean squared largest cosine inside the chunk.
    pub fn ortsae(options: OrtsaeOptions) -> Self {
        Regularizer::of(ENTRY.name, &options, Ortsae(options))
    }
}

struct Ortsae(OrtsaeOptions);

impl Penalty for Ortsae {
    fn describe(&self) -> Value {
        let OrtsaeOptions { chunks, chunk_size, every, relu, .. } = self.0;
        let scope = self.0.cosines();
        json!({
            "kind": ENTRY.name, "scope": scope, "chunks": chunks, "chunk_size": chunk_size, "every": every, "relu": relu,
        })
    }

    fn evaluate(&self, scene: &Scene, weight: f64, mut gradient: Option<&mut Gradient>) -> Result<f64> {
        let OrtsaeOptions { every, sign, matrix, rows, .. } = self.0;
        if !scene.dictionary.step.is_multiple_of(every.get()) {
            return Ok(0.0);
        }
        let times = every.get() as f64;
        let mut value = 0.0;
        for (side, view) in scene.views(matrix, rows) {
            let chunks = self.partition(view.unit.len(), scene);
            for chunk in &chunks {
                let share = times / (chunks.len() * chunk.len()) as f64;
                let nearest = nearest_within(view, chunk, sign);
                let counted = |cos: f64| if self.0.relu { sign.of(cos).max(0.0) } else { sign.of(cos) };
                value += share * nearest.iter().map(|a| counted(a.cos).powi(2)).sum::<f64>();
                if let Some(gradient) = gradient.as_deref_mut() {
                    let edges = &mut gradient.pull(scene, side, rows).edges;
                    edges.reserve(2 * nearest.len());
                    for (i, a) in nearest.iter().enumerate() {
                        let step = weight * share * 2.0 * counted(a.cos) * slope(sign, a.cos);
                        edges.extend([(chunk[i], chunk[a.index], step), (chunk[a.index], chunk[i], step)]);
                    }
                }
            }
        }
        Ok(value)
    }
}

impl Ortsae {
    /// A uniform partition of the rows 0..n for this seed and step: sizes differ by one at most, rows ascend within a
    /// chunk, and every chunk has a pair.
    fn partition(&self, n: usize, scene: &Scene) -> Vec<Vec<usize>> {
        let wanted = self.0.chunks.map_or(n.div_ceil(self.0.chunk_size.get()), NonZeroUsize::get);
        let chunks = wanted.clamp(1, (n / 2).max(1));
        if chunks == 1 {
            return vec![(0..n).collect()];
        }
        let order = Rng::new(scene.dictionary.seed, &format!("reg::ortsae {}", scene.dictionary.step)).permutation(n);
        (0..chunks)
            .map(|k| {
                let mut chunk: Vec<usize> =
                    order[k * n / chunks..(k + 1) * n / chunks].iter().map(|&i| i as usize).collect();
                chunk.sort_unstable();
                chunk
            })
            .collect()
    }
}

/// The nearest neighbor of each row of a chunk inside it, both by their place in the chunk.
fn nearest_within(view: &View, chunk: &[usize], sign: Sign) -> Vec<Nearest> {
    if chunk.len() == view.unit.len() {
        return view.nearest(sign).to_vec();
    }
    let rows: Vec<f32> = chunk.iter().flat_map(|&i| view.unit.raw_row(i)).copied().collect();
    let rows = Rows { data: &rows, n: chunk.len(), d: view.unit.raw.d };
    nearest(&UnitRows::new(rows, None), sign)
}
