//! What came back: status, headers, and a body that streams under limits.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{HttpError, SseEvent};

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
        todo!()
    }

    /// Reads the whole body as JSON, under the request's body limit.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        todo!()
    }

    /// Reads the start of the body, at most 64 KiB, as text for an error message. Never fails:
    /// what cannot be read is left out.
    pub async fn error_text(self) -> String {
        todo!()
    }

    /// Turns the body into server-sent events of at most `max_event` bytes each.
    pub fn events(self, max_event: usize) -> SseStream {
        let _ = max_event;
        todo!()
    }
}

/// A body that streams: a [`Stream`] of pieces, `Send + 'static`. It ends after its first error.
#[derive(Debug)]
pub struct Body {}

impl Body {
    /// Reads all of it, under the request's body limit.
    pub async fn bytes(self) -> Result<Bytes, HttpError> {
        todo!()
    }
}

impl Stream for Body {
    type Item = Result<Bytes, HttpError>;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        todo!()
    }
}

/// Server-sent events of a body: a [`Stream`], `Send + 'static`. It ends after its first error.
/// An event that the end of the body cuts off is dropped, as the standard wants.
#[derive(Debug)]
pub struct SseStream {}

impl Stream for SseStream {
    type Item = Result<SseEvent, HttpError>;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        todo!()
    }
}
