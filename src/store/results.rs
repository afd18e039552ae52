//! The folder of a script's results, which people commit.
//!
//! A run stages its files in `.saerun/runs` and puts all of them into the folder at once when it has ended well. Until then the
//! folder holds the results of the run before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::folder_lock::{FolderLock, real};
use super::temporary::{Temporary, leftovers, remove_leftovers, temporary_dir};
use super::{check_file_name, hidden, parent_of, runs, swap, write, write_failed};
use crate::error::{Code, Error, Result};

/// Names in a folder of results that saerun gives itself, and what it calls by them.
pub const RESERVED: [(&str, &str); 2] = [("run.yaml", "the run lock"), ("report.html", "the page of the run")];

/// The files of a run inside the folder that it stages them in.
pub(super) const FILES: &str = "results";

/// What was written under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// BLAKE3 of the content, in hex.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
    /// By how much the numbers of a table's column may differ where another processor computes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tolerance: BTreeMap<String, f64>,
}

/// The only place that a script writes results to. Cheap to copy; copies share what was written.
#[derive(Debug, Clone)]
pub struct Results(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: PathBuf,
    /// The project in whose `.saerun` files are staged; none where they are written into the folder at once.
    project: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    written: BTreeMap<String, Written>,
    /// What each name is taken by, by the name in lower case: some file systems know no other.
    taken: BTreeMap<String, String>,
    stage: Option<Temporary>,
    /// Where the files are, once they are staged no longer.
    settled: Option<PathBuf>,
    lock: Option<FolderLock>,
    /// What killed runs had staged, as it is called now.
    adopted: Vec<PathBuf>,
}

impl Results {
    /// The folder `results/<stem>` of a project, made at the first write.
    ///
    /// # Errors
    /// `outside-project` when the stem of the script's file name is no plain file name.
    pub fn new(project: &Path, stem: &str) -> Result<Results> {
        check_file_name(stem)?;
        Ok(Results::at(project.join("results").join(stem)))
    }

    /// Another folder of the user's choice.
    pub fn at(home: PathBuf) -> Results {
        Results(Arc::new(Inner { home, project: None, state: Mutex::default() }))
    }

    /// The same folder, into which nothing goes before [`Results::commit`]: until then files are kept in the project's
    /// `.saerun/runs`.
    pub fn staged(self, project: &Path) -> Results {
        let (home, project) = (self.0.home.clone(), Some(project.to_path_buf()));
        Results(Arc::new(Inner { home, project, state: Mutex::default() }))
    }

    /// The folder that the results are for.
    pub fn home(&self) -> &Path {
        &self.0.home
    }

    /// Where the files of this run are now.
    pub fn dir(&self) -> PathBuf {
        let state = self.state();
        let staged = state.stage.as_ref().map(|stage| stage.path().join(FILES));
        state.settled.clone().or(staged).unwrap_or_else(|| self.0.home.clone())
    }

    /// Where a path inside the folder is to be read or written while files are staged; `None` for other paths, and where nothing
    /// is staged under it. So a script reads what it has saved.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn staged_path(&self, path: &Path, writes: bool) -> Result<Option<PathBuf>> {
        let home = real(&self.0.home);
        let path = real(path);
        let Ok(rest) = path.strip_prefix(&home) else { return Ok(None) };
        if self.0.project.is_none() || self.state().settled.is_some() {
            return Ok(None);
        }
        let inside = |stage: PathBuf| if rest.as_os_str().is_empty() { stage } else { stage.join(rest) };
        if writes {
            let full = inside(self.stage()?);
            parent_of(&full)?;
            return Ok(Some(full));
        }
        let stage = self.state().stage.as_ref().map(|stage| stage.path().join(FILES));
        Ok(stage.map(inside).filter(|full| full.exists()))
    }

    /// Takes the folder for this run; see [`FolderLock::take`]. What a killed run had begun to put into it is finished.
    ///
    /// # Errors
    /// What the run that has the folder says of itself.
    pub fn take(&self, who: &str) -> std::result::Result<(), String> {
        let Some(project) = &self.0.project else { return Ok(()) };
        // In a project that cannot be written there is no lock either; the results may go elsewhere all the same.
        if let Ok(taken) = FolderLock::take(project, &self.0.home, who) {
            self.state().lock = Some(taken?);
        }
        swap::finish_swap(&self.0.home);
        Ok(())
    }

    /// Lets other runs take the folder.
    pub fn release(&self) {
        self.state().lock = None;
    }

    /// Takes a name for `what`.
    ///
    /// # Errors
    /// `outside-project` when it is more than a file name; `failed` when this run has used it, or saerun does.
    pub fn claim(&self, name: &str, what: &str) -> Result<()> {
        self.is_free(name)?;
        self.state().taken.insert(name.to_lowercase(), what.to_string());
        Ok(())
    }

    /// Sees that a name can be taken.
    ///
    /// # Errors
    /// As [`Results::claim`].
    pub fn is_free(&self, name: &str) -> Result<()> {
        check_file_name(name)?;
        let lower = name.to_lowercase();
        let own = RESERVED.iter().find(|(reserved, _)| *reserved == lower).map(|(_, what)| what.to_string());
        let Some(by) = own.or_else(|| self.state().taken.get(&lower).cloned()) else { return Ok(()) };
        Err(Error::new(Code::Failed, format!("the name `{name}` is taken"))
            .fact("taken by", by)
            .help("a run saves each name once, and `A` and `a` are one name: choose another"))
    }

    /// Writes the file `name`, once a run, and remembers its digest for the lock.
    ///
    /// # Errors
    /// Those of [`Results::claim`]; `write-failed`.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<Written> {
        self.claim(name, &format!("`{name}`, which this run has saved"))?;
        let written = self.write_own(name, bytes);
        if written.is_err() {
            self.state().taken.remove(&name.to_lowercase());
        }
        written
    }

    /// As [`Results::write`], of a file that saerun itself writes, whose name is not looked at.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn write_own(&self, name: &str, bytes: &[u8]) -> Result<Written> {
        let dir = self.stage()?;
        if self.written().is_empty() {
            remove_leftovers(&dir);
        }
        write(&dir.join(name), bytes, true)?;
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        let fact = Written { blake3, bytes: bytes.len() as u64, tolerance: BTreeMap::new() };
        self.state().written.insert(name.to_string(), fact.clone());
        Ok(fact)
    }

    /// The folder that files are written to, made when it is missing.
    fn stage(&self) -> Result<PathBuf> {
        let Some(project) = &self.0.project else { return Ok(self.0.home.clone()) };
        let mut state = self.state();
        if state.stage.is_none() {
            let runs = runs::runs_dir(project);
            let made = hidden(project).and_then(|_| parent_of(&runs.join("x")).map(|_| ()));
            let stage = if made.is_ok() {
                leftovers(&runs, &mut |left| state.adopted.extend(runs::adopt(project, left)));
                temporary_dir(&runs)?
            } else {
                temporary_dir(parent_of(&self.0.home)?)?
            };
            let files = stage.path().join(FILES);
            fs::create_dir(&files).map_err(|error| write_failed(&files, error))?;
            state.stage = Some(stage);
        }
        Ok(state.stage.as_ref().map(|stage| stage.path().join(FILES)).unwrap_or_default())
    }

    /// Puts all files that were written into the folder, in one step, in place of those of an earlier run. What somebody else has
    /// put there stays; so do files of the earlier run that somebody has changed since.
    ///
    /// # Errors
    /// `write-failed`, and the folder is what it was.
    pub fn commit(&self, earlier: &BTreeMap<String, Written>) -> Result<()> {
        let mut stale = self.stale(earlier);
        if self.0.project.is_some() {
            // It tells of the results that go.
            stale.push("report.html".to_string());
        }
        let mut state = self.state();
        let Some(stage) = &state.stage else {
            for name in &stale {
                // What cannot be removed is what `verify` will speak of.
                let _ = fs::remove_file(self.0.home.join(name));
            }
            return Ok(());
        };
        swap::into_place(&stage.path().join(FILES), &real(&self.0.home), &stale)?;
        state.settled = Some(self.0.home.clone());
        state.stage = None;
        Ok(())
    }

    /// Moves what a run has staged that did not end well to `place`, in place of what was there; gives it back if there was
    /// anything.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn keep_partial(&self, place: &Path) -> Result<Option<PathBuf>> {
        let mut state = self.state();
        let Some(stage) = state.stage.take() else { return Ok(None) };
        let files = stage.path().join(FILES);
        remove_leftovers(&files);
        if files.read_dir().is_ok_and(|mut items| items.next().is_none()) {
            return Ok(None);
        }
        parent_of(place)?;
        if place.is_dir() {
            fs::remove_dir_all(place).map_err(|error| write_failed(place, error))?;
        }
        if let Err(error) = fs::rename(&files, place) {
            state.settled = Some(files);
            stage.keep();
            return Err(write_failed(place, error));
        }
        state.settled = Some(place.to_path_buf());
        Ok(Some(place.to_path_buf()))
    }

    /// Folders of files that earlier runs had staged when they were killed, each told of once.
    pub fn adopted(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.state().adopted)
    }

    /// Gives what a run has staged a name among the records when its process is about to end without one; `None` where there is
    /// nothing, or the run is just putting its files in their place.
    pub fn abandon(&self) -> Option<PathBuf> {
        let stage = self.0.state.try_lock().ok()?.stage.take()?;
        let dir = stage.path().to_path_buf();
        stage.keep();
        runs::adopt(self.0.project.as_deref()?, &dir)
    }

    /// The files of an earlier run that this one has not written and that nobody has changed since.
    fn stale(&self, earlier: &BTreeMap<String, Written>) -> Vec<String> {
        let written = self.written();
        let gone = |(name, fact): &(&String, &Written)| {
            let unchanged = |bytes: Vec<u8>| blake3::hash(&bytes).to_hex().as_str() == fact.blake3;
            !written.contains_key(*name)
                && check_file_name(name).is_ok()
                && fs::read(self.0.home.join(name)).is_ok_and(unchanged)
        };
        earlier.iter().filter(gone).map(|(name, _)| name.clone()).collect()
    }

    /// Keeps for the lock by how much columns of the table `name` may differ, which must have been written.
    pub fn declare_tolerance(&self, name: &str, tolerance: BTreeMap<String, f64>) {
        if let Some(fact) = self.state().written.get_mut(name) {
            fact.tolerance = tolerance;
        }
    }

    /// What this run has written so far, by name.
    pub fn written(&self) -> BTreeMap<String, Written> {
        self.state().written.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
