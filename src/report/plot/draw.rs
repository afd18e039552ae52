//! A chart on the canvas: title, legend and labelled lines above, axes around, the data within. Nothing overlaps: every
//! text has its own band, and labels of lines that stand close are put on different rows.

use plotters::style::text_anchor::HPos;

use super::axis::Scale;
use super::canvas::{Canvas, Font, Pen};
use super::theme::{AXIS, GRID, INK, LABEL, SOFT, TICK, TITLE, text_width, wrap};
use super::{Chart, LabelledLine, Marks, marks};
use crate::error::Result;

const ROW: f64 = 16.0;

/// The rectangle that the data has, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// Draws the chart with its upper left corner at `(x0, y0)`.
pub(super) fn chart(canvas: &mut Canvas, chart: &Chart, x0: f64, y0: f64) -> Result<()> {
    let frame = &chart.frame;
    let (width, height) = (f64::from(frame.width), f64::from(frame.height));
    let (x, y) = marks::scales(chart);
    let (x_names, y_names) = marks::names(chart);

    // Room at the left and right, from the texts that go there.
    let y_ticks = if y_names.is_some() { Vec::new() } else { y.ticks((height / 60.0) as usize) };
    let y_texts = y_names.iter().flatten().chain(y_ticks.iter().map(|(_, text)| text));
    let y_room = y_texts.map(|text| text_width(text, TICK)).fold(0.0, f64::max).min(width / 3.0);
    let left = x0 + 14.0 + if frame.y_label.is_empty() { 0.0 } else { 20.0 } + y_room + 6.0;
    let right = x0 + width - 18.0 - if matches!(chart.marks, Marks::Cells { .. }) { 70.0 } else { 0.0 };

    // Above: title, legend, labels of lines.
    let title = wrap(&frame.title, TITLE, x0 + width - 12.0 - left);
    let legend = legend_rows(chart, right - left);
    let x = x.between(left, right);
    let lines: Vec<&LabelledLine> = frame.lines.iter().filter(|line| x.holds(line.at)).collect();
    let labels = place_labels(&lines, &x, left, right);
    let label_rows = labels.iter().map(|label| label.row + 1).max().unwrap_or(0);
    let title_top = y0 + 12.0;
    let legend_top = title_top + title.len() as f64 * 20.0 + if title.is_empty() { 0.0 } else { 4.0 };
    let labels_top = legend_top + legend.len() as f64 * 20.0;
    let top = labels_top + label_rows as f64 * ROW + if label_rows > 0 { 10.0 } else { 4.0 };

    // Below: ticks or names, the x label. Names that are wider than their place stand upright.
    let x_ticks = if x_names.is_some() { Vec::new() } else { x.ticks_across((width / 90.0) as usize) };
    let slot = (right - left) / x_names.as_ref().map_or(1.0, |names| names.len().max(1) as f64);
    let widest = x_names.iter().flatten().map(|name| text_width(name, TICK)).fold(0.0, f64::max);
    let upright = widest > slot - 4.0;
    let x_room = if upright { widest.min(height / 3.0) + 8.0 } else { 20.0 };
    let bottom = y0 + height - 10.0 - if frame.x_label.is_empty() { 0.0 } else { 20.0 } - x_room;
    let area = Area { left, right, top: top.min(bottom - 40.0), bottom };
    let y = y.between(area.bottom, area.top);

    for (value, _) in &y_ticks {
        canvas.line((left, y.at(*value)), (right, y.at(*value)), Pen::solid(GRID, 1.0))?;
    }
    marks::draw(canvas, chart, &x, &y, area)?;
    axes(canvas, area, (&x, &x_ticks), (&y, &y_ticks))?;
    let tick = Font::new(TICK, SOFT, HPos::Center);
    for (i, name) in x_names.iter().flatten().enumerate() {
        let center = left + (i as f64 + 0.5) * slot;
        match upright {
            true => canvas.text(center, bottom + 8.0, name, Font { anchor: HPos::Right, up: true, ..tick })?,
            false => canvas.text(center, bottom + 12.0, name, tick)?,
        }
    }
    for (i, name) in y_names.iter().flatten().enumerate() {
        let slot = (area.bottom - area.top) / y_names.as_ref().map_or(1, Vec::len) as f64;
        let font = Font { anchor: HPos::Right, ..tick };
        canvas.text(left - 7.0, area.top + (i as f64 + 0.5) * slot, name, font)?;
    }

    let label = Font::new(LABEL, INK, HPos::Center);
    let middle = (left + right) / 2.0;
    canvas_text(canvas, middle, y0 + height - 16.0, &frame.x_label, label)?;
    canvas_text(canvas, x0 + 16.0, (area.top + bottom) / 2.0, &frame.y_label, Font { up: true, ..label })?;
    for (i, text) in title.iter().enumerate() {
        let font = Font { bold: true, anchor: HPos::Left, ..Font::new(TITLE, INK, HPos::Left) };
        canvas.text(left, title_top + 8.0 + i as f64 * 20.0, text, font)?;
    }
    draw_legend(canvas, chart, &legend, left, legend_top)?;
    for (i, (line, label)) in lines.iter().zip(&labels).enumerate() {
        let (at, middle) = (x.at(line.at), area.top - 6.0 - (label.row as f64 + 0.5) * ROW);
        canvas.line((at, middle - 0.35 * ROW), (at, bottom), Pen { color: INK, width: 1.0, dash: 1 + i % 4 })?;
        let (anchor, gap) = if label.flipped { (HPos::Right, -5.0) } else { (HPos::Left, 5.0) };
        canvas_text(canvas, at + gap, middle, &line.label, Font::new(TICK, INK, anchor))?;
    }
    Ok(())
}

fn axes(canvas: &mut Canvas, area: Area, x: (&Scale, &[(f64, String)]), y: (&Scale, &[(f64, String)])) -> Result<()> {
    let pen = Pen::solid(AXIS, 1.0);
    canvas.line((area.left, area.bottom), (area.right, area.bottom), pen)?;
    for (value, text) in x.1 {
        let at = x.0.at(*value);
        canvas.line((at, area.bottom), (at, area.bottom + 4.0), pen)?;
        canvas.text(at, area.bottom + 12.0, text, Font::new(TICK, SOFT, HPos::Center))?;
    }
    for (value, text) in y.1 {
        canvas.text(area.left - 7.0, y.0.at(*value), text, Font::new(TICK, SOFT, HPos::Right))?;
    }
    Ok(())
}

fn canvas_text(canvas: &mut Canvas, x: f64, y: f64, text: &str, font: Font) -> Result<()> {
    if text.is_empty() { Ok(()) } else { canvas.text(x, y, text, font) }
}

/// Where the label of a line goes: its row above the data, and whether it stands at the left of its line.
struct Label {
    row: usize,
    flipped: bool,
}

/// Rows such that no label touches another one or another line. A line ends at its label's row, so a label only has to
/// be above those lines that its text would cross.
fn place_labels(lines: &[&LabelledLine], x: &Scale, left: f64, right: f64) -> Vec<Label> {
    let spans: Vec<(f64, f64, bool)> = lines
        .iter()
        .map(|line| {
            let (at, width) = (x.at(line.at), text_width(&line.label, TICK) + 14.0);
            let flipped = at + width > right && at - width > left;
            if flipped { (at - width, at, true) } else { (at, at + width, false) }
        })
        .collect();
    let mut rows = vec![0; lines.len()];
    // Each round settles at least one more label; lines at the same place stand in their order.
    for _ in 0..lines.len() {
        let before = rows.clone();
        for i in 0..lines.len() {
            let crossed = (0..lines.len()).filter(|j| {
                let at = x.at(lines[*j].at);
                let own = x.at(lines[i].at);
                let within = spans[i].0 < at && at < spans[i].1;
                // Texts that meet between two lines without crossing either.
                let meet = spans[i].2 != spans[*j].2 && spans[i].0 < spans[*j].1 && spans[*j].0 < spans[i].1 && i < *j;
                *j != i && (within || meet || (at == own && *j > i))
            });
            rows[i] = crossed.map(|j| rows[j] + 1).max().unwrap_or(0).min(lines.len() - 1);
        }
        if rows == before {
            break;
        }
    }
    rows.iter().zip(&spans).map(|(row, span)| Label { row: *row, flipped: span.2 }).collect()
}

/// The series in rows that fit; none when there is nothing to tell apart.
fn legend_rows(chart: &Chart, width: f64) -> Vec<Vec<usize>> {
    let names = chart.names();
    if names.len() < 2 {
        return Vec::new();
    }
    let (mut rows, mut used) = (vec![Vec::new()], 0.0);
    for (i, name) in names.iter().enumerate() {
        let needed = legend_width(name);
        if used > 0.0 && used + needed > width {
            rows.push(Vec::new());
            used = 0.0;
        }
        used += needed;
        if let Some(row) = rows.last_mut() {
            row.push(i);
        }
    }
    rows
}

fn legend_width(name: &str) -> f64 {
    28.0 + 6.0 + text_width(name, LABEL) + 18.0
}

fn draw_legend(canvas: &mut Canvas, chart: &Chart, rows: &[Vec<usize>], left: f64, top: f64) -> Result<()> {
    let names = chart.names();
    for (r, row) in rows.iter().enumerate() {
        let (mut x, y) = (left, top + 8.0 + r as f64 * 20.0);
        for i in row {
            marks::key(canvas, chart, *i, x, y)?;
            canvas.text(x + 34.0, y, names[*i], Font::new(LABEL, INK, HPos::Left))?;
            x += legend_width(names[*i]);
        }
    }
    Ok(())
}
