//! What came in, with the questions that tests ask about it.

use serde_json::Value;

use crate::http_server::HttpRequest;

/// One recorded request.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// `POST` for a turn.
    pub method: String,
    /// Path and query, such as `/v1/responses`.
    pub path: String,
    /// In order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl RecordedRequest {
    /// Returns the first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| {
            panic!(
                "body is not JSON ({why}): {}",
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    /// Returns the items of `input`.
    pub fn input(&self) -> Vec<Value> {
        self.json()["input"].as_array().cloned().unwrap_or_default()
    }

    /// Returns the texts of all input messages of this role, in order, one string per content part.
    pub fn texts(&self, role: &str) -> Vec<String> {
        self.input()
            .iter()
            .filter(|item| item["role"] == role)
            .flat_map(|item| item["content"].as_array().cloned().unwrap_or_default())
            .filter_map(|part| part["text"].as_str().map(str::to_owned))
            .collect()
    }

    /// Returns the offered tools in order: `name`, hosted ones by their type, and
    /// `namespace.name` for each tool of a namespace.
    pub fn tool_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for tool in self.json()["tools"].as_array().into_iter().flatten() {
            let name = tool["name"]
                .as_str()
                .or(tool["type"].as_str())
                .unwrap_or("?");
            match tool["tools"].as_array() {
                Some(inner) => names.extend(
                    inner
                        .iter()
                        .map(|tool| format!("{name}.{}", tool["name"].as_str().unwrap_or("?"))),
                ),
                None => names.push(name.to_owned()),
            }
        }
        names
    }

    /// Returns the definition of a tool by the name that [`Self::tool_names`] gives it.
    pub fn tool(&self, wanted: &str) -> Option<Value> {
        let tools = self.json()["tools"].as_array().cloned().unwrap_or_default();
        if let Some((namespace, name)) = wanted.split_once('.') {
            let group = tools.into_iter().find(|tool| tool["name"] == namespace)?;
            return group["tools"]
                .as_array()?
                .iter()
                .find(|tool| tool["name"] == name)
                .cloned();
        }
        tools
            .into_iter()
            .find(|tool| tool["name"] == wanted || tool["type"] == wanted)
    }

    /// Returns the `output` that was sent for a call, a string or an array of parts.
    pub fn function_call_output(&self, call_id: &str) -> Option<Value> {
        self.input()
            .into_iter()
            .find(|item| {
                item["call_id"] == call_id
                    && item["type"]
                        .as_str()
                        .is_some_and(|kind| kind.ends_with("_output"))
            })
            .map(|item| item["output"].clone())
    }

    /// Returns the text of an output: the string, or the text parts joined by line breaks.
    pub fn function_call_output_text(&self, call_id: &str) -> Option<String> {
        Some(match self.function_call_output(call_id)? {
            Value::String(text) => text,
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .collect::<Vec<_>>()
                .join("\n"),
            other => other.to_string(),
        })
    }
}

impl From<HttpRequest> for RecordedRequest {
    fn from(request: HttpRequest) -> Self {
        let HttpRequest {
            method,
            path,
            headers,
            body,
        } = request;
        Self {
            method,
            path,
            headers,
            body,
        }
    }
}
