//! Between the bytes and rmcp: keeps every result verbatim.
//!
//! rmcp decodes a result into the first of some twenty shapes that fits it. That loses unknown fields,
//! and a result with one odd block fits none. So the messages pass through a [`Tap`] on their way: it
//! keeps the result of each of our own requests aside and hands rmcp a stub; rmcp does ids, sessions,
//! cancellation and the handshake, and [`Tap::take`] returns what the server really said.
//! The same place makes odd but understandable messages understandable for rmcp.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, RequestId, ServerJsonRpcMessage,
};
use serde_json::{Map, Value, json};

use crate::own_secrets::OwnSecrets;

/// Puts requests of the server that only we answer past rmcp's typed decoding.
pub(crate) const SHIELD: &str = "codex-shielded:";

/// Requests of the server that are decoded by ourselves.
const SHIELDED_METHODS: [&str; 3] = ["elicitation/create", "sampling/createMessage", "roots/list"];

/// The key of the stub that stands for a result.
const STUB: &str = "codexResultKeptAside";

/// Marks an error that did not come from the server but from the transport.
const TRANSPORT_FAULT: &str = "codexTransportFault";

/// What passes by on one connection.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    state: Mutex<TapState>,
    /// What must not be shown when an error of the server has it.
    pub(crate) secrets: Arc<OwnSecrets>,
}

#[derive(Debug, Default)]
struct TapState {
    /// Our own requests without an answer (`None`), or with one that nobody has taken yet.
    results: HashMap<RequestId, Option<Value>>,
    /// The id of `initialize`.
    initialize: Option<RequestId>,
    /// The result of `initialize`, verbatim.
    initialize_result: Option<Value>,
}

/// Why a message of the server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// It is no JSON-RPC at all.
    #[error("not a JSON-RPC message: {0}")]
    NotJsonRpc(String),
}

impl Tap {
    /// Makes a tap that takes these secrets out of the server's errors.
    pub(crate) fn hiding(secrets: Arc<OwnSecrets>) -> Self {
        Self {
            secrets,
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, TapState> {
        // A panic elsewhere leaves plain maps behind, so poison means nothing here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which answers are ours. Must see each message before it is sent.
    pub(crate) fn outgoing(&self, message: &ClientJsonRpcMessage) {
        match message {
            ClientJsonRpcMessage::Request(request) => match &request.request {
                ClientRequest::CustomRequest(_) => {
                    self.lock().results.insert(request.id.clone(), None);
                }
                ClientRequest::InitializeRequest(_) => {
                    self.lock().initialize = Some(request.id.clone());
                }
                _ => {}
            },
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.lock().results.remove(id);
                }
            }
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
    }

    /// Returns the result that was kept aside for one of our requests.
    pub(crate) fn take(&self, id: &RequestId) -> Option<Value> {
        self.lock().results.remove(id).flatten()
    }

    /// Returns the verbatim result of `initialize`.
    pub(crate) fn initialize_result(&self) -> Option<Value> {
        self.lock().initialize_result.clone()
    }

    /// Returns our requests that have no answer yet.
    pub(crate) fn unanswered(&self) -> Vec<RequestId> {
        let state = self.lock();
        let unanswered = state.results.iter().filter(|(_, result)| result.is_none());
        unanswered.map(|(id, _)| id.clone()).collect()
    }

    /// Turns a message of the server into what rmcp understands.
    pub(crate) fn incoming(&self, bytes: &[u8]) -> Result<ServerJsonRpcMessage, Unusable> {
        let message = self.shield(bytes, None)?;
        serde_json::from_value(message).map_err(|error| Unusable::NotJsonRpc(error.to_string()))
    }

    /// Like [`Tap::incoming`] for the answer to one HTTP POST: an error without an id belongs to `to`.
    pub(crate) fn incoming_answer(
        &self,
        bytes: &[u8],
        to: Option<&RequestId>,
    ) -> Result<ServerJsonRpcMessage, Unusable> {
        let message = self.shield(bytes, to)?;
        serde_json::from_value(message).map_err(|error| Unusable::NotJsonRpc(error.to_string()))
    }

    /// Like [`Tap::incoming`] for an SSE event, whose text rmcp parses itself.
    pub(crate) fn incoming_text(&self, text: &str) -> Result<String, Unusable> {
        self.shield(text.as_bytes(), None)
            .map(|message| message.to_string())
    }

    /// Makes the error that ends request `id` because its answer cannot be received.
    pub(crate) fn fault(id: &RequestId, why: &str) -> Value {
        json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": { "code": -32603, "message": why, "data": { TRANSPORT_FAULT: true } },
        })
    }

    /// Whether an error was made by [`Tap::fault`].
    pub(crate) fn is_fault(data: Option<&Value>) -> bool {
        data.is_some_and(|data| data.get(TRANSPORT_FAULT).is_some())
    }

    fn shield(&self, bytes: &[u8], answer_to: Option<&RequestId>) -> Result<Value, Unusable> {
        let parsed: Value = serde_json::from_slice(bytes)
            .map_err(|error| Unusable::NotJsonRpc(error.to_string()))?;
        let Value::Object(mut message) = parsed else {
            return Err(Unusable::NotJsonRpc("not an object".to_owned()));
        };
        // Some servers leave it out, and nothing depends on it.
        message.insert("jsonrpc".to_owned(), json!("2.0"));
        if message.contains_key("method") {
            shield_method(&mut message);
        } else if message.get("error").is_some_and(|error| !error.is_null()) {
            message.remove("result");
            self.shield_error(&mut message, answer_to);
        } else if message.contains_key("result") {
            message.remove("error");
            self.shield_result(&mut message);
        } else {
            return Err(Unusable::NotJsonRpc(
                "neither method, result nor error".to_owned(),
            ));
        }
        Ok(Value::Object(message))
    }

    fn shield_result(&self, message: &mut Map<String, Value>) {
        let Some(id) = message.get("id").and_then(request_id) else {
            return;
        };
        let mut state = self.lock();
        if state.initialize.as_ref() == Some(&id) {
            let result = message.remove("result").unwrap_or_default();
            message.insert("result".to_owned(), plain_initialize_result(&result));
            state.initialize_result = Some(result);
        } else if let Some(slot) = state.results.get_mut(&id) {
            *slot = message.remove("result");
            message.insert("result".to_owned(), json!({ STUB: true }));
        }
    }

    fn shield_error(&self, message: &mut Map<String, Value>, answer_to: Option<&RequestId>) {
        let has_id = message.get("id").and_then(request_id).is_some();
        if !has_id {
            // With one request open there is no doubt whose error it is.
            let unanswered = self.unanswered();
            let only = match unanswered.as_slice() {
                [only] => Some(only),
                _ => None,
            };
            match answer_to.or(only) {
                Some(id) => message.insert("id".to_owned(), json!(id)),
                None => message.remove("id"),
            };
        }
        let error = message.remove("error").unwrap_or_default();
        let mut error = plain_error(error);
        self.secrets.redact(&mut error);
        message.insert("error".to_owned(), error);
    }
}

/// Reads an id; numbers that came back as text count as numbers.
fn request_id(id: &Value) -> Option<RequestId> {
    if let Some(number) = id.as_str().and_then(|text| text.parse::<i64>().ok()) {
        return Some(RequestId::Number(number));
    }
    serde_json::from_value(id.clone()).ok()
}

fn shield_method(message: &mut Map<String, Value>) {
    let is_request = message.get("id").is_some_and(|id| !id.is_null());
    if let Some(Value::String(method)) = message.get_mut("method")
        && is_request
        && SHIELDED_METHODS.contains(&method.as_str())
    {
        method.insert_str(0, SHIELD);
    }
}

/// Fills in what an error object should have.
fn plain_error(error: Value) -> Value {
    let code = error.get("code").and_then(Value::as_i64);
    let code = code.and_then(|code| i32::try_from(code).ok());
    let message = match (error.get("message"), &error) {
        (Some(Value::String(message)), _) | (None, Value::String(message)) => message.clone(),
        _ => error.to_string(),
    };
    let mut plain = json!({ "code": code.unwrap_or(-32603), "message": message });
    if let Some(data) = error.get("data") {
        plain["data"] = data.clone();
    }
    plain
}

/// Only what rmcp needs; everything else is read from the verbatim result.
fn plain_initialize_result(result: &Value) -> Value {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
    let info = result.get("serverInfo");
    json!({
        "protocolVersion": text(result.get("protocolVersion")),
        "capabilities": {},
        "serverInfo": {
            "name": text(info.and_then(|info| info.get("name"))),
            "version": text(info.and_then(|info| info.get("version"))),
        },
    })
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CustomRequest, ServerResult};

    use super::*;

    fn tap_with_request(id: i64) -> Tap {
        let tap = Tap::default();
        let request = ClientRequest::CustomRequest(CustomRequest::new("tools/call", None));
        tap.outgoing(&ClientJsonRpcMessage::request(
            request,
            RequestId::Number(id),
        ));
        tap
    }

    #[test]
    fn a_result_with_unknown_blocks_survives_to_the_byte() {
        let tap = tap_with_request(7);
        let text = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"hologram","x":1}],"structuredContent":[1]}}"#;
        let message = tap.incoming(text.as_bytes()).unwrap();
        let ServerJsonRpcMessage::Response(response) = message else {
            panic!("a response");
        };
        assert!(matches!(response.result, ServerResult::CustomResult(_)));
        assert_eq!(
            tap.take(&RequestId::Number(7)).unwrap().to_string(),
            r#"{"content":[{"type":"hologram","x":1}],"structuredContent":[1]}"#
        );
    }

    #[test]
    fn an_answer_in_an_sse_event_is_kept_aside_too() {
        let tap = tap_with_request(7);
        let text = tap.incoming_text(r#"{"id":"7","result":{"tools":[]}}"#);
        let text = text.unwrap();
        let ServerJsonRpcMessage::Response(response) = serde_json::from_str(&text).unwrap() else {
            panic!("a response");
        };
        assert!(matches!(response.result, ServerResult::CustomResult(_)));
        assert_eq!(
            tap.take(&RequestId::Number(7)),
            Some(json!({ "tools": [] }))
        );
    }

    #[test]
    fn an_error_without_an_id_belongs_to_the_only_open_request() {
        let tap = tap_with_request(3);
        let message = tap
            .incoming(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}"#)
            .unwrap();
        let ServerJsonRpcMessage::Error(error) = message else {
            panic!("an error");
        };
        assert_eq!(error.id, Some(RequestId::Number(3)));
    }

    #[test]
    fn a_bare_text_as_error_is_understood() {
        assert_eq!(
            plain_error(json!("broken")),
            json!({ "code": -32603, "message": "broken" })
        );
    }

    #[test]
    fn questions_of_the_server_pass_rmcp_undecoded() {
        let tap = Tap::default();
        let text = r#"{"id":1,"method":"elicitation/create","params":{"mode":"hologram"}}"#;
        let ServerJsonRpcMessage::Request(request) = tap.incoming(text.as_bytes()).unwrap() else {
            panic!("a request");
        };
        let rmcp::model::ServerRequest::CustomRequest(custom) = request.request else {
            panic!("a custom request");
        };
        assert_eq!(custom.method, "codex-shielded:elicitation/create");
    }

    #[test]
    fn noise_is_no_message() {
        let tap = Tap::default();
        assert!(tap.incoming(b"Listening on port 3000").is_err());
        assert!(tap.incoming(b"[]").is_err());
        assert!(tap.incoming(b"{\"a\":1}").is_err());
    }
}
