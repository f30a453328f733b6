//! Between the entry of the file and the typed server. Each bad mixture has its own sentence.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_host::Secret;
use codex_protocol::{ServerName, ToolApprovalMode};

use crate::tree::{self, Node};

use super::raw::{RawMcpServer, RawOAuth, RawPeerHttp, Seconds};
use super::{
    Enablement, HttpAuth, HttpTransport, McpServerConfig, McpTransport, OAuthConfig, OAuthGrant,
    OffReason, PeerHttp, StartupReadiness, StdioTransport, ToolFilter, variable,
};

/// Why an entry is no server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryError {
    /// The key below the entry that is at fault; empty when it is the entry itself.
    pub(crate) key: Vec<&'static str>,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl EntryError {
    pub(super) fn new(key: &[&'static str], text: impl Into<String>) -> Self {
        Self {
            key: key.to_vec(),
            text: text.into(),
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

pub(super) const BEARER_HINT: &str =
    "put the token into an environment variable and set bearer_token_env_var = \"NAME\"";

const ABOVE_ZERO: &str = "the limit must be greater than 0";

/// Makes the typed server. The origin is not known here.
pub(crate) fn from_raw(name: ServerName, raw: RawMcpServer) -> Result<McpServerConfig, EntryError> {
    refuse_mixtures(&raw)?;
    variable::check(&raw)?;
    let startup_timeout = match (raw.startup_timeout_sec, raw.startup_timeout_ms) {
        (Some(seconds), _) => Some(duration("startup_timeout_sec", seconds)?),
        (None, Some(millis)) => Some(Duration::from_millis(millis)),
        (None, None) => None,
    };
    let tool_timeout = raw
        .tool_timeout_sec
        .map(|seconds| duration("tool_timeout_sec", seconds))
        .transpose()?;
    if raw.tool_input_schema_max_bytes == Some(0) {
        return Err(EntryError::new(
            &["tool_input_schema_max_bytes"],
            ABOVE_ZERO,
        ));
    }
    for (name, tool) in raw.tools.iter().flatten() {
        if tool.output_token_limit == Some(0) {
            return Err(EntryError::new(&["tools"], ABOVE_ZERO));
        }
        if tool.approve_when.is_some() && tool.approval_mode == Some(ToolApprovalMode::Approve) {
            let text = format!(
                "tools.{name}: approve_when beside approval_mode = \"approve\", which runs every call"
            );
            return Err(EntryError::new(&["tools"], text).hint("remove one of the two"));
        }
    }
    let server = base(name, &raw);
    Ok(McpServerConfig {
        startup_timeout,
        tool_timeout,
        ..server
    })
}

/// Makes what can be read of an entry that is no server, for listings.
pub(crate) fn from_broken(name: ServerName, raw: RawMcpServer, off: OffReason) -> McpServerConfig {
    McpServerConfig {
        enablement: Enablement::Off(off),
        ..base(name, &variable::without_values(raw))
    }
}

/// Writes the smallest entry: what equals its default is left out.
pub(crate) fn to_raw(server: &McpServerConfig) -> RawMcpServer {
    let some_if = |value: bool| value.then_some(true);
    let seconds = |limit: Option<Duration>| limit.map(|limit| Seconds(limit.as_secs_f64()));
    let mut raw = RawMcpServer {
        name: server.display_name.clone(),
        scopes: server.scopes.clone(),
        enabled: (server.enablement == Enablement::Off(OffReason::User)).then_some(false),
        required: some_if(server.required),
        startup_timeout_sec: seconds(server.startup_timeout),
        tool_timeout_sec: seconds(server.tool_timeout),
        enabled_tools: server.tools.enabled.clone(),
        disabled_tools: filled(&server.tools.disabled),
        default_tools_approval_mode: server.default_tools_approval_mode,
        supports_parallel_tool_calls: some_if(server.supports_parallel_tool_calls),
        tool_input_schema_max_bytes: server.tool_input_schema_max_bytes,
        startup_readiness: (server.startup_readiness != StartupReadiness::default())
            .then_some(server.startup_readiness),
        expand_env: some_if(server.expand_env),
        pin_tools: some_if(server.pin_tools),
        tools: (!server.tool_settings.is_empty()).then(|| server.tool_settings.clone()),
        ..RawMcpServer::default()
    };
    match &server.transport {
        McpTransport::Stdio(stdio) => {
            raw.command = Some(stdio.command.clone());
            raw.args = filled(&stdio.args);
            raw.env = exposed(&stdio.env);
            raw.env_vars = filled(&stdio.env_vars);
            raw.cwd = stdio
                .cwd
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned());
            raw.inherit_env = some_if(stdio.inherit_env);
            raw.sandbox = stdio.sandbox.clone();
        }
        McpTransport::StreamableHttp(http) => {
            raw.url = Some(http.url.clone());
            raw.bearer_token_env_var = http.bearer_token_env_var.clone();
            raw.http_headers = exposed(&http.http_headers);
            raw.env_http_headers =
                (!http.env_http_headers.is_empty()).then(|| http.env_http_headers.clone());
            raw.http_headers_helper = http.http_headers_helper.clone();
            raw.auth = http.auth;
            raw.oauth_resource = http.oauth_resource.clone();
            raw.oauth = http.oauth.as_ref().map(oauth_to_raw);
            raw.http = http.http.as_ref().map(peer_to_raw);
        }
    }
    raw
}

/// Returns an entry as a tree.
pub(crate) fn to_node(raw: &RawMcpServer) -> Option<Node> {
    let document = toml_edit::ser::to_document(raw).ok()?;
    tree::parse(&document.to_string(), 0).ok()
}

/// Everything that needs no judgement.
fn base(name: ServerName, raw: &RawMcpServer) -> McpServerConfig {
    let enablement = match unsupported(raw) {
        Some(error) => Enablement::Off(OffReason::Invalid {
            origin: None,
            why: error.text,
        }),
        None if raw.enabled == Some(false) => Enablement::Off(OffReason::User),
        None => Enablement::On,
    };
    McpServerConfig {
        display_name: raw.name.clone(),
        enablement,
        required: raw.required.unwrap_or_default(),
        tools: ToolFilter {
            enabled: raw.enabled_tools.clone(),
            disabled: raw.disabled_tools.clone().unwrap_or_default(),
        },
        default_tools_approval_mode: raw.default_tools_approval_mode,
        tool_settings: raw.tools.clone().unwrap_or_default(),
        supports_parallel_tool_calls: raw.supports_parallel_tool_calls.unwrap_or_default(),
        tool_input_schema_max_bytes: raw.tool_input_schema_max_bytes,
        startup_readiness: raw.startup_readiness.unwrap_or_default(),
        scopes: raw.scopes.clone(),
        expand_env: raw.expand_env.unwrap_or_default(),
        pin_tools: raw.pin_tools.unwrap_or_default(),
        ..McpServerConfig::new(name, transport(raw))
    }
}

fn transport(raw: &RawMcpServer) -> McpTransport {
    if raw.url.is_none() || raw.command.is_some() {
        return McpTransport::Stdio(StdioTransport {
            command: raw.command.clone().unwrap_or_default(),
            args: raw.args.clone().unwrap_or_default(),
            env: hidden(raw.env.as_ref()),
            env_vars: raw.env_vars.clone().unwrap_or_default(),
            cwd: raw.cwd.as_ref().map(Into::into),
            cwd_base: None,
            inherit_env: raw.inherit_env.unwrap_or_default(),
            sandbox: raw.sandbox.clone(),
        });
    }
    McpTransport::StreamableHttp(Box::new(HttpTransport {
        url: raw.url.clone().unwrap_or_default(),
        bearer_token_env_var: raw.bearer_token_env_var.clone(),
        http_headers: hidden(raw.http_headers.as_ref()),
        env_http_headers: raw.env_http_headers.clone().unwrap_or_default(),
        http_headers_helper: raw.http_headers_helper.clone(),
        helper_of_project: false,
        auth: raw.auth,
        oauth_resource: raw.oauth_resource.clone(),
        oauth: raw.oauth.as_ref().map(oauth_from_raw),
        http: raw.http.as_ref().map(peer_from_raw),
    }))
}

/// What is understood but cannot be done here turns the entry off, with its reason.
pub(crate) fn unsupported(raw: &RawMcpServer) -> Option<EntryError> {
    if raw.auth == Some(HttpAuth::Chatgpt) {
        let text = "auth = \"chatgpt\" is not supported";
        return Some(EntryError::new(&["auth"], text));
    }
    let id = raw.environment_id.as_deref().filter(|id| *id != "local")?;
    let text = format!("environment_id = \"{id}\" is not the local environment");
    Some(EntryError::new(&["environment_id"], text))
}

fn refuse_mixtures(raw: &RawMcpServer) -> Result<(), EntryError> {
    let given =
        |pairs: &[(&'static str, bool)]| pairs.iter().find(|(_, set)| *set).map(|(key, _)| *key);
    match (&raw.command, &raw.url) {
        (Some(_), Some(_)) => Err(EntryError::new(&["url"], "url is not supported for stdio")),
        (None, None) => Err(EntryError::new(&[], "invalid transport").hint("set command or url")),
        (Some(_), None) => {
            let http_only = [
                ("bearer_token", raw.bearer_token.is_some()),
                ("bearer_token_env_var", raw.bearer_token_env_var.is_some()),
                ("http_headers", raw.http_headers.is_some()),
                ("env_http_headers", raw.env_http_headers.is_some()),
                ("http_headers_helper", raw.http_headers_helper.is_some()),
                ("oauth", raw.oauth.is_some()),
                ("oauth_resource", raw.oauth_resource.is_some()),
                ("auth", raw.auth.is_some()),
                ("http", raw.http.is_some()),
            ];
            match given(&http_only) {
                Some(key) => Err(EntryError::new(
                    &[key],
                    format!("{key} is not supported for stdio"),
                )),
                None => Ok(()),
            }
        }
        (None, Some(url)) => {
            let stdio_only = [
                ("args", raw.args.is_some()),
                ("env", raw.env.is_some()),
                ("env_vars", raw.env_vars.is_some()),
                ("cwd", raw.cwd.is_some()),
                ("inherit_env", raw.inherit_env.is_some()),
                ("sandbox", raw.sandbox.is_some()),
            ];
            if let Some(key) = given(&stdio_only) {
                return Err(EntryError::new(
                    &[key],
                    format!("{key} is not supported for streamable_http"),
                ));
            }
            if raw.bearer_token.is_some() {
                let text = "bearer_token is not supported for streamable_http";
                return Err(EntryError::new(&["bearer_token"], text).hint(BEARER_HINT));
            }
            if raw.expand_env != Some(true) {
                check_url(url).map_err(|why| EntryError::new(&["url"], format!("url {why}")))?;
            }
            raw.oauth.as_ref().map_or(Ok(()), check_oauth)
        }
    }
}

/// Says what is wrong with the address of a server, as the rest of a sentence about it.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    let url =
        url::Url::parse(text).map_err(|_| "is not an absolute http or https URL".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not an absolute http or https URL".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment (`#…`)".to_owned());
    }
    Ok(())
}

fn check_oauth(oauth: &RawOAuth) -> Result<(), EntryError> {
    let missing = |key: &'static str, what: &str, needs: &str| {
        Err(EntryError::new(
            &["oauth", key],
            format!("{what} needs {needs}"),
        ))
    };
    if oauth.client_id.is_none() && oauth.client_secret.is_some() {
        return missing("client_secret", "oauth.client_secret", "oauth.client_id");
    }
    if oauth.client_id.is_none() && oauth.client_secret_env_var.is_some() {
        return missing(
            "client_secret_env_var",
            "oauth.client_secret_env_var",
            "oauth.client_id",
        );
    }
    match oauth.grant {
        Some(OAuthGrant::ClientCredentials) if oauth.client_id.is_none() => missing(
            "grant",
            "oauth.grant = \"client_credentials\"",
            "oauth.client_id",
        ),
        Some(OAuthGrant::JwtBearer)
            if oauth.assertion_file.is_none() && oauth.private_key_file.is_none() =>
        {
            missing(
                "grant",
                "oauth.grant = \"jwt_bearer\"",
                "oauth.assertion_file or oauth.private_key_file",
            )
        }
        _ => Ok(()),
    }
}

fn duration(key: &'static str, seconds: Seconds) -> Result<Duration, EntryError> {
    // The sentence of std is the contract's: "cannot convert float seconds to Duration: …".
    Duration::try_from_secs_f64(seconds.0)
        .map_err(|error| EntryError::new(&[key], error.to_string()))
}

fn hidden(map: Option<&BTreeMap<String, String>>) -> BTreeMap<String, Secret> {
    let entries = map.into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), Secret::new(value.clone())))
        .collect()
}

fn exposed(map: &BTreeMap<String, Secret>) -> Option<BTreeMap<String, String>> {
    let entries = map
        .iter()
        .map(|(key, value)| (key.clone(), value.expose().to_owned()));
    (!map.is_empty()).then(|| entries.collect())
}

fn filled<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn oauth_from_raw(raw: &RawOAuth) -> OAuthConfig {
    OAuthConfig {
        client_id: raw.client_id.clone(),
        client_secret: raw.client_secret.clone().map(Secret::new),
        client_secret_env_var: raw.client_secret_env_var.clone(),
        callback_url: raw.callback_url.clone(),
        callback_port: raw.callback_port,
        token_endpoint_auth_method: raw.token_endpoint_auth_method,
        authorization_server_issuer: raw.authorization_server_issuer.clone(),
        client_metadata_url: raw.client_metadata_url.clone(),
        grant: raw.grant,
        private_key_file: raw.private_key_file.as_ref().map(Into::into),
        assertion_file: raw.assertion_file.as_ref().map(Into::into),
    }
}

fn oauth_to_raw(oauth: &OAuthConfig) -> RawOAuth {
    let text = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    RawOAuth {
        client_id: oauth.client_id.clone(),
        client_secret: oauth
            .client_secret
            .as_ref()
            .map(|secret| secret.expose().to_owned()),
        client_secret_env_var: oauth.client_secret_env_var.clone(),
        callback_url: oauth.callback_url.clone(),
        callback_port: oauth.callback_port,
        token_endpoint_auth_method: oauth.token_endpoint_auth_method,
        authorization_server_issuer: oauth.authorization_server_issuer.clone(),
        client_metadata_url: oauth.client_metadata_url.clone(),
        grant: oauth.grant,
        private_key_file: oauth.private_key_file.as_ref().map(text),
        assertion_file: oauth.assertion_file.as_ref().map(text),
    }
}

fn peer_from_raw(raw: &RawPeerHttp) -> PeerHttp {
    PeerHttp {
        proxy: raw.proxy.clone().map(Secret::new),
        no_proxy: raw.no_proxy.clone(),
        ca_file: raw.ca_file.clone(),
        client_cert: raw.client_cert.clone(),
        client_key: raw.client_key.clone(),
    }
}

fn peer_to_raw(peer: &PeerHttp) -> RawPeerHttp {
    RawPeerHttp {
        proxy: peer.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        no_proxy: peer.no_proxy.clone(),
        ca_file: peer.ca_file.clone(),
        client_cert: peer.client_cert.clone(),
        client_key: peer.client_key.clone(),
    }
}
