//! `codex mcp import`: servers out of the file of another client, in one edit of ours.
//!
//! Nothing is started, asked or logged in to, and the other file is only read. What an entry means is
//! judged first, all of it; then the config is written once.

mod entry;
mod source;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use codex_config::{ConfigFile, Enablement, McpServerConfig, McpTransport, OffReason};
use codex_host::Env;
use codex_protocol::ServerName;
use codex_runtime::Invocation;
use serde_json::{Map, Value, json};

use super::add;
use super::dialect::{Dialect, jsonc, template::Folders};
use super::scope::{self, Scope};
use crate::error::CliError;
use crate::mask::{MASK, Secrets, looks_secret, printable};
use crate::table::pretty;
use entry::{Imported, Reader};

/// Arguments of `codex mcp import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to read, or `-` for stdin; the one of this project when left out
    path: Option<PathBuf>,
    /// Format of the file
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    from: Format,
    /// Take only this server; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Where to write
    #[arg(long, value_enum, default_value_t = Scope::User)]
    scope: Scope,
    /// Overwrite servers that are configured already
    #[arg(long)]
    replace: bool,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Formats that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Auto,
    McpJson,
    Vscode,
    Cursor,
    ClaudeDesktop,
}

/// What became of one entry.
struct Outcome {
    name: String,
    result: Fate,
}

enum Fate {
    Added(Box<Imported>),
    Kept,
    Skipped(String),
}

impl Outcome {
    fn words(&self) -> (&'static str, Option<String>) {
        match &self.result {
            Fate::Added(_) => ("added", None),
            Fate::Kept => (
                "kept",
                Some("already configured; --replace overwrites".to_owned()),
            ),
            Fate::Skipped(why) => ("skipped", Some(why.clone())),
        }
    }

    fn imported(&self) -> Option<&Imported> {
        match &self.result {
            Fate::Added(imported) => Some(imported),
            Fate::Kept | Fate::Skipped(_) => None,
        }
    }
}

pub(super) fn run(args: &ImportArgs, invocation: Invocation) -> Result<u8, CliError> {
    let loaded = crate::load(invocation)?;
    let root = source::project_root(loaded.cwd.as_path());
    let source = source::read(args.path.as_deref(), loaded.cwd.as_path(), &root)?;
    let unreadable = |why: String| {
        CliError::new(format!("cannot import from `{}`", source.name)).cause(printable(&why))
    };
    let document = jsonc::parse(&source.text).map_err(unreadable)?;
    let dialect = match args.from {
        Format::Auto => Dialect::guess(source.path.as_deref(), &document),
        Format::McpJson => Dialect::McpJson,
        Format::Vscode => Dialect::Vscode,
        Format::Cursor => Dialect::Cursor,
        Format::ClaudeDesktop => Dialect::ClaudeDesktop,
    };
    let mut servers = dialect.servers(document)?;
    choose(&mut servers, &args.only)?;
    let reader = Reader {
        dialect,
        folders: Folders {
            workspace: root.to_string_lossy().into_owned(),
            home: loaded.env.get("HOME").map(str::to_owned),
        },
        root,
    };

    let mut file = match args.dry_run {
        true => None,
        false => Some(args.scope.open(&loaded)?),
    };
    let present = match &file {
        Some(file) => file.server_names(),
        None => ConfigFile::server_names_of(&args.scope.file(&loaded))?,
    };
    let mut outcomes = Vec::new();
    for (name, value) in servers {
        let result = match judge(&reader, &name, &value) {
            Err(why) => Fate::Skipped(why),
            Ok(imported) => {
                let server = &imported.server;
                if present.contains(server.name.as_str()) && !args.replace {
                    Fate::Kept
                } else {
                    if let Some(file) = &mut file {
                        file.empty_mcp_server(&server.name)?;
                        file.set_mcp_server(server)?;
                    }
                    Fate::Added(Box::new(imported))
                }
            }
        };
        outcomes.push(Outcome { name, result });
    }
    if let Some(file) = file {
        file.save()?;
    }
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    let report = Report {
        source: source.name,
        dialect,
        outcomes,
        dry_run: args.dry_run,
    };
    let code = report.print(args.json, &loaded.env)?;
    for imported in report.outcomes.iter().filter_map(Outcome::imported) {
        let mut server = imported.server.clone();
        let policy = loaded.config.requirements.mcp();
        policy.apply_to(&mut server, &loaded.env);
        if let Enablement::Off(reason @ OffReason::Requirements { .. }) = &server.enablement {
            let text = format!("warning: `{}` is disabled: {}", server.name, reason.why());
            crate::say(&printable(&text))?;
        }
    }
    if let Some(layer) = scope::unused(&loaded, &args.scope.file(&loaded)) {
        for line in scope::why_unused(layer) {
            crate::say(&line)?;
        }
    }
    Ok(code)
}

fn judge(reader: &Reader, name: &str, value: &Value) -> Result<Imported, String> {
    let name = ServerName::parse(name).map_err(|error| error.to_string())?;
    let Value::Object(entry) = value else {
        return Err("its entry is not an object".to_owned());
    };
    reader.read(name, entry)
}

/// Leaves what was asked for.
fn choose(servers: &mut Map<String, Value>, only: &[String]) -> Result<(), CliError> {
    for name in only {
        if !servers.contains_key(name) {
            let error = CliError::new(format!("the file has no server named '{name}'"));
            return Err(error.did_you_mean(name, servers.keys().map(String::as_str)));
        }
    }
    if !only.is_empty() {
        servers.retain(|name, _| only.contains(name));
    }
    Ok(())
}

/// What there is to tell.
struct Report {
    source: String,
    dialect: Dialect,
    outcomes: Vec<Outcome>,
    dry_run: bool,
}

impl Report {
    fn print(&self, as_json: bool, env: &Env) -> Result<u8, CliError> {
        let text = match as_json {
            true => pretty(&self.json())?,
            false => self.text(),
        };
        crate::print(&text)?;
        for imported in self.outcomes.iter().filter_map(Outcome::imported) {
            let name = &imported.server.name;
            for warning in add::warnings(&imported.server.transport) {
                crate::say(&format!("{warning} ({name})"))?;
            }
            for note in &imported.notes {
                crate::say(&format!("note: {name}: {}", printable(note)))?;
            }
        }
        let missing: Vec<String> = self
            .variables()
            .into_iter()
            .filter(|variable| env.get_os(variable).is_none())
            .collect();
        if !missing.is_empty() {
            crate::say(&format!(
                "note: set these variables: {}",
                missing.join(", ")
            ))?;
        }
        let has_skipped = self
            .outcomes
            .iter()
            .any(|outcome| matches!(outcome.result, Fate::Skipped(_)));
        Ok(u8::from(has_skipped))
    }

    fn text(&self) -> String {
        let added = self.outcomes.iter().filter_map(Outcome::imported).count();
        let done = if self.dry_run {
            "Would import"
        } else {
            "Imported"
        };
        let mut text = format!(
            "{done} {added} of {} MCP servers from {} ({}).\n",
            self.outcomes.len(),
            printable(&self.source),
            self.dialect.word()
        );
        let names = self.outcomes.iter().map(|outcome| printable(&outcome.name));
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
        for outcome in &self.outcomes {
            let name = printable(&outcome.name);
            let words = match (outcome.words(), outcome.imported()) {
                ((word, _), Some(imported)) => {
                    format!("{word}: {}", printable(&endpoint_of(&imported.server)))
                }
                ((word @ "skipped", Some(why)), _) => format!("{word}: {}", printable(&why)),
                ((word, Some(why)), _) => format!("{word} ({why})"),
                ((word, None), _) => word.to_owned(),
            };
            text.push_str(&format!("  {name:<width$}  {words}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let entries = self.outcomes.iter().map(|outcome| {
            let (result, reason) = outcome.words();
            let endpoint = outcome.imported();
            let endpoint = endpoint.map(|imported| endpoint_of(&imported.server));
            json!({"name": outcome.name, "result": result, "reason": reason, "endpoint": endpoint})
        });
        json!({
            "file": self.source,
            "dialect": self.dialect.word(),
            "entries": entries.collect::<Vec<_>>(),
            "variables": self.variables(),
        })
    }

    /// Returns the variables without a default that the servers need, sorted.
    fn variables(&self) -> Vec<String> {
        let imported = self.outcomes.iter().filter_map(Outcome::imported);
        let all = imported.flat_map(|imported| imported.variables.clone());
        let sorted: std::collections::BTreeSet<String> = all.collect();
        sorted.into_iter().collect()
    }
}

/// What would be started or asked, so that nobody takes it over unseen; what looks like a secret is
/// masked.
fn endpoint_of(server: &McpServerConfig) -> String {
    match &server.transport {
        McpTransport::StreamableHttp(http) => Secrets::Masked.url(&http.url),
        McpTransport::Stdio(stdio) => {
            let words = std::iter::once(&stdio.command).chain(&stdio.args);
            let masked = words.map(|word| match word.split('=').any(looks_secret) {
                true => MASK,
                false => word,
            });
            masked.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Reads one entry as `import` would; for the proof that an export comes back.
#[cfg(test)]
pub(super) fn read_entry(
    dialect: Dialect,
    name: &ServerName,
    entry: &Map<String, Value>,
) -> Result<codex_config::McpServerConfig, String> {
    let reader = Reader {
        dialect,
        folders: Folders {
            workspace: "/w".to_owned(),
            home: None,
        },
        root: PathBuf::from("/w"),
    };
    reader
        .read(name.clone(), entry)
        .map(|imported| imported.server)
}
