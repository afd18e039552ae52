//! The data of a chart: its scales, its marks, and how they look in the legend.

use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::axis::Scale;
use super::build::present;
use super::canvas::{Canvas, Font, Pen};
use super::draw::Area;
use super::theme::{MISSING, SOFT, TICK, ramp, series as color_of};
use super::{Chart, CurveSeries, Marks, ValueSeries};
use crate::error::Result;

/// Cells overlap by this many pixels, or the paper would shine through between them.
const SEAM: f64 = 0.5;

/// The two scales of a chart, over pixels yet to be named. Labelled lines are always in view.
pub(super) fn scales(chart: &Chart) -> (Scale, Scale) {
    let frame = &chart.frame;
    let lines = frame.lines.iter().map(|line| line.at);
    let unit = |log| Scale::over(std::iter::empty(), log, 0.0);
    match &chart.marks {
        Marks::Steps { bins, series } => {
            let edges = bins.edges();
            let most = series.iter().flat_map(|s| &s.1).max().copied().unwrap_or(0).max(1) as f64;
            // One value must be seen on a logarithmic axis too, hence its start below 1.
            let (lo, hi) = if frame.log_y { (0.7, most * 1.4) } else { (0.0, most * 1.06) };
            (Scale::over(edges.chain(lines), frame.log_x, 0.0), Scale { lo, hi, ..unit(frame.log_y) })
        }
        Marks::Lines(series) | Marks::Points(series) => {
            let x = series.iter().flat_map(|s| present(&s.x)).chain(lines);
            let y = series.iter().flat_map(|s| present(&s.y));
            (Scale::over(x, frame.log_x, 0.02), Scale::over(y, frame.log_y, 0.05))
        }
        Marks::Bars { series, .. } => {
            let base = if frame.log_y { f64::NAN } else { 0.0 };
            let y = series.iter().flat_map(|s| present(&s.values)).chain([base]);
            let scale = Scale::over(y, frame.log_y, 0.06);
            let signs = |s: &ValueSeries, keep: fn(f64) -> bool| present(&s.values).any(keep);
            // Bars stand on zero when none goes below.
            let lo = if frame.log_y || series.iter().any(|s| signs(s, |x| x < 0.0)) { scale.lo } else { 0.0 };
            let hi =
                if frame.log_y || series.iter().any(|s| signs(s, |x| x > 0.0)) || lo == 0.0 { scale.hi } else { 0.0 };
            (unit(false), Scale::between_values(lo, hi, frame.log_y))
        }
        Marks::Cells { .. } => (unit(false), unit(false)),
    }
}

/// Names in place of numbers along the axes, where a chart has them.
pub(super) fn names(chart: &Chart) -> (Option<Vec<String>>, Option<Vec<String>>) {
    match &chart.marks {
        Marks::Bars { labels, .. } => (Some(labels.clone()), None),
        Marks::Cells { x_labels, y_labels, .. } => (Some(x_labels.clone()), Some(y_labels.clone())),
        _ => (None, None),
    }
}

/// Draws the data.
pub(super) fn draw(canvas: &mut Canvas, chart: &Chart, x: &Scale, y: &Scale, area: Area) -> Result<()> {
    match &chart.marks {
        Marks::Steps { bins, series } => {
            for (i, (_, counts, _)) in series.iter().enumerate() {
                let edge = |k: usize| x.at(bins.edge(k)).clamp(area.left, area.right);
                for outline in steps(counts, edge, |n| y.at(n as f64).min(area.bottom)) {
                    canvas.polygon(&outline, color_of(i), 0.22)?;
                    canvas.path(&outline, Pen { color: color_of(i), width: 1.5, dash: i })?;
                }
            }
            Ok(())
        }
        Marks::Lines(series) => {
            for (i, one) in series.iter().enumerate() {
                let pen = Pen { color: color_of(i), width: 2.0, dash: i };
                for part in unbroken(one, x, y) {
                    canvas.path(&part, pen)?;
                    if part.len() == 1 || one.x.len() <= 30 {
                        part.iter().try_for_each(|p| marker(canvas, i, *p, 3.0, 1.0))?;
                    }
                }
            }
            Ok(())
        }
        Marks::Points(series) => {
            let most = series.iter().map(|s| s.x.len()).max().unwrap_or(0);
            let (radius, alpha) = if most > 1000 { (1.8, 0.45) } else { (3.2, 0.8) };
            for (i, one) in series.iter().enumerate() {
                unbroken(one, x, y).concat().into_iter().try_for_each(|p| marker(canvas, i, p, radius, alpha))?;
            }
            Ok(())
        }
        Marks::Bars { labels, series } => {
            let slot = (area.right - area.left) / labels.len().max(1) as f64;
            let width = slot * 0.76 / series.len() as f64;
            let zero = y.at(0.0).clamp(area.top, area.bottom);
            for (i, one) in series.iter().enumerate() {
                for (k, value) in one.values.iter().enumerate() {
                    let Some(value) = value.filter(|v| v.is_finite()) else { continue };
                    let (end, left) = (y.at(value), area.left + slot * (k as f64 + 0.12) + width * i as f64);
                    canvas.rect(left, end.min(zero), width * 0.94, (end - zero).abs(), color_of(i))?;
                }
            }
            Ok(())
        }
        Marks::Cells { values, .. } => cells(canvas, values, area),
    }
}

/// The outlines of a histogram, one for each stretch without empty bins; equal neighbors are one stroke.
fn steps(counts: &[u64], edge: impl Fn(usize) -> f64, height: impl Fn(u64) -> f64) -> Vec<Vec<(f64, f64)>> {
    let mut outlines: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut before = 0;
    for (k, n) in counts.iter().chain([&0]).enumerate() {
        if before == 0 && *n > 0 {
            outlines.push(vec![(edge(k), height(0))]);
        }
        if let Some(outline) = outlines.last_mut().filter(|_| before != *n) {
            outline.extend([(edge(k), height(before)), (edge(k), height(*n))]);
            outline.dedup();
        }
        before = *n;
    }
    outlines
}

/// The points of a series in pixels, broken where a coordinate is missing or not on the axis.
fn unbroken(series: &CurveSeries, x: &Scale, y: &Scale) -> Vec<Vec<(f64, f64)>> {
    let mut parts = vec![Vec::new()];
    for pair in series.x.iter().zip(&series.y) {
        match pair {
            (Some(a), Some(b)) if x.holds(*a) && y.holds(*b) => {
                if let Some(part) = parts.last_mut() {
                    part.push((x.at(*a), y.at(*b)));
                }
            }
            _ => parts.push(Vec::new()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A disc, triangle, square or diamond.
fn marker(canvas: &mut Canvas, i: usize, (x, y): (f64, f64), r: f64, alpha: f64) -> Result<()> {
    let color: RGBColor = color_of(i);
    let (wide, high) = (r * 1.15, r * 1.3);
    match i % 4 {
        0 => canvas.disc((x, y), r, color, alpha),
        1 => canvas.polygon(&[(x, y - high), (x + high, y + r), (x - high, y + r)], color, alpha),
        2 => canvas.polygon(&[(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], color, alpha),
        _ => canvas.polygon(&[(x, y - high), (x + wide, y), (x, y + high), (x - wide, y)], color, alpha),
    }
}

/// How series `i` looks in the legend, 28 pixels wide.
pub(super) fn key(canvas: &mut Canvas, chart: &Chart, i: usize, x: f64, y: f64) -> Result<()> {
    let pen = Pen { color: color_of(i), width: 2.0, dash: i };
    match &chart.marks {
        Marks::Steps { .. } => {
            let pen = Pen { width: 1.5, ..pen };
            canvas.polygon(
                &[(x, y - 6.0), (x + 28.0, y - 6.0), (x + 28.0, y + 6.0), (x, y + 6.0)],
                color_of(i),
                0.22,
            )?;
            canvas.line((x, y - 6.0), (x + 28.0, y - 6.0), pen)
        }
        Marks::Lines(series) => {
            canvas.line((x, y), (x + 28.0, y), pen)?;
            if series[i].x.len() <= 30 { marker(canvas, i, (x + 14.0, y), 3.0, 1.0) } else { Ok(()) }
        }
        Marks::Points(_) => marker(canvas, i, (x + 14.0, y), 4.0, 1.0),
        Marks::Bars { .. } => canvas.rect(x + 8.0, y - 6.0, 12.0, 12.0, color_of(i)),
        Marks::Cells { .. } => Ok(()),
    }
}

/// The cells of a heatmap and its color scale at the right.
fn cells(canvas: &mut Canvas, values: &[Vec<Option<f64>>], area: Area) -> Result<()> {
    let scale = Scale::over(values.iter().flat_map(|row| present(row)), false, 0.0);
    let (width, height) = (area.right - area.left, area.bottom - area.top);
    for (r, row) in values.iter().enumerate() {
        let edge = |k: usize| area.top + height * k as f64 / values.len() as f64;
        for (c, value) in row.iter().enumerate() {
            let side = |k: usize| area.left + width * k as f64 / row.len() as f64;
            let share = |v: f64| scale.at(v);
            let color = value.filter(|v| v.is_finite()).map_or(MISSING, |v| ramp(share(v)));
            canvas.rect(side(c), edge(r), side(c + 1) - side(c) + SEAM, edge(r + 1) - edge(r) + SEAM, color)?;
        }
    }
    let bar = scale.between(area.bottom, area.top);
    for k in 0..32 {
        let top = area.bottom - height * f64::from(k + 1) / 32.0;
        canvas.rect(
            area.right + 14.0,
            top,
            12.0,
            height / 32.0 + if k > 0 { SEAM } else { 0.0 },
            ramp(f64::from(k) / 31.0),
        )?;
    }
    for (value, text) in bar.ticks((height / 50.0) as usize) {
        canvas.text(area.right + 31.0, bar.at(value), &text, Font::new(TICK, SOFT, HPos::Left))?;
    }
    Ok(())
}
