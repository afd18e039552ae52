//! Activations of a target model at a hook: harvest, store, shuffle.
