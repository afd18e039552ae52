//! The one look: colors, sizes, and how wide text is.

use plotters::style::RGBColor;

/// Okabe and Ito's colors in an order that keeps neighbors apart in gray as well; yellow is too pale on white.
const SERIES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const SOFT: RGBColor = RGBColor(90, 90, 90);
pub(super) const AXIS: RGBColor = RGBColor(120, 120, 120);
pub(super) const GRID: RGBColor = RGBColor(228, 228, 228);
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const MISSING: RGBColor = RGBColor(214, 214, 214);

/// Font sizes in pixels.
pub(super) const TITLE: f64 = 15.0;
pub(super) const LABEL: f64 = 12.0;
pub(super) const TICK: f64 = 11.0;

/// The color of series `i`.
pub(super) fn series(i: usize) -> RGBColor {
    SERIES[i % SERIES.len()]
}

/// Viridis at `t` in 0..1, linear between nine anchors.
pub(super) fn ramp(t: f64) -> RGBColor {
    const ANCHORS: [[u8; 3]; 9] = [
        [68, 1, 84],
        [71, 44, 122],
        [59, 81, 139],
        [44, 113, 142],
        [33, 144, 141],
        [39, 173, 129],
        [92, 200, 99],
        [170, 220, 50],
        [253, 231, 37],
    ];
    let place = t.clamp(0.0, 1.0) * 8.0;
    let i = (place.floor() as usize).min(7);
    let mix = |c: usize| {
        let (a, b) = (f64::from(ANCHORS[i][c]), f64::from(ANCHORS[i + 1][c]));
        (a + (b - a) * (place - i as f64)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// About how wide `text` is in a sans-serif font of `size` pixels. An estimate on the wide side, the same on every
/// machine: the font that will show the text is not known here.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.31,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | ' ' | '-' => 0.4,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        'A'..='Z' => 0.72,
        c if c.is_ascii() => 0.62,
        c if (c as u32) < 0x2e80 => 0.68,
        _ => 1.05,
    };
    size * text.chars().map(em).sum::<f64>()
}

/// Breaks `text` between words into lines of at most `width` pixels.
pub(super) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) + 0.4 * size <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}
