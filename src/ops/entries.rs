//! Single entries of the product of [`super::kernel`]: for the pairs of rows that a first look ([`super::screen`]) leaves.

// Loops over several chains by one index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

/// The inner product of two rows, in f32 with many running sums: fast, and within [`super::screen::rounding`] of the lengths' product.
pub fn near(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has just been asked for the feature.
        return unsafe { avx512::near(a, b) };
    }
    super::simd::dot(a, b)
}

/// Pairs that are computed beside each other, as one chain waits for its last sum.
const BESIDE: usize = 16;

/// The entries of the f32 product for some pairs of rows, each one chain of fused multiply-adds: the bits of [`super::kernel`].
pub fn entries<'a>(pairs: impl ExactSizeIterator<Item = (&'a [f32], &'a [f32])>, mut take: impl FnMut(f32)) {
    let mut some: [(&[f32], &[f32]); BESIDE] = [(&[], &[]); BESIDE];
    let mut waiting = 0;
    let mut left = pairs.len();
    for pair in pairs {
        (some[waiting], waiting, left) = (pair, waiting + 1, left - 1);
        if waiting == BESIDE || left == 0 {
            // What is left of earlier pairs is computed again for nothing.
            let d = some[..waiting].iter().map(|(a, b)| a.len().min(b.len())).min().unwrap_or(0);
            some[waiting..].fill(pair);
            chains(&some, d)[..waiting].iter().for_each(|x| take(*x));
            waiting = 0;
        }
    }
}

fn chains(pairs: &[(&[f32], &[f32]); BESIDE], d: usize) -> [f32; BESIDE] {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "fma")]
        fn fused(pairs: &[(&[f32], &[f32]); BESIDE], d: usize, out: &mut [f32; BESIDE]) {
            by_eight(pairs, d, out);
        }
        let mut out = [0.0; BESIDE];
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has just been asked for the feature.
            unsafe { avx512::chains(pairs, d, &mut out) };
            return out;
        }
        if std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has just been asked for the feature.
            unsafe { fused(pairs, d, &mut out) };
            return out;
        }
    }
    let mut out = [0.0; BESIDE];
    by_eight(pairs, d, &mut out);
    out
}

/// Eight chains at a time.
#[inline(always)]
fn by_eight(pairs: &[(&[f32], &[f32]); BESIDE], d: usize, out: &mut [f32; BESIDE]) {
    for (pairs, out) in pairs.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0) {
        let pairs = pairs.map(|(a, b)| (&a[..d], &b[..d]));
        let mut sums = [0.0f32; 8];
        for k in 0..d {
            for l in 0..8 {
                sums[l] = pairs[l].0[k].mul_add(pairs[l].1[k], sums[l]);
            }
        }
        *out = sums;
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    /// Sixteen values of a row from a place on, zero after its end.
    #[target_feature(enable = "avx512f")]
    fn load(row: &[f32], at: usize) -> __m512 {
        let left = row.len().saturating_sub(at).min(16);
        // SAFETY: only the first `left` values are read, which the row has.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << left) - 1) as __mmask16, row.as_ptr().wrapping_add(at)) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn near(a: &[f32], b: &[f32]) -> f32 {
        let (a_body, b_body) = (a.as_chunks::<64>(), b.as_chunks::<64>());
        let mut sums = [_mm512_setzero_ps(); 4];
        for (a, b) in a_body.0.iter().zip(b_body.0) {
            for l in 0..4 {
                // SAFETY: a chunk holds four times sixteen values.
                let (a, b) =
                    unsafe { (_mm512_loadu_ps(a.as_ptr().add(16 * l)), _mm512_loadu_ps(b.as_ptr().add(16 * l))) };
                sums[l] = _mm512_fmadd_ps(a, b, sums[l]);
            }
        }
        for at in (0..a_body.1.len().min(b_body.1.len())).step_by(16) {
            sums[0] = _mm512_fmadd_ps(load(a_body.1, at), load(b_body.1, at), sums[0]);
        }
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])))
    }

    /// Sixteen rows by sixteen values, turned.
    #[target_feature(enable = "avx512f")]
    fn turned(mut rows: [__m512; 16]) -> [__m512; 16] {
        let mut out = rows;
        // Pairs of values of two rows, then four of four, within quarters.
        for i in 0..8 {
            out[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            out[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        for i in 0..4 {
            for j in 0..2 {
                let (a, b) = (_mm512_castps_pd(out[4 * i + j]), _mm512_castps_pd(out[4 * i + 2 + j]));
                rows[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                rows[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            }
        }
        // Now row 4 i + k holds, in quarter q, value 4 q + k of rows 4 i to 4 i + 3: quarters are gathered.
        for k in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|i| rows[i + k]);
            let (ab, cd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d));
            (out[k], out[8 + k]) = (_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
            let (ab, cd) = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d));
            (out[4 + k], out[12 + k]) = (_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
        }
        out
    }

    /// Sixteen chains, one in each lane.
    #[target_feature(enable = "avx512f")]
    pub(super) fn chains(pairs: &[(&[f32], &[f32]); 16], d: usize, out: &mut [f32; 16]) {
        let mut sums = _mm512_setzero_ps();
        for at in (0..d).step_by(16) {
            let (mut a, mut b) = ([sums; 16], [sums; 16]);
            for l in 0..16 {
                (a[l], b[l]) = (load(&pairs[l].0[..d], at), load(&pairs[l].1[..d], at));
            }
            let (a, b) = (turned(a), turned(b));
            for k in 0..16.min(d - at) {
                sums = _mm512_fmadd_ps(a[k], b[k], sums);
            }
        }
        // SAFETY: there is room for sixteen values.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sums) };
    }
}
