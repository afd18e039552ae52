//! Tests of `sae`.
