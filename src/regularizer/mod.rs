//! Regularizers on the dictionary: one file per penalty, their sum, their selection.
