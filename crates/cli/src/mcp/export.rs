//! `codex mcp export`: our servers in the format of another client.
//!
//! Values of variables and headers become `${NAME}` unless they are asked for. What the other format
//! has no place for is named, and a server that it cannot express at all is left out and named too.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use codex_config::{
    Enablement, EnvVarSource, HttpTransport, McpServerConfig, McpTransport, OffReason,
    StdioTransport,
};
use codex_host::PrivateFile;
use codex_runtime::Invocation;
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::dialect::template::{Piece, Template};
use super::live;
use crate::error::CliError;
use crate::mask::{Secrets, printable};
use crate::table::pretty;

/// Arguments of `codex mcp export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Servers to export; all of them when left out
    name: Vec<String>,
    /// Format to write
    #[arg(long, value_enum, value_name = "DIALECT")]
    to: Dialect,
    /// Write a new file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write configured values of variables and headers
    #[arg(long)]
    show_secrets: bool,
}

/// One server in the other format.
pub(super) struct Exported {
    pub(super) entry: Map<String, Value>,
    /// Variables that stand for a configured value now.
    pub(super) masked: Vec<String>,
    /// Keys that have no place there.
    pub(super) dropped: Vec<&'static str>,
}

pub(super) fn run(args: &ExportArgs, invocation: Invocation) -> Result<u8, CliError> {
    let loaded = crate::load(invocation)?;
    let config = &loaded.config;
    let servers: Vec<&McpServerConfig> = match args.name.is_empty() {
        true => config.mcp_servers.values().collect(),
        false => {
            let names = args.name.iter();
            let found = names.map(|name| live::find_server(config, &loaded.layers, name));
            found.collect::<Result<_, _>>()?
        }
    };
    let secrets = Secrets::from_flag(args.show_secrets);
    let (mut entries, mut told) = (BTreeMap::new(), Vec::new());
    let mut has_skipped = false;
    for server in servers {
        let name = printable(server.name.as_str());
        match export(server, args.to, secrets) {
            Err(why) => {
                has_skipped = true;
                told.push(format!("warning: {name} is left out: {why}"));
            }
            Ok(exported) => {
                for masked in &exported.masked {
                    told.push(format!(
                        "note: {name}: a configured value became ${{{masked}}}"
                    ));
                }
                if !exported.dropped.is_empty() {
                    let keys = exported.dropped.join(", ");
                    told.push(format!("note: {name}: dropped {keys}"));
                }
                entries.insert(server.name.as_str(), exported.entry);
            }
        }
    }
    let text = pretty(&json!({ args.to.root(): entries }))?;
    match &args.output {
        None => crate::print(&text)?,
        Some(path) => {
            let path = loaded.cwd.join(path);
            let failed = |error: std::io::Error| {
                CliError::new(format!("cannot write `{path}`")).cause(error.to_string())
            };
            let mut file = PrivateFile::create_new(&path).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
        }
    }
    for line in told {
        crate::say(&line)?;
    }
    Ok(u8::from(has_skipped))
}

/// Writes a server down; the error says why it cannot be.
pub(super) fn export(
    server: &McpServerConfig,
    dialect: Dialect,
    secrets: Secrets,
) -> Result<Exported, String> {
    let mut entry = Map::new();
    match &server.enablement {
        Enablement::On => {}
        Enablement::Off(OffReason::Invalid { why, .. }) => return Err(why.clone()),
        Enablement::Off(_) => {
            entry.insert("disabled".to_owned(), true.into());
        }
    }
    let mut writer = Writer {
        dialect,
        secrets,
        expand: server.expand_env,
        masked: Vec::new(),
    };
    let mut dropped = dropped(server);
    let own = match &server.transport {
        McpTransport::Stdio(stdio) => writer.stdio(stdio, &mut dropped)?,
        McpTransport::StreamableHttp(_) if dialect == Dialect::ClaudeDesktop => {
            return Err("claude-desktop has stdio servers only".to_owned());
        }
        McpTransport::StreamableHttp(http) => writer.http(http, &mut dropped)?,
    };
    let mut whole = own;
    whole.extend(entry);
    if let Some(limit) = server.tool_timeout {
        // Programs that read this want an integer; only a part of a millisecond is none.
        let millis = match u64::try_from(limit.as_millis()) {
            Ok(millis) if limit.subsec_micros() % 1000 == 0 => json!(millis),
            Ok(_) | Err(_) => json!(limit.as_secs_f64() * 1000.0),
        };
        whole.insert("timeout".to_owned(), millis);
    }
    Ok(Exported {
        entry: whole,
        masked: writer.masked,
        dropped,
    })
}

/// Names the keys that no other format has.
fn dropped(server: &McpServerConfig) -> Vec<&'static str> {
    let keys = [
        ("name", server.display_name.is_some()),
        ("required", server.required),
        ("startup_timeout_sec", server.startup_timeout.is_some()),
        ("enabled_tools", server.tools.enabled.is_some()),
        ("disabled_tools", !server.tools.disabled.is_empty()),
        (
            "default_tools_approval_mode",
            server.default_tools_approval_mode.is_some(),
        ),
        ("tools", !server.tool_settings.is_empty()),
        (
            "supports_parallel_tool_calls",
            server.supports_parallel_tool_calls,
        ),
        (
            "tool_input_schema_max_bytes",
            server.tool_input_schema_max_bytes.is_some(),
        ),
        ("scopes", server.scopes.is_some()),
        ("pin_tools", server.pin_tools),
    ];
    let set = keys.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(key, _)| key).collect()
}

/// Writes the texts of one server.
struct Writer {
    dialect: Dialect,
    secrets: Secrets,
    expand: bool,
    masked: Vec<String>,
}

impl Writer {
    fn text(&self, text: &str) -> Result<String, String> {
        let template = Template::of_ours(text, self.expand);
        template.to_client(self.dialect).map_err(str::to_owned)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        let name = name.to_owned();
        let template = Template(vec![Piece::Variable {
            name,
            default: None,
        }]);
        template.to_client(self.dialect).map_err(str::to_owned)
    }

    /// Writes a value that may be a secret, or a variable in its place.
    fn value(&mut self, value: &str, variable: &str) -> Result<String, String> {
        let template = Template::of_ours(value, self.expand);
        let has_literal = template
            .0
            .iter()
            .any(|piece| matches!(piece, Piece::Literal(_)));
        match self.secrets {
            Secrets::Masked if has_literal => {
                self.masked.push(variable.to_owned());
                self.variable(variable)
            }
            _ => template.to_client(self.dialect).map_err(str::to_owned),
        }
    }

    fn stdio(
        &mut self,
        stdio: &StdioTransport,
        dropped: &mut Vec<&'static str>,
    ) -> Result<Map<String, Value>, String> {
        let mut entry = Map::new();
        if self.dialect == Dialect::Vscode {
            entry.insert("type".to_owned(), "stdio".into());
        }
        entry.insert("command".to_owned(), self.text(&stdio.command)?.into());
        let args = stdio.args.iter().map(|arg| self.text(arg));
        let args: Vec<String> = args.collect::<Result<_, _>>()?;
        if !args.is_empty() {
            entry.insert("args".to_owned(), args.into());
        }
        let mut env = BTreeMap::new();
        for variable in &stdio.env_vars {
            match variable.source {
                Some(EnvVarSource::Remote) => dropped.push("env_vars"),
                Some(EnvVarSource::Local) | None => {
                    env.insert(variable.name.clone(), self.variable(&variable.name)?);
                }
            }
        }
        for (name, value) in &stdio.env {
            env.insert(name.clone(), self.value(value.expose(), name)?);
        }
        if !env.is_empty() {
            entry.insert("env".to_owned(), json!(env));
        }
        if let Some(cwd) = &stdio.cwd {
            entry.insert("cwd".to_owned(), self.text(&cwd.to_string_lossy())?.into());
        }
        if stdio.inherit_env {
            dropped.push("inherit_env");
        }
        Ok(entry)
    }

    fn http(
        &mut self,
        http: &HttpTransport,
        dropped: &mut Vec<&'static str>,
    ) -> Result<Map<String, Value>, String> {
        let mut entry = Map::new();
        entry.insert("type".to_owned(), "http".into());
        entry.insert("url".to_owned(), self.text(&http.url)?.into());
        let mut headers = BTreeMap::new();
        for (name, value) in &http.http_headers {
            let variable: String = name
                .chars()
                .map(|c| match c.is_ascii_alphanumeric() {
                    true => c.to_ascii_uppercase(),
                    false => '_',
                })
                .collect();
            headers.insert(name.clone(), self.value(value.expose(), &variable)?);
        }
        for (name, variable) in &http.env_http_headers {
            headers.insert(name.clone(), self.variable(variable)?);
        }
        if let Some(variable) = &http.bearer_token_env_var {
            let token = format!("Bearer {}", self.variable(variable)?);
            headers.insert("Authorization".to_owned(), token);
        }
        if !headers.is_empty() {
            entry.insert("headers".to_owned(), json!(headers));
        }
        let keys = [
            ("http_headers_helper", http.http_headers_helper.is_some()),
            ("auth", http.auth.is_some()),
            ("oauth_resource", http.oauth_resource.is_some()),
            ("oauth", http.oauth.is_some()),
            ("http", http.http.is_some()),
        ];
        dropped.extend(
            keys.into_iter()
                .filter(|(_, is_set)| *is_set)
                .map(|(key, _)| key),
        );
        Ok(entry)
    }
}

#[cfg(test)]
mod tests;
