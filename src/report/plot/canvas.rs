//! The drawing surface: plotters' SVG backend, in tenths of a pixel, with dashes and accessibility added.

use plotters::prelude::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, RGBColor, ShapeStyle, TextStyle,
};

use crate::error::{Code, Error, Result};
use crate::progress::Monitor;
use crate::report::characters::{legible, on_one_line};

/// The backend has whole coordinates only; ten of them make a pixel.
const SCALE: f64 = 10.0;

/// Dashes and gaps in pixels; the first is a solid line.
const DASHES: [&[u32]; 5] = [&[], &[7, 4], &[2, 3], &[9, 3, 2, 3], &[12, 3]];

/// Widths of pens in tenths of a pixel, further apart than there are dash patterns.
const WIDTHS: [u32; 3] = [10, 15, 20];

/// A pen.
#[derive(Clone, Copy)]
pub(super) struct Pen {
    pub color: RGBColor,
    /// Pixels: 1, 1.5 or 2.
    pub width: f64,
    /// Index into the dash patterns, taken around.
    pub dash: usize,
}

impl Pen {
    pub(super) fn solid(color: RGBColor, width: f64) -> Pen {
        Pen { color, width, dash: 0 }
    }

    /// plotters knows no dashes: what a stroke width has above one of [`WIDTHS`] names the pattern, and [`complete`] spells it out.
    fn style(self) -> ShapeStyle {
        let stroke_width = (self.width * SCALE) as u32 + (self.dash % DASHES.len()) as u32;
        ShapeStyle { color: self.color.to_rgba(), filled: false, stroke_width }
    }
}

/// How a text stands at its point.
#[derive(Clone, Copy)]
pub(super) struct Font {
    /// Pixels.
    pub size: f64,
    pub color: RGBColor,
    pub bold: bool,
    pub anchor: HPos,
    /// Turned to read upwards.
    pub up: bool,
}

impl Font {
    pub(super) fn new(size: f64, color: RGBColor, anchor: HPos) -> Font {
        Font { size, color, bold: false, anchor, up: false }
    }
}

/// Every stroke looks for a stop first.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    monitor: &'a dyn Monitor,
}

impl<'a> Canvas<'a> {
    /// An empty white sheet of this many pixels, written to `text`.
    pub(super) fn new(text: &'a mut String, width: u32, height: u32, monitor: &'a dyn Monitor) -> Result<Canvas<'a>> {
        let scale = SCALE as u32;
        let backend = SVGBackend::with_string(text, (width * scale, height * scale));
        let mut canvas = Canvas { backend, monitor };
        canvas.rect(0.0, 0.0, f64::from(width), f64::from(height), super::theme::PAPER)?;
        Ok(canvas)
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), pen: Pen) -> Result<()> {
        self.monitor.check()?;
        self.backend.draw_line(at(from), at(to), &pen.style()).map_err(foreign)
    }

    /// A polyline.
    pub(super) fn path(&mut self, points: &[(f64, f64)], pen: Pen) -> Result<()> {
        self.monitor.check()?;
        self.backend.draw_path(points.iter().map(|p| at(*p)), &pen.style()).map_err(foreign)
    }

    /// A filled polygon; `alpha` of 1 is opaque.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], color: RGBColor, alpha: f64) -> Result<()> {
        self.monitor.check()?;
        self.backend.fill_polygon(points.iter().map(|p| at(*p)), &color.mix(alpha)).map_err(foreign)
    }

    /// A filled rectangle from its upper left corner.
    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, color: RGBColor) -> Result<()> {
        let style: RGBAColor = color.to_rgba();
        self.monitor.check()?;
        self.backend.draw_rect(at((x, y)), at((x + width, y + height)), &style, true).map_err(foreign)
    }

    /// A filled disc.
    pub(super) fn disc(&mut self, center: (f64, f64), radius: f64, color: RGBColor, alpha: f64) -> Result<()> {
        let radius = (radius * SCALE) as u32;
        self.monitor.check()?;
        self.backend.draw_circle(at(center), radius, &color.mix(alpha), true).map_err(foreign)
    }

    /// A text whose middle line goes through `(x, y)`.
    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, font: Font) -> Result<()> {
        let style = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides by 1.24, for boxes measured in another unit.
        let mut desc = FontDesc::new(FontFamily::SansSerif, font.size * SCALE * 1.24, style);
        if font.up {
            desc = desc.transform(FontTransform::Rotate270);
        }
        let style = TextStyle::from(desc).color(&font.color).pos(Pos::new(font.anchor, VPos::Center));
        self.monitor.check()?;
        self.backend.draw_text(&on_one_line(text), &style, at((x, y))).map_err(foreign)
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.backend.present().map_err(foreign)
    }
}

/// The finished document: its size in pixels, dashes spelled out, a title and a description for those who do not see it.
pub(super) fn complete(text: &str, (width, height): (u32, u32), title: &str, description: &str) -> String {
    let (_, body) = text.split_once(">\n").unwrap_or(("", text));
    let mut body = body.replace(" opacity=\"1\"", "");
    for (i, dashes) in DASHES.iter().enumerate().skip(1) {
        let dashes = dashes.iter().map(|n| (n * SCALE as u32).to_string()).collect::<Vec<_>>().join(" ");
        for width in WIDTHS {
            let plain = format!("stroke-width=\"{}\"", width + i as u32);
            body = body.replace(&plain, &format!("stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\""));
        }
    }
    // Two pictures may stand in one page: their ids must differ.
    let id = &blake3::hash([title, &body].concat().as_bytes()).to_hex()[..8];
    let scale = SCALE as u32;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\" \
         aria-labelledby=\"title-{id} desc-{id}\">\n<title id=\"title-{id}\">{}</title>\n<desc id=\"desc-{id}\">{}</desc>\n{body}",
        width * scale,
        height * scale,
        escape(title),
        escape(description),
    )
}

fn escape(text: &str) -> String {
    legible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Tenths of a pixel; what lies far outside is brought near, so that no coordinate overflows.
fn at((x, y): (f64, f64)) -> (i32, i32) {
    ((x * SCALE).round().clamp(-1e6, 1e6) as i32, (y * SCALE).round().clamp(-1e6, 1e6) as i32)
}

fn foreign(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("drawing failed: {error}"))
}
