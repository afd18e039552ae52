//! The numbers behind a figure, as tables: for those who do not see it, and for those who want to read a value off it.

use serde::{Deserialize, Serialize};

use super::build::present;
use super::{Chart, CurveSeries, Figure, Marks};
use crate::report::number::{digits_for, rounded_to};

/// More rows than this are left out; the saved table of the script has them.
const ROWS: usize = 200;

/// The data of one chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// The chart's name.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rounded for reading, with digits enough to tell places apart; an empty cell is a missing value.
    pub rows: Vec<Vec<String>>,
    /// How many rows were left out.
    pub omitted: usize,
}

impl Figure {
    /// The numbers behind the picture, one table a chart.
    pub fn data(&self) -> Vec<Data> {
        match self {
            Figure::Chart(chart) => vec![chart.data(self.title())],
            Figure::Facets(rows) => rows.iter().flatten().flat_map(Figure::data).collect(),
        }
    }
}

impl Chart {
    fn data(&self, title: String) -> Data {
        let x_name = named(&self.frame.x_label, "x");
        let (columns, mut rows) = match &self.marks {
            Marks::Steps { bins, series } => {
                let digits = digits_for(bins.edges(), bins.width());
                // Without the dust of adding up widths beside zero.
                let clean = |x: f64| if x.abs() < 1e-9 * bins.width() { 0.0 } else { x };
                let edge = |i: usize| rounded_to(clean(bins.edge(i)), digits);
                let row = |i: usize| {
                    let counts =
                        series.iter().map(|(_, counts, _)| counts.get(i).map_or(String::new(), u64::to_string));
                    [edge(i), edge(i + 1)].into_iter().chain(counts).collect()
                };
                // Bins that nothing fell into say nothing.
                let full = (0..bins.count()).filter(|i| series.iter().any(|(_, counts, _)| counts.get(*i) != Some(&0)));
                let names = series.iter().map(|one| named(&one.0, "count"));
                let columns = ["from".to_string(), "to".to_string()].into_iter().chain(names).collect();
                (columns, full.map(row).collect::<Vec<Vec<String>>>())
            }
            Marks::Lines(series) | Marks::Points(series) => curves(series, &x_name, &named(&self.frame.y_label, "y")),
            Marks::Bars { labels, series } => {
                let cells: Vec<_> = series.iter().map(|one| texts(&one.values)).collect();
                let row = |(i, label): (usize, &String)| {
                    std::iter::once(label.clone()).chain(cells.iter().map(|cells| text(cells, i))).collect()
                };
                let names = series.iter().map(|one| named(&one.name, "value"));
                (std::iter::once(x_name).chain(names).collect(), labels.iter().enumerate().map(row).collect())
            }
            Marks::Cells { values, x_labels, y_labels } => {
                let width = values.first().map_or(0, Vec::len);
                let label = |labels: &[String], i: usize| labels.get(i).cloned().unwrap_or_else(|| i.to_string());
                let columns = std::iter::once(named(&self.frame.y_label, "row"));
                let columns = columns.chain((0..width).map(|i| label(x_labels, i))).collect();
                let cells = texts(&values.concat());
                let row = |(i, values): (usize, &Vec<Option<f64>>)| {
                    let cells = (0..values.len()).map(|k| text(&cells, i * width + k));
                    std::iter::once(label(y_labels, i)).chain(cells).collect()
                };
                (columns, values.iter().enumerate().map(row).collect())
            }
        };
        let omitted = rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        Data { title, columns, rows, omitted }
    }
}

/// One column for each series when all stand at the same places, else one row for each point.
fn curves(series: &[CurveSeries], x_name: &str, y_name: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let xs: Vec<Vec<String>> = series.iter().map(|one| positions(&one.x)).collect();
    let ys: Vec<Vec<String>> = series.iter().map(|one| texts(&one.y)).collect();
    let shared = series.first().filter(|first| series.iter().all(|one| one.x == first.x));
    if let Some(first) = shared {
        let names = series.iter().map(|one| named(&one.name, y_name));
        let row = |i| std::iter::once(text(&xs[0], i)).chain(ys.iter().map(|ys| text(ys, i))).collect();
        return (std::iter::once(x_name.to_string()).chain(names).collect(), (0..first.x.len()).map(row).collect());
    }
    let points = |(k, one): (usize, &CurveSeries)| -> Vec<Vec<String>> {
        (0..one.x.len()).map(|i| vec![one.name.clone(), text(&xs[k], i), text(&ys[k], i)]).collect()
    };
    let columns = vec!["series".to_string(), x_name.to_string(), y_name.to_string()];
    (columns, series.iter().enumerate().flat_map(points).collect())
}

/// Values rounded to a hundredth of their range, or to four digits where that is finer.
fn texts(values: &[Option<f64>]) -> Vec<String> {
    let range = present(values).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)));
    with_digits(values, digits_for(present(values), range.1 / 100.0 - range.0 / 100.0))
}

/// Places on an axis, rounded so that those that differ are written differently, as far as rows are shown.
fn positions(values: &[Option<f64>]) -> Vec<String> {
    let mut sorted: Vec<f64> = present(&values[..values.len().min(ROWS)]).collect();
    sorted.sort_by(f64::total_cmp);
    let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
    with_digits(values, digits_for(present(values), gaps.fold(f64::INFINITY, f64::min)))
}

fn with_digits(values: &[Option<f64>], digits: usize) -> Vec<String> {
    values.iter().map(|value| value.map_or(String::new(), |x| rounded_to(x, digits))).collect()
}

fn text(cells: &[String], i: usize) -> String {
    cells.get(i).cloned().unwrap_or_default()
}

fn named(name: &str, otherwise: &str) -> String {
    if name.is_empty() { otherwise.to_string() } else { name.to_string() }
}
