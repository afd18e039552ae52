//! Inner loops on rows, compiled for AVX-512, AVX2 and the baseline, chosen at run time.
//!
//! The bodies are plain Rust over fixed lanes and never fuse a multiplication with an addition, so that every choice gives the
//! same bits: sums depend on the 32 lanes written here, not on the width of the machine's registers.

// Loops over lanes by index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

/// Compiles the body of a function for wider registers too, and calls the widest that this CPU has.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx512f") {
                    // SAFETY: the CPU has just been asked for the feature.
                    return unsafe { avx512($($arg),*) };
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has just been asked for the feature.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use wide;

/// How many partial sums a reduction keeps.
pub const LANES: usize = 32;

/// The inner product of two rows of equal length, for use inside a [`wide`] body.
#[inline(always)]
pub(crate) fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (whole_a, tail_a) = a[..n].as_chunks::<LANES>();
    let (whole_b, tail_b) = b[..n].as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (x, y) in whole_a.iter().zip(whole_b) {
        for l in 0..LANES {
            lanes[l] += x[l] * y[l];
        }
    }
    for (l, (x, y)) in tail_a.iter().zip(tail_b).enumerate() {
        lanes[l] += x * y;
    }
    total(lanes)
}

/// The sum of all lanes, halving them: a fixed order.
#[inline(always)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of `f` over the values, for use inside a [`wide`] body.
#[inline(always)]
pub(crate) fn sum_lanes(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, tail) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for x in whole {
        for l in 0..LANES {
            lanes[l] += f(x[l]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane += f(*x);
    }
    total(lanes)
}

/// Replaces every value by `f` of it and returns the sum of the new ones, for use inside a [`wide`] body.
#[inline(always)]
pub(crate) fn map_sum_lanes(values: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, tail) = values.as_chunks_mut::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for x in whole {
        for l in 0..LANES {
            x[l] = f(x[l]);
            lanes[l] += x[l];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *x = f(*x);
        *lane += *x;
    }
    total(lanes)
}

/// The largest of some values that are numbers; minus infinity when there are none. For use inside a [`wide`] body.
#[inline(always)]
pub(crate) fn max_lanes(values: &[f32]) -> f32 {
    let (whole, tail) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for x in whole {
        for l in 0..LANES {
            lanes[l] = if x[l] > lanes[l] { x[l] } else { lanes[l] };
        }
    }
    lanes.iter().chain(tail).fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most })
}

/// `out += scale * row`, for use inside a [`wide`] body.
#[inline(always)]
pub(crate) fn add_scaled_lanes(out: &mut [f32], scale: f32, row: &[f32]) {
    for (o, x) in out.iter_mut().zip(row) {
        *o += scale * x;
    }
}

wide! {
    /// The inner product of two rows of equal length, in f32 with 32 partial sums.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        dot_lanes(a, b)
    }
}

wide! {
    /// `out += scale * row`.
    pub fn add_scaled(out: &mut [f32], scale: f32, row: &[f32]) {
        add_scaled_lanes(out, scale, row);
    }
}

/// The inner product in f64, one term after the other: what [`dot`] is tested against.
pub fn dot_reference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}
