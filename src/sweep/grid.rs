//! A grid: which script, over which values. From a file or the command line, checked, and expanded in a fixed order.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::axis;
use crate::error::{Code, Error, Result};

/// The parameters of one cell, by name.
pub type Params = BTreeMap<String, Value>;

/// What `grid.yaml` says, or `--grid` and `--set`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// The script, relative to the project.
    pub script: String,
    /// The axes in the order of the file: the last one turns fastest.
    pub axes: Axes,
    /// Parameters that are the same in every cell.
    #[serde(default)]
    pub fixed: Params,
    /// Cells to leave out: those that agree with every parameter named in one of these, where a list means any of it.
    #[serde(default)]
    pub exclude: Vec<Params>,
}

/// Names and values of axes, in the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axes(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Axes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Axes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("axes, such as `seed: 0..4`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Axes, A::Error> {
                let mut axes: Vec<(String, Value)> = Vec::new();
                while let Some((name, values)) = map.next_entry::<String, Value>()? {
                    if axes.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom(format!("axis `{name}` is given twice")));
                    }
                    axes.push((name, values));
                }
                Ok(Axes(axes))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

/// What is wrong with a grid, and the way to it from the top of the grid file: keys, and positions in lists.
#[derive(Debug, Clone)]
pub struct Misfit {
    /// What is wrong.
    pub error: Error,
    /// Such as `axes`, `seed`, `2`.
    pub path: Vec<String>,
}

/// The cells of a grid in their order. `resolve` gives a parameter's value as the type that the script declares, or says
/// why the script does not take it.
///
/// # Errors
/// Those of `resolve`; `out-of-range` for an axis without values, a name that is fixed and an axis, an exclusion by
/// another name, and for a grid without cells.
pub fn expand(
    grid: &Grid,
    resolve: &dyn Fn(&str, &Value) -> Result<Value>,
) -> std::result::Result<Vec<Params>, Misfit> {
    let mut cells = vec![Params::new()];
    for (name, value) in &grid.fixed {
        let value = resolve(name, value).map_err(at(&["fixed", name]))?;
        cells[0].insert(name.clone(), value);
    }
    for (name, given) in &grid.axes.0 {
        if grid.fixed.contains_key(name) {
            return Err(at(&["axes", name])(Error::new(Code::OutOfRange, format!("`{name}` is an axis and fixed"))));
        }
        let mut values: Vec<Value> = Vec::new();
        let mut seen = HashSet::new();
        for (i, value) in axis::values(given).map_err(at(&["axes", name]))?.iter().enumerate() {
            let here = at(&["axes", name, &i.to_string()]);
            let value = resolve(name, value).map_err(|error| match error.code {
                // It is the name that is wrong, not the value.
                Code::UnknownParameter => at(&["axes", name])(error),
                _ => here(error),
            })?;
            if !seen.insert(value.to_string()) {
                return Err(here(Error::new(Code::OutOfRange, format!("axis `{name}` has the value {value} twice"))));
            }
            values.push(value);
        }
        let with = |cell: &Params, value: &Value| {
            let mut cell = cell.clone();
            cell.insert(name.clone(), value.clone());
            cell
        };
        cells = cells.iter().flat_map(|cell| values.iter().map(|value| with(cell, value))).collect();
    }
    for (i, exclusion) in grid.exclude.iter().enumerate() {
        let exclusion = exclusion_of(grid, i, exclusion, resolve)?;
        cells.retain(|cell| !exclusion.iter().all(|(name, any)| any.contains(&cell[name])));
    }
    if cells.is_empty() {
        let error = Error::new(Code::OutOfRange, "the exclusions leave no cell");
        return Err(at(&["exclude"])(error));
    }
    Ok(cells)
}

/// An exclusion as the values that each of its axes may have.
fn exclusion_of(
    grid: &Grid,
    i: usize,
    exclusion: &Params,
    resolve: &dyn Fn(&str, &Value) -> Result<Value>,
) -> std::result::Result<Vec<(String, Vec<Value>)>, Misfit> {
    let known: Vec<&str> = grid.axes.0.iter().map(|(name, _)| name.as_str()).collect();
    let position = i.to_string();
    if exclusion.is_empty() {
        return Err(at(&["exclude", &position])(Error::new(Code::OutOfRange, "an exclusion names no axis")));
    }
    let mut all = Vec::new();
    for (name, given) in exclusion {
        let here = at(&["exclude", &position, name]);
        if !known.contains(&name.as_str()) {
            return Err(here(Error::unknown(Code::UnknownName, "axis", name, &known)));
        }
        let values = axis::values(given).map_err(&here)?;
        let values = values.iter().map(|value| resolve(name, value)).collect::<Result<_>>().map_err(&here)?;
        all.push((name.clone(), values));
    }
    Ok(all)
}

/// Puts an error at its place in the grid.
fn at(path: &[&str]) -> impl Fn(Error) -> Misfit + use<> {
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    move |error| Misfit { error, path: path.clone() }
}
