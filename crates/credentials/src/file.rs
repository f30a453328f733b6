//! The file backend: one JSON object, key -> record, that other programs read and write too.
//!
//! What we do not know stays: unknown keys, unknown fields, entries that are no records. A file that
//! cannot be read is never overwritten: reading it is an error, and a new login sets it aside.
//! Every change happens under one lock for all files of the home, taken after the lock of the key,
//! reads the file again and replaces it whole; with its last entry the file goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codex_host::{CodexHome, FileLock, PrivateDir};
use zeroize::Zeroizing;

use crate::lock::{self, LOCK_DIR};
use crate::record::SecretMap;
use crate::{Collection, FileError, Notice, SecretJson, StoreKey};

/// The lock of the files; codex 0.169.0 takes the same one (observed 2026-11-20).
const FILE_LOCK: &str = "file-store.lock";
/// A write under the lock takes milliseconds; who waits longer waits for a stopped process.
const FILE_LOCK_LIMIT: Duration = Duration::from_secs(20);
/// A login has some 5 KB; more than 3,000 of them are no logins.
const SIZE_LIMIT: u64 = 16 << 20;

/// The file that holds one collection.
#[derive(Debug, Clone)]
pub struct FileBackend {
    home: PathBuf,
    name: &'static str,
}

/// The result of work on the file, and what happened on the way.
pub(crate) type Noted<T> = (Result<T, FileError>, Vec<Notice>);

impl FileBackend {
    /// Names the file of a collection in a home directory; nothing is opened.
    pub fn new(home: &CodexHome, collection: Collection) -> Self {
        Self {
            home: home.path().as_path().to_owned(),
            name: collection.file,
        }
    }

    /// Returns where the file is.
    pub fn path(&self) -> PathBuf {
        self.home.join(self.name)
    }

    /// Reads a record. Needs no lock: the file is only ever replaced whole.
    pub(crate) async fn load(&self, key: &StoreKey) -> Noted<Option<SecretJson>> {
        let key = key.clone();
        self.on_a_thread(move |file, notices| {
            let Some(entries) = file.read(notices)? else {
                return Ok(None);
            };
            let Some(entry) = entries.0.get(key.as_str()) else {
                return Ok(None);
            };
            let record = SecretJson::from_value(entry);
            if record.is_err() {
                notices.push(entry_kept(&key));
            }
            Ok(record.ok())
        })
        .await
    }

    /// Writes a record and reads it back.
    pub(crate) async fn save(
        &self,
        key: &StoreKey,
        record: &SecretJson,
        key_lock: Arc<FileLock>,
    ) -> Noted<()> {
        let (key, record) = (key.clone(), record.clone());
        self.change(key_lock, move |file, notices| {
            let mut entries = match file.read(notices) {
                Ok(entries) => entries.unwrap_or_default(),
                Err(FileError::Damaged { path, .. }) => {
                    let aside = file.dir()?.set_aside(file.name, "damaged")?;
                    notices.push(Notice::SetAside { path, aside });
                    SecretMap::default()
                }
                Err(error) => return Err(error),
            };
            entries.insert(key.as_str(), record.to_map());
            file.write(&entries)
        })
        .await
    }

    /// Deletes a record, and returns whether there was one.
    pub(crate) async fn delete(&self, key: &StoreKey, key_lock: Arc<FileLock>) -> Noted<bool> {
        let key = key.clone();
        self.change(key_lock, move |file, notices| {
            let Some(mut entries) = file.read(notices)? else {
                return Ok(false);
            };
            if entries.remove(key.as_str()).is_none() {
                return Ok(false);
            }
            file.write(&entries)?;
            Ok(true)
        })
        .await
    }

    /// Deletes the records for which `is_doomed` says so, and returns their keys.
    pub(crate) async fn delete_where(
        &self,
        is_doomed: impl Fn(&StoreKey, &SecretJson) -> bool + Send + 'static,
    ) -> Noted<Vec<StoreKey>> {
        self.change((), move |file, notices| {
            let Some(mut entries) = file.read(notices)? else {
                return Ok(Vec::new());
            };
            let mut doomed = Vec::new();
            for (key, entry) in &entries.0 {
                let key = StoreKey::from_raw(key);
                match SecretJson::from_value(entry) {
                    Ok(record) if is_doomed(&key, &record) => doomed.push(key),
                    Ok(_) => {}
                    Err(_) => notices.push(entry_kept(&key)),
                }
            }
            if doomed.is_empty() {
                return Ok(doomed);
            }
            for key in &doomed {
                entries.remove(key.as_str());
            }
            file.write(&entries)?;
            Ok(doomed)
        })
        .await
    }

    /// Tests that a record could be written: the file is ours and the disk takes a canary.
    pub(crate) async fn test(&self) -> Noted<()> {
        self.change((), |file, notices| {
            match file.read(notices) {
                // A login sets a damaged file aside.
                Ok(_) | Err(FileError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            let canary = format!("{}.probe", file.name);
            let dir = file.dir()?;
            let written = dir.replace(&canary, &[b'x'; 4096]);
            dir.remove(&canary)?;
            Ok(written?)
        })
        .await
    }

    /// Runs work on the file under the lock of the files. `key_lock` is held until the work is
    /// done, even when the caller is gone by then.
    async fn change<T: Send + 'static>(
        &self,
        key_lock: impl Send + 'static,
        work: impl FnOnce(&Self, &mut Vec<Notice>) -> Result<T, FileError> + Send + 'static,
    ) -> Noted<T> {
        let path = self.home.join(LOCK_DIR).join(FILE_LOCK);
        let file_lock = match lock::acquire(&path, FILE_LOCK_LIMIT).await {
            Ok(file_lock) => file_lock,
            Err(error) => return (Err(error.into()), Vec::new()),
        };
        self.on_a_thread(move |file, notices| {
            let result = work(file, notices);
            drop((file_lock, key_lock));
            result
        })
        .await
    }

    /// Runs work that blocks. A dropped caller does not stop it, and the runtime waits for it at
    /// the end: a write is never cut off.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &mut Vec<Notice>) -> Result<T, FileError> + Send + 'static,
    ) -> Noted<T> {
        let file = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut notices = Vec::new();
            (work(&file, &mut notices), notices)
        });
        done.await
            .unwrap_or_else(|_| (Err(FileError::BrokeOff), Vec::new()))
    }

    fn dir(&self) -> Result<PrivateDir, FileError> {
        PrivateDir::create(&self.home).map_err(|source| FileError::Home {
            path: self.home.clone(),
            source,
        })
    }

    fn read(&self, notices: &mut Vec<Notice>) -> Result<Option<SecretMap>, FileError> {
        let dir = match PrivateDir::open(&self.home) {
            Ok(dir) => dir,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = self.home.clone();
                return Err(FileError::Home { path, source });
            }
        };
        let Some(file) = dir.read(self.name, SIZE_LIMIT)? else {
            return Ok(None);
        };
        if let Some(mode) = file.narrowed_from {
            let path = self.path();
            notices.push(Notice::Narrowed { path, mode });
        }
        let bytes = Zeroizing::new(file.bytes);
        // Nothing is lost with an empty file; some programs leave one instead of none.
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let entries = SecretMap::from_slice(&bytes).map_err(|error| FileError::Damaged {
            path: self.path(),
            line: error.line(),
            column: error.column(),
        })?;
        Ok(Some(entries))
    }

    fn write(&self, entries: &SecretMap) -> Result<(), FileError> {
        let dir = self.dir()?;
        if entries.0.is_empty() {
            return Ok(dir.remove(self.name)?);
        }
        let text = entries.to_text().map_err(|_| FileError::BrokeOff)?;
        dir.replace(self.name, text.as_bytes())?;
        let kept = dir
            .read(self.name, SIZE_LIMIT)?
            .map(|file| Zeroizing::new(file.bytes));
        match kept.is_some_and(|kept| kept.as_slice() == text.as_bytes()) {
            true => Ok(()),
            false => Err(FileError::NotKept(self.path())),
        }
    }
}

fn entry_kept(key: &StoreKey) -> Notice {
    Notice::EntryKept {
        key: key.as_str().to_owned(),
    }
}
