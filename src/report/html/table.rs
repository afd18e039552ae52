//! Tables: from CSV, with numbers rounded for reading and exact on hover; sortable where scripts are allowed.

use super::escape::escape;
use crate::report::csv::Records;
use crate::report::number::rounded;

/// So many rows and columns are shown; the file has the rest.
const ROWS: usize = 200;
const COLUMNS: usize = 500;

/// A table as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The first rows.
    pub rows: Vec<Vec<String>>,
    /// How many rows there are.
    pub total: usize,
    /// Whether each column holds numbers, which stand to the right and are rounded.
    pub numeric: Vec<bool>,
    /// Whether numbers are rounded already, with the digits that tell them apart.
    pub as_given: bool,
}

impl Grid {
    /// Rows that are read already; `omitted` more exist.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<String>>, omitted: usize) -> Grid {
        let is_number = |c: usize| {
            let mut cells = rows.iter().filter_map(|row| row.get(c)).filter(|cell| !cell.is_empty()).peekable();
            cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
        };
        let numeric = (0..columns.len()).map(is_number).collect();
        Grid { total: rows.len() + omitted, columns, rows, numeric, as_given: true }
    }

    /// The table in a CSV file, the first row its header; what follows a row that is none is left out.
    pub fn from_csv(text: &str) -> Grid {
        let (mut records, mut fields) = (Records::new(text), Vec::new());
        let mut grid = Grid::default();
        if let Ok(true) = records.next(&mut fields) {
            grid.columns = fields.drain(..).map(|field| field.text.into_owned()).collect();
        }
        let mut quoted = vec![false; grid.columns.len()];
        while let Ok(true) = records.next(&mut fields) {
            grid.total += 1;
            if grid.rows.len() < ROWS {
                quoted.iter_mut().zip(&fields).for_each(|(any, field)| *any |= field.quoted);
                grid.rows.push(fields.drain(..).map(|field| field.text.into_owned()).collect());
            }
        }
        let shown = grid.rows.len();
        let grid = Grid { total: grid.total, ..Grid::new(grid.columns, grid.rows, grid.total - shown) };
        // A number in quotes is a text that looks like one.
        let numeric = grid.numeric.iter().zip(quoted).map(|(numeric, quoted)| *numeric && !quoted).collect();
        Grid { numeric, as_given: false, ..grid }
    }
}

/// The table as HTML in a box that scrolls; `name` is what screen readers call it, `caption` HTML for everyone.
pub(super) fn render(grid: &Grid, name: &str, caption: &str) -> String {
    let numeric = |c: usize| grid.numeric.get(c) == Some(&true);
    // What names a row is its first column, unless that is a number among numbers.
    let heads = !numeric(0);
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table class=\"data\">",
        escape(name)
    );
    if !caption.is_empty() {
        html += &format!("<caption>{caption}</caption>");
    }
    html += "<thead><tr>";
    for (c, column) in grid.columns.iter().enumerate().take(COLUMNS) {
        let class = if numeric(c) { " class=\"r\"" } else { "" };
        html += &format!("<th scope=\"col\"{class}>{}</th>", escape(column));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in grid.rows.iter().take(ROWS) {
        html += "<tr>";
        for (c, cell) in row.iter().enumerate().take(grid.columns.len().min(COLUMNS)) {
            html += &match c {
                0 if heads => format!("<th scope=\"row\">{}</th>", escape(cell)),
                _ if numeric(c) && grid.as_given => format!("<td class=\"r\">{}</td>", escape(cell)),
                _ if numeric(c) => number(cell),
                _ => format!("<td>{}</td>", escape(cell)),
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

/// A number, rounded, with all of its digits on hover and for sorting.
fn number(cell: &str) -> String {
    let shown = match cell.parse::<f64>() {
        Ok(x) if cell.contains(['.', 'e']) => rounded(x),
        _ => cell.to_string(),
    };
    if shown == cell || cell.strip_suffix(".0") == Some(shown.as_str()) {
        format!("<td class=\"r\">{}</td>", escape(&shown))
    } else {
        format!("<td class=\"r\" title=\"{}\">{}</td>", escape(cell), escape(&shown))
    }
}

/// Says how many rows and columns are not shown.
pub(super) fn rest(grid: &Grid) -> String {
    let part = |given: usize, total: usize, what: &str| {
        if given < total { Some(format!("the first {given} of {total} {what}")) } else { None }
    };
    let rows = part(grid.rows.len().min(ROWS), grid.total, "rows");
    let columns = part(grid.columns.len().min(COLUMNS), grid.columns.len(), "columns");
    rows.into_iter().chain(columns).collect::<Vec<_>>().join(", ")
}
