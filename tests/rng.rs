//! Tests of `rng`.
