//! The one test binary: each module tests one room of the house through its public interface.

mod activations;
mod architecture;
mod check;
mod cli;
mod compare;
mod corpus;
mod determinism;
mod docs;
mod families;
mod formats;
mod geometry;
mod hub;
mod kernel;
mod model;
mod record;
mod regularizer;
mod repl;
mod report;
mod rng;
mod sae;
mod script;
mod scripts;
mod store;
mod sweep;
mod synthetic;
mod tidy;
