//! Rows of a matrix rearranged for [`super::kernel`]: panels of a few rows, column after column, so that the inner loop reads memory
//! in order. Memory-bound: one read and one write of the matrix.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Rows;

/// The rows of a matrix in panels of `width`, the last one padded with zero rows.
#[derive(Debug, Clone)]
pub struct Panels {
    /// Panel after panel, each `d` columns of `width` values.
    data: Vec<f32>,
    /// Rows in a panel.
    pub width: usize,
    /// Real rows.
    pub n: usize,
    /// How long a row is.
    pub d: usize,
}

impl Panels {
    /// Rearranges the rows.
    pub fn new(rows: Rows<'_>, width: usize) -> Panels {
        Panels::filled(rows.n, rows.d, width, |panel, real, out| {
            // Sixteen columns at a time: as much of each row as a cache line holds.
            for (block, out) in out.chunks_mut(16 * width).enumerate() {
                for r in 0..real {
                    let row = &rows.row(panel * width + r)[block * 16..];
                    for (column, x) in out.chunks_exact_mut(width).zip(row) {
                        column[r].write(*x);
                    }
                }
            }
        })
    }

    /// Rearranges the columns of a row-major matrix, as if they were rows.
    pub fn of_columns(matrix: Rows<'_>, width: usize) -> Panels {
        Panels::filled(matrix.d, matrix.n, width, |panel, real, out| {
            for (k, out) in out.chunks_exact_mut(width).enumerate() {
                let from = &matrix.row(k)[panel * width..panel * width + real];
                out.iter_mut().zip(from).for_each(|(out, x)| _ = out.write(*x));
            }
        })
    }

    /// `n` rows of length `d`, panel by panel: `fill(panel, real, out)` writes all values of the panel's `real` first rows. Memory is
    /// not cleared first: that would be a third pass.
    fn filled(n: usize, d: usize, width: usize, fill: impl Fn(usize, usize, &mut [MaybeUninit<f32>]) + Sync) -> Panels {
        let len = n.div_ceil(width) * width * d;
        let mut data = Vec::with_capacity(len);
        if len > 0 {
            let room = &mut data.spare_capacity_mut()[..len];
            room.par_chunks_mut(width * d).with_min_len(64).enumerate().for_each(|(panel, out)| {
                let real = width.min(n - panel * width);
                if real < width {
                    out.fill(MaybeUninit::new(0.0));
                }
                fill(panel, real, out);
            });
        }
        // SAFETY: every panel is filled: its real rows by `fill`, those past the end with zeros before it.
        unsafe { data.set_len(len) };
        Panels { data, width, n, d }
    }

    /// How many panels.
    pub fn len(&self) -> usize {
        self.n.div_ceil(self.width)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Panel `i`: `d` columns of `width` values.
    pub fn panel(&self, i: usize) -> &[f32] {
        &self.data[i * self.width * self.d..(i + 1) * self.width * self.d]
    }
}
