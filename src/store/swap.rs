//! Putting a whole folder in the place of another one. A kill at any moment leaves the old one or the new one.
//!
//! Where the system can exchange two folders in one step (Linux), that is what happens. Elsewhere, and on file systems that
//! refuse, each step leaves enough behind for the next process to finish it: [`recover_dir`] for folders that are replaced
//! as they are, [`finish_swap`] for folders of results, which keep files of the user's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::temporary::{Temporary, temporary_dir};
use super::{SAVED, TEMPORARY, parent_of, write, write_failed};
use crate::error::Result;

/// Where new files of a folder of results wait in it until all are there, and what says that they are.
const WAITING: &str = ".saerun-swap";
const COMPLETE: &str = ".complete.json";

/// A folder with more files of the user's own is none of results, and does not change places with another one.
const MOST: usize = 2000;

/// What else a swap has to do.
#[derive(Serialize, Deserialize)]
struct Complete {
    stale: Vec<String>,
}

/// Replaces the folder `dir`, or makes it; what was there is removed.
pub(super) fn replace_dir(fresh: Temporary, dir: &Path) -> Result<()> {
    parent_of(dir)?;
    recover_dir(dir);
    for _ in 0..8 {
        match dir.symlink_metadata() {
            Err(_) => match fs::rename(fresh.path(), dir) {
                Ok(()) => {
                    fresh.keep();
                    sync_parent(dir);
                    return Ok(());
                }
                // Another process has made it meanwhile.
                Err(_) if dir.exists() => continue,
                Err(error) => return Err(write_failed(dir, error)),
            },
            // The old folder goes with the temporary one.
            Ok(_) if exchange(fresh.path(), dir).is_ok() => {
                sync_parent(dir);
                return Ok(());
            }
            Ok(_) => break,
        }
    }
    let old = set_aside(dir);
    fs::rename(dir, &old).map_err(|error| write_failed(dir, error))?;
    if let Err(error) = fs::rename(fresh.path(), dir) {
        let _ = fs::rename(&old, dir);
        return Err(write_failed(dir, error));
    }
    fresh.keep();
    let _ = fs::remove_dir_all(old);
    Ok(())
}

/// Where a folder waits while another takes its place in two steps.
fn set_aside(dir: &Path) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    dir.with_file_name(format!(".{name}.saerun-old"))
}

/// Brings back a folder that was set aside by a process that was killed before the new one had its place.
pub fn recover_dir(dir: &Path) {
    let old = set_aside(dir);
    if old.symlink_metadata().is_err() {
        return;
    }
    // Where both are there, the new one had its place, and the old one only waits to be removed.
    let _ = if dir.symlink_metadata().is_ok() { fs::remove_dir_all(old) } else { fs::rename(old, dir) };
}

/// Puts the files of the folder `new` into the folder `home` as one: afterwards `home` holds them, and what it held before
/// but for the files of the same name and those named in `stale`.
pub(super) fn into_place(new: &Path, home: &Path, stale: &[String]) -> Result<()> {
    let parent = parent_of(home)?;
    sync_dir(new);
    let failed = |error| write_failed(home, error);
    if home.symlink_metadata().is_err() {
        match fs::rename(new, home) {
            Ok(()) => {
                sync_dir(parent);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
            Err(error) if !home.exists() => return Err(failed(error)),
            Err(_) => {}
        }
    }
    let beside = if same_disk(new, parent) { None } else { Some(temporary_dir(parent)?) };
    let new = match &beside {
        Some(folder) => {
            copy_into(new, folder.path()).map_err(failed)?;
            folder.path()
        }
        None => new,
    };
    if home.symlink_metadata().is_err() && fs::rename(new, home).is_ok() {
        if let Some(beside) = beside {
            beside.keep();
        }
        sync_dir(parent);
        return Ok(());
    }
    let staged = names(new);
    // A folder that holds the staged files, such as the project itself, cannot change places with them.
    let apart = !super::folder_lock::real(new).starts_with(home);
    let exchanged = if apart { carry(home, new, stale, &mut 0) } else { Err(io::ErrorKind::Unsupported.into()) };
    match exchanged.and_then(|()| exchange(new, home)) {
        Ok(()) => {
            rescue(new, home, &staged, stale);
            sync_dir(parent);
            Ok(())
        }
        Err(_) => {
            names(new).iter().filter(|name| !staged.contains(name)).for_each(|name| remove(&new.join(name)));
            by_journal(new, home, stale).map_err(failed)
        }
    }
}

/// As [`into_place`] where folders cannot be exchanged: new files wait in a hidden folder of `home`, and once all of them
/// are there and that is written down, they are moved one by one, by this process or by the next.
fn by_journal(new: &Path, home: &Path, stale: &[String]) -> io::Result<()> {
    let waiting = home.join(WAITING);
    if waiting.exists() {
        fs::remove_dir_all(&waiting)?;
    }
    fs::create_dir_all(&waiting)?;
    for name in names(new) {
        fs::rename(new.join(&name), waiting.join(&name))?;
    }
    sync_dir(&waiting);
    let text = serde_json::to_vec(&Complete { stale: stale.to_vec() })?;
    write(&waiting.join(COMPLETE), &text, true).map_err(|error| io::Error::other(error.to_string()))?;
    finish_swap(home);
    Ok(())
}

/// Finishes what a killed process had begun to put into a folder of results, when all of it is there.
pub fn finish_swap(home: &Path) {
    let waiting = home.join(WAITING);
    let Ok(text) = fs::read(waiting.join(COMPLETE)) else { return };
    for name in names(&waiting).iter().filter(|name| *name != COMPLETE) {
        let (from, to) = (waiting.join(name), home.join(name));
        if to.is_dir() {
            let _ = fs::remove_dir_all(&to);
        }
        let _ = fs::rename(from, to);
    }
    if names(&waiting).iter().any(|name| name != COMPLETE) {
        return;
    }
    if let Ok(complete) = serde_json::from_slice::<Complete>(&text) {
        complete.stale.iter().for_each(|name| remove(&home.join(name)));
    }
    sync_dir(home);
    let _ = fs::remove_dir_all(waiting);
}

/// Links into `new` what `home` holds and `new` does not: the user's own files stay where they are. Fails where `linked` comes to
/// more than [`MOST`].
fn carry(home: &Path, new: &Path, stale: &[String], linked: &mut usize) -> io::Result<()> {
    fs::set_permissions(new, home.metadata()?.permissions())?;
    let replaced = SAVED.iter().any(|name| new.join(name).exists());
    for name in names(home) {
        let (from, to) = (home.join(&name), new.join(&name));
        let gone = stale.contains(&name) || name.starts_with(TEMPORARY) || name == WAITING;
        // A saved SAE or model that is replaced by one in another format leaves none of its files.
        if gone || (replaced && SAVED.contains(&name.as_str())) {
            continue;
        }
        *linked += 1;
        if *linked > MOST {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let is_dir = from.symlink_metadata()?.is_dir();
        match to.symlink_metadata() {
            Ok(there) if is_dir && there.is_dir() => carry(&from, &to, &[], linked)?,
            Ok(_) => {}
            Err(_) if is_dir => {
                fs::create_dir(&to)?;
                carry(&from, &to, &[], linked)?;
            }
            Err(_) => fs::hard_link(&from, &to)?,
        }
    }
    Ok(())
}

/// After an exchange: what somebody has put into the old folder since it was linked moves to the new one.
fn rescue(old: &Path, home: &Path, staged: &[String], stale: &[String]) {
    let known = |name: &String| staged.contains(name) || stale.contains(name) || name.starts_with(TEMPORARY);
    for name in names(old).iter().filter(|name| !known(name) && *name != WAITING) {
        if home.join(name).symlink_metadata().is_err() {
            let _ = fs::rename(old.join(name), home.join(name));
        }
    }
}

/// Copies all that is in a folder, and waits until it is on the disk.
fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            fs::create_dir(&to)?;
            copy_into(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
            fs::File::open(&to)?.sync_all()?;
        }
    }
    Ok(())
}

fn remove(path: &Path) {
    let is_dir = path.symlink_metadata().is_ok_and(|data| data.is_dir());
    let _ = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// The names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let items = dir.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> = items.map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Waits until the names in a folder are on the disk, where the system can do that.
fn sync_dir(dir: &Path) {
    let _ = fs::File::open(dir).and_then(|dir| dir.sync_all());
}

fn sync_parent(path: &Path) {
    if let Some(parent) = path.parent() {
        sync_dir(parent);
    }
}

#[cfg(unix)]
fn same_disk(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    matches!((a.metadata(), b.metadata()), (Ok(a), Ok(b)) if a.dev() == b.dev())
}

#[cfg(not(unix))]
fn same_disk(_: &Path, _: &Path) -> bool {
    true
}

/// Exchanges two folders in one step.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let (a, b) = (CString::new(a.as_os_str().as_bytes())?, CString::new(b.as_os_str().as_bytes())?);
    // SAFETY: a plain system call with two strings that end in zero and live until it returns.
    let result = unsafe {
        let here = libc::AT_FDCWD;
        libc::syscall(libc::SYS_renameat2, here, a.as_ptr(), here, b.as_ptr(), libc::RENAME_EXCHANGE)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
