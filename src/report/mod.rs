//! What people read: tables (polars), plots (plotters), YAML (serde_yaml), the page of a run (HTML). All of it as text with the same bytes for the
//! same values: no clock, no host, no path, numbers by the formatter in [`number`].

pub mod characters;
pub mod compare;
pub mod csv;
pub mod html;
pub mod number;
pub mod plot;
pub mod table;
pub mod yaml;
