//! `codex mcp login`: shows the address, opens the browser, takes a pasted callback URL.

mod browser;
mod paste;

use std::time::Duration;

use clap::{Args, ValueEnum};
use codex_config::{McpServerConfig, McpTransport, OAuthGrant};
use codex_mcp::{
    KeyringPatience, LoginFailure, LoginProbe, LoginSpec, McpAuth, RegistrationRung, Unattended,
};

use super::call::parse_seconds;
use super::live::{self, LiveContext, Terminal};
use crate::error::CliError;
use crate::mask::printable;
use paste::Pasted;

/// How long `mcp add` asks a server what it wants.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// How long a login waits for the user when nothing else is said.
const LOGIN_LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Name of the server
    name: String,
    /// Print the URL and read the callback URL instead of opening a browser
    #[arg(long)]
    no_browser: bool,
    /// Scopes to ask for
    #[arg(long, value_name = "SCOPE,SCOPE", value_delimiter = ',')]
    scopes: Option<Vec<String>>,
    /// How this client becomes known to the authorization server
    #[arg(
        long,
        value_name = "AUTO|CIMD|DCR",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    oauth_client_registration: Registration,
    /// Log in with a code that is entered on any device
    #[arg(long, conflicts_with = "no_browser")]
    device: bool,
    /// Limit of the wait for the user
    #[arg(long, value_name = "SECS", default_value = "300", value_parser = parse_seconds)]
    timeout: Duration,
}

/// Ways of registration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registration {
    /// The first that fits.
    #[default]
    Auto,
    /// A client id metadata document.
    Cimd,
    /// Dynamic registration.
    Dcr,
}

impl Registration {
    pub(crate) fn rung(self) -> RegistrationRung {
        match self {
            Self::Auto => RegistrationRung::Auto,
            Self::Cimd => RegistrationRung::MetadataDocument,
            Self::Dcr => RegistrationRung::Dynamic,
        }
    }
}

/// How the user takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The browser of this machine.
    Browser,
    /// A browser somewhere; the callback URL is pasted.
    Paste,
    /// A code that is entered somewhere.
    Device,
}

/// Which words frame a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `mcp login`.
    Login,
    /// `mcp add`, which goes on to log in.
    Add,
}

pub(super) async fn run(args: LoginArgs, mut context: LiveContext<'_>) -> Result<u8, CliError> {
    let server = live::find_server(context.config, context.layers, &args.name)?.clone();
    let auth = auth_of(&context, KeyringPatience::WithUser);
    let grant = grant_of(&server);
    if let Some(unattended) = unattended(&server) {
        let tried = auth.try_unattended(&server, context.cwd.as_path());
        tried.await.map_err(failed)?;
        let accepted = match unattended {
            Unattended::ClientCredentials => "its client credentials were accepted",
            Unattended::Assertion => "its assertion was accepted",
            Unattended::Enterprise => "the grant of your identity provider was accepted",
        };
        let name = printable(server.name.as_str());
        writeln!(
            context.out,
            "MCP server '{name}' needs no login: {accepted}."
        )?;
        return Ok(live::EXIT_OK);
    }
    let way = match (
        args.device || grant == Some(OAuthGrant::DeviceCode),
        args.no_browser,
    ) {
        (true, _) => Way::Device,
        (false, true) => Way::Paste,
        (false, false) => Way::Browser,
    };
    let mut spec = LoginSpec::new(server);
    spec.scopes = args.scopes;
    spec.registration = args.oauth_client_registration.rung();
    log_in(&auth, spec, way, Frame::Login, args.timeout, &mut context).await?;
    Ok(live::EXIT_OK)
}

/// Goes on after `mcp add`: asks the server whether it wants a login, and logs in.
pub(crate) async fn after_add(
    mut spec: LoginSpec,
    may_log_in: bool,
    mut context: LiveContext<'_>,
) -> Result<u8, CliError> {
    let auth = auth_of(&context, KeyringPatience::WithUser);
    let server = &spec.server;
    let name = printable(server.name.as_str());
    let found = match may_log_in {
        true => {
            let (cwd, cancel) = (context.cwd.clone(), context.cancel.clone());
            let probe = auth.probe(server, cwd.as_path(), &cancel);
            let probed = tokio::time::timeout(PROBE_LIMIT, probe).await;
            probed.unwrap_or_else(|_| {
                let limit = PROBE_LIMIT.as_secs();
                LoginProbe::Unknown(format!("MCP server `{name}` gave no answer in {limit} s"))
            })
        }
        false => LoginProbe::Open,
    };
    // Before the login, which may fail: the secret was typed for the tries after it too.
    if let Some(secret) = spec.client_secret.clone() {
        let kept = auth.keep_client_secret(&spec.server, secret).await;
        kept.map_err(|error| CliError::new(error.sentence()).hints(error.hints()))?;
        for note in auth.take_notices() {
            writeln!(context.err, "note: {}", printable(&note))?;
        }
    }
    match &found {
        LoginProbe::Unknown(why) | LoginProbe::NotMcp(why) => writeln!(
            context.err,
            "note: {}\nhint: `codex mcp check {name}` looks at it step by step",
            printable(why)
        )?,
        LoginProbe::Login(_) | LoginProbe::Open => {}
    }
    let may_want_login = match found {
        LoginProbe::Login(discovery) => {
            writeln!(context.out, "Detected OAuth support. Starting OAuth flow…")?;
            context.out.flush()?;
            spec.discovery = Some(discovery);
            let hint =
                format!("the server is configured; run `codex mcp login {name}` to try again");
            let logged_in = log_in(
                &auth,
                spec,
                Way::Browser,
                Frame::Add,
                LOGIN_LIMIT,
                &mut context,
            );
            return match logged_in.await {
                Ok(()) => Ok(live::EXIT_OK),
                Err(error) => Err(error.hint(hint)),
            };
        }
        LoginProbe::Unknown(_) => true,
        LoginProbe::Open | LoginProbe::NotMcp(_) => false,
    };
    if may_want_login {
        writeln!(
            context.out,
            "MCP server may or may not require login. Run `codex mcp login {name}` to login."
        )?;
    }
    Ok(live::EXIT_OK)
}

/// Opens the logins of this home.
pub(crate) fn auth_of(context: &LiveContext<'_>, patience: KeyringPatience) -> McpAuth {
    McpAuth::new(
        context.home.clone(),
        context.config.mcp_oauth.clone(),
        context.env.clone(),
        codex_http::HttpClient::from_env(context.env.clone()),
        env!("CARGO_PKG_VERSION"),
        patience,
    )
}

fn grant_of(server: &McpServerConfig) -> Option<OAuthGrant> {
    match &server.transport {
        McpTransport::StreamableHttp(http) => http.oauth.as_ref()?.grant,
        McpTransport::Stdio(_) => None,
    }
}

fn unattended(server: &McpServerConfig) -> Option<Unattended> {
    match &server.transport {
        McpTransport::StreamableHttp(http) => Unattended::of(http),
        McpTransport::Stdio(_) => None,
    }
}

/// Logs in and says so.
pub(crate) async fn log_in(
    auth: &McpAuth,
    spec: LoginSpec,
    way: Way,
    frame: Frame,
    limit: Duration,
    context: &mut LiveContext<'_>,
) -> Result<(), CliError> {
    let name = printable(spec.server.name.as_str());
    let outcome = match way {
        Way::Device => device(auth, spec, limit, context).await?,
        Way::Browser | Way::Paste => browser(auth, spec, way, limit, context).await?,
    };
    for note in outcome {
        writeln!(context.err, "note: {}", printable(&note))?;
    }
    match frame {
        Frame::Login => writeln!(
            context.out,
            "Successfully logged in to MCP server '{name}'."
        )?,
        Frame::Add => writeln!(context.out, "Successfully logged in.")?,
    }
    Ok(())
}

async fn browser(
    auth: &McpAuth,
    spec: LoginSpec,
    way: Way,
    limit: Duration,
    context: &mut LiveContext<'_>,
) -> Result<Vec<String>, CliError> {
    let name = printable(spec.server.name.as_str());
    let cancel = context.cancel.clone();
    let begun = auth.begin(spec, context.cwd.as_path(), &cancel).await;
    let login = begun.map_err(failed)?;
    for note in login.notes() {
        writeln!(context.err, "note: {}", printable(&note))?;
    }
    let url = login.authorization_url().clone();
    match way {
        Way::Paste => writeln!(
            context.out,
            "Authorize the MCP server by opening this URL in your browser:\n{url}"
        )?,
        Way::Browser | Way::Device => writeln!(
            context.out,
            "Authorize `{name}` by opening this URL in your browser:\n{url}\n"
        )?,
    }
    context.out.flush()?;
    // Over SSH the browser is elsewhere: what comes back can only be pasted, or forwarded to us.
    let is_remote = browser::is_remote(&context.env);
    let mut pasted = match way {
        Way::Browser if !is_remote => {
            if let Err(why) = browser::open(&url, &context.env) {
                writeln!(context.err, "note: no browser was opened: {why}")?;
            }
            None
        }
        Way::Browser if context.terminal != Terminal::Interactive => None,
        Way::Browser | Way::Paste | Way::Device => Some(Pasted::read(context.err)?),
    };
    let slot = login.paste();
    let mut refused = None;
    let finishing = login.finish(limit, &cancel);
    tokio::pin!(finishing);
    loop {
        tokio::select! {
            biased;
            outcome = &mut finishing => return match outcome {
                Ok(outcome) => Ok(outcome.notes),
                Err(error) => Err(failed(error)),
            },
            line = next_line(&mut pasted) => match line {
                None if way == Way::Browser => pasted = None,
                None => return Err(match refused {
                    Some(error) => CliError::new(format!("{error}")),
                    None => CliError::new("No OAuth callback URL received before input closed"),
                }),
                Some(line) => match slot.submit(&line).await {
                    Ok(()) => {}
                    Err(error) => {
                        writeln!(context.err, "warning: {error}")?;
                        refused = Some(error);
                    }
                },
            },
        }
    }
}

async fn next_line(pasted: &mut Option<Pasted>) -> Option<String> {
    match pasted {
        Some(pasted) => pasted.next().await,
        None => std::future::pending().await,
    }
}

async fn device(
    auth: &McpAuth,
    spec: LoginSpec,
    limit: Duration,
    context: &mut LiveContext<'_>,
) -> Result<Vec<String>, CliError> {
    let cancel = context.cancel.clone();
    let begun = auth.begin_device(spec, context.cwd.as_path(), &cancel);
    let code = begun.await.map_err(failed)?;
    writeln!(
        context.out,
        "Open {} and enter the code {}",
        printable(code.verification_uri()),
        printable(code.user_code())
    )?;
    context.out.flush()?;
    let outcome = code.finish(limit, &cancel).await.map_err(failed)?;
    Ok(outcome.notes)
}

pub(crate) fn failed(error: LoginFailure) -> CliError {
    if matches!(error, LoginFailure::Cancelled) {
        return live::interrupted();
    }
    let hints = error.hints();
    CliError::new(printable(&error.to_string())).hints(hints)
}
