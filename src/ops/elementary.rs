//! f32 `exp` and `erf` without branches, so that loops over them vectorize. They call no math library and so give the
//! same bits on every machine.

/// e^x to about 2 units in the last place; 0 below -87, saturating near 2.4e38 above 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Cody and Waite: x = n ln 2 + r with |r| <= ln 2 / 2, then a polynomial for e^r (coefficients as in Cephes `expf`).
    let underflow = x < -87.0;
    let x = x.clamp(-87.0, 88.3);
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    let value = (p * r * r + r + 1.0) * power;
    if underflow { 0.0 } else { value }
}

/// erf(x) with an absolute error below 4e-7 (Abramowitz and Stegun 7.1.26 in f32).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_7;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}
