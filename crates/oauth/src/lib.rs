//! All of authorization for MCP servers: discovery, registration, logins, tokens and their renewal.
//!
//! One login runs [`discover`] -> [`LoginRequest::begin`] -> [`PendingLogin::finish`] ->
//! [`LoginStore::save`]. One session asks its [`TokenSource`] before each request and tells it what a
//! server refused. Between both stands [`RefreshTransaction`], which renews a token across processes
//! without losing it. Nothing here prints or opens a browser: the URL is a value, the answer too.
//!
//! This is written on `codex-http` and not on rmcp's auth module, decided here for these reasons:
//! that module keeps no client secret, loses `resource` after a restart, cannot read metadata without
//! an authorization endpoint, sees the first challenge header only, leaves error callbacks and
//! RFC 7009 to its user and brings a second HTTP stack. What is left of it, discovery and
//! registration, is a pure function here, and so a table of tests.
//!
//! **Absent on purpose:** config files, the environment, printing, browsers, the MCP protocol.

mod address;
mod back_off;
mod callback;
mod challenge;
mod client_auth;
mod deputy;
mod device;
mod discovery;
mod dpop;
mod enterprise;
mod exchange;
mod fetch;
mod foreign;
mod form;
mod fresh_file;
mod jwt;
mod login;
mod metadata;
mod pkce;
mod record;
mod refresh;
mod registration;
mod revocation;
mod scopes;
mod services;
mod source;
mod store;
mod unattended;

pub use callback::{Binding, CallbackError, CallbackSettings, CallbackSettingsError};
pub use challenge::{AuthScheme, Challenge};
pub use client_auth::{
    AuthMethod, ClientSettings, PreRegistered, Rung, SigningKey, SigningKeyError,
};
pub use deputy::Deputy;
#[cfg(unix)]
pub use deputy::serve_renewal;
pub use device::{DeviceError, DeviceLogin, DeviceRequest};
pub use discovery::{
    Discovery, DiscoveryError, DiscoveryRequest, Found, Seen, Trace, TraceStep, discover,
};
pub use dpop::DpopKey;
pub use enterprise::IdentityProvider;
pub use exchange::TokenRequestError;
pub use fetch::Answer;
pub use fresh_file::{FreshFile, FreshFileError};
pub use login::{
    CALLBACK_LIMIT, CallbackPaste, LoginError, LoginRequest, PasteError, PendingLogin,
};
pub use metadata::{MetadataError, ResourceMetadata, ServerMetadata};
pub use record::{ClientKind, ClientRecord, OAuthTokens, RecordError, ServerKey, StoredLogin};
pub use refresh::{RefreshError, RefreshTransaction, Renewed, Unsaved};
pub use registration::RegistrationError;
pub use revocation::{Revocation, revoke};
pub use scopes::{ScopeChoice, ScopeSource, ScopeWish, Scopes, choose_scopes};
pub use services::Services;
pub use source::{
    AccessToken, BoxFuture, LoginQuestion, LoginWanted, Nonce, Rejection, Retry, StoredTokenSource,
    TokenError, TokenSource, WhyLogin,
};
pub use store::{DeletedLogin, KeyLock, LoginStore, StoreError};
pub use unattended::{UnattendedGrant, UnattendedLogin, UnattendedSource};
