//! Tests of `geometry`.
