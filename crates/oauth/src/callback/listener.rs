//! The listener behind the redirect URI: one small HTTP server that lives as long as its login.
//!
//! Strangers may knock: a head has 16 KiB and 5 s, 16 connections are served at once, and what is
//! not the answer of this login gets a page and changes nothing.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::request::Head;
use super::{Binding, CallbackError, Expected, Page, Reply, Verdict, judge};

const MAX_HEAD: usize = 16 * 1024;
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 16;

/// How long a browser waits for the exchange.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// "Address family not supported", which std gives no kind.
const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };

/// How long writing and closing may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Sockets that listen, before anybody knows what to expect.
#[derive(Debug)]
pub(crate) struct CallbackListener {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl CallbackListener {
    /// Listens where the binding says.
    pub(crate) async fn bind(binding: &Binding) -> Result<Self, CallbackError> {
        let failed = |address: SocketAddr, error: &std::io::Error| CallbackError::Listen {
            address,
            why: plain(error),
        };
        let mut sockets = Vec::new();
        let mut port = binding.address.port();
        let mut first_failure = None;
        for address in std::iter::once(binding.address).chain(binding.also) {
            // Both families use one port: the second asks for what the first was given.
            let address = SocketAddr::new(address.ip(), port);
            match TcpListener::bind(address).await {
                Ok(socket) => {
                    port = socket
                        .local_addr()
                        .map_err(|error| failed(address, &error))?
                        .port();
                    sockets.push(socket);
                }
                // Only a missing family is left out: whoever has the port of the other family
                // would get the code of a browser that prefers it.
                Err(error) if is_missing_family(&error) => {
                    first_failure.get_or_insert(failed(address, &error));
                }
                Err(error) => return Err(failed(address, &error)),
            }
        }
        match first_failure {
            Some(failure) if sockets.is_empty() => Err(failure),
            _ => Ok(Self { sockets, port }),
        }
    }

    /// Returns the port that is listened on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Serves until the result is closed or dropped.
    pub(crate) fn serve(self, expected: Expected) -> Waiting {
        let (sender, arrivals) = mpsc::channel(1);
        let expected = Arc::new(Mutex::new(expected));
        let cancel = CancellationToken::new();
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut tasks = JoinSet::new();
        for socket in self.sockets {
            let door = Door {
                expected: Arc::clone(&expected),
                arrivals: sender.clone(),
                slots: Arc::clone(&slots),
            };
            tasks.spawn(door.run(socket, cancel.clone()));
        }
        Waiting {
            arrivals,
            expected,
            cancel,
            tasks,
        }
    }
}

/// The answer of the provider, and the browser that waits for a page.
pub(crate) struct Arrival {
    pub(crate) verdict: Verdict,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// A listener that serves. Dropping it closes everything.
#[derive(Debug)]
pub(crate) struct Waiting {
    arrivals: mpsc::Receiver<Arrival>,
    expected: Arc<Mutex<Expected>>,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Waiting {
    /// Waits for an answer of this login.
    pub(crate) async fn arrival(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// Returns what the answer must look like.
    pub(crate) fn expected(&self) -> &Arc<Mutex<Expected>> {
        &self.expected
    }

    /// Accepts nobody any more and lets the pages go out.
    pub(crate) async fn close(mut self) {
        self.cancel.cancel();
        let _ = timeout(2 * CLOSE_LIMIT, async {
            while self.tasks.join_next().await.is_some() {}
        })
        .await;
    }
}

struct Door {
    expected: Arc<Mutex<Expected>>,
    arrivals: mpsc::Sender<Arrival>,
    slots: Arc<Semaphore>,
}

impl Door {
    async fn run(self, socket: TcpListener, cancel: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let slot = tokio::select! {
                () = cancel.cancelled() => break,
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let accepted = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = socket.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, for instance: it passes, and must not spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            let expected = Arc::clone(&self.expected);
            let arrivals = self.arrivals.clone();
            let cancel = cancel.clone();
            connections.spawn(async move {
                let _slot = slot;
                serve(stream, &expected, &arrivals, &cancel).await;
            });
        }
        drop(socket);
        while connections.join_next().await.is_some() {}
    }
}

async fn serve(
    mut stream: TcpStream,
    expected: &Mutex<Expected>,
    arrivals: &mpsc::Sender<Arrival>,
    cancel: &CancellationToken,
) {
    let head = tokio::select! {
        head = timeout(HEAD_LIMIT, read_head(&mut stream)) => head,
        // Browsers connect in advance: who has said nothing by now holds nobody up.
        () = cancel.cancelled() => return,
    };
    let Ok(Some(head)) = head else {
        return;
    };
    let verdict = match Head::read(&head) {
        Some(head) => {
            let expected = expected.lock().unwrap_or_else(PoisonError::into_inner);
            judge(head, &expected)
        }
        None => Verdict::Invalid,
    };
    let reply = match verdict {
        Verdict::Invalid => Reply::Page(Page::invalid()),
        verdict => answer(verdict, arrivals).await,
    };
    let _ = timeout(CLOSE_LIMIT, async {
        stream.write_all(&reply.bytes()).await?;
        stream.shutdown().await?;
        // What the client still sends is read, else closing could take the page away from it.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}

/// Hands an answer over; only the first of a login is heard.
async fn answer(verdict: Verdict, arrivals: &mpsc::Sender<Arrival>) -> Reply {
    let (reply, page) = oneshot::channel();
    let arrival = Arrival { verdict, reply };
    let outcome = timeout(REPLY_LIMIT, async {
        arrivals.send(arrival).await.ok()?;
        page.await.ok()
    });
    match outcome.await {
        Ok(Some(reply)) => reply,
        Ok(None) => Reply::Page(Page::invalid()),
        Err(_) => Reply::Page(Page::pending()),
    }
}

/// Reads up to the empty line; `None` when it is no text, too long, or cut off.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    loop {
        let n_read = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|n_read| *n_read > 0)?;
        head.extend_from_slice(&piece[..n_read]);
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            head.truncate(end);
            return String::from_utf8(head).ok();
        }
        if head.len() > MAX_HEAD {
            return None;
        }
    }
}

fn is_missing_family(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
    ) || matches!(error.raw_os_error(), Some(EAFNOSUPPORT))
}

/// Returns `address already in use` instead of `Address already in use (os error 98)`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_ascii_lowercase()
}
