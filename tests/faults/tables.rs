//! Tables, CSV files, plots and grids.
