//! The client that the official MCP conformance suite drives: the product's own layer and little else.
//!
//! The suite starts it with the address of a server as last argument. It connects through
//! [`McpManager`], calls the tools that `MCP_CONFORMANCE_CONTEXT` names (`toolCalls`) or else each tool
//! that the catalog offers, and answers every question with the defaults of its form. It exits with 1
//! when the server does not start or a call has no answer; what was right on the wire judges the suite.
//! `cargo xtask test` runs the list in `xtask/conformance.txt` with it.
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for tests: it reads its own arguments and talks to a person"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use codex_config::{
    CredentialsStore, HttpAuth, IdentityProviderConfig, McpOAuthSettings, McpServerConfig,
    McpTransport, OAuthConfig, OAuthGrant,
};
use codex_host::{AbsPath, CodexHome, Env, PrivateFile, Secret};
use codex_http::{HttpClient, Redirects, Request};
use codex_mcp::{
    CallContext, ClientInfo, ElicitationPolicy, ElicitationReply, ElicitationRequest,
    KeyringPatience, LoginQuestion, LoginSpec, McpAuth, McpHandle, McpManager, McpNotice,
    McpSettings,
};
use codex_protocol::{ServerName, ToolRef};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Every wait on the server; the suite itself gives up after 30 s.
const LIMIT: Duration = Duration::from_secs(20);

/// The tool of the scenario `json-schema-2020-12-preservation` that wants a schema back.
const ECHO_TOOL: &str = "json_schema_echo";

/// The document that the suite accepts as a client.
const CLIENT_METADATA: &str = "https://conformance-test.local/client-metadata.json";

/// What becomes of the skills of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UseOfSkills {
    List,
    Load,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(url) = std::env::args()
        .next_back()
        .filter(|url| url.contains("://"))
    else {
        eprintln!("usage: mcp-conformance-client URL");
        return ExitCode::from(2);
    };
    match run(url, Env::from_process()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: String, env: Env) -> Result<(), String> {
    let context = env.get("MCP_CONFORMANCE_CONTEXT").unwrap_or("null");
    let context: Value = serde_json::from_str(context).map_err(|error| error.to_string())?;
    // What a user wants with the skills: one scenario is about nobody wanting any.
    let scenario = env.get("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let use_of_skills = match scenario.ends_with("no-prefetch") {
        true => UseOfSkills::List,
        false => UseOfSkills::Load,
    };
    let server = ServerName::from_config("conformance");
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut config = McpServerConfig::http(server.clone(), url).required();
    let described = described(&context, home.path())?;
    if let McpTransport::StreamableHttp(http) = &mut config.transport {
        http.auth = described.auth;
        http.oauth = described.oauth;
    }
    config.startup_timeout = Some(LIMIT);
    config.tool_timeout = Some(LIMIT);
    let cwd = AbsPath::new("/").map_err(|error| error.to_string())?;
    let mut settings = McpSettings::new(
        BTreeMap::from([(server.clone(), config.clone())]),
        env.clone(),
        cwd,
        ClientInfo::codex(env!("CARGO_PKG_VERSION")),
        HttpClient::from_env(env.clone()),
    );
    let (wanted, logins) = mpsc::channel(1);
    let auth = auth(home.path(), described.all, &env)?;
    settings.auth = Some(auth.asking(wanted));
    let (ask, questions) = mpsc::channel(4);
    settings.elicitation = ElicitationPolicy::Ask(ask);
    let tasks = TaskTracker::new();
    tasks.spawn(accept_all(questions));
    tasks.spawn(log_in_when_asked(
        logins,
        auth,
        config,
        settings.http.clone(),
    ));
    let cancel = CancellationToken::new();
    let (notices, mut said) = mpsc::channel::<McpNotice>(16);
    tasks.spawn(async move {
        while let Some(notice) = said.recv().await {
            eprintln!("notice: {}", notice.text);
        }
    });
    let servers = McpManager::start(settings, &tasks, &cancel, notices);
    let outcome = call_tools(&servers, &server, &context, use_of_skills, &cancel).await;
    servers.shutdown(Duration::from_secs(5)).await;
    outcome
}

/// The settings that the suite describes: of the server, and of all logins.
struct Described {
    auth: Option<HttpAuth>,
    oauth: Option<OAuthConfig>,
    all: McpOAuthSettings,
}

fn described(context: &Value, home: &Path) -> Result<Described, String> {
    let text = |key: &str| context.get(key).and_then(Value::as_str).map(str::to_owned);
    let file = |key: &str| match text(key) {
        Some(secret) => {
            let path = home.join(key);
            let written = PrivateFile::replace(&path, secret.as_bytes());
            written.map_err(|error| error.to_string())?;
            Ok::<_, String>(Some(path))
        }
        None => Ok(None),
    };
    let identity_provider = match (text("idp_issuer"), text("idp_client_id")) {
        (Some(issuer), Some(client_id)) => Some(IdentityProviderConfig {
            issuer,
            client_id,
            client_secret: None,
            client_secret_env_var: None,
            token_endpoint_auth_method: None,
            id_token_file: file("idp_id_token")?,
        }),
        _ => None,
    };
    let assertion_file = file("valid_jwt")?;
    let is_program = text("name").is_some_and(|name| name.contains("client-credentials"));
    let grant = match (&assertion_file, is_program) {
        (Some(_), _) => Some(OAuthGrant::JwtBearer),
        (None, true) => Some(OAuthGrant::ClientCredentials),
        (None, false) => None,
    };
    let oauth = OAuthConfig {
        client_id: text("client_id"),
        client_secret: text("client_secret").map(Secret::new),
        private_key_file: file("private_key_pem")?,
        grant,
        assertion_file,
        ..OAuthConfig::default()
    };
    Ok(Described {
        auth: identity_provider.is_some().then_some(HttpAuth::EmaAuth),
        oauth: oauth.client_id.is_some().then_some(oauth),
        all: McpOAuthSettings {
            credentials_store: CredentialsStore::File,
            client_metadata_url: Some(CLIENT_METADATA.to_owned()),
            identity_provider,
            ..McpOAuthSettings::default()
        },
    })
}

fn auth(home: &Path, settings: McpOAuthSettings, env: &Env) -> Result<McpAuth, String> {
    let home = home.to_string_lossy().into_owned();
    let home = CodexHome::find(&Env::from_pairs([("CODEX_HOME", home)]));
    Ok(McpAuth::new(
        home.map_err(|error| error.to_string())?,
        settings,
        env.clone(),
        HttpClient::from_env(env.clone()),
        env!("CARGO_PKG_VERSION"),
        KeyringPatience::Run,
    ))
}

/// Plays the user and the browser: every login that a connection wants is made.
async fn log_in_when_asked(
    mut logins: mpsc::Receiver<LoginQuestion>,
    auth: McpAuth,
    server: McpServerConfig,
    http: HttpClient,
) {
    while let Some((wanted, reply)) = logins.recv().await {
        let mut spec = LoginSpec::new(server.clone());
        spec.refusal = Some(wanted);
        let outcome = log_in(&auth, spec, &http).await;
        if let Err(why) = &outcome {
            eprintln!("login: {why}");
        }
        let _ = reply.send(outcome.is_ok());
    }
}

async fn log_in(auth: &McpAuth, spec: LoginSpec, http: &HttpClient) -> Result<(), String> {
    let cancel = CancellationToken::new();
    let begun = auth.begin(spec, Path::new("/"), &cancel).await;
    let login = begun.map_err(|error| error.to_string())?;
    let page = Request::get(login.authorization_url().clone()).redirects(Redirects::None);
    let browser = async {
        let page = http.send(page).await.map_err(|error| error.to_string())?;
        let location = page.headers.get("location");
        let location = location.and_then(|value| value.to_str().ok());
        let location = location.ok_or("the page did not redirect")?;
        let back = location.parse().map_err(|_| "the redirect is no URL")?;
        let answer = http.send(Request::get(back)).await;
        answer.map(drop).map_err(|error| error.to_string())
    };
    let (finished, visited) = tokio::join!(login.finish(LIMIT, &cancel), browser);
    finished.map_err(|error| error.to_string())?;
    visited
}

async fn call_tools(
    servers: &McpHandle,
    server: &ServerName,
    context: &Value,
    use_of_skills: UseOfSkills,
    cancel: &CancellationToken,
) -> Result<(), String> {
    servers
        .ready(None, cancel)
        .await
        .map_err(|error| error.to_string())?;
    for (tool, arguments) in planned_calls(servers, server, context) {
        let tool = ToolRef {
            server: server.clone(),
            tool,
        };
        let outcome = servers
            .call(&tool, arguments, CallContext::default(), cancel)
            .await
            .map_err(|error| format!("{tool}: {error}"))?;
        eprintln!("{tool}: {}", Value::Array(outcome.content));
    }
    read_resources(servers, server, cancel).await?;
    read_skills(servers, server, use_of_skills, cancel).await
}

/// Lists the skills, and reads every file of them when one is wanted; the first that is refused ends it.
async fn read_skills(
    servers: &McpHandle,
    server: &ServerName,
    use_of_skills: UseOfSkills,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let skills = servers.list_skills(server, cancel).await;
    for skill in skills.map_err(|error| error.to_string())? {
        eprintln!("skill {}: {}", skill.name(), skill.description());
        let wanted = skill.files().into_iter();
        let wanted = wanted.filter(|_| use_of_skills == UseOfSkills::Load);
        for file in wanted {
            let read = servers.read_skill(server, skill.uri(), Some(file), cancel);
            let content = read.await.map_err(|error| error.to_string())?;
            eprintln!("{file}: {content}");
        }
    }
    Ok(())
}

async fn read_resources(
    servers: &McpHandle,
    server: &ServerName,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let resources = servers.list_resources(server, cancel).await;
    for resource in resources.map_err(|error| error.to_string())? {
        let uri = resource.get("uri").and_then(Value::as_str).unwrap_or("");
        let read = servers.read_resource(server, uri, cancel).await;
        let contents = read.map_err(|error| format!("{uri}: {error}"))?;
        eprintln!("{uri}: {contents}");
    }
    Ok(())
}

/// The calls that the suite wants, or one of each tool.
fn planned_calls(
    servers: &McpHandle,
    server: &ServerName,
    context: &Value,
) -> Vec<(String, Map<String, Value>)> {
    if let Some(wanted) = context.get("toolCalls").and_then(Value::as_array) {
        let call = |call: &Value| {
            let name = call.get("name")?.as_str()?.to_owned();
            let arguments = call.get("arguments").and_then(Value::as_object);
            Some((name, arguments.cloned().unwrap_or_default()))
        };
        return wanted.iter().filter_map(call).collect();
    }
    let catalog = servers.catalog();
    let tools = catalog
        .server(server)
        .map_or(&[][..], |server| &server.tools);
    let focal = tools.iter().find(|tool| tool.tool.tool != ECHO_TOOL);
    let focal_schema = focal.map(|tool| tool.definition.input_schema.clone());
    let call = |tool: &codex_mcp::CatalogTool| {
        let name = tool.tool.tool.clone();
        let arguments = match &focal_schema {
            Some(schema) if name == ECHO_TOOL => {
                Map::from_iter([("schema".to_owned(), schema.clone())])
            }
            _ => sample_arguments(&tool.definition.input_schema),
        };
        (name, arguments)
    };
    tools.iter().map(call).collect()
}

/// The least that a schema asks for.
fn sample_arguments(schema: &Value) -> Map<String, Value> {
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let sample = |name: &str| {
        let kind = &schema["properties"][name]["type"];
        let value = match kind.as_str() {
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => json!({}),
            Some("null") => Value::Null,
            Some(_) | None => json!("sample"),
        };
        (name.to_owned(), value)
    };
    required.map(sample).collect()
}

async fn accept_all(mut questions: mpsc::Receiver<ElicitationRequest>) {
    while let Some(request) = questions.recv().await {
        let content = request.question.default_content().unwrap_or_default();
        let _ = request.reply.send(ElicitationReply::Accept(content));
    }
}
