//! Rows rounded to small integers, packed for [`super::screen`], with how far each lies from its row.

// Loops over several lanes by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::Rows;
use super::simd::wide;
use super::unit::dot;

/// How finely rows are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// 8 bits a value: the largest of a row becomes 127.
    Eight,
    /// 16 bits a value: the row's length becomes 32,000, so that an inner product fits into 32 bits.
    Sixteen,
}

impl Grain {
    /// Values in a word of 32 bits.
    pub fn values(self) -> usize {
        match self {
            Grain::Eight => 4,
            Grain::Sixteen => 2,
        }
    }
}

/// On which side of a product rows stand: with eight bits the instruction takes the left ones without a sign, so they have 128 added, and
/// the sums of the right ones start from what that adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Broadcast.
    Left,
    /// Side by side.
    Right,
}

/// Longer rows are not rounded: 65,536 products of a byte with a sign and one without fit into 32 bits.
const LONGEST: usize = 1 << 16;

/// Rows as integers times a unit of the row's own, in panels of `width`: a word of values of one row beside that of the next.
pub struct Rounded {
    data: Vec<i32>,
    start: Vec<i32>,
    words: usize,
    /// Rows in a panel.
    pub width: usize,
    /// Real rows.
    pub n: usize,
    /// How long a row is.
    pub d: usize,
    /// What one unit of a row is worth; 0 for the padding after the real rows, as the next two.
    pub unit: Vec<f32>,
    /// The length of a row.
    pub norm: Vec<f32>,
    /// Its length and how far the rounded row lies from it, added: no less than either row's length.
    pub reach: Vec<f32>,
}

impl Rounded {
    /// Rounds rows, each by a unit of its own. `None` when one is not finite or so small or large that the bound would not hold, or
    /// rows are too long.
    pub fn new(rows: Rows<'_>, grain: Grain, side: Side, width: usize) -> Option<Rounded> {
        let norms: Vec<f64> = (0..rows.n).into_par_iter().map(|i| dot(rows.row(i), rows.row(i)).sqrt()).collect();
        let usual = |norm: &f64| *norm == 0.0 || (1e-15..1e15).contains(norm);
        if rows.d > LONGEST || !norms.iter().all(usual) {
            return None;
        }
        let (d, words) = (rows.d, rows.d.div_ceil(grain.values()));
        let panels = rows.n.div_ceil(width);
        // Padding is zero too: with eight bits that is 128 on the left.
        let zero = if grain == Grain::Eight && side == Side::Left { FLIPPED } else { 0 };
        let mut all = Rounded {
            data: vec![zero; panels * width * words],
            start: vec![0; panels * width],
            words,
            width,
            n: rows.n,
            d,
            unit: vec![0.0; panels * width],
            norm: vec![0.0; panels * width],
            reach: vec![0.0; panels * width],
        };
        let data = all.data.par_chunks_mut((width * words).max(1));
        let facts = (all.unit.par_chunks_mut(width), all.norm.par_chunks_mut(width), all.reach.par_chunks_mut(width));
        let work = data.zip(all.start.par_chunks_mut(width)).zip(facts);
        work.with_min_len(16).enumerate().for_each(|(panel, ((out, start), (units, lengths, reach)))| {
            for r in 0..width.min(rows.n - panel * width) {
                let (row, norm) = (rows.row(panel * width + r), norms[panel * width + r]);
                let unit = match grain {
                    Grain::Eight => largest(row) / 127.0,
                    Grain::Sixteen => (norm / 32_000.0) as f32,
                };
                let over = if unit > 0.0 { 1.0 / unit } else { 0.0 };
                round(row, over, (grain, side), &mut out[r..], width);
                let (off, sum) = rest(row, unit, over);
                if grain == Grain::Eight {
                    start[r] = -128 * sum;
                }
                // A part in a thousand and one in a million more, for what rounding takes from these sums.
                (units[r], lengths[r]) = (unit, norm as f32);
                reach[r] = (norm * 1.000_001 + f64::from(off).sqrt() * 1.001) as f32;
            }
        });
        Some(all)
    }

    /// How many panels.
    pub fn len(&self) -> usize {
        self.n.div_ceil(self.width)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Words of a row.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    pub(super) fn panel(&self, i: usize) -> &[i32] {
        let size = self.width * self.words;
        &self.data[i * size..(i + 1) * size]
    }

    /// What the sums of a panel's rows start from.
    pub(super) fn start(&self, i: usize) -> &[i32] {
        &self.start[i * self.width..(i + 1) * self.width]
    }
}

/// 128 in each byte.
const FLIPPED: i32 = i32::from_ne_bytes([0x80; 4]);

/// Rounds a row into every `width`-th place, a word in each.
fn round(row: &[f32], over: f32, (grain, side): (Grain, Side), out: &mut [i32], width: usize) {
    let mut buffer = [0i32; 256];
    let values = grain.values();
    for (row, out) in row.chunks(values * buffer.len()).zip(out.chunks_mut(buffer.len() * width)) {
        match grain {
            Grain::Eight => bytes(row, over, if side == Side::Left { FLIPPED } else { 0 }, &mut buffer),
            Grain::Sixteen => halves(row, over, &mut buffer),
        }
        out.iter_mut().step_by(width).zip(&buffer[..row.len().div_ceil(values)]).for_each(|(out, x)| *out = *x);
    }
}

/// `x * over` to the nearest integer, which is below 2^22: adding 1.5 * 2^23 leaves it in the lowest bits.
#[inline(always)]
fn whole(x: f32, over: f32) -> i32 {
    (x * over + 12_582_912.0).to_bits() as i32 - 0x4b40_0000
}

/// A last word that is not full.
#[inline(always)]
fn last(values: &[f32], over: f32, bits: usize) -> i32 {
    let mask = (1 << bits) - 1;
    values.iter().enumerate().fold(0, |word, (at, x)| word | ((whole(*x, over) & mask) << (at * bits)))
}

wide! {
    fn halves(row: &[f32], over: f32, out: &mut [i32]) {
        let (words, odd) = row.as_chunks::<2>();
        for (out, [first, second]) in out.iter_mut().zip(words) {
            *out = (whole(*first, over) & 0xffff) | (whole(*second, over) << 16);
        }
        if !odd.is_empty() {
            out[words.len()] = last(odd, over, 16);
        }
    }
}

wide! {
    fn bytes(row: &[f32], over: f32, flip: i32, out: &mut [i32]) {
        let (words, odd) = row.as_chunks::<4>();
        for (out, [a, b, c, d]) in out.iter_mut().zip(words) {
            let low = (whole(*a, over) & 0xff) | ((whole(*b, over) & 0xff) << 8);
            *out = (low | ((whole(*c, over) & 0xff) << 16) | (whole(*d, over) << 24)) ^ flip;
        }
        if !odd.is_empty() {
            out[words.len()] = last(odd, over, 8) ^ flip;
        }
    }
}

wide! {
    /// The largest absolute value of a row.
    fn largest(row: &[f32]) -> f32 {
        let (whole, tail) = row.as_chunks::<16>();
        let mut lanes = [0.0f32; 16];
        for x in whole {
            for l in 0..16 {
                lanes[l] = if x[l].abs() > lanes[l] { x[l].abs() } else { lanes[l] };
            }
        }
        lanes.iter().chain(tail).fold(0.0, |most, x| if x.abs() > most { x.abs() } else { most })
    }
}

wide! {
    /// The squared distance of a row from its rounded one, and the sum of the integers.
    fn rest(row: &[f32], unit: f32, over: f32) -> (f32, i32) {
        let (chunks, tail) = row.as_chunks::<16>();
        let (mut off, mut sum) = ([0.0f32; 16], [0i32; 16]);
        for x in chunks {
            for l in 0..16 {
                let integer = whole(x[l], over);
                let rest = x[l] - unit * integer as f32;
                off[l] += rest * rest;
                sum[l] += integer;
            }
        }
        for (l, x) in tail.iter().enumerate() {
            let integer = whole(*x, over);
            let rest = x - unit * integer as f32;
            off[l] += rest * rest;
            sum[l] += integer;
        }
        (off.iter().sum(), sum.iter().sum())
    }
}
