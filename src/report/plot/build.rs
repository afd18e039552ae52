//! From options to a chart: checks, bins, and what the chart says in words.

use super::tick::round_step;
use super::{
    BarOptions, Chart, CurveOptions, CurveSeries, Figure, Frame, HeatmapOptions, HistogramOptions, Marks, ValueSeries,
};
use crate::bins::{Bins, Wanted};
use crate::error::{Code, Error, Result};
use crate::report::number::rounded;

/// A file of more marks than this helps nobody.
const MOST_MARKS: usize = 50_000;

/// Bins of a histogram, and those of all of its series.
const MOST_BINS: usize = 10_000;
const MOST_STEPS: usize = 1_000_000;

/// Series and labelled lines, of which a reader tells a few apart.
const MOST_SERIES: usize = 1_000;
const MOST_LINES: usize = 500;

/// Overlaid histograms: counts in bins whose edges are multiples of the bin width, counted from `from` where it is given. Without
/// `from` and `to`, every value lies in one bin.
///
/// # Errors
/// `out-of-range` for no series, a bin width that is not positive or too fine, ends that are not in order, or too many bins.
pub fn histogram(options: &HistogramOptions) -> Result<Figure> {
    let mut frame = checked(options.frame(), options.series.len())?;
    let all = || options.series.iter().flat_map(|s| present(&s.values));
    let range = all().next().map(|first| all().fold((first, first), |(lo, hi), x| (lo.min(x), hi.max(x))));
    let range = range.or((options.from.is_none() || options.to.is_none()).then_some((0.0, 1.0)));
    let (lo, hi) = range.unwrap_or((0.0, 1.0));
    let (lo, hi) = (options.from.unwrap_or(lo), options.to.unwrap_or(hi));
    let width = options.bin_width.unwrap_or_else(|| {
        // No finer than floats of this size can tell apart.
        let least = round_step((1e-14 * lo.abs().max(hi.abs())).max(1e-300));
        if hi > lo { round_step(hi / 60.0 - lo / 60.0).max(least) } else { round_step(lo.abs().max(1.0) / 60.0) }
    });
    let (from, to) = (options.from, options.to);
    let bins = Bins::new(&Wanted { width, from, to, range, closed: true, most: MOST_BINS })?;
    most(bins.count().saturating_mul(options.series.len()), MOST_STEPS)?;
    let count = |s: &ValueSeries| (s.name.clone(), bins.counts(present(&s.values)), value_summary(&s.values));
    let series = options.series.iter().map(count).collect();
    if frame.y_label.is_empty() {
        frame.y_label = "count".to_string();
    }
    Ok(Figure::Chart(Chart { frame, marks: Marks::Steps { bins, series } }))
}

/// Points joined by lines, in their order.
///
/// # Errors
/// `out-of-range` for no series or too many points, `shape-mismatch` when x and y differ in length.
pub fn line(options: &CurveOptions) -> Result<Figure> {
    Ok(Figure::Chart(Chart { frame: curves(options)?, marks: Marks::Lines(options.series.clone()) }))
}

/// Points, each series with its own color and marker.
///
/// # Errors
/// As [`line`].
pub fn scatter(options: &CurveOptions) -> Result<Figure> {
    Ok(Figure::Chart(Chart { frame: curves(options)?, marks: Marks::Points(options.series.clone()) }))
}

fn curves(options: &CurveOptions) -> Result<Frame> {
    let frame = checked(options.frame(), options.series.len())?;
    for series in &options.series {
        same_length(&format!("`x` and `y` of series `{}`", series.name), series.x.len(), series.y.len())?;
    }
    most(options.series.iter().map(|s| s.x.len()).sum(), MOST_MARKS)?;
    Ok(frame)
}

/// Groups of bars from zero.
///
/// # Errors
/// `out-of-range` for no series or a logarithmic axis, `shape-mismatch` when series or labels differ in length.
pub fn bar(options: &BarOptions) -> Result<Figure> {
    let frame = checked(options.frame(), options.series.len())?;
    let groups = options.series[0].values.len();
    for series in &options.series {
        same_length(&format!("`values` of series `{}`", series.name), groups, series.values.len())?;
    }
    if frame.log_x || !frame.lines.is_empty() {
        return Err(Error::new(Code::OutOfRange, "a bar chart has no numeric x axis for `log_x` or `lines`"));
    }
    most(groups.saturating_mul(options.series.len()), MOST_MARKS)?;
    let labels =
        if options.labels.is_empty() { (0..groups).map(|i| i.to_string()).collect() } else { options.labels.clone() };
    same_length("`labels`", groups, labels.len())?;
    Ok(Figure::Chart(Chart { frame, marks: Marks::Bars { labels, series: options.series.clone() } }))
}

/// A matrix as colored cells.
///
/// # Errors
/// `out-of-range` for no values, too many, or axes that it does not have; `shape-mismatch` for rows or labels of another length.
pub fn heatmap(options: &HeatmapOptions) -> Result<Figure> {
    let values = options.values.clone();
    let width = values.first().map_or(0, Vec::len);
    let frame = checked(options.frame(), width.min(1))?;
    for (i, row) in values.iter().enumerate() {
        same_length(&format!("row {i} of `values`"), width, row.len())?;
    }
    if frame.log_x || frame.log_y || !frame.lines.is_empty() {
        return Err(Error::new(Code::OutOfRange, "a heatmap has no numeric axes for `log_x`, `log_y` or `lines`"));
    }
    most(width.saturating_mul(values.len()), MOST_MARKS)?;
    for (name, labels, n) in [("`x_labels`", &options.x_labels, width), ("`y_labels`", &options.y_labels, values.len())]
    {
        if !labels.is_empty() {
            same_length(name, n, labels.len())?;
        }
    }
    let marks = Marks::Cells { values, x_labels: options.x_labels.clone(), y_labels: options.y_labels.clone() };
    Ok(Figure::Chart(Chart { frame, marks }))
}

impl Chart {
    pub(super) fn kind(&self) -> &'static str {
        match self.marks {
            Marks::Steps { .. } => "histogram",
            Marks::Lines(_) => "line chart",
            Marks::Points(_) => "scatter plot",
            Marks::Bars { .. } => "bar chart",
            Marks::Cells { .. } => "heatmap",
        }
    }

    /// The names of the series.
    pub(super) fn names(&self) -> Vec<&str> {
        match &self.marks {
            Marks::Steps { series, .. } => series.iter().map(|s| s.0.as_str()).collect(),
            Marks::Lines(series) | Marks::Points(series) => series.iter().map(|s| s.name.as_str()).collect(),
            Marks::Bars { series, .. } => series.iter().map(|s| s.name.as_str()).collect(),
            Marks::Cells { .. } => Vec::new(),
        }
    }

    pub(super) fn description(&self) -> String {
        let frame = &self.frame;
        let mut kind = self.kind().to_string();
        kind[..1].make_ascii_uppercase();
        let axes = match (frame.x_label.as_str(), frame.y_label.as_str()) {
            ("", "") => String::new(),
            (x, "") => format!(" over {x}"),
            ("", y) => format!(" of {y}"),
            (x, y) => format!(" of {y} over {x}"),
        };
        let mut sentences = vec![format!("{kind}{axes}.")];
        let curve = |s: &CurveSeries| (s.name.clone(), format!("{} points, y: {}", s.x.len(), value_summary(&s.y)));
        let series: Vec<(String, String)> = match &self.marks {
            Marks::Steps { series, .. } => series.iter().map(|s| (s.0.clone(), s.2.clone())).collect(),
            Marks::Lines(series) | Marks::Points(series) => series.iter().map(curve).collect(),
            Marks::Bars { series, .. } => series.iter().map(|s| (s.name.clone(), value_summary(&s.values))).collect(),
            Marks::Cells { values, .. } => {
                let all: Vec<_> = values.iter().flatten().copied().collect();
                vec![(format!("{} rows", values.len()), value_summary(&all))]
            }
        };
        for (i, (name, summary)) in series.into_iter().enumerate() {
            let name = if name.is_empty() { format!("series {}", i + 1) } else { name };
            sentences.push(format!("{name}: {summary}."));
        }
        for line in &frame.lines {
            sentences.push(format!("Vertical line at {}: {}.", rounded(line.at), line.label));
        }
        sentences.join(" ")
    }
}

/// The finite values.
pub(super) fn present(values: &[Option<f64>]) -> impl Iterator<Item = f64> + '_ {
    values.iter().flatten().copied().filter(|x| x.is_finite())
}

fn value_summary(values: &[Option<f64>]) -> String {
    let mut all: Vec<f64> = present(values).collect();
    all.sort_unstable_by(f64::total_cmp);
    match (all.first(), all.last()) {
        (Some(least), Some(largest)) => format!(
            "{} values from {} to {}, median {}",
            all.len(),
            rounded(*least),
            rounded(*largest),
            rounded(all[(all.len() - 1) / 2])
        ),
        _ => "no values".to_string(),
    }
}

fn checked(frame: Frame, series: usize) -> Result<Frame> {
    if series == 0 {
        return Err(Error::new(Code::OutOfRange, "a plot needs at least one series of values"));
    }
    for (name, given, range) in [("width", frame.width, 200..=4000), ("height", frame.height, 150..=4000)] {
        if !range.contains(&given) {
            return Err(out_of_range(name, &format!("{} to {}", range.start(), range.end()), f64::from(given)));
        }
    }
    for (name, given, most) in [("series", series, MOST_SERIES), ("lines", frame.lines.len(), MOST_LINES)] {
        if given > most {
            return Err(out_of_range(&format!("the number of {name}"), &format!("at most {most}"), given as f64));
        }
    }
    match frame.lines.iter().find(|line| !line.at.is_finite()) {
        Some(line) => Err(out_of_range("at", "a finite number", line.at)),
        None => Ok(frame),
    }
}

fn most(marks: usize, most: usize) -> Result<()> {
    if marks <= most {
        return Ok(());
    }
    Err(out_of_range("the number of marks", &format!("at most {most}"), marks as f64)
        .help("draw a sample, or a histogram"))
}

fn same_length(what: &str, expected: usize, given: usize) -> Result<()> {
    if expected == given {
        return Ok(());
    }
    Err(Error::new(Code::ShapeMismatch, format!("{what} differ in length"))
        .fact("expected", expected)
        .fact("given", given))
}

fn out_of_range(what: &str, expected: &str, given: f64) -> Error {
    Error::new(Code::OutOfRange, format!("{what} is out of range"))
        .fact("expected", expected)
        .fact("given", rounded(given))
}
