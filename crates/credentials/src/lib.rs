//! Secrets at rest: one record per key, in the desktop's keyring or in a private file.
//!
//! [`SecretStore`] carries out a [`StorePolicy`] over two backends. [`KeyringBackend`] runs every
//! call on a thread of its own with a time limit, because a keyring may wait for a prompt that
//! nobody sees; [`FileBackend`] keeps one JSON object that another program reads and writes too.
//! What the user should know comes back as data: [`Notice`], never printed here.
//!
//! A record is an opaque JSON text: this crate knows where it lies, not what it means.
//! Whoever changes a record holds its [`KeyLock`], between processes too; [`SecretStore::save`] and
//! [`SecretStore::delete`] take it as proof. Read again after you got the lock.
//! **Absent on purpose:** OAuth, config, protocol, printing, the network.

mod error;
mod file;
mod key;
mod keyring;
mod lock;
mod notice;
mod policy;
mod record;
mod store;

pub use error::{FileError, Hint, KeyringError, StoreError};
pub use file::FileBackend;
pub use key::StoreKey;
pub use keyring::KeyringBackend;
pub use lock::KeyLock;
pub use notice::Notice;
pub use policy::{Backend, Collection, StorePolicy, UnknownPolicy};
pub use record::{NotAnObject, Record, SecretJson};
pub use store::{Deleted, Loaded, SecretStore, StoreSettings, Stored};
