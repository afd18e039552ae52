//! Every random number in saerun.
//!
//! A generator is named by a seed and a purpose, and two purposes never share a stream: adding a draw in one place moves
//! nothing elsewhere. The bits are ChaCha8 (Bernstein 2008), keyed by BLAKE3 of the purpose and the seed, so they are the
//! same on every machine and at any thread count. Its state is a word position, which makes training resumable bit by bit.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use rayon::prelude::*;

use crate::progress::Stop;

/// 32-bit words of the stream that [`Rng::normal`] takes.
const WORDS_A_NORMAL: u128 = 4;

/// A stream of random numbers, named by (seed, purpose).
#[derive(Debug, Clone)]
pub struct Rng {
    bits: ChaCha8Rng,
}

impl Rng {
    /// The stream of this seed and purpose, from its beginning.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("saerun 1 random stream");
        hasher.update(&seed.to_le_bytes());
        hasher.update(purpose.as_bytes());
        Rng { bits: ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()) }
    }

    /// How many 32-bit words have been drawn; with [`Rng::seek`] this resumes a stream exactly.
    pub fn position(&self) -> u128 {
        self.bits.get_word_pos()
    }

    /// Continues from a position that [`Rng::position`] returned.
    pub fn seek(&mut self, position: u128) {
        self.bits.set_word_pos(position);
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.bits.next_u64()
    }

    /// Uniform on [0, 1), with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform on 0..n, without bias (Lemire 2019). `n` must be positive.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        assert!(n > 0, "a choice among nothing");
        loop {
            let wide = u128::from(self.bits()) * u128::from(n);
            if (wide as u64) >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Standard normal, by Box and Muller; two draws a call, the second root unused, so that a draw is a fixed number of bits.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Fills with independent normals of mean 0 and standard deviation `sd`.
    pub fn fill_normal(&mut self, out: &mut [f32], sd: f64) {
        const PART: usize = 1 << 14;
        let (begin, stop) = (self.position(), Stop::here());
        let end = begin + out.len() as u128 * WORDS_A_NORMAL;
        out.par_chunks_mut(PART).enumerate().filter(|_| !stop.requested()).for_each(|(part, out)| {
            let mut rng = self.clone();
            rng.seek(begin + (part * PART) as u128 * WORDS_A_NORMAL);
            out.iter_mut().for_each(|x| *x = (rng.normal() * sd) as f32);
        });
        self.seek(end);
    }

    /// Fills with independent uniforms on [lo, hi).
    pub fn fill_uniform(&mut self, out: &mut [f32], lo: f64, hi: f64) {
        for x in out {
            *x = (lo + (hi - lo) * self.uniform()) as f32;
        }
    }

    /// A uniform permutation of 0..n (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }

    /// `n` rows of length `d`, uniform on the unit sphere. Each row has its own part of the stream, so threads change no bit.
    pub fn directions(&mut self, n: usize, d: usize) -> Vec<f32> {
        const ROWS: usize = 64;
        let mut rows = vec![0.0; n * d];
        let (begin, stop) = (self.position(), Stop::here());
        let words = |rows: usize| (rows * d) as u128 * WORDS_A_NORMAL;
        rows.par_chunks_mut((ROWS * d).max(1)).enumerate().filter(|_| !stop.requested()).for_each(|(part, rows)| {
            let mut rng = self.clone();
            rng.seek(begin + words(part * ROWS));
            let mut row = vec![0.0f64; d];
            for out in rows.chunks_exact_mut(d.max(1)) {
                row.iter_mut().for_each(|x| *x = rng.normal());
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                for (o, x) in out.iter_mut().zip(&row) {
                    *o = (x / norm) as f32;
                }
            }
        });
        self.seek(begin + words(n));
        rows
    }
}
