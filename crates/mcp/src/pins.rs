//! Tools that stay what they were when their user first saw them (`pin_tools = true`).
//!
//! A server can change the description of a tool at any time, and a description is read by the model as
//! if it were the user's. With pins the first list of a server is written down, and whatever differs
//! from it later is held back until somebody has looked at it. Everything here fails closed: pins that
//! cannot be read or written hold back every tool of their server.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_host::{AbsPath, CodexHome, FileLock, PrivateFile, read_bounded};
use codex_protocol::ServerName;
use codex_rmcp_client::ToolDefinition;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::notice::{McpNotice, quoted};

/// Version of the file.
const VERSION: u64 = 1;
/// How long another process may hold the lock.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// The largest file that is read.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// So many tools are named in a notice.
const MAX_TOLD: usize = 8;
/// What a server can change about a tool, by the protocol's names.
const PINNED_KEYS: [&str; 5] = [
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
];

/// Where pins are kept; cheap to clone, and nothing is read before a server needs it.
#[derive(Debug, Clone)]
pub struct ToolPins {
    file: AbsPath,
    lock: AbsPath,
}

/// One difference between what a server said when it was pinned and what it says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// A tool is not what it was.
    Changed {
        /// Its name.
        tool: String,
        /// What it was, as JSON.
        before: String,
        /// What it is.
        after: String,
    },
    /// A tool has another name.
    Renamed {
        /// The name that is gone.
        from: String,
        /// Its name now.
        tool: String,
    },
    /// A tool is there that was not.
    New {
        /// Its name.
        tool: String,
        /// What it is, as JSON.
        after: String,
    },
    /// A tool is gone.
    Removed {
        /// Its name.
        tool: String,
    },
    /// The server gives other instructions to the model.
    Instructions {
        /// What they were; empty for none.
        before: String,
        /// What they are.
        after: String,
    },
}

/// The list of a server with `pin_tools`, judged.
#[derive(Debug, Clone)]
pub struct PinnedTools {
    /// What differs from the pins.
    pub drift: Result<Vec<Drift>, PinError>,
    /// The list, for [`ToolPins::approve`].
    pub tools: Vec<ToolDefinition>,
    /// The instructions that came with it, likewise.
    pub instructions: Option<String>,
}

impl PinnedTools {
    /// Says why a tool is held back, if it is.
    pub(crate) fn held(&self, tool: &str) -> Option<String> {
        match &self.drift {
            Ok(drift) => {
                let own = drift.iter().find(|drift| drift.held() == Some(tool));
                own.map(Drift::what)
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Says whether the model gets the instructions.
    pub(crate) fn holds_instructions(&self) -> bool {
        let is_about_them = |drift: &Drift| matches!(drift, Drift::Instructions { .. });
        let drift = self.drift.as_ref();
        drift.map_or(true, |drift| drift.iter().any(is_about_them))
    }

    /// Tells the drift of the tools that the user wants, and of the instructions, in one sentence.
    pub(crate) fn complaint(
        &self,
        server: &ServerName,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<McpNotice> {
        let drift = match &self.drift {
            Ok(drift) => drift,
            Err(error) => {
                let text = format!("every tool of MCP server `{server}` is held back: {error}");
                return Some(McpNotice::about(server, text));
            }
        };
        let told: Vec<&Drift> = drift
            .iter()
            .filter(|drift| drift.tool().is_none_or(&is_wanted))
            .collect();
        let mut words: Vec<String> = told
            .iter()
            .take(MAX_TOLD)
            .map(|drift| match drift.tool() {
                Some(tool) => format!("`{}` is {}", quoted(tool), drift.short()),
                None => "its instructions are changed".to_owned(),
            })
            .collect();
        if told.len() > MAX_TOLD {
            words.push(format!("{} more", told.len() - MAX_TOLD));
        }
        let held = match told.iter().any(|drift| drift.is_held()) {
            true => "; what differs is held back",
            false => "",
        };
        let words = words.join(", ");
        let text = match told.as_slice() {
            [] => return None,
            [Drift::Instructions { .. }] => format!(
                "the instructions of MCP server `{server}` are not those that were pinned; they are held back"
            ),
            _ => format!(
                "the tools of MCP server `{server}` are not those that were pinned: {words}{held}"
            ),
        };
        Some(McpNotice {
            hints: vec![format!(
                "`codex mcp pins {server}` shows what differs, and with --approve accepts it"
            )],
            ..McpNotice::about(server, text)
        })
    }
}

/// Why pins cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pins of tools in `{file}` cannot be {deed}: {why}")]
pub struct PinError {
    file: String,
    deed: &'static str,
    why: String,
}

impl PinError {
    fn no_place() -> Self {
        Self {
            file: "its place".to_owned(),
            deed: "used",
            why: "nobody knows where it is".to_owned(),
        }
    }
}

impl Drift {
    /// Returns the tool that is held back; a tool that is gone needs no holding.
    pub fn held(&self) -> Option<&str> {
        match self {
            Self::Changed { tool, .. } | Self::Renamed { tool, .. } | Self::New { tool, .. } => {
                Some(tool)
            }
            Self::Removed { .. } | Self::Instructions { .. } => None,
        }
    }

    /// Returns whether something of it is kept from the model.
    fn is_held(&self) -> bool {
        !matches!(self, Self::Removed { .. })
    }

    /// Says what became of it, as the rest of a sentence about it.
    pub fn what(&self) -> String {
        match self {
            Self::Changed { .. } => "changed since it was pinned".to_owned(),
            Self::Renamed { from, .. } => format!("renamed from `{from}` since it was pinned"),
            Self::New { .. } => "new since the tools were pinned".to_owned(),
            Self::Removed { .. } => "gone since it was pinned".to_owned(),
            Self::Instructions { .. } => "changed since they were pinned".to_owned(),
        }
    }

    fn short(&self) -> String {
        match self {
            Self::Changed { .. } | Self::Instructions { .. } => "changed".to_owned(),
            Self::Renamed { from, .. } => format!("`{}` under another name", quoted(from)),
            Self::New { .. } => "new".to_owned(),
            Self::Removed { .. } => "gone".to_owned(),
        }
    }

    /// Returns the tool that it is about; `None` for the instructions.
    pub fn tool(&self) -> Option<&str> {
        match self {
            Self::Changed { tool, .. }
            | Self::Renamed { tool, .. }
            | Self::New { tool, .. }
            | Self::Removed { tool } => Some(tool),
            Self::Instructions { .. } => None,
        }
    }
}

/// What is pinned of one tool, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pin {
    sha256: String,
    definition: Value,
}

impl Pin {
    fn of(tool: &ToolDefinition) -> Self {
        let mut definition = Map::new();
        for key in PINNED_KEYS {
            if let Some(value) = tool.raw.get(key).filter(|value| !value.is_null()) {
                definition.insert(key.to_owned(), sorted(value));
            }
        }
        let definition = Value::Object(definition);
        let hash = Sha256::digest(definition.to_string());
        let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { sha256, definition }
    }

    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            sha256: value.get("sha256")?.as_str()?.to_owned(),
            definition: value.get("definition")?.clone(),
        })
    }

    fn text(&self) -> String {
        // A value always has a text.
        serde_json::to_string_pretty(&self.definition).unwrap_or_default()
    }
}

/// Another order of keys is no other tool.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, &Value> = map.iter().collect();
            let pairs = ordered.into_iter();
            Value::Object(
                pairs
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// What is pinned of one server, or would be.
#[derive(Debug, Default)]
struct Pins {
    tools: BTreeMap<String, Pin>,
    instructions: Option<String>,
}

impl ToolPins {
    /// Keeps pins in the user's directory.
    pub fn of(home: &CodexHome) -> Self {
        Self {
            file: home.join("mcp-tool-pins.json"),
            lock: home.join(".mcp-tool-pins.lock"),
        }
    }

    /// Returns the file.
    pub fn file(&self) -> &AbsPath {
        &self.file
    }

    /// Judges a list beside the work of others; without any pins everything is held back.
    pub(crate) async fn judged(
        pins: Option<&Self>,
        server: &ServerName,
        tools: Vec<ToolDefinition>,
        instructions: Option<String>,
    ) -> PinnedTools {
        let held = |tools| PinnedTools {
            drift: Err(PinError::no_place()),
            tools,
            instructions: None,
        };
        let Some(pins) = pins.cloned() else {
            return held(tools);
        };
        let server = server.clone();
        let judging = tokio::task::spawn_blocking(move || PinnedTools {
            drift: pins.judge(&server, &tools, instructions.as_deref()),
            tools,
            instructions,
        });
        judging.await.unwrap_or_else(|_| held(Vec::new()))
    }

    /// Compares a list with the pins of its server; the first list of a server becomes its pins. Blocks.
    pub fn judge<'t>(
        &self,
        server: &ServerName,
        tools: impl IntoIterator<Item = &'t ToolDefinition>,
        instructions: Option<&str>,
    ) -> Result<Vec<Drift>, PinError> {
        let now = pins_of(tools, instructions);
        if let Some(pinned) = pinned(&self.read()?, server) {
            return pinned
                .map(|pinned| drift(&pinned, &now))
                .ok_or_else(|| self.unreadable());
        }
        let _lock = self.locked()?;
        // Another process may have been first.
        let mut document = self.read()?;
        if let Some(pinned) = pinned(&document, server) {
            return pinned
                .map(|pinned| drift(&pinned, &now))
                .ok_or_else(|| self.unreadable());
        }
        self.write(&mut document, server, &now)?;
        Ok(Vec::new())
    }

    /// Makes a list the pins of its server. Blocks.
    pub fn approve<'t>(
        &self,
        server: &ServerName,
        tools: impl IntoIterator<Item = &'t ToolDefinition>,
        instructions: Option<&str>,
    ) -> Result<(), PinError> {
        let _lock = self.locked()?;
        let mut document = self.read()?;
        self.write(&mut document, server, &pins_of(tools, instructions))
    }

    /// Takes the pins of a server away; says whether there were any. Blocks.
    pub fn forget(&self, server: &ServerName) -> Result<bool, PinError> {
        // Nothing to take away: no lock file appears for it.
        if pinned(&self.read()?, server).is_none() {
            return Ok(false);
        }
        let _lock = self.locked()?;
        let mut document = self.read()?;
        let servers = document.get_mut("servers").and_then(Value::as_object_mut);
        let removed = servers.and_then(|servers| servers.shift_remove(server.as_str()));
        self.replace(&document)?;
        Ok(removed.is_some())
    }

    fn locked(&self) -> Result<FileLock, PinError> {
        let lock = FileLock::acquire(&self.lock, LOCK_LIMIT);
        lock.map_err(|error| self.failed("changed", error.to_string()))
    }

    fn read(&self) -> Result<Map<String, Value>, PinError> {
        let failed = |error: std::io::Error| self.failed("read", error.to_string());
        let Some(bytes) = read_bounded(&self.file, MAX_FILE).map_err(failed)? else {
            return Ok(Map::new());
        };
        let document: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.failed("read", error.to_string()))?;
        match document {
            Value::Object(document) if document.get("version") == Some(&json!(VERSION)) => {
                Ok(document)
            }
            _ => Err(self.unreadable()),
        }
    }

    fn write(
        &self,
        document: &mut Map<String, Value>,
        server: &ServerName,
        pins: &Pins,
    ) -> Result<(), PinError> {
        let tools: Map<String, Value> = pins
            .tools
            .iter()
            .map(|(name, pin)| {
                let value = json!({"sha256": pin.sha256, "definition": pin.definition});
                (name.clone(), value)
            })
            .collect();
        document.insert("version".to_owned(), json!(VERSION));
        let servers = document
            .entry("servers")
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(servers) = servers else {
            return Err(self.unreadable());
        };
        let mut own = json!({ "tools": tools });
        if let Some(instructions) = &pins.instructions {
            own["instructions"] = instructions.as_str().into();
        }
        servers.insert(server.to_string(), own);
        self.replace(document)
    }

    fn replace(&self, document: &Map<String, Value>) -> Result<(), PinError> {
        let failed = |why: String| self.failed("written", why);
        let text =
            serde_json::to_vec_pretty(document).map_err(|error| failed(error.to_string()))?;
        PrivateFile::replace(&self.file, &text).map_err(|error| failed(error.to_string()))
    }

    fn failed(&self, deed: &'static str, why: String) -> PinError {
        PinError {
            file: self.file.to_string(),
            deed,
            why,
        }
    }

    fn unreadable(&self) -> PinError {
        self.failed(
            "read",
            "it is not in the form that this version writes".to_owned(),
        )
    }
}

/// Finds the pins of a server: `None` without any, `Some(None)` when they cannot be read.
fn pinned(document: &Map<String, Value>, server: &ServerName) -> Option<Option<Pins>> {
    let own = document.get("servers")?.get(server.as_str())?;
    let read = || {
        let tools = own.get("tools")?.as_object()?;
        let tools = tools.iter();
        let tools = tools.map(|(name, value)| Some((name.clone(), Pin::read(value)?)));
        let instructions = match own.get("instructions") {
            None => None,
            Some(text) => Some(text.as_str()?.to_owned()),
        };
        Some(Pins {
            tools: tools.collect::<Option<_>>()?,
            instructions,
        })
    };
    Some(read())
}

fn pins_of<'t>(
    tools: impl IntoIterator<Item = &'t ToolDefinition>,
    instructions: Option<&str>,
) -> Pins {
    let mut pins = Pins {
        instructions: instructions.map(str::to_owned),
        ..Pins::default()
    };
    for tool in tools {
        // The first of two tools of one name is the one that is used.
        pins.tools
            .entry(tool.name.clone())
            .or_insert_with(|| Pin::of(tool));
    }
    pins
}

/// Compares; a tool that only has another name is told as such.
fn drift(pinned: &Pins, now: &Pins) -> Vec<Drift> {
    let mut drift = Vec::new();
    if pinned.instructions != now.instructions {
        drift.push(Drift::Instructions {
            before: pinned.instructions.clone().unwrap_or_default(),
            after: now.instructions.clone().unwrap_or_default(),
        });
    }
    let (pinned, now) = (&pinned.tools, &now.tools);
    let mut gone: Vec<&String> = pinned
        .keys()
        .filter(|name| !now.contains_key(*name))
        .collect();
    for (name, pin) in now {
        let tool = name.clone();
        match pinned.get(name) {
            Some(before) if before.sha256 == pin.sha256 => {}
            Some(before) => drift.push(Drift::Changed {
                tool,
                before: before.text(),
                after: pin.text(),
            }),
            None => {
                let old = gone
                    .iter()
                    .position(|old| pinned[*old].sha256 == pin.sha256);
                drift.push(match old {
                    Some(place) => Drift::Renamed {
                        from: gone.remove(place).clone(),
                        tool,
                    },
                    None => Drift::New {
                        tool,
                        after: pin.text(),
                    },
                });
            }
        }
    }
    drift.extend(
        gone.into_iter()
            .map(|tool| Drift::Removed { tool: tool.clone() }),
    );
    drift
}

#[cfg(test)]
mod tests;
