//! What came back: status, headers, and a body that streams under limits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep, timeout_at};
use url::Url;

use crate::error::{HttpError, HttpErrorKind, shown_url};
use crate::{Limits, SseDecoder, SseEvent};

/// How much of a body an error message may look at.
const MAX_ERROR_TEXT: usize = 64 * 1024;
/// How long an error message waits for it. A body that never ends must not hide a status that is
/// known, whatever limits the request has.
const ERROR_TEXT_LIMIT: Duration = Duration::from_secs(5);

/// A response whose body has not been read.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Where it came from, after redirects.
    pub url: Url,
    /// The body.
    pub body: Body,
}

impl Response {
    /// Returns the media type in lower case, without parameters.
    pub fn content_type(&self) -> Option<String> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = value.split(';').next().unwrap_or_default().trim();
        Some(media_type.to_ascii_lowercase())
    }

    /// Reads the whole body as JSON, under the request's body limit.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        let url = self.url;
        let bytes = self.body.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            // Not the error's own text: it may quote the body, and a body may hold a token.
            let message = format!(
                "the answer of `{}` is not the expected JSON (line {}, column {})",
                shown_url(&url),
                error.line(),
                error.column()
            );
            HttpError::new(HttpErrorKind::NotJson, message)
        })
    }

    /// Reads the start of the body, at most 64 KiB within 5 s, as text for an error message. Never
    /// fails: what cannot be read is left out.
    pub async fn error_text(self) -> String {
        let mut body = self.body;
        body.remaining = None;
        let mut start = Vec::new();
        let deadline = Instant::now() + ERROR_TEXT_LIMIT;
        while let Ok(Some(Ok(piece))) = timeout_at(deadline, body.next()).await {
            let n_room = MAX_ERROR_TEXT - start.len();
            start.extend_from_slice(&piece[..piece.len().min(n_room)]);
            if start.len() == MAX_ERROR_TEXT {
                break;
            }
        }
        String::from_utf8_lossy(&start).into_owned()
    }

    /// Turns the body into server-sent events of at most `max_event` bytes each.
    pub fn events(self, max_event: usize) -> SseStream {
        SseStream {
            body: self.body,
            decoder: SseDecoder::with_max_event(max_event),
        }
    }
}

/// A body that streams: a [`Stream`] of pieces, `Send + 'static`. It ends after its first error.
pub struct Body {
    pieces: Option<Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>>,
    url: Url,
    length: Option<u64>,
    limit: u64,
    /// How many bytes may still come.
    remaining: Option<u64>,
    idle: Option<IdleTimer>,
}

impl Body {
    pub(crate) fn new(response: reqwest::Response, url: Url, limits: Limits) -> Self {
        Self {
            length: response.content_length(),
            pieces: Some(Box::pin(response.bytes_stream())),
            url,
            limit: limits.body.unwrap_or(u64::MAX),
            remaining: limits.body,
            idle: limits.idle.map(IdleTimer::new),
        }
    }

    /// Reads all of it, under the request's body limit.
    pub async fn bytes(mut self) -> Result<Bytes, HttpError> {
        if let (Some(length), Some(remaining)) = (self.length, self.remaining)
            && length > remaining
        {
            return Err(HttpError::too_large(&self.url, self.limit));
        }
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await.transpose()? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    fn fail(&mut self, error: HttpError) -> Poll<Option<Result<Bytes, HttpError>>> {
        // Dropping the pieces closes the connection: nothing more of it is wanted.
        self.pieces = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(pieces) = &mut this.pieces else {
            return Poll::Ready(None);
        };
        let piece = match pieces.as_mut().poll_next(cx) {
            Poll::Ready(piece) => piece,
            Poll::Pending => {
                let Some(idle) = &mut this.idle else {
                    return Poll::Pending;
                };
                ready!(idle.poll(cx));
                let error = HttpError::idle(&this.url, idle.limit);
                return this.fail(error);
            }
        };
        if let Some(idle) = &mut this.idle {
            idle.is_running = false;
        }
        match piece {
            Some(Ok(bytes)) => {
                if let Some(remaining) = &mut this.remaining {
                    let Some(rest) = remaining.checked_sub(bytes.len() as u64) else {
                        let error = HttpError::too_large(&this.url, this.limit);
                        return this.fail(error);
                    };
                    *remaining = rest;
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(error)) => {
                let error = HttpError::from_library(&this.url, Duration::ZERO, &error);
                this.fail(error)
            }
            None => {
                this.pieces = None;
                Poll::Ready(None)
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("url", &shown_url(&self.url))
            .field("length", &self.length)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}

/// Counts silence. The timer is touched only when nothing is there to read: once per wait, not
/// once per piece.
struct IdleTimer {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: None,
            is_running: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_running {
            sleep.as_mut().reset(Instant::now() + limit);
            self.is_running = true;
        }
        sleep.as_mut().poll(cx)
    }
}

/// Server-sent events of a body: a [`Stream`], `Send + 'static`. It ends after its first error.
/// An event that the end of the body cuts off is dropped, as the standard wants.
#[derive(Debug)]
pub struct SseStream {
    body: Body,
    decoder: SseDecoder,
}

impl Stream for SseStream {
    type Item = Result<SseEvent, HttpError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match this.decoder.next_event() {
                Some(Ok(event)) => return Poll::Ready(Some(Ok(event))),
                Some(Err(error)) => {
                    this.body.pieces = None;
                    let message = format!("`{}`: {error}", shown_url(&this.body.url));
                    let error = HttpError::new(HttpErrorKind::EventTooLarge, message);
                    return Poll::Ready(Some(Err(error)));
                }
                None => {}
            }
            match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(bytes)) => this.decoder.push(&bytes),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
