//! What every step needs: the network, the time and our name.

use codex_host::Clock;
use codex_http::HttpClient;

/// The newest MCP revision that we speak; metadata requests carry it.
pub(crate) const NEWEST_REVISION: &str = "2026-07-28";

/// The outside world of this crate. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Services {
    /// The network.
    pub http: HttpClient,
    /// The time, for expiry and assertions.
    pub clock: Clock,
    /// Our version, for `User-Agent: codex-mcp-client/<version>`.
    pub version: String,
}

impl Services {
    /// Takes a client and the machine's clock.
    pub fn new(http: HttpClient, version: impl Into<String>) -> Self {
        Self {
            http,
            clock: Clock::system(),
            version: version.into(),
        }
    }
}
