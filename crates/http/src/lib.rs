//! The one HTTP stack: to the model's provider and to MCP servers.
//!
//! [`HttpClient`] pools connections, follows redirects only inside an origin, takes proxies and CA
//! files from an [`codex_host::Env`] and never from the process, and loads CA roots when the first
//! TLS handshake needs them; one peer can have [`PeerSettings`] of its own. A [`Response`] streams its [`Body`] under a byte and an idle limit;
//! [`SseDecoder`] and [`SseStream`] turn bytes into server-sent events.
//!
//! **Absent on purpose:** retries (callers know what is safe to repeat: [`HttpError::retry`] gives
//! them the facts), tokens, cookies, compression, HTTP/2.

mod body;
mod client;
mod dns;
mod error;
mod page;
mod peer;
mod proxy;
mod reach;
mod request;
mod retry_after;
mod sse;
mod tls;

pub use body::{Body, Response, SseStream};
pub use client::{AddressFilter, HttpClient, HttpSettings};
pub use error::{HttpError, HttpErrorKind, Retry, shown_origin, shown_url};
pub use page::page_words;
pub use peer::{PeerError, PeerSettings};
pub use reach::Reached;
pub use request::{Limits, Redirects, Request};
pub use retry_after::RetryAfter;
pub use sse::{SseDecoder, SseError, SseEvent};
