//! `codex mcp add`: judges everything, then writes once.
//!
//! A name that exists keeps everything but how it is started, because installers run `add` again and
//! again. Approvals do not follow to another command or origin: they were given to something else.

mod existing;

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use codex_config::{
    Enablement, EnvVar, HttpTransport, McpServerConfig, McpTransport, OAuthConfig, OffReason,
    Origin, Saved, StdioTransport,
};
use codex_host::Secret;
use codex_mcp::{LoginSpec, StaticToken, redirect_uri_to_register};
use codex_protocol::ServerName;
use codex_runtime::{Invocation, Loaded};

use super::call::parse_seconds;
use super::login::{self, Registration};
use super::scope::{self, Scope};
use crate::error::CliError;
use crate::mask::{Secrets, is_secret_setting, looks_secret, printable};
use crate::quiet::Quiet;

/// More than this is no client secret.
const MAX_SECRET: u64 = 16 * 1024;

#[derive(Debug, Args)]
#[command(override_usage = "codex mcp add [OPTIONS] <NAME> (--url <URL> | -- <COMMAND>...)")]
pub(crate) struct AddArgs {
    /// Name for the server
    name: String,
    #[command(flatten)]
    transport: TransportArgs,
    /// Variable of the server's process
    #[arg(short = 'e', long, value_name = "KEY=VALUE", value_parser = key_value, conflicts_with = "url")]
    env: Vec<(String, String)>,
    /// Variables copied from the environment of codex
    #[arg(
        long,
        value_name = "NAME,NAME",
        value_delimiter = ',',
        conflicts_with = "url"
    )]
    env_var: Vec<String>,
    /// Directory that the server runs in
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    cwd: Option<PathBuf>,
    /// Variable that holds the bearer token
    #[arg(long, value_name = "ENV_VAR", conflicts_with = "command")]
    bearer_token_env_var: Option<String>,
    /// Header of every request; `${VAR}` as the value names a variable
    #[arg(
        short = 'H',
        long,
        value_name = "NAME: VALUE",
        conflicts_with = "command"
    )]
    header: Vec<String>,
    /// Value of `resource` in a login
    #[arg(long, value_name = "OAUTH_RESOURCE", conflicts_with = "command")]
    oauth_resource: Option<String>,
    /// Client that was registered by hand
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "command")]
    oauth_client_id: Option<String>,
    /// Secret of that client, kept with the logins; `-` reads it from stdin
    #[arg(
        long,
        value_name = "CLIENT_SECRET",
        requires = "oauth_client_id",
        conflicts_with = "command"
    )]
    oauth_client_secret: Option<String>,
    /// How this client becomes known to the authorization server
    #[arg(
        long,
        value_name = "AUTO|CIMD|DCR",
        hide_possible_values = true,
        conflicts_with = "command"
    )]
    oauth_client_registration: Option<Registration>,
    /// Limit of the start
    #[arg(long, value_name = "SECS", value_parser = parse_seconds, allow_negative_numbers = true)]
    startup_timeout: Option<Duration>,
    /// Limit of a silent tool call
    #[arg(long, value_name = "SECS", value_parser = parse_seconds, allow_negative_numbers = true)]
    tool_timeout: Option<Duration>,
    /// Fail a run when this server does not start
    #[arg(long)]
    required: bool,
    /// Offer only these tools
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    enabled_tools: Option<Vec<String>>,
    /// Do not offer these tools
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    disabled_tools: Option<Vec<String>>,
    /// File to write
    #[arg(long, value_name = "SCOPE", default_value = "user")]
    scope: Scope,
    /// Begin with an empty entry when the name exists
    #[arg(long)]
    replace: bool,
    /// Neither look for a login nor start one
    #[arg(long, conflicts_with = "command")]
    no_login: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct TransportArgs {
    /// Command that starts the server; --url is for a server that is reached by HTTP
    #[arg(value_name = "COMMAND", trailing_var_arg = true, num_args = 1..)]
    command: Vec<String>,
    /// URL of a streamable HTTP server
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn run(mut args: AddArgs, invocation: Invocation) -> Result<u8, CliError> {
    let name = ServerName::parse(&args.name).map_err(|error| CliError::new(error.to_string()))?;
    check_url(args.transport.url.as_deref())?;
    check_variables(&args)?;
    let headers = headers(&args.header)?;
    if args.transport.command.first().is_some_and(String::is_empty) {
        return Err(CliError::usage("the command is empty"));
    }
    if let [word] = args.transport.command.as_slice()
        && (word.starts_with("http://") || word.starts_with("https://"))
    {
        let hint = format!("use `codex mcp add {name} --url <URL>`");
        let word = Secrets::Masked.url(word);
        return Err(CliError::usage(format!("the command `{word}` is a URL")).hint(hint));
    }
    let loaded = crate::load(invocation.clone())?;
    let secret = client_secret(&mut args)?;
    let transport = transport(&args, headers, &loaded)?;
    let mut warnings = warnings(&transport);
    if let Some(command) = command_line(&transport) {
        let command = printable(command);
        warnings.push(format!(
            "warning: `{command}` is taken as the name of one program; to give arguments: codex mcp add {name} -- {command}"
        ));
    }

    let mut file = args.scope.open(&loaded)?;
    let old = file.mcp_server(&name).filter(|_| !args.replace);
    let mut server = McpServerConfig::new(name.clone(), transport);
    let mut notes = Vec::new();
    let old_keys = file.mcp_server_keys(&name);
    if let Some(old) = old.clone() {
        notes = existing::keep(&mut server, old, &old_keys);
    }
    apply_flags(&mut server, &args);
    if args.replace {
        file.empty_mcp_server(&name)?;
    }
    file.set_mcp_server(&server)?;
    if let Some(old) = old {
        let new_keys = file.mcp_server_keys(&name);
        let (old, new) = ((&old, &*old_keys), (&server, &*new_keys));
        notes.extend(existing::dropped(old, new));
    }
    let saved = file.save()?;

    let word = args.scope.word();
    crate::print(&format!("Added {word} MCP server '{name}'.\n"))?;
    let notes = notes.iter().filter(|_| saved == Saved::Written);
    for line in warnings.iter().chain(notes) {
        crate::say(line)?;
    }
    // What is probed and logged in to is what a run would use, requirements included.
    let loaded = invocation.load()?;
    let server = effective(server, &args, &loaded)?;
    if let Some(uri) = redirect_uri(&server) {
        crate::print(&format!("OAuth callback URL: {uri}\n"))?;
    }
    let may_log_in = !args.no_login && server.is_enabled() && asks_for_login(&server);
    if !may_log_in && secret.is_none() {
        return Ok(0);
    }
    let registration = args.oauth_client_registration.unwrap_or_default();
    let mut spec = LoginSpec::new(server);
    spec.registration = registration.rung();
    spec.client_secret = secret;
    super::live(&loaded, async |context| {
        login::after_add(spec, may_log_in, context).await
    })
}

/// Returns the server as a run sees it after the edit, and says when that is not what was typed.
fn effective(
    mut written: McpServerConfig,
    args: &AddArgs,
    loaded: &Loaded,
) -> Result<McpServerConfig, CliError> {
    let name = printable(written.name.as_str());
    let file = args.scope.file(loaded);
    if let Some(layer) = scope::unused(loaded, &file) {
        for line in scope::why_unused(layer) {
            crate::say(&line)?;
        }
        written.enablement = Enablement::Off(OffReason::User);
        return Ok(written);
    }
    let merged = loaded.config.mcp_servers.get(&written.name);
    let mut server = merged.cloned().unwrap_or(written);
    // However the settings came to be without it: nothing is asked that may not run.
    let policy = loaded.config.requirements.mcp();
    policy.apply_to(&mut server, &loaded.env);
    for key in loaded.layers.keys(&["mcp_servers", server.name.as_str()]) {
        let path = ["mcp_servers", server.name.as_str(), key];
        let places = loaded.layers.places(&path);
        let is_ours = |origin: &&Origin| origin.file() == Some(&file);
        if let Some(above) = places.first().filter(|origin| !is_ours(origin))
            && places.iter().any(|origin| is_ours(&origin))
        {
            crate::say(&printable(&format!(
                "note: {} overrides {key}",
                above.layer
            )))?;
        }
    }
    if let Enablement::Off(reason) = &server.enablement {
        let why = reason
            .text()
            .unwrap_or_else(|| "enabled = false".to_owned());
        crate::say(&printable(&format!("warning: `{name}` is disabled: {why}")))?;
    }
    Ok(server)
}

/// Reads the client's secret; it never reaches the config.
fn client_secret(args: &mut AddArgs) -> Result<Option<Secret>, CliError> {
    let Some(typed) = args.oauth_client_secret.take() else {
        return Ok(None);
    };
    if typed != "-" {
        crate::say(
            "warning: a secret on the command line can be seen by others; use `--oauth-client-secret -`",
        )?;
        return Ok(Some(Secret::new(typed)));
    }
    let _quiet = Quiet::begin();
    if std::io::stdin().is_terminal() {
        crate::say("note: type the client secret (input hidden) and press Enter")?;
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_SECRET)
        .read_line(&mut line)?;
    match line.trim() {
        "" => Err(CliError::new("no client secret was given on stdin")),
        secret => Ok(Some(Secret::new(secret))),
    }
}

/// The redirect URI that goes with a client that was registered by hand.
fn redirect_uri(server: &McpServerConfig) -> Option<&str> {
    let McpTransport::StreamableHttp(http) = &server.transport else {
        return None;
    };
    let oauth = http.oauth.as_ref()?;
    oauth.client_id.as_ref()?;
    oauth.callback_url.as_deref()
}

/// Judged here and not by clap, which would print the password of a URL back.
fn check_url(url: Option<&str>) -> Result<(), CliError> {
    let Some(url) = url else {
        return Ok(());
    };
    McpServerConfig::check_url(url).map_err(|why| {
        let shown = Secrets::Masked.url(url);
        let error = CliError::usage(format!(
            "invalid value '{shown}' for '--url <URL>': it {why}"
        ));
        let lacks_scheme = url.contains(['.', ':', '/'])
            && !url.contains("://")
            && McpServerConfig::check_url(&format!("http://{url}")).is_ok();
        match lacks_scheme {
            true => error.hint("put http:// or https:// in front of it"),
            false => error,
        }
    })
}

/// Pairs of name and value, as typed.
type Headers = Vec<(String, String)>;

/// Read here for the same reason: a header without its colon is mostly a token.
fn headers(typed: &[String]) -> Result<Headers, CliError> {
    let read = |text: &String| {
        let (name, value) = text.split_once(':')?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let good =
            !name.is_empty() && name.chars().all(token) && !value.chars().any(char::is_control);
        good.then(|| (name.to_owned(), value.trim().to_owned()))
    };
    let pairs: Option<Headers> = typed.iter().map(read).collect();
    pairs.ok_or_else(|| {
        CliError::usage(
            "invalid value for '--header <NAME: VALUE>': headers must be in `NAME: VALUE` form",
        )
    })
}

/// Refuses a value where the name of a variable belongs, and does not print it back.
fn check_variables(args: &AddArgs) -> Result<(), CliError> {
    // Variables of a process can have other names too, on Windows above all.
    let is_any_name =
        |text: &String| !text.is_empty() && !text.contains(['=', '\0']) && !looks_secret(text);
    let is_name = |text: &String| McpServerConfig::is_variable_name(text) && !looks_secret(text);
    let flag = if !args.env_var.iter().all(is_any_name) {
        "--env-var <NAME,NAME>"
    } else if !args.bearer_token_env_var.iter().all(is_name) {
        "--bearer-token-env-var <ENV_VAR>"
    } else {
        return Ok(());
    };
    Err(CliError::usage(format!(
        "invalid value for '{flag}': this is not the name of a variable"
    ))
    .hint("export the value as a variable and give its name here"))
}

fn transport(args: &AddArgs, headers: Headers, loaded: &Loaded) -> Result<McpTransport, CliError> {
    if let Some(url) = &args.transport.url {
        let http = http(url, args, headers, loaded)?;
        return Ok(McpTransport::StreamableHttp(Box::new(http)));
    }
    let mut words = args.transport.command.iter().cloned();
    Ok(McpTransport::Stdio(StdioTransport {
        command: words.next().unwrap_or_default(),
        args: words.collect(),
        env: args
            .env
            .iter()
            .map(|(key, value)| (key.clone(), Secret::new(value.clone())))
            .collect(),
        env_vars: args
            .env_var
            .iter()
            .map(|name| EnvVar {
                name: name.clone(),
                source: None,
            })
            .collect(),
        cwd: args
            .cwd
            .as_ref()
            .map(|cwd| loaded.cwd.join(cwd).into_path_buf()),
        cwd_base: None,
        inherit_env: false,
        sandbox: None,
    }))
}

fn http(
    url: &str,
    args: &AddArgs,
    headers: Headers,
    loaded: &Loaded,
) -> Result<HttpTransport, CliError> {
    let mut http = HttpTransport {
        url: url.to_owned(),
        bearer_token_env_var: args.bearer_token_env_var.clone(),
        oauth_resource: args.oauth_resource.clone(),
        ..HttpTransport::default()
    };
    let (mut literal, mut named) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in headers {
        let bearer = value.strip_prefix("Bearer ").and_then(variable);
        match (variable(&value), bearer) {
            (Some(variable), _) => {
                named.insert(name, variable.to_owned());
            }
            (None, Some(variable)) if name.eq_ignore_ascii_case("authorization") => {
                http.bearer_token_env_var = Some(variable.to_owned());
            }
            (None, _) => {
                literal.insert(name, Secret::new(value));
            }
        }
    }
    http.http_headers = literal;
    http.env_http_headers = named;
    if let Some(client_id) = &args.oauth_client_id {
        let all = &loaded.config.mcp_oauth;
        let uri = redirect_uri_to_register(&http, all);
        http.oauth = Some(OAuthConfig {
            client_id: Some(client_id.clone()),
            callback_url: Some(uri.map_err(CliError::new)?),
            ..OAuthConfig::default()
        });
    }
    Ok(http)
}

/// Returns `VAR` of `${VAR}`.
fn variable(value: &str) -> Option<&str> {
    let name = value.strip_prefix("${")?.strip_suffix('}')?;
    McpServerConfig::is_variable_name(name).then_some(name)
}

fn apply_flags(server: &mut McpServerConfig, args: &AddArgs) {
    server.startup_timeout = args.startup_timeout.or(server.startup_timeout);
    server.tool_timeout = args.tool_timeout.or(server.tool_timeout);
    server.required |= args.required;
    if args.enabled_tools.is_some() {
        server.tools.enabled.clone_from(&args.enabled_tools);
    }
    if let Some(disabled) = &args.disabled_tools {
        server.tools.disabled.clone_from(disabled);
    }
}

fn asks_for_login(server: &McpServerConfig) -> bool {
    match &server.transport {
        McpTransport::StreamableHttp(http) => StaticToken::of(http).is_none(),
        McpTransport::Stdio(_) => false,
    }
}

/// Says what is stored, or sent, more openly than people think.
pub(super) fn warnings(transport: &McpTransport) -> Vec<String> {
    let in_clear = |what: &str| {
        format!("warning: {what} is stored in clear; prefer --env-var / --bearer-token-env-var")
    };
    let mut warnings = Vec::new();
    let named: Vec<(&String, &Secret)> = match transport {
        McpTransport::Stdio(stdio) => {
            // `--token=…` too.
            let mut pieces = stdio.args.iter().flat_map(|word| word.split('='));
            if pieces.any(looks_secret) {
                warnings.push(in_clear("an argument that looks like a secret"));
            }
            stdio.env.iter().collect()
        }
        McpTransport::StreamableHttp(http) => {
            if is_open_http(&http.url) {
                warnings.push(
                    "warning: http:// sends everything in clear over the network; prefer https://"
                        .to_owned(),
                );
            }
            if Secrets::Masked.url(&http.url) != http.url {
                warnings.push(in_clear("a part of the URL that looks like a secret"));
            }
            http.http_headers.iter().collect()
        }
    };
    let secret = named
        .into_iter()
        .filter(|(name, value)| is_secret_setting(name, value.expose()));
    warnings.extend(secret.map(|(name, _)| in_clear(&format!("the value of `{name}`"))));
    warnings
}

/// Returns the command that is probably meant as a program with its arguments.
fn command_line(transport: &McpTransport) -> Option<&str> {
    let McpTransport::Stdio(StdioTransport { command, args, .. }) = transport else {
        return None;
    };
    let has_arguments = command.trim().contains(char::is_whitespace) && args.is_empty();
    (has_arguments && !Path::new(command).exists()).then_some(command)
}

/// Returns whether a URL is plain http to another machine.
fn is_open_http(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| {
        let loopback = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        url.scheme() == "http" && !loopback
    })
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("environment entries must be in KEY=VALUE form".to_owned()),
    }
}
