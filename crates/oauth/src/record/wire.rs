//! The JSON of both records: what the file and the keyring hold.
//!
//! Traps: the file's shape and the keyring's shape of a login differ, and neither may gain a field;
//! the reference writes `expires_at` in milliseconds and `expires_in` in seconds.

use codex_credentials::{NotAnObject, Record, SecretJson};
use codex_host::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ClientKind, ClientRecord, ServerKey, StoredLogin};
use crate::{AuthMethod, DpopKey, Scopes};

/// Why a stored record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not the JSON that was expected; the text never quotes it.
    #[error("the stored {what} is not readable (line {line}, column {column})")]
    Shape {
        /// `login` or `client`.
        what: &'static str,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// A value is none that we know.
    #[error("the stored {what} has an unknown `{field}`")]
    Value {
        /// `login` or `client`.
        what: &'static str,
        /// Which field.
        field: &'static str,
    },
}

/// A login as `.credentials.json` holds it.
#[derive(Serialize, Deserialize)]
struct FileLogin {
    server_name: String,
    server_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    client_id: String,
    access_token: String,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

/// A login as a keyring holds it.
#[derive(Serialize, Deserialize)]
struct KeyringLogin {
    server_name: String,
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    client_id: String,
    token_response: TokenResponse,
    #[serde(default)]
    expires_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct TokenResponse {
    access_token: String,
    #[serde(default = "bearer")]
    token_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

fn bearer() -> String {
    "bearer".to_owned()
}

/// Either shape: which backend a record came from need not be known.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyLogin {
    Keyring(KeyringLogin),
    File(FileLogin),
}

impl StoredLogin {
    /// Writes the record in both shapes.
    pub(crate) fn to_record(&self, now: Timestamp) -> Result<Record, NotAnObject> {
        let text = |secret: &Secret| secret.expose().to_owned();
        let expires_at = self.expires_at.map(Timestamp::as_millisecond);
        let left = expires_at.map(|end| end - now.as_millisecond());
        let file = FileLogin {
            server_name: self.key.name.to_string(),
            server_url: self.key.url.clone(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            access_token: text(&self.access_token),
            expires_at,
            refresh_token: self.refresh_token.as_ref().map(text),
            scopes: self.scopes.iter().map(str::to_owned).collect(),
        };
        let keyring = KeyringLogin {
            server_name: self.key.name.to_string(),
            url: self.key.url.clone(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            token_response: TokenResponse {
                access_token: text(&self.access_token),
                token_type: bearer(),
                expires_in: left.and_then(|left| u64::try_from(left / 1000).ok()),
                refresh_token: self.refresh_token.as_ref().map(text),
                scope: Some(self.scopes.to_string()).filter(|text| !text.is_empty()),
            },
            expires_at,
        };
        Ok(Record {
            file: SecretJson::from_value(&file)?,
            keyring: SecretJson::from_value(&keyring)?,
        })
    }

    /// Reads a record of either shape. Name and URL are those that were asked for: the key says it.
    pub(crate) fn from_json(key: &ServerKey, json: &SecretJson) -> Result<Self, RecordError> {
        let what = "login";
        let time = |milliseconds: Option<i64>| match milliseconds.map(Timestamp::from_millisecond) {
            None => Ok(None),
            Some(Ok(time)) => Ok(Some(time)),
            Some(Err(_)) => Err(RecordError::Value {
                what,
                field: "expires_at",
            }),
        };
        let any: AnyLogin = json.parse().map_err(|error| shape(what, &error))?;
        // Empty is how a record without a token may look; it is none.
        let secret = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
        Ok(match any {
            AnyLogin::File(file) => Self {
                key: key.clone(),
                issuer: file.issuer,
                client_id: file.client_id,
                access_token: Secret::new(file.access_token),
                expires_at: time(file.expires_at)?,
                refresh_token: secret(file.refresh_token),
                scopes: file.scopes.iter().collect(),
            },
            AnyLogin::Keyring(keyring) => Self {
                key: key.clone(),
                issuer: keyring.issuer,
                client_id: keyring.client_id,
                expires_at: time(keyring.expires_at)?,
                access_token: Secret::new(keyring.token_response.access_token),
                refresh_token: secret(keyring.token_response.refresh_token),
                scopes: Scopes::parse(&keyring.token_response.scope.unwrap_or_default()),
            },
        })
    }
}

/// A client as both backends hold it.
#[derive(Serialize, Deserialize)]
struct RawClient {
    issuer: String,
    client_id: String,
    #[serde(default)]
    client_secret: Option<String>,
    kind: String,
    auth_method: String,
    #[serde(default)]
    redirect_uri: Option<String>,
    #[serde(default)]
    token_endpoint: Option<url::Url>,
    #[serde(default)]
    revocation_endpoint: Option<url::Url>,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    scopes_requested: Vec<String>,
    #[serde(default)]
    secret_expires_at: Option<i64>,
    #[serde(default)]
    obtained_at: Option<i64>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dpop_key: Option<String>,
    /// The token that is bound to that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// When it was written, in milliseconds: tells the newer of two copies.
    #[serde(default)]
    saved_at: i64,
}

const NEEDS_LOGIN: &str = "needs_login";

/// What `token_type` says of a bound token.
const DPOP: &str = "DPoP";

impl ClientRecord {
    /// Writes the record, with the access token when that is bound to a key.
    pub(crate) fn to_record(
        &self,
        now: Timestamp,
        access_token: Option<&Secret>,
    ) -> Result<Record, NotAnObject> {
        let text = |secret: &Secret| secret.expose().to_owned();
        let key = self.dpop_key.as_ref();
        let raw = RawClient {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.as_ref().map(text),
            kind: self.kind.as_str().to_owned(),
            auth_method: self.auth_method.as_str().to_owned(),
            redirect_uri: self.redirect_uri.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            resource: self.resource.clone(),
            scopes_requested: self.scopes_requested.iter().map(str::to_owned).collect(),
            secret_expires_at: self.secret_expires_at.map(Timestamp::as_millisecond),
            obtained_at: self.obtained_at.map(Timestamp::as_millisecond),
            state: self.needs_login.then(|| NEEDS_LOGIN.to_owned()),
            token_type: key.map(|_| DPOP.to_owned()),
            dpop_key: key.map(|key| text(key.to_text())),
            access_token: key.and(access_token).map(text),
            saved_at: now.as_millisecond(),
        };
        SecretJson::from_value(&raw).map(Record::same)
    }

    pub(crate) fn from_json(json: &SecretJson) -> Result<Self, RecordError> {
        let what = "client";
        let raw: RawClient = json.parse().map_err(|error| shape(what, &error))?;
        let unknown = |field| RecordError::Value { what, field };
        let key = raw
            .dpop_key
            .map(|text| DpopKey::from_text(Secret::new(text)));
        let end = raw.secret_expires_at.map(Timestamp::from_millisecond);
        Ok(Self {
            issuer: raw.issuer,
            client_id: raw.client_id,
            client_secret: raw.client_secret.map(Secret::new),
            kind: ClientKind::parse(&raw.kind).ok_or(unknown("kind"))?,
            auth_method: AuthMethod::parse(&raw.auth_method).ok_or(unknown("auth_method"))?,
            redirect_uri: raw.redirect_uri,
            token_endpoint: raw.token_endpoint,
            revocation_endpoint: raw.revocation_endpoint,
            resource: raw.resource,
            scopes_requested: raw.scopes_requested.iter().collect(),
            secret_expires_at: end.transpose().map_err(|_| unknown("secret_expires_at"))?,
            obtained_at: raw
                .obtained_at
                .and_then(|time| Timestamp::from_millisecond(time).ok()),
            needs_login: raw.state.as_deref() == Some(NEEDS_LOGIN),
            dpop_key: match key {
                Some(None) => return Err(unknown("dpop_key")),
                key => key.flatten(),
            },
        })
    }

    /// Reads the access token of a record whose token is bound to its key.
    pub(crate) fn bound_token(json: &SecretJson) -> Option<Secret> {
        let raw: RawClient = json.parse().ok()?;
        raw.dpop_key.and(raw.access_token).map(Secret::new)
    }
}

impl ClientKind {
    const ALL: [Self; 3] = [Self::PreRegistered, Self::MetadataDocument, Self::Dynamic];

    fn as_str(self) -> &'static str {
        match self {
            Self::PreRegistered => "preregistered",
            Self::MetadataDocument => "cimd",
            Self::Dynamic => "dynamic",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

fn shape(what: &'static str, error: &serde_json::Error) -> RecordError {
    RecordError::Shape {
        what,
        line: error.line(),
        column: error.column(),
    }
}

#[cfg(test)]
mod tests {
    use codex_protocol::ServerName;
    use insta::assert_snapshot;

    use super::*;

    fn login() -> StoredLogin {
        StoredLogin {
            key: ServerKey::new(ServerName::from_config("ev"), "http://127.0.0.1:4011/mcp"),
            issuer: Some("http://127.0.0.1:4010".into()),
            client_id: "c".into(),
            access_token: Secret::new("at"),
            expires_at: Some(Timestamp::from_millisecond(1_700_000_005_000).unwrap()),
            refresh_token: Some(Secret::new("rt")),
            scopes: Scopes::parse("a b"),
        }
    }

    fn client() -> ClientRecord {
        ClientRecord {
            issuer: "http://127.0.0.1:4010".into(),
            client_id: "c".into(),
            client_secret: Some(Secret::new("s")),
            kind: ClientKind::Dynamic,
            auth_method: AuthMethod::ClientSecretPost,
            redirect_uri: Some("http://127.0.0.1:1/callback/x".into()),
            token_endpoint: Some("http://127.0.0.1:4010/token".parse().unwrap()),
            revocation_endpoint: None,
            resource: Some("http://127.0.0.1:4011/mcp".into()),
            scopes_requested: Scopes::parse("a"),
            secret_expires_at: None,
            obtained_at: Some(now()),
            needs_login: true,
            dpop_key: None,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000).unwrap()
    }

    // The shapes of codex 0.169.0 (2026-11-20), field by field.
    #[test]
    fn a_login_has_exactly_the_fields_of_the_reference() {
        let record = login().to_record(now()).unwrap();
        assert_snapshot!(record.file.expose(), @r#"{"server_name":"ev","server_url":"http://127.0.0.1:4011/mcp","issuer":"http://127.0.0.1:4010","client_id":"c","access_token":"at","expires_at":1700000005000,"refresh_token":"rt","scopes":["a","b"]}"#);
        assert_snapshot!(record.keyring.expose(), @r#"{"server_name":"ev","url":"http://127.0.0.1:4011/mcp","issuer":"http://127.0.0.1:4010","client_id":"c","token_response":{"access_token":"at","token_type":"bearer","expires_in":5,"refresh_token":"rt","scope":"a b"},"expires_at":1700000005000}"#);
    }

    #[test]
    fn both_shapes_read_back_as_what_was_written() {
        let record = login().to_record(now()).unwrap();
        for json in [record.file, record.keyring] {
            assert_eq!(
                StoredLogin::from_json(&login().key, &json).unwrap(),
                login()
            );
        }
        let record = client().to_record(now(), Some(&Secret::new("at"))).unwrap();
        assert_eq!(ClientRecord::from_json(&record.file).unwrap(), client());
        assert_eq!(ClientRecord::bound_token(&record.file), None);
    }

    #[test]
    fn a_bound_token_stands_beside_its_key() {
        let bound = ClientRecord {
            dpop_key: Some(DpopKey::generate().unwrap()),
            ..client()
        };
        let token = Secret::new("at");
        let record = bound.to_record(now(), Some(&token)).unwrap();
        assert_eq!(ClientRecord::from_json(&record.file).unwrap(), bound);
        assert_eq!(ClientRecord::bound_token(&record.file), Some(token));
        let json = SecretJson::from_text(record.file.expose().replace("DPoP", "x")).unwrap();
        assert!(ClientRecord::from_json(&json).is_ok());
        let key = bound.dpop_key.unwrap();
        let text = record
            .file
            .expose()
            .replace(key.to_text().expose(), "hunter2");
        let error = ClientRecord::from_json(&SecretJson::from_text(text).unwrap());
        let shown = error.unwrap_err().to_string();
        assert_eq!(shown, "the stored client has an unknown `dpop_key`");
    }

    #[test]
    fn what_the_reference_leaves_out_is_absent() {
        let text = r#"{"server_name":"ev","server_url":"u","client_id":"c","access_token":"at","expires_at":null,"refresh_token":null,"scopes":[]}"#;
        let json = SecretJson::from_text(text.to_owned()).unwrap();
        let read = StoredLogin::from_json(&login().key, &json).unwrap();
        assert_eq!(
            (read.issuer, read.expires_at, read.refresh_token),
            (None, None, None)
        );
    }

    #[test]
    fn an_unreadable_record_is_an_error_without_its_text() {
        let json = SecretJson::from_text(r#"{"access_token": "hunter2"}"#.to_owned()).unwrap();
        let error = StoredLogin::from_json(&login().key, &json).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let json = SecretJson::from_text(r#"{"issuer": 1}"#.to_owned()).unwrap();
        assert!(ClientRecord::from_json(&json).is_err());
    }
}
