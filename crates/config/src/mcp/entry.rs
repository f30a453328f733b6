//! Reads one entry of `[mcp_servers]`. A fault turns that entry off; the others work.

use codex_protocol::ServerName;

use super::convert::{self, EntryError};
use super::raw::RawMcpServer;
use super::{Enablement, McpServerConfig, McpTransport, OffReason};
use crate::de::{self, Found, UnknownKey};
use crate::layers::{LayerSource, LayerStack};
use crate::tree::Entry;

/// A server, and its fault when it was quarantined.
pub(crate) struct ReadServer {
    pub(crate) server: McpServerConfig,
    pub(crate) fault: Option<Fault>,
}

/// What is wrong with an entry, and where.
pub(crate) struct Fault {
    pub(crate) found: Found,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

/// Reads an entry; unknown keys are added to the list.
pub(crate) fn read(
    entry: &Entry,
    layers: &LayerStack,
    unknown: &mut Vec<UnknownKey>,
) -> ReadServer {
    let name = ServerName::from_config(&entry.key);
    let source = Some(layers.place(entry.key_at));
    let result = de::read::<RawMcpServer>(&entry.node, &["mcp_servers", &entry.key], unknown);
    let fault = match result {
        Err(error) => Fault {
            found: error.found.unwrap_or_else(|| entry_found(entry)),
            text: error.message,
            hint: None,
        },
        Ok(raw) => {
            let unsupported = convert::unsupported(&raw);
            match convert::from_raw(name.clone(), raw) {
                Ok(server) => {
                    let mut server = McpServerConfig {
                        source: source.clone(),
                        ..server
                    };
                    know_the_project(entry, &mut server, layers);
                    let fault = unsupported.map(|error| fault_of(entry, error));
                    if let (Some(fault), Enablement::Off(OffReason::Invalid { origin, .. })) =
                        (&fault, &mut server.enablement)
                    {
                        *origin = Some(layers.place(fault.found.at));
                    }
                    return ReadServer { server, fault };
                }
                Err(error) => fault_of(entry, error),
            }
        }
    };
    let off = OffReason::Invalid {
        origin: Some(layers.place(fault.found.at)),
        why: fault.text.clone(),
    };
    let server = convert::from_broken(name, readable_part(entry), off);
    ReadServer {
        server: McpServerConfig { source, ..server },
        fault: Some(fault),
    }
}

/// A relative `cwd` in a project's file is meant from the folder that holds `.codex`, and a program
/// that prints headers gets less when a project named it.
fn know_the_project(entry: &Entry, server: &mut McpServerConfig, layers: &LayerStack) {
    let project_of = |key: &str| match layers.place(entry.node.entry(&[key])?.key_at).layer {
        LayerSource::Project { file, .. } => Some(file),
        _ => None,
    };
    match &mut server.transport {
        McpTransport::Stdio(stdio) => {
            let file = project_of("cwd");
            stdio.cwd_base = file.map(|file| file.parent_dir().parent_dir().into_path_buf());
        }
        McpTransport::StreamableHttp(http) => {
            http.helper_of_project = project_of("http_headers_helper").is_some();
        }
    }
}

/// Reads an entry key by key and leaves out what cannot be read.
pub(crate) fn readable_part(entry: &Entry) -> RawMcpServer {
    let mut node = entry.node.clone();
    loop {
        let error = match de::read::<RawMcpServer>(&node, &[], &mut Vec::new()) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let first = error.found.and_then(|found| found.path.into_iter().next());
        let removed = first.and_then(|key| node.unset(&[key]));
        if removed.is_none() {
            return RawMcpServer::default();
        }
    }
}

fn entry_found(entry: &Entry) -> Found {
    Found {
        at: entry.key_at,
        path: vec!["mcp_servers".to_owned(), entry.key.clone()],
    }
}

fn fault_of(entry: &Entry, error: EntryError) -> Fault {
    let mut found = entry_found(entry);
    if let Some(at) = entry.node.entry(&error.key) {
        found.at = at.key_at;
        found
            .path
            .extend(error.key.iter().map(|key| (*key).to_owned()));
    }
    Fault {
        found,
        text: error.text,
        hint: error.hint,
    }
}
