//! Plots: plain data first ([`Figure`]), then one SVG by plotters in one theme.
//!
//! An SVG needs no font of the machine and has the same bytes every time. It carries a title and a description for
//! screen readers, and tells series apart by color (Okabe and Ito's, safe for color blindness) and by dashes or markers.

mod axis;
mod build;
mod canvas;
mod data;
mod draw;
mod marks;
mod options;
mod png;
mod theme;
mod tick;

use serde::Serialize;

use crate::bins::Bins;
use crate::error::{Code, Error, Result};
use crate::progress::Monitor;
use canvas::Canvas;

pub use build::{bar, heatmap, histogram, line, scatter};
pub use data::Data;
pub use options::{BarOptions, CurveOptions, CurveSeries, HeatmapOptions, HistogramOptions, LabelledLine, ValueSeries};

/// What one picture may hold: figures in figures, marks, and pixels, beyond which coordinates are cut off.
const MOST_DEPTH: usize = 8;
const MOST_PARTS: usize = 1_000;
const MOST_MARKS: usize = 1_000_000;
const MOST_PIXELS: usize = 90_000;

/// A picture as plain data. Compare, keep or draw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Figure {
    /// One chart.
    Chart(Chart),
    /// Rows of figures.
    Facets(Vec<Vec<Figure>>),
}

/// A chart: what is drawn, and what stands around it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// Title, axes, size.
    pub frame: Frame,
    /// The data.
    pub marks: Marks,
}

/// What stands around the data.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Frame {
    /// Above the chart; may be empty.
    pub title: String,
    /// Below the x axis; may be empty.
    pub x_label: String,
    /// Beside the y axis; may be empty.
    pub y_label: String,
    /// Vertical lines with a label above the chart.
    pub lines: Vec<LabelledLine>,
    /// Whether the x axis is logarithmic.
    pub log_x: bool,
    /// Whether the y axis is logarithmic.
    pub log_y: bool,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The data of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Marks {
    /// Counts in bins of equal width, one outline a series.
    Steps {
        /// Where the bins are.
        bins: Bins,
        /// Name, counts and a summary of the values.
        series: Vec<(String, Vec<u64>, String)>,
    },
    /// Points joined in their order; a missing y breaks the line.
    Lines(Vec<CurveSeries>),
    /// Points.
    Points(Vec<CurveSeries>),
    /// Groups of bars, one group a label.
    Bars {
        /// Below each group.
        labels: Vec<String>,
        /// One bar in every group each.
        series: Vec<ValueSeries>,
    },
    /// Colored cells, the first row on top.
    Cells {
        /// Rows of equal length.
        values: Vec<Vec<Option<f64>>>,
        /// Below each column; none or one for each.
        x_labels: Vec<String>,
        /// Beside each row; none or one for each.
        y_labels: Vec<String>,
    },
}

impl Marks {
    fn count(&self) -> usize {
        match self {
            Marks::Steps { bins, series } => bins.count() * series.len(),
            Marks::Lines(series) | Marks::Points(series) => series.iter().map(|one| one.x.len()).sum(),
            Marks::Bars { labels, series } => labels.len() * series.len(),
            Marks::Cells { values, .. } => values.iter().map(Vec::len).sum(),
        }
    }
}

impl Figure {
    /// How deep facets lie in facets.
    fn depth(&self) -> usize {
        match self {
            Figure::Chart(_) => 0,
            Figure::Facets(rows) => 1 + rows.iter().flatten().map(Figure::depth).max().unwrap_or(0),
        }
    }

    /// Rows of figures in one picture.
    ///
    /// # Errors
    /// `out-of-range` when there is none, or they are too many or too large together.
    pub fn facets(rows: Vec<Vec<Figure>>) -> Result<Figure> {
        if rows.iter().all(Vec::is_empty) {
            return Err(Error::new(Code::OutOfRange, "facets of no figure"));
        }
        let figures = Figure::Facets(rows);
        if figures.depth() > MOST_DEPTH {
            return Err(Error::new(Code::OutOfRange, "too many facets inside of facets")
                .fact("expected", format!("at most {MOST_DEPTH} deep"))
                .help("lay the figures out in one call"));
        }
        let (width, height) = figures.size();
        let limits = [
            ("figures in one", figures.parts(), MOST_PARTS),
            ("marks in one figure", figures.marks(), MOST_MARKS),
            ("pixels across", width as usize, MOST_PIXELS),
            ("pixels down", height as usize, MOST_PIXELS),
        ];
        match limits.into_iter().find(|(_, given, most)| given > most) {
            Some((what, given, most)) => Err(Error::new(Code::OutOfRange, format!("too many {what}"))
                .fact("expected", format!("at most {most}"))
                .fact("given", given)
                .help("save them as several figures")),
            None => Ok(figures),
        }
    }

    /// How many figures it is made of, itself included.
    fn parts(&self) -> usize {
        match self {
            Figure::Chart(_) => 1,
            Figure::Facets(rows) => 1 + rows.iter().flatten().map(Figure::parts).sum::<usize>(),
        }
    }

    /// How many marks are drawn.
    fn marks(&self) -> usize {
        match self {
            Figure::Chart(chart) => chart.marks.count(),
            Figure::Facets(rows) => rows.iter().flatten().map(Figure::marks).sum(),
        }
    }

    /// The picture as SVG, in UTF-8 with LF.
    ///
    /// # Errors
    /// `interrupted`; `internal` when plotters refuses.
    pub fn to_svg(&self, monitor: &dyn Monitor) -> Result<String> {
        let (width, height) = self.size();
        let mut text = String::new();
        let mut canvas = Canvas::new(&mut text, width, height, monitor)?;
        self.draw(&mut canvas, 0.0, 0.0)?;
        canvas.finish()?;
        drop(canvas);
        Ok(canvas::complete(&text, (width, height), &self.title(), &self.description()))
    }

    /// The picture as PNG, with the fonts of this machine; needs the feature `png`.
    ///
    /// # Errors
    /// `unsupported` without the feature or without a font; `interrupted`; `internal` when a library refuses.
    pub fn to_png(&self, monitor: &dyn Monitor) -> Result<Vec<u8>> {
        png::from_svg(&self.to_svg(monitor)?)
    }

    /// The picture's name: its title, or what kind of chart it is.
    pub fn title(&self) -> String {
        match self {
            Figure::Chart(chart) if !chart.frame.title.is_empty() => chart.frame.title.clone(),
            Figure::Chart(chart) => chart.kind().to_string(),
            Figure::Facets(rows) => format!("{} figures", rows.iter().map(Vec::len).sum::<usize>()),
        }
    }

    /// What the picture shows, in sentences.
    pub fn description(&self) -> String {
        match self {
            Figure::Chart(chart) => chart.description(),
            Figure::Facets(rows) => rows
                .iter()
                .flatten()
                .map(|figure| format!("{}: {}", figure.title(), figure.description()))
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// One line, such as `Figure histogram of 2 series, 720 x 440`.
    pub fn summary(&self) -> String {
        let (width, height) = self.size();
        let what = match self {
            Figure::Chart(chart) => format!("{} of {} series", chart.kind(), chart.names().len().max(1)),
            Figure::Facets(_) => self.title(),
        };
        format!("Figure {what}, {width} x {height}")
    }

    /// Pixels across and down.
    pub fn size(&self) -> (u32, u32) {
        match self {
            Figure::Chart(chart) => (chart.frame.width, chart.frame.height),
            Figure::Facets(rows) => {
                let (widths, heights) = cell_sizes(rows);
                let sum = |sizes: &[u32]| sizes.iter().fold(0u32, |sum, size| sum.saturating_add(*size));
                (sum(&widths), sum(&heights))
            }
        }
    }

    fn draw(&self, canvas: &mut Canvas, x: f64, y: f64) -> Result<()> {
        let rows = match self {
            Figure::Chart(chart) => return draw::chart(canvas, chart, x, y),
            Figure::Facets(rows) => rows,
        };
        let (widths, heights) = cell_sizes(rows);
        let mut top = y;
        for (row, height) in rows.iter().zip(heights) {
            let mut left = x;
            for (figure, width) in row.iter().zip(&widths) {
                figure.draw(canvas, left, top)?;
                left += f64::from(*width);
            }
            top += f64::from(height);
        }
        Ok(())
    }
}

/// Widths of the columns and heights of the rows of a grid of figures.
fn cell_sizes(rows: &[Vec<Figure>]) -> (Vec<u32>, Vec<u32>) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|figure| figure.size().0).max().unwrap_or(0);
    let height = |row: &Vec<Figure>| row.iter().map(|figure| figure.size().1).max().unwrap_or(0);
    ((0..columns).map(width).collect(), rows.iter().map(height).collect())
}
