//! How near 8192 vectors in 512 dimensions come to their bounds, and in what time.

use std::time::Instant;

use saerun::geometry::{PackingOptions, packing};
use saerun::ops::Sign;
use saerun::progress::Silent;

use crate::cell::Job;
use crate::table::Table;

/// One packing a sign, with the default options.
pub fn table() -> Table {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(Job::default().threads).build_global();
    let mut table = Table::new(
        "packing",
        "geometry::packing(8192, 512), 2 threads",
        &["sign", "steps", "seconds", "mean_max_cos", "max_max_cos"],
    );
    for sign in [Sign::Signed, Sign::Abs] {
        let options = PackingOptions { sign, ..PackingOptions::default() };
        let start = Instant::now();
        let found = packing(8192, 512, &options, &Silent).expect("a packing");
        table.row(vec![
            format!("{sign:?}").to_lowercase(),
            options.steps.to_string(),
            format!("{:.0}", start.elapsed().as_secs_f64()),
            format!("{:.5}", found.mean_max_cos),
            format!("{:.5}", found.max_max_cos),
        ]);
    }
    table
}
