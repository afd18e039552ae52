//! How far cosines reach above a threshold: the sum over pairs of a power of the excess, and its gradient.
//!
//! Cost: n^2 d multiply-adds for the cosines, and as many again for the gradient where most pairs are above the threshold, next to
//! none where few are; memory n d for the gradient and a tile a thread.

use super::Sign;
use super::gram::weighted_sums;
use super::unit::UnitRows;

/// The sum over ordered pairs of (c_ij - from)_+^power, and with `pull` for each row i the vector sum over j of
/// (c_ij - from)_+^(power - 1) u_j, times sign(c_ij) where cosines are absolute: `[n, d]`. `power` is at least 1.
pub fn hinge(unit: &UnitRows, sign: Sign, from: f64, power: usize, pull: bool) -> (Vec<f32>, f64) {
    let threshold = from as f32;
    weighted_sums(unit, pull, |_, _, cos| {
        let mut sum = 0.0f32;
        for c in cos {
            let excess = if sign == Sign::Abs { c.abs() } else { *c } - threshold;
            let (mut weight, reaches) = (1.0f32, excess > 0.0);
            (1..power).for_each(|_| weight *= excess);
            let weight = if reaches { weight } else { 0.0 };
            sum += if reaches { weight * excess } else { 0.0 };
            *c = if sign == Sign::Abs { weight.copysign(*c) } else { weight };
        }
        f64::from(sum)
    })
}

/// [`hinge`] the slow, obvious way, in f64.
pub fn hinge_reference(unit: &UnitRows, sign: Sign, from: f64, power: usize) -> (Vec<f64>, f64) {
    let d = unit.raw.d;
    let (mut pull, mut sum) = (vec![0.0; unit.len() * d], 0.0);
    for (i, row) in pull.chunks_exact_mut(d.max(1)).enumerate() {
        for j in (0..unit.len()).filter(|&j| j != i) {
            let c = unit.cos(i, j);
            let excess = sign.of(c) - from;
            if excess > 0.0 {
                sum += excess.powi(power as i32);
                let weight = excess.powi(power as i32 - 1);
                unit.add_to(j, if sign == Sign::Abs { weight * c.signum() } else { weight }, row);
            }
        }
    }
    (pull, sum)
}
