//! The policy over the two backends: where a record is read, written and deleted.

use std::time::Duration;

use codex_host::{CodexHome, LockError};

use crate::{
    Backend, Collection, KeyLock, KeyringBackend, KeyringError, Notice, Record, SecretJson,
    StoreError, StoreKey, StorePolicy,
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
pub struct SecretStore {}

impl SecretStore {
    /// The limit of a keyring call in a run: nobody may sit there.
    pub const IN_A_RUN: Duration = Duration::from_secs(3);
    /// The limit inside login and logout: the desktop may ask to unlock.
    pub const WITH_A_USER: Duration = Duration::from_secs(60);
    /// The usual limit of [`Self::lock`].
    pub const LOCK_LIMIT: Duration = Duration::from_secs(20);

    /// Opens a collection; nothing is read or connected yet.
    pub fn open(_collection: Collection, _settings: StoreSettings) -> Self {
        todo!()
    }

    /// Tests that a record could be saved, before anybody is sent to a browser.
    ///
    /// Returns where it would go.
    pub async fn test(&self) -> Result<Backend, StoreError> {
        todo!()
    }

    /// Takes the lock of a key; the same lock for all collections of a home.
    ///
    /// Load again under it: another process may have been quicker.
    pub async fn lock(&self, _key: &StoreKey, _limit: Duration) -> Result<KeyLock, LockError> {
        todo!()
    }

    /// Reads the record of a key. Needs no lock.
    pub async fn load(&self, _key: &StoreKey) -> Result<Loaded, StoreError> {
        todo!()
    }

    /// Writes the record of the locked key, reads it back, and returns where it lies.
    pub async fn save(&self, _lock: &KeyLock, _record: &Record) -> Result<Backend, StoreError> {
        todo!()
    }

    /// Deletes the record of the locked key from every backend that the policy allows.
    pub async fn delete(&self, _lock: &KeyLock) -> Deleted {
        todo!()
    }

    /// Deletes the entries of the file for which `is_doomed` says so, and returns their keys.
    ///
    /// For a server that is gone from the config: only its name is known, not its URL.
    pub async fn delete_from_file_where(
        &self,
        _is_doomed: impl Fn(&StoreKey, &SecretJson) -> bool + Send + 'static,
    ) -> Result<Vec<StoreKey>, StoreError> {
        todo!()
    }

    /// Returns the notices since the last call; each is given once per store.
    pub fn take_notices(&self) -> Vec<Notice> {
        todo!()
    }
}
