//! The script host: the rhai engine, its bindings, and what turns a failure into a report.
//!
//! rhai facts that shape it (1.27): a stock engine compares floats with an epsilon, so exact comparisons are registered
//! and fast operators are off; call-depth limits differ between build profiles, so they are set; namespaced native calls
//! lose their position, so bindings raise at the call (see [`raise`]); a missing function is found only when it is
//! called, so [`check`] walks the syntax tree first.

mod apart;
mod attempt;
pub mod bind;
pub mod callback;
mod caught;
pub mod check;
mod closure;
pub mod code;
pub mod committed;
pub mod console;
pub mod definitions;
pub mod diagnostic;
pub mod docs;
mod element;
pub mod ending;
pub mod events;
mod explain;
mod git;
mod guard;
mod harvest;
mod hub;
mod inputs;
mod jail;
mod kinds;
pub mod machine;
mod model_source;
mod number;
pub mod options;
pub mod output;
pub mod page;
mod paths;
pub mod preflight;
pub mod raise;
pub mod record;
pub mod reference;
pub mod remember;
pub mod repl;
pub mod run;
pub mod saving;
pub mod session;
pub mod tensor_file;
pub mod value;

use std::sync::Arc;

use rhai::packages::{
    BasicArrayPackage, BasicBlobPackage, BasicMapPackage, BasicMathPackage, BitFieldPackage, CorePackage, LogicPackage,
    MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, OptimizationLevel};

use crate::progress::Monitor;
pub use session::{Session, session};

/// Makes rhai's internal hashes, and with them the names of closures, the same in every process.
/// Call it first in `main`; a later call changes nothing.
pub fn fix_hashing() {
    let _ = rhai::config::hashing::set_hashing_seed(Some([0x7361_6572, 0x756e, 1, 2]));
}

/// An engine with every namespace of the script API, bound to one run.
pub fn engine(session: &Arc<Session>) -> Engine {
    let mut engine = Engine::new_raw();
    CorePackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BitFieldPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicBlobPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    bind::register(&mut engine);

    engine.set_fast_operators(false);
    language(&mut engine);
    attempt::register(&mut engine);
    engine.set_max_call_levels(256);
    engine.set_max_variables(1 << 16);
    engine.set_max_modules(1 << 10);
    // A typing error in a property would otherwise be a silent `()`. `m.get("key") ?? 3` asks for one that may be absent.
    engine.set_fail_on_invalid_map_property(true);
    engine.set_module_resolver(jail::Jail::new(Arc::clone(session)));
    engine.set_default_tag(Dynamic::from(Arc::clone(session)));

    let printer = Arc::clone(session);
    engine.on_print(move |text| printer.console().print(text));
    let debugger = Arc::clone(session);
    engine.on_debug(move |text, source, position| {
        debugger.console().print(&format!("{}:{position:?}: {text}", source.unwrap_or("script")));
    });
    // Limits of rhai's own would count every element of a value after each call: see `guard`.
    engine.set_max_string_size(0).set_max_array_size(0).set_max_map_size(0);
    let (watcher, guard) = (Arc::clone(session), guard::Guard::new());
    engine.on_progress(move |steps| match guard.check(steps) {
        _ if watcher.console().stopped() => Some(Dynamic::UNIT),
        Ok(()) => None,
        Err(error) => Some(Dynamic::from(error)),
    });
    engine
}

/// What a script may look like.
fn language(engine: &mut Engine) {
    // `run::compile` checks the tree as it was written, dead branches included, and optimizes it then.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_max_expr_depths(256, 128);
    engine.set_max_functions(1 << 14);
    engine.disable_symbol("eval");
}
