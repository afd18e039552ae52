//! Digests of files and folders, which can be stopped half way, and stamps that tell cheaply whether a file may have changed.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Between two looks for a stop, so many bytes are hashed: a fraction of a second from a slow disk.
const PIECE: usize = 16 << 20;

/// Below this size one core is as fast as all.
const SMALL: usize = 1 << 18;

/// Folders are followed so deep: a link to a folder above must not be followed for ever.
const DEPTH: usize = 16;

/// BLAKE3 of a file's content, in hex; large files by all cores.
///
/// # Errors
/// Those of the operating system.
pub fn hash_file(path: &Path) -> io::Result<String> {
    hash_file_until(path, &AtomicBool::new(false))
}

/// As [`hash_file`], until `stop` is set.
///
/// # Errors
/// `Interrupted` once `stop` is set; those of the operating system.
pub fn hash_file_until(path: &Path, stop: &AtomicBool) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let data = fs::metadata(path)?;
    // Opening a pipe would wait for somebody to write into it.
    if !data.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut file = fs::File::open(path)?;
    // Read and not mapped: a file that somebody shortens meanwhile would end the process.
    let mut buffer = vec![0; PIECE.min(data.len() as usize + 1)];
    loop {
        looked(stop)?;
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) if n < SMALL => hasher.update(&buffer[..n]),
            Ok(n) => hasher.update_rayon(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A digest of what a script read under a path: of a file its content; of a folder the names and contents of all files
/// below it that a reader of data may look at.
///
/// # Errors
/// As [`hash_file_until`].
pub fn hash_input(path: &Path, stop: &AtomicBool) -> io::Result<String> {
    let parts = parts(path);
    if parts.len() == 1 && parts[0] == path {
        return hash_file_until(path, stop);
    }
    if parts.is_empty() && !path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    let mut hasher = blake3::Hasher::new_derive_key("saerun 1 input folder");
    let base = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    for part in &parts {
        let name = part.strip_prefix(base).unwrap_or(part).to_string_lossy().replace('\\', "/");
        hasher.update(name.as_bytes());
        hasher.update(b"\0");
        hasher.update(hash_file_until(part, stop)?.as_bytes());
        hasher.update(b"\n");
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What can be said of a file or folder without reading it: equal stamps mean that nothing has changed. `None` for what is not
/// there.
pub fn stamp(path: &Path) -> Option<String> {
    if !path.exists() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    for part in parts(path) {
        let Ok(data) = part.metadata() else { continue };
        let text = format!("{} {} {:?} {}\n", part.display(), data.len(), data.modified().ok(), inode(&data));
        hasher.update(text.as_bytes());
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// The files that belong to a path: itself, or those below a folder, in order of their names. Hidden files and prose are none of
/// them. Weights in a `.pt` file come with their configuration.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    if path.is_dir() {
        below(path, DEPTH, &mut all);
        all.sort();
    } else if path.exists() {
        all.push(path.to_path_buf());
        if path.extension().is_some_and(|ending| ending == "pt") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let folder = path.parent().unwrap_or(Path::new(""));
            let beside = [folder.join(format!("{stem}_cfg.json")), folder.join("config.json")];
            let above = folder.parent().map(|above| above.join("config.json"));
            all.extend(beside.into_iter().chain(above).filter(|file| file.is_file()));
        }
    }
    all
}

fn below(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    for item in items {
        let (name, path) = (item.file_name().to_string_lossy().into_owned(), item.path());
        let prose = name.ends_with(".md") || name.starts_with("LICENSE");
        if name.starts_with('.') || prose {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                below(&path, depth - 1, all);
            }
        } else if path.is_file() {
            all.push(path);
        }
    }
}

fn looked(stop: &AtomicBool) -> io::Result<()> {
    if stop.load(Ordering::Relaxed) { Err(io::Error::from(io::ErrorKind::Interrupted)) } else { Ok(()) }
}

#[cfg(unix)]
fn inode(data: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
