//! From `callback_url` and `callback_port` to a redirect URI and the addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use crate::pkce::base64url_sha256;

/// What the config says about the callback of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallbackSettings {
    /// `oauth.callback_url`, else `mcp_oauth_callback_url`, byte for byte.
    pub url: Option<String>,
    /// `oauth.callback_port`, else `mcp_oauth_callback_port`.
    pub port: Option<u16>,
}

/// Why a callback URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the OAuth callback URL `{url}` {why}")]
pub struct CallbackSettingsError {
    url: String,
    why: &'static str,
}

/// Why nobody can wait for the callback.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] CallbackSettingsError),
    /// The port is taken, or may not be used.
    #[error("cannot listen on {address} for the OAuth callback: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: String,
    },
}

/// Where to listen and what to send: [`CallbackSettings`] with everything decided but a free port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where the listener must be.
    pub address: SocketAddr,
    /// Where it is too, if the machine can: a name may resolve to both families.
    pub also: Option<SocketAddr>,
    /// What the user should know.
    pub notes: Vec<String>,
    uri: RedirectUri,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RedirectUri {
    /// As configured.
    Verbatim(String),
    /// With the listener's port put in.
    WithPort(Url),
}

impl CallbackSettings {
    /// Decides everything but a free port. `server_url` is the configured URL; a server that names
    /// itself in its answers (RFC 9207) needs no path of its own to be told from others.
    pub fn binding(
        &self,
        server_url: &str,
        names_itself: bool,
    ) -> Result<Binding, CallbackSettingsError> {
        let Some(text) = &self.url else {
            let path = match names_itself {
                true => "/callback".to_owned(),
                false => format!("/callback/{}", &base64url_sha256(server_url)[..12]),
            };
            let error = CallbackSettingsError {
                url: path.clone(),
                why: "is not a URL",
            };
            let mut url = Url::parse("http://127.0.0.1/").map_err(|_| error)?;
            url.set_path(&path);
            return Ok(Binding {
                address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port.unwrap_or(0)),
                also: None,
                notes: Vec::new(),
                uri: RedirectUri::WithPort(url),
            });
        };
        let url = check(text)?;
        let own_port = explicit_port(text, &url);
        let port = self.port.or(own_port).unwrap_or(0);
        let mut notes = Vec::new();
        let local = local_host(&url);
        if let (Some(own), Some(listen)) = (own_port, self.port)
            && own != listen
            && local.is_some()
        {
            notes.push(format!(
                "the callback URL names port {own}, this program listens on {listen}"
            ));
        }
        let (ip, also): (IpAddr, Option<IpAddr>) = match local {
            Some(Local::V4) => (Ipv4Addr::LOCALHOST.into(), None),
            Some(Local::Name) => (Ipv4Addr::LOCALHOST.into(), Some(Ipv6Addr::LOCALHOST.into())),
            Some(Local::V6) => (Ipv6Addr::LOCALHOST.into(), Some(Ipv4Addr::LOCALHOST.into())),
            None => (Ipv4Addr::UNSPECIFIED.into(), None),
        };
        if local.is_none() && url.scheme() == "http" {
            notes.push(format!(
                "the callback URL `{text}` is plain http: the code can be read on its way"
            ));
        }
        if local.is_none() && port == 0 {
            notes.push(
                "the ingress must reach a port that changes with each login; set `oauth.callback_port`"
                    .to_owned(),
            );
        }
        let uri = match (local, own_port) {
            (Some(_), None) if url.scheme() == "http" => RedirectUri::WithPort(url),
            _ => RedirectUri::Verbatim(text.clone()),
        };
        Ok(Binding {
            address: SocketAddr::new(ip, port),
            also: also.map(|ip| SocketAddr::new(ip, port)),
            notes,
            uri,
        })
    }
}

impl Binding {
    /// Returns the redirect URI for a listener on this port.
    pub fn redirect_uri(&self, port: u16) -> String {
        match &self.uri {
            RedirectUri::Verbatim(text) => text.clone(),
            RedirectUri::WithPort(url) => {
                let mut url = url.clone();
                let is_set = url.set_port(Some(port)).is_ok();
                debug_assert!(is_set, "an http URL takes a port");
                url.into()
            }
        }
    }

    /// Returns the redirect URI to register by hand: without a port when it changes each time.
    pub fn redirect_uri_to_register(&self) -> String {
        match (&self.uri, self.address.port()) {
            (RedirectUri::WithPort(url), 0) => url.to_string(),
            (_, port) => self.redirect_uri(port),
        }
    }

    /// Whether the port of the redirect URI changes from login to login.
    pub fn is_port_free(&self) -> bool {
        self.address.port() == 0 && matches!(self.uri, RedirectUri::WithPort(_))
    }

    /// Whether only this machine reaches the listener.
    pub(crate) fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

/// The three spellings of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    Name,
    V4,
    V6,
}

fn local_host(url: &Url) -> Option<Local> {
    match url.host()? {
        Host::Domain("localhost") => Some(Local::Name),
        Host::Ipv4(Ipv4Addr::LOCALHOST) => Some(Local::V4),
        Host::Ipv6(Ipv6Addr::LOCALHOST) => Some(Local::V6),
        _ => None,
    }
}

fn check(text: &str) -> Result<Url, CallbackSettingsError> {
    let error = |why| CallbackSettingsError {
        url: crate::exchange::plain_text(text, 200),
        why,
    };
    let url: Url = text.parse().map_err(|_| error("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(error("is not an http or https URL"));
    }
    if url.fragment().is_some() {
        return Err(error("has a fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error("carries user info"));
    }
    Ok(url)
}

/// The port as written: the parser drops `:80` and `:443`.
fn explicit_port(text: &str, url: &Url) -> Option<u16> {
    let authority = text.split_once("://")?.1;
    let authority = authority.split(['/', '?', '#']).next()?;
    let after_host = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    let digits = after_host.rsplit_once(':')?.1;
    url.port().or_else(|| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(url: &str, port: u16) -> String {
        let settings = CallbackSettings {
            url: Some(url.to_owned()).filter(|url| !url.is_empty()),
            port: Some(port).filter(|port| *port != 0),
        };
        match settings.binding("https://mcp.example.com/mcp", false) {
            Ok(binding) => {
                let free = 9;
                let shown = |address: SocketAddr| address.to_string();
                let also = binding
                    .also
                    .map(|also| format!(" and {also}"))
                    .unwrap_or_default();
                let listen = match binding.address.port() {
                    0 => free,
                    port => port,
                };
                format!(
                    "{} <- {}{also}, {} notes",
                    binding.redirect_uri(listen),
                    shown(binding.address),
                    binding.notes.len()
                )
            }
            Err(error) => error.to_string(),
        }
    }

    // Contract-oauth 5, row by row; port 9 stands for a free one.
    #[test]
    fn the_table_of_bindings() {
        let rows = [
            (
                "",
                0,
                "http://127.0.0.1:9/callback/epMNJ6P1xGQ9 <- 127.0.0.1:0, 0 notes",
            ),
            (
                "",
                5555,
                "http://127.0.0.1:5555/callback/epMNJ6P1xGQ9 <- 127.0.0.1:5555, 0 notes",
            ),
            (
                "http://127.0.0.1/cb",
                0,
                "http://127.0.0.1:9/cb <- 127.0.0.1:0, 0 notes",
            ),
            (
                "http://127.0.0.1/cb",
                5555,
                "http://127.0.0.1:5555/cb <- 127.0.0.1:5555, 0 notes",
            ),
            (
                "http://localhost:7777/cb",
                0,
                "http://localhost:7777/cb <- 127.0.0.1:7777 and [::1]:7777, 0 notes",
            ),
            (
                "http://LOCALHOST:7777/cb",
                0,
                "http://LOCALHOST:7777/cb <- 127.0.0.1:7777 and [::1]:7777, 0 notes",
            ),
            (
                "http://[::1]:7777/cb",
                0,
                "http://[::1]:7777/cb <- [::1]:7777 and 127.0.0.1:7777, 0 notes",
            ),
            (
                "http://127.0.0.1:7777/cb",
                5555,
                "http://127.0.0.1:7777/cb <- 127.0.0.1:5555, 1 notes",
            ),
            (
                "https://box.example/callback",
                5555,
                "https://box.example/callback <- 0.0.0.0:5555, 0 notes",
            ),
            (
                "https://box.example/callback",
                0,
                "https://box.example/callback <- 0.0.0.0:0, 1 notes",
            ),
            (
                "http://box.example:8080/cb",
                0,
                "http://box.example:8080/cb <- 0.0.0.0:8080, 1 notes",
            ),
            (
                "http://localhost:80/cb",
                0,
                "http://localhost:80/cb <- 127.0.0.1:80 and [::1]:80, 0 notes",
            ),
            (
                "https://box.example:443/cb?x=1",
                0,
                "https://box.example:443/cb?x=1 <- 0.0.0.0:443, 0 notes",
            ),
            (
                "ftp://box.example/cb",
                0,
                "the OAuth callback URL `ftp://box.example/cb` is not an http or https URL",
            ),
            (
                "http://localhost/cb#x",
                0,
                "the OAuth callback URL `http://localhost/cb#x` has a fragment",
            ),
            (
                "http://me@localhost/cb",
                0,
                "the OAuth callback URL `http://me@localhost/cb` carries user info",
            ),
            (
                "localhost/cb",
                0,
                "the OAuth callback URL `localhost/cb` is not a URL",
            ),
        ];
        for (url, port, expected) in rows {
            assert_eq!(row(url, port), expected, "{url} {port}");
        }
    }

    #[test]
    fn a_free_port_is_left_out_of_what_is_registered_by_hand() {
        let uri = |port| {
            let settings = CallbackSettings { url: None, port };
            let binding = settings
                .binding("https://mcp.example.com/mcp", true)
                .unwrap();
            (binding.redirect_uri_to_register(), binding.is_port_free())
        };
        assert_eq!(uri(None), ("http://127.0.0.1/callback".into(), true));
        assert_eq!(uri(Some(1)), ("http://127.0.0.1:1/callback".into(), false));
    }
}
