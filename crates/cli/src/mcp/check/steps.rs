//! The steps of one server, in their order; the first that fails is the last that runs.

use std::time::{Duration, Instant};

use codex_config::{
    Enablement, LayerStack, McpPolicy, McpServerConfig, McpTransport, OffReason, StartupReadiness,
};
use codex_http::{HttpClient, HttpErrorKind, Reached};
use codex_mcp::{
    AuthState, ConnectError, ElicitationPolicy, FailedStep, KeyringPatience, LoginGround,
    LoginInspection, McpNotice, ServerInfo, ServerState, StartFailure, StaticToken, Unattended,
};
use serde_json::{Value, json};
use url::Url;

use super::super::ground::{self, Endpoint};
use super::super::live::{LiveContext, LiveServers, hints_of_off};
use super::super::login::auth_of;
use super::catalog;
use super::report::{ServerReport, Status, Step, StepId};

/// Checks servers.
pub(crate) struct Checker<'c, 'w> {
    pub(crate) context: &'c LiveContext<'w>,
    pub(crate) layers: &'c LayerStack,
    pub(crate) policy: &'c McpPolicy,
    /// Limit of each server's start, instead of its own.
    pub(crate) timeout: Option<Duration>,
    /// Whether the user asked for this server by name.
    pub(crate) is_named: bool,
}

impl Checker<'_, '_> {
    /// Runs the steps of a server.
    pub(crate) async fn check(&self, server: &McpServerConfig) -> ServerReport {
        let mut report = ServerReport::new(server);
        self.steps(server, &mut report).await;
        report.finished()
    }

    async fn steps(&self, server: &McpServerConfig, report: &mut ServerReport) {
        let config = self.config(server);
        let policy = self.policy(server);
        report.push(config);
        if report.failed().is_some() {
            return;
        }
        let is_on = server.is_enabled();
        report.push(policy);
        if !is_on {
            return;
        }
        let peer = match ground::look(server, &self.context.env, &self.context.cwd) {
            Err(missing) => {
                let why = about(server, &missing.why);
                let step = Step::fail(StepId::Environment, missing.kind, why);
                report.push(step.hints(missing.hints));
                return;
            }
            Ok(ground) => {
                let (step, peer) = match ground.at {
                    Endpoint::Program(program) => {
                        let program = program.display().to_string();
                        (Step::ok(StepId::Environment, program), None)
                    }
                    Endpoint::Url(url, http) => {
                        (Step::ok(StepId::Environment, ""), Some((url, http)))
                    }
                };
                report.push(step.warn(ground.warnings));
                peer
            }
        };
        let begin = Instant::now();
        let limit = self.timeout.unwrap_or(server.startup_timeout());
        let connect = match peer {
            Some((url, http)) => match self.reach(&url, &http, limit).await {
                Ok(step) => step,
                // The proxy is a variable: nothing was connected to yet.
                Err((HttpErrorKind::Proxy, step)) => {
                    report.steps.pop();
                    report.push(Step {
                        id: StepId::Environment,
                        ..step
                    });
                    return;
                }
                Err((_, step)) => {
                    report.push(step);
                    return;
                }
            },
            None => Step::ok(StepId::Connect, "started"),
        };
        let left = limit.saturating_sub(begin.elapsed());
        Live {
            checker: self,
            server,
            connect,
            limit: left,
        }
        .run(report)
        .await;
    }

    fn config(&self, server: &McpServerConfig) -> Step {
        if let Enablement::Off(OffReason::Invalid { origin, why }) = &server.enablement {
            let why = match origin {
                Some(origin) => format!("{why} ({origin})"),
                None => why.clone(),
            };
            return Step::fail(StepId::Config, "invalid_entry", why)
                .hint("correct the entry in the config file");
        }
        let keys = self.layers.keys(&["mcp_servers", server.name.as_str()]);
        let n_keys = keys.len();
        let s = if n_keys == 1 { "" } else { "s" };
        let warnings = server
            .warnings
            .iter()
            .map(|warning| format!("{}: {}", warning.origin, warning.text));
        Step::ok(StepId::Config, format!("{n_keys} key{s}"))
            .detail("keys", json!(keys))
            .warn(warnings)
    }

    fn policy(&self, server: &McpServerConfig) -> Step {
        let id = StepId::Policy;
        let Enablement::Off(reason) = &server.enablement else {
            let allowed = self.policy.verdict(server, &self.context.env).allowed_by();
            let summary = allowed.map(|by| format!("allowed {by}"));
            return Step::ok(id, summary.unwrap_or_else(|| "no restriction".to_owned()));
        };
        let why = match reason {
            OffReason::User => reason.why(),
            reason => format!("disabled: {}", reason.why()),
        };
        let hints = hints_of_off(&server.name, reason);
        match self.is_named {
            false => Step {
                summary: why,
                ..Step::skip(id)
            },
            true => Step::fail(id, reason.kind(), why).hints(hints),
        }
    }

    /// Connects and leaves again, to tell the network from what is spoken on it.
    async fn reach(
        &self,
        url: &Url,
        http: &HttpClient,
        limit: Duration,
    ) -> Result<Step, (HttpErrorKind, Step)> {
        let begin = Instant::now();
        let reached = tokio::select! {
            reached = http.reach(url) => reached,
            () = tokio::time::sleep(limit) => {
                let kind = HttpErrorKind::ConnectTimeout;
                let why = format!("no connection within {limit:?}");
                let step = Step::fail(StepId::Connect, kind.word(), why);
                return Err((kind, step.took(begin.elapsed())));
            }
            () = self.context.cancel.cancelled() => {
                return Err((HttpErrorKind::Reset, interrupted(StepId::Connect)));
            }
        };
        let took = begin.elapsed();
        let ms = took.as_millis();
        match reached {
            Ok(Reached::Peer { address, tls }) => {
                let words = tls.map(|tls| format!(", {tls}")).unwrap_or_default();
                let step = Step::ok(StepId::Connect, format!("{address}{words}, {ms} ms"))
                    .detail("address", address.to_string())
                    .detail("tls", json!(tls));
                Ok(step.took(took))
            }
            Ok(Reached::Proxied { variable }) => {
                let step = Step::ok(StepId::Connect, format!("by the proxy of {variable}"));
                Ok(step.detail("proxy", variable).took(took))
            }
            Ok(_) => Ok(Step::ok(StepId::Connect, "").took(took)),
            Err(error) => {
                let hints = error.hints().into_iter().map(str::to_owned).collect();
                let step = Step::fail(StepId::Connect, error.kind().word(), error.to_string())
                    .hints(hints)
                    .took(took);
                Err((error.kind(), step))
            }
        }
    }
}

/// The steps that need the server itself.
struct Live<'a, 'c, 'w> {
    checker: &'a Checker<'c, 'w>,
    server: &'a McpServerConfig,
    /// The step that is done already; a failure of the start may take it back.
    connect: Step,
    limit: Duration,
}

impl Live<'_, '_, '_> {
    async fn run(self, report: &mut ServerReport) {
        let context = self.checker.context;
        let mut server = self.server.clone();
        // The handshake and the list of tools are told apart.
        server.startup_readiness = StartupReadiness::Connection;
        let policy = ElicitationPolicy::Decline("`mcp check` does not ask");
        let mut settings = LiveServers::settings(context, [server], Some(self.limit), policy);
        // An end is what a check is to find, not to heal.
        settings.restart.max_restarts = 0;
        let mut live = LiveServers::run(settings);
        self.watch(&mut live, report).await;
        live.stop().await;
    }

    async fn watch(mut self, live: &mut LiveServers, report: &mut ServerReport) {
        let cancel = &self.checker.context.cancel;
        let begin = Instant::now();
        // Its failure is read from its state below.
        let _ = live.handle.required_ready(cancel).await;
        let took = begin.elapsed();
        let early = sentences(&live.take_notices());
        let info = match state_of(live) {
            Some(ServerState::Ready(info)) => info,
            Some(ServerState::Failed(failure)) => {
                return self.place_failure(&failure, took, early, report).await;
            }
            _ => {
                report.push(interrupted(StepId::Connect));
                return;
            }
        };
        let auth = self.auth().await;
        report.push(std::mem::replace(
            &mut self.connect,
            Step::skip(StepId::Connect),
        ));
        report.push(auth.warn(early));
        report.push(handshake(&info, took));
        let begin = Instant::now();
        live.handle.listed(&self.server.name, cancel).await;
        let took = begin.elapsed();
        let notices = live.take_notices();
        if let Some(ServerState::Failed(failure)) = state_of(live)
            && failure.step() == FailedStep::Auth
        {
            // Some servers let everybody in and want the login for their tools.
            let refused = self.refused(&failure).await;
            report.steps.retain(|step| step.id < StepId::Auth);
            report.push(refused);
            return;
        }
        let step = catalog::judge(live, self.server, &notices);
        let step = match step.status {
            Status::Fail => step,
            _ => {
                let others = catalog::Others {
                    handle: &live.handle,
                    server: &self.server.name,
                    info: &info,
                    limit: self.limit,
                };
                others.count(step, cancel).await
            }
        };
        report.push(step.took(took));
    }

    /// Tells a failed start at the step where it belongs, and the steps before it as done.
    async fn place_failure(
        self,
        failure: &StartFailure,
        took: Duration,
        notices: Vec<String>,
        report: &mut ServerReport,
    ) {
        let id = match failure.step() {
            // What the config cannot know, the start found.
            FailedStep::Config | FailedStep::Environment => StepId::Environment,
            FailedStep::Connect => StepId::Connect,
            FailedStep::Auth => StepId::Auth,
            FailedStep::Handshake | FailedStep::Catalog => StepId::Handshake,
        };
        let step = match id {
            StepId::Auth => self.refused(failure).await,
            _ => failed(id, failure, self.server),
        };
        match id {
            StepId::Environment => drop(report.steps.pop()),
            StepId::Connect => {}
            _ => report.push(self.connect),
        }
        if id == StepId::Handshake {
            report.push(match self.server.transport {
                McpTransport::Stdio(_) => Step::skip(StepId::Auth),
                McpTransport::StreamableHttp(_) => Step::ok(StepId::Auth, "not asked for a login"),
            });
        }
        report.push(step.took(took).warn(notices));
    }

    /// Tells how a server that let us in knows us.
    async fn auth(&self) -> Step {
        let id = StepId::Auth;
        let McpTransport::StreamableHttp(http) = &self.server.transport else {
            return Step::skip(id);
        };
        if let Some(token) = StaticToken::of(http) {
            return Step::ok(id, token.to_string());
        }
        if let Some(unattended) = Unattended::of(http) {
            return Step::ok(
                id,
                match unattended {
                    Unattended::ClientCredentials => "client credentials accepted",
                    Unattended::Assertion => "assertion accepted",
                    Unattended::Enterprise => "grant of the identity provider accepted",
                },
            );
        }
        let context = self.checker.context;
        let auth = auth_of(context, KeyringPatience::Run);
        let detail = auth
            .local_status(self.server, context.cwd.as_path())
            .await
            .detail;
        if !matches!(
            detail.state,
            AuthState::LoggedIn | AuthState::ExpiredRefreshable
        ) {
            return Step::ok(id, "no login wanted");
        }
        let begin = Instant::now();
        let inspection = self.inspect().await;
        let mut words = "logged in".to_owned();
        if let Some(issuer) = &detail.issuer {
            words.push_str(&format!(", issuer {issuer}"));
        }
        if let Some(time) = detail.expires_at {
            words.push_str(&format!(", until {time}"));
        }
        let warning = match (&inspection.ground, &detail.issuer) {
            (LoginGround::Issuer(now), Some(then)) if now != then => Some(format!(
                "the login is of {then}, and the server names {now} now"
            )),
            (LoginGround::Trouble(why), _) => Some(format!("a new login would fail: {why}")),
            _ => None,
        };
        Step::ok(id, words)
            .detail("issuer", json!(detail.issuer))
            .detail("requests", requests(&inspection))
            .warn(warning)
            .took(begin.elapsed())
    }

    /// Tells what the server wants.
    async fn refused(&self, failure: &StartFailure) -> Step {
        let id = StepId::Auth;
        let Some(command) = failure.login_command(self.server) else {
            return failed(id, failure, self.server);
        };
        let inspection = self.inspect().await;
        let step = match &inspection.ground {
            LoginGround::Issuer(issuer) => {
                let words = format!("the server wants a login (issuer {issuer})");
                Step::fail(id, failure.kind(), words)
                    .detail("issuer", issuer.as_str())
                    .hint(command)
            }
            LoginGround::NotAsked => {
                let words = "the server wants a login, and does not say where";
                Step::fail(id, failure.kind(), words).hint(command)
            }
            LoginGround::Trouble(why) => {
                let words =
                    "the server wants a login, and its authorization server cannot be found";
                Step::fail(id, "no_authorization_server", format!("{words}: {why}"))
            }
        };
        step.detail("requests", requests(&inspection))
    }

    async fn inspect(&self) -> LoginInspection {
        let context = self.checker.context;
        let auth = auth_of(context, KeyringPatience::Run);
        let cwd = context.cwd.as_path();
        auth.inspect(self.server, cwd, &context.cancel).await
    }
}

pub(super) fn interrupted(id: StepId) -> Step {
    Step::fail(id, "interrupted", "interrupted")
}

/// Where the one server of these stands.
pub(super) fn state_of(live: &LiveServers) -> Option<ServerState> {
    live.handle.statuses().pop().map(|status| status.state)
}

fn handshake(info: &ServerInfo, took: Duration) -> Step {
    let version = &info.protocol_version;
    let name = [&info.name, &info.version].map(String::as_str).join(" ");
    let words = format!("{version}, {}, {} ms", name.trim(), took.as_millis());
    Step::ok(StepId::Handshake, words)
        .detail("protocol_version", version.as_str())
        .detail("server_name", info.name.as_str())
        .detail("server_version", info.version.as_str())
        .took(took)
}

fn requests(inspection: &LoginInspection) -> Value {
    let steps = inspection.steps.iter().map(|step| {
        json!({
            "method": "GET",
            "url": step.url,
            "status": step.status,
            "ms": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
            "verdict": step.verdict,
        })
    });
    steps.collect()
}

/// Tells a failed start; the end of stderr is a detail, and its last line part of the sentence.
pub(super) fn failed(id: StepId, failure: &StartFailure, server: &McpServerConfig) -> Step {
    let (words, tail) = match failure {
        StartFailure::Connect(ConnectError::Exited {
            status,
            stderr_tail,
            ..
        }) => (
            format!("it ended before it was ready ({status})"),
            stderr_tail.as_str(),
        ),
        StartFailure::Connect(ConnectError::Timeout {
            limit, stderr_tail, ..
        }) => (format!("no answer within {limit:?}"), stderr_tail.as_str()),
        StartFailure::Connect(ConnectError::Protocol {
            why, stderr_tail, ..
        }) => (
            format!("it broke the protocol: {why}"),
            stderr_tail.as_str(),
        ),
        StartFailure::KeepsEnding { status, .. } => (format!("it ended: {status}"), ""),
        other => (other.why(&server.name), ""),
    };
    let step = match tail.trim().lines().last() {
        Some(line) => {
            let words = format!("{words}; its stderr ended with: {line}");
            Step::fail(id, failure.kind(), words).detail("stderr", tail.trim_end())
        }
        None => Step::fail(id, failure.kind(), words),
    };
    step.hints(failure.hints())
}

pub(super) fn sentences(notices: &[McpNotice]) -> Vec<String> {
    notices.iter().map(|notice| notice.text.clone()).collect()
}

/// Takes the server's name out of a sentence that stands below it.
fn about(server: &McpServerConfig, why: &str) -> String {
    let name = &server.name;
    [
        format!(" for MCP server '{name}'"),
        format!(" of MCP server '{name}'"),
    ]
    .iter()
    .fold(why.to_owned(), |why, words| why.replacen(words, "", 1))
}
