//! Tests of `regularizer`.
