//! From an endpoint to a live connection: which era is tried, for how long, and what a failure means.
//!
//! Over HTTP `server/discover` is tried first with a limit of its own, because some servers never
//! answer what they do not know; then `initialize` on a fresh transport, because rmcp's worker stays
//! with the first POST for ever. A stdio server is asked to `initialize` unless the caller wants the
//! probe: some servers end when they read an unknown request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_process::{ChildSpec, Exit, Ladder, ProcessTree, SpawnError};
use rmcp::RoleClient;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitationCapability, FormElicitationCapability,
    Implementation, ProtocolVersion, UrlElicitationCapability,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, RunningService, serve_client_with_lifecycle_and_ct,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::ConnectError;
use crate::calls::MarkedSchemas;
use crate::client::{ConnectOptions, ElicitationSupport, Probe};
use crate::endpoint::{HttpEndpoint, StdioLaunch};
use crate::fault::fault_of;
use crate::handler::{Ear, EarState};
use crate::http_transport::HttpWire;
use crate::last_words;
use crate::own_secrets::OwnSecrets;
use crate::skills;
use crate::stdio::StdioTransport;
use crate::wire::Tap;

/// How long an HTTP server may think about `server/discover`, at most a third of the whole start.
const HTTP_PROBE_LIMIT: Duration = Duration::from_secs(5);

/// The same for a stdio server.
const STDIO_PROBE_LIMIT: Duration = Duration::from_secs(2);

/// How long after the end of stdout the exit status is awaited.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

/// How long a failed server has to go before it is killed.
const FAILED_LADDER: Ladder = Ladder {
    term_after: Duration::from_millis(100),
    kill_after: Duration::from_millis(300),
};

/// A process that several owners may end.
pub(crate) type SharedProcess = Arc<Mutex<Option<ProcessTree>>>;

/// A connection whose handshake is done.
pub(crate) struct Live {
    pub(crate) service: RunningService<RoleClient, Ear>,
    pub(crate) tap: Arc<Tap>,
    pub(crate) ear: Arc<EarState>,
    /// Ends the service.
    pub(crate) stop: CancellationToken,
    pub(crate) kind: LiveKind,
}

/// What is special about a transport.
pub(crate) enum LiveKind {
    Stdio {
        process: SharedProcess,
        /// Ends when stdout has ended.
        end_of_stdout: CancellationToken,
    },
    Http {
        wire: HttpWire,
        schemas: MarkedSchemas,
        /// Ends every HTTP exchange.
        abort: CancellationToken,
    },
}

/// Why one attempt failed.
enum Attempt {
    /// Another era could do better.
    OtherEra(ConnectError),
    /// Nothing could.
    Final(ConnectError),
}

impl Attempt {
    fn into_error(self) -> ConnectError {
        match self {
            Self::OtherEra(error) | Self::Final(error) => error,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    /// `server/discover`.
    Modern,
    /// `initialize`.
    Legacy,
}

impl Era {
    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Modern => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            Self::Legacy => ClientLifecycleMode::Initialize,
        }
    }
}

/// What both transports need to start.
pub(crate) struct Plan<'a> {
    options: &'a ConnectOptions,
    ear: Arc<EarState>,
    /// The process of the attempt that runs. Dropping the plan kills it, unless it went up.
    process: SharedProcess,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(options: &'a ConnectOptions, ear: Arc<EarState>) -> Self {
        Self {
            options,
            ear,
            process: SharedProcess::default(),
        }
    }

    /// The last words of the attempt that ran into the limit.
    pub(crate) fn stderr_tail(&self) -> String {
        let process = lock(&self.process);
        process.as_ref().map_or_else(String::new, last_words::of)
    }

    fn probe_limit(&self, limit: Duration) -> Duration {
        limit.min(self.options.startup_timeout / 3)
    }

    fn ear(&self) -> Ear {
        Ear {
            config: client_config(self.options),
            shared: Arc::clone(&self.ear),
        }
    }

    /// Connects to a stdio server.
    pub(crate) async fn stdio(&self, launch: &StdioLaunch) -> Result<Live, ConnectError> {
        if self.options.probe == Probe::Modern {
            match self.stdio_attempt(launch, Era::Modern).await {
                Ok(live) => return Ok(live),
                Err(Attempt::Final(error)) => return Err(error),
                Err(Attempt::OtherEra(_)) => {}
            }
        }
        self.stdio_attempt(launch, Era::Legacy)
            .await
            .map_err(Attempt::into_error)
    }

    async fn stdio_attempt(&self, launch: &StdioLaunch, era: Era) -> Result<Live, Attempt> {
        let server = &self.options.server;
        let spec = ChildSpec::new(&launch.program, launch.env.clone(), &launch.cwd)
            .args(launch.args.iter());
        let spec = match &launch.sandbox {
            Some(plan) => plan.wrap(spec),
            None => Ok(spec),
        };
        let tree = spec.and_then(|spec| ProcessTree::spawn(&spec));
        let mut tree = tree.map_err(|error| {
            let not_found = matches!(
                error,
                SpawnError::NotOnPath { .. } | SpawnError::NotFound { .. }
            );
            Attempt::Final(ConnectError::Spawn {
                server: server.clone(),
                program: launch.program.clone(),
                why: with_source(&error),
                not_found,
                hints: error.hints(),
            })
        })?;
        let (Some(stdin), Some(stdout)) = (tree.stdin.take(), tree.stdout.take()) else {
            return Err(Attempt::Final(ConnectError::Protocol {
                server: server.clone(),
                why: "its pipes are missing".to_owned(),
                stderr_tail: String::new(),
            }));
        };
        let mut exited = std::pin::pin!(tree.exited());
        *lock(&self.process) = Some(tree);
        let tap = Arc::new(Tap::default());
        let end_of_stdout = CancellationToken::new();
        let transport = StdioTransport::new(stdout, stdin, Arc::clone(&tap), end_of_stdout.clone());
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let serving = serve_client_with_lifecycle_and_ct(
            self.ear(),
            transport,
            era.lifecycle(),
            stop.clone(),
        );
        let serving = async {
            match era {
                Era::Legacy => Some(serving.await),
                Era::Modern => timeout(self.probe_limit(STDIO_PROBE_LIMIT), serving)
                    .await
                    .ok(),
            }
        };
        let outcome = tokio::select! {
            biased;
            outcome = serving => outcome,
            exit = &mut exited => return Err(Attempt::OtherEra(self.exited(launch, exit))),
        };
        let error = match outcome {
            Some(Ok(service)) => {
                guard.disarm();
                return Ok(Live {
                    service,
                    tap,
                    ear: Arc::clone(&self.ear),
                    stop,
                    kind: LiveKind::Stdio {
                        process: Arc::clone(&self.process),
                        end_of_stdout,
                    },
                });
            }
            Some(Err(error)) => error,
            None => {
                self.end_process().await;
                return Err(Attempt::OtherEra(ConnectError::Timeout {
                    server: server.clone(),
                    limit: self.probe_limit(STDIO_PROBE_LIMIT),
                    stderr_tail: String::new(),
                }));
            }
        };
        // A broken pipe is most often the first that is seen of an end.
        if let ClientInitializeError::ConnectionClosed(_)
        | ClientInitializeError::TransportError { .. } = &error
            && let Ok(exit) = timeout(EXIT_LIMIT, exited).await
        {
            return Err(Attempt::OtherEra(self.exited(launch, exit)));
        }
        let attempt = self.handshake_failure(error, self.stderr_tail());
        self.end_process().await;
        Err(attempt)
    }

    async fn end_process(&self) {
        let tree = lock(&self.process).take();
        if let Some(tree) = tree {
            tree.stop(FAILED_LADDER).await;
        }
    }

    fn exited(&self, launch: &StdioLaunch, exit: Exit) -> ConnectError {
        ConnectError::Exited {
            server: self.options.server.clone(),
            status: exit.to_string(),
            stderr_tail: self.stderr_tail(),
            sandboxed: launch.sandbox.is_some(),
        }
    }

    /// Connects to an HTTP server.
    pub(crate) async fn http(&self, endpoint: &HttpEndpoint) -> Result<Live, ConnectError> {
        // Shared by both eras: a server may send back what the first attempt sent.
        let secrets = Arc::new(OwnSecrets::default());
        secrets.configured(endpoint.secrets());
        if self.options.probe != Probe::Legacy {
            let probing = self.http_attempt(endpoint, Era::Modern, &secrets);
            match timeout(self.probe_limit(HTTP_PROBE_LIMIT), probing).await {
                Ok(Ok(live)) => return Ok(live),
                Ok(Err(Attempt::Final(error))) => return Err(error),
                Ok(Err(Attempt::OtherEra(_))) | Err(_) => {}
            }
        }
        self.http_attempt(endpoint, Era::Legacy, &secrets)
            .await
            .map_err(Attempt::into_error)
    }

    async fn http_attempt(
        &self,
        endpoint: &HttpEndpoint,
        era: Era,
        secrets: &Arc<OwnSecrets>,
    ) -> Result<Live, Attempt> {
        let tap = Arc::new(Tap::hiding(Arc::clone(secrets)));
        let schemas = MarkedSchemas::default();
        let abort = CancellationToken::new();
        let abort_guard = abort.clone().drop_guard();
        let client = &self.options.client;
        let wire = HttpWire::new(
            self.options.http.clone(),
            endpoint.clone(),
            &format!("{}/{}", client.name, client.version),
            Arc::clone(&tap),
            schemas.clone(),
            abort.clone(),
        );
        let mut retry = ExponentialBackoff::default();
        retry.max_times = Some(8);
        retry.max_delay = Some(Duration::from_secs(15));
        let mut config = StreamableHttpClientTransportConfig::with_uri(endpoint.url.as_str());
        config.retry_config = Arc::new(retry);
        let transport = StreamableHttpClientTransport::with_client(wire.clone(), config);
        let stop = CancellationToken::new();
        let stop_guard = stop.clone().drop_guard();
        let served = serve_client_with_lifecycle_and_ct(
            self.ear(),
            transport,
            era.lifecycle(),
            stop.clone(),
        )
        .await;
        match served {
            Ok(service) => {
                abort_guard.disarm();
                stop_guard.disarm();
                Ok(Live {
                    service,
                    tap,
                    ear: Arc::clone(&self.ear),
                    stop,
                    kind: LiveKind::Http {
                        wire,
                        schemas,
                        abort,
                    },
                })
            }
            Err(error) => {
                if let ClientInitializeError::TransportError { error, .. } = &error
                    && let Some(fault) = fault_of(error.error.as_ref())
                {
                    let is_final = fault.is_final();
                    let error = fault.into_connect_error(&self.options.server, &endpoint.url);
                    return Err(if is_final {
                        Attempt::Final(error)
                    } else {
                        Attempt::OtherEra(error)
                    });
                }
                if let (ClientInitializeError::ConnectionClosed(_), Some(fault)) =
                    (&error, wire.last_fault())
                {
                    let error = fault.into_connect_error(&self.options.server, &endpoint.url);
                    return Err(Attempt::OtherEra(error));
                }
                Err(self.handshake_failure(error, String::new()))
            }
        }
    }

    /// What a failed handshake means, transport aside.
    fn handshake_failure(&self, error: ClientInitializeError, stderr_tail: String) -> Attempt {
        let server = self.options.server.clone();
        match error {
            ClientInitializeError::NoCompatibleProtocolVersion {
                server_supported, ..
            } => {
                let theirs: Vec<_> = server_supported.iter().map(|v| v.as_str()).collect();
                let has_legacy = server_supported
                    .iter()
                    .any(|v| v.has_initialize() && is_known(v.as_str()));
                let error = ConnectError::UnknownProtocol {
                    server,
                    theirs: theirs.join("`, `"),
                };
                if has_legacy {
                    Attempt::OtherEra(error)
                } else {
                    Attempt::Final(error)
                }
            }
            ClientInitializeError::JsonRpcError(error) => {
                let code = i64::from(error.code.0);
                let error = ConnectError::Refused {
                    server,
                    code,
                    message: error.message.into_owned(),
                };
                // -32020 and -32021 exist in the modern era only.
                if matches!(code, -32020 | -32021) {
                    Attempt::Final(error)
                } else {
                    Attempt::OtherEra(error)
                }
            }
            ClientInitializeError::Cancelled => Attempt::Final(ConnectError::Cancelled { server }),
            other => Attempt::OtherEra(ConnectError::Protocol {
                server,
                why: protocol_reason(&other),
                stderr_tail,
            }),
        }
    }
}

/// Whether this client speaks a revision.
pub(crate) fn is_known(version: &str) -> bool {
    let mut known = ProtocolVersion::KNOWN_VERSIONS.iter();
    known.any(|known| known.as_str() == version)
}

/// Whether a revision has no handshake and no session.
pub(crate) fn is_modern(version: &str) -> bool {
    version >= ProtocolVersion::NO_INITIALIZE.as_str()
}

pub(crate) fn lock(process: &SharedProcess) -> std::sync::MutexGuard<'_, Option<ProcessTree>> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One sentence without rmcp's debug prints.
fn protocol_reason(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_) => {
            "it closed the connection before the handshake was done".to_owned()
        }
        ClientInitializeError::ExpectedInitResult(_)
        | ClientInitializeError::ExpectedInitResponse(_) => {
            "it answered the handshake with something else".to_owned()
        }
        ClientInitializeError::ConflictInitResponseId(..)
        | ClientInitializeError::UncorrelatedErrorResponse { .. } => {
            "it answered the handshake with another id".to_owned()
        }
        ClientInitializeError::TransportError { error, .. } => error.error.to_string(),
        other => other.to_string(),
    }
}

fn with_source(error: &SpawnError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn client_config(options: &ConnectOptions) -> ClientConfig {
    let mut capabilities = ClientCapabilities::default();
    if options.elicitation == ElicitationSupport::FormAndUrl {
        let elicitation = ElicitationCapability::new()
            .with_form(FormElicitationCapability::new())
            .with_url(UrlElicitationCapability::new());
        capabilities.elicitation = Some(elicitation);
    }
    let skills = (skills::EXTENSION.to_owned(), serde_json::Map::new());
    capabilities.extensions = Some([skills].into_iter().collect());
    let mut client = Implementation::new(&options.client.name, &options.client.version);
    client.title.clone_from(&options.client.title);
    ClientConfig::new(capabilities, client)
        .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
}
