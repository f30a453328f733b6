//! What a caller asks for: lists page by page, tool calls with the questions they raise.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_protocol::McpOutcome;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::CallError;
use crate::client::CallOptions;
use crate::exchange::Wire;
use crate::tools::{self, HeaderRules, ToolList};

/// More pages than this are not fetched.
const MAX_PAGES: usize = 100;

/// More items than this are not kept.
const MAX_ITEMS: usize = 5_000;

/// After so many bytes of JSON no further page is fetched.
const MAX_LIST_BYTES: usize = 32 * 1024 * 1024;

/// How often one call may ask the user before it is given up.
const MAX_ROUNDS: usize = 10;

/// A server that wants to be called again without asking anything is called after this, doubled each time.
const STATE_ONLY_DELAY: Duration = Duration::from_millis(100);

/// JSON-RPC codes with a meaning for us.
const METHOD_NOT_FOUND: i64 = -32601;
const HEADER_MISMATCH: i64 = -32020;

/// Schemas of tools whose arguments travel as headers too, by tool name; shared with the transport.
#[derive(Debug, Clone, Default)]
pub(crate) struct MarkedSchemas(Arc<Mutex<HashMap<String, Arc<Value>>>>);

impl MarkedSchemas {
    fn replace(&self, schemas: HashMap<String, Arc<Value>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = schemas;
    }

    pub(crate) fn get(&self, tool: &str) -> Option<Arc<Value>> {
        let schemas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        schemas.get(tool).cloned()
    }
}

/// All pages of a list.
#[derive(Debug, Clone, Default)]
pub struct ItemList {
    /// The items, verbatim.
    pub items: Vec<Value>,
    /// Why the list is not the whole list.
    pub truncated: Option<String>,
}

/// The requests of one connection.
pub(crate) struct Caller {
    pub(crate) wire: Wire,
    /// Since revision 2026-07-28: no session, questions within results.
    pub(crate) is_modern: bool,
    pub(crate) header_rules: HeaderRules,
    pub(crate) schemas: MarkedSchemas,
}

impl Caller {
    pub(crate) async fn list_tools(&self, limit: Duration) -> Result<ToolList, CallError> {
        let pages = match self.pages("tools/list", "tools", limit).await {
            Ok(pages) => pages,
            // A server that has no tools may say so in this way.
            Err(CallError::Rpc { code, .. }) if code == METHOD_NOT_FOUND => {
                return Ok(ToolList::default());
            }
            Err(error) => return Err(error),
        };
        let mut list = tools::decode(pages.items, self.header_rules);
        list.truncated = pages.truncated;
        if self.header_rules == HeaderRules::Apply {
            let marked = list.tools.iter().map(|tool| {
                let schema = Arc::new(tool.input_schema.clone());
                (tool.name.clone(), schema)
            });
            self.schemas.replace(marked.collect());
        }
        Ok(list)
    }

    /// Fetches page after page within `limit`.
    pub(crate) async fn pages(
        &self,
        method: &str,
        key: &str,
        limit: Duration,
    ) -> Result<ItemList, CallError> {
        let ends = Instant::now() + limit;
        let mut pages = ItemList::default();
        let mut n_bytes = 0;
        let mut cursors = HashSet::new();
        let mut cursor: Option<String> = None;
        for page_number in 1.. {
            let (items, next) = match self.page(method, key, cursor, ends).await {
                Ok(page) => page,
                Err(CallError::Timeout { .. }) if page_number == 1 => {
                    return Err(CallError::Timeout { limit });
                }
                Err(error) if page_number == 1 => return Err(error),
                Err(error) => {
                    pages.truncated = Some(format!("page {page_number} failed: {error}"));
                    break;
                }
            };
            n_bytes += items.iter().map(n_json_bytes).sum::<usize>();
            pages.items.extend(items);
            if pages.items.len() > MAX_ITEMS {
                pages.items.truncate(MAX_ITEMS);
                pages.truncated = Some(format!("only the first {MAX_ITEMS} were taken"));
                break;
            }
            let Some(next) = next.filter(|next| !next.is_empty() || self.is_modern) else {
                break;
            };
            pages.truncated = if !cursors.insert(next.clone()) {
                Some(format!("page {page_number} repeats a cursor"))
            } else if page_number == MAX_PAGES {
                Some(format!("only the first {MAX_PAGES} pages were fetched"))
            } else if n_bytes > MAX_LIST_BYTES {
                Some(format!(
                    "{page_number} pages hold more than {MAX_LIST_BYTES} bytes, the rest was not fetched"
                ))
            } else {
                None
            };
            if pages.truncated.is_some() {
                break;
            }
            cursor = Some(next);
        }
        Ok(pages)
    }

    /// Fetches one page: its items and the cursor of the next one.
    async fn page(
        &self,
        method: &str,
        key: &str,
        cursor: Option<String>,
        ends: Instant,
    ) -> Result<(Vec<Value>, Option<String>), CallError> {
        let mut params = Map::new();
        if let Some(cursor) = cursor {
            params.insert("cursor".to_owned(), Value::String(cursor));
        }
        let limit = ends.saturating_duration_since(Instant::now());
        let options = CallOptions::with_idle_timeout(limit);
        let cancel = CancellationToken::new();
        let asking = self.wire.exchange(method, params, &options, &cancel);
        // From outside too: neither progress nor a question to the user prolongs a list.
        let mut page = match timeout_at(ends, asking).await {
            Ok(page) => page?,
            Err(_) => return Err(CallError::Timeout { limit }),
        };
        let next = page.get_mut("nextCursor").map(Value::take);
        match (page.get_mut(key).map(Value::take), next) {
            (Some(Value::Array(items)), Some(Value::String(next))) => Ok((items, Some(next))),
            (Some(Value::Array(items)), _) => Ok((items, None)),
            (Some(_) | None, _) => Err(CallError::Protocol {
                why: format!("the result of `{method}` has no list `{key}`"),
            }),
        }
    }

    pub(crate) async fn call_tool(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        options: &CallOptions,
        cancel: &CancellationToken,
    ) -> Result<McpOutcome, CallError> {
        let mut params = Map::new();
        params.insert("name".to_owned(), json!(name));
        params.insert("arguments".to_owned(), Value::Object(arguments));
        let first = self
            .request("tools/call", params.clone(), options, cancel)
            .await;
        let result = match first {
            // Our copy of the tool's schema is stale; a fresh one makes the right headers.
            Err(CallError::Rpc { code, .. }) if code == HEADER_MISMATCH => {
                self.list_tools(options.idle_timeout).await?;
                self.request("tools/call", params, options, cancel).await?
            }
            other => other?,
        };
        Ok(outcome(result))
    }

    /// Sends a request and answers the questions within its results.
    pub(crate) async fn request(
        &self,
        method: &str,
        mut params: Map<String, Value>,
        options: &CallOptions,
        cancel: &CancellationToken,
    ) -> Result<Value, CallError> {
        let mut delay = STATE_ONLY_DELAY;
        for _ in 0..MAX_ROUNDS {
            let result = self
                .wire
                .exchange(method, params.clone(), options, cancel)
                .await?;
            match result.get("resultType").and_then(Value::as_str) {
                None | Some("complete") => return Ok(result),
                Some("input_required") => {}
                Some("task") => {
                    return Err(CallError::Unsupported {
                        what: "an answer that comes later (`resultType: task`)".to_owned(),
                    });
                }
                Some(other) => {
                    return Err(CallError::Protocol {
                        why: format!("unknown resultType `{other}`"),
                    });
                }
            }
            let asked = result.get("inputRequests").and_then(Value::as_object);
            let state = result.get("requestState").filter(|state| !state.is_null());
            let asked = asked.filter(|asked| !asked.is_empty());
            if asked.is_none() && state.is_none() {
                return Err(CallError::Protocol {
                    why: "it wants input and does not say which".to_owned(),
                });
            }
            params.remove("inputResponses");
            params.remove("requestState");
            match asked {
                Some(asked) => {
                    let answers = self.answers(asked, cancel).await?;
                    params.insert("inputResponses".to_owned(), Value::Object(answers));
                }
                None => {
                    tokio::select! {
                        () = sleep(delay) => {}
                        () = cancel.cancelled() => return Err(CallError::Cancelled),
                    }
                    delay = delay.saturating_mul(2).min(Duration::from_secs(5));
                }
            }
            if let Some(state) = state {
                params.insert("requestState".to_owned(), state.clone());
            }
        }
        Err(CallError::Protocol {
            why: format!("it asked for input {MAX_ROUNDS} times in one call"),
        })
    }

    async fn answers(
        &self,
        asked: &Map<String, Value>,
        cancel: &CancellationToken,
    ) -> Result<Map<String, Value>, CallError> {
        let mut answers = Map::new();
        for (key, question) in asked {
            let method = question.get("method").and_then(Value::as_str);
            let params = question.get("params").unwrap_or(&Value::Null);
            let answer = match method {
                Some("elicitation/create") => tokio::select! {
                    answer = self.wire.ear.answer(params) => answer,
                    () = cancel.cancelled() => return Err(CallError::Cancelled),
                },
                other => {
                    return Err(CallError::Unsupported {
                        what: format!("the request `{}`", other.unwrap_or("without a method")),
                    });
                }
            };
            let answer = answer.map_err(|why| CallError::Protocol { why })?;
            answers.insert(key.clone(), answer);
        }
        Ok(answers)
    }
}

/// How long a value is as JSON; nothing is written anywhere.
fn n_json_bytes(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and a value can always be written.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Reads a result of `tools/call` so that nothing of it is lost.
fn outcome(mut result: Value) -> McpOutcome {
    let meta = result.get("_meta").cloned();
    let is_error = match result.get("isError") {
        Some(Value::Bool(is_error)) => *is_error,
        Some(Value::String(text)) => text == "true",
        Some(_) | None => false,
    };
    let Some(object) = result.as_object_mut() else {
        return McpOutcome {
            content: vec![text_block(&result)],
            ..McpOutcome::default()
        };
    };
    let structured = object.remove("structuredContent");
    let content = match object.remove("content") {
        Some(Value::Array(blocks)) => blocks,
        Some(Value::Null) | None => {
            // Nothing that the protocol knows: whatever it is, it is the answer.
            let has_more = object
                .keys()
                .any(|key| !["_meta", "isError", "resultType"].contains(&key.as_str()));
            if structured.is_none() && has_more {
                vec![text_block(&result)]
            } else {
                Vec::new()
            }
        }
        Some(block @ Value::Object(_)) => vec![block],
        Some(other) => vec![text_block(&other)],
    };
    McpOutcome {
        content,
        structured,
        is_error,
        meta,
    }
}

fn text_block(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json!({ "type": "text", "text": text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stay_verbatim_and_null_is_a_structured_answer() {
        let result = json!({
            "content": [{ "type": "resource_link", "uri": "a:b" }, { "type": "hologram" }, 7],
            "structuredContent": null,
            "isError": true,
            "_meta": { "k": 1 },
        });
        assert_eq!(
            outcome(result),
            McpOutcome {
                content: vec![
                    json!({ "type": "resource_link", "uri": "a:b" }),
                    json!({ "type": "hologram" }),
                    json!(7)
                ],
                structured: Some(Value::Null),
                is_error: true,
                meta: Some(json!({ "k": 1 })),
            }
        );
    }

    #[test]
    fn an_answer_of_no_known_form_becomes_text() {
        let text = |value: Value| outcome(value).content[0]["text"].clone();
        assert_eq!(text(json!("plain")), "plain");
        assert_eq!(text(json!({ "content": "words" })), "words");
        assert_eq!(text(json!({ "toolResult": 5 })), r#"{"toolResult":5}"#);
        assert_eq!(outcome(json!({})), McpOutcome::default());
        let structured_only = outcome(json!({ "structuredContent": [1] }));
        assert_eq!(structured_only.structured, Some(json!([1])));
        assert!(structured_only.content.is_empty());
    }
}
