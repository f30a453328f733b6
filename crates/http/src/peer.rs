//! What is special about one peer: its proxy, the CAs it is judged by, the certificate that we show.
//!
//! Everything is read and judged when the client is made: a file that is missing then is named with
//! its key, while a failing handshake could only say that something about TLS went wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_host::{Readers, Secret, read_named_secret};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::proxy;

/// The largest file with certificates: the bundles of whole platforms have a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Settings of one peer; they go before those of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerSettings {
    /// The proxy for every host, loopback included; may hold a password.
    pub proxy: Option<Secret>,
    /// Hosts, networks and `*` that are reached without a proxy.
    pub no_proxy: Option<String>,
    /// PEM file with CA certificates that are trusted beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate and its chain; its key may be there too.
    pub client_cert: Option<PathBuf>,
    /// PEM file with the key of `client_cert`.
    pub client_key: Option<PathBuf>,
}

/// Why the settings of a peer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct PeerError {
    /// The setting, by the name of its field.
    pub key: &'static str,
    /// Why, with the path of a file and without any secret.
    pub why: String,
}

/// The same, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// What it was read from.
    pub(crate) settings: PeerSettings,
    pub(crate) proxy: Option<Secret>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) identity: Option<Arc<CertifiedKey>>,
}

impl Peer {
    pub(crate) fn read(settings: &PeerSettings) -> Result<Self, PeerError> {
        if let Some(proxy) = &settings.proxy {
            let judged = proxy::address(proxy.expose());
            judged.map_err(|why| fault("proxy", why))?;
        }
        let roots = match &settings.ca_file {
            Some(path) => certificates("ca_file", path)?,
            None => Vec::new(),
        };
        Ok(Self {
            settings: settings.clone(),
            proxy: settings.proxy.clone(),
            no_proxy: settings.no_proxy.clone(),
            roots,
            identity: identity(settings)?,
        })
    }
}

fn identity(settings: &PeerSettings) -> Result<Option<Arc<CertifiedKey>>, PeerError> {
    let (key_name, key_file, cert_file) = match (&settings.client_cert, &settings.client_key) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(fault("client_key", "there is no client_cert for it")),
        (Some(both), None) => ("client_cert", both, both),
        (Some(cert), Some(key)) => ("client_key", key, cert),
    };
    let chain = certificates("client_cert", cert_file)?;
    let pem = read(key_name, key_file)?;
    let no_key = |_| {
        let path = key_file.display();
        let what = match key_name {
            "client_cert" => "holds no private key, and there is no client_key",
            _ => "holds no private key in PEM",
        };
        fault(key_name, format!("`{path}` {what}"))
    };
    let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(no_key)?;
    let provider = ring::default_provider();
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
        let path = key_file.display();
        let why = match error {
            rustls::Error::InconsistentKeys(_) => {
                let cert = cert_file.display();
                format!("the key in `{path}` is not that of the certificate in `{cert}`")
            }
            // Its words are about kinds of keys; none quotes the key.
            error => format!("the key in `{path}` cannot be used: {error}"),
        };
        fault(key_name, why)
    })?;
    Ok(Some(Arc::new(certified)))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, PeerError> {
    let pem = read(key, path)?;
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => {
            let why = format!("`{}` holds no certificate in PEM", path.display());
            Err(fault(key, why))
        }
    }
}

/// Reads a text that may be a key.
fn read(key: &'static str, path: &Path) -> Result<Secret, PeerError> {
    let read = read_named_secret(path, MAX_FILE, Readers::Anybody);
    read.map_err(|error| fault(key, format!("`{}` {error}", path.display())))
}

fn fault(key: &'static str, why: impl Into<String>) -> PeerError {
    PeerError {
        key,
        why: why.into(),
    }
}
