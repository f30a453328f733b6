//! The client against servers that behave and servers that do not.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests prepare files directly"
)]

mod peer;
mod support;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use codex_host::Secret;
use codex_http::{
    HttpClient, HttpError, HttpErrorKind, Limits, Reached, Redirects, Request, Response, Retry,
};
use futures_util::StreamExt;
use http::{HeaderName, HeaderValue, StatusCode};
use support::{Answer, Server, client, ok, response};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

async fn limited<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.unwrap()
}

async fn send(request: Request) -> Result<Response, HttpError> {
    limited(client(&[]).send(request)).await
}

async fn text(response: Response) -> Result<String, HttpError> {
    let bytes = limited(response.body.bytes()).await?;
    Ok(String::from_utf8(bytes.into()).unwrap())
}

fn limits(milliseconds: u64, body: u64) -> Limits {
    let time = Some(Duration::from_millis(milliseconds));
    Limits {
        headers: time,
        idle: time,
        body: Some(body),
    }
}

#[tokio::test]
async fn a_request_goes_out_as_written_and_its_answer_comes_back() {
    let answer = response(
        "201 Created",
        "content-type: Text/Plain; charset=x\r\n",
        "hi",
    );
    let mut server = Server::start([Answer::Keep(answer)]).await;
    let request = server
        .post("/a?b=c", "{}")
        .header(
            HeaderName::from_static("x-mine"),
            HeaderValue::from_static("1"),
        )
        .bearer(&Secret::new("token"))
        .unwrap();
    assert!(!format!("{request:?}").contains("token"));
    let answer = send(request).await.unwrap();
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.content_type().as_deref(), Some("text/plain"));
    assert_eq!(text(answer).await.unwrap(), "hi");

    let (_, seen) = server.request().unwrap();
    assert!(seen.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{seen}");
    for line in [
        "content-type: application/json",
        "x-mine: 1",
        "authorization: Bearer token",
        "content-length: 2",
    ] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{seen}");
    }
    for name in ["accept-encoding", "user-agent", "referer", "cookie"] {
        assert!(!seen.contains(&format!("\r\n{name}:")), "{seen}");
    }
    assert!(seen.ends_with("\r\n\r\n{}"));
}

#[tokio::test]
async fn connections_are_reused() {
    let mut server = Server::start([Answer::Keep(ok("1")), Answer::Keep(ok("2"))]).await;
    let client = client(&[]);
    for expected in ["1", "2"] {
        let answer = limited(client.send(server.get("/"))).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), expected);
    }
    assert_eq!(server.request().unwrap().0, 0);
    assert_eq!(server.request().unwrap().0, 0);
}

#[tokio::test]
async fn localhost_needs_no_resolver() {
    let server = Server::start([Answer::Keep(ok("home"))]).await;
    let url = format!("http://localhost:{}/", server.port);
    let answer = send(Request::get(url.parse().unwrap())).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "home");
}

#[tokio::test]
async fn a_refused_connection_is_told_without_secrets() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://me:secret@127.0.0.1:{port}/v1?key=secret");
    let error = send(Request::get(url.parse().unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Refused);
    assert_eq!(error.retry(), Retry::Safe);
    assert_eq!(
        error.to_string(),
        format!("cannot reach `http://127.0.0.1:{port}`: connection refused")
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn other_schemes_are_refused() {
    let url = "ftp://127.0.0.1/x".parse().unwrap();
    let error = send(Request::get(url)).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::BadUrl);
    assert_eq!(
        error.to_string(),
        "`ftp://127.0.0.1/x` is not an http or https URL"
    );
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_a_reset() {
    for start in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-le"] {
        let server = Server::start([Answer::Close(start.to_vec())]).await;
        let error = send(server.get("/")).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Reset, "{error}");
        assert_eq!(error.retry(), Retry::IfIdempotent);
    }
}

#[tokio::test]
async fn what_is_not_http_is_told_apart() {
    let server = Server::start([Answer::Close(b"SSH-2.0-hello\r\n\r\n".to_vec())]).await;
    let error = send(server.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::NotHttp, "{error}");
    assert_eq!(error.hints(), ["use https:// if the server speaks TLS"]);
}

#[tokio::test]
async fn an_http_address_of_a_server_with_tls_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = tls_server(directory.path()).await;
    let error = send(server.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::NotHttp, "{error}");
}

#[tokio::test]
async fn silence_before_the_headers_ends_at_its_limit() {
    let server = Server::start([Answer::Hang(Vec::new())]).await;
    let request = server.get("/").limits(limits(30, 10));
    let error = send(request).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::HeadersTimeout);
    assert!(error.to_string().ends_with("did not answer within 30ms"));
}

#[tokio::test]
async fn silence_within_the_body_ends_at_its_limit() {
    let start = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec();
    let server = Server::start([Answer::Hang(start)]).await;
    let request = server.get("/").limits(Limits {
        headers: None,
        ..limits(30, 100)
    });
    let mut body = send(request).await.unwrap().body;
    let first = limited(body.next()).await.unwrap().unwrap();
    assert_eq!(&first[..], b"abc");
    let error = limited(body.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::IdleTimeout);
    assert!(limited(body.next()).await.is_none());
}

#[tokio::test]
async fn a_cut_body_is_a_reset() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let sized = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
    for start in [&chunked[..], sized] {
        let server = Server::start([Answer::Close(start.to_vec())]).await;
        let answer = send(server.get("/")).await.unwrap();
        let error = text(answer).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Reset, "{error}");
    }
}

#[tokio::test]
async fn a_large_body_is_refused_announced_or_not() {
    let announced = response("200 OK", "", &"x".repeat(11));
    let mut unannounced = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    unannounced.extend_from_slice(&[b'x'; 11]);
    for answer in [announced, unannounced] {
        let server = Server::start([Answer::Close(answer)]).await;
        let answer = send(server.get("/").limits(limits(9000, 10)))
            .await
            .unwrap();
        let error = text(answer).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::BodyTooLarge);
        assert!(error.to_string().ends_with("is larger than 10 bytes"));
    }
    let server = Server::start([Answer::Close(ok(&"x".repeat(10)))]).await;
    let answer = send(server.get("/").limits(limits(9000, 10)))
        .await
        .unwrap();
    assert_eq!(text(answer).await.unwrap().len(), 10);
}

#[tokio::test]
async fn error_texts_are_cut_and_never_fail() {
    let long = response("500 Oops", "", &"x".repeat(100_000));
    let cut = b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\nabc".to_vec();
    for (answer, n_expected) in [(long, 64 * 1024), (cut, 3)] {
        let server = Server::start([Answer::Close(answer)]).await;
        let answer = send(server.get("/").limits(limits(9000, 10)))
            .await
            .unwrap();
        assert_eq!(limited(answer.error_text()).await.len(), n_expected);
    }
}

#[tokio::test]
async fn an_error_text_that_never_ends_is_given_up() {
    let start = b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\nabc".to_vec();
    let server = Server::start([Answer::Hang(start)]).await;
    let request = server.get("/").limits(Limits::open_ended());
    let answer = send(request).await.unwrap();
    // The clock jumps to the limit as soon as nothing else is to be done.
    tokio::time::pause();
    assert_eq!(limited(answer.error_text()).await, "abc");
}

#[tokio::test]
async fn json_is_read_and_bad_json_is_not_quoted() {
    let answers = [ok("[1,2]"), ok("{\"token\": secret}")].map(Answer::Keep);
    let server = Server::start(answers).await;
    let answer = send(server.get("/")).await.unwrap();
    assert_eq!(limited(answer.json::<Vec<u32>>()).await.unwrap(), [1, 2]);
    let answer = send(server.get("/")).await.unwrap();
    let error = limited(answer.json::<Vec<u32>>()).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::NotJson);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn redirects_inside_an_origin_keep_method_headers_and_body() {
    for status in ["301 a", "302 b", "307 c", "308 d"] {
        let there = response(status, "location: /there\r\n", "");
        let mut server = Server::start([Answer::Keep(there), Answer::Keep(ok("hi"))]).await;
        let request = server.post("/here", "body");
        let request = request.bearer(&Secret::new("token")).unwrap();
        let answer = send(request).await.unwrap();
        assert_eq!(answer.url.path(), "/there");
        assert_eq!(text(answer).await.unwrap(), "hi");
        server.request().unwrap();
        let (_, seen) = server.request().unwrap();
        assert!(seen.starts_with("POST /there "), "{seen}");
        assert!(seen.contains("Bearer token") && seen.ends_with("\r\n\r\nbody"));
    }
}

#[tokio::test]
async fn see_other_asks_for_a_get() {
    let there = response("303 See Other", "location: there\r\n", "");
    let mut server = Server::start([Answer::Keep(there), Answer::Keep(ok("hi"))]).await;
    send(server.post("/a/here", "body")).await.unwrap();
    server.request().unwrap();
    let (_, seen) = server.request().unwrap();
    assert!(seen.starts_with("GET /a/there "), "{seen}");
    assert!(seen.ends_with("\r\n\r\n") && !seen.contains("content-type"));
}

#[tokio::test]
async fn another_origin_never_sees_the_request() {
    let mut other = Server::start([Answer::Keep(ok("stolen"))]).await;
    let location = format!("location: http://127.0.0.1:{}/?x=secret\r\n", other.port);
    let there = response("307 Temporary Redirect", &location, "");
    let server = Server::start([Answer::Keep(there)]).await;
    let request = server.get("/").bearer(&Secret::new("token")).unwrap();
    let error = send(request).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Redirect);
    assert_eq!(error.retry(), Retry::Never);
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(other.request().is_none());
}

#[tokio::test]
async fn a_get_may_go_elsewhere_without_its_secrets() {
    let mut other = Server::start([Answer::Keep(ok("public"))]).await;
    let location = format!("location: http://127.0.0.1:{}/x\r\n", other.port);
    let there = Answer::Keep(response("302 Found", &location, ""));
    let server = Server::start(vec![there; 3]).await;
    let request = server
        .get("/")
        .bearer(&Secret::new("token"))
        .unwrap()
        .header(
            HeaderName::from_static("x-plain"),
            HeaderValue::from_static("kept"),
        )
        .redirects(Redirects::SameScheme);
    let answer = send(request).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "public");
    let (_, seen) = other.request().unwrap();
    assert!(
        seen.contains("x-plain: kept") && !seen.contains("token"),
        "{seen}"
    );

    let post = server.post("/", "body").redirects(Redirects::SameScheme);
    let error = send(post).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Redirect);
    let post = server.post("/", "body").redirects(Redirects::None);
    assert_eq!(send(post).await.unwrap().status, StatusCode::FOUND);
    assert!(other.request().is_none());
}

#[tokio::test]
async fn a_filtered_client_connects_to_allowed_addresses_only() {
    let server = Server::start(vec![Answer::Keep(ok("hi")); 3]).await;
    let nowhere = client(&[]).only_to(Arc::new(|_| false));
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", server.port).parse().unwrap();
        let error = limited(nowhere.send(Request::get(url))).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::AddressForbidden, "{error}");
        assert_eq!(error.retry(), Retry::Never);
    }
    let home = client(&[]).only_to(Arc::new(|address| address.is_loopback()));
    limited(home.send(server.get("/"))).await.unwrap();
    let mut server = server;
    assert!(server.request().is_some() && server.request().is_none());
}

#[tokio::test]
async fn endless_redirects_end_after_three() {
    let there = Answer::Keep(response("307 Again", "location: /\r\n", ""));
    let mut server = Server::start(vec![there; 10]).await;
    let error = send(server.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Redirect);
    let n_requests = std::iter::from_fn(|| server.request()).count();
    assert_eq!(n_requests, 4);
}

#[tokio::test]
async fn events_stream_until_the_end() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
                  data: 1\n\n: still here\n\ndata: 2\n\ndata: cut";
    let server = Server::start([Answer::Close(stream.into())]).await;
    let events = send(server.get("/")).await.unwrap().events(100);
    let events: Vec<_> = limited(events.collect::<Vec<_>>()).await;
    let data: Vec<_> = events
        .into_iter()
        .map(|event| event.unwrap().data.unwrap())
        .collect();
    assert_eq!(data, ["1", "2"]);
}

#[tokio::test]
async fn an_event_over_its_limit_ends_the_stream() {
    let stream = format!("HTTP/1.1 200 OK\r\n\r\ndata: {}\n\n", "x".repeat(200));
    let server = Server::start([Answer::Hang(stream.into())]).await;
    let mut events = send(server.get("/")).await.unwrap().events(100);
    let error = limited(events.next()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::EventTooLarge);
    assert!(limited(events.next()).await.is_none());
}

#[tokio::test]
async fn a_proxy_gets_everything_but_loopback() {
    let mut proxy = Server::start([Answer::Keep(ok("from the proxy"))]).await;
    let server = Server::start([Answer::Keep(ok("direct"))]).await;
    let address = format!("http://user:pw@127.0.0.1:{}", proxy.port);
    let client = client(&[("HTTP_PROXY", &address)]);

    let answer = limited(client.send(server.get("/"))).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "direct");
    let far = Request::get("http://far.invalid/x".parse().unwrap());
    let answer = limited(client.send(far)).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "from the proxy");
    let (_, seen) = proxy.request().unwrap();
    assert!(seen.starts_with("GET http://far.invalid/x "), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic "), "{seen}");
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("socks5h://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.unwrap();
        let mut wish = [0; 4 + 1 + 11 + 2];
        stream.read_exact(&mut wish).await.unwrap();
        assert_eq!(&wish[..5], [5, 1, 0, 3, 11]);
        assert_eq!(&wish[5..16], b"far.invalid");
        stream
            .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        let mut request = [0; 3];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"GET");
        stream.write_all(&ok("through")).await.unwrap();
        stream
    };
    let client = client(&[("ALL_PROXY", &address)]);
    let far = Request::get("http://far.invalid/".parse().unwrap());
    let (answer, _stream) = limited(async { tokio::join!(client.send(far), serve) }).await;
    assert_eq!(text(answer.unwrap()).await.unwrap(), "through");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = client(&[("https_proxy", &address)]);
    let far = Request::get("https://far.invalid/".parse().unwrap());
    let error = limited(client.send(far)).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Refused);
    assert_eq!(
        error.to_string(),
        "cannot reach `https://far.invalid`: connection refused (https_proxy sets a proxy)"
    );
}

/// A TLS server for `localhost` and the file with its certificate.
async fn tls_server(directory: &std::path::Path) -> (Server, String) {
    let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    tls_server_with(directory, parameters).await
}

async fn tls_server_with(
    directory: &std::path::Path,
    parameters: rcgen::CertificateParams,
) -> (Server, String) {
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = parameters.self_signed(&signing_key).unwrap();
    let made = rcgen::CertifiedKey { cert, signing_key };
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let file = directory.join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_with([Answer::Keep(ok("safe"))], Some(tls)).await;
    (server, file.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn only_trusted_certificates_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let (server, file) = tls_server(directory.path()).await;
    let url = format!("https://localhost:{}/", server.port);
    let request = Request::get(url.parse().unwrap());

    let missing = client(&[("SSL_CERT_FILE", "/nonexistent")]);
    let error = limited(missing.send(request.clone())).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("SSL_CERT_FILE `/nonexistent`"));

    let error = send(request.clone()).await.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::Tls, "{error}");
    assert_eq!(error.retry(), Retry::Never);

    let trusting = client(&[("SSL_CERT_FILE", &file)]);
    let answer = limited(trusting.send(request)).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "safe");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_in_words_with_its_own_hint() {
    let names = |name: &str| rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let mut ca = names("localhost");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut old = names("localhost");
    old.not_after = rcgen::date_time_ymd(2000, 1, 1);
    let other = names("other.example.com");
    let rows = [
        (
            ca,
            HttpErrorKind::TlsCertificate,
            "it is the certificate of a CA, not of a server",
        ),
        (old, HttpErrorKind::TlsCertificate, "expired"),
        (other, HttpErrorKind::TlsName, "not valid for name"),
    ];
    for (parameters, kind, words) in rows {
        let directory = tempfile::tempdir().unwrap();
        let (server, file) = tls_server_with(directory.path(), parameters).await;
        let url = format!("https://localhost:{}/", server.port);
        let trusting = client(&[("SSL_CERT_FILE", &file)]);
        let sent = trusting.send(Request::get(url.parse().unwrap()));
        let error = limited(sent).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_ne!(error.hints(), HttpErrorKind::Tls.hints());
    }
    let hint = HttpErrorKind::Tls.hints().concat();
    assert!(hint.contains("`http.ca_file`"), "{hint}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await.unwrap();
        stream
    };
    let url = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let (answer, _stream) = tokio::join!(send(Request::get(url)), serve);
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::NotTls);
    assert_eq!(
        error.hints(),
        ["use http:// if a server without TLS is meant"]
    );
    let text = error.to_string();
    assert!(
        text.ends_with("the server does not speak TLS there"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_on_the_handshake_is_told_like_one_without_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        use tokio::io::AsyncReadExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        // Closing with unread bytes would reset the connection.
        let n_bytes = stream.read(&mut [0; 16 * 1024]).await.unwrap();
        assert!(n_bytes > 0);
    };
    let url = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let (answer, ()) = tokio::join!(send(Request::get(url)), serve);
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), HttpErrorKind::TlsCut, "{error}");
    assert_eq!(error.hints(), HttpErrorKind::NotTls.hints());
}

#[tokio::test]
async fn plain_http_needs_no_ca_roots() {
    let server = Server::start([Answer::Keep(ok("plain"))]).await;
    let client = client(&[("SSL_CERT_FILE", "/nonexistent")]);
    let answer = limited(client.send(server.get("/"))).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "plain");
}

#[tokio::test]
async fn reaching_a_peer_tells_its_address_and_its_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (server, file) = tls_server(directory.path()).await;
    let url = |text: &str| text.parse().unwrap();
    let secure = url(&format!("https://localhost:{}/mcp", server.port));
    let trusting = client(&[("SSL_CERT_FILE", &file)]);
    let expected = Reached::Peer {
        address: ([127, 0, 0, 1], server.port).into(),
        tls: Some("TLS 1.3"),
    };
    assert_eq!(limited(trusting.reach(&secure)).await.unwrap(), expected);

    let kind = async |client: &HttpClient, at: &str| {
        limited(client.reach(&url(at))).await.unwrap_err().kind()
    };
    let plain = client(&[]);
    assert_eq!(kind(&plain, secure.as_str()).await, HttpErrorKind::Tls);
    assert_eq!(
        kind(&plain, "http://127.0.0.1:1/").await,
        HttpErrorKind::Refused
    );
    assert_eq!(kind(&plain, "http://a.invalid/").await, HttpErrorKind::Dns);
    let bad = client(&[("HTTPS_PROXY", "gopher://p:1")]);
    assert_eq!(kind(&bad, "https://a.invalid/").await, HttpErrorKind::Proxy);

    let proxied = client(&[("https_proxy", "http://127.0.0.1:1")]);
    let reached = limited(proxied.reach(&url("https://a.invalid/"))).await;
    let variable = "https_proxy".to_owned();
    assert_eq!(reached.unwrap(), Reached::Proxied { variable });
}
