//! Reading activations from `prose-1l` against training on them.

use saerun::activations::{Harvest, HarvestOptions};
use saerun::corpus::Corpus;
use saerun::model::TargetModel;
use saerun::progress::Silent;

use crate::cell::{Job, median, report};
use crate::table::Table;

/// Tokens a second of both.
pub fn table() -> Table {
    let job = Job::default();
    // First, while nothing else of this process runs.
    let training = job.batch as f64 / report(&job).step;
    let _ = rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global();
    let model = TargetModel::load("prose-1l").expect("the embedded model");
    let text = Corpus::load("prose").expect("the embedded corpus");
    let tokens = 32_512;
    let options =
        HarvestOptions { hook: "blocks.0.hook_mlp_out".into(), tokens: Some(tokens), ..HarvestOptions::default() };
    let harvest = Harvest::new(&model, &text, &options).expect("a harvest");
    let mut file = vec![0u8; harvest.file_bytes()];
    let places = harvest.places();
    let seconds = median(|| {
        (0..harvest.parts()).for_each(|part| harvest.fill(part, &places, &mut file, &Silent).expect("activations"));
    });
    let harvested = tokens as f64 / seconds;
    let mut table = Table::new(
        "harvest",
        "Activations of prose-1l at blocks.0.hook_mlp_out, 2 threads",
        &["what", "tokens_per_s", "over_training"],
    );
    table.row(vec!["harvest".into(), format!("{harvested:.0}"), format!("{:.2}", harvested / training)]);
    table.row(vec!["training step".into(), format!("{training:.0}"), "1.00".into()]);
    table
}
