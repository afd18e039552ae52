//! The grid of a sweep, from a file or from the command line, checked against the script before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::{Failure, project, run};
use crate::error::{Code, Error};
use crate::host::diagnostic::{Place, Report};
use crate::host::session::Setup;
use crate::host::{Session, engine, preflight, run as host};
use crate::report::yaml;
use crate::sweep::{self, Axes, Grid, Plan};

/// What makes a grid, or changes that of a file.
#[derive(Args)]
pub(super) struct GridArguments {
    /// An axis: seed=0..4 (0, 1, 2, 3), seed=0..=4, or coefficient=0.01,0.1; may be repeated, the last turns fastest
    #[arg(long = "grid", value_name = "NAME=VALUES", value_parser = run::assignment)]
    axes: Vec<(String, String)>,
    /// A parameter that is the same in every cell; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = run::assignment)]
    set: Vec<(String, String)>,
    /// The folder of the sweep [default: sweeps/<name of the file>]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The folder of the sweep, and its cells, which are written there.
pub(super) fn plan(file: &Path, arguments: &GridArguments) -> Result<(PathBuf, Plan), Failure> {
    let root = project()?;
    let session = Arc::new(Session::new(Setup { root: root.clone(), stem: "sweep".to_string(), ..Setup::default() })?);
    let stem = file.file_stem().map(PathBuf::from).unwrap_or_default();
    let grid = read(file, arguments, &session)?;
    let file = run::inside(&root, &file.to_string_lossy());
    let (name, text) = host::read(Path::new(&grid.script)).map_err(Failure::usage)?;
    let script = run::inside(&root, &name);
    let misused = |report: Report| Failure { text: report.draw(&session), exit_code: 2 };
    let engine = engine(&session);
    let ast = host::parse(&engine, &session, &script, &text).map_err(|report| misused(*report))?;
    preflight::check(&engine, &session, &ast).map_err(|report| misused(*report))?;
    let cells = sweep::expand(&grid, &|name, value| preflight::resolve(&ast, name, value)).map_err(|misfit| {
        let place = session.source(&file).filter(|_| file != script).map(|text| {
            let (line, column) = yaml::position(&text, &misfit.path);
            Place { file: file.clone(), line, column }
        });
        misused(Report::at(misfit.error, place))
    })?;
    let sources: BTreeMap<String, String> =
        session.sources().into_iter().filter(|(name, _)| *name != file || file == script).collect();
    let axes = grid.axes.0.into_iter().map(|(name, _)| name).collect();
    let plan = Plan::new(script, sources, axes, cells);
    plan.check_sources(&root).map_err(Failure::usage)?;
    let dir = arguments.dir.clone().unwrap_or_else(|| Path::new("sweeps").join(stem));
    plan.settle(&dir).map_err(Failure::usage)?;
    Ok((dir, plan))
}

/// The grid in the file, or of the command line when the file is a script; `--grid` and `--set` win over a grid file.
fn read(file: &Path, arguments: &GridArguments, session: &Session) -> Result<Grid, Failure> {
    let (path, text) = host::read(file).map_err(Failure::usage)?;
    let mut grid = if file.extension().is_some_and(|extension| extension == "rhai") {
        Grid { script: path, axes: Axes::default(), ..Grid::default() }
    } else {
        let name = run::inside(session.root(), &path);
        session.add_source(&name, &text);
        yaml::read::<Grid>(&text, "the grid").map_err(|located| {
            let place = Place { file: name, line: located.line, column: located.column };
            let report = Report::at(located.error, Some(place));
            Failure { text: report.draw(session), exit_code: 2 }
        })?
    };
    twice("--grid", &arguments.axes)?;
    twice("--set", &arguments.set)?;
    for (axis, values) in &arguments.axes {
        let before = grid.axes.0.len();
        grid.axes.0.retain(|(other, _)| other != axis);
        if grid.axes.0.len() < before {
            grid.replaced.insert(axis.clone());
        }
        grid.axes.0.push((axis.clone(), Value::String(values.clone())));
    }
    grid.fixed.extend(arguments.set.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))));
    Ok(grid)
}

/// An error where the command line names a parameter twice: one of its values would count for nothing.
fn twice(option: &str, given: &[(String, String)]) -> Result<(), Failure> {
    for (i, (name, value)) in given.iter().enumerate() {
        if let Some((_, first)) = given[..i].iter().find(|(other, _)| other == name) {
            let error = Error::new(Code::OutOfRange, format!("`{option} {name}` is given twice"))
                .fact("first", first)
                .fact("second", value)
                .help("several values of an axis are one list, such as `--grid seed=0..4` or `--grid seed=1,2,8`");
            return Err(Failure::usage(error));
        }
    }
    Ok(())
}
