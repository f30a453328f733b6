//! How far the peer of a URL can be reached: name, TCP, TLS, and no request.
//!
//! For those who tell a user where a connection fails, and how good it is when it does not. What it
//! finds is about a connection of its own; the pool of the client is not touched.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use codex_host::plain_io_text;
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::client::HttpSettings;
use crate::error::{HttpError, HttpErrorKind, TLS_CUT, tls_fault};
use crate::peer::Peer;
use crate::proxy::Proxies;
use crate::{dns, tls};

/// What was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reached {
    /// The peer itself.
    Peer {
        /// The address that took the connection.
        address: SocketAddr,
        /// The TLS revision, for example `TLS 1.3`; `None` without TLS.
        tls: Option<&'static str>,
    },
    /// Nothing was tried: a proxy connects for us.
    Proxied {
        /// The variable or setting that names it.
        variable: String,
    },
}

/// How a client gets to its peers.
pub(crate) struct Way<'a> {
    pub(crate) settings: &'a HttpSettings,
    pub(crate) peer: &'a Peer,
    pub(crate) proxies: &'a Proxies,
}

impl Way<'_> {
    pub(crate) async fn reach(&self, url: &Url) -> Result<Reached, HttpError> {
        let is_web = matches!(url.scheme(), "http" | "https");
        let Some(host) = url.host().filter(|_| is_web) else {
            return Err(HttpError::bad_url(url));
        };
        self.proxies.check(url)?;
        if let Some(name) = self.proxies.name_for(url) {
            let variable = name.to_owned();
            return Ok(Reached::Proxied { variable });
        }
        let limit = self.settings.connect_timeout;
        let connected = timeout(limit, self.connect(url, host)).await;
        connected.unwrap_or_else(|_| {
            let why = format!("no connection within {limit:?}");
            let kind = HttpErrorKind::ConnectTimeout;
            Err(HttpError::unreachable(kind, url, why))
        })
    }

    async fn connect(&self, url: &Url, host: Host<&str>) -> Result<Reached, HttpError> {
        let failed = |kind, why: String| HttpError::unreachable(kind, url, why);
        let port = url.port_or_known_default().unwrap_or(80);
        let mut addresses: Vec<SocketAddr> = match host {
            Host::Ipv4(address) => vec![(address, port).into()],
            Host::Ipv6(address) => vec![(address, port).into()],
            Host::Domain(name) => dns::lookup(name)
                .await
                .map_err(|error| failed(HttpErrorKind::Dns, error.to_string()))?,
        };
        addresses
            .iter_mut()
            .for_each(|address| address.set_port(port));
        let stream = TcpStream::connect(addresses.as_slice()).await;
        let stream = stream.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                failed(HttpErrorKind::Refused, "connection refused".to_owned())
            }
            _ => failed(HttpErrorKind::Unreachable, plain_io_text(&error)),
        })?;
        let address = stream
            .peer_addr()
            .map_err(|error| failed(HttpErrorKind::Unreachable, plain_io_text(&error)))?;
        let tls = match url.scheme() {
            "https" => Some(self.handshake(url, stream).await?),
            _ => None,
        };
        Ok(Reached::Peer { address, tls })
    }

    async fn handshake(&self, url: &Url, stream: TcpStream) -> Result<&'static str, HttpError> {
        let failed = |why: String| HttpError::unreachable(HttpErrorKind::Tls, url, why);
        let host = url.host_str().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|error| failed(error.to_string()))?;
        let config = tls::client_config(&self.settings.env, self.peer)
            .map_err(|error| failed(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| match tls_error(&error) {
            Some(inner) => {
                let (kind, why) = tls_fault(inner);
                HttpError::unreachable(kind, url, why)
            }
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                HttpError::unreachable(HttpErrorKind::TlsCut, url, TLS_CUT)
            }
            None => failed(plain_io_text(&error)),
        })?;
        Ok(match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        })
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<rustls::Error>()
}
