//! The end of a login: revoked at the server, deleted from every backend.

use std::path::Path;

use codex_config::{McpServerConfig, McpTransport};
use codex_credentials::SecretStore;
use codex_oauth::{Revocation, StoreError, revoke};
use codex_protocol::ServerName;
use jiff::Timestamp;

use super::login::{LoginFailure, may_reach};
use super::{McpAuth, key, settings};

/// What became of a login.
#[derive(Debug, Default)]
pub struct Logout {
    /// Whether a login was deleted.
    pub removed: bool,
    /// Whether its client was deleted: a registration, or the secret of one that was made by hand.
    pub removed_client: bool,
    /// What the server did with the tokens; `None` when there were none.
    pub revocation: Option<Revocation>,
    /// When the access token ends by itself, if it is known.
    pub expires_at: Option<Timestamp>,
    /// Where a copy may be left: one sentence and its hints each.
    pub left: Vec<(String, Vec<String>)>,
    /// What the stores had to say.
    pub notes: Vec<String>,
}

/// What becomes of the secret of a client that was registered by hand.
enum ClientSecret {
    Stays,
    Goes,
}

impl McpAuth {
    /// Ends the login of a server: best effort at the server, for certain here. The secret of a
    /// client that was registered by hand stays.
    pub async fn logout(&self, server: &McpServerConfig, cwd: &Path) -> Result<Logout, StoreError> {
        self.end_login(server, cwd, ClientSecret::Stays).await
    }

    /// Ends the login of a server that leaves the config: its client goes too, secret and all.
    pub async fn remove(&self, server: &McpServerConfig, cwd: &Path) -> Result<Logout, StoreError> {
        self.end_login(server, cwd, ClientSecret::Goes).await
    }

    async fn end_login(
        &self,
        server: &McpServerConfig,
        cwd: &Path,
        secret: ClientSecret,
    ) -> Result<Logout, StoreError> {
        let McpTransport::StreamableHttp(http) = &server.transport else {
            return Ok(Logout::default());
        };
        let key = key(server, http);
        let lock = self.0.store.lock(&key, SecretStore::LOCK_LIMIT).await?;
        // What cannot be read can still be deleted.
        let tokens = self.0.store.load(&key).await.ok().flatten();
        let mut logout = Logout::default();
        if let Some(tokens) = &tokens {
            logout.expires_at = tokens.login.expires_at;
            let ready = || {
                // A server that may not run is not reached for this either.
                may_reach(server)?;
                let client = settings::client(server, http, self, cwd)?;
                Ok::<_, LoginFailure>((client, self.services(server, cwd)?))
            };
            logout.revocation = Some(match ready() {
                Ok((client, services)) => revoke(tokens, &client, &services).await,
                Err(error) => Revocation::Failed {
                    why: error.to_string(),
                },
            });
        }
        let deleted = match secret {
            ClientSecret::Stays => self.0.store.delete_login(&key, &lock).await,
            ClientSecret::Goes => self.0.store.delete(&lock).await,
        };
        logout.removed = deleted.had_login;
        logout.removed_client = deleted.had_client;
        for error in deleted.failed {
            let error = StoreError::from(error);
            logout.left.push((error.sentence(), error.hints()));
        }
        logout.notes = self.take_notices();
        Ok(logout)
    }

    /// Removes what the credential file holds for a server that is gone from the config.
    pub async fn forget(&self, server: &ServerName) -> Result<bool, StoreError> {
        let prefix = format!("{server}|");
        let mut removed = false;
        for store in [self.0.store.logins(), self.0.store.clients()] {
            let prefix = prefix.clone();
            let doomed = store
                .delete_from_file_where(move |key, _| {
                    // The name of another server may hold the sign too.
                    let hash = key.as_str().strip_prefix(&prefix);
                    hash.is_some_and(|hash| !hash.contains('|'))
                })
                .await?;
            removed |= !doomed.is_empty();
        }
        Ok(removed)
    }
}
