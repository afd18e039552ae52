//! Training: thresholds, target L0, the order of rows.
