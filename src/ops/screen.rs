//! A first look at the two products that saerun exists for: inner products of rows rounded to 16 bits.
//!
//! They are integers and so exact, and lie within a proven bound of the product of [`super::kernel`]. What is looked for there, a
//! pre-activation above its floor or a cosine above the best so far, is one entry in hundreds; the others are told apart here, and the
//! few that may matter are computed as the kernel does, to the same bits. So a first look changes the time and nothing else.
//!
//! Cost: `rows * columns * k` integer multiply-adds on one thread, at 1.7 times the rate of the f32 kernel (AVX2: 32 a cycle less what the
//! decoder lets pass; AVX-512 with VNNI has an instruction that does both). A CPU without these has no first look: it would not pay.

// Loops over registers by index are what the compiler unrolls.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::Rows;
use super::simd::wide;
use super::unit::dot;

type Run = unsafe fn(pairs: usize, left: *const i32, right: *const i32, out: *mut i32);

/// The inner loop on integers for one instruction set.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The instruction set.
    pub name: &'static str,
    /// Rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    run: Run,
}

/// Values in the largest tile.
const MOST: usize = 12 * 32;

#[repr(align(64))]
struct Tile([i32; MOST]);

/// The fastest first look of this CPU.
pub fn screen() -> Option<&'static Screen> {
    static BEST: OnceLock<Option<Screen>> = OnceLock::new();
    BEST.get_or_init(|| available().into_iter().next()).as_ref()
}

/// Every first look that this CPU has, the fastest first.
pub fn available() -> Vec<Screen> {
    #[allow(unused_mut, reason = "not every processor has one")]
    let mut all = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let fused = std::arch::is_x86_feature_detected!("fma");
        if fused && std::arch::is_x86_feature_detected!("avx512bw") && std::arch::is_x86_feature_detected!("avx512vnni")
        {
            all.push(Screen { name: "avx512vnni", rows: 12, columns: 32, run: loops::avx512 });
        }
        // With AVX-512 but without VNNI the f32 kernel is as fast.
        if fused
            && std::arch::is_x86_feature_detected!("avx2")
            && (!std::arch::is_x86_feature_detected!("avx512f") || !all.is_empty())
        {
            all.push(Screen { name: "avx2", rows: 6, columns: 16, run: loops::avx2 });
        }
    }
    all
}

impl Screen {
    /// Calls `visit(row, column, tile)` for each tile, in the order of [`super::kernel::Kernel::tiles`].
    ///
    /// # Panics
    /// When the rows are not in panels as wide as a tile, or not equally long.
    pub fn tiles(
        &self,
        left: (&Rounded, Range<usize>),
        right: (&Rounded, Range<usize>),
        mut visit: impl FnMut(usize, usize, &mut [i32]),
    ) {
        let ((a, rows), (b, columns)) = (left, right);
        assert!(a.width == self.rows && b.width == self.columns && a.d == b.d, "panels of another kernel");
        let mut tile = Tile([0; MOST]);
        let size = self.rows * self.columns;
        for j in columns {
            for i in rows.clone() {
                // SAFETY: the panels hold `pairs` pairs of `rows` and `columns` rows (checked above), the tile holds `MOST` values, and a
                // screen is only listed where the CPU has its instructions.
                unsafe { (self.run)(a.pairs(), a.panel(i).as_ptr(), b.panel(j).as_ptr(), tile.0.as_mut_ptr()) };
                visit(i * self.rows, j * self.columns, &mut tile.0[..size]);
            }
        }
    }
}

/// The length of a rounded row, in its own units: what i16 holds, with room for the rounding.
const LENGTH: f64 = 32_000.0;
/// How far a value lies from its rounded one at most: half a unit, and the rounding of the division.
const OFF: f64 = 0.51;
/// Beyond this length a rounded row might not fit, nor its products.
const LONGEST: usize = 1 << 20;

/// Rows as 16-bit integers times a unit of the row's own, in panels of `width`: two values of a row are side by side, so that one
/// instruction multiplies and adds both.
pub struct Rounded {
    data: Vec<i32>,
    /// Rows in a panel.
    pub width: usize,
    /// Real rows.
    pub n: usize,
    /// How long a row is.
    pub d: usize,
    /// What one unit of a row is worth; 0 for the padding after the real rows.
    pub unit: Vec<f32>,
}

impl Rounded {
    /// Rounds rows, each by a unit of its own. `None` when one is not finite, or so small or large that the bound would not hold.
    pub fn new(rows: Rows<'_>, width: usize) -> Option<Rounded> {
        let norms: Vec<f64> = (0..rows.n).into_par_iter().map(|i| dot(rows.row(i), rows.row(i)).sqrt()).collect();
        let usual = |norm: &f64| *norm == 0.0 || (1e-15..1e15).contains(norm);
        (rows.d <= LONGEST && norms.iter().all(usual)).then(|| Rounded::by(rows, width, |i| norms[i] / LENGTH))
    }

    /// Rounds rows of length one by one unit for all.
    pub fn of_unit(rows: Rows<'_>, width: usize) -> Option<Rounded> {
        (rows.d <= LONGEST).then(|| Rounded::by(rows, width, |_| 1.0 / LENGTH))
    }

    fn by(rows: Rows<'_>, width: usize, unit: impl Fn(usize) -> f64 + Sync) -> Rounded {
        let (n, d, pairs) = (rows.n, rows.d, rows.d.div_ceil(2));
        let mut data = vec![0i32; n.div_ceil(width) * width * pairs];
        data.par_chunks_mut((width * pairs).max(1)).with_min_len(16).enumerate().for_each(|(panel, out)| {
            for r in 0..width.min(n - panel * width) {
                let unit = unit(panel * width + r);
                let over = if unit > 0.0 { (1.0 / unit) as f32 } else { 0.0 };
                round(rows.row(panel * width + r), over, &mut out[r..], width);
            }
        });
        // A part in a million more, for the rounding to f32 and of the lengths.
        let mut units: Vec<f32> = (0..n).map(|i| (unit(i) * 1.000_001) as f32).collect();
        units.resize(n.div_ceil(width) * width, 0.0);
        Rounded { data, width, n, d, unit: units }
    }

    /// How many panels.
    pub fn len(&self) -> usize {
        self.n.div_ceil(self.width)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    fn pairs(&self) -> usize {
        self.d.div_ceil(2)
    }

    fn panel(&self, i: usize) -> &[i32] {
        let size = self.width * self.pairs();
        &self.data[i * size..(i + 1) * size]
    }
}

/// Rounds a row into every `width`-th place, two values in each.
fn round(row: &[f32], over: f32, out: &mut [i32], width: usize) {
    let mut buffer = [0i32; 256];
    for (row, out) in row.chunks(2 * buffer.len()).zip(out.chunks_mut(buffer.len() * width)) {
        let (pairs, odd) = row.as_chunks::<2>();
        pack(pairs, over, &mut buffer);
        if let [last] = odd {
            buffer[pairs.len()] = whole(*last, over) & 0xffff;
        }
        out.iter_mut().step_by(width).zip(&buffer[..row.len().div_ceil(2)]).for_each(|(out, x)| *out = *x);
    }
}

/// `x * over` to the nearest integer, which is below 2^22: adding 1.5 * 2^23 leaves it in the lowest bits.
#[inline(always)]
fn whole(x: f32, over: f32) -> i32 {
    (x * over + 12_582_912.0).to_bits() as i32 - 0x4b40_0000
}

wide! {
    fn pack(pairs: &[[f32; 2]], over: f32, out: &mut [i32]) {
        for (out, [first, second]) in out.iter_mut().zip(pairs) {
            *out = (whole(*first, over) & 0xffff) | (whole(*second, over) << 16);
        }
    }
}

/// How far the product of two rounded rows may lie from what the f32 kernel makes of the rows, both in units of the product.
///
/// With a = s (q + e), |e_k| at most [`OFF`] and |q + e| = [`LENGTH`], the products of the e are at most `2 OFF sqrt(d) (LENGTH + OFF sqrt(d)) +
/// OFF² d` by Cauchy and Schwarz, and a chain of d fused multiply-adds rounds by at most `d 2^-24` of the lengths' product. Twice that, and a
/// part in 2^17 for units that are rounded themselves and for comparisons in f32.
pub fn bound(d: usize) -> i32 {
    let off = OFF * (d as f64).sqrt();
    let rounding = LENGTH * LENGTH * ((d as f64) / f64::from(1 << 23) + 1.0 / f64::from(1 << 17));
    (2.0 * off * (LENGTH + off) + off * off + rounding).ceil() as i32
}

/// The entries of the f32 product for some pairs of rows, each one chain of fused multiply-adds: the bits of [`super::kernel`].
pub fn entries<'a>(pairs: impl ExactSizeIterator<Item = (&'a [f32], &'a [f32])>, mut take: impl FnMut(f32)) {
    let mut eight: [(&[f32], &[f32]); 8] = [(&[], &[]); 8];
    let mut waiting = 0;
    let mut left = pairs.len();
    for pair in pairs {
        (eight[waiting], waiting, left) = (pair, waiting + 1, left - 1);
        if waiting == 8 || left == 0 {
            // What is left of an earlier eight is computed again for nothing.
            let d = eight[..waiting].iter().map(|(a, b)| a.len().min(b.len())).min().unwrap_or(0);
            eight[waiting..].fill(pair);
            chains(&eight, d)[..waiting].iter().for_each(|x| take(*x));
            waiting = 0;
        }
    }
}

/// Eight chains at a time, as one waits for its last sum.
fn chains(rows: &[(&[f32], &[f32]); 8], d: usize) -> [f32; 8] {
    #[inline(always)]
    fn body(rows: &[(&[f32], &[f32]); 8], d: usize) -> [f32; 8] {
        let rows = rows.map(|(a, b)| (&a[..d], &b[..d]));
        let mut sums = [0.0f32; 8];
        for k in 0..d {
            for l in 0..8 {
                sums[l] = rows[l].0[k].mul_add(rows[l].1[k], sums[l]);
            }
        }
        sums
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "fma")]
        fn fused(rows: &[(&[f32], &[f32]); 8], d: usize) -> [f32; 8] {
            body(rows, d)
        }
        if std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has just been asked for the feature.
            return unsafe { fused(rows, d) };
        }
    }
    body(rows, d)
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::x86_64::*;

    /// `rows x (vectors * lanes)` sums in registers; a step takes two values of each row.
    macro_rules! kernel {
        ($name:ident, $feature:literal, $rows:literal, $vectors:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $broadcast:ident, $add:expr) => {
            #[target_feature(enable = $feature)]
            pub(super) unsafe fn $name(pairs: usize, left: *const i32, right: *const i32, out: *mut i32) {
                let mut sums = [[$zero(); $vectors]; $rows];
                for step in 0..pairs {
                    let mut row = [$zero(); $vectors];
                    for j in 0..$vectors {
                        // SAFETY: the caller's right panel holds `pairs` times `vectors * lanes` values.
                        row[j] = unsafe { $load(right.add((step * $vectors + j) * $lanes).cast()) };
                    }
                    for i in 0..$rows {
                        // SAFETY: the caller's left panel holds `pairs` times `rows` values.
                        let x = $broadcast(unsafe { *left.add(step * $rows + i) });
                        for j in 0..$vectors {
                            sums[i][j] = $add(sums[i][j], x, row[j]);
                        }
                    }
                }
                for i in 0..$rows {
                    for j in 0..$vectors {
                        // SAFETY: the caller's tile holds `rows * vectors * lanes` values.
                        unsafe { $store(out.add((i * $vectors + j) * $lanes).cast(), sums[i][j]) };
                    }
                }
            }
        };
    }

    kernel!(
        avx2,
        "avx2",
        6,
        2,
        8,
        _mm256_setzero_si256,
        _mm256_loadu_si256,
        _mm256_storeu_si256,
        _mm256_set1_epi32,
        |sum, x, y| _mm256_add_epi32(sum, _mm256_madd_epi16(x, y))
    );
    kernel!(
        avx512,
        "avx512f,avx512bw,avx512vnni",
        12,
        2,
        16,
        _mm512_setzero_si512,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        _mm512_set1_epi32,
        _mm512_dpwssd_epi32
    );
}
