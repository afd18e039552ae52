//! How a run leaves results: in a folder of its own, under names of its own, all at once.

use std::path::Path;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::host::committed;
use crate::host::console::locked;
use crate::host::events::Event;
use crate::host::session::Session;
use crate::progress::Monitor;
use crate::report::plot::Figure;

/// How a run keeps what it saves until it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeping {
    /// Files go into the folder at once: a conversation, and scripts in tests.
    #[default]
    Direct,
    /// Files go into the folder together when the run has ended well; nobody else writes there.
    Staged,
    /// As `Staged`, into a folder of one script, for one run at a time.
    Exclusive,
}

/// How often a run that waits for another one looks whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

impl Session {
    /// Writes a file of the results; see [`crate::store::Results::write`].
    ///
    /// # Errors
    /// `outside-project`, `write-failed`; `failed` for a name that this run has used, and for the folder of another script.
    pub fn save(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.take_folder()?;
        let written = self.results().write(name, bytes)?;
        self.tell_saved(name, written);
        Ok(())
    }

    /// Writes files of the results that belong together: either all of their names are free, or none is written.
    ///
    /// # Errors
    /// As [`Session::save`].
    pub fn save_all(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        self.take_folder()?;
        for (name, _) in files {
            self.results().is_free(name)?;
        }
        files.iter().try_for_each(|(name, bytes)| self.save(name, bytes))
    }

    /// Writes the prose or the lock, whose names are kept for them.
    ///
    /// # Errors
    /// `write-failed`; `failed` for the folder of another script.
    pub fn save_own(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.take_folder()?;
        let written = self.results().write_own(name, bytes)?;
        self.tell_saved(name, written);
        Ok(())
    }

    fn tell_saved(&self, name: &str, written: crate::store::Written) {
        let (file, at) = (name.to_string(), self.console().place());
        self.console().emit(Event::Saved { file, blake3: written.blake3, bytes: written.bytes, at });
        for files in self.results().adopted() {
            let files = files.strip_prefix(self.root()).unwrap_or(&files).to_string_lossy().replace('\\', "/");
            self.console().say(&format!("note   an earlier run was killed; what it had saved is in {files}"));
        }
    }

    /// Writes a figure, and puts what it shows on record in numbers.
    ///
    /// # Errors
    /// As [`Session::save`]; `internal` when plotters refuses.
    pub fn save_figure(&self, name: &str, figure: &Figure) -> Result<()> {
        self.save(name, figure.to_svg(self.monitor())?.as_bytes())?;
        let (file, at) = (name.to_string(), self.console().place());
        self.console().emit(Event::Figure { file, data: figure.data(), at });
        Ok(())
    }

    /// Adds prose to the report, which is saved as `notes.md`.
    ///
    /// # Errors
    /// As [`Session::save`].
    pub fn note(&self, markdown: &str) -> Result<()> {
        if self.notes().is_empty() {
            self.take_folder()?;
            self.results().claim("notes.md", "the prose of `run::note`")?;
        }
        self.console().emit(Event::Note { markdown: markdown.to_string(), at: self.console().place() });
        Ok(())
    }

    /// The prose so far.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.console().events().into_iter().filter_map(|stamped| match stamped.event {
            Event::Note { markdown, .. } => Some(markdown),
            _ => None,
        });
        notes.collect()
    }

    /// Takes the folder of the results for this run, before the first file: waits until a run that has it has ended, and sees that
    /// the folder is not another script's.
    ///
    /// # Errors
    /// `interrupted` while waiting, `write-failed`; `failed` for the folder of another script.
    pub(super) fn take_folder(&self) -> Result<()> {
        let mut taken = locked(&self.taken);
        if self.keeping != Keeping::Exclusive || *taken {
            return Ok(());
        }
        let who = format!("{}, process {}", self.script, std::process::id());
        let mut said = false;
        while let Err(other) = self.results().take(&who) {
            if !said {
                let other = if other.is_empty() { "another run".to_string() } else { format!("another run ({other})") };
                self.console().warn(&format!("{} is taken by {other}: waiting until it ends", self.home_name()));
                said = true;
            }
            self.console().pause(LOOK)?;
        }
        self.check_owner()?;
        *taken = true;
        Ok(())
    }

    /// Sees that the results in the folder are those of this script, or of one that is not there any more.
    fn check_owner(&self) -> Result<()> {
        let Some(owner) = committed::owner(self.results().home()) else { return Ok(()) };
        if owner == self.script || !self.root().join(&owner).is_file() {
            return Ok(());
        }
        let name = self.home_name();
        Err(Error::new(Code::Failed, format!("`{name}` holds the results of `{owner}`"))
            .fact("given", format!("`{}`, another script", self.script))
            .help(format!("`--out FOLDER` leaves these elsewhere; remove `{name}` if it is to belong to this script")))
    }

    /// The folder of the results as people name it.
    pub fn home_name(&self) -> String {
        let home = self.results().home();
        home.strip_prefix(self.root()).unwrap_or(home).to_string_lossy().replace('\\', "/")
    }

    /// Keeps what a run has saved that did not end well at `place`, and says so in a line; `None` where there is nothing to say.
    ///
    /// # Errors
    /// `write-failed`.
    pub fn keep_partial(&self, place: &Path) -> Result<Option<String>> {
        let Some(kept) = self.results().keep_partial(place)? else { return Ok(None) };
        Ok(Some(self.partial_note(&kept)))
    }

    /// Where the files of a run that did not end well are, in a line.
    pub fn partial_note(&self, kept: &Path) -> String {
        let kept = kept.strip_prefix(self.root()).unwrap_or(kept).to_string_lossy().replace('\\', "/");
        format!("note: what it had saved is in `{kept}`; `{}` is as it was before", self.home_name())
    }
}
