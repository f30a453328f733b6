//! One scripted answer of the provider, sound or broken.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gate::Gate;

/// Builds the everyday answer: 200 and these events as a stream.
pub fn sse(events: Vec<Value>) -> Reply {
    let mut body = String::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or("message");
        body.push_str(&format!("event: {kind}\ndata: {event}\n\n"));
    }
    Reply::sse_text(body)
}

/// An answer of [`MockResponses`](crate::MockResponses).
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) kind: Kind,
    pub(crate) gate: Option<Gate>,
    pub(crate) delay: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A status line, headers and a body of known length.
    Full {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// A chunked stream.
    Stream {
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        pace: Pace,
        end: End,
    },
    /// Bytes that may not even be HTTP; then the connection closes.
    Raw(Vec<u8>),
    /// Reads the request and says nothing until the client leaves.
    Never,
}

/// How the bytes of a stream are handed out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    AtOnce,
    Slow { n_bytes: usize, pause: Duration },
}

/// What follows the bytes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The terminal chunk: a well-formed end.
    Proper,
    /// The connection closes in the middle of the body.
    Cut,
    /// Nothing: the stream stays open until the client leaves.
    Idle,
}

impl Reply {
    /// A stream with exactly this text, for line-end and field variants.
    pub fn sse_text(body: impl Into<Vec<u8>>) -> Self {
        Self::of(Kind::Stream {
            headers: vec![("content-type".into(), "text/event-stream".into())],
            body: body.into(),
            pace: Pace::AtOnce,
            end: End::Proper,
        })
    }

    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self::of(Kind::Full {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    /// A status with the provider's error document.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::status(status).json(json!({
            "error": {"message": message, "type": "invalid_request_error", "param": null, "code": code},
        }))
    }

    /// A redirect (307) to another address.
    pub fn redirect(location: &str) -> Self {
        Self::status(307).header("location", location)
    }

    /// Bytes that are not HTTP.
    pub fn garbage() -> Self {
        Self::raw(b"\x00\x01\x02 this is not HTTP \xff\xfe\r\n\r\n".to_vec())
    }

    /// Exactly these bytes, then the connection closes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(Kind::Raw(bytes.into()))
    }

    /// Closes the connection without a byte.
    pub fn hang_up() -> Self {
        Self::raw(Vec::new())
    }

    /// Takes the request and never answers, until the client leaves.
    pub fn never() -> Self {
        Self::of(Kind::Never)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match &mut self.kind {
            Kind::Full { headers, .. } | Kind::Stream { headers, .. } => {
                headers.push((name.to_owned(), value.to_owned()));
            }
            Kind::Raw(_) | Kind::Never => panic!("this answer has no headers"),
        }
        self
    }

    /// Adds `Retry-After` (seconds or a date).
    pub fn retry_after(self, value: &str) -> Self {
        self.header("retry-after", value)
    }

    /// Sets a JSON body.
    pub fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sets the body of a status answer.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        match &mut self.kind {
            Kind::Full { body, .. } | Kind::Stream { body, .. } => *body = bytes.into(),
            Kind::Raw(_) | Kind::Never => panic!("this answer has no body"),
        }
        self
    }

    /// Closes the connection after `n_bytes` of the stream's body.
    pub fn cut_after(self, n_bytes: usize) -> Self {
        self.on_stream(|body, _, end| {
            body.truncate(n_bytes);
            *end = End::Cut;
        })
    }

    /// Closes the connection after the whole body, but without the proper end of a stream.
    pub fn cut_at_end(self) -> Self {
        self.on_stream(|_, _, end| *end = End::Cut)
    }

    /// Sends the body, then nothing more: the stream stays open and silent.
    pub fn then_idle(self) -> Self {
        self.on_stream(|_, _, end| *end = End::Idle)
    }

    /// Hands the stream out in pieces of `n_bytes`, with a pause after each.
    pub fn slowly(self, n_bytes: usize, pause: Duration) -> Self {
        self.on_stream(|_, pace, _| {
            *pace = Pace::Slow {
                n_bytes: n_bytes.max(1),
                pause,
            }
        })
    }

    /// Answers only when the gate is open; the request is recorded before.
    pub fn hold_until(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Answers after this time, to measure an overlap; a test that orders steps wants a [`Gate`].
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            gate: None,
            delay: Duration::ZERO,
        }
    }

    fn on_stream(mut self, change: impl FnOnce(&mut Vec<u8>, &mut Pace, &mut End)) -> Self {
        match &mut self.kind {
            Kind::Stream {
                body, pace, end, ..
            } => change(body, pace, end),
            Kind::Full { .. } | Kind::Raw(_) | Kind::Never => panic!("this answer is no stream"),
        }
        self
    }
}

impl From<Vec<Value>> for Reply {
    fn from(events: Vec<Value>) -> Self {
        sse(events)
    }
}
