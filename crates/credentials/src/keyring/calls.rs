//! Single calls of a keyring, with its errors turned into ours.
//!
//! No error text of the libraries that could hold a secret is passed on: some of their variants
//! carry the bytes that they could not read.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyring_core::api::CredentialPersistence;
use keyring_core::{CredentialStore, Entry, Error};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::platform;
use crate::KeyringError;

const PROBE_SERVICE: &str = "Codex MCP Credentials";
const TEXT_LIMIT: usize = 200;

/// A connected keyring, for one piece of work.
pub(super) struct Calls {
    store: Arc<CredentialStore>,
    caller_is_gone: Arc<AtomicBool>,
}

/// The calls of one service.
pub(super) struct ServiceCalls<'a> {
    calls: &'a Calls,
    service: &'a str,
}

/// What became of a text that was to be stored.
pub(super) enum Written {
    Whole,
    /// The platform takes that many bytes at most.
    TooLong {
        limit: usize,
    },
}

impl Calls {
    pub(super) fn new(store: Arc<CredentialStore>, caller_is_gone: Arc<AtomicBool>) -> Self {
        Self {
            store,
            caller_is_gone,
        }
    }

    pub(super) fn of<'a>(&'a self, service: &'a str) -> ServiceCalls<'a> {
        ServiceCalls {
            calls: self,
            service,
        }
    }

    /// Writes, reads and deletes a canary.
    pub(super) fn test(&self) -> Result<(), KeyringError> {
        let calls = self.of(PROBE_SERVICE);
        let user = format!("probe-{}", Uuid::new_v4());
        calls.set(&user, "{}")?;
        let lasts = calls
            .entry(&user)
            .map(|entry| platform::is_kept_on_disk(&entry));
        let read = calls.get(&user);
        let deleted = calls.delete(&user);
        if !lasts? {
            return Err(KeyringError::Volatile);
        }
        match (read?.as_ref().map(|text| text.as_str()), deleted?) {
            (Some("{}"), true) => Ok(()),
            _ => Err(KeyringError::NotKept),
        }
    }
}

impl ServiceCalls<'_> {
    pub(super) fn get(&self, user: &str) -> Result<Option<Zeroizing<String>>, KeyringError> {
        let result = match self.entry(user)?.get_password() {
            // Several items of one name: another program, or another collection.
            Err(Error::Ambiguous(entries)) => match entries.first() {
                Some(first) => first.get_password(),
                None => Err(Error::NoEntry),
            },
            result => result,
        };
        match result {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(ours(error)),
        }
    }

    pub(super) fn set(&self, user: &str, text: &str) -> Result<Written, KeyringError> {
        let entry = self.entry(user)?;
        let result = match entry.set_password(text) {
            Err(Error::Ambiguous(_)) => {
                self.delete(user)?;
                entry.set_password(text)
            }
            result => result,
        };
        match result {
            Ok(()) => Ok(Written::Whole),
            Err(Error::TooLong(_, limit)) => Ok(Written::TooLong {
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            }),
            Err(error) => Err(ours(error)),
        }
    }

    /// Deletes every item of that name, and returns whether there was one.
    pub(super) fn delete(&self, user: &str) -> Result<bool, KeyringError> {
        match self.entry(user)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(Error::Ambiguous(entries)) => {
                for entry in entries {
                    match entry.delete_credential() {
                        Ok(()) | Err(Error::NoEntry) => {}
                        Err(error) => return Err(ours(error)),
                    }
                }
                Ok(true)
            }
            Err(error) => Err(ours(error)),
        }
    }

    fn entry(&self, user: &str) -> Result<Entry, KeyringError> {
        // Its lock is free again: what is written now would surprise the next holder.
        if self.calls.caller_is_gone.load(Ordering::Relaxed) {
            return Err(KeyringError::Failed("too late".to_owned()));
        }
        self.calls
            .store
            .build(self.service, user, None)
            .map_err(ours)
    }
}

/// Returns whether the store keeps its records over logout and reboot.
pub(super) fn lasts(store: &Arc<CredentialStore>) -> bool {
    match store.persistence() {
        CredentialPersistence::EntryOnly
        | CredentialPersistence::ProcessOnly
        | CredentialPersistence::UntilLogout
        | CredentialPersistence::UntilReboot => false,
        // Not exhaustive by its own words; an unknown answer is no proof of the opposite.
        _ => true,
    }
}

/// Turns an error into ours.
pub(super) fn ours(error: Error) -> KeyringError {
    match error {
        Error::NoStorageAccess(_) => KeyringError::Locked,
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => {
            KeyringError::Damaged
        }
        Error::PlatformFailure(cause) => {
            let text = chain(cause.as_ref());
            match platform::is_absence(&text) {
                true => KeyringError::Absent(text),
                false => KeyringError::Failed(text),
            }
        }
        error => KeyringError::Failed(tidy(&error.to_string())),
    }
}

/// Joins the messages of an error and its causes.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        next = cause.source();
    }
    tidy(&text)
}

fn tidy(text: &str) -> String {
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(TEXT_LIMIT).collect()
}
