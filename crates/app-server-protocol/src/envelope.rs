//! The envelope: what a line is, before anybody looks at its params.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Fault, ServerNotification, ServerRequest};

/// The id of a request; echoed as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Integer(i64),
    /// A text.
    String(String),
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(id) => id.fmt(f),
            Self::String(id) => write!(f, "{id:?}"),
        }
    }
}

/// One line of the client.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// It wants an answer.
    Request {
        /// Its id.
        id: RequestId,
        /// What it asks for.
        method: String,
        /// With what; `null` when absent.
        params: Value,
    },
    /// It wants none.
    Notification {
        /// What it tells.
        method: String,
    },
    /// It answers a request of ours.
    Response {
        /// Which one.
        id: RequestId,
        /// Its result; `None` for an error.
        result: Option<Value>,
    },
}

impl Incoming {
    /// Reads a line. The fault is to be answered with the id `null`.
    pub fn read(line: &[u8]) -> Result<Self, Fault> {
        let value: Value = serde_json::from_slice(line).map_err(|_| Fault::parse_error())?;
        let Value::Object(mut object) = value else {
            return Err(Fault::invalid_request());
        };
        let id = match object.remove("id") {
            None => None,
            Some(id) => Some(serde_json::from_value(id).map_err(|_| Fault::invalid_request())?),
        };
        match (object.remove("method"), id) {
            (Some(Value::String(method)), Some(id)) => Ok(Self::Request {
                id,
                method,
                params: object.remove("params").unwrap_or_default(),
            }),
            (Some(Value::String(method)), None) => Ok(Self::Notification { method }),
            (None, Some(id)) if object.contains_key("result") || object.contains_key("error") => {
                let result = object.remove("result");
                Ok(Self::Response {
                    id,
                    result: result.filter(|_| !object.contains_key("error")),
                })
            }
            _ => Err(Fault::invalid_request()),
        }
    }
}

/// Reads params; absent ones are an empty object.
pub(crate) fn read_params<T: DeserializeOwned>(params: Value) -> Result<T, Fault> {
    let params = match params {
        Value::Null => Value::Object(Map::new()),
        params => params,
    };
    serde_json::from_value(params).map_err(|error| Fault::invalid_params(&error.to_string()))
}

/// One line of ours.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outgoing {
    /// The answer to a request.
    Response {
        /// Its id.
        id: RequestId,
        /// The answer.
        result: Value,
    },
    /// The refusal of a request, or of a line that was none.
    Error {
        /// Its id, `null` for a line that has none.
        id: Option<RequestId>,
        /// Why.
        error: Fault,
    },
    /// A request of ours.
    Request {
        /// Its id.
        id: i64,
        /// What is asked.
        #[serde(flatten)]
        request: ServerRequest,
    },
    /// Something that happened.
    #[serde(rename_all = "camelCase")]
    Notification {
        /// What.
        #[serde(flatten)]
        notification: ServerNotification,
        /// When, in milliseconds since 1970.
        emitted_at_ms: i64,
    },
}

impl Outgoing {
    /// Answers a request.
    pub fn response(id: RequestId, result: &impl Serialize) -> Self {
        match serde_json::to_value(result) {
            Ok(result) => Self::Response { id, result },
            // No type of this wire has a key that is no text.
            Err(error) => Self::Error {
                id: Some(id),
                error: Fault::internal(error.to_string()),
            },
        }
    }

    /// Returns the line, with its end.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        match Incoming::read(line.as_bytes()) {
            Ok(Incoming::Request { id, method, params }) => {
                format!("request {id} {method} {params}")
            }
            Ok(Incoming::Notification { method }) => format!("notification {method}"),
            Ok(Incoming::Response { id, result }) => format!("response {id} {result:?}"),
            Err(error) => format!("{} {}", error.code, error.message),
        }
    }

    #[test]
    fn every_kind_of_line_is_told_apart() {
        let rows = [
            (r#"{"id":1,"method":"a"}"#, "request 1 a null"),
            (
                r#"{"jsonrpc":"2.0","id":"x","method":"a","params":{"b":1}}"#,
                r#"request "x" a {"b":1}"#,
            ),
            (r#"{"method":"initialized"}"#, "notification initialized"),
            (r#"{"id":0,"result":null}"#, "response 0 Some(Null)"),
            (r#"{"id":0,"error":{"code":1}}"#, "response 0 None"),
            ("{", "-32700 Parse error"),
            ("", "-32700 Parse error"),
            ("\u{fffd}", "-32700 Parse error"),
            (r#"[{"id":1,"method":"a"}]"#, "-32600 Invalid request"),
            ("3", "-32600 Invalid request"),
            (r#"{"id":1}"#, "-32600 Invalid request"),
            (r#"{"id":null,"method":"a"}"#, "-32600 Invalid request"),
            (r#"{"id":{},"method":"a"}"#, "-32600 Invalid request"),
            (r#"{"id":1.5,"method":"a"}"#, "-32600 Invalid request"),
            (r#"{"id":1,"method":7}"#, "-32600 Invalid request"),
            (r#"{"result":1}"#, "-32600 Invalid request"),
        ];
        for (line, expected) in rows {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_line_of_ours_has_no_jsonrpc_and_one_end() {
        let line = Outgoing::Error {
            id: None,
            error: Fault::parse_error(),
        };
        assert_eq!(
            line.line(),
            b"{\"id\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"}}\n"
        );
        let line = Outgoing::response(RequestId::String("x".to_owned()), &crate::Empty {});
        assert_eq!(line.line(), b"{\"id\":\"x\",\"result\":{}}\n");
    }
}
