//! Which option keys each function takes: asked of the types that the bindings read options into, plus the keys that a
//! binding takes out by itself. `tests/check` calls every function with a wrong key and compares what it says.

use crate::activations::HarvestOptions;
use crate::compare::{AlignOptions, SharedOptions};
use crate::corpus::SplitOptions;
use crate::geometry::{HistogramOptions, HubsOptions, PackingOptions, PeakOptions};
use crate::host::bind::corpus::LoadOptions as CorpusLoad;
use crate::host::bind::neighbors::SignOption;
use crate::host::bind::reg_select::Plain;
use crate::model::{GenerateOptions, LoadOptions, LossOptions, TrainOptions as ModelOptions};
use crate::options::fields_of;
use crate::regularizer;
use crate::report::plot;
use crate::sae::format::LoadOptions as SaeLoad;
use crate::sae::{EvaluateOptions, TrainOptions};
use crate::synthetic::SuperpositionOptions;

/// The options of one function, identified as the documentation identifies it: by namespace, name and how many parameters
/// it has, the value before the dot included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepts {
    /// The namespace it is registered in.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How many parameters it has.
    pub params: usize,
    /// The keys of the option map.
    pub keys: Vec<&'static str>,
    /// Keys whose value is a map of options itself, or an array of such maps, and what keys these have.
    pub inside: Vec<(&'static str, Vec<&'static str>)>,
}

/// Every function with options.
pub fn accepted() -> Vec<Accepts> {
    let mut all = vec![
        of("compare", "matching", 3, fields_of::<SignOption>(), &[]),
        of("compare", "mmcs", 3, fields_of::<SignOption>(), &[]),
        of("compare", "procrustes", 3, fields_of::<AlignOptions>(), &[]),
        of("compare", "shared_latents", 3, fields_of::<SharedOptions>(), &[]),
        of("corpus", "load", 2, fields_of::<CorpusLoad>(), &[]),
        of("corpus", "split", 2, fields_of::<SplitOptions>(), &[]),
        of("geometry", "histogram", 2, fields_of::<HistogramOptions>(), &[]),
        of("geometry", "hubs", 2, fields_of::<HubsOptions>(), &[]),
        of("geometry", "nearest_neighbors", 2, fields_of::<SignOption>(), &[]),
        of("geometry", "packing", 3, fields_of::<PackingOptions>(), &[]),
        of("geometry", "peaks", 2, fields_of::<PeakOptions>(), &[]),
        of("geometry", "random_null", 3, fields_of::<SignOption>(), &[]),
        of("geometry", "random_null_log10_cdf", 4, fields_of::<SignOption>(), &[]),
        of("model", "activations", 3, fields_of::<HarvestOptions>(), &[]),
        of("model", "ce_loss", 3, fields_of::<LossOptions>(), &[]),
        of("model", "generate", 3, fields_of::<GenerateOptions>(), &[]),
        of("model", "load", 2, fields_of::<LoadOptions>(), &[]),
        of("model", "save", 3, &[], &["ce_loss"]),
        of("model", "train", 2, fields_of::<ModelOptions>(), &[]),
        of("plot", "save", 3, &[], &["png"]),
        of("sae", "evaluate", 4, fields_of::<EvaluateOptions>(), &[]),
        of("sae", "load", 2, fields_of::<SaeLoad>(), &[]),
        of("sae", "save", 3, &[], &["format"]),
        of("sae", "train", 2, fields_of::<TrainOptions>(), &["regularizer"]),
        of("synthetic", "superposition", 1, fields_of::<SuperpositionOptions>(), &["directions"]),
        of("table", "join", 4, &[], &["how"]),
        of("table", "save", 3, &[], &["parquet", "tolerance"]),
        of("table", "sort", 3, &[], &["descending"]),
        of("tensor", "load", 2, &[], &["name"]),
        of("tensor", "save", 3, &[], &["name"]),
    ];
    let values = || ("series", fields_of::<plot::ValueSeries>().to_vec());
    let curves = || ("series", fields_of::<plot::CurveSeries>().to_vec());
    let lines = || ("lines", fields_of::<plot::LabelledLine>().to_vec());
    all.extend([
        with("plot", "bar", fields_of::<plot::BarOptions>(), vec![values(), lines()]),
        with("plot", "heatmap", fields_of::<plot::HeatmapOptions>(), vec![lines()]),
        with("plot", "histogram", fields_of::<plot::HistogramOptions>(), vec![values(), lines()]),
        with("plot", "line", fields_of::<plot::CurveOptions>(), vec![curves(), lines()]),
        with("plot", "scatter", fields_of::<plot::CurveOptions>(), vec![curves(), lines()]),
    ]);
    let own = ["candidates", "coefficients", "sae", "test", "model", "corpus"];
    let mut select = of("reg", "select", 2, fields_of::<Plain>(), &own);
    select.inside = vec![
        ("candidates", vec!["regularizer", "name", "coefficients"]),
        ("sae", fields_of::<TrainOptions>().to_vec()),
    ];
    all.push(select);
    all.extend(regularizer::ALL.iter().map(|entry| {
        let fields: Vec<&str> = (entry.options)().iter().map(|field| field.name).collect();
        of("reg", entry.name, 1, &fields, &[])
    }));
    all
}

/// A function whose options are the fields of a type, and what its binding takes out before.
fn of(
    namespace: &'static str,
    name: &'static str,
    params: usize,
    fields: &[&'static str],
    own: &[&'static str],
) -> Accepts {
    Accepts { namespace, name, params, keys: [fields, own].concat(), inside: Vec::new() }
}

/// A function whose only parameter is an option map with maps in it.
fn with(
    namespace: &'static str,
    name: &'static str,
    fields: &[&'static str],
    inside: Vec<(&'static str, Vec<&'static str>)>,
) -> Accepts {
    Accepts { inside, ..of(namespace, name, 1, fields, &[]) }
}
