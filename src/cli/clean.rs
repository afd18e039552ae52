//! `saerun clean`: removes what is remembered, or the records of runs.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::time::Duration;

use clap::Args;

use super::{Failure, project};
use crate::host::committed;
use crate::host::output::{errln, outln};
use crate::store;

/// What `saerun clean` takes.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Arguments {
    /// Only what was made longer ago, such as 30d, 12h or 2w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Leave what the locks of results/ name
    #[arg(long)]
    keep_locked: bool,
    /// The records of runs (.saerun/runs) instead of remembered results (.saerun/cache)
    #[arg(long, conflicts_with = "keep_locked")]
    runs: bool,
    /// Remove nothing, and say how much it would be
    #[arg(long)]
    dry_run: bool,
}

const AFTER: &str = "\
Examples:
  saerun clean                                     all that is remembered; scripts compute it again
  saerun clean --keep-locked --older-than 30d      but not what committed results were made of
  saerun clean --runs --older-than 2w --dry-run";

/// `30d` and the like.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number with h, d or w, such as 30d".to_string();
    let unit = match text.chars().last() {
        Some('h') => 3600,
        Some('d') => 86_400,
        Some('w') => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number = text[..text.len() - 1].parse::<u64>().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

/// Removes, and says how much that was.
pub(super) fn clean(arguments: &Arguments) -> Result<(), Failure> {
    let root = project()?;
    // What has no age that the system tells is as good as new.
    let young = |data: &Metadata| {
        let old = data.modified().ok().and_then(|made| made.elapsed().ok()).unwrap_or_default();
        arguments.older_than.is_some_and(|least| old < least)
    };
    let (bytes, what) = if arguments.runs {
        (store::clean_runs(&root, arguments.dry_run, &young)?, "of run records")
    } else {
        let locked = if arguments.keep_locked { locked(&root) } else { BTreeSet::new() };
        let spared = |digest: &str, data: &Metadata| locked.contains(digest) || young(data);
        let cache = root.join(".saerun").join("cache");
        (store::clean_but(&cache, arguments.dry_run, &spared)?, "of remembered results")
    };
    let verb = if arguments.dry_run { "would remove" } else { "removed" };
    outln!("{verb} {bytes} bytes ({:.1} MB) {what}", bytes as f64 / 1e6);
    Ok(())
}

/// The keys that the locks of all results name. Of a lock that cannot be read every digest in it counts: one of them may be a key.
fn locked(root: &std::path::Path) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (name, read) in committed::all(root) {
        match read {
            Ok(committed) => keys.extend(committed.lock.steps.into_iter().map(|step| step.key)),
            Err(error) => {
                errln!("warning: {name}: {error}; whatever it names is kept");
                keys.extend(committed::digests_in(&root.join(&name)));
            }
        }
    }
    keys
}
