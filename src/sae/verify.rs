//! Whether two SAEs compute the same: the largest differences over random inputs.

use super::{Sae, decode, encode};
use crate::error::{Code, Error, Result};
use crate::rng::Rng;

/// Decoder rows that an input is made of.
const PARTS: usize = 8;

/// What [`difference`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Active latents an input of the first SAE: near 0, the comparison says little.
    pub l0: f64,
    /// Largest absolute difference of a latent's activation.
    pub codes: f64,
    /// Largest absolute difference of a reconstruction's coordinate.
    pub reconstructions: f64,
    /// Largest absolute activation or coordinate: what the differences are to be seen against.
    pub scale: f64,
}

impl Difference {
    /// Whether nothing differs by more than this share of the largest number.
    pub fn within(&self, tolerance: f64) -> bool {
        self.codes.max(self.reconstructions) <= tolerance * self.scale
    }
}

/// Compares what two SAEs make of `n` random inputs: `b_dec` and a few random rows of the first one's decoder in random amounts, so that latents
/// fire whatever their thresholds, and some noise.
///
/// # Errors
/// `shape-mismatch` when they are of different sizes.
pub fn difference(a: &Sae, b: &Sae, n: usize, seed: u64) -> Result<Difference> {
    let shape = |sae: &Sae| [sae.config.d_sae, sae.config.d_in];
    if shape(a) != shape(b) {
        return Err(Error::new(Code::ShapeMismatch, "the SAEs have different sizes")
            .fact("first", format!("{:?}", shape(a)))
            .fact("second", format!("{:?}", shape(b))));
    }
    let x = inputs(a, n, seed);
    let (codes_a, codes_b) = (encode(a, &x)?, encode(b, &x)?);
    let (out_a, out_b) = (decode(a, &codes_a)?, decode(b, &codes_b)?);
    let largest = |values: &[f32]| values.iter().fold(0.0, |max: f64, x| max.max(f64::from(*x).abs()));
    let far = |a: &[f32], b: &[f32]| {
        // A number that is not finite differs from all, itself included.
        let apart = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
        a.iter().zip(b).map(apart).fold(0.0, |max: f64, x| if x.is_nan() { f64::INFINITY } else { max.max(x) })
    };
    Ok(Difference {
        l0: codes_a.active() as f64 / n.max(1) as f64,
        codes: far(&codes_a.to_dense(), &codes_b.to_dense()),
        reconstructions: far(&out_a, &out_b),
        scale: largest(&codes_a.values).max(largest(&out_a)),
    })
}

fn inputs(sae: &Sae, n: usize, seed: u64) -> Vec<f32> {
    let (d_in, d_sae) = (sae.config.d_in, sae.config.d_sae);
    let mut rng = Rng::new(seed, "sae verify");
    let mut x = vec![0.0; n * d_in];
    for row in x.chunks_exact_mut(d_in) {
        rng.fill_normal(row, 0.1);
        row.iter_mut().zip(&sae.b_dec).for_each(|(x, b)| *x += b);
        for _ in 0..PARTS {
            let latent = rng.below(d_sae);
            let amount = rng.normal().exp() as f32;
            let direction = &sae.w_dec[latent * d_in..(latent + 1) * d_in];
            row.iter_mut().zip(direction).for_each(|(x, d)| *x += amount * d);
        }
    }
    x
}
