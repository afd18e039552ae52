//! `plot::`: figures from plain data, and saving them.

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, Map, NativeCallContext, exported_module};

use crate::error::Result;
use crate::host::bind::{language, table};
use crate::host::options::Options;
use crate::host::raise::{At, Raised, number, wrong_type};
use crate::host::session::session;
use crate::host::value;
use crate::memory;
use crate::progress::Monitor;
use crate::report::plot as core;

/// Registers the namespace and the type.
pub fn register(engine: &mut Engine) {
    language::register_type::<core::Figure>(engine, "Figure", core::Figure::summary);
    engine.register_static_module("plot", exported_module!(plot).into());
}

/// The options with tensors as arrays, and in arrays `()` for floats that are not finite: these are not drawn. An option by
/// itself that is not finite stays, and is refused.
fn drawable(options: Map) -> Result<Map> {
    let one = |value: Dynamic| if value.is_float() { Ok(value) } else { plain(value) };
    options.into_iter().map(|(key, value)| Ok((key, one(value)?))).collect()
}

fn plain(value: Dynamic) -> Result<Dynamic> {
    if let Some(map) = value.read_lock::<Map>() {
        return Ok(Dynamic::from_map(drawable(map.clone())?));
    }
    if let Some(array) = value.read_lock::<Array>() {
        return Ok(Dynamic::from_array(array.iter().map(|item| plain(item.clone())).collect::<Result<_>>()?));
    }
    if let Some(t) = value.read_lock::<candle_core::Tensor>() {
        memory::check("the values of the plot", 128 * t.elem_count() as u64, "draw a sample")?;
        let all = value::values(&t)?;
        let finite = |x: &f32| if x.is_finite() { Dynamic::from(f64::from(*x)) } else { Dynamic::UNIT };
        let d = t.dims().get(1).copied().filter(|d| *d > 0 && t.dims().len() == 2);
        return Ok(Dynamic::from_array(match d {
            Some(d) => all.chunks(d).map(|row| Dynamic::from_array(row.iter().map(finite).collect())).collect(),
            None => all.iter().map(finite).collect(),
        }));
    }
    Ok(if value.as_float().is_ok_and(|x| !x.is_finite()) { Dynamic::UNIT } else { value })
}

/// So many values are handled between two looks for a stop.
const STRETCH: usize = 1 << 16;

/// The values of a series as they are drawn; `None` for `()` and for floats that are not finite. `what` names them in errors.
fn listed(value: &Dynamic, what: &str, monitor: &dyn Monitor) -> Result<Option<Vec<Option<f64>>>> {
    let finite = |x: f64| x.is_finite().then_some(x);
    if let Some(array) = value.read_lock::<Array>() {
        memory::check("the values of the plot", 16 * array.len() as u64, "draw a sample")?;
        let mut list = Vec::with_capacity(array.len());
        for (i, item) in array.iter().enumerate() {
            if i % STRETCH == 0 {
                monitor.check()?;
            }
            list.push(if item.is_unit() { None } else { finite(number(item, &format!("{what}[{i}]"))?) });
        }
        return Ok(Some(list));
    }
    let Some(t) = value.read_lock::<candle_core::Tensor>() else { return Ok(None) };
    if t.dims().len() != 1 {
        return Err(wrong_type(what, "an array, or a Tensor of one dimension", value));
    }
    memory::check("the values of the plot", 24 * t.elem_count() as u64, "draw a sample")?;
    Ok(Some(value::values(&t)?.into_iter().map(|x| finite(f64::from(x))).collect()))
}

/// A list of a series, with its name.
type List<'a> = (&'static str, &'a mut Vec<Option<f64>>);

/// Options whose series hold long lists of numbers.
trait Series: serde::de::DeserializeOwned {
    /// The lists of each series, and their names.
    fn lists(&mut self) -> Vec<Vec<List<'_>>>;
}

impl Series for core::HistogramOptions {
    fn lists(&mut self) -> Vec<Vec<List<'_>>> {
        self.series.iter_mut().map(|one| vec![("values", &mut one.values)]).collect()
    }
}

impl Series for core::BarOptions {
    fn lists(&mut self) -> Vec<Vec<List<'_>>> {
        self.series.iter_mut().map(|one| vec![("values", &mut one.values)]).collect()
    }
}

impl Series for core::CurveOptions {
    fn lists(&mut self) -> Vec<Vec<List<'_>>> {
        self.series.iter_mut().map(|one| vec![("x", &mut one.x), ("y", &mut one.y)]).collect()
    }
}

/// The options of one plot function, typed. The lists of its series go around the typing, which would take ten times their
/// memory.
fn read_series<T: Series>(ctx: &NativeCallContext, function: &'static str, mut options: Map) -> Result<T> {
    let (session, mut taken) = (session(ctx), Vec::new());
    // Copies of what a closure may share: the script keeps its own.
    let mut series = options.remove("series").map(Dynamic::flatten);
    if let Some(mut series) = series.as_mut().and_then(|series| series.write_lock::<Array>()) {
        for (i, one) in series.iter_mut().enumerate() {
            *one = one.flatten_clone();
            let Some(mut map) = one.write_lock::<Map>() else { continue };
            for key in ["values", "x", "y"] {
                let Some(value) = map.get_mut(key) else { continue };
                if let Some(list) = listed(value, &format!("series[{i}].{key}"), session.monitor())? {
                    taken.push((i, key, list));
                    *value = Array::new().into();
                }
            }
        }
    }
    options.extend(series.map(|series| ("series".into(), series)));
    let mut options: T = Options::new(function, drawable(options)?).read()?;
    let mut lists = options.lists();
    for (i, key, list) in taken {
        if let Some((_, place)) = lists.get_mut(i).and_then(|one| one.iter_mut().find(|(name, _)| *name == key)) {
            **place = list;
        }
    }
    drop(lists);
    Ok(options)
}

/// The functions of the namespace `plot`.
#[export_module]
pub mod plot {
    /// The script type: a picture as plain data.
    pub type Figure = crate::report::plot::Figure;

    /// Draws overlaid histograms: counts in bins whose edges are multiples of the bin width, counted from `from` where it is
    /// given. Without `from` and `to`, every value lies in one bin.
    ///
    /// * `options`: `series`: an array of `#{ name, values }`, `values` an array or a Tensor, `()` and NaN left out
    ///   (required); `bin_width` (default: about 60 bins), `from`, `to` (default: the range of the values);
    ///   `lines`: an array of `#{ at, label }`, vertical lines; `title`, `x_label`, `y_label`; `log_x`, `log_y`: bools;
    ///   `width`: 720 pixels, `height`: 440 pixels.
    ///
    /// Returns a Figure.
    /// Errors: `out-of-range` for no series, a bin width that is not positive or finer than floats can tell apart, `to` not
    /// above `from`, or more than 10000 bins.
    ///
    /// ```rhai
    /// let f = plot::histogram(#{ series: [#{ name: "baseline", values: [0.1, 0.3, 0.31] }], bin_width: 0.1,
    ///     lines: [#{ at: 0.043, label: "Welch bound" }] });
    /// assert_eq(f.to_string(), "Figure histogram of 1 series, 720 x 440");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn histogram(ctx: NativeCallContext, options: Map) -> Raised<Figure> {
        read_series(&ctx, "plot::histogram", options).and_then(|options| core::histogram(&options)).at(&ctx)
    }

    /// Draws lines through points, in their order; a missing value breaks the line.
    ///
    /// * `options`: `series`: an array of `#{ name, x, y }`, arrays or Tensors of one length (required);
    ///   `lines`: an array of `#{ at, label }`, vertical lines; `title`, `x_label`, `y_label`; `log_x`, `log_y`: bools;
    ///   `width`: 720 pixels, `height`: 440 pixels.
    ///
    /// Returns a Figure.
    /// Errors: `out-of-range` for no series or more than 50000 points, `shape-mismatch` when x and y differ in length.
    ///
    /// ```rhai
    /// let f = plot::line(#{ series: [#{ name: "loss", x: [0, 1, 2], y: [3.0, 2.0, 1.5] }], log_y: true });
    /// assert_eq(f.to_string(), "Figure line chart of 1 series, 720 x 440");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn line(ctx: NativeCallContext, options: Map) -> Raised<Figure> {
        read_series(&ctx, "plot::line", options).and_then(|options| core::line(&options)).at(&ctx)
    }

    /// Draws points, each series with its own color and marker.
    ///
    /// * `options`: `series`: an array of `#{ name, x, y }`, arrays or Tensors of one length (required);
    ///   `lines`: an array of `#{ at, label }`, vertical lines; `title`, `x_label`, `y_label`; `log_x`, `log_y`: bools;
    ///   `width`: 720 pixels, `height`: 440 pixels.
    ///
    /// Returns a Figure.
    /// Errors: `out-of-range` for no series or more than 50000 points, `shape-mismatch` when x and y differ in length.
    ///
    /// ```rhai
    /// let f = plot::scatter(#{ series: [#{ x: [1, 2], y: tensor::from_values([0.5, 0.25]) }] });
    /// assert_eq(f.to_string(), "Figure scatter plot of 1 series, 720 x 440");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn scatter(ctx: NativeCallContext, options: Map) -> Raised<Figure> {
        read_series(&ctx, "plot::scatter", options).and_then(|options| core::scatter(&options)).at(&ctx)
    }

    /// Draws groups of bars from zero.
    ///
    /// * `options`: `series`: an array of `#{ name, values }`, one bar of each group (required); `labels`: an array of
    ///   strings, one a group (default: 0, 1, ..); `title`, `x_label`, `y_label`; `log_y`: a bool;
    ///   `width`: 720 pixels, `height`: 440 pixels.
    ///
    /// Returns a Figure.
    /// Errors: `out-of-range` for no series, `shape-mismatch` when series or labels differ in length.
    ///
    /// ```rhai
    /// let f = plot::bar(#{ labels: ["none", "three_term"], series: [#{ name: "score", values: [0.846, 0.828] }] });
    /// assert_eq(f.to_string(), "Figure bar chart of 1 series, 720 x 440");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn bar(ctx: NativeCallContext, options: Map) -> Raised<Figure> {
        read_series(&ctx, "plot::bar", options).and_then(|options| core::bar(&options)).at(&ctx)
    }

    /// Draws a matrix as colored cells, its first row on top, with a color scale.
    ///
    /// * `options`: `values`: an array of rows of one length, or a Tensor [rows, columns] (required);
    ///   `x_labels`, `y_labels`: arrays of strings, one a column and one a row; `title`, `x_label`, `y_label`;
    ///   `width`: 720 pixels, `height`: 440 pixels.
    ///
    /// Returns a Figure.
    /// Errors: `out-of-range` for no values or more than 50000, `shape-mismatch` for rows or labels of another length.
    ///
    /// ```rhai
    /// let f = plot::heatmap(#{ values: tensor::eye(3), title: "unit matrix" });
    /// assert_eq(f.to_string(), "Figure heatmap of 1 series, 720 x 440");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn heatmap(ctx: NativeCallContext, options: Map) -> Raised<Figure> {
        let options = drawable(options).and_then(|options| Options::new("plot::heatmap", options).read()).at(&ctx)?;
        core::heatmap(&options).at(&ctx)
    }

    /// Puts several figures into one.
    ///
    /// * `rows`: an array of arrays of Figures, row by row.
    ///
    /// Returns a Figure.
    /// Errors: `wrong-type` for what is no Figure, `out-of-range` when there is none, or they are too many or too large.
    ///
    /// ```rhai
    /// let f = plot::heatmap(#{ values: tensor::eye(3), width: 300, height: 200 });
    /// assert_eq(plot::facets([[f, f], [f]]).to_string(), "Figure 3 figures, 600 x 400");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn facets(ctx: NativeCallContext, rows: Array) -> Raised<Figure> {
        let one = |item: &Dynamic| {
            item.clone().try_cast::<Figure>().ok_or_else(|| wrong_type("an item of the facets", "a Figure", item))
        };
        let row = |row: &Dynamic| match row.read_lock::<Array>() {
            Some(items) => items.iter().map(one).collect::<Result<Vec<_>>>(),
            None => Err(wrong_type("a row of the facets", "an array of Figures", row)),
        };
        rows.iter().map(row).collect::<Result<Vec<_>>>().and_then(Figure::facets).at(&ctx)
    }

    /// Writes the figure into the results of this script as `name.svg`.
    ///
    /// * `name`: a file name without folder and ending.
    ///
    /// Errors: `outside-project` for a name that leads elsewhere, `write-failed`.
    ///
    /// ```rhai
    /// plot::heatmap(#{ values: tensor::eye(3) }).save("unit");
    /// assert(true);
    /// ```
    #[rhai_fn(global, pure, return_raw)]
    pub fn save(ctx: NativeCallContext, figure: &mut Figure, name: &str) -> Raised<()> {
        save_with(ctx, figure, name, Map::new())
    }

    /// Writes the figure into the results of this script, with options.
    ///
    /// * `name`: a file name without folder and ending.
    /// * `options`: `png`: a bool, false by default: also as PNG, with the fonts of this machine; needs a build with the feature `png`.
    ///
    /// Errors: `unsupported` for PNG without that feature, `outside-project`, `write-failed`.
    ///
    /// ```rhai
    /// plot::heatmap(#{ values: tensor::eye(3) }).save("unit", #{ png: false });
    /// assert(true);
    /// ```
    #[rhai_fn(name = "save", global, pure, return_raw)]
    pub fn save_with(ctx: NativeCallContext, figure: &mut Figure, name: &str, options: Map) -> Raised<()> {
        let mut options = Options::new("Figure.save", options);
        let png = options.take_native::<bool>("png").at(&ctx)?;
        options.finish().at(&ctx)?;
        let (session, name) = (session(&ctx), table::stem(name, ".svg"));
        if png == Some(true) {
            session.save(&format!("{name}.png"), &figure.to_png(session.monitor()).at(&ctx)?).at(&ctx)?;
        }
        session.save_figure(&format!("{name}.svg"), figure).at(&ctx)
    }
}
