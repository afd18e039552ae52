//! The script host: the rhai engine and its bindings.
