//! Why a request is refused: one sentence and a code.

use serde::Serialize;
use serde_json::{Value, json};

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL: i64 = -32603;
const OVERLOADED: i64 = -32001;

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// A code of JSON-RPC.
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// More, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Why a file of settings was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ConfigWriteErrorCode {
    /// It is not the one that the client read.
    ConfigVersionConflict,
    /// What is to be written cannot be used.
    ConfigValidationError,
}

impl Fault {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// A line that is no JSON.
    pub fn parse_error() -> Self {
        Self::new(PARSE_ERROR, "Parse error")
    }

    /// A line that is JSON and no message.
    pub fn invalid_request() -> Self {
        Self::new(INVALID_REQUEST, "Invalid request")
    }

    /// A request before `initialize`.
    pub fn not_initialized() -> Self {
        Self::state("Not initialized")
    }

    /// A second `initialize`.
    pub fn already_initialized() -> Self {
        Self::state("Already initialized")
    }

    /// A method that nobody knows; `hint` says which one was probably meant.
    pub fn method_not_found(method: &str, hint: Option<&str>) -> Self {
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let method = shown(method);
        Self::new(
            METHOD_NOT_FOUND,
            format!("method not found: `{method}`{hint}"),
        )
    }

    /// A method that this version does not have.
    pub fn method_not_supported(method: &str) -> Self {
        Self::new(
            METHOD_NOT_FOUND,
            format!("method not supported: `{method}`"),
        )
    }

    /// Params of a wrong shape.
    pub fn invalid_params(why: &str) -> Self {
        Self::new(INVALID_PARAMS, format!("Invalid params: {why}"))
    }

    /// A request that does not fit the state of things.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    /// Something that went wrong here.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL, message)
    }

    /// More requests than can wait.
    pub fn overloaded() -> Self {
        Self::new(OVERLOADED, "Server overloaded; retry later.")
            .with(json!({"codexErrorInfo": "server_overloaded"}))
    }

    /// A file of settings that was not written.
    pub fn config_write(code: ConfigWriteErrorCode, message: impl Into<String>) -> Self {
        Self::state(message).with(json!({"config_write_error_code": code}))
    }

    /// Adds more for programs.
    #[must_use]
    pub fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// A client's own word, short and on one line.
fn shown(word: &str) -> String {
    const LONGEST: usize = 100;
    let plain = word.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = plain.take(LONGEST).collect();
    if word.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
