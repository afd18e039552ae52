//! Each row's k largest cosines with other rows, from tiles of the Gram matrix.
//!
//! Cost: n^2 d multiply-adds, and about k log(n / k) insertions a row; memory n k and a tile a thread.

use super::Sign;
use super::gram::visit_rows;
use super::simd::{max_lanes, wide};
use super::unit::{TILE, UnitRows};

/// For each row the kept rows of its k largest cosines, in falling order, of equal ones the lower first; fewer where there are no k
/// other rows. The choice is made in f32, so that near ties may go either way, always the same one.
pub fn largest(unit: &UnitRows, sign: Sign, k: usize) -> Vec<Vec<usize>> {
    let blocks = visit_rows(
        unit,
        |b| vec![Vec::<(f32, u32)>::new(); unit.tile_len(b)],
        |found, i, j, cos| {
            if sign == Sign::Abs {
                cos.iter_mut().for_each(|c| *c = c.abs());
            }
            let found = &mut found[i % TILE];
            let least = |found: &[(f32, u32)]| if found.len() < k { f32::NEG_INFINITY } else { found[k - 1].0 };
            // Columns come in order, so a later one must be larger to count.
            if k == 0 || largest_of(cos) <= least(found) {
                return;
            }
            for (column, &c) in cos.iter().enumerate() {
                if c > least(found) {
                    let place = found.partition_point(|known| known.0 >= c);
                    found.insert(place, (c, (j + column) as u32));
                    found.truncate(k);
                }
            }
        },
        |_, _, _| (),
    );
    blocks.into_iter().flatten().map(|row| row.into_iter().map(|(_, j)| j as usize).collect()).collect()
}

/// [`largest`] the slow, obvious way, in f64.
pub fn largest_reference(unit: &UnitRows, sign: Sign, k: usize) -> Vec<Vec<usize>> {
    let sorted = |i: usize| {
        let mut others: Vec<usize> = (0..unit.len()).filter(|&j| j != i).collect();
        others.sort_by(|&a, &b| sign.of(unit.cos(i, b)).total_cmp(&sign.of(unit.cos(i, a))));
        others.truncate(k);
        others
    };
    (0..unit.len()).map(sorted).collect()
}

wide! {
    fn largest_of(values: &[f32]) -> f32 {
        max_lanes(values)
    }
}
