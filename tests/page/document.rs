//! A checker of HTML documents, as strict as the pages are: every element is closed in order, attributes are quoted, ids are unique, and what
//! a link or a label names is there.

use std::collections::BTreeSet;

const VOID: [&str; 4] = ["meta", "input", "br", "hr"];

/// What is wrong with a document.
pub fn check(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let (mut ids, mut names) = (BTreeSet::new(), Vec::new());
    let Some(mut rest) = html.strip_prefix("<!DOCTYPE html>\n") else { return vec!["no doctype".to_string()] };
    while let Some(start) = rest.find('<') {
        if rest[..start].contains('>') {
            found.push(format!("a bare > in {:?}", tail(&rest[..start])));
        }
        let Some(end) = rest[start..].find('>') else {
            found.push(format!("no end of tag: {:?}", tail(&rest[start..])));
            break;
        };
        let tag = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                found.push(format!("</{name}> closes something else"));
                break;
            }
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) || name.is_empty() {
            found.push(format!("an element named {name:?}"));
        }
        while !attributes.trim().is_empty() {
            let Some((key, (value, after))) =
                attributes.trim_start().split_once("=\"").and_then(|(key, rest)| Some((key, rest.split_once('"')?)))
            else {
                found.push(format!("attributes of {name}: {attributes:?}"));
                break;
            };
            attributes = after;
            match key {
                "id" if !ids.insert(value.to_string()) => found.push(format!("id {value} twice")),
                "aria-labelledby" => names.extend(value.split(' ').map(str::to_string)),
                "href" => names.extend(value.strip_prefix('#').filter(|id| !id.is_empty()).map(str::to_string)),
                _ => {}
            }
            if key.starts_with("on") || key.contains(char::is_whitespace) {
                found.push(format!("attribute {key:?} of {name}"));
            }
        }
        match name {
            "style" | "script" => {
                let Some((_, after)) = rest.split_once(&format!("</{name}>")) else {
                    found.push(format!("{name} never ends"));
                    break;
                };
                rest = after;
            }
            _ if closed || VOID.contains(&name) => {}
            _ => open.push(name.to_string()),
        }
    }
    found.extend(open.iter().map(|name| format!("{name} is never closed")));
    found.extend(names.iter().filter(|name| !ids.contains(*name)).map(|name| format!("nothing has the id {name}")));
    if html.matches("<script").count() != 1 {
        found.push("more than the page's own script".to_string());
    }
    found
}

fn tail(text: &str) -> String {
    text.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect()
}

/// SHA-256 in base 64, as content security policies write it.
pub fn sha256_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(bytes);
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digit = |i: usize| match i <= three.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * i)) as usize & 63]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    digest.chunks(3).map(group).collect()
}
