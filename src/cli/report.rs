//! `saerun report`: the page of a run; `report::html` says where it goes.

use std::path::{Component, Path, PathBuf};

use super::Failure;
use crate::host::Session;
use crate::host::page::Run;
use crate::report::html;
use crate::store;

/// Leaves the page of a run that has just ended: at `path`, or beside the results if it ended well and has any.
pub(super) fn leave(session: &Session, script: &str, path: Option<&Path>, exit_code: u8) -> Result<(), Failure> {
    let usual = session.results().dir().join("report.html");
    let path = match path {
        Some(path) => session.root().join(path),
        None if exit_code == 0 && !session.results().written().is_empty() => usual,
        None => return Ok(()),
    };
    let events = session.console().events();
    let folder = way(path.parent().unwrap_or(Path::new("")), session.results().dir());
    let page = Run::of(session, &events, script, folder).page();
    store::write_atomic(&path, html::page(&page).as_bytes())?;
    session.console().say(&format!("page   {}", shown(session.root(), &path)));
    Ok(())
}

/// The path as the user may type it.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The relative way from one folder to another, with a slash at its end; none between disks.
fn way(from: &Path, to: &Path) -> Option<String> {
    let full = |path: &Path| {
        let known = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)))?;
        Some(known.1.join(path.strip_prefix(known.0).ok()?))
    };
    let (from, to) = (full(from)?, full(to)?);
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>();
    let (a, b) = (parts(&from), parts(&to));
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rooted = |path: &PathBuf| matches!(path.components().next(), Some(Component::RootDir | Component::Prefix(_)));
    if same == 0 || !rooted(&from) {
        return None;
    }
    let up = std::iter::repeat_n("..".to_string(), a.len() - same);
    let down = b[same..].iter().map(|part| part.to_string_lossy().into_owned());
    Some(up.chain(down).map(|part| part + "/").collect())
}
