//! TLS on ring, with CA roots that load when the first handshake must judge a certificate.
//!
//! Loading and parsing some 140 certificates costs more than everything else here together; who
//! talks to `http://` only never pays it, and a machine without any CA file can still do that.
//! The file is read inside the first handshake: some milliseconds, once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use codex_host::Env;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::peer::Peer;

/// Returns the TLS settings of the client.
pub(crate) fn client_config(env: &Env, peer: &Peer) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = LazyVerifier {
        source: RootSource::from_env(env),
        own: peer.roots.clone(),
        provider: Arc::clone(&provider),
        inner: OnceLock::new(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &peer.identity {
        Some(identity) => {
            let identity = SingleCertAndKey::from(Arc::clone(identity));
            config.with_client_cert_resolver(Arc::new(identity))
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Where the roots come from.
#[derive(Debug)]
enum RootSource {
    /// The user said where: these and no others count.
    Chosen {
        file: Option<PathBuf>,
        directory: Option<PathBuf>,
    },
    /// The platform's store, and the roots of Mozilla when it has none.
    Platform,
}

impl RootSource {
    fn from_env(env: &Env) -> Self {
        let path = |name| {
            let value = env.get_os(name).filter(|value| !value.is_empty())?;
            Some(PathBuf::from(value))
        };
        let (file, directory) = (path("SSL_CERT_FILE"), path("SSL_CERT_DIR"));
        match (&file, &directory) {
            (None, None) => Self::Platform,
            _ => Self::Chosen { file, directory },
        }
    }

    fn load(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Chosen { file, directory } => {
                let (file, directory) = (file.as_deref(), directory.as_deref());
                let found = rustls_native_certs::load_certs_from_paths(file, directory);
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err(Error::General(no_roots(file, directory)));
                }
            }
            Self::Platform => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                }
            }
        }
        Ok(roots)
    }
}

fn no_roots(file: Option<&Path>, directory: Option<&Path>) -> String {
    let places = [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", directory)];
    let places: Vec<String> = places
        .into_iter()
        .filter_map(|(name, path)| Some(format!("{name} `{}`", path?.display())))
        .collect();
    format!("no CA certificate in {}", places.join(" and "))
}

/// The usual verifier, made when it is needed.
#[derive(Debug)]
struct LazyVerifier {
    source: RootSource,
    /// Roots of the peer's own, trusted beside the others.
    own: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    inner: OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>,
}

impl LazyVerifier {
    fn get(&self) -> Result<&WebPkiServerVerifier, Error> {
        let made = self.inner.get_or_init(|| {
            let mut roots = self.source.load()?;
            roots.add_parsable_certificates(self.own.iter().cloned());
            let provider = Arc::clone(&self.provider);
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| Error::General(error.to_string()))
        });
        match made {
            Ok(verifier) => Ok(verifier),
            Err(error) => Err(error.clone()),
        }
    }
}

impl ServerCertVerifier for LazyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.get()?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.get()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.get()?.verify_tls13_signature(message, cert, dss)
    }

    /// Asked for the first message already, so it must not need the roots.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
