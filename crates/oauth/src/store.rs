//! Logins in the store of secrets: both records of a server, read and written together.
//!
//! Order matters when a process dies in between: the client goes first, so that a login never stands
//! there without what renews it; a client without a login is harmless.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use codex_credentials::KeyLock;
use codex_credentials::{Collection, SecretStore, StoreSettings};
use codex_host::{Clock, LockError, Secret};

use crate::record::{ClientKind, ClientRecord, OAuthTokens, RecordError, ServerKey, StoredLogin};

/// Why a login could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store of secrets failed.
    #[error("{0}")]
    Secrets(#[from] codex_credentials::StoreError),
    /// Another process held the lock all the time.
    #[error("{0}")]
    Lock(#[from] LockError),
    /// What is stored cannot be used.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// A record cannot be spelled; a defect.
    #[error("{0}")]
    NotAnObject(#[from] codex_credentials::NotAnObject),
}

/// What a deletion did; one backend's failure does not keep the others.
#[derive(Debug)]
pub struct DeletedLogin {
    /// Whether a login was found and is gone now.
    pub had_login: bool,
    /// The same for its client.
    pub had_client: bool,
    /// Where a copy may be left, and why.
    pub failed: Vec<codex_credentials::StoreError>,
}

impl StoreError {
    /// Returns the whole chain as one sentence.
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut next = match self {
            // Its own message is ours already.
            Self::Secrets(error) => std::error::Error::source(error),
            Self::Lock(error) => std::error::Error::source(error),
            Self::Record(_) | Self::NotAnObject(_) => None,
        };
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        text
    }

    /// Returns what the user can do.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Secrets(error) => error.hints(),
            Self::Record(_) => vec!["log in again with `codex mcp login`".to_owned()],
            Self::Lock(_) | Self::NotAnObject(_) => Vec::new(),
        }
    }
}

/// The logins of one Codex home. Cloning is cheap.
#[derive(Clone)]
pub struct LoginStore(Arc<Inner>);

struct Inner {
    logins: SecretStore,
    clients: SecretStore,
    clock: Clock,
}

impl LoginStore {
    /// Opens the logins of a home. Nothing is read yet.
    pub fn open(settings: StoreSettings, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            logins: SecretStore::open(Collection::LOGINS, settings.clone()),
            clients: SecretStore::open(Collection::CLIENTS, settings),
            clock,
        }))
    }

    /// Returns the store of the tokens, for its notices and its test before a login.
    pub fn logins(&self) -> &SecretStore {
        &self.0.logins
    }

    /// Returns the store of the clients, for its notices.
    pub fn clients(&self) -> &SecretStore {
        &self.0.clients
    }

    /// Takes the lock of a login, between processes. Read again under it.
    pub async fn lock(&self, key: &ServerKey, limit: Duration) -> Result<KeyLock, StoreError> {
        Ok(self.0.logins.lock(&key.store_key(), limit).await?)
    }

    /// Reads a login. Needs no lock.
    pub async fn load(&self, key: &ServerKey) -> Result<Option<OAuthTokens>, StoreError> {
        let store_key = key.store_key();
        let Some(stored) = self.0.logins.load(&store_key).await?.found else {
            return Ok(None);
        };
        let mut login = StoredLogin::from_json(key, &stored.json)?;
        let (client, bound_token) = match self.read_client(key).await {
            // The login works without it: what it would tell is asked of the server again.
            Err(StoreError::Record(_)) => (None, None),
            client => client?,
        };
        // A client of another login tells nothing about this one: the reference may have replaced
        // the login and knows nothing of our second record. Ids of two issuers may be the same.
        let client = client.filter(|client| client.may_be_of(&login));
        let Some(mut client) = client else {
            let client = None;
            return Ok(Some(OAuthTokens { login, client }));
        };
        match login.access_token.is_empty() {
            true => login.access_token = bound_token.unwrap_or_else(|| Secret::new("")),
            // Another program has renewed the login and got a token without our key.
            false => client.dpop_key = None,
        }
        let client = Some(client);
        Ok(Some(OAuthTokens { login, client }))
    }

    /// Whether no login is stored for certain: a keyring that cannot be read may hold one.
    pub(crate) async fn holds_none(&self, key: &ServerKey) -> bool {
        self.0.logins.holds_none(&key.store_key()).await
    }

    /// Reads the client record alone, which outlives a login.
    pub async fn load_client(&self, key: &ServerKey) -> Result<Option<ClientRecord>, StoreError> {
        Ok(self.read_client(key).await?.0)
    }

    /// Reads the client record, and the access token that is bound to its key.
    async fn read_client(
        &self,
        key: &ServerKey,
    ) -> Result<(Option<ClientRecord>, Option<Secret>), StoreError> {
        match self.0.clients.load(&key.store_key()).await?.found {
            Some(stored) => Ok((
                Some(ClientRecord::from_json(&stored.json)?),
                ClientRecord::bound_token(&stored.json),
            )),
            None => Ok((None, None)),
        }
    }

    /// Writes a login under its lock.
    pub async fn save(&self, lock: &KeyLock, tokens: &OAuthTokens) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        let mut login = tokens.login.clone();
        if let Some(client) = &tokens.client {
            let record = client.to_record(now, Some(&login.access_token))?;
            self.0.clients.save(lock, &record).await?;
            if client.dpop_key.is_some() {
                login.access_token = Secret::new("");
            }
        }
        let record = login.to_record(now)?;
        self.0.logins.save(lock, &record).await?;
        Ok(())
    }

    /// Writes a client alone, before its first login or after its last one.
    pub async fn save_client(
        &self,
        lock: &KeyLock,
        client: &ClientRecord,
    ) -> Result<(), StoreError> {
        let record = client.to_record(self.0.clock.now(), None)?;
        self.0.clients.save(lock, &record).await?;
        Ok(())
    }

    /// Deletes both records from every backend.
    pub async fn delete(&self, lock: &KeyLock) -> DeletedLogin {
        let mut login = self.0.logins.delete(lock).await;
        let client = self.0.clients.delete(lock).await;
        login.failed.extend(client.failed);
        DeletedLogin {
            had_login: !login.removed.is_empty(),
            had_client: !client.removed.is_empty(),
            failed: login.failed,
        }
    }

    /// Deletes what a login left from every backend; the secret of a client that the user registered
    /// by hand stays, for it is configuration and cannot be had again.
    pub async fn delete_login(&self, key: &ServerKey, lock: &KeyLock) -> DeletedLogin {
        match self.load_client(key).await {
            Ok(Some(mut client))
                if client.kind == ClientKind::PreRegistered && client.client_secret.is_some() =>
            {
                let had_key = client.dpop_key.take().is_some();
                // A bound token stands in that record: it goes, or all of the record goes with it.
                if had_key && self.save_client(lock, &client).await.is_err() {
                    return self.delete(lock).await;
                }
                let login = self.0.logins.delete(lock).await;
                DeletedLogin {
                    had_login: !login.removed.is_empty(),
                    had_client: false,
                    failed: login.failed,
                }
            }
            // What cannot be read is of no use to the next login.
            Ok(_) | Err(_) => self.delete(lock).await,
        }
    }
}

impl fmt::Debug for LoginStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginStore")
    }
}
