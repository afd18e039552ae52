//! What people read: tables (polars), plots (plotters), YAML (serde_yaml).
