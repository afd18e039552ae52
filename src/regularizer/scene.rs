//! The dictionary as the penalties see it: each selection of rows, each nearest-neighbor pass and each gradient in the
//! making exists once an evaluation, however many terms of a sum ask for it.

// Loops over lanes by index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use std::cell::OnceCell;

use rayon::prelude::*;

use super::options::{Side, Which};
use super::{Dictionary, Matrix};
use crate::error::{Code, Error, Result};
use crate::ops::frame::{Length, frame_of};
use crate::ops::nearest::{Nearest, nearest};
use crate::ops::pairs::{Pairs, pairs};
use crate::ops::simd::wide;
use crate::ops::unit::UnitRows;
use crate::ops::{Rows, Sign};

/// Matrices times selections.
const VIEWS: usize = 6;

fn place(side: Side, rows: Which) -> usize {
    side as usize * 3 + rows as usize
}

/// One evaluation of one dictionary.
pub(super) struct Scene<'a> {
    pub dictionary: &'a Dictionary<'a>,
    views: [OnceCell<View<'a>>; VIEWS],
}

impl<'a> Scene<'a> {
    /// Checks the shapes.
    pub fn new(dictionary: &'a Dictionary<'a>) -> Result<Self> {
        let (w_dec, w_enc) = (dictionary.w_dec, dictionary.w_enc);
        if (w_dec.n, w_dec.d) != (w_enc.n, w_enc.d) {
            return Err(Error::new(Code::ShapeMismatch, "decoder and encoder differ in shape")
                .fact("decoder", format!("[{}, {}]", w_dec.n, w_dec.d))
                .fact("encoder", format!("[{}, {}]", w_enc.n, w_enc.d)));
        }
        if let Some(alive) = dictionary.alive.filter(|alive| alive.len() != w_dec.n) {
            return Err(Error::new(Code::ShapeMismatch, "there is not one alive flag a latent")
                .fact("expected", w_dec.n)
                .fact("given", alive.len()));
        }
        Ok(Scene { dictionary, views: Default::default() })
    }

    /// The rows that a penalty looks at.
    pub fn view(&self, side: Side, rows: Which) -> &View<'a> {
        let rows = if self.dictionary.alive.is_none() { Which::All } else { rows };
        self.views[place(side, rows)].get_or_init(|| {
            let raw = match side {
                Side::Decoder => self.dictionary.w_dec,
                Side::Encoder => self.dictionary.w_enc,
            };
            let flags: Option<Vec<bool>> = match rows {
                Which::All => None,
                Which::Alive => self.dictionary.alive.map(<[bool]>::to_vec),
                Which::Dead => self.dictionary.alive.map(|alive| alive.iter().map(|a| !a).collect()),
            };
            View::new(raw, flags.as_deref())
        })
    }

    /// The views of a penalty's matrices that have at least two rows: with fewer there are no pairs.
    pub fn views(&self, matrix: Matrix, rows: Which) -> impl Iterator<Item = (Side, &View<'a>)> {
        matrix.sides().iter().map(move |&side| (side, self.view(side, rows))).filter(|(_, view)| view.unit.len() > 1)
    }
}

/// Selected rows of one matrix, with what has been worked out about them.
pub(super) struct View<'a> {
    pub unit: UnitRows<'a>,
    nearest: [OnceCell<Vec<Nearest>>; 2],
    sum: OnceCell<Vec<f64>>,
    pairs: OnceCell<Option<Pairs>>,
    frames: [OnceCell<Vec<f64>>; 2],
}

impl<'a> View<'a> {
    fn new(raw: Rows<'a>, flags: Option<&[bool]>) -> Self {
        View {
            unit: UnitRows::new(raw, flags),
            nearest: Default::default(),
            sum: OnceCell::new(),
            pairs: OnceCell::new(),
            frames: Default::default(),
        }
    }

    /// Each row's nearest neighbor: one pass over the Gram matrix, made when first asked for.
    pub fn nearest(&self, sign: Sign) -> &[Nearest] {
        self.nearest[sign as usize].get_or_init(|| nearest(&self.unit, sign))
    }

    /// The sum of the unit rows.
    pub fn sum(&self) -> &[f64] {
        self.sum.get_or_init(|| self.unit.sum())
    }

    /// The sum of absolute cosines.
    pub fn sum_abs(&self) -> f64 {
        self.pairs.get_or_init(|| pairs(&self.unit)).map_or(0.0, |p| p.sum_abs)
    }

    /// The sum over rows of w wᵀ, or of the unit rows: `[d, d]`.
    pub fn frame(&self, length: Length) -> &[f64] {
        self.frames[length as usize].get_or_init(|| frame_of(&self.unit, length))
    }

    /// How many ordered pairs of different rows there are.
    pub fn ordered_pairs(&self) -> f64 {
        let n = self.unit.len() as f64;
        n * (n - 1.0)
    }
}

/// The gradient with respect to the unit rows of one view, h_i, before it is projected: sums of other unit rows.
#[derive(Default)]
pub(super) struct Pull {
    /// Weight of the sum of all unit rows, in every h_i.
    pub toward_sum: f64,
    /// (i, j, t): h_i += t u_j, in the view's numbering.
    pub edges: Vec<(usize, usize, f64)>,
    /// (weight, `[n, d]` in the view's numbering): h += weight * rows.
    pub dense: Vec<(f64, Vec<f32>)>,
}

/// The gradients of one evaluation in the making.
pub(super) struct Gradient<'g> {
    pulls: [Option<Pull>; VIEWS],
    pub dec: &'g mut [f32],
    enc: &'g mut [f32],
}

impl<'g> Gradient<'g> {
    /// Checks the shapes.
    pub fn new(dictionary: &Dictionary, dec: &'g mut [f32], enc: &'g mut [f32]) -> Result<Self> {
        let expected = dictionary.w_dec.data.len();
        if let Some(given) = [dec.len(), enc.len()].into_iter().find(|&len| len != expected) {
            return Err(Error::new(Code::ShapeMismatch, "the gradient has not the dictionary's shape")
                .fact("expected", expected)
                .fact("given", given));
        }
        Ok(Gradient { pulls: Default::default(), dec, enc })
    }

    /// Where a term adds its pull on the rows of a view.
    pub fn pull(&mut self, scene: &Scene, side: Side, rows: Which) -> &mut Pull {
        let rows = if scene.dictionary.alive.is_none() { Which::All } else { rows };
        self.pulls[place(side, rows)].get_or_insert_with(Pull::default)
    }

    /// The derivative by the raw rows of one matrix, for terms in which the length of a row matters.
    pub fn raw(&mut self, side: Side) -> &mut [f32] {
        match side {
            Side::Decoder => self.dec,
            Side::Encoder => self.enc,
        }
    }

    /// Projects every pull on the tangent space of its row, divides by the row's length, and adds it to the gradients.
    pub fn finish(mut self, scene: &Scene) {
        for side in [Side::Decoder, Side::Encoder] {
            for rows in [Which::All, Which::Alive, Which::Dead] {
                if let Some(pull) = self.pulls[place(side, rows)].take() {
                    let out = match side {
                        Side::Decoder => &mut *self.dec,
                        Side::Encoder => &mut *self.enc,
                    };
                    pull.finish(scene.view(side, rows), out);
                }
            }
        }
    }
}

impl Pull {
    fn finish(self, view: &View, out: &mut [f32]) {
        let unit = &view.unit;
        let (n, d) = (unit.len(), unit.raw.d);
        // The edges of each row, in the order in which the terms gave them: sums do not depend on threads.
        let mut from = vec![0usize; n + 1];
        self.edges.iter().for_each(|edge| from[edge.0 + 1] += 1);
        (0..n).for_each(|i| from[i + 1] += from[i]);
        let mut next = from.clone();
        let mut sorted = vec![(0usize, 0.0f64); self.edges.len()];
        for &(i, j, t) in &self.edges {
            sorted[next[i]] = (j, t);
            next[i] += 1;
        }
        let mut kept = vec![None; unit.raw.n];
        unit.index.iter().enumerate().for_each(|(k, &row)| kept[row as usize] = Some(k));
        let sum = if self.toward_sum == 0.0 { &[][..] } else { view.sum() };
        out.par_chunks_mut(d.max(1)).zip(&kept).for_each_init(
            || vec![0.0f64; d],
            |h, (out, k)| {
                let Some(i) = *k else { return };
                h.fill(0.0);
                h.iter_mut().zip(sum).for_each(|(h, s)| *h += self.toward_sum * s);
                sorted[from[i]..from[i + 1]].iter().for_each(|&(j, t)| unit.add_to(j, t, h));
                for (weight, rows) in &self.dense {
                    h.iter_mut().zip(&rows[i * d..]).for_each(|(h, &x)| *h += weight * f64::from(x));
                }
                add_tangent(out, h, unit.raw_row(i), unit.norm[i]);
            },
        );
    }
}

wide! {
    /// `out += (h - (h . u) u) / norm` for the unit vector u = row / norm.
    fn add_tangent(out: &mut [f32], h: &[f64], row: &[f32], norm: f64) {
        let mut along = [0.0f64; 8];
        let (h_body, h_tail) = h.as_chunks::<8>();
        let (row_body, row_tail) = row.as_chunks::<8>();
        for (h, x) in h_body.iter().zip(row_body) {
            for l in 0..8 {
                along[l] += h[l] * f64::from(x[l]);
            }
        }
        let tail: f64 = h_tail.iter().zip(row_tail).map(|(h, x)| h * f64::from(*x)).sum();
        let (once, along) = (1.0 / norm, (along.iter().sum::<f64>() + tail) / (norm * norm * norm));
        for ((o, h), x) in out.iter_mut().zip(h).zip(row) {
            *o += (h * once - along * f64::from(*x)) as f32;
        }
    }
}
