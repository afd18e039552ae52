//! The script API: one file per namespace. A binding unpacks its arguments, calls the core once, and wraps the result.
//!
//! The shape of a binding; `tests/docs.rs` holds every one of them to it:
//!
//! ```ignore
//! #[export_module]
//! pub mod geometry {
//!     /// Says in one sentence what it does.
//!     ///
//!     /// * `w`: the dictionary, [d_sae, d_in], one row per latent.
//!     /// * `options`: `sign`: `"signed"` (default) or `"abs"`.
//!     ///
//!     /// Returns a map of ... (shape, unit, range).
//!     /// Errors: `shape-mismatch` when ...
//!     ///
//!     /// ```rhai
//!     /// let s = geometry::summary(tensor::eye(3));
//!     /// assert_eq(s.n, 3);
//!     /// ```
//!     #[rhai_fn(return_raw, name = "summary")]
//!     pub fn summary_with(ctx: NativeCallContext, w: Tensor, options: Map) -> Raised<Dynamic> {
//!         let options: SummaryOptions = Options::new("geometry::summary", options).read().at(&ctx)?;
//!         to_script(&core::summary(&w, &options).at(&ctx)?).at(&ctx)
//!     }
//! }
//! ```
//!
//! Methods and properties carry `global` too (`#[rhai_fn(global, pure, get = "shape")]`), take `&mut T` first, and may
//! share the documentation of another overload of the same name.

pub mod activations;
pub mod array;
pub mod array_find;
pub mod array_order;
pub(crate) mod compare;
pub mod corpus;
pub(crate) mod dictionary;
pub(crate) mod geometry;
pub mod language;
pub mod map_methods;
pub mod model;
pub(crate) mod neighbors;
pub mod numbers;
pub(crate) mod packing;
pub mod padding;
pub mod params;
pub mod plot;
pub(crate) mod reg;
mod reg_kinds;
pub(crate) mod reg_select;
pub mod run;
pub mod sae;
mod sae_files;
mod sae_measure;
pub(crate) mod synthetic;
pub mod table;
mod table_query;
pub mod tensor;
mod tensor_math;
mod tensor_work;

use rhai::{Engine, exported_module};

/// Registers every namespace: one line each.
pub fn register(engine: &mut Engine) {
    language::register(engine);
    engine.register_global_module(exported_module!(numbers::numbers).into());
    engine.register_global_module(exported_module!(padding::padding).into());
    engine.register_global_module(exported_module!(array::array).into());
    engine.register_global_module(exported_module!(array_find::array_find).into());
    engine.register_global_module(exported_module!(array_order::array_order).into());
    engine.register_global_module(exported_module!(map_methods::map_methods).into());
    engine.register_global_module(exported_module!(params::params).into());
    engine.register_type_with_name::<run::Progress>("Progress").register_iterator::<run::Progress>();
    engine.register_static_module("run", exported_module!(run::run).into());
    tensor::register(engine);
    corpus::register(engine);
    model::register(engine);
    activations::register(engine);
    reg::register(engine);
    sae::register(engine);
    geometry::register(engine);
    compare::register(engine);
    synthetic::register(engine);
    table::register(engine);
    plot::register(engine);
}
