//! What a change means to do and how far it is, on disk and in memory.
//!
//! The file is a sequence of words, each ended by a NUL byte, which no path holds. A run only ever
//! appends; words after the last complete sentence were cut off by a kill and count for nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::ChangeError;
use crate::PrivateFile;
use crate::fence::Place;

/// The suffix of journals in their folder.
const SUFFIX: &str = ".journal";

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// New contents and second names are being made.
    Preparing,
    /// New contents are being put in place.
    Replacing,
    /// Everything is in place; only second names are left.
    Done,
}

/// One file of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// Names that stand beside it while the change runs.
    pub(super) new_name: String,
    pub(super) old_name: String,
    /// Whether there was a file before; without one, what stands there is ours to remove.
    pub(super) had_before: bool,
    /// What the new content was recognised by when it was complete; `None` = the file is removed.
    pub(super) staged: Option<String>,
}

impl Entry {
    /// What its sentence in the journal begins with.
    fn verb(&self) -> &'static str {
        if self.had_before { "file" } else { "new-file" }
    }
}

/// A change on disk.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub(super) record: Record,
}

/// What a journal says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
    /// Directories that were made, outer ones first.
    pub(super) made: Vec<Place>,
    pub(super) stage: Stage,
}

impl Journal {
    /// Begins a journal that names every file, and whether it was there before.
    pub(super) fn begin(folder: &Path, places: Vec<(Place, bool)>) -> Result<Self, ChangeError> {
        let failed = |source| ChangeError::Journal {
            path: folder.to_owned(),
            source,
        };
        PrivateFile::create_dir(folder).map_err(failed)?;
        let mut builder = tempfile::Builder::new();
        let named = builder.prefix("").suffix(SUFFIX).tempfile_in(folder);
        let kept = named.map_err(failed)?.keep();
        let (file, path) = kept.map_err(|error| failed(error.error))?;
        let token = path.file_name().unwrap_or_default().to_string_lossy();
        let token = token.trim_end_matches(SUFFIX).to_owned();
        let entries = places.into_iter().enumerate();
        let entries = entries.map(|(index, (place, had_before))| Entry {
            place,
            new_name: format!(".codex-{token}-{index}.new"),
            old_name: format!(".codex-{token}-{index}.old"),
            had_before,
            staged: None,
        });
        let mut journal = Self {
            path,
            file,
            record: Record {
                entries: entries.collect(),
                made: Vec::new(),
                stage: Stage::Preparing,
            },
        };
        let mut words = Vec::new();
        for entry in &journal.record.entries {
            say(&mut words, &[entry.verb()]);
            say_place(&mut words, &entry.place);
            say(&mut words, &[&entry.new_name, &entry.old_name]);
        }
        journal.write(&words)?;
        Ok(journal)
    }

    /// Notes a directory that is about to be made.
    pub(super) fn making(&mut self, dir: Place) -> Result<(), ChangeError> {
        let mut words = Vec::new();
        say(&mut words, &["dir"]);
        say_place(&mut words, &dir);
        self.record.made.push(dir);
        self.write(&words)
    }

    /// Notes what complete new contents are recognised by, and that they will be put in place.
    pub(super) fn replacing(&mut self, staged: Vec<Option<String>>) -> Result<(), ChangeError> {
        let mut words = Vec::new();
        for (index, mark) in staged.iter().enumerate() {
            if let Some(mark) = mark {
                say(&mut words, &["staged", &index.to_string(), mark]);
            }
        }
        say(&mut words, &["replacing"]);
        self.write(&words)?;
        for (entry, mark) in self.record.entries.iter_mut().zip(staged) {
            entry.staged = mark;
        }
        self.record.stage = Stage::Replacing;
        // From here on the disk must know what to put back, even when the power fails.
        self.file.sync_all().map_err(|source| self.failed(source))
    }

    /// Notes that everything is in place: the one moment at which the change has happened.
    pub(super) fn done(&mut self) -> Result<(), ChangeError> {
        let mut words = Vec::new();
        say(&mut words, &["done"]);
        self.write(&words)?;
        // Old contents go next: the disk must know first that nobody will want them back.
        if let Err(source) = self.file.sync_all() {
            let mut words = Vec::new();
            say(&mut words, &["replacing"]);
            self.write(&words)?;
            return Err(self.failed(source));
        }
        self.record.stage = Stage::Done;
        Ok(())
    }

    pub(super) fn remove(self) {
        // A journal that stays is read again and finds nothing to do.
        let _ = std::fs::remove_file(&self.path);
    }

    fn write(&mut self, words: &[u8]) -> Result<(), ChangeError> {
        let written = self.file.write_all(words);
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> ChangeError {
        ChangeError::Journal {
            path: self.path.clone(),
            source,
        }
    }
}

/// Returns the journals of a folder.
pub(super) fn found(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a journal as far as it is complete.
pub(super) fn read(path: &Path) -> std::io::Result<Record> {
    let bytes = std::fs::read(path)?;
    let mut record = Record {
        entries: Vec::new(),
        made: Vec::new(),
        stage: Stage::Preparing,
    };
    // What follows the last NUL byte is half a word.
    let end = bytes.iter().rposition(|byte| *byte == 0).unwrap_or(0);
    let mut words = bytes[..end].split(|byte| *byte == 0);
    while record.take_sentence(&mut words).is_some() {}
    Ok(record)
}

impl Record {
    fn take_sentence<'a>(&mut self, words: &mut impl Iterator<Item = &'a [u8]>) -> Option<()> {
        match words.next()? {
            verb @ (b"file" | b"new-file") => {
                let place = place(words)?;
                let (new_name, old_name) = (text(words)?, text(words)?);
                self.entries.push(Entry {
                    place,
                    new_name,
                    old_name,
                    had_before: verb == b"file",
                    staged: None,
                });
            }
            b"dir" => self.made.push(place(words)?),
            b"staged" => {
                let index: usize = text(words)?.parse().ok()?;
                self.entries.get_mut(index)?.staged = Some(text(words)?);
            }
            b"replacing" => self.stage = Stage::Replacing,
            b"done" => self.stage = Stage::Done,
            _ => return None,
        }
        Some(())
    }
}

fn text<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Option<String> {
    String::from_utf8(words.next()?.to_vec()).ok()
}

fn place<'a>(words: &mut impl Iterator<Item = &'a [u8]>) -> Option<Place> {
    let mut path = || Some(PathBuf::from(OsStr::from_bytes(words.next()?)));
    Some(Place {
        root: path()?,
        below: path()?,
    })
}

fn say(words: &mut Vec<u8>, sentence: &[&str]) {
    for word in sentence {
        words.extend(word.as_bytes());
        words.push(0);
    }
}

fn say_place(words: &mut Vec<u8>, place: &Place) {
    for path in [&place.root, &place.below] {
        words.extend(path.as_os_str().as_bytes());
        words.push(0);
    }
}
