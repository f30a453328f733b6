//! How faults of the configuration are told: position, key, excerpt, what to do.

use codex_utils_fuzzy_match::nearest_key;
use toml_edit::TomlError;

use crate::de::{Found, UnknownKey};
use crate::layers::{LayerSource, LayerStack, Origin, line_and_column};
use crate::mcp::entry;
use crate::mcp::raw::{RawMcpServer, field_names};
use crate::merge::{Oddity, OddityKind};
use crate::scan::masked_line;
use crate::{ConfigError, EntryWarning, Notice, Severity};

/// A value that cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) found: Found,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
    /// What follows from it when it is not fatal.
    pub(crate) consequence: Option<String>,
}

impl Fault {
    pub(crate) fn new(found: Found, text: impl Into<String>) -> Self {
        Self {
            found,
            text: text.into(),
            hint: None,
            consequence: None,
        }
    }

    /// Says what follows from it.
    pub(crate) fn so(self, consequence: impl Into<String>) -> Self {
        Self {
            consequence: Some(consequence.into()),
            ..self
        }
    }
}

impl From<entry::Fault> for Fault {
    fn from(fault: entry::Fault) -> Self {
        Self {
            found: fault.found,
            text: fault.text,
            hint: fault.hint,
            consequence: None,
        }
    }
}

/// Gathers faults and decides which of them end the start.
pub(crate) struct Faults<'l> {
    layers: &'l LayerStack,
    strict: bool,
    notices: Vec<Notice>,
    first: Option<(crate::tree::Place, ConfigError)>,
}

impl<'l> Faults<'l> {
    pub(crate) fn new(layers: &'l LayerStack, strict: bool) -> Self {
        Self {
            layers,
            strict,
            notices: Vec::new(),
            first: None,
        }
    }

    /// Tells a fault; one that was typed for this run is an error at once.
    pub(crate) fn add(&mut self, fault: Fault, severity: Severity) -> Result<(), ConfigError> {
        let origin = self.layers.place(fault.found.at);
        if origin.layer == LayerSource::SessionFlags {
            return Err(self.fatal(fault));
        }
        if self.strict {
            let error = self.fatal(fault.clone());
            self.remember(fault.found.at, error);
        }
        let mut lines = vec![located(&origin, &fault)];
        lines.extend(fault.consequence.clone());
        lines.extend(fault.hint.map(|hint| format!("hint: {hint}")));
        self.notices
            .push(Notice::new(severity, lines.join("\n"), Some(origin)));
        Ok(())
    }

    pub(crate) fn fatal(&self, fault: Fault) -> ConfigError {
        fatal(self.layers, &fault)
    }

    /// Tells all unknown keys in one notice.
    pub(crate) fn unknown_keys(&mut self, mut unknown: Vec<UnknownKey>) -> Result<(), ConfigError> {
        unknown.sort_by_key(|key| key.found.at);
        let Some(first) = unknown.first() else {
            return Ok(());
        };
        if self.strict {
            let error = self.unknown_field(first);
            self.remember(first.found.at, error);
        }
        let origin = self.layers.place(first.found.at);
        let (n_keys, s) = (unknown.len(), if unknown.len() == 1 { "" } else { "s" });
        let mut lines = vec![format!(
            "Codex is ignoring {n_keys} unrecognized configuration setting{s}. Check for typos or deprecated settings."
        )];
        lines.extend(unknown.iter().map(|key| self.ignored(key)));
        self.notices.push(Notice::new(
            Severity::Warning,
            lines.join("\n"),
            Some(origin),
        ));
        Ok(())
    }

    /// Ends the gathering: the first fault in strict mode, else what there is to say.
    pub(crate) fn into_notices(self) -> Result<Vec<Notice>, ConfigError> {
        match self.first {
            Some((_, error)) => Err(error),
            None => Ok(self.notices),
        }
    }

    fn remember(&mut self, at: crate::tree::Place, error: ConfigError) {
        if self.first.as_ref().is_none_or(|(first, _)| at < *first) {
            self.first = Some((at, error));
        }
    }

    fn ignored(&self, key: &UnknownKey) -> String {
        let origin = self.layers.place(key.found.at);
        let place = match origin.layer {
            LayerSource::SessionFlags => origin.to_string(),
            _ => format!("{} ({origin})", origin.layer.word()),
        };
        let advice = advice(key)
            .map(|advice| format!(" {advice}"))
            .unwrap_or_default();
        format!(
            "  {place}: `{}` is ignored.{advice}",
            dotted(&key.found.path)
        )
    }

    fn unknown_field(&self, key: &UnknownKey) -> ConfigError {
        let origin = self.layers.place(key.found.at);
        let what = format!("unknown configuration field `{}`", dotted(&key.found.path));
        let mut text = format!("{origin}: {what}");
        if origin.layer != LayerSource::SessionFlags {
            text.push_str(&excerpt(
                self.layers.text_of(key.found.at),
                key.found.at.offset,
            ));
        }
        ConfigError::Invalid {
            text,
            origin: Some(origin),
            hints: advice(key).into_iter().collect(),
        }
    }
}

/// Tells an unknown key of a server as a warning of its entry.
pub(crate) fn entry_warning(layers: &LayerStack, key: &UnknownKey) -> EntryWarning {
    let own = key.found.path.get(2..).unwrap_or_default();
    let advice = advice(key)
        .map(|advice| format!(" {advice}"))
        .unwrap_or_default();
    EntryWarning {
        text: format!("`{}` is ignored.{advice}", dotted(own)),
        origin: layers.place(key.found.at),
    }
}

/// Tells a client's secret that stands in a file: it works, and is better kept elsewhere.
pub(crate) fn stored_secret(layers: &LayerStack, path: &[&str]) -> Option<Notice> {
    let origin = layers.origin(path)?;
    if origin.layer == LayerSource::SessionFlags {
        return None;
    }
    let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
    let text = format!(
        "{origin}: the secret in `{key}` is stored in clear\n\
         hint: move it into an environment variable and set `client_secret_env_var` to its name",
        key = dotted(&path),
    );
    Some(Notice::new(Severity::Warning, text, Some(origin)))
}

/// Makes the error of a value that cannot be used.
pub(crate) fn fatal(layers: &LayerStack, fault: &Fault) -> ConfigError {
    let origin = layers.place(fault.found.at);
    ConfigError::Invalid {
        text: located(&origin, fault),
        origin: Some(origin),
        hints: fault.hint.clone().into_iter().collect(),
    }
}

/// Makes the error of a text that is no TOML, with the line it is about.
pub(crate) fn syntax_error(source: &LayerSource, text: &str, error: &TomlError) -> ConfigError {
    let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
    let origin = Origin {
        layer: source.clone(),
        line,
        column,
    };
    match syntax_error_at(&source.to_string(), text, error) {
        ConfigError::Invalid { text, hints, .. } => ConfigError::Invalid {
            text,
            origin: Some(origin),
            hints,
        },
        other => other,
    }
}

/// The same for a text that is no layer.
pub(crate) fn syntax_error_at(source: &str, text: &str, error: &TomlError) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start);
    let (line, column) = line_and_column(text, offset);
    let what = error.message().trim_end();
    ConfigError::Invalid {
        text: format!("{source}:{line}:{column}: {what}{}", excerpt(text, offset)),
        origin: None,
        hints: Vec::new(),
    }
}

/// Tells what was odd about a merge.
pub(crate) fn oddity(layers: &LayerStack, oddity: &Oddity) -> Notice {
    let origin = layers.place(oddity.at);
    let (severity, text) = match &oddity.kind {
        OddityKind::Clash { path, lower } => (
            Severity::Warning,
            format!(
                "{origin}: `{}` replaces the whole of {}: one is a table and the other is not",
                dotted(path),
                layers.place(*lower)
            ),
        ),
        OddityKind::OtherTransport { server, dropped } => (
            Severity::Note,
            format!(
                "{origin}: MCP server `{server}` is reached in another way than in lower layers; dropped: {}",
                dropped.join(", ")
            ),
        ),
        OddityKind::OtherEndpoint { server, dropped } => (
            Severity::Warning,
            format!(
                "{origin}: the project changes what MCP server `{server}` is; not taken over from lower layers: {}",
                dropped.join(", ")
            ),
        ),
        OddityKind::Refused { server, refused } => (
            Severity::Warning,
            format!(
                "{origin}: a project cannot loosen MCP server `{server}` of a lower layer or change the way of its login; not used: {}",
                refused.join(", ")
            ),
        ),
    };
    Notice::new(severity, text, Some(origin))
}

/// Tells an error in one text, its reasons included.
pub(crate) fn with_sources(error: &ConfigError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

fn located(origin: &Origin, fault: &Fault) -> String {
    format!(
        "{origin}: {}\nin `{}`",
        fault.text,
        dotted(&fault.found.path)
    )
}

/// Shows the line with a caret below; what may be a secret is shown as `…`.
fn excerpt(text: &str, offset: usize) -> String {
    let (line, _) = line_and_column(text, offset);
    let (shown, caret) = masked_line(text, offset);
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    format!(
        "\n{margin} |\n{number} | {shown}\n{margin} | {}^",
        " ".repeat(caret)
    )
}

/// Spells a path of keys as TOML does.
pub(crate) fn dotted(path: &[String]) -> String {
    let segments: Vec<String> = path
        .iter()
        .map(|key| toml_edit::Key::new(key).display_repr().into_owned())
        .collect();
    segments.join(".")
}

/// Says what was probably meant by an unknown key.
fn advice(key: &UnknownKey) -> Option<String> {
    let nearest = |keys: &[&'static str]| nearest_key(key.key(), keys.iter().copied());
    let path: Vec<&str> = key.found.path.iter().map(String::as_str).collect();
    let slip = match path.as_slice() {
        ["mcp_servers", _, "type" | "transport"] => {
            return Some("It is not needed: `command` or `url` decides.".to_owned());
        }
        ["mcp_servers", _, "disabled"] => {
            return Some("Did you mean `enabled = false`?".to_owned());
        }
        ["mcp_servers", _, slip] => server_slip(slip),
        ["mcp" | "servers"] => Some("mcp_servers"),
        // These tables are read apart from their siblings.
        [_] => nearest(&["features", "mcp_servers"]),
        _ => None,
    };
    if let Some(near) = slip.or_else(|| nearest(key.siblings)) {
        return Some(format!("Did you mean `{near}`?"));
    }
    let [root_key] = path.as_slice() else {
        return None;
    };
    // Not the nearest one: so far from home a likeness is chance.
    let mut fields = field_names::<RawMcpServer>().iter().copied();
    let is_it = |field: &&str| {
        let rest = field.strip_prefix(root_key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let of_server = server_slip(root_key).or_else(|| fields.find(is_it))?;
    Some(format!(
        "A server has a key `{of_server}`: it belongs below `[mcp_servers.NAME]`."
    ))
}

/// Returns the key of a server that other programs call so.
fn server_slip(key: &str) -> Option<&'static str> {
    match key {
        "headers" => Some("http_headers"),
        "environment" => Some("env"),
        "timeout" => Some("tool_timeout_sec"),
        "startup_timeout" | "startupTimeout" => Some("startup_timeout_sec"),
        "token" => Some("bearer_token_env_var"),
        "httpUrl" => Some("url"),
        "cmd" => Some("command"),
        "arguments" => Some("args"),
        _ => None,
    }
}
