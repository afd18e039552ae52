//! The numbers behind a figure, as tables: for those who do not see it, and for those who want to read a value off it.

use serde::{Deserialize, Serialize};

use super::{Chart, CurveSeries, Figure, Marks};
use crate::report::number::rounded;

/// More rows than this are left out; the saved table of the script has them.
const ROWS: usize = 200;

/// The data of one chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// The chart's name.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rounded for reading; an empty cell is a missing value.
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
            Marks::Steps { from, bin_width, series } => {
                let edge = |i: usize| rounded(round_off(from + i as f64 * bin_width));
                let bins = series.first().map_or(0, |one| one.1.len());
                let row = |i: usize| {
                    let counts =
                        series.iter().map(|(_, counts, _)| counts.get(i).map_or(String::new(), u64::to_string));
                    [edge(i), edge(i + 1)].into_iter().chain(counts).collect()
                };
                // Bins that nothing fell into say nothing.
                let full = (0..bins).filter(|i| series.iter().any(|(_, counts, _)| counts.get(*i) != Some(&0)));
                let names = series.iter().map(|one| named(&one.0, "count"));
                let columns = ["from".to_string(), "to".to_string()].into_iter().chain(names).collect();
                (columns, full.map(row).collect::<Vec<Vec<String>>>())
            }
            Marks::Lines(series) | Marks::Points(series) => curves(series, &x_name, &named(&self.frame.y_label, "y")),
            Marks::Bars { labels, series } => {
                let row = |(i, label): (usize, &String)| {
                    std::iter::once(label.clone()).chain(series.iter().map(|one| cell(one.values.get(i)))).collect()
                };
                let names = series.iter().map(|one| named(&one.name, "value"));
                (std::iter::once(x_name).chain(names).collect(), labels.iter().enumerate().map(row).collect())
            }
            Marks::Cells { values, x_labels, y_labels } => {
                let width = values.first().map_or(0, Vec::len);
                let label = |labels: &[String], i: usize| labels.get(i).cloned().unwrap_or_else(|| i.to_string());
                let columns = std::iter::once(named(&self.frame.y_label, "row"));
                let columns = columns.chain((0..width).map(|i| label(x_labels, i))).collect();
                let row = |(i, values): (usize, &Vec<Option<f64>>)| {
                    std::iter::once(label(y_labels, i)).chain(values.iter().map(|value| cell(Some(value)))).collect()
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
    let shared = series.first().filter(|first| series.iter().all(|one| one.x == first.x));
    if let Some(first) = shared {
        let names = series.iter().map(|one| named(&one.name, y_name));
        let row = |(i, x): (usize, &Option<f64>)| {
            std::iter::once(cell(Some(x))).chain(series.iter().map(|one| cell(one.y.get(i)))).collect()
        };
        return (
            std::iter::once(x_name.to_string()).chain(names).collect(),
            first.x.iter().enumerate().map(row).collect(),
        );
    }
    let points = |one: &CurveSeries| -> Vec<Vec<String>> {
        one.x.iter().zip(&one.y).map(|(x, y)| vec![one.name.clone(), cell(Some(x)), cell(Some(y))]).collect()
    };
    (vec!["series".to_string(), x_name.to_string(), y_name.to_string()], series.iter().flat_map(points).collect())
}

fn cell(value: Option<&Option<f64>>) -> String {
    value.copied().flatten().map_or(String::new(), rounded)
}

fn named(name: &str, otherwise: &str) -> String {
    if name.is_empty() { otherwise.to_string() } else { name.to_string() }
}

/// Without the dust of adding up widths: 0.30000000000000004 is 0.3.
fn round_off(x: f64) -> f64 {
    (x * 1e9).round() / 1e9
}
