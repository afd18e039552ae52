//! Tests of `activations`.
