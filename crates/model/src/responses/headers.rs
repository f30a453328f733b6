//! The headers of section 4 of contract-model-api.

use codex_protocol::ThreadId;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::ProviderSettings;

const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
const SESSION_ID: HeaderName = HeaderName::from_static("session-id");
const THREAD_ID: HeaderName = HeaderName::from_static("thread-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// Builds what does not change between requests, or says which configured header cannot be sent.
pub(super) fn common(settings: &ProviderSettings) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let provider = &settings.id;
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| format!("`{text}` cannot stand in a header"))
    };
    headers.insert(ORIGINATOR, value(&settings.identity.originator)?);
    headers.insert(USER_AGENT, value(&settings.identity.user_agent)?);
    for (name, secret) in &settings.headers {
        let Ok(parsed) = HeaderName::try_from(name.as_str()) else {
            return Err(format!(
                "provider `{provider}`: `{name}` is no name of a header"
            ));
        };
        // These two say what we send and understand; another value would be untrue.
        if parsed == ACCEPT || parsed == CONTENT_TYPE {
            continue;
        }
        let Ok(mut value) = HeaderValue::from_str(secret.expose()) else {
            return Err(format!(
                "provider `{provider}`: the value of header `{name}` has characters that a header cannot carry"
            ));
        };
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// Adds what names the conversation and the try; configured headers win.
pub(super) fn add_ids(headers: &mut HeaderMap, thread: ThreadId) {
    let mut add = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.entry(name).or_insert(value);
        }
    };
    add(SESSION_ID, thread.to_string());
    add(THREAD_ID, thread.to_string());
    add(REQUEST_ID, Uuid::new_v4().to_string());
}
