//! The settings of one peer: a proxy of its own, a CA of its own, a certificate that we show.

use std::path::PathBuf;
use std::sync::Arc;

use codex_host::Secret;
use codex_http::{HttpClient, HttpErrorKind, PeerSettings, Request};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::support::{Answer, Server, client, ok};
use crate::{limited, text};

/// A CA and what it signed, as files.
struct Pki {
    folder: tempfile::TempDir,
    server: TlsAcceptor,
}

impl Pki {
    /// Makes a CA, a server for `localhost` that wants a certificate of it, and such a certificate.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test CA");
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        write("ca.pem", &ca.pem());
        let issuer = Issuer::new(params, key);
        let signed = |name: &str, usage: ExtendedKeyUsagePurpose| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (cert, key) = signed("me", ExtendedKeyUsagePurpose::ClientAuth);
        write("me.pem", &cert.pem());
        write("me.key", &key.serialize_pem());
        write(
            "both.pem",
            &format!("{}{}", cert.pem(), key.serialize_pem()),
        );
        write("other.key", &KeyPair::generate().unwrap().serialize_pem());
        write("empty.pem", "no certificate here");

        let (cert, key) = signed("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let roots = Arc::new(roots);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(
                vec![cert.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let server = TlsAcceptor::from(Arc::new(config));
        Self { folder, server }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.path().join(name))
    }

    async fn start(&self) -> (Server, Request) {
        let server = Server::start_with([Answer::Keep(ok("safe"))], Some(self.server.clone()));
        let server = server.await;
        let url = format!("https://localhost:{}/", server.port);
        (server, Request::get(url.parse().unwrap()))
    }
}

fn for_peer(peer: &PeerSettings) -> HttpClient {
    client(&[]).for_peer(peer).unwrap()
}

#[tokio::test]
async fn a_ca_and_a_client_certificate_of_its_own_open_a_server() {
    let pki = Pki::new();
    let (_server, request) = pki.start().await;
    let trusting = PeerSettings {
        ca_file: pki.file("ca.pem"),
        ..PeerSettings::default()
    };
    let error = limited(client(&[]).send(request.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Tls, "{error}");
    let error = limited(for_peer(&trusting).send(request.clone())).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Tls, "{error}");
    assert!(
        error
            .to_string()
            .ends_with(": the server wants a client certificate"),
        "{error}"
    );
    for (client_cert, client_key) in [("me.pem", Some("me.key")), ("both.pem", None)] {
        let (_server, request) = pki.start().await;
        let known = PeerSettings {
            client_cert: pki.file(client_cert),
            client_key: client_key.and_then(|name| pki.file(name)),
            ..trusting.clone()
        };
        let answer = limited(for_peer(&known).send(request)).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "safe");
    }
}

#[tokio::test]
async fn a_ca_of_its_own_leaves_the_usual_ones_trusted() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    let (_server, request) = theirs.start().await;
    let usual = theirs.file("ca.pem").unwrap();
    let client = client(&[("SSL_CERT_FILE", usual.to_str().unwrap())]);
    let client = client.for_peer(&PeerSettings {
        ca_file: ours.file("ca.pem"),
        client_cert: theirs.file("both.pem"),
        ..PeerSettings::default()
    });
    let answer = limited(client.unwrap().send(request)).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "safe");
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let pki = Pki::new();
    let told = |ca: Option<&str>, cert: Option<&str>, key: Option<&str>| {
        let file = |name: Option<&str>| name.and_then(|name| pki.file(name));
        let peer = PeerSettings {
            ca_file: file(ca),
            client_cert: file(cert),
            client_key: file(key),
            ..PeerSettings::default()
        };
        let error = client(&[]).for_peer(&peer).unwrap_err();
        let folder = pki.folder.path().display().to_string();
        format!("{}: {}", error.key, error.why.replace(&folder, "/d"))
    };
    let rows = [
        told(Some("none.pem"), None, None),
        told(Some("."), None, None),
        told(Some("empty.pem"), None, None),
        told(None, Some("none.pem"), None),
        told(None, Some("me.pem"), None),
        told(None, Some("me.pem"), Some("none.key")),
        told(None, Some("me.pem"), Some("me.pem")),
        told(None, Some("me.pem"), Some("other.key")),
        told(None, None, Some("me.key")),
    ];
    let expected = [
        "ca_file: `/d/none.pem` cannot be read: no such file or directory",
        "ca_file: `/d/.` cannot be read: it is a directory",
        "ca_file: `/d/empty.pem` holds no certificate in PEM",
        "client_cert: `/d/none.pem` cannot be read: no such file or directory",
        "client_cert: `/d/me.pem` holds no private key, and there is no client_key",
        "client_key: `/d/none.key` cannot be read: no such file or directory",
        "client_key: `/d/me.pem` holds no private key in PEM",
        "client_key: the key in `/d/other.key` is not that of the certificate in `/d/me.pem`",
        "client_key: there is no client_cert for it",
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_proxy_of_its_own_serves_loopback_too_and_all_but_its_exceptions() {
    let mut proxy = Server::start([Answer::Keep(ok("its proxy"))]).await;
    let server = Server::start([Answer::Keep(ok("direct"))]).await;
    let env = client(&[("HTTP_PROXY", "gopher://nobody"), ("NO_PROXY", "*")]);
    let mut peer = PeerSettings {
        proxy: Some(Secret::new(format!(
            "http://me:pw@127.0.0.1:{}",
            proxy.port
        ))),
        ..PeerSettings::default()
    };
    let own = env.for_peer(&peer).unwrap();
    let answer = limited(own.send(server.get("/"))).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "its proxy");
    let (_, seen) = proxy.request().unwrap();
    assert!(seen.contains("proxy-authorization: Basic "), "{seen}");

    peer.no_proxy = Some("127.0.0.1".to_owned());
    let own = env.for_peer(&peer).unwrap();
    let answer = limited(own.send(server.get("/"))).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "direct");
}

#[tokio::test]
async fn exceptions_of_its_own_hold_for_the_proxy_of_the_environment() {
    let proxy = Server::start([Answer::Keep(ok("the proxy"))]).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let env = client(&[("HTTP_PROXY", &address), ("NO_PROXY", "*")]);
    let peer = PeerSettings {
        no_proxy: Some("near.invalid".to_owned()),
        ..PeerSettings::default()
    };
    let far = Request::get("http://far.invalid/".parse().unwrap());
    let answer = limited(env.for_peer(&peer).unwrap().send(far))
        .await
        .unwrap();
    assert_eq!(text(answer).await.unwrap(), "the proxy");
}

#[tokio::test]
async fn a_proxy_of_its_own_that_fails_is_named_by_its_key() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let with = |proxy: &str| PeerSettings {
        proxy: Some(Secret::new(proxy)),
        ..PeerSettings::default()
    };
    let gone = for_peer(&with(&address));
    let far = Request::get("https://far.invalid/".parse().unwrap());
    let error = limited(gone.send(far)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot reach `https://far.invalid`: connection refused (http.proxy sets a proxy)"
    );
    let error = client(&[])
        .for_peer(&with("gopher://me:secret@p:1"))
        .unwrap_err();
    assert_eq!(
        (error.key, error.to_string().as_str()),
        ("proxy", "it is no http, https or socks proxy")
    );
    assert!(!format!("{:?}", with("http://me:secret@p")).contains("secret"));
}
