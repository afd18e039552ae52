//! Where a script may read and write: inside its project, and reading also what `--allow-read` names.

use std::path::{Component, Path, PathBuf};

use crate::error::{Code, Error, Result};
use crate::host::session::Session;
use crate::input::irregular;
use crate::{progress, store};

impl Session {
    /// A path that a script names, inside the project; the file need not exist.
    ///
    /// # Errors
    /// `outside-project` when it leads out of the project, by `..`, from the root, or through a link.
    pub fn inside(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        let plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.is_empty() || relative.is_absolute() || !relative.components().all(plain) {
            return Err(outside(path));
        }
        let full = self.root().join(relative);
        let root = self.root().canonicalize().map_err(|_| outside(path))?;
        let existing = full.ancestors().find_map(|part| part.canonicalize().ok());
        // A link to what is not there yet would be followed by whoever writes or reads it.
        let dangling = full.is_symlink() && !full.exists();
        if !dangling && existing.is_some_and(|real| real.starts_with(&root)) { Ok(full) } else { Err(outside(path)) }
    }

    /// A path that a script reads: inside the project, or inside a folder that the user allowed. A folder must not hold
    /// links that lead elsewhere.
    ///
    /// # Errors
    /// `outside-project`, with the option that allows it; `failed` when it has changed since this run read it first.
    pub fn readable(&self, path: &str) -> Result<PathBuf> {
        let full = self.inside(path).or_else(|error| {
            let full = self.root().join(path);
            let help = format!("`--allow-read {}` allows it", full.parent().unwrap_or(&full).display());
            if !path.is_empty() && self.allowed(&full) { Ok(full) } else { Err(error.help(help)) }
        })?;
        // A pipe, a device or a socket would block, or never end.
        if let Some(what) = full.metadata().ok().and_then(|data| irregular(data.file_type())).filter(|_| !full.is_dir())
        {
            return Err(Error::new(Code::Unsupported, format!("`{path}` is {what}"))
                .fact("expected", "a regular file or a folder"));
        }
        self.check_links(&full, &mut Vec::new(), false)?;
        // What this run has saved is not in its folder yet.
        if let Some(staged) = self.results().staged_path(&full, false)? {
            return Ok(staged);
        }
        if !full.exists() {
            store::recover_dir(&full);
        }
        self.will_read(path, &full)?;
        Ok(full)
    }

    /// As [`Session::readable`], for folders that are read with the folders inside them: none of these must hold a link that leads elsewhere.
    ///
    /// # Errors
    /// As [`Session::readable`].
    pub fn readable_tree(&self, path: &str) -> Result<PathBuf> {
        let full = self.readable(path)?;
        self.check_links(&full, &mut Vec::new(), true)?;
        Ok(full)
    }

    fn check_links(&self, folder: &Path, open: &mut Vec<PathBuf>, deep: bool) -> Result<()> {
        let Ok(real) = folder.canonicalize() else { return Ok(()) };
        if open.contains(&real) {
            return Ok(());
        }
        open.push(real);
        for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
            progress::check_stop()?;
            // A link that leads nowhere leads outside of nothing; who reads it says that nothing is there.
            if path.is_symlink() && path.exists() && !self.allowed(&path) {
                return Err(outside(&path.strip_prefix(self.root()).unwrap_or(&path).to_string_lossy()));
            }
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if deep && !hidden && path.is_dir() {
                self.check_links(&path, open, deep)?;
            }
        }
        open.pop();
        Ok(())
    }

    /// Whether what is at a path lies in the project or in a folder that the user allowed, links followed.
    fn allowed(&self, full: &Path) -> bool {
        let real = full.canonicalize();
        let within = |folder: &PathBuf| {
            folder.canonicalize().is_ok_and(|folder| real.as_ref().is_ok_and(|real| real.starts_with(folder)))
        };
        within(&self.root().to_path_buf()) || self.allow_read().iter().any(within)
    }

    /// A path that a script writes with one of the explicit `save` functions: inside the project, not hidden, and not among
    /// the results of another script, which would no longer match their lock.
    ///
    /// # Errors
    /// `outside-project`; `failed` for a name among the results that is taken.
    pub fn writable(&self, path: &str) -> Result<PathBuf> {
        let full = self.inside(path)?;
        let hidden = |part: Component| matches!(part, Component::Normal(name) if name.as_encoded_bytes()[0] == b'.');
        if Path::new(path).components().any(hidden) {
            return Err(Error::new(Code::OutsideProject, format!("`{path}` is hidden"))
                .help("name a folder without a dot: hidden ones belong to other tools"));
        }
        let real = |path: &Path| {
            path.ancestors().find_map(|part| {
                let rest = path.strip_prefix(part).ok()?;
                Some(part.canonicalize().ok()?.join(rest))
            })
        };
        let (place, own) = (real(&full), real(self.results().home()));
        let results = real(&self.root().join("results"));
        let among = |folder: &Option<PathBuf>| {
            folder.as_ref().is_some_and(|folder| place.as_ref().is_some_and(|place| place.starts_with(folder)))
        };
        if place == real(self.root()) || place == results || place == own || (among(&results) && !among(&own)) {
            return Err(Error::new(Code::OutsideProject, format!("a script does not write to `{path}`"))
                .fact("expected", "a path of its own in the project, such as `saes/one`")
                .help("results go to the folder of their own script"));
        }
        if let (Some(place), Some(own)) = (&place, &own)
            && let Ok(rest) = place.strip_prefix(own)
        {
            self.take_folder()?;
            let name = rest.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
            self.results().is_free(&name.unwrap_or_default())?;
        }
        self.will_write(&full);
        Ok(self.results().staged_path(&full, true)?.unwrap_or(full))
    }
}

fn outside(path: &str) -> Error {
    Error::new(Code::OutsideProject, format!("`{path}` leads outside the project"))
        .fact("expected", "a path relative to the project, without `..`")
        .fact("given", path)
}
