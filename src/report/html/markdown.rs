//! Prose: Markdown without HTML in it.

use std::borrow::Cow;

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

use super::escape::Ids;
use crate::report::characters::legible;

/// Prose as HTML, and its headings: id and text.
#[derive(Debug, Default)]
pub(super) struct Prose {
    pub html: String,
    pub headings: Vec<(String, String)>,
    /// The text of the first heading, if the prose begins with one of the first level; it is not in `html`.
    pub title: Option<String>,
}

/// Turns Markdown into HTML. Its headings begin at `level`. With `take_title`, a heading of the first level at the begin is the title.
pub(super) fn render(markdown: &str, level: usize, take_title: bool, ids: &mut Ids) -> Prose {
    let mut prose = Prose::default();
    let mut events: Vec<Event> =
        Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).map(harmless).collect();
    let first = matches!(events.first(), Some(Event::Start(Tag::Heading { level: HeadingLevel::H1, .. })));
    if take_title && first {
        let end = events.iter().position(|event| matches!(event, Event::End(TagEnd::Heading(_)))).unwrap_or(0);
        prose.title = Some(plain(&events[..end]));
        events.drain(..=end);
    }
    for i in 0..events.len() {
        // The page has one heading of the first level.
        let deeper = |old: HeadingLevel| {
            HeadingLevel::try_from((old as usize + level - 1).clamp(2, 6)).unwrap_or(HeadingLevel::H6)
        };
        if let Event::Start(Tag::Heading { level, .. }) = &events[i] {
            let level = deeper(*level);
            let end = events[i..].iter().position(|event| matches!(event, Event::End(TagEnd::Heading(_)))).unwrap_or(0);
            let text = plain(&events[i..i + end]);
            let id = ids.fresh(&text);
            events[i] =
                Event::Start(Tag::Heading { level, id: Some(id.clone().into()), classes: vec![], attrs: vec![] });
            prose.headings.push((id, text));
        }
        if let Event::End(TagEnd::Heading(level)) = &events[i] {
            events[i] = Event::End(TagEnd::Heading(deeper(*level)));
        }
    }
    html::push_html(&mut prose.html, events.into_iter());
    // Tables scroll by themselves, and the page does not.
    prose.html = prose.html.replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>");
    prose.html = prose.html.replace("</table>", "</table></div>");
    prose
}

/// HTML becomes text, a picture becomes a link to it (the page loads nothing), and a link leads to the web or to a file nearby.
fn harmless(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(clean(text)),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Event::Start(link(dest_url)),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        Event::Text(text) => Event::Text(clean(text)),
        Event::Code(text) => Event::Code(clean(text)),
        other => other,
    }
}

fn link(url: CowStr<'_>) -> Tag<'_> {
    let dest_url = if is_plain(&url) { url } else { "#".into() };
    Tag::Link { link_type: LinkType::Inline, dest_url, title: "".into(), id: "".into() }
}

/// Without the characters that HTML forbids.
fn clean(text: CowStr<'_>) -> CowStr<'_> {
    match legible(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(text) => text.into(),
    }
}

/// Whether a link is of a harmless scheme or of none.
fn is_plain(url: &str) -> bool {
    let scheme = url.split(['/', '?', '#']).next().and_then(|start| start.split_once(':')).map(|(scheme, _)| scheme);
    scheme.is_none_or(|scheme| ["http", "https", "mailto"].iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

fn plain(events: &[Event]) -> String {
    let words = events.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
        Event::SoftBreak | Event::HardBreak => Some(" "),
        _ => None,
    });
    words.collect()
}
