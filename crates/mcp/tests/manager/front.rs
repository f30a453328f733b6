//! A proxy on loopback that ends TLS itself and wants a client certificate: a company's front.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use codex_test_support::FakeAuth;
use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

/// Everything that is asked for through this proxy reaches one [`FakeAuth`], over TLS.
pub(crate) struct Front {
    pub(crate) proxy: String,
    pub(crate) ca_file: PathBuf,
    pub(crate) client_cert: PathBuf,
    pub(crate) client_key: PathBuf,
    targets: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Front {
    pub(crate) async fn start(folder: &Path, host: &str, behind: &FakeAuth) -> Self {
        let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (server, client) = (made(host), made("me"));
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca_file = write("ca.pem", server.cert.pem());
        let client_cert = write("me.pem", client.cert.pem());
        let client_key = write("me.key", client.signing_key.serialize_pem());
        let tls = acceptor(&server, &client);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let targets = Arc::new(Mutex::new(Vec::new()));
        let (seen, port) = (Arc::clone(&targets), behind.port());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, tls.clone(), Arc::clone(&seen), port));
            }
        });
        Self {
            proxy,
            ca_file,
            client_cert,
            client_key,
            targets,
            _tasks: tasks,
        }
    }

    /// Returns which hosts were asked for, each once.
    pub(crate) fn targets(&self) -> Vec<String> {
        let mut targets = self.targets.lock().unwrap().clone();
        targets.dedup();
        targets
    }
}

fn acceptor(
    server: &CertifiedKey<rcgen::KeyPair>,
    client: &CertifiedKey<rcgen::KeyPair>,
) -> TlsAcceptor {
    let provider = Arc::new(crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(client.cert.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(server.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(mut stream: TcpStream, tls: TlsAcceptor, seen: Arc<Mutex<Vec<String>>>, port: u16) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").expect("a tunnel");
    let target = target.split(' ').next().unwrap().to_owned();
    seen.lock().unwrap().push(target);
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // A client that is not let in ends the handshake.
    let Ok(mut stream) = tls.accept(stream).await else {
        return;
    };
    let mut behind = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut behind).await;
}
