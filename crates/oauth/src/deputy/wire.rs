//! What we and the deputy say to each other: one JSON object each way. Both are the same version of
//! the same program; another one refuses the order.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use codex_credentials::{KeyringBackend, SecretJson, StoreSettings};
use codex_host::{AbsPath, Clock, CodexHome, Env, Secret};
use codex_http::{HttpClient, PeerSettings};
use codex_protocol::ServerName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AuthMethod, ClientRecord, ClientSettings, KeyLock, LoginStore, OAuthTokens, PreRegistered,
    RefreshError, RefreshTransaction, Renewed, ServerKey, Services, StoredLogin, Unsaved,
};

/// A login has some 5 KB.
pub(crate) const MAX_MESSAGE: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct RawOrder {
    version: String,
    home: PathBuf,
    policy: String,
    keyring_limit_ms: u64,
    server_name: String,
    server_url: String,
    tokens: RawTokens,
    client_id: Option<String>,
    client_secret: Option<String>,
    auth_method: Option<String>,
    pinned_issuer: Option<String>,
    peer: RawPeer,
}

/// The way to the server, where it has one of its own; the environment goes along by itself.
#[derive(Serialize, Deserialize)]
struct RawPeer {
    proxy: Option<String>,
    no_proxy: Option<String>,
    ca_file: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

/// Both records as the file holds them, each a JSON text.
#[derive(Serialize, Deserialize)]
struct RawTokens {
    login: String,
    client: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RawUnsaved {
    why: String,
    replaced: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAnswer {
    Renewed {
        tokens: RawTokens,
        unsaved: Option<RawUnsaved>,
    },
    LoginRequired {
        why: String,
        had_login: bool,
    },
    Transient {
        why: String,
        after_ms: Option<u64>,
    },
    Refused(String),
    Store(String),
}

impl RawPeer {
    fn of(settings: &PeerSettings) -> Self {
        let PeerSettings {
            proxy,
            no_proxy,
            ca_file,
            client_cert,
            client_key,
        } = settings.clone();
        Self {
            proxy: proxy.map(|proxy| proxy.expose().to_owned()),
            no_proxy,
            ca_file,
            client_cert,
            client_key,
        }
    }

    fn settings(self) -> PeerSettings {
        PeerSettings {
            proxy: self.proxy.map(Secret::new),
            no_proxy: self.no_proxy,
            ca_file: self.ca_file,
            client_cert: self.client_cert,
            client_key: self.client_key,
        }
    }
}

/// An order that can be carried out.
pub(crate) struct Order {
    refresh: RefreshTransaction,
    tokens: OAuthTokens,
}

impl Order {
    pub(crate) fn begin(self, lock: OwnedFd) -> (RefreshTransaction, KeyLock, OAuthTokens) {
        let lock = KeyLock::inherited(self.refresh.key().store_key(), lock);
        (self.refresh, lock, self.tokens)
    }
}

/// Writes the order; `None` when it is one that we carry out ourselves: a private key, whose kind of
/// proof no file holds, does not leave this process.
pub(crate) fn order(refresh: &RefreshTransaction, tokens: &OAuthTokens) -> Option<SecretJson> {
    let client = refresh.client();
    if client.signing_key.is_some() {
        return None;
    }
    let configured = client.pre_registered.as_ref();
    let secret = configured.and_then(|client| client.secret.as_ref());
    let settings = refresh.store().logins().settings();
    let raw = RawOrder {
        version: refresh.version().to_owned(),
        home: settings.home.path().as_path().to_owned(),
        policy: settings.policy.to_string(),
        keyring_limit_ms: milliseconds(settings.keyring_limit),
        server_name: refresh.key().name.to_string(),
        server_url: refresh.key().url.clone(),
        tokens: write(tokens, refresh.now())?,
        client_id: configured.map(|client| client.client_id.clone()),
        client_secret: secret.map(|secret| secret.expose().to_owned()),
        auth_method: client.auth_method.map(|method| method.to_string()),
        pinned_issuer: client.pinned_issuer.clone(),
        peer: RawPeer::of(refresh.http().peer_settings()),
    };
    SecretJson::from_value(&raw).ok()
}

pub(crate) fn read_order(text: String, env: Env, version: &str) -> Option<Order> {
    let raw: RawOrder = SecretJson::from_text(text).ok()?.parse().ok()?;
    if raw.version != version {
        return None;
    }
    let key = ServerKey::new(ServerName::from_config(&raw.server_name), raw.server_url);
    let tokens = read(&key, raw.tokens)?;
    let settings = StoreSettings {
        policy: raw.policy.parse().ok()?,
        home: CodexHome::at(AbsPath::new(raw.home).ok()?),
        keyring: KeyringBackend::system(&env),
        keyring_limit: Duration::from_millis(raw.keyring_limit_ms),
    };
    let store = LoginStore::open(settings, Clock::system());
    let client = ClientSettings {
        pre_registered: raw.client_id.map(|client_id| PreRegistered {
            client_id,
            secret: raw.client_secret.map(Secret::new),
        }),
        auth_method: match raw.auth_method {
            Some(word) => Some(AuthMethod::parse(&word)?),
            None => None,
        },
        pinned_issuer: raw.pinned_issuer,
        ..ClientSettings::default()
    };
    let http = HttpClient::from_env(env).for_peer(&raw.peer.settings());
    let services = Services::new(http.ok()?, version);
    let refresh = RefreshTransaction::new(key, store, client, services);
    Some(Order { refresh, tokens })
}

pub(crate) fn answer(outcome: Result<Renewed, RefreshError>) -> Option<SecretJson> {
    let raw = match outcome {
        Ok(Renewed { tokens, unsaved }) => RawAnswer::Renewed {
            tokens: write(&tokens, Timestamp::UNIX_EPOCH)?,
            unsaved: unsaved.map(|Unsaved { why, replaced }| RawUnsaved {
                why,
                replaced: replaced.map(|token| token.expose().to_owned()),
            }),
        },
        Err(RefreshError::LoginRequired { why, had_login }) => {
            RawAnswer::LoginRequired { why, had_login }
        }
        Err(RefreshError::Transient { why, after }) => RawAnswer::Transient {
            why,
            after_ms: after.map(milliseconds),
        },
        Err(RefreshError::Refused(why)) => RawAnswer::Refused(why),
        Err(RefreshError::Store(why)) => RawAnswer::Store(why),
    };
    SecretJson::from_value(&raw).ok()
}

/// Reads the answer; `None` when it broke off.
pub(crate) fn read_answer(
    key: &ServerKey,
    bytes: Vec<u8>,
) -> Option<Result<Renewed, RefreshError>> {
    let text = String::from_utf8(bytes).ok()?;
    Some(match SecretJson::from_text(text).ok()?.parse().ok()? {
        RawAnswer::Renewed { tokens, unsaved } => {
            let tokens = read(key, tokens)?;
            let unsaved = unsaved.map(|RawUnsaved { why, replaced }| Unsaved {
                why,
                replaced: replaced.map(Secret::new),
            });
            Ok(Renewed { tokens, unsaved })
        }
        RawAnswer::LoginRequired { why, had_login } => {
            Err(RefreshError::LoginRequired { why, had_login })
        }
        RawAnswer::Transient { why, after_ms } => Err(RefreshError::Transient {
            why,
            after: after_ms.map(Duration::from_millis),
        }),
        RawAnswer::Refused(why) => Err(RefreshError::Refused(why)),
        RawAnswer::Store(why) => Err(RefreshError::Store(why)),
    })
}

fn write(tokens: &OAuthTokens, now: Timestamp) -> Option<RawTokens> {
    let client = match &tokens.client {
        Some(client) => Some(client.to_record(now, None).ok()?),
        None => None,
    };
    Some(RawTokens {
        login: tokens.login.to_record(now).ok()?.file.expose().to_owned(),
        client: client.map(|record| record.file.expose().to_owned()),
    })
}

fn read(key: &ServerKey, raw: RawTokens) -> Option<OAuthTokens> {
    let login = SecretJson::from_text(raw.login).ok()?;
    let client = match raw.client {
        Some(text) => {
            let json = SecretJson::from_text(text).ok()?;
            Some(ClientRecord::from_json(&json).ok()?)
        }
        None => None,
    };
    Some(OAuthTokens {
        login: StoredLogin::from_json(key, &login).ok()?,
        client,
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientKind, Scopes};

    fn refresh(home: &std::path::Path) -> RefreshTransaction {
        let peer = PeerSettings {
            proxy: Some(Secret::new("http://u:p@127.0.0.1:9")),
            no_proxy: Some("a.example".into()),
            ..PeerSettings::default()
        };
        let http = HttpClient::from_env(Env::default())
            .for_peer(&peer)
            .unwrap();
        let settings = StoreSettings {
            policy: codex_credentials::StorePolicy::Keyring,
            home: CodexHome::at(AbsPath::new(home).unwrap()),
            keyring: KeyringBackend::system(&Env::default()),
            keyring_limit: Duration::from_millis(1500),
        };
        let client = ClientSettings {
            pre_registered: Some(PreRegistered {
                client_id: "c".into(),
                secret: Some(Secret::new("s")),
            }),
            auth_method: Some(AuthMethod::ClientSecretPost),
            pinned_issuer: Some("http://127.0.0.1:2".into()),
            ..ClientSettings::default()
        };
        let key = ServerKey::new(ServerName::from_config("ä b"), "http://127.0.0.1:1/mcp");
        let store = LoginStore::open(settings, Clock::system());
        RefreshTransaction::new(key, store, client, Services::new(http, "1.2.3"))
    }

    fn tokens(key: &ServerKey) -> OAuthTokens {
        OAuthTokens {
            login: StoredLogin {
                key: key.clone(),
                issuer: Some("http://127.0.0.1:2".into()),
                client_id: "c".into(),
                access_token: Secret::new("at"),
                expires_at: Some(Timestamp::from_millisecond(1_700_000_005_001).unwrap()),
                refresh_token: Some(Secret::new("rt")),
                scopes: Scopes::parse("a b"),
            },
            client: Some(ClientRecord {
                issuer: "http://127.0.0.1:2".into(),
                client_id: "c".into(),
                client_secret: Some(Secret::new("s2")),
                kind: ClientKind::Dynamic,
                auth_method: AuthMethod::ClientSecretPost,
                redirect_uri: None,
                token_endpoint: Some("http://127.0.0.1:2/token".parse().unwrap()),
                revocation_endpoint: None,
                resource: Some("http://127.0.0.1:1/mcp".into()),
                scopes_requested: Scopes::parse("a b c"),
                secret_expires_at: None,
                obtained_at: Some(Timestamp::from_millisecond(1_700_000_000_001).unwrap()),
                needs_login: false,
                dpop_key: Some(crate::DpopKey::generate().unwrap()),
            }),
        }
    }

    #[test]
    fn an_order_arrives_whole_and_only_at_the_same_version() {
        let home = tempfile::tempdir().unwrap();
        let ours = refresh(home.path());
        let tokens = tokens(ours.key());
        let text = order(&ours, &tokens).unwrap().expose().to_owned();
        assert!(read_order(text.clone(), Env::default(), "1.2.4").is_none());
        let theirs = read_order(text, Env::default(), "1.2.3").unwrap();
        assert_eq!(theirs.tokens, tokens);
        let theirs = theirs.refresh;
        assert_eq!(theirs.key(), ours.key());
        assert_eq!(theirs.client().pre_registered, ours.client().pre_registered);
        assert_eq!(theirs.client().auth_method, ours.client().auth_method);
        assert_eq!(theirs.client().pinned_issuer, ours.client().pinned_issuer);
        assert_eq!(theirs.http().peer_settings(), ours.http().peer_settings());
        let (theirs, ours) = (theirs.store().logins(), ours.store().logins());
        let (theirs, ours) = (theirs.settings(), ours.settings());
        assert_eq!(theirs.policy, ours.policy);
        assert_eq!(theirs.home.path(), ours.home.path());
        assert_eq!(theirs.keyring_limit, ours.keyring_limit);
    }

    #[test]
    fn every_answer_arrives_as_it_was_given() {
        let home = tempfile::tempdir().unwrap();
        let key = refresh(home.path()).key().clone();
        let rows = [
            Ok(Renewed {
                tokens: tokens(&key),
                unsaved: Some(Unsaved {
                    why: "disk full".into(),
                    replaced: Some(Secret::new("rt0")),
                }),
            }),
            Err(RefreshError::LoginRequired {
                why: "w".into(),
                had_login: true,
            }),
            Err(RefreshError::Transient {
                why: "w".into(),
                after: Some(Duration::from_secs(7)),
            }),
            Err(RefreshError::Refused("w".into())),
            Err(RefreshError::Store("w".into())),
        ];
        for row in rows {
            let text = answer(row.clone()).unwrap().expose().to_owned();
            let read = read_answer(&key, text.into_bytes()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{row:?}"));
            if let (Ok(read), Ok(row)) = (read, row) {
                assert_eq!(read.tokens, row.tokens);
                assert_eq!(read.unsaved, row.unsaved);
            }
        }
        assert!(read_answer(&key, b"{\"renewed\":".to_vec()).is_none());
        assert!(read_answer(&key, Vec::new()).is_none());
    }
}
