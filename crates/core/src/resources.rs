//! The tools that list and read the resources of MCP servers.
//!
//! They are the engine's own tools, offered as soon as a server is configured, because a server that
//! is still starting may have resources too. Servers hand out their lists in pages of any size; here
//! all pages are fetched and handed on in pages of ours, small enough for the budget of an output.

use codex_api_types::ToolSpec;
use codex_mcp::{CallError, McpHandle, ServerState, ServerStatus};
use codex_protocol::{McpOutcome, ServerName};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::skills::SkillRequest;

/// So many entries are one page.
const PAGE: usize = 100;

const LIST: &str = "list_mcp_resources";
const LIST_TEMPLATES: &str = "list_mcp_resource_templates";
const READ: &str = "read_mcp_resource";
/// The names of the tools.
pub(crate) const NAMES: [&str; 3] = [LIST, LIST_TEMPLATES, READ];

/// Whether the tools of this module are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceTools {
    /// A server is configured and not off.
    Offered,
    /// There is no server.
    Absent,
}

impl ResourceTools {
    /// Looks whether there is a server that can be asked, now or later.
    pub(crate) fn of(mcp: &McpHandle) -> Self {
        let is_on = |status: &ServerStatus| !matches!(status.state, ServerState::Off(_));
        match mcp.statuses().iter().any(is_on) {
            true => Self::Offered,
            false => Self::Absent,
        }
    }
}

/// What a call wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResourceRequest {
    /// A page of a list.
    List {
        what: Listed,
        /// `None` = of all servers.
        server: Option<ServerName>,
        /// How many entries the pages before had.
        n_seen: usize,
    },
    /// One resource.
    Read { server: ServerName, uri: String },
    /// A skill, or the list of them.
    Skill(SkillRequest),
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Resources,
    Templates,
}

impl Listed {
    fn key(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }
}

/// Returns the tools as they are offered.
pub(crate) fn specs() -> [ToolSpec; 3] {
    let text = |description: &str| json!({"type": "string", "description": description});
    let list = |name: &str, description: &str| {
        let parameters = json!({
            "type": "object",
            "properties": {
                "server": text("Name of one MCP server; without it all servers are asked."),
                "cursor": text("`nextCursor` of the page before."),
            },
            "additionalProperties": false,
        });
        ToolSpec::function(name, description, parameters)
    };
    let read = json!({
        "type": "object",
        "properties": {
            "server": text("Name of the MCP server, as `list_mcp_resources` gives it."),
            "uri": text("URI of the resource."),
        },
        "required": ["server", "uri"],
        "additionalProperties": false,
    });
    [
        list(
            LIST,
            "Lists the resources of MCP servers: data that a server offers to be read, such as \
             files or records.",
        ),
        list(
            LIST_TEMPLATES,
            "Lists the resource templates of MCP servers: patterns for the URIs of resources.",
        ),
        ToolSpec::function(READ, "Reads one resource of an MCP server.", read),
    ]
}

/// Reads a call; `None` when it is none of these tools.
pub(crate) fn parse(name: &str, arguments: &str) -> Option<Result<ResourceRequest, BadArguments>> {
    match name {
        LIST => Some(parse_list(Listed::Resources, arguments)),
        LIST_TEMPLATES => Some(parse_list(Listed::Templates, arguments)),
        READ => Some(parse_read(arguments)),
        _ => None,
    }
}

/// Why the arguments of a call cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadArguments(String);

impl From<serde_json::Error> for BadArguments {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Deserialize, Default)]
struct ListArguments {
    server: Option<String>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct ReadArguments {
    server: String,
    uri: String,
}

fn parse_list(what: Listed, arguments: &str) -> Result<ResourceRequest, BadArguments> {
    let typed = match arguments.trim() {
        "" | "null" => ListArguments::default(),
        text => serde_json::from_str(text)?,
    };
    // Models write an empty string where they mean nothing.
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let n_seen = match given(typed.cursor) {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| BadArguments(format!("`{cursor}` is no cursor of this tool")))?,
    };
    Ok(ResourceRequest::List {
        what,
        server: given(typed.server).map(|name| ServerName::from_config(&name)),
        n_seen,
    })
}

fn parse_read(arguments: &str) -> Result<ResourceRequest, BadArguments> {
    let typed: ReadArguments = serde_json::from_str(arguments)?;
    Ok(ResourceRequest::Read {
        server: ServerName::from_config(&typed.server),
        uri: typed.uri,
    })
}

impl ResourceRequest {
    /// Returns the server under which the call's item stands, unless it is the engine itself.
    pub(crate) fn shown_server(&self) -> Option<&ServerName> {
        match self {
            Self::List { .. } => None,
            Self::Read { server, .. } => Some(server),
            Self::Skill(request) => Some(request.server()),
        }
    }

    /// Asks the servers.
    pub(crate) async fn answer(
        self,
        mcp: &McpHandle,
        cancel: &CancellationToken,
    ) -> Result<McpOutcome, CallError> {
        match self {
            Self::Skill(request) => request.answer(mcp, cancel).await,
            Self::Read { server, uri } => {
                let answer = mcp.read_resource(&server, &uri, cancel).await?;
                Ok(contents(answer))
            }
            Self::List {
                what,
                server: Some(server),
                n_seen,
            } => {
                let entries = list(mcp, what, &server, cancel).await?;
                let entries = entries.into_iter().map(|entry| named(&server, entry));
                Ok(page(what, entries.collect(), Vec::new(), n_seen))
            }
            Self::List {
                what,
                server: None,
                n_seen,
            } => {
                let (entries, errors) = list_all(mcp, what, cancel).await?;
                Ok(page(what, entries, errors, n_seen))
            }
        }
    }
}

async fn list(
    mcp: &McpHandle,
    what: Listed,
    server: &ServerName,
    cancel: &CancellationToken,
) -> Result<Vec<Value>, CallError> {
    match what {
        Listed::Resources => mcp.list_resources(server, cancel).await,
        Listed::Templates => mcp.list_resource_templates(server, cancel).await,
    }
}

/// Asks all servers side by side. One that cannot answer is named and keeps no other from it.
async fn list_all(
    mcp: &McpHandle,
    what: Listed,
    cancel: &CancellationToken,
) -> Result<(Vec<Value>, Vec<Value>), CallError> {
    let mut lists = JoinSet::new();
    let statuses = mcp.statuses().into_iter();
    let running = statuses.filter(|status| !matches!(status.state, ServerState::Off(_)));
    for (index, status) in running.enumerate() {
        let (mcp, cancel, server) = (mcp.clone(), cancel.clone(), status.server);
        lists.spawn(async move {
            let listed = list(&mcp, what, &server, &cancel).await;
            (index, server, listed)
        });
    }
    let mut answers: Vec<_> = lists.join_all().await;
    answers.sort_by_key(|(index, ..)| *index);
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for (_, server, listed) in answers {
        match listed {
            Ok(list) => entries.extend(list.into_iter().map(|entry| named(&server, entry))),
            Err(CallError::Cancelled) => return Err(CallError::Cancelled),
            Err(error) => {
                errors.push(json!({"server": server.as_str(), "error": error.to_string()}));
            }
        }
    }
    Ok((entries, errors))
}

/// Puts the server's name before the server's own words.
fn named(server: &ServerName, entry: Value) -> Value {
    let mut fields = Map::new();
    fields.insert("server".to_owned(), server.as_str().into());
    match entry {
        Value::Object(own) => fields.extend(own.into_iter().filter(|(key, _)| key != "server")),
        other => {
            fields.insert("entry".to_owned(), other);
        }
    }
    Value::Object(fields)
}

fn page(what: Listed, entries: Vec<Value>, errors: Vec<Value>, n_seen: usize) -> McpOutcome {
    let n_entries = entries.len();
    let entries: Vec<Value> = entries.into_iter().skip(n_seen).take(PAGE).collect();
    let n_now_seen = n_seen.saturating_add(entries.len());
    let mut fields = Map::new();
    fields.insert(what.key().to_owned(), entries.into());
    if n_now_seen < n_entries {
        fields.insert("nextCursor".to_owned(), n_now_seen.to_string().into());
    }
    if !errors.is_empty() {
        fields.insert("errors".to_owned(), errors.into());
    }
    text(&Value::Object(fields))
}

/// Turns what was read into blocks as a tool would have sent them; what is no list of contents is
/// shown as it is.
fn contents(mut answer: Value) -> McpOutcome {
    match answer.get_mut("contents").map(Value::take) {
        Some(Value::Array(contents)) => McpOutcome {
            content: contents
                .into_iter()
                .map(|resource| json!({"type": "resource", "resource": resource}))
                .collect(),
            meta: answer.get_mut("_meta").map(Value::take),
            ..McpOutcome::default()
        },
        _ => text(&answer),
    }
}

fn text(value: &Value) -> McpOutcome {
    McpOutcome {
        content: vec![json!({"type": "text", "text": value.to_string()})],
        ..McpOutcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_by_their_cursor_and_the_last_has_none() {
        let entries: Vec<Value> = (0..250).map(|n| json!({"uri": n})).collect();
        let page_after = |n_seen: usize| {
            let outcome = page(Listed::Resources, entries.clone(), Vec::new(), n_seen);
            let text = outcome.content[0]["text"].as_str().unwrap();
            let page: Value = serde_json::from_str(text).unwrap();
            let uris = page["resources"].as_array().unwrap().clone();
            let cursor = page.get("nextCursor").map(Value::to_string);
            (uris.len(), uris.first().map(|e| e["uri"].clone()), cursor)
        };
        let cursor = |text: &str| Some(format!("\"{text}\""));
        assert_eq!(page_after(0), (100, Some(json!(0)), cursor("100")));
        assert_eq!(page_after(100), (100, Some(json!(100)), cursor("200")));
        assert_eq!(page_after(200), (50, Some(json!(200)), None));
        assert_eq!(page_after(usize::MAX), (0, None, None));
    }

    #[test]
    fn empty_words_of_the_model_count_as_absent() {
        for arguments in ["", "null", "{}", r#"{"server":"","cursor":null}"#] {
            assert_eq!(
                parse(LIST, arguments),
                Some(Ok(ResourceRequest::List {
                    what: Listed::Resources,
                    server: None,
                    n_seen: 0
                })),
                "{arguments}"
            );
        }
    }

    #[test]
    fn a_server_cannot_speak_under_another_name() {
        let server = ServerName::from_config("a");
        assert_eq!(
            named(&server, json!({"uri": "u", "server": "b"})).to_string(),
            r#"{"server":"a","uri":"u"}"#
        );
    }

    #[test]
    fn an_answer_without_contents_is_shown_as_it_is() {
        let outcome = contents(json!({"odd": 1}));
        assert_eq!(
            outcome.content,
            [json!({"type": "text", "text": "{\"odd\":1}"})]
        );
    }
}
