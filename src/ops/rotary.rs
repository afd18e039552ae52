//! Rotary positions (Su et al. 2021): pairs of a head's values are turned by an angle that grows with the position.
//!
//! A pair is a value and the one half the turned width after it, as in GPT-NeoX and in Hugging Face's Llama. Weights whose pairs are
//! neighbors are put into this order when they are loaded.

/// The turns of every position.
#[derive(Debug, Clone)]
pub struct Rotary {
    width: usize,
    /// Cosine and sine of each pair's angle, position by position.
    turns: Vec<(f32, f32)>,
}

impl Rotary {
    /// Turns for positions up to `n_ctx` of the first `width` values of a head: pair `i` by `position / base^(2 i / width) / divisor`.
    /// No divisors stand for ones. Angles are computed in f64.
    pub fn new(n_ctx: usize, width: usize, base: f64, divisors: &[f64]) -> Rotary {
        let pairs = width / 2;
        let frequency = |i: usize| base.powf(-2.0 * i as f64 / width as f64) / divisors.get(i).copied().unwrap_or(1.0);
        let frequencies: Vec<f64> = (0..pairs).map(frequency).collect();
        let turn = |position: usize, frequency: &f64| {
            let angle = position as f64 * frequency;
            (angle.cos() as f32, angle.sin() as f32)
        };
        let turns = (0..n_ctx).flat_map(|position| frequencies.iter().map(move |f| turn(position, f))).collect();
        Rotary { width, turns }
    }

    /// Turns the first `heads` heads, each `d_head` wide, of a row at `position`.
    pub fn turn(&self, row: &mut [f32], heads: usize, d_head: usize, position: usize) {
        let pairs = self.width / 2;
        let turns = &self.turns[position * pairs..(position + 1) * pairs];
        for head in row.chunks_exact_mut(d_head).take(heads) {
            let (first, second) = head[..self.width].split_at_mut(pairs);
            for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(turns) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
