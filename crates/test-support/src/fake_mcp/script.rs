//! What a fake server is and how it answers, whatever the transport.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tools;

/// The revision without a handshake.
pub(crate) const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Which revisions a fake server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Era {
    /// `initialize` only, up to 2025-11-25, as most servers today.
    #[default]
    Legacy,
    /// 2026-07-28 only: no handshake, `server/discover`.
    Modern,
    /// Both, as the client likes.
    Both,
}

impl Era {
    pub(crate) fn speaks_legacy(self) -> bool {
        self != Self::Modern
    }

    pub(crate) fn speaks_modern(self) -> bool {
        self != Self::Legacy
    }
}

/// Everything a server says about itself.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) instructions: Option<String>,
    pub(crate) era: Era,
    /// Answered to `initialize` whatever was asked.
    pub(crate) forced_version: Option<String>,
    /// Names of [`tools`]; empty means `echo`.
    pub(crate) tools: Vec<String>,
    /// Descriptions instead of the usual ones, by name.
    pub(crate) descriptions: Vec<(String, String)>,
    /// As many more tools `tool_0`, `tool_1`, …
    pub(crate) count: usize,
    pub(crate) page_size: Option<usize>,
    /// Every page names the same next page.
    pub(crate) endless_pages: bool,
    /// Offers a skill.
    pub(crate) has_skills: bool,
    /// Tools that joined while the server ran.
    pub(crate) late_tools: Mutex<Vec<String>>,
}

/// The way back to the client, within one request.
pub(crate) trait Peer {
    /// Sends a message that belongs to the request.
    fn send(&self, message: Value);
    /// Asks the client and waits for its answer, the whole message.
    fn ask(&self, method: &str, params: Value) -> Option<Value>;
    /// Waits until the client gives the request up, notes what it saw, and tells whether it came.
    fn wait_for_cancel(&self, id: &Value, limit: Duration) -> bool;
    /// Ends the server in the middle of the call.
    fn die(&self);
    /// Tells everybody who listens.
    fn broadcast(&self, message: Value);
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Result(Value),
    Error {
        code: i64,
        message: String,
        data: Option<Value>,
    },
    /// No answer, ever.
    Silence,
}

impl Answer {
    pub(crate) fn error(code: i64, message: impl Into<String>) -> Self {
        Self::Error {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// Makes the message, or nothing for silence.
    pub(crate) fn message(self, id: &Value) -> Option<Value> {
        match self {
            Self::Result(result) => Some(json!({"jsonrpc": "2.0", "id": id, "result": result})),
            Self::Error {
                code,
                message,
                data,
            } => {
                let mut error = json!({"code": code, "message": message});
                if let Some(data) = data {
                    error["data"] = data;
                }
                Some(json!({"jsonrpc": "2.0", "id": id, "error": error}))
            }
            Self::Silence => None,
        }
    }
}

/// Tells whether a request carries the marks of the revision without a handshake.
pub(crate) fn is_modern(request: &Value) -> bool {
    request["params"]["_meta"][META_VERSION].is_string() || request["method"] == "server/discover"
}

impl Script {
    /// Answers one request.
    pub(crate) fn answer(&self, request: &Value, peer: &dyn Peer) -> Answer {
        let modern = is_modern(request);
        if modern && !self.era.speaks_modern() {
            return Answer::error(-32601, format!("Method not found: {}", request["method"]));
        }
        if modern && let Some(refusal) = refuse_version(request) {
            return refusal;
        }
        let method = request["method"].as_str().unwrap_or_default();
        let params = &request["params"];
        let answer = match method {
            "initialize" if self.era.speaks_legacy() => Answer::Result(self.initialize(params)),
            "server/discover" => Answer::Result(self.discover()),
            "ping" => Answer::Result(json!({})),
            "logging/setLevel" => Answer::Result(json!({})),
            "tools/list" => self.list_tools(params),
            "tools/call" => tools::call(self, request, modern, peer),
            "resources/list" => Answer::Result(self.list_resources()),
            "resources/templates/list" => Answer::Result(json!({"resourceTemplates": [
                {"uriTemplate": "fake://notes/{n}", "name": "note"},
            ]})),
            "skills/list" if self.has_skills => Answer::Result(list_skills()),
            "resources/read" => read_resource(params),
            "prompts/list" => Answer::Result(json!({"prompts": [{"name": "summary"}]})),
            _ => Answer::error(-32601, format!("Method not found: {method}")),
        };
        match answer {
            Answer::Result(result) if modern => Answer::Result(modern_result(method, result)),
            other => other,
        }
    }

    /// Returns the tools on offer now, in order.
    pub(crate) fn offered(&self) -> Vec<Value> {
        let named: Vec<String> = match self.tools.as_slice() {
            [] if self.count == 0 => vec!["echo".to_owned()],
            [none] if none == "none" => Vec::new(),
            [all] if all == "all" => tools::WELL_FORMED
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            names => names.to_vec(),
        };
        let counted = (0..self.count).map(|index| format!("tool_{index}"));
        let late = self.late_tools.lock().expect("no holder panics").clone();
        named
            .into_iter()
            .chain(counted)
            .chain(late)
            .map(|name| {
                let mut tool = tools::definition(&name);
                let own = self.descriptions.iter().find(|(known, _)| *known == name);
                if let Some((_, text)) = own {
                    tool["description"] = text.as_str().into();
                }
                tool
            })
            .collect()
    }

    fn initialize(&self, params: &Value) -> Value {
        let asked = params["protocolVersion"].as_str().unwrap_or_default();
        let version = match &self.forced_version {
            Some(version) => version.as_str(),
            None => LEGACY
                .into_iter()
                .find(|known| *known == asked)
                .unwrap_or(LEGACY[0]),
        };
        let mut result = json!({
            "protocolVersion": version,
            "capabilities": self.capabilities(),
            "serverInfo": {"name": self.name, "version": "1.0.0"},
        });
        if let Some(text) = &self.instructions {
            result["instructions"] = text.as_str().into();
        }
        result
    }

    fn discover(&self) -> Value {
        let mut versions = vec![MODERN];
        if self.era.speaks_legacy() {
            versions.extend(LEGACY);
        }
        let mut result = json!({
            "supportedVersions": versions,
            "capabilities": self.capabilities(),
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": self.name, "version": "1.0.0"}},
        });
        if let Some(text) = &self.instructions {
            result["instructions"] = text.as_str().into();
        }
        result
    }

    fn capabilities(&self) -> Value {
        let mut capabilities =
            json!({"tools": {"listChanged": true}, "resources": {}, "prompts": {}, "logging": {}});
        if self.has_skills {
            capabilities["extensions"] = json!({"io.modelcontextprotocol/skills": {}});
        }
        capabilities
    }

    fn list_resources(&self) -> Value {
        let mut result = json!({"resources": [
            {"uri": "fake://notes/1", "name": "first note", "mimeType": "text/plain"},
        ]});
        if self.endless_pages {
            result["nextCursor"] = "again".into();
        }
        result
    }

    fn list_tools(&self, params: &Value) -> Answer {
        let tools = self.offered();
        let Some(page_size) = self.page_size else {
            return Answer::Result(json!({ "tools": tools }));
        };
        let start = match params["cursor"].as_str() {
            None => 0,
            Some(_) if self.endless_pages => 0,
            Some(cursor) => match cursor.strip_prefix("from-").and_then(|n| n.parse().ok()) {
                Some(start) if start <= tools.len() => start,
                _ => return Answer::error(-32602, format!("unknown cursor {cursor}")),
            },
        };
        let end = (start + page_size).min(tools.len());
        let mut result = json!({ "tools": tools[start..end] });
        if self.endless_pages || end < tools.len() {
            result["nextCursor"] = format!("from-{end}").into();
        }
        Answer::Result(result)
    }
}

const SKILL: &str = "skill://notes/SKILL.md";
const SKILL_TEXT: &str = "---\nname: notes\ndescription: Takes notes\n---\nWrite it down.\n";
const SKILL_FILE: &str = "skill://notes/more.md";

fn list_skills() -> Value {
    let digest = |text: &str| {
        let bytes = Sha256::digest(text);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    };
    json!({"skills": [{
        "uri": SKILL,
        "frontmatter": {"name": "notes", "description": "Takes notes"},
        "resources": [
            {"uri": SKILL, "digest": digest(SKILL_TEXT), "size": SKILL_TEXT.len()},
            {"uri": SKILL_FILE, "digest": digest("more"), "size": 4},
        ],
    }]})
}

fn refuse_version(request: &Value) -> Option<Answer> {
    let asked = request["params"]["_meta"][META_VERSION]
        .as_str()
        .unwrap_or(MODERN);
    (asked != MODERN).then(|| Answer::Error {
        code: -32022,
        message: "Unsupported protocol version".into(),
        data: Some(json!({"supported": [MODERN], "requested": asked})),
    })
}

fn modern_result(method: &str, mut result: Value) -> Value {
    if result.get("resultType").is_none() {
        result["resultType"] = "complete".into();
    }
    if method != "tools/call" {
        result["ttlMs"] = 0.into();
        result["cacheScope"] = "private".into();
    }
    result
}

fn read_resource(params: &Value) -> Answer {
    match params["uri"].as_str() {
        Some(uri @ "fake://notes/1") => Answer::Result(json!({"contents": [
            {"uri": uri, "mimeType": "text/plain", "text": "a note"},
        ]})),
        Some(SKILL) => Answer::Result(json!({"contents": [{"uri": SKILL, "text": SKILL_TEXT}]})),
        Some(SKILL_FILE) => {
            Answer::Result(json!({"contents": [{"uri": SKILL_FILE, "text": "evil"}]}))
        }
        uri => Answer::error(-32602, format!("resource not found: {uri:?}")),
    }
}
