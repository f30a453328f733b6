//! What the live verbs (`mcp tools`, `mcp call`) share: servers for one command, exit codes, the end.
//!
//! A live verb is the manager of the agent with fewer servers in it, so that what works here works
//! there. Every server counts as required: its failure is told by the verb itself, with the exit code
//! of the step that failed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use codex_config::{Config, LayerStack, McpServerConfig, OffReason};
use codex_host::{AbsPath, CodexHome, Env};
use codex_http::HttpClient;
use codex_mcp::{
    ClientInfo, Deputy, ElicitationPolicy, FailedStep, KeyringPatience, McpAuth, McpHandle,
    McpManager, McpNotice, McpSettings, ServerState, StartFailure, ToolPins,
};
use codex_protocol::ServerName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::CliError;
use crate::mask::printable;

/// How long the servers may take to end after the verb is done.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// Notices that may wait to be printed.
const NOTICES_CAPACITY: usize = 64;

/// The command worked.
pub(crate) const EXIT_OK: u8 = 0;
/// The entry in the config cannot be used.
pub(crate) const EXIT_CONFIG: u8 = 10;
/// Turned off, or filtered.
pub(crate) const EXIT_POLICY: u8 = 11;
/// Program, directory or variable missing.
pub(crate) const EXIT_ENVIRONMENT: u8 = 12;
/// Not reachable, or ended.
pub(crate) const EXIT_CONNECT: u8 = 13;
/// A login is needed.
pub(crate) const EXIT_AUTH: u8 = 14;
/// It does not speak MCP as it should.
pub(crate) const EXIT_PROTOCOL: u8 = 15;
/// Its tools cannot be listed or used.
pub(crate) const EXIT_CATALOG: u8 = 16;
/// Interrupted by the user.
const EXIT_INTERRUPTED: u8 = 130;

/// Where a live verb works and speaks.
pub(crate) struct LiveContext<'a> {
    /// The settings.
    pub(crate) config: &'a Config,
    /// Where they come from.
    pub(crate) layers: &'a LayerStack,
    /// The environment of this process.
    pub(crate) env: Env,
    /// Where the logins are.
    pub(crate) home: CodexHome,
    /// Who renews them where our death does not reach.
    pub(crate) deputy: Option<Deputy>,
    /// The working directory, `-C` applied.
    pub(crate) cwd: AbsPath,
    /// Cancelled by Ctrl-C.
    pub(crate) cancel: CancellationToken,
    /// The result.
    pub(crate) out: &'a mut dyn Write,
    /// Everything else.
    pub(crate) err: &'a mut dyn Write,
    /// Whether a person sits at stdin and stderr.
    pub(crate) terminal: Terminal,
}

/// Whether a person can be asked and shown progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// stdin and stderr are a terminal.
    Interactive,
    /// Only stderr is one.
    WatchOnly,
    /// Neither.
    None,
}

/// What Ctrl-C leaves.
pub(crate) fn interrupted() -> CliError {
    CliError::with_code(EXIT_INTERRUPTED, "interrupted")
}

/// Finds a server by name, or says which unused file has it, or what is near.
pub(crate) fn find_server<'a>(
    config: &'a Config,
    layers: &LayerStack,
    name: &str,
) -> Result<&'a McpServerConfig, CliError> {
    let wanted = ServerName::from_config(name);
    config.mcp_servers.get(&wanted).ok_or_else(|| {
        let error = CliError::new(format!("No MCP server named '{name}' found."));
        let mut unused = layers.disabled().iter();
        if let Some(layer) = unused.find(|layer| layer.has_mcp_server(name)) {
            let text = format!("{} has one. {}", layer.source, layer.reason);
            let hints = layer.hint.iter().map(|hint| printable(hint)).collect();
            return error.hint(printable(&text)).hints(hints);
        }
        let names = config.mcp_servers.keys().map(ServerName::as_str);
        error.did_you_mean(name, names)
    })
}

/// Says that a tool is not there, and what is near.
pub(crate) fn no_such_tool<'a>(
    server: &ServerName,
    tool: &str,
    others: impl IntoIterator<Item = &'a str>,
) -> CliError {
    let error = CliError::new(format!("MCP server '{server}' has no tool named '{tool}'."));
    match codex_utils_fuzzy_match::nearest(tool, others) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("`codex mcp tools {server}` lists its tools")),
    }
}

/// The servers of one command.
pub(crate) struct LiveServers {
    pub(crate) handle: McpHandle,
    notices: mpsc::Receiver<McpNotice>,
    tasks: TaskTracker,
}

impl LiveServers {
    /// Starts these servers side by side and returns at once.
    pub(crate) fn start(
        context: &LiveContext<'_>,
        servers: impl IntoIterator<Item = McpServerConfig>,
        startup_timeout: Option<Duration>,
        elicitation: ElicitationPolicy,
    ) -> Self {
        Self::run(Self::settings(
            context,
            servers,
            startup_timeout,
            elicitation,
        ))
    }

    /// Returns the settings of these servers, for those who change one before they start.
    pub(crate) fn settings(
        context: &LiveContext<'_>,
        servers: impl IntoIterator<Item = McpServerConfig>,
        startup_timeout: Option<Duration>,
        elicitation: ElicitationPolicy,
    ) -> McpSettings {
        let servers: BTreeMap<ServerName, McpServerConfig> = servers
            .into_iter()
            .map(|mut server| {
                server.required = true;
                server.startup_timeout = startup_timeout.or(server.startup_timeout);
                (server.name.clone(), server)
            })
            .collect();
        let http = HttpClient::from_env(context.env.clone());
        let client = ClientInfo::codex(env!("CARGO_PKG_VERSION"));
        let mut settings = McpSettings::new(
            servers,
            context.env.clone(),
            context.cwd.clone(),
            client,
            http.clone(),
        )
        .with_features(&context.config.features);
        let auth = McpAuth::new(
            context.home.clone(),
            context.config.mcp_oauth.clone(),
            context.env.clone(),
            http,
            env!("CARGO_PKG_VERSION"),
            KeyringPatience::Run,
        );
        settings.auth = Some(auth.renewing_through(context.deputy.clone()));
        settings.elicitation = elicitation;
        settings.pins = Some(ToolPins::of(&context.home));
        settings
    }

    /// Starts the servers of these settings side by side and returns at once.
    pub(crate) fn run(settings: McpSettings) -> Self {
        let tasks = TaskTracker::new();
        let (sender, notices) = mpsc::channel(NOTICES_CAPACITY);
        // Not a child of the verb's token: after Ctrl-C the call is cancelled first and the servers
        // are told, then they are stopped in order.
        let handle = McpManager::start(settings, &tasks, &CancellationToken::new(), sender);
        Self {
            handle,
            notices,
            tasks,
        }
    }

    /// Waits until each server is ready or failed, and prints what there is to say meanwhile.
    pub(crate) async fn settle(&mut self, context: &mut LiveContext<'_>) -> Result<(), CliError> {
        let handle = self.handle.clone();
        let cancel = context.cancel.clone();
        let ready = handle.ready(None, &cancel);
        tokio::pin!(ready);
        loop {
            tokio::select! {
                biased;
                // A required server that failed is told by the verb, from its status.
                _ = &mut ready => break,
                Some(notice) = self.notices.recv() => print_notice(context.err, &notice)?,
            }
        }
        self.print_notices(context)?;
        if context.cancel.is_cancelled() {
            Err(interrupted())
        } else {
            Ok(())
        }
    }

    /// Returns the next notice.
    pub(crate) async fn notice(&mut self) -> Option<McpNotice> {
        self.notices.recv().await
    }

    /// Returns the notices that have arrived.
    pub(crate) fn take_notices(&mut self) -> Vec<McpNotice> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).collect()
    }

    /// Prints the notices that have arrived.
    pub(crate) fn print_notices(&mut self, context: &mut LiveContext<'_>) -> io::Result<()> {
        let notices = self.take_notices();
        notices
            .iter()
            .try_for_each(|notice| print_notice(context.err, notice))
    }

    /// Returns the failure of each server that did not start.
    pub(crate) fn failures(&self) -> Vec<CliError> {
        let statuses = self.handle.statuses().into_iter();
        statuses
            .filter_map(|status| match status.state {
                ServerState::Failed(failure) => Some(failure_error(&status.server, &failure)),
                ServerState::Off(reason) => Some(off_error(&status.server, &reason)),
                ServerState::Starting | ServerState::Restarting | ServerState::Ready(_) => None,
            })
            .collect()
    }

    /// Ends every server; none is alive afterwards.
    pub(crate) async fn stop(self) {
        self.handle.shutdown(SHUTDOWN_LIMIT).await;
        drop(self.handle);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Prints a notice. Tools that are left out are a matter of `mcp tools --show-hidden`.
pub(crate) fn print_notice(err: &mut dyn Write, notice: &McpNotice) -> io::Result<()> {
    if notice.tool.is_some() {
        return Ok(());
    }
    let kind = if notice.server.is_some() {
        "warning"
    } else {
        "note"
    };
    writeln!(err, "{kind}: {}", printable(&notice.text))
}

fn off_error(server: &ServerName, reason: &OffReason) -> CliError {
    CliError::with_code(
        EXIT_POLICY,
        format!("MCP server '{server}' is disabled: {}", reason.why()),
    )
    .hints(hints_of_off(server, reason))
}

/// Tells how a server that is off is used again, where its user decides that.
pub(super) fn hints_of_off(server: &ServerName, reason: &OffReason) -> Vec<String> {
    match reason {
        OffReason::User => vec![
            format!("`codex mcp enable {server}` turns it on"),
            format!("for this once: -c 'mcp_servers.\"{server}\".enabled=true'"),
        ],
        OffReason::NotApproved { .. } => vec![format!(
            "`codex mcp enable {server} --scope project` approves it as it stands"
        )],
        OffReason::Requirements { .. } | OffReason::Invalid { .. } => Vec::new(),
    }
}

fn failure_error(server: &ServerName, failure: &StartFailure) -> CliError {
    let exit = match failure.step() {
        FailedStep::Config => EXIT_CONFIG,
        FailedStep::Environment => EXIT_ENVIRONMENT,
        FailedStep::Connect => EXIT_CONNECT,
        FailedStep::Auth => EXIT_AUTH,
        FailedStep::Handshake => EXIT_PROTOCOL,
        FailedStep::Catalog => EXIT_CATALOG,
    };
    let message = match failure {
        StartFailure::Login { sentence, .. } => sentence.clone(),
        _ => format!(
            "MCP server '{server}' failed to start: {}",
            failure.why(server)
        ),
    };
    CliError::with_code(exit, message).hints(failure.hints())
}
