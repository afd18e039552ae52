//! Figures inside the page: the SVG of a file, rewritten from harmless parts.

use super::escape::escape;

/// A larger picture is linked.
const LARGEST: usize = 400_000;

/// The elements that saerun's plots are made of.
const ELEMENTS: [&str; 14] = [
    "svg", "title", "desc", "g", "rect", "line", "polyline", "polygon", "path", "circle", "ellipse", "text", "tspan",
    "defs",
];

/// Their attributes. None of them can load or run anything.
const ATTRIBUTES: [&str; 41] = [
    "xmlns",
    "width",
    "height",
    "viewBox",
    "role",
    "aria-labelledby",
    "id",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "dx",
    "dy",
    "cx",
    "cy",
    "r",
    "rx",
    "ry",
    "points",
    "d",
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-opacity",
    "stroke-linejoin",
    "stroke-linecap",
    "opacity",
    "transform",
    "text-anchor",
    "dominant-baseline",
    "dy",
    "font-family",
    "font-size",
    "font-weight",
    "font-style",
    "preserveAspectRatio",
    "class",
];

/// The picture with `prefix` before each of its ids; `None` when it is too large or has parts that saerun's plots do not have.
pub(super) fn inline(svg: &str, prefix: &str) -> Option<String> {
    if svg.len() > LARGEST {
        return None;
    }
    let mut html = String::with_capacity(svg.len() + 200);
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg.trim();
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        html += &plain(before)?;
        let end = tag.find('>')?;
        let (inside, after) = (&tag[1..end], &tag[end + 1..]);
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            (open.pop()? == name.trim()).then_some(())?;
            html += &format!("</{}>", name.trim());
            continue;
        }
        let (inside, closed) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        (ELEMENTS.contains(&name) && (name == "svg") == html.is_empty()).then_some(())?;
        html += &format!("<{name}");
        html += &rewritten(attributes, prefix)?;
        html += if closed { "/>" } else { ">" };
        if !closed {
            open.push(name);
        }
    }
    (open.is_empty() && rest.trim().is_empty() && !html.is_empty()).then_some(html)
}

/// Text between tags; entities stay what they are.
fn plain(text: &str) -> Option<String> {
    (!text.contains('>')).then(|| text.chars().filter(|c| !c.is_control() || *c == '\n').collect())
}

/// The attributes of an element, if all of them are known.
fn rewritten(text: &str, prefix: &str) -> Option<String> {
    let mut html = String::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        (ATTRIBUTES.contains(&name) && !value.contains('<') && !value.contains("url(")).then_some(())?;
        let value = match name {
            "id" | "aria-labelledby" => {
                value.split_whitespace().map(|id| format!("{prefix}-{id}")).collect::<Vec<_>>().join(" ")
            }
            _ => value.to_string(),
        };
        html += &format!(" {name}=\"{value}\"");
        rest = after.trim_start();
    }
    Some(html)
}

/// The text of the first `name` element of a picture, as HTML.
pub(super) fn part(svg: &str, name: &str) -> Option<String> {
    let (_, after) = svg.split_once(&format!("<{name}"))?;
    let (_, after) = after.split_once('>')?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    Some(escape(&text))
}

/// The width of a picture in pixels, as it says itself.
pub(super) fn width(svg: &str) -> f64 {
    let tag = svg.split_once("<svg").and_then(|(_, rest)| rest.split_once('>')).map_or("", |(tag, _)| tag);
    let width = tag.split_once(" width=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(width, _)| width);
    width.and_then(|width| width.trim_end_matches("px").parse().ok()).unwrap_or(0.0)
}
