//! The language: closures, sorting, errors that scripts catch, parameters, what `check` warns of.
