//! One entry of another client's file as a server of ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_config::{
    Enablement, EnvVar, HttpTransport, McpServerConfig, McpTransport, OffReason, StdioTransport,
};
use codex_host::Secret;
use codex_protocol::ServerName;
use serde_json::{Map, Value};

use super::super::dialect::Dialect;
use super::super::dialect::template::{Folders, Template};
use super::source;

/// A server that can be written down, and what its user should know.
pub(super) struct Imported {
    pub(super) server: McpServerConfig,
    pub(super) notes: Vec<String>,
    /// Variables without a default that it needs.
    pub(super) variables: Vec<String>,
}

/// Reads entries of one file.
pub(super) struct Reader {
    pub(super) dialect: Dialect,
    pub(super) folders: Folders,
    pub(super) root: PathBuf,
}

/// The texts of an entry, by what they are for.
#[derive(Default)]
struct Texts {
    command: Template,
    args: Vec<Template>,
    cwd: Option<Template>,
    url: Template,
    /// Variables of a stdio server, or headers.
    named: BTreeMap<String, Template>,
}

impl Reader {
    /// Reads an entry; the error says why it is left out.
    pub(super) fn read(
        &self,
        name: ServerName,
        entry: &Map<String, Value>,
    ) -> Result<Imported, String> {
        let mut entry = entry.clone();
        let is_http = kind(&mut entry)?;
        let disabled = flag(&mut entry, "disabled")?;
        let timeout = milliseconds(&mut entry)?;
        let mut texts = Texts::default();
        if is_http {
            texts.url = self.required(&mut entry, "url")?;
            texts.named = self.pairs(&mut entry, "headers")?;
        } else {
            texts.command = self.required(&mut entry, "command")?;
            texts.args = self.list(&mut entry, "args")?;
            texts.cwd = self.text(&mut entry, "cwd")?;
            texts.named = self.env_file(&mut entry)?;
            texts.named.extend(self.pairs(&mut entry, "env")?);
        }
        let mut variables = Vec::new();
        for template in texts.all() {
            let needed = template.variables().into_iter();
            variables.extend(
                needed
                    .filter(|(_, needed)| *needed)
                    .map(|(name, _)| name.to_owned()),
            );
        }
        let (transport, expand_env) = match is_http {
            true => http(&texts),
            false => self.stdio(&texts),
        };
        let mut server = McpServerConfig::new(name, transport);
        if let McpTransport::StreamableHttp(http) = &server.transport
            && !expand_env
        {
            McpServerConfig::check_url(&http.url).map_err(|why| format!("its url {why}"))?;
        }
        server.expand_env = expand_env;
        server.tool_timeout = timeout;
        if disabled {
            server.enablement = Enablement::Off(OffReason::User);
        }
        let notes = entry
            .keys()
            .map(|key| format!("`{key}` is not taken over"))
            .collect();
        Ok(Imported {
            server,
            notes,
            variables,
        })
    }

    fn template(&self, text: &str) -> Result<Template, String> {
        Template::of_client(text, self.dialect, &self.folders)
    }

    fn text(&self, entry: &mut Map<String, Value>, key: &str) -> Result<Option<Template>, String> {
        match entry.shift_remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => self.template(&text).map(Some),
            Some(_) => Err(format!("`{key}` is not a text")),
        }
    }

    fn required(&self, entry: &mut Map<String, Value>, key: &str) -> Result<Template, String> {
        match self.text(entry, key)? {
            Some(text) if !text.0.is_empty() => Ok(text),
            _ => Err(format!("it has no `{key}`")),
        }
    }

    fn list(&self, entry: &mut Map<String, Value>, key: &str) -> Result<Vec<Template>, String> {
        let items = match entry.shift_remove(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(format!("`{key}` is not a list of texts")),
        };
        let texts = items.iter().map(|item| match item {
            Value::String(text) => self.template(text),
            Value::Number(number) => self.template(&number.to_string()),
            _ => Err(format!("`{key}` is not a list of texts")),
        });
        texts.collect()
    }

    fn pairs(
        &self,
        entry: &mut Map<String, Value>,
        key: &str,
    ) -> Result<BTreeMap<String, Template>, String> {
        let pairs = match entry.shift_remove(key) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(pairs)) => pairs,
            Some(_) => return Err(format!("`{key}` is not an object of texts")),
        };
        let mut read = BTreeMap::new();
        for (name, value) in pairs {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                // A variable that is taken away; ours begins without it.
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!("`{key}.{name}` is not a text"));
                }
            };
            read.insert(name, self.template(&text)?);
        }
        Ok(read)
    }

    /// Reads the variables of the file that an editor would read; what is in it is literal.
    fn env_file(
        &self,
        entry: &mut Map<String, Value>,
    ) -> Result<BTreeMap<String, Template>, String> {
        if !self.dialect.is_of_an_editor() {
            return Ok(BTreeMap::new());
        }
        let Some(path) = self.text(entry, "envFile")? else {
            return Ok(BTreeMap::new());
        };
        if path.has_variables() {
            return Err("envFile is named by a variable".to_owned());
        }
        let text = source::env_file(&self.root.join(path.to_ours(false)), &self.root)?;
        let lines = text.lines().map(str::trim);
        let pairs = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
        let read = pairs.map(|(name, value)| {
            let value = value.trim();
            let quoted = ['"', '\'']
                .into_iter()
                .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
            let literal = Template::of_ours(quoted.unwrap_or(value), false);
            (name.trim().to_owned(), literal)
        });
        Ok(read.collect())
    }

    fn stdio(&self, texts: &Texts) -> (McpTransport, bool) {
        let is_copied = |(name, value): (&String, &Template)| value.only_variable() == Some(name);
        let literal = || texts.named.iter().filter(|pair| !is_copied(*pair));
        let others = std::iter::once(&texts.command)
            .chain(&texts.args)
            .chain(&texts.cwd)
            .chain(literal().map(|(_, value)| value));
        let expand = others.into_iter().any(Template::has_variables);
        let cwd = texts.cwd.as_ref().map(|cwd| {
            let text = cwd.to_ours(expand);
            match cwd.has_variables() || Path::new(&text).is_absolute() {
                true => PathBuf::from(text),
                false => self.root.join(text),
            }
        });
        let stdio = StdioTransport {
            command: texts.command.to_ours(expand),
            args: texts.args.iter().map(|arg| arg.to_ours(expand)).collect(),
            env: literal()
                .map(|(name, value)| (name.clone(), Secret::new(value.to_ours(expand))))
                .collect(),
            env_vars: texts
                .named
                .iter()
                .filter(|pair| is_copied(*pair))
                .map(|(name, _)| EnvVar {
                    name: name.clone(),
                    source: None,
                })
                .collect(),
            cwd,
            inherit_env: false,
            cwd_base: None,
            sandbox: None,
        };
        (McpTransport::Stdio(stdio), expand)
    }
}

impl Texts {
    fn all(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.command)
            .chain(&self.args)
            .chain(&self.cwd)
            .chain(std::iter::once(&self.url))
            .chain(self.named.values())
    }
}

fn http(texts: &Texts) -> (McpTransport, bool) {
    let mut http = HttpTransport::default();
    let mut literal = BTreeMap::new();
    for (name, value) in &texts.named {
        let bearer = value
            .bearer_variable()
            .filter(|_| name.eq_ignore_ascii_case("authorization"));
        match (bearer, value.only_variable()) {
            (Some(variable), _) => http.bearer_token_env_var = Some(variable.to_owned()),
            (None, Some(variable)) => {
                http.env_http_headers
                    .insert(name.clone(), variable.to_owned());
            }
            (None, None) => {
                literal.insert(name.clone(), value);
            }
        }
    }
    let mut others = literal.values().copied().chain(std::iter::once(&texts.url));
    let expand = others.any(Template::has_variables);
    http.url = texts.url.to_ours(expand);
    http.http_headers = literal
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value.to_ours(expand))))
        .collect();
    (McpTransport::StreamableHttp(Box::new(http)), expand)
}

/// Whether the entry is one of HTTP; other transports are told.
fn kind(entry: &mut Map<String, Value>) -> Result<bool, String> {
    let word = match entry.shift_remove("type") {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => Some(word),
        Some(_) => return Err("`type` is not a text".to_owned()),
    };
    match word.as_deref() {
        None => match (entry.contains_key("command"), entry.contains_key("url")) {
            (true, true) => Err("it has both `command` and `url`".to_owned()),
            (false, true) => Ok(true),
            (true, false) => Ok(false),
            (false, false) => Err("it has neither `command` nor `url`".to_owned()),
        },
        Some("stdio") => Ok(false),
        Some("http" | "streamable-http" | "streamableHttp" | "streamable_http") => Ok(true),
        Some("sse") => Err("the SSE transport is not supported".to_owned()),
        Some(other) => Err(format!("the transport `{other}` is not known")),
    }
}

fn flag(entry: &mut Map<String, Value>, key: &str) -> Result<bool, String> {
    match entry.shift_remove(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(value),
        Some(_) => Err(format!("`{key}` is neither true nor false")),
    }
}

fn milliseconds(entry: &mut Map<String, Value>) -> Result<Option<Duration>, String> {
    let Some(value) = entry
        .shift_remove("timeout")
        .filter(|value| !value.is_null())
    else {
        return Ok(None);
    };
    let seconds = value.as_f64().map(|number| number / 1000.0);
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match limit {
        Some(limit) => Ok(Some(limit)),
        None => Err("`timeout` is no number of milliseconds".to_owned()),
    }
}
