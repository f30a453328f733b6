//! A loopback HTTP/1.1 server on plain threads, written by hand.
//!
//! One thread accepts, one thread serves each connection, requests of a connection in order.
//! Written on blocking sockets so that a test may block too, and so that a fault (half a chunk, no
//! answer, a closed socket) is exactly the bytes that the test asked for.
//!
//! Trap: a client that leaves is noticed only by a read or a failing write; a handler that holds a
//! stream open ends with [`Responder::wait_for_disconnect`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl HttpRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a server does with a request; called on the thread of the connection.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(&self, request: HttpRequest, responder: &mut Responder) -> std::io::Result<()>;
}

/// A running server; dropping it closes every connection.
#[derive(Debug)]
pub(crate) struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl HttpServer {
    pub(crate) fn start(handler: Arc<dyn Handler>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let accept = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept_loop(&listener, &shared, &handler)
        });
        Self {
            address,
            shared,
            accept: Some(accept),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes every open connection, as a server that was restarted; new ones are accepted.
    pub(crate) fn drop_connections(&self) {
        for connection in self
            .shared
            .connections
            .lock()
            .expect("no holder panics")
            .drain(..)
        {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept call, which then sees the flag.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
        self.drop_connections();
    }
}

fn accept_loop(listener: &TcpListener, shared: &Arc<Shared>, handler: &Arc<dyn Handler>) {
    for connection in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let _ = connection.set_nodelay(true);
        if let Ok(copy) = connection.try_clone() {
            shared
                .connections
                .lock()
                .expect("no holder panics")
                .push(copy);
        }
        let handler = Arc::clone(handler);
        std::thread::spawn(move || {
            let mut responder = Responder {
                stream: connection,
                done: false,
            };
            let _ = serve(&mut responder, &*handler);
            let _ = responder.stream.shutdown(Shutdown::Both);
        });
    }
}

fn serve(responder: &mut Responder, handler: &dyn Handler) -> std::io::Result<()> {
    let mut reader = BufReader::new(responder.stream.try_clone()?);
    while let Some(request) = read_request(&mut reader, &mut responder.stream)? {
        let wants_close = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        handler.handle(request, responder)?;
        if responder.done || wants_close {
            break;
        }
    }
    Ok(())
}

/// The answering side of one connection.
#[derive(Debug)]
pub(crate) struct Responder {
    stream: TcpStream,
    done: bool,
}

impl Responder {
    /// Answers with a body of known length; the connection stays usable.
    pub(crate) fn full(
        &mut self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> std::io::Result<()> {
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes)
    }

    /// Begins a chunked body.
    pub(crate) fn begin_stream(
        &mut self,
        status: u16,
        headers: &[(String, String)],
    ) -> std::io::Result<()> {
        let mut bytes = head(status, headers);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        self.stream.write_all(&bytes)
    }

    /// Sends one chunk of a begun body.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.stream.write_all(&framed)
    }

    /// Ends a chunked body; the connection stays usable.
    pub(crate) fn end_stream(&mut self) -> std::io::Result<()> {
        self.stream.write_all(b"0\r\n\r\n")
    }

    /// Closes the connection where it stands.
    pub(crate) fn cut(&mut self) {
        self.done = true;
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends bytes as they are, then closes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.cut();
        Ok(())
    }

    /// Waits until the client is gone (`true`) or the limit passed. The connection ends here.
    pub(crate) fn wait_for_disconnect(&mut self, limit: Duration) -> bool {
        self.done = true;
        let deadline = Instant::now() + limit;
        let mut scratch = [0_u8; 1024];
        loop {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            let left = left.max(Duration::from_millis(1));
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return true;
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(why) if would_wait(&why) => return false,
                Err(_) => return true,
            }
        }
    }
}

fn would_wait(why: &std::io::Error) -> bool {
    matches!(
        why.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

fn head(status: u16, headers: &[(String, String)]) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Scripted",
    };
    let mut text = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// Reads one request; `None` when the client closed between two requests.
fn read_request(
    reader: &mut BufReader<TcpStream>,
    writer: &mut TcpStream,
) -> std::io::Result<Option<HttpRequest>> {
    let Some(first) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = first.split_ascii_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(bad("request line"));
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| bad("end of file in the head"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("header line"))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = HttpRequest {
        method: method.into(),
        path: path.into(),
        headers,
        body: Vec::new(),
    };
    if request
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = read_body(reader, &request)?;
    Ok(Some(request))
}

fn read_body(reader: &mut BufReader<TcpStream>, request: &HttpRequest) -> std::io::Result<Vec<u8>> {
    if request
        .header("transfer-encoding")
        .is_some_and(|value| value.contains("chunked"))
    {
        return read_chunks(reader);
    }
    let length = match request.header("content-length") {
        Some(text) => text.parse().map_err(|_| bad("content-length"))?,
        None => 0,
    };
    read_exactly(reader, length)
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| bad("end of file in a chunk"))?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
        let chunk = read_exactly(reader, size)?;
        let end_of_chunk = read_line(reader)?;
        if size == 0 || end_of_chunk.is_none() {
            return Ok(body);
        }
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            return Err(bad("body too large"));
        }
    }
}

fn read_exactly(reader: &mut BufReader<TcpStream>, length: usize) -> std::io::Result<Vec<u8>> {
    if length > BODY_LIMIT {
        return Err(bad("body too large"));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader
        .by_ref()
        .take(64 * 1024)
        .read_until(b'\n', &mut line)?
        == 0
    {
        return Ok(None);
    }
    while line
        .last()
        .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
    {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn bad(what: &str) -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        format!("fake server: bad {what}"),
    )
}
