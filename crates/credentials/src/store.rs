//! The policy over the two backends: where a record is read, written and deleted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use codex_host::{CodexHome, LockError};

use crate::file::Noted;
use crate::{
    Backend, Collection, FileBackend, FileError, KeyLock, KeyringBackend, KeyringError, Notice,
    Record, SecretJson, StoreError, StoreKey, StorePolicy, lock,
};

/// What a store needs to know.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Which backends may be used.
    pub policy: StorePolicy,
    /// Where the files and the locks are.
    pub home: CodexHome,
    /// The keyring, shared by all stores of the process.
    pub keyring: KeyringBackend,
    /// How long one keyring call may take: [`SecretStore::IN_A_RUN`] or
    /// [`SecretStore::WITH_A_USER`].
    pub keyring_limit: Duration,
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where; its form follows from that.
    pub backend: Backend,
    /// The record in that backend's form.
    pub json: SecretJson,
}

/// The answer to a load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The record, the newer one when both backends hold one.
    pub found: Option<Stored>,
    /// Why the keyring was not read though the policy is `auto`: a record may lie there unseen.
    pub keyring_unread: Option<KeyringError>,
}

/// What a deletion did; one backend's failure does not keep the others.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Where a record was found and is gone now.
    pub removed: Vec<Backend>,
    /// Where a copy may be left, and why.
    pub failed: Vec<StoreError>,
}

/// One collection of records under a policy. Every future may be dropped at any time.
#[derive(Debug)]
pub struct SecretStore {
    collection: Collection,
    settings: StoreSettings,
    file: FileBackend,
    /// Whether the keyring ever had a record of this collection.
    keyring_gave: AtomicBool,
    notices: Mutex<Notices>,
}

#[derive(Debug, Default)]
struct Notices {
    new: Vec<Notice>,
    given: Vec<Notice>,
}

impl SecretStore {
    /// The limit of a keyring call in a run: nobody may sit there.
    pub const IN_A_RUN: Duration = Duration::from_secs(3);
    /// The limit inside login and logout: the desktop may ask to unlock.
    pub const WITH_A_USER: Duration = Duration::from_secs(60);
    /// The usual limit of [`Self::lock`].
    pub const LOCK_LIMIT: Duration = Duration::from_secs(20);

    /// Opens a collection; nothing is read or connected yet.
    pub fn open(collection: Collection, settings: StoreSettings) -> Self {
        Self {
            file: FileBackend::new(&settings.home, collection),
            collection,
            settings,
            keyring_gave: AtomicBool::default(),
            notices: Mutex::default(),
        }
    }

    /// Returns what it was opened with.
    pub fn settings(&self) -> &StoreSettings {
        &self.settings
    }

    /// Tests that a record could be saved, before anybody is sent to a browser.
    ///
    /// Returns where it would go.
    pub async fn test(&self) -> Result<Backend, StoreError> {
        if let Some(backend) = self.tested_keyring().await? {
            return Ok(backend);
        }
        self.noted(self.file.test().await)?;
        Ok(Backend::File)
    }

    /// Takes the lock of a key; the same lock for all collections of a home.
    ///
    /// Load again under it: another process may have been quicker.
    pub async fn lock(&self, key: &StoreKey, limit: Duration) -> Result<KeyLock, LockError> {
        let dir = self.settings.home.join(lock::LOCK_DIR);
        KeyLock::acquire(dir.as_path(), key, limit).await
    }

    /// Reads the record of a key. Needs no lock.
    pub async fn load(&self, key: &StoreKey) -> Result<Loaded, StoreError> {
        let (in_keyring, keyring_unread) = match self.settings.policy {
            StorePolicy::File => (None, None),
            StorePolicy::Keyring => {
                let found = self.keyring_load(key).await?;
                return Ok(Loaded {
                    found: found.map(in_the_keyring),
                    keyring_unread: None,
                });
            }
            StorePolicy::Auto => match self.keyring_load(key).await {
                Ok(found) => (found, None),
                Err(why) if why.may_hold_a_copy() => {
                    self.note(Notice::KeyringUnread { why: why.clone() });
                    (None, Some(why))
                }
                Err(_) => (None, None),
            },
        };
        let in_file = match self.noted(self.file.load(key).await) {
            // The keyring is the first choice; a broken second one is for the notices.
            Err(error) if in_keyring.is_some() => {
                self.note(Notice::FileUnread {
                    why: error.to_string(),
                });
                None
            }
            result => result?,
        };
        Ok(Loaded {
            found: self.newer(in_keyring, in_file),
            keyring_unread,
        })
    }

    /// Whether there is no record for certain: one that cannot be read may be there.
    pub async fn holds_none(&self, key: &StoreKey) -> bool {
        let is_in_keyring = match self.settings.policy {
            StorePolicy::File => false,
            StorePolicy::Auto | StorePolicy::Keyring => match self.keyring_load(key).await {
                Ok(found) => found.is_some(),
                // One that was never there has nothing; one that is gone may come back.
                Err(why) => why.may_hold_a_copy() || self.keyring_gave.load(Ordering::Relaxed),
            },
        };
        let is_in_file = match self.settings.policy {
            StorePolicy::Keyring => false,
            StorePolicy::Auto | StorePolicy::File => {
                !matches!(self.noted(self.file.load(key).await), Ok(None))
            }
        };
        !is_in_keyring && !is_in_file
    }

    /// Writes the record of the locked key, reads it back, and returns where it lies.
    ///
    /// Under `auto` a keyring that fails is no error: the file takes the record.
    pub async fn save(&self, lock: &KeyLock, record: &Record) -> Result<Backend, StoreError> {
        if self.tested_keyring().await?.is_some() {
            match self.keyring_save(lock, record).await {
                Ok(()) => {
                    self.drop_file_copy(lock).await;
                    return Ok(Backend::Keyring);
                }
                Err(why) if self.settings.policy == StorePolicy::Keyring => return Err(why.into()),
                Err(why) => self.note(Notice::FileInsteadOfKeyring { why }),
            }
        }
        let saved = self.file.save(lock.key(), &record.file, lock.share());
        self.noted(saved.await)?;
        Ok(Backend::File)
    }

    /// Deletes the record of the locked key from every backend that the policy allows.
    pub async fn delete(&self, lock: &KeyLock) -> Deleted {
        let mut deleted = Deleted::default();
        let is_strict = self.settings.policy == StorePolicy::Keyring;
        match self.settings.policy {
            StorePolicy::File => self.note(Notice::KeyringLeftAlone),
            StorePolicy::Auto | StorePolicy::Keyring => match self.keyring_delete(lock).await {
                Ok(true) => deleted.removed.push(Backend::Keyring),
                Ok(false) => {}
                // Who insists on a keyring has one elsewhere: in the desktop session, say.
                Err(why) if why.may_hold_a_copy() || is_strict => deleted.failed.push(why.into()),
                Err(_) => {}
            },
        }
        // A file copy goes under `keyring` too: it may be left from before.
        match self.noted(self.file.delete(lock.key(), lock.share()).await) {
            Ok(true) => deleted.removed.push(Backend::File),
            Ok(false) => {}
            Err(error) => deleted.failed.push(error.into()),
        }
        deleted
    }

    /// Deletes the entries of the file for which `is_doomed` says so, and returns their keys.
    ///
    /// For a server that is gone from the config: only its name is known, not its URL.
    pub async fn delete_from_file_where(
        &self,
        is_doomed: impl Fn(&StoreKey, &SecretJson) -> bool + Send + 'static,
    ) -> Result<Vec<StoreKey>, StoreError> {
        Ok(self.noted(self.file.delete_where(is_doomed).await)?)
    }

    /// Returns the notices since the last call; each is given once per store.
    pub fn take_notices(&self) -> Vec<Notice> {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        let new = std::mem::take(&mut notices.new);
        notices.given.extend(new.iter().cloned());
        new
    }

    /// Returns whether the keyring takes records; `None`: the file is to be used.
    async fn tested_keyring(&self) -> Result<Option<Backend>, StoreError> {
        if self.settings.policy == StorePolicy::File {
            return Ok(None);
        }
        match self
            .settings
            .keyring
            .test(self.settings.keyring_limit)
            .await
        {
            Ok(()) => Ok(Some(Backend::Keyring)),
            Err(why) if self.settings.policy == StorePolicy::Keyring => Err(why.into()),
            Err(why) => {
                self.note(Notice::FileInsteadOfKeyring { why });
                Ok(None)
            }
        }
    }

    async fn keyring_load(&self, key: &StoreKey) -> Result<Option<SecretJson>, KeyringError> {
        let service = self.collection.keyring_service;
        let limit = self.settings.keyring_limit;
        let found = self.settings.keyring.load(service, key, limit).await;
        if let Ok(Some(_)) = found {
            self.keyring_gave.store(true, Ordering::Relaxed);
        }
        found
    }

    async fn keyring_save(&self, lock: &KeyLock, record: &Record) -> Result<(), KeyringError> {
        let (service, limit) = (self.collection.keyring_service, self.settings.keyring_limit);
        let (key, keyring) = (lock.key(), &self.settings.keyring);
        keyring.save(service, key, &record.keyring, limit).await
    }

    async fn keyring_delete(&self, lock: &KeyLock) -> Result<bool, KeyringError> {
        let (service, limit) = (self.collection.keyring_service, self.settings.keyring_limit);
        let (key, keyring) = (lock.key(), &self.settings.keyring);
        keyring.delete(service, key, limit).await
    }

    /// Removes the copy in the file once the keyring holds the record.
    async fn drop_file_copy(&self, lock: &KeyLock) {
        if self.settings.policy == StorePolicy::Keyring {
            return;
        }
        // Most homes have no such file: then no lock is taken and nothing is made.
        let copy = self.noted(self.file.load(lock.key()).await);
        let removed = match copy {
            Ok(None) => return,
            Ok(Some(_)) => self.noted(self.file.delete(lock.key(), lock.share()).await),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            self.note(Notice::FileCopyLeft {
                why: error.to_string(),
            });
        }
    }

    /// Chooses between two copies: the greater number, and the keyring when there is none.
    fn newer(&self, keyring: Option<SecretJson>, file: Option<SecretJson>) -> Option<Stored> {
        match (keyring, file) {
            (Some(keyring), Some(file)) => {
                let field = self.collection.newest_by;
                match file.number(field) > keyring.number(field) {
                    true => Some(in_the_file(file)),
                    false => Some(in_the_keyring(keyring)),
                }
            }
            (keyring, file) => keyring.map(in_the_keyring).or(file.map(in_the_file)),
        }
    }

    fn noted<T>(&self, (result, notices): Noted<T>) -> Result<T, FileError> {
        notices.into_iter().for_each(|notice| self.note(notice));
        result
    }

    fn note(&self, notice: Notice) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if !notices.given.contains(&notice) && !notices.new.contains(&notice) {
            notices.new.push(notice);
        }
    }
}

fn in_the_keyring(json: SecretJson) -> Stored {
    Stored {
        backend: Backend::Keyring,
        json,
    }
}

fn in_the_file(json: SecretJson) -> Stored {
    Stored {
        backend: Backend::File,
        json,
    }
}
