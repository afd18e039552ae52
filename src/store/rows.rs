//! Files larger than memory, by memory map: filled once by the core, read many times.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut};

use super::{parent_of, write_failed};
use crate::error::{Code, Error, Result};

/// A new file of fixed length, to be filled through memory. The core gets its bytes and knows no path.
#[derive(Debug)]
pub struct RowFile {
    path: PathBuf,
    map: MmapMut,
    /// Holds the lock while the file is being filled.
    file: fs::File,
    /// Whether the file was there before, with as many bytes.
    pub resumed: bool,
}

impl RowFile {
    /// Makes the file `path` of `bytes` zeros, with its room on the disk taken at once.
    ///
    /// # Errors
    /// `too-large` when the disk has no room; `write-failed` when the file is there already or cannot be made.
    pub fn create(path: &Path, bytes: u64) -> Result<RowFile> {
        parent_of(path)?;
        let failed = |error| write_failed(path, error);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(failed)?;
        RowFile::map(path, file, bytes, false)
    }

    /// The file `path`, which an interrupted run left when it is there with as many bytes, else made as by [`RowFile::create`]. `None` when another
    /// process is filling it.
    ///
    /// # Errors
    /// As [`RowFile::create`].
    pub fn resume(path: &Path, bytes: u64) -> Result<Option<RowFile>> {
        parent_of(path)?;
        let failed = |error| write_failed(path, error);
        let options = &mut OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let resumed = file.metadata().is_ok_and(|data| data.len() == bytes);
        RowFile::map(path, file, bytes, resumed).map(Some)
    }

    fn map(path: &Path, file: fs::File, bytes: u64, resumed: bool) -> Result<RowFile> {
        if let Err(error) = file.set_len(bytes).and_then(|()| reserve(&file, bytes)) {
            let _ = fs::remove_file(path);
            return Err(Error::new(Code::TooLarge, format!("no room on the disk for {bytes} bytes"))
                .fact("reason", error)
                .help("free some space, or ask for fewer tokens"));
        }
        // SAFETY: only saerun writes files of this name, and one process at a time: it was made by this call, or is locked.
        let map = unsafe { MmapMut::map_mut(&file) }.map_err(|error| write_failed(path, error))?;
        Ok(RowFile { path: path.to_path_buf(), map, file, resumed })
    }

    /// Its bytes; the address is aligned to a page.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// Its bytes as f32 in the machine's order; up to three bytes at the end are left out.
    pub fn f32s_mut(&mut self) -> &mut [f32] {
        // SAFETY: every bit pattern is an f32, and the map begins at a page boundary.
        let (_, values, _) = unsafe { self.map.align_to_mut::<f32>() };
        values
    }

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn sync(&self) -> Result<()> {
        self.map.flush().map_err(|error| write_failed(&self.path, error))
    }

    /// Hands the content to the operating system and gives the file its name.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn finish_as(self, path: &Path) -> Result<()> {
        fs::rename(&self.path, path).map_err(|error| write_failed(path, error))?;
        let RowFile { map, file, .. } = self;
        drop(file);
        map.flush_async().map_err(|error| write_failed(path, error))
    }

    /// Hands the content to the operating system and lets go of the map.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn finish(self) -> Result<()> {
        self.map.flush_async().map_err(|error| write_failed(&self.path, error))
    }
}

/// A read-only map of the file `path`.
///
/// # Errors
/// `missing-file` when it cannot be opened, `damaged-file` when it cannot be mapped.
pub fn map_file(path: &Path) -> Result<Mmap> {
    let file = fs::File::open(path).map_err(|error| {
        Error::new(Code::MissingFile, format!("cannot open `{}`", path.display())).fact("reason", error)
    })?;
    // SAFETY: entries of the cache are never written in place, only replaced by a rename.
    unsafe { Mmap::map(&file) }.map_err(|error| {
        Error::new(Code::DamagedFile, format!("cannot map `{}` into memory", path.display())).fact("reason", error)
    })
}

/// Takes the room on the disk now: a full disk is an error here and not a crash in the middle of a write.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn reserve(file: &fs::File, bytes: u64) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    if bytes == 0 {
        return Ok(());
    }
    // SAFETY: a plain system call on an open file.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes as libc::off_t) } {
        libc::ENOSPC | libc::EFBIG | libc::EDQUOT => Err(std::io::Error::from_raw_os_error(libc::ENOSPC)),
        _ => Ok(()),
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn reserve(_: &fs::File, _: u64) -> std::io::Result<()> {
    Ok(())
}
