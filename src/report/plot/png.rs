//! PNG, drawn from the SVG by resvg with the fonts of this machine: the one output whose bytes may differ from machine to machine.

use crate::error::{Code, Error, Result};

/// Pixels for each unit of the SVG, so that text is legible in print.
#[cfg(feature = "png")]
const SCALE: f32 = 2.0;

/// The picture as PNG, twice as many pixels as the SVG has units.
///
/// # Errors
/// `unsupported` when this machine has no font; `internal` when the SVG cannot be drawn.
#[cfg(feature = "png")]
pub fn from_svg(svg: &str) -> Result<Vec<u8>> {
    use resvg::{tiny_skia, usvg};

    let internal = |what: String| Error::new(Code::Internal, format!("the figure cannot be drawn as PNG: {what}"));
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_system_fonts();
    if options.fontdb.is_empty() {
        return Err(Error::new(Code::Unsupported, "this machine has no font to draw a PNG with")
            .help("install one, such as DejaVu, or leave out `png: true`"));
    }
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| internal(error.to_string()))?;
    let size = tree.size().to_int_size();
    let (width, height) = (size.width() * SCALE as u32, size.height() * SCALE as u32);
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or_else(|| internal(format!("{width} x {height}")))?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| internal(error.to_string()))
}

/// PNG needs the feature.
///
/// # Errors
/// `unsupported`, always; the help names the feature.
#[cfg(not(feature = "png"))]
pub fn from_svg(_: &str) -> Result<Vec<u8>> {
    Err(Error::new(Code::Unsupported, "this build of saerun writes figures as SVG only")
        .fact("expected", "a build with the feature `png`")
        .help("build with `cargo build --release --features png`, or leave out `png: true`"))
}
