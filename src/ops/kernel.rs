//! The inner loop of the two products that saerun exists for, the encoder and the Gram matrix: a small tile of inner products of
//! rows with rows, held in registers to the end.
//!
//! Each entry is one chain of fused multiply-adds over k in order. So its bits depend on its two rows alone, not on the tile it
//! falls into, the shape of the matrix or the width of the registers: AVX2 and AVX-512 agree. That is what a general matrix product
//! cannot give, and what lets a caller look at a tile while it is still in the first cache.
//!
//! Cost: `rows * columns * k` multiply-adds on one thread, at 95 % of what two fused multiply-adds a cycle can do (AVX2, k = 512).

// Loops over registers by index are what the compiler unrolls.
#![allow(clippy::needless_range_loop)]

use std::sync::OnceLock;

use super::panels::Panels;

/// The inner products of a left panel (rows of the tile) with a right panel (columns), row-major.
#[repr(align(64))]
pub struct Tile([f32; MOST]);

/// Values in the largest tile.
const MOST: usize = 12 * 32;

type Run = unsafe fn(k: usize, left: *const f32, right: *const f32, out: *mut f32);

/// The inner loop for one instruction set.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// The instruction set.
    pub name: &'static str,
    /// Rows of a tile: the width of a left panel.
    pub rows: usize,
    /// Columns of a tile: the width of a right panel.
    pub columns: usize,
    run: Run,
}

/// The widest kernel that this CPU has.
pub fn kernel() -> &'static Kernel {
    static BEST: OnceLock<Kernel> = OnceLock::new();
    BEST.get_or_init(|| available()[0])
}

/// Every kernel that this CPU has, the widest first.
pub fn available() -> Vec<Kernel> {
    let mut all = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            all.push(Kernel { name: "avx512f", rows: 12, columns: 32, run: wide::avx512 });
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            all.push(Kernel { name: "avx2 fma", rows: 6, columns: 16, run: wide::avx2 });
        }
    }
    all.push(Kernel { name: "portable", rows: 6, columns: 16, run: portable });
    all
}

impl Kernel {
    /// Calls `visit(row, column, tile)` for each tile of the products of some left panels with some right panels: column panel after
    /// column panel, and within one row panel after row panel. `row` and `column` are those of the tile's first entry; the tile holds
    /// `rows x columns` values, zero where a panel is padded.
    ///
    /// # Panics
    /// When the panels are not as wide as the kernel, or not equally long.
    pub fn tiles(
        &self,
        left: (&Panels, std::ops::Range<usize>),
        right: (&Panels, std::ops::Range<usize>),
        mut visit: impl FnMut(usize, usize, &mut [f32]),
    ) {
        let ((a, rows), (b, columns)) = (left, right);
        assert!(a.width == self.rows && b.width == self.columns && a.d == b.d, "panels of another kernel");
        let mut tile = Tile([0.0; MOST]);
        let size = self.rows * self.columns;
        for j in columns {
            let right = b.panel(j);
            for i in rows.clone() {
                let left = a.panel(i);
                // SAFETY: the panels hold k columns of `rows` and `columns` values (checked above), the tile holds `MOST` values, and
                // a kernel is only listed where the CPU has its instructions.
                unsafe { (self.run)(a.d, left.as_ptr(), right.as_ptr(), tile.0.as_mut_ptr()) };
                visit(i * self.rows, j * self.columns, &mut tile.0[..size]);
            }
        }
    }
}

/// Six rows, sixteen columns, in plain Rust. Fused where the target always has the instruction, else a product and a sum: other bits.
unsafe fn portable(k: usize, left: *const f32, right: *const f32, out: *mut f32) {
    const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
    // SAFETY: the caller gives panels of k columns, and room for the tile.
    let (left, right, out) = unsafe {
        (
            std::slice::from_raw_parts(left, 6 * k),
            std::slice::from_raw_parts(right, 16 * k),
            std::slice::from_raw_parts_mut(out, 6 * 16),
        )
    };
    let mut sums = [[0.0f32; 16]; 6];
    for (a, b) in left.as_chunks::<6>().0.iter().zip(right.as_chunks::<16>().0) {
        for i in 0..6 {
            for j in 0..16 {
                sums[i][j] = if FUSED { a[i].mul_add(b[j], sums[i][j]) } else { a[i] * b[j] + sums[i][j] };
            }
        }
    }
    out.as_chunks_mut::<16>().0.copy_from_slice(&sums);
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    /// `rows x (vectors * lanes)` sums in registers; one load of the right panel and `rows` broadcasts of the left a step.
    macro_rules! kernel {
        ($name:ident, $feature:literal, $rows:literal, $vectors:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident, $broadcast:ident, $fma:ident) => {
            #[target_feature(enable = $feature)]
            pub(super) unsafe fn $name(k: usize, left: *const f32, right: *const f32, out: *mut f32) {
                let mut sums = [[$zero(); $vectors]; $rows];
                for step in 0..k {
                    let mut row = [$zero(); $vectors];
                    for j in 0..$vectors {
                        // SAFETY: the caller's right panel holds k columns of `vectors * lanes` values.
                        row[j] = unsafe { $load(right.add((step * $vectors + j) * $lanes)) };
                    }
                    for i in 0..$rows {
                        // SAFETY: the caller's left panel holds k columns of `rows` values.
                        let x = $broadcast(unsafe { *left.add(step * $rows + i) });
                        for j in 0..$vectors {
                            sums[i][j] = $fma(x, row[j], sums[i][j]);
                        }
                    }
                }
                for i in 0..$rows {
                    for j in 0..$vectors {
                        // SAFETY: the caller's tile holds `rows * vectors * lanes` values.
                        unsafe { $store(out.add((i * $vectors + j) * $lanes), sums[i][j]) };
                    }
                }
            }
        };
    }

    kernel!(
        avx2,
        "avx2,fma",
        6,
        2,
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps
    );
    kernel!(
        avx512,
        "avx512f",
        12,
        2,
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps
    );
}

/// One entry as every fused kernel computes it, bit for bit.
pub fn entry_reference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| x.mul_add(*y, sum))
}
