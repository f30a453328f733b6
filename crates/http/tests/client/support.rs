//! A server that reads whole requests and answers with bytes written by hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codex_host::Env;
use codex_http::{HttpClient, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the server does with one request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Writes these bytes and keeps the connection.
    Keep(Vec<u8>),
    /// Writes these bytes and closes the connection.
    Close(Vec<u8>),
    /// Writes these bytes and then nothing more, with the connection open.
    Hang(Vec<u8>),
}

pub(crate) struct Server {
    pub(crate) port: u16,
    requests: mpsc::UnboundedReceiver<(usize, String)>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_with(answers, None).await
    }

    pub(crate) async fn start_with(
        answers: impl IntoIterator<Item = Answer>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let (sender, requests) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (answers, sender) = (Arc::clone(&answers), sender.clone());
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        // A client that does not trust us ends the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, number, answers, sender).await;
                            }
                        }
                        None => serve(stream, number, answers, sender).await,
                    }
                });
            }
        });
        Self {
            port,
            requests,
            _tasks: tasks,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        Request::get(url.parse().unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &'static str) -> Request {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        Request::post_json(url.parse().unwrap(), Bytes::from_static(body.as_bytes()))
    }

    /// Returns the next request as it came, and the number of its connection.
    pub(crate) fn request(&mut self) -> Option<(usize, String)> {
        self.requests.try_recv().ok()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    sender: mpsc::UnboundedSender<(usize, String)>,
) {
    while let Some(request) = read_request(&mut stream).await {
        sender.send((number, request)).unwrap();
        let answer = answers.lock().unwrap().pop_front().expect("an answer");
        let (Answer::Keep(bytes) | Answer::Close(bytes) | Answer::Hang(bytes)) = &answer;
        // The client may have gone.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        match answer {
            Answer::Keep(_) => {}
            Answer::Close(_) => return,
            Answer::Hang(_) => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let n_body = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= n_body {
                return Some(text);
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            _ => return None,
        }
    }
}

/// A response with a body of known length.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    response("200 OK", "", body)
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let n_body = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {n_body}\r\n\r\n{body}").into_bytes()
}

/// A client with these variables.
pub(crate) fn client(variables: &[(&str, &str)]) -> HttpClient {
    let env = Env::from_pairs(variables.iter().copied());
    HttpClient::from_env(env)
}
