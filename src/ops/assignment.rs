//! The assignment problem, exactly: every row gets a column of its own so that the scores add up to the most.
//!
//! Shortest augmenting paths on prices (Jonker and Volgenant 1987). Every column has a price, 0 until it has an owner, and a row prefers
//! the column whose score less its price is largest. First rows bid: a row takes its best column and raises the price by what it would
//! lose with the next best (the augmenting row reduction of that paper, an auction without a minimum bid). That leaves few rows in need;
//! each gets its column along a shortest path of exchanges, after which the prices prove again that nothing better exists. Prices are
//! f64, so the result is the optimum for the f32 scores that are given, up to rounding of 1e-12.
//!
//! Chosen by measurement against the libraries there are. Cosines of random unit rows of 512 values, seconds of CPU on one of 2 cores with
//! AVX2, without the product that gives the cosines (8192: 0.9, 16384: 3.5, on both cores):
//!
//! | n x n | this | `lapjv` 0.3 in f64 | in f32 | `lsap` 1.0 (as SciPy) |
//! |---|---:|---:|---:|---:|
//! | 2048 | 0.06 | 0.42 | 0.27 | 0.35 |
//! | 8192 | 1.5 | 6.3 | 4.7 | 8.8 |
//! | 8192, half of the rows shared | 1.0 | 5.7 | 3.9 | 7.8 |
//! | 16384 | 7.2 | | | |
//!
//! All found the same optimum. `lapjv` takes square matrices alone and keeps its prices in the type of the scores, `lsap` wants f64 scores.
//! The column reduction that usually comes first makes this two to three times as slow: at 8192 it leaves 188 rows in need, bids alone 31.
//!
//! Cost: some 20 n bids of n comparisons, then as many row scans as the paths visit: in all about n^2.3 on random cosines. Rows that are
//! nearly alike make it cubic: 4096 rows of which a quarter differ by 1e-4 take 6 s. Memory: the scores, and O(n) beside them.

// Loops over lanes by index are what the compiler turns into registers.
#![allow(clippy::needless_range_loop)]

use super::simd::wide;
use crate::error::Result;
use crate::progress::Monitor;

/// How often the rows that are left over bid again.
const PASSES: usize = 3;
/// Bids a pass may take, times the rows in it: rows that differ by nothing but rounding would outbid each other for ever.
const BIDS: usize = 20;
/// Between two looks at whether to stop, so many rows are scanned.
const PATIENCE: usize = 1024;

const NONE: u32 = u32::MAX;

/// Prices and who owns what.
struct Market<'a> {
    scores: &'a [f32],
    columns: usize,
    /// Of each column; 0 without an owner.
    price: Vec<f64>,
    /// Row of each column.
    owner: Vec<u32>,
    /// Column of each row.
    column: Vec<u32>,
}

/// For each of the `rows` rows its column, all different, such that the sum of `scores[row * columns + column]` is the largest. On ties
/// any optimum, always the same one. Scores are finite.
///
/// # Errors
/// `interrupted` when `monitor` says so.
///
/// # Panics
/// When there are more rows than columns, or other than `rows * columns` scores.
pub fn assign(scores: &[f32], rows: usize, columns: usize, monitor: &dyn Monitor) -> Result<Vec<u32>> {
    assert!(rows <= columns && scores.len() == rows * columns, "an assignment of rows to fewer columns");
    let (price, owner, column) = (vec![0.0; columns], vec![NONE; columns], vec![NONE; rows]);
    let mut market = Market { scores, columns, price, owner, column };
    let mut needy: Vec<u32> = (0..rows as u32).collect();
    for _ in 0..PASSES {
        needy = market.bid(&needy, monitor)?;
    }
    market.augment(&needy, monitor)?;
    Ok(market.column)
}

impl Market<'_> {
    fn row(&self, i: u32) -> &[f32] {
        &self.scores[i as usize * self.columns..][..self.columns]
    }

    /// Gives the column to the row; returns who had it.
    fn sell(&mut self, column: usize, row: u32) -> u32 {
        let before = std::mem::replace(&mut self.owner[column], row);
        self.column[row as usize] = column as u32;
        if before != NONE {
            self.column[before as usize] = NONE;
        }
        before
    }

    /// Has each of the rows bid, and at once the row it drives out; returns those that have no column at the end.
    fn bid(&mut self, needy: &[u32], monitor: &dyn Monitor) -> Result<Vec<u32>> {
        let mut left = Vec::new();
        let mut bids = BIDS * needy.len();
        for (done, &first) in needy.iter().enumerate() {
            if done % PATIENCE == 0 {
                monitor.check()?;
            }
            let mut bidder = first;
            loop {
                bids = bids.saturating_sub(1);
                let row = self.row(bidder);
                let (best, second) = best_two(row, &self.price);
                let equal = |j: &usize| f64::from(row[*j]) - self.price[*j] >= best;
                let mut column = first_best(row, &self.price, best);
                // One column alone has no second best, and nobody can bid against it.
                let gain = if second.is_finite() { best - second } else { 0.0 };
                if gain == 0.0 && self.owner[column] != NONE {
                    let free = (column..self.columns).find(|j| self.owner[*j] == NONE && equal(j));
                    column = free.unwrap_or(column);
                }
                self.price[column] += gain;
                match self.sell(column, bidder) {
                    NONE => break,
                    outbid if gain > 0.0 && bids > 0 => bidder = outbid,
                    outbid => {
                        left.push(outbid);
                        break;
                    }
                }
            }
        }
        Ok(left)
    }

    /// Finds each of the rows a column along a shortest path: the row takes a column, its owner another, until one is free.
    fn augment(&mut self, needy: &[u32], monitor: &dyn Monitor) -> Result<()> {
        let mut distance = vec![0.0; self.columns];
        let mut from = vec![NONE; self.columns];
        // The prices, infinite where a column has been visited: no path leads there again.
        let mut open = self.price.clone();
        let mut scans = 0;
        for (done, &first) in needy.iter().enumerate() {
            distance.fill(f64::INFINITY);
            let mut visited: Vec<(usize, f64)> = Vec::new();
            let (mut row, mut shift) = (first, 0.0);
            let (mut column, end) = loop {
                scans += 1;
                if scans % PATIENCE == 0 {
                    monitor.check()?;
                    monitor.update("matching", done as u64, needy.len() as u64, "");
                }
                let least = relax(self.row(row), &open, shift, row, &mut distance, &mut from);
                let column = self.nearest(&distance, least);
                if self.owner[column] == NONE {
                    break (column, least);
                }
                visited.push((column, least));
                (distance[column], open[column]) = (f64::INFINITY, f64::INFINITY);
                row = self.owner[column];
                // From here a column costs what this row would lose by changing to it.
                shift = least + (f64::from(self.row(row)[column]) - self.price[column]);
            };
            for (column, distance) in visited {
                self.price[column] += end - distance;
                open[column] = self.price[column];
            }
            while column != NONE as usize {
                let row = from[column];
                let before = self.column[row as usize];
                self.owner[column] = row;
                self.column[row as usize] = column as u32;
                column = before as usize;
            }
        }
        Ok(())
    }

    /// The first column at the least distance, rather one without an owner.
    fn nearest(&self, distance: &[f64], least: f64) -> usize {
        let first = first_within(distance, least);
        let mut at = first;
        while at < distance.len() {
            if self.owner[at] == NONE {
                return at;
            }
            at += 1 + first_within(&distance[at + 1..], least);
        }
        first
    }
}

/// Values that a loop takes at once.
const LANES: usize = 8;

wide! {
    /// The largest and the next largest of scores less prices.
    fn best_two(row: &[f32], price: &[f64]) -> (f64, f64) {
        let mut best = [f64::NEG_INFINITY; LANES];
        let mut second = [f64::NEG_INFINITY; LANES];
        let ((row, row_tail), (price, price_tail)) = (row.as_chunks::<LANES>(), price.as_chunks::<LANES>());
        for (x, price) in row.iter().zip(price) {
            for l in 0..LANES {
                let net = f64::from(x[l]) - price[l];
                let low = if net < best[l] { net } else { best[l] };
                best[l] = if net > best[l] { net } else { best[l] };
                second[l] = if low > second[l] { low } else { second[l] };
            }
        }
        let tail = row_tail.iter().zip(price_tail).map(|(x, price)| f64::from(*x) - price);
        let mut two = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for net in best.into_iter().chain(second).chain(tail) {
            if net > two.0 {
                two = (net, two.0);
            } else if net > two.1 {
                two.1 = net;
            }
        }
        two
    }
}

wide! {
    /// The first column that is worth `best`.
    fn first_best(row: &[f32], price: &[f64], best: f64) -> usize {
        let ((lines, _), (prices, _)) = (row.as_chunks::<LANES>(), price.as_chunks::<LANES>());
        let mut from = lines.len() * LANES;
        for (at, (x, price)) in lines.iter().zip(prices).enumerate() {
            let mut any = 0u64;
            for l in 0..LANES {
                any |= u64::from(f64::from(x[l]) - price[l] >= best);
            }
            if any != 0 {
                from = at * LANES;
                break;
            }
        }
        from + row[from..].iter().zip(&price[from..]).take_while(|(x, price)| f64::from(**x) - **price < best).count()
    }
}

wide! {
    /// Shortens the distance of every column to which the row leads more cheaply; returns the least distance.
    fn relax(row: &[f32], price: &[f64], shift: f64, by: u32, distance: &mut [f64], from: &mut [u32]) -> f64 {
        let mut least = [f64::INFINITY; LANES];
        let ((row, row_tail), (price, price_tail)) = (row.as_chunks::<LANES>(), price.as_chunks::<LANES>());
        let ((distance, distance_tail), (from, from_tail)) =
            (distance.as_chunks_mut::<LANES>(), from.as_chunks_mut::<LANES>());
        for (((x, price), distance), from) in row.iter().zip(price).zip(distance).zip(from) {
            for l in 0..LANES {
                let new = shift - (f64::from(x[l]) - price[l]);
                let closer = new < distance[l];
                distance[l] = if closer { new } else { distance[l] };
                from[l] = if closer { by } else { from[l] };
                least[l] = if distance[l] < least[l] { distance[l] } else { least[l] };
            }
        }
        let mut all = least.into_iter().fold(f64::INFINITY, f64::min);
        for (((x, price), distance), from) in row_tail.iter().zip(price_tail).zip(distance_tail).zip(from_tail) {
            let new = shift - (f64::from(*x) - price);
            if new < *distance {
                (*distance, *from) = (new, by);
            }
            all = all.min(*distance);
        }
        all
    }
}

wide! {
    /// The first place whose value is at most `bound`; the length when there is none.
    fn first_within(values: &[f64], bound: f64) -> usize {
        let (lines, _) = values.as_chunks::<LANES>();
        let mut from = lines.len() * LANES;
        for (at, line) in lines.iter().enumerate() {
            let mut any = 0u64;
            for l in 0..LANES {
                any |= u64::from(line[l] <= bound);
            }
            if any != 0 {
                from = at * LANES;
                break;
            }
        }
        from + values[from..].iter().take_while(|x| **x > bound).count()
    }
}

/// The largest sum over all ways to give the rows columns of their own: what [`assign`] is tested against.
pub fn best_sum_reference(scores: &[f32], rows: usize, columns: usize) -> f64 {
    fn best(scores: &[f32], columns: usize, row: usize, taken: &mut [bool]) -> f64 {
        if row * columns >= scores.len() {
            return 0.0;
        }
        let mut most = f64::NEG_INFINITY;
        for column in 0..columns {
            if !std::mem::replace(&mut taken[column], true) {
                let score = f64::from(scores[row * columns + column]);
                most = most.max(score + best(scores, columns, row + 1, taken));
                taken[column] = false;
            }
        }
        most
    }
    best(&scores[..rows * columns], columns, 0, &mut vec![false; columns])
}
