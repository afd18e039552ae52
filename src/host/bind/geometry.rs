//! `geometry::`: neighbors, peaks, hubs, bounds, the random null and the spectrum of a dictionary. Packings are in `packing`.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, FLOAT, INT, Map, Module, NativeCallContext, exported_module};

use crate::error::Result;
use crate::geometry as core;
use crate::host::apart::{apart, product};
use crate::host::bind::dictionary::{dictionary, number_list, with_rows_apart};
use crate::host::bind::language;
use crate::host::bind::neighbors::{self, Neighbors, floats, read_sign};
use crate::host::bind::packing;
use crate::host::options::Options;
use crate::host::raise::{At, Raised, count, number};
use crate::host::session::session;
use crate::host::value::to_script;
use crate::report::table::{Table, Value};

/// Registers the namespace and the type `Neighbors`.
pub fn register(engine: &mut Engine) {
    language::register_type::<Neighbors>(engine, "Neighbors", Neighbors::summary);
    let mut module: Module = exported_module!(geometry);
    module.combine(neighbors::module());
    module.combine(packing::module());
    engine.register_static_module("geometry", module.into());
}

/// How many vectors in how many dimensions.
fn sizes(n: INT, d: INT) -> Result<(usize, usize)> {
    Ok((count(n, "n")?, count(d, "d")?))
}

/// Bins as rows of a table.
pub(super) fn to_table(bins: core::Histogram) -> Result<Table> {
    let floats = |values: Vec<f64>| values.into_iter().map(Value::Float).collect();
    Table::from_columns(vec![
        ("from".to_string(), floats(bins.from)),
        ("to".to_string(), floats(bins.to)),
        ("count".to_string(), bins.count.into_iter().map(|count| Value::Int(count as INT)).collect()),
        ("density".to_string(), floats(bins.density)),
    ])
}

/// The peaks of `Neighbors` with their ties, or of plain values.
fn find_peaks(ctx: &NativeCallContext, values: &Dynamic, options: core::PeakOptions) -> Result<Vec<core::Peak>> {
    let passes = 64 + options.bootstrap;
    if let Some(neighbors) = values.read_lock::<Neighbors>().map(|neighbors| neighbors.clone()) {
        let size = product(&[neighbors.core().cos.len(), passes]);
        return apart(&session(ctx), size, move || core::peaks(neighbors.core(), &options))?;
    }
    let values = number_list(ctx, values, "values")?;
    apart(&session(ctx), product(&[values.len(), passes]), move || core::peaks_of_values(&values, &options))?
}

/// The functions of the namespace `geometry`.
#[export_module]
pub mod geometry {
    /// Sums up a dictionary in numbers: its cosines, and the spectrum of its unit rows.
    ///
    /// * `w`: the dictionary, a Tensor [n, d], one row a latent, or an Sae (its decoder).
    ///
    /// Returns a map: `n` valid rows, `d`, `invalid` (how many rows are zero or not finite), over pairs of different
    /// rows `mean_cos`, `mean_abs_cos`, `rms_cos`, `max_max_cos`, `coherence` (largest absolute cosine), `min_cos`,
    /// over nearest neighbors `mean_max_cos`, `mean_max_abs_cos`, and `frame_potential`, `rank`, `participation_ratio`,
    /// `effective_rank`, `stable_rank`. What is undefined is `()`.
    /// Errors: `wrong-type` for what is no dictionary, `shape-mismatch` for a tensor that is no matrix.
    ///
    /// ```rhai
    /// let s = geometry::summary(tensor::eye(3));
    /// assert_eq(s.n, 3);
    /// assert_eq(s.mean_max_cos, 0.0);
    /// assert_eq(geometry::summary(tensor::eye(1)).mean_cos, ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn summary(ctx: NativeCallContext, w: Dynamic) -> Raised<Dynamic> {
        let w = dictionary(&w).at(&ctx)?;
        to_script(&with_rows_apart(&ctx, &w, w.dims()[0], core::summary).at(&ctx)?).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn histogram(ctx: NativeCallContext, values: Dynamic) -> Raised<Table> {
        histogram_with(ctx, values, Map::new())
    }

    /// Counts values in bins whose edges are multiples of the bin width, so that histograms can be laid over each
    /// other.
    ///
    /// * `values`: an array, a Tensor of one dimension, or Neighbors (their `cos`); `()`, NaN and infinities are left
    ///   out.
    /// * `options`: `bin_width`: 0.01; `from`, `to`: the range, by default that of the values, which then lie in one bin each.
    ///
    /// Returns a Table with a row a bin: `from`, `to`, `count`, `density` (share of all values over the width).
    /// Errors: `out-of-range` for a width that is not above 0 or finer than floats can tell apart, `to` not above `from`, or
    /// more than a million bins.
    ///
    /// ```rhai
    /// let t = geometry::histogram([0.1, 0.3, 0.35, ()], #{ bin_width: 0.25, from: 0, to: 0.5 });
    /// assert_eq(t.column("count"), [1, 2]);
    /// assert_eq(t.column("to"), [0.25, 0.5]);
    /// ```
    #[rhai_fn(name = "histogram", return_raw)]
    pub fn histogram_with(ctx: NativeCallContext, values: Dynamic, options: Map) -> Raised<Table> {
        let options = Options::new("geometry::histogram", options).read().at(&ctx)?;
        let values = number_list(&ctx, &values, "values").at(&ctx)?;
        core::histogram(&values, &options).and_then(to_table).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn peaks(ctx: NativeCallContext, values: Dynamic) -> Raised<Dynamic> {
        peaks_with(ctx, values, Map::new())
    }

    /// Finds the peaks in a distribution of cosines: where they are, how much lies in each, and how sure that is.
    ///
    /// * `values`: Neighbors, whose ties are then accounted for; or an array or a Tensor of one dimension. `()`, NaN
    ///   and infinities are left out.
    /// * `options`: `prominence`: 0.05, the least height of a peak over its saddle, as share of the highest peak, or the
    ///   least mass above the saddle, as share of the largest, in (0, 1]; `bandwidth`: standard deviation of the kernel, by default a ladder of
    ///   them; with a given one height alone counts; `bootstrap`: 200 samples behind an interval, 0 for none, at most a million; `seed`: 0, of
    ///   the bootstrap.
    ///
    /// Returns an array of maps, the largest mass first: `location`, `from`, `to` (its basin), `mass` (share of the
    /// values), `count`, `width` (standard deviation, from the quartiles), `prominence`, `ci_low`, `ci_high` (95 %
    /// interval of the location, `()` without a bootstrap), `edge` (whether values stop at the location, so that their density falls
    /// on one side only).
    ///
    /// The interval says how far the location may be from that of the law behind these values: other latents of the same dictionary. It says
    /// nothing of other trainings, which can differ by many times its width.
    /// Over 300 draws each it held the mode of the law of nearest-neighbor cosines of random directions in 96 % at (500, 20) and 98 % at (500, 500),
    /// (2000, 64) and (2000, 512).
    /// Errors: `out-of-range` for a prominence outside (0, 1], a bandwidth not above 0 or beyond a million times the largest value, or more
    /// than a million samples; `wrong-type`, `too-large`.
    ///
    /// ```rhai
    /// let low = tensor::randn([300], 0) * 0.02 + 0.2;
    /// let high = tensor::randn([100], 1) * 0.02 + 0.7;
    /// let found = geometry::peaks(low.to_array() + high.to_array(), #{ bootstrap: 20 });
    /// assert_eq(found.len(), 2);
    /// assert_eq(found[1].count, 100);
    /// assert(found[1].ci_low <= found[1].location && (found[1].location - 0.7).abs() < 0.02);
    /// ```
    #[rhai_fn(name = "peaks", return_raw)]
    pub fn peaks_with(ctx: NativeCallContext, values: Dynamic, options: Map) -> Raised<Dynamic> {
        let options = Options::new("geometry::peaks", options).read().at(&ctx)?;
        to_script(&find_peaks(&ctx, &values, options).at(&ctx)?).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn hubs(ctx: NativeCallContext, neighbors: Neighbors) -> Raised<Dynamic> {
        hubs_with(ctx, neighbors, Map::new())
    }

    /// Tells whether rows share their nearest neighbors: one neighbor for all, a few hubs, pairs, or none of these.
    ///
    /// * `neighbors`: what `geometry::nearest_neighbors` returns.
    /// * `options`: `from`, `to`: only rows whose cosine lies in this window, ends included; by default all rows.
    ///
    /// Returns a map: `count` rows, `distinct` neighbors, `top_index` and `top_share` of the commonest,
    /// `effective_number` (exp of the entropy), `simpson_number`, `gini`, `robin_hood`, `skewness`, `antihub_rate`,
    /// `reciprocity`, `components`, `in_degree` (array, one a row), `verdict` (`"one neighbor"`, `"few hubs"`,
    /// `"pairs"` or `"no sharing"`), and `p_value`: the chance of so large a hub among random directions, whose in-degrees are
    /// Poisson(rows in the window / all rows). All are of the window: `in_degree` counts its rows alone, and `gini`, `robin_hood`, `skewness` and
    /// `antihub_rate` are over its rows and their neighbors. What is undefined is `()`.
    /// Errors: `out-of-range` for a window whose `to` lies below its `from`.
    ///
    /// ```rhai
    /// let w = tensor::from_rows([[1, 0.1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0.1], [0, 0, 1, 0]]);
    /// let hubs = geometry::hubs(geometry::nearest_neighbors(w), #{ from: 0.9 });
    /// assert_eq(hubs.verdict, "pairs");
    /// assert_eq(hubs.in_degree, [1, 1, 1, 1]);
    /// ```
    #[rhai_fn(name = "hubs", return_raw)]
    pub fn hubs_with(ctx: NativeCallContext, neighbors: Neighbors, options: Map) -> Raised<Dynamic> {
        let options = Options::new("geometry::hubs", options).read().at(&ctx)?;
        to_script(&core::hubs(neighbors.core(), &options).at(&ctx)?).at(&ctx)
    }

    /// The Welch bound: the largest absolute cosine among n vectors in d dimensions, and their root mean square, are at
    /// least this.
    ///
    /// * `n`: how many vectors, 2 or more.
    /// * `d`: the dimension, 1 or more.
    ///
    /// Returns a float, 0 for n <= d.
    /// Errors: `out-of-range` for smaller numbers, and above 10^12.
    ///
    /// ```rhai
    /// assert((geometry::welch_bound(3, 2) - 0.5).abs() < 1e-12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn welch_bound(ctx: NativeCallContext, n: INT, d: INT) -> Raised<FLOAT> {
        sizes(n, d).and_then(|(n, d)| core::welch_bound(n, d)).at(&ctx)
    }

    /// A lower bound on the largest signed cosine among n vectors in d dimensions, the best of Rankin's and
    /// Levenshtein's.
    ///
    /// * `n`: how many vectors, 2 or more.
    /// * `d`: the dimension, 1 or more.
    ///
    /// Returns a float: -1/(n - 1) up to n = d + 1, 0 up to n = 2 d, above 0 beyond.
    /// Errors: `out-of-range` for smaller numbers, and above 10^12.
    ///
    /// ```rhai
    /// assert_eq(geometry::levenshtein_bound(3, 2), -0.5);
    /// assert((geometry::levenshtein_bound(240, 8) - 0.5).abs() < 1e-9);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn levenshtein_bound(ctx: NativeCallContext, n: INT, d: INT) -> Raised<FLOAT> {
        sizes(n, d).and_then(|(n, d)| core::levenshtein_bound(n, d)).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn random_null(ctx: NativeCallContext, n: INT, d: INT) -> Raised<Dynamic> {
        random_null_with(ctx, n, d, Map::new())
    }

    /// The law of the nearest-neighbor cosine of n independent random directions in d dimensions, exactly.
    ///
    /// * `n`: how many directions, 2 or more.
    /// * `d`: the dimension, 2 or more.
    /// * `options`: `sign`: `"signed"` (default), or `"abs"` for absolute cosines.
    ///
    /// Returns a map: `mean`, `sd`, `mode`, `q05`, `median`, `q95` of one row's nearest cosine, and
    /// `global_max_median`, the median of the largest cosine of all pairs (taken as independent).
    /// Errors: `out-of-range` for smaller numbers, and above 10^12.
    ///
    /// ```rhai
    /// let law = geometry::random_null(8192, 512);
    /// assert(law.q05 < law.mean && law.mean < law.q95 && law.q95 < law.global_max_median);
    /// assert(law.mean < geometry::random_null(8192, 512, #{ sign: "abs" }).mean);
    /// ```
    #[rhai_fn(name = "random_null", return_raw)]
    pub fn random_null_with(ctx: NativeCallContext, n: INT, d: INT, options: Map) -> Raised<Dynamic> {
        let sign = read_sign("geometry::random_null", options).at(&ctx)?;
        let (n, d) = sizes(n, d).at(&ctx)?;
        to_script(&core::random_null(n, d, sign).at(&ctx)?).at(&ctx)
    }

    #[rhai_fn(return_raw)]
    pub fn random_null_log10_cdf(ctx: NativeCallContext, t: Dynamic, n: INT, d: INT) -> Raised<FLOAT> {
        random_null_log10_cdf_with(ctx, t, n, d, Map::new())
    }

    /// The decimal logarithm of the chance that one of n random directions has no neighbor above a cosine.
    ///
    /// * `t`: the cosine.
    /// * `n`: how many directions, 2 or more.
    /// * `d`: the dimension, 2 or more.
    /// * `options`: `sign`: `"signed"` (default), or `"abs"` for absolute cosines.
    ///
    /// Returns a float, 0 or less; exact far into the tail, minus infinity where it is impossible.
    /// Errors: `out-of-range` for smaller numbers, above 10^12, or a `t` that is NaN.
    ///
    /// ```rhai
    /// assert((geometry::random_null_log10_cdf(0, 2, 3) - (0.5).log(10.0)).abs() < 1e-9);
    /// assert(geometry::random_null_log10_cdf(0.05, 8192, 512) < -100.0);
    /// ```
    #[rhai_fn(name = "random_null_log10_cdf", return_raw)]
    pub fn random_null_log10_cdf_with(
        ctx: NativeCallContext,
        t: Dynamic,
        n: INT,
        d: INT,
        options: Map,
    ) -> Raised<FLOAT> {
        let sign = read_sign("geometry::random_null_log10_cdf", options).at(&ctx)?;
        let (t, (n, d)) = (number(&t, "t").at(&ctx)?, sizes(n, d).at(&ctx)?);
        core::random_null_log10_cdf(t, n, d, sign).at(&ctx)
    }

    /// The eigenvalues of UᵀU, U the unit rows of a dictionary.
    ///
    /// * `w`: the dictionary, a Tensor [n, d], one row a latent, or an Sae (its decoder).
    ///
    /// Returns an array of d floats, descending, 0 or more; their sum is the number of valid rows.
    /// Errors: `wrong-type` for what is no dictionary, `shape-mismatch` for a tensor that is no matrix.
    ///
    /// ```rhai
    /// let l = geometry::spectrum(tensor::from_rows([[1, 0], [5, 0], [0, 1]]));
    /// assert((l[0] - 2.0).abs() < 1e-9 && (l[1] - 1.0).abs() < 1e-9);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn spectrum(ctx: NativeCallContext, w: Dynamic) -> Raised<Array> {
        let w = dictionary(&w).at(&ctx)?;
        Ok(with_rows_apart(&ctx, &w, w.dims()[1], core::spectrum).at(&ctx)?.into_iter().map(Dynamic::from).collect())
    }

    /// The share of a dimension that each row has to itself: 1 over the sum of its squared cosines to all rows, itself
    /// included.
    ///
    /// * `w`: the dictionary, a Tensor [n, d], one row a latent, or an Sae (its decoder).
    ///
    /// Returns an array of floats in (0, 1], in row order; `()` for rows that are zero or not finite.
    /// Errors: `wrong-type` for what is no dictionary, `shape-mismatch` for a tensor that is no matrix.
    ///
    /// ```rhai
    /// let w = tensor::from_rows([[1, 0], [1, 0], [0, 1], [0, 0]]);
    /// assert_eq(geometry::feature_dimensionality(w), [0.5, 0.5, 1.0, ()]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn feature_dimensionality(ctx: NativeCallContext, w: Dynamic) -> Raised<Array> {
        let w = dictionary(&w).at(&ctx)?;
        Ok(floats(&with_rows_apart(&ctx, &w, w.dims()[1], core::feature_dimensionality).at(&ctx)?))
    }
}
