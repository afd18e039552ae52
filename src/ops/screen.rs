//! A first look at the two products that saerun exists for: inner products of rows rounded to small integers ([`super::rounded`]).
//!
//! They are exact, and lie within a proven bound of the product of [`super::kernel`]. What is looked for there, a pre-activation above its
//! floor or a cosine above the best so far, is one entry in hundreds; the others are told apart here. Those that may matter are computed in
//! f32 with many running sums ([`super::entries::near`]), which lies so close that few are left, and these as the kernel does, to the same bits ([`super::entries::entries`]).
//! So a first look changes the time and nothing else.
//!
//! Cost: `rows * columns * k` integer multiply-adds on one thread, at 1.7 times the rate of the f32 kernel with AVX2 (16 bits: 32 a cycle
//! less what the decoder lets pass) and at 4.4 times with AVX-512 VNNI (8 bits: 256 a cycle). A CPU without these has no first look: it would not
//! pay.

// Loops over registers by index are what the compiler unrolls.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;
use std::sync::OnceLock;

use super::Rows;
use super::rounded::{Grain, Rounded, Side};
use super::simd::wide;

type Run = unsafe fn(words: usize, left: *const i32, right: *const i32, start: *const i32, out: *mut i32);

/// The inner loop on integers for one instruction set.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The instruction set.
    pub name: &'static str,
    /// Rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    /// How finely rows are rounded.
    pub grain: Grain,
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
        if fused && std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512vnni")
        {
            all.push(Screen { name: "avx512vnni", rows: 12, columns: 32, grain: Grain::Eight, run: loops::avx512 });
        }
        // With AVX-512 but without VNNI the f32 kernel is as fast.
        if fused
            && std::arch::is_x86_feature_detected!("avx2")
            && (!std::arch::is_x86_feature_detected!("avx512f") || !all.is_empty())
        {
            all.push(Screen { name: "avx2", rows: 6, columns: 16, grain: Grain::Sixteen, run: loops::avx2 });
        }
    }
    all
}

/// Rows of both sides, rounded for a screen, and how near their products lie.
pub struct Pair {
    /// The rows of tiles.
    pub left: Rounded,
    /// The columns of tiles.
    pub right: Rounded,
    /// A part of the lengths' product by which the f32 product may lie off the exact one, and comparisons here.
    rounding: f32,
}

impl Pair {
    /// Rounds both sides; `None` as [`Rounded::new`].
    pub fn new(screen: &Screen, left: Rows<'_>, right: Rows<'_>) -> Option<Pair> {
        Some(Pair {
            left: Rounded::new(left, screen.grain, Side::Left, screen.rows)?,
            right: Rounded::new(right, screen.grain, Side::Right, screen.columns)?,
            rounding: rounding(left.d),
        })
    }
}

/// How far the f32 product of two rows, summed in any order, may lie from the exact one, over the product of their lengths: a sum of d products rounds
/// by at most `d 2^-24` of that (Cauchy and Schwarz). Twice that, and a part in 2^16 for what comparisons in f32 round themselves.
pub fn rounding(d: usize) -> f32 {
    d as f32 / (1 << 23) as f32 + 1.0 / (1 << 16) as f32
}

/// What an entry of the f32 product must be above to be found: the lower mark of its row and its column.
pub struct Marks<'a> {
    /// For each row of the tile; infinite where only columns have one.
    pub rows: &'a [f32],
    /// For each of its columns.
    pub columns: &'a [f32],
}

impl Screen {
    /// Calls `visit(row, column, tile)` for each tile, in the order of [`super::kernel::Kernel::tiles`].
    ///
    /// # Panics
    /// When the rows were rounded for another screen, or are not equally long.
    pub fn tiles(
        &self,
        pair: &Pair,
        rows: Range<usize>,
        columns: Range<usize>,
        mut visit: impl FnMut(usize, usize, &mut [i32]),
    ) {
        let (a, b) = (&pair.left, &pair.right);
        let fit = a.width == self.rows && b.width == self.columns && a.d == b.d && a.words() == b.words();
        assert!(fit, "panels of another kernel");
        let mut tile = Tile([0; MOST]);
        let size = self.rows * self.columns;
        for j in columns {
            let start = b.start(j).as_ptr();
            for i in rows.clone() {
                // SAFETY: the panels hold `words` words of `rows` and `columns` rows (checked above), `start` one for each column, the tile
                // holds `MOST` values, and a screen is only listed where the CPU has its instructions.
                unsafe { (self.run)(a.words(), a.panel(i).as_ptr(), b.panel(j).as_ptr(), start, tile.0.as_mut_ptr()) };
                visit(i * self.rows, j * self.columns, &mut tile.0[..size]);
            }
        }
    }

    /// Appends the entries (row, column) of the tile at `row` and `column` whose f32 product may be above the lower of their marks.
    ///
    /// With a and b the rows, p and q the rounded ones, `|a b - p q| <= |a - p| |b| + |p| |b - q| <= reach_a reach_b - |a| |b|`, where a
    /// reach is `|a| + |a - p|`; and the f32 product lies within [`rounding`] of `a b`.
    pub fn find(
        &self,
        pair: &Pair,
        (row, column, tile): (usize, usize, &[i32]),
        marks: &Marks<'_>,
        found: &mut Vec<(u32, u32)>,
    ) {
        let (left, right) = (row..row + self.rows, column..column + self.columns);
        let rows = Facts {
            unit: &pair.left.unit[left.clone()],
            norm: &pair.left.norm[left.clone()],
            reach: &pair.left.reach[left],
            mark: &marks.rows[..self.rows],
        };
        let columns = Facts {
            unit: &pair.right.unit[right.clone()],
            norm: &pair.right.norm[right.clone()],
            reach: &pair.right.reach[right],
            mark: &marks.columns[..self.columns],
        };
        let keep = 1.0 - pair.rounding;
        #[cfg(target_arch = "x86_64")]
        if self.grain == Grain::Eight {
            // SAFETY: this grain is only listed where the CPU has AVX-512.
            let above = unsafe { loops::above(tile, &rows, &columns, keep) };
            for (r, mut bits) in above.into_iter().enumerate() {
                while bits != 0 {
                    found.push(((row + r) as u32, column as u32 + bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
            return;
        }
        let mut some = some_above(tile, &rows, &columns, keep);
        while some != 0 {
            let r = some.trailing_zeros() as usize;
            some &= some - 1;
            for c in 0..self.columns {
                let near = upper(tile[r * self.columns + c], &rows, r, &columns, c, keep);
                if near > rows.mark[r].min(columns.mark[c]) {
                    found.push(((row + r) as u32, (column + c) as u32));
                }
            }
        }
    }
}

/// What is known of the rows or the columns of a tile.
struct Facts<'a> {
    unit: &'a [f32],
    norm: &'a [f32],
    reach: &'a [f32],
    mark: &'a [f32],
}

/// No less than the f32 product of a row and a column, by that of the rounded ones.
#[inline(always)]
fn upper(product: i32, rows: &Facts<'_>, r: usize, columns: &Facts<'_>, c: usize, keep: f32) -> f32 {
    let apart = rows.reach[r] * columns.reach[c] - rows.norm[r] * keep * columns.norm[c];
    product as f32 * columns.unit[c] * rows.unit[r] + apart
}

wide! {
    /// Which rows of a tile have an entry above its mark, a bit each. Rows are whole lines of sixteen.
    fn some_above(tile: &[i32], rows: &Facts<'_>, columns: &Facts<'_>, keep: f32) -> u32 {
        let width = columns.unit.len();
        let mut some = 0;
        for (r, line) in tile.chunks_exact(width).enumerate() {
            let mut any = [0u32; 16];
            for (at, line) in line.as_chunks::<16>().0.iter().enumerate() {
                for l in 0..16 {
                    let c = at * 16 + l;
                    let mark = if rows.mark[r] < columns.mark[c] { rows.mark[r] } else { columns.mark[c] };
                    any[l] |= u32::from(upper(line[l], rows, r, columns, c, keep) > mark);
                }
            }
            some |= any.iter().fold(0, |all, any| all | any) << r;
        }
        some
    }
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::x86_64::*;

    use super::Facts;

    /// `rows x (vectors * lanes)` sums in registers; a step takes a word of values of each row.
    macro_rules! kernel {
        ($name:ident, $feature:literal, $rows:literal, $vectors:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $broadcast:ident, $add:expr) => {
            #[target_feature(enable = $feature)]
            pub(super) unsafe fn $name(
                words: usize,
                left: *const i32,
                right: *const i32,
                start: *const i32,
                out: *mut i32,
            ) {
                let mut row = [$zero(); $vectors];
                for j in 0..$vectors {
                    // SAFETY: the caller gives a sum to start from for each of `vectors * lanes` columns.
                    row[j] = unsafe { $load(start.add(j * $lanes).cast()) };
                }
                let mut sums = [row; $rows];
                for step in 0..words {
                    for j in 0..$vectors {
                        // SAFETY: the caller's right panel holds `words` times `vectors * lanes` words.
                        row[j] = unsafe { $load(right.add((step * $vectors + j) * $lanes).cast()) };
                    }
                    for i in 0..$rows {
                        // SAFETY: the caller's left panel holds `words` times `rows` words.
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
        "avx512f,avx512vnni",
        12,
        2,
        16,
        _mm512_setzero_si512,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        _mm512_set1_epi32,
        _mm512_dpbusd_epi32
    );

    /// Which entries of each row of a tile may be above their mark, a bit each: [`super::upper`], sixteen at a time.
    #[target_feature(enable = "avx512f")]
    pub(super) fn above(tile: &[i32], rows: &Facts<'_>, columns: &Facts<'_>, keep: f32) -> [u32; 12] {
        let mut all = [0; 12];
        // SAFETY: a line holds sixteen values.
        let load = |line: &[f32; 16]| unsafe { _mm512_loadu_ps(line.as_ptr()) };
        let lines = |values: &[f32]| -> [__m512; 2] { [0, 1].map(|j| load(&values.as_chunks::<16>().0[j])) };
        let (unit, norm, reach) = (lines(columns.unit), lines(columns.norm), lines(columns.reach));
        let mark = lines(columns.mark);
        let facts = rows.unit.iter().zip(rows.norm).zip(rows.reach.iter().zip(rows.mark));
        for ((all, line), ((unit_r, norm_r), (reach_r, mark_r))) in
            all.iter_mut().zip(tile.as_chunks::<32>().0).zip(facts)
        {
            for j in 0..2 {
                // SAFETY: a line holds twice sixteen values.
                let products = unsafe { _mm512_loadu_si512(line.as_ptr().add(16 * j).cast()) };
                let products = _mm512_mul_ps(_mm512_cvtepi32_ps(products), unit[j]);
                let lengths = _mm512_mul_ps(_mm512_set1_ps(-norm_r * keep), norm[j]);
                let apart = _mm512_fmadd_ps(_mm512_set1_ps(*reach_r), reach[j], lengths);
                let upper = _mm512_fmadd_ps(products, _mm512_set1_ps(*unit_r), apart);
                let least = _mm512_min_ps(_mm512_set1_ps(*mark_r), mark[j]);
                *all |= u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(upper, least)) << (16 * j);
            }
        }
        all
    }
}
