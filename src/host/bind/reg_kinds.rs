//! The penalties of `reg::` that have options: each is registered and documented from its row in the table of the core.

use rhai::{FuncRegistration, Map, Module, NativeCallContext};

use crate::error::Result;
use crate::host::options::Options;
use crate::host::raise::At;
use crate::regularizer::{ALL, Entry, Regularizer};

/// Registers them all.
pub(super) fn register(module: &mut Module) {
    ALL.iter().for_each(|entry| penalty(module, entry));
}

/// The regularizer of an entry, from the option map of a script.
fn build(entry: &Entry, options: Map) -> Result<Regularizer> {
    entry.build(Options::new(&format!("reg::{}", entry.name), options).plain()?)
}

/// Registers `reg::NAME()` and `reg::NAME(options)`, documented from the table of penalties.
fn penalty(module: &mut Module, entry: &'static Entry) {
    let Entry { name, summary, formula, example, source, .. } = entry;
    let options: Vec<String> = (entry.options)()
        .iter()
        .map(|field| format!("///   `{}` ({}): {}", field.name, field.default, field.meaning))
        .collect();
    let doc = format!(
        "/// Makes a penalty: {summary}.\n///\n/// * `options`, with their defaults:\n{}.\n///\n\
         /// Returns a Regularizer: {formula}, with c_ij the cosines of the N valid rows; 0 for fewer than two rows.\n\
         /// Source: {source}.\n\
         /// Errors: `unknown-option`, `wrong-type`, `out-of-range`, `unknown-name` for a choice that is not there.\n///\n/// ```rhai\n\
         /// let w = tensor::from_rows([[1, 0], [1, 0], [0, 1]]);\n/// {example}\n/// ```",
        options.join(";\n")
    );
    FuncRegistration::new(*name)
        .with_params_info(["Regularizer"])
        .with_comments([doc.as_str()])
        .set_into_module(module, move |ctx: NativeCallContext| build(entry, Map::new()).at(&ctx));
    FuncRegistration::new(*name)
        .with_params_info(["options: Map", "Regularizer"])
        .with_comments([doc.as_str()])
        .set_into_module(module, move |ctx: NativeCallContext, options: Map| build(entry, options).at(&ctx));
}
