//! A grid: which script, over which values. From a file or the command line, checked, and expanded in a fixed order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::axis;
use crate::error::{Code, Error, Result};
use crate::memory;

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
    #[serde(default, deserialize_with = "once_each")]
    pub fixed: Params,
    /// Cells to leave out: those that agree with every parameter named in one of these, where a list means any of it.
    #[serde(default, deserialize_with = "each_once_each")]
    pub exclude: Vec<Params>,
    /// Axes that the command line gave other values than the file: an exclusion may name values that are gone.
    #[serde(skip)]
    pub replaced: BTreeSet<String>,
}

/// More cells than this are a slip: as many folders and files would follow.
const MOST_CELLS: usize = 1_000_000;

/// About what a cell takes in memory, and each of its parameters.
const CELL: u64 = 128;
const PARAMETER: u64 = 160;

/// Parameters, none of them given twice.
struct Once(Params);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Once;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("parameters, such as `seed: 3`")
            }

            fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<Once, E> {
                Ok(Once(Params::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Once, A::Error> {
                let mut params = Params::new();
                while let Some(name) = map.next_key::<String>()? {
                    // Before the value is read, so that the error stands at the name.
                    if params.contains_key(&name) {
                        return Err(A::Error::custom(format!("`{name}` is given twice")));
                    }
                    params.insert(name, map.next_value()?);
                }
                Ok(Once(params))
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

fn once_each<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Params, D::Error> {
    Once::deserialize(deserializer).map(|once| once.0)
}

fn each_once_each<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Params>, D::Error> {
    let all = Option::<Vec<Once>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(all.into_iter().map(|once| once.0).collect())
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
/// Those of `resolve`; `out-of-range` for an axis without values, a name that is fixed and an axis, an exclusion of a value
/// that its axis does not have, more than a million cells, and for a grid without cells; `unknown-name` for an exclusion by another
/// name; `too-large`.
pub fn expand(
    grid: &Grid,
    resolve: &dyn Fn(&str, &Value) -> Result<Value>,
) -> std::result::Result<Vec<Params>, Misfit> {
    let mut fixed = Params::new();
    for (name, value) in &grid.fixed {
        let value = resolve(name, value).map_err(at(&["fixed", name]))?;
        fixed.insert(name.clone(), value);
    }
    let axes = grid.axes.0.iter().map(|(name, given)| Ok((name.as_str(), axis_of(grid, name, given, resolve)?)));
    let axes = axes.collect::<std::result::Result<Vec<(&str, Vec<Value>)>, Misfit>>()?;
    fits(&axes, fixed.len()).map_err(at(&["axes"]))?;
    let exclusions = grid.exclude.iter().enumerate().map(|(i, one)| exclusion_of(grid, &axes, i, one, resolve));
    let exclusions = exclusions.collect::<std::result::Result<Vec<_>, Misfit>>()?;
    let mut cells = Vec::new();
    // Places on the axes, the last one turning fastest.
    let mut places = vec![0; axes.len()];
    loop {
        let excluded = |exclusion: &Exclusion| exclusion.iter().all(|(axis, any)| any.contains(&places[*axis]));
        if !exclusions.iter().any(excluded) {
            let values = axes.iter().zip(&places).map(|((name, values), i)| (name.to_string(), values[*i].clone()));
            cells.push(fixed.clone().into_iter().chain(values).collect());
        }
        let Some(turned) = (0..axes.len()).rev().find(|axis| places[*axis] + 1 < axes[*axis].1.len()) else { break };
        places[turned] += 1;
        places[turned + 1..].fill(0);
    }
    if cells.is_empty() {
        let error = Error::new(Code::OutOfRange, "the exclusions leave no cell");
        return Err(at(&["exclude"])(error));
    }
    Ok(cells)
}

/// The values of an axis, each once.
fn axis_of(
    grid: &Grid,
    name: &str,
    given: &Value,
    resolve: &dyn Fn(&str, &Value) -> Result<Value>,
) -> std::result::Result<Vec<Value>, Misfit> {
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
    Ok(values)
}

/// Counts the cells before any is made.
fn fits(axes: &[(&str, Vec<Value>)], fixed: usize) -> Result<()> {
    let cells = axes.iter().fold(1u128, |cells, (_, values)| cells.saturating_mul(values.len() as u128));
    if cells > MOST_CELLS as u128 {
        let sizes: Vec<String> = axes.iter().map(|(name, values)| format!("{name} {}", values.len())).collect();
        return Err(Error::new(Code::OutOfRange, "the grid has too many cells")
            .fact("expected", format!("at most {MOST_CELLS}"))
            .fact("given", cells)
            .fact("values", sizes.join(", "))
            .help("split the grid into several sweeps, or take fewer values"));
    }
    let bytes = cells as u64 * (CELL + PARAMETER * (axes.len() + fixed) as u64);
    memory::check("the grid", bytes, "split the grid into several sweeps, or take fewer values")
}

/// For each axis that an exclusion names, by its number, the places of the values that it leaves out.
type Exclusion = Vec<(usize, BTreeSet<usize>)>;

fn exclusion_of(
    grid: &Grid,
    axes: &[(&str, Vec<Value>)],
    i: usize,
    exclusion: &Params,
    resolve: &dyn Fn(&str, &Value) -> Result<Value>,
) -> std::result::Result<Exclusion, Misfit> {
    let known: Vec<&str> = axes.iter().map(|(name, _)| *name).collect();
    let position = i.to_string();
    if exclusion.is_empty() {
        return Err(at(&["exclude", &position])(Error::new(Code::OutOfRange, "an exclusion names no axis")));
    }
    let mut all = Exclusion::new();
    for (name, given) in exclusion {
        let here = at(&["exclude", &position, name]);
        let Some(axis) = known.iter().position(|other| other == name) else {
            return Err(here(Error::unknown(Code::UnknownName, "axis", name, &known)));
        };
        let places: BTreeMap<String, usize> =
            axes[axis].1.iter().enumerate().map(|(place, value)| (value.to_string(), place)).collect();
        let mut excluded = BTreeSet::new();
        for value in axis::values(given).map_err(&here)? {
            let value = resolve(name, &value).map_err(&here)?;
            match places.get(&value.to_string()) {
                Some(place) => drop(excluded.insert(*place)),
                None if grid.replaced.contains(name) => {}
                None => {
                    let values: Vec<String> = axes[axis].1.iter().take(10).map(Value::to_string).collect();
                    let more = if axes[axis].1.len() > 10 { ", .." } else { "" };
                    return Err(here(
                        Error::new(Code::OutOfRange, format!("axis `{name}` has no value {value} to exclude"))
                            .fact("expected", format!("one of {}{more}", values.join(", "))),
                    ));
                }
            }
        }
        all.push((axis, excluded));
    }
    Ok(all)
}

/// Puts an error at its place in the grid.
fn at(path: &[&str]) -> impl Fn(Error) -> Misfit + use<> {
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    move |error| Misfit { error, path: path.clone() }
}
