//! saerun runs experiment scripts on sparse autoencoders (SAEs): what they learn, and whether it can be reproduced.
//!
//! The house, in the order of its layers; data flows one way, and arrows go down only:
//!
//! ```text
//! main -> cli -> host -> { report, store } -> core -> ops
//! ```
//!
//! [`sweep`] stands beside the host: it has scripts run as processes, over grids, and knows nothing of what they do.
//!
//! The core is [`corpus`], [`model`], [`activations`], [`sae`], [`regularizer`], [`geometry`], [`compare`] and [`synthetic`]. Beside [`ops`], `torch` reads the
//! files of PyTorch.
//! The rules, stated as absences and held by `tests/tidy.rs`:
//!
//! - the core and [`ops`] never import rhai, polars, plotters or serde_yaml;
//! - rhai appears only in [`host`] and [`cli`], polars and plotters only in [`report`], serde_yaml in one file;
//! - nothing but [`store`] and [`report`] writes a file; nothing but [`rng`] makes a random number;
//! - no clock, host name or path gets into a committed result, and the core iterates no `HashMap`;
//! - a binding in `host/bind` is documented and short: it unpacks, calls the core once, wraps.

pub mod cli;

pub mod host;
pub mod sweep;

pub mod report;
pub mod store;

pub mod activations;
pub mod compare;
pub mod corpus;
pub mod geometry;
pub mod model;
pub mod regularizer;
pub mod sae;
pub mod synthetic;

pub mod ops;
mod torch;

pub mod bins;
pub mod contain;
pub mod device;
pub mod error;
pub mod input;
pub mod memory;
mod npy;
pub mod options;
pub mod progress;
pub mod rng;
