//! `sandbox` of a stdio server: a mode, or a table with it. What is not understood makes the entry
//! no server, for a sandbox with a slip in it would be none.

use std::fmt;
use std::path::PathBuf;

use codex_protocol::SandboxMode;
use serde::de::value::StrDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const KEYS: &[&str] = &["mode", "writable_roots", "network_access"];

/// What a stdio server may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSandbox {
    /// `read-only` or `workspace-write`; the latter opens the directory of the server.
    pub mode: SandboxMode,
    /// Further directories that it may write, with `workspace-write`.
    pub writable_roots: Vec<PathBuf>,
    /// It may use the network.
    pub network_access: bool,
}

impl ServerSandbox {
    /// Makes the sandbox of a mode with nothing more.
    pub fn of_mode(mode: SandboxMode) -> Self {
        Self {
            mode,
            writable_roots: Vec::new(),
            network_access: false,
        }
    }

    fn of_word<E: de::Error>(word: &str) -> Result<Self, E> {
        let deserializer: StrDeserializer<'_, E> = word.into_deserializer();
        match SandboxMode::deserialize(deserializer)? {
            SandboxMode::DangerFullAccess => Err(E::custom(
                "`danger-full-access` is no sandbox; leave `sandbox` out instead",
            )),
            mode @ (SandboxMode::ReadOnly | SandboxMode::WorkspaceWrite) => Ok(Self::of_mode(mode)),
        }
    }
}

impl Serialize for ServerSandbox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::of_mode(self.mode) {
            return self.mode.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mode", &self.mode)?;
        if !self.writable_roots.is_empty() {
            map.serialize_entry("writable_roots", &self.writable_roots)?;
        }
        if self.network_access {
            map.serialize_entry("network_access", &true)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for ServerSandbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SandboxVisitor)
    }
}

struct SandboxVisitor;

impl<'de> Visitor<'de> for SandboxVisitor {
    type Value = ServerSandbox;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`read-only`, `workspace-write`, or a table with `mode`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<ServerSandbox, E> {
        ServerSandbox::of_word(word)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ServerSandbox, M::Error> {
        let (mut mode, mut roots, mut network) = (None::<String>, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "mode" => mode = Some(map.next_value()?),
                "writable_roots" => roots = Some(map.next_value::<Vec<PathBuf>>()?),
                "network_access" => network = Some(map.next_value()?),
                _ => return Err(de::Error::unknown_field(&key, KEYS)),
            }
        }
        let mode = mode.ok_or_else(|| de::Error::missing_field("mode"))?;
        let mut sandbox = ServerSandbox::of_word(&mode)?;
        sandbox.writable_roots = roots.unwrap_or_default();
        sandbox.network_access = network.unwrap_or_default();
        if sandbox.mode == SandboxMode::ReadOnly && !sandbox.writable_roots.is_empty() {
            return Err(de::Error::custom(
                "`writable_roots` needs mode = \"workspace-write\"",
            ));
        }
        Ok(sandbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize, Debug, PartialEq)]
    struct Entry {
        sandbox: ServerSandbox,
    }

    fn read(text: &str) -> Result<Entry, String> {
        toml_edit::de::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_word_and_a_table_are_read_and_written_alike() {
        for text in [
            "sandbox = \"read-only\"\n",
            "sandbox = { mode = \"workspace-write\", writable_roots = [\"/w\"], network_access = true }\n",
            "sandbox = { mode = \"read-only\", network_access = true }\n",
        ] {
            let written = toml_edit::ser::to_string(&read(text).unwrap()).unwrap();
            assert_eq!(read(&written), read(text), "{written}");
        }
    }

    #[test]
    fn a_slip_is_no_sandbox_and_no_server() {
        for (text, expected) in [
            ("sandbox = \"readonly\"", "unknown variant"),
            ("sandbox = \"danger-full-access\"", "is no sandbox"),
            ("sandbox = true", "invalid type"),
            (
                "sandbox = { network_access = true }",
                "missing field `mode`",
            ),
            (
                "sandbox = { mode = \"read-only\", network = false }",
                "unknown field `network`",
            ),
            (
                "sandbox = { mode = \"read-only\", writable_roots = [\"/w\"] }",
                "needs mode",
            ),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
