//! `thread/start`: from what a client sends to a running thread.
//!
//! What it sends is one more layer of the configuration, with the rank of the command line: it goes
//! through the same rules, the requirements of the machine above all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codex_app_server_protocol::{
    Fault, SandboxPolicy, Thread, ThreadStartParams, ThreadStartResponse, ThreadStatus,
};
use codex_config::{Notice, TomlValue, toml_of_json};
use codex_mcp::StartError as McpStartError;
use codex_runtime::{
    Asking, Begin, CoreStartError, ElicitationPolicy, Invocation, Loaded, Session, StartError,
    StartOptions, Storage,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::questions::Questions;
use super::telling::Telling;
use super::{Ears, OPS, REPLIES, Room, turns};
use crate::blocking::blocking;
use crate::house::unusable;
use crate::rooms::RoomGround;
use crate::running::Startups;
use crate::warnings::{notification, sentence};

/// Questions of servers that may wait.
const ELICITATIONS: usize = 16;
/// How long the first request waits for optional servers when nothing is configured.
const DEFAULT_GRACE: Duration = Duration::from_secs(1);

/// Starts a thread; waits for its required servers.
pub(super) async fn begin(
    params: ThreadStartParams,
    ground: RoomGround,
) -> Result<(Room, Ears, ThreadStartResponse), Fault> {
    let invocation = invocation(&params, &ground)?;
    let loading = invocation.clone();
    let loaded = blocking(move || loading.load()).await?;
    let mut loaded = loaded.map_err(|error| unusable(&error))?;
    let notices = std::mem::take(&mut loaded.notices);
    let (elicitation, elicitations) = mpsc::channel(ELICITATIONS);
    let options = options(&params, ElicitationPolicy::Ask(elicitation));
    let session = loaded.clone().start(options).await.map_err(refusal)?;
    let (replies, heard) = mpsc::channel(REPLIES);
    let id = session.thread.id.to_string();
    let mut statuses = session.thread.mcp().status_changes();
    statuses.mark_changed();
    let ears = Ears {
        inbox: ground.rooms.open(&id),
        replies: heard,
        elicitations,
        statuses,
    };
    tell_notices(&ground, notices).await;
    let reviewer = params.approvals_reviewer.unwrap_or_default();
    let settings = turns::Current::new(&session, &loaded);
    let answer = response(&params, &session, &loaded, &settings);
    let context_window = session.thread.context_window();
    let room = Room {
        ops: pump(&session, &ground),
        telling: Telling::new(id.clone(), context_window, ground.outbox.clock()),
        questions: Questions::new(ground.asked.clone(), replies),
        startups: Startups::of_thread(id.clone()),
        id,
        ground,
        invocation,
        loaded: Arc::new(loaded),
        session,
        reviewer,
        settings,
        turn: None,
        answers: JoinSet::new(),
    };
    Ok((room, ears, answer))
}

/// Tells what is to say about this thread's settings and was not told of everybody's.
async fn tell_notices(ground: &RoomGround, notices: Vec<Notice>) {
    let known = ground.house.told();
    for notice in notices
        .iter()
        .filter(|notice| !known.contains(&notice.message))
    {
        ground.outbox.notify(notification(notice)).await;
    }
}

/// Hands operations to the engine in their order.
fn pump(session: &Session, ground: &RoomGround) -> mpsc::Sender<codex_protocol::Op> {
    let (ops, mut waiting) = mpsc::channel(OPS);
    let thread = session.thread.sender();
    ground.rooms.spawn(async move {
        while let Some(op) = waiting.recv().await {
            if thread.submit(op).await.is_err() {
                return;
            }
        }
    });
    ops
}

fn invocation(params: &ThreadStartParams, ground: &RoomGround) -> Result<Invocation, Fault> {
    let mut invocation = ground.invocation.clone();
    invocation.client.clone_from(&ground.client);
    if let Some(cwd) = &params.cwd {
        invocation.overrides.cd = Some(PathBuf::from(cwd));
    }
    if let Some(config) = &params.config {
        values(&mut Vec::new(), config, &mut invocation.values)?;
    }
    let texts = [
        ("model_provider", &params.model_provider),
        ("base_instructions", &params.base_instructions),
        ("developer_instructions", &params.developer_instructions),
        ("service_tier", &params.service_tier),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            let value = TomlValue::from(text.as_str());
            invocation.values.push((key.to_owned(), value));
        }
    }
    Ok(invocation)
}

/// Takes nested keys apart, so that a table joins the one of the files instead of replacing it.
fn values(
    path: &mut Vec<String>,
    config: &Map<String, Value>,
    values_found: &mut Vec<(String, TomlValue)>,
) -> Result<(), Fault> {
    for (key, value) in config {
        // At the top a key may have dots, and then it is written as on the command line.
        let key = match path.is_empty() {
            true => key.clone(),
            false => quoted(key),
        };
        if path.is_empty() && (key == "projects" || key.starts_with("projects.")) {
            continue;
        }
        path.push(key);
        match value {
            Value::Object(inner) if !inner.is_empty() => values(path, inner, values_found)?,
            Value::Null => {}
            value => {
                let key = path.join(".");
                let value = toml_of_json(value).map_err(|error| {
                    Fault::state(format!("Invalid configuration: `{key}`: {error}"))
                })?;
                values_found.push((key, value));
            }
        }
        path.pop();
    }
    Ok(())
}

fn quoted(key: &str) -> String {
    Value::from(key).to_string()
}

fn options(params: &ThreadStartParams, elicitation: ElicitationPolicy) -> StartOptions {
    StartOptions {
        begin: Begin::New,
        model: params.model.clone(),
        approval: params.approval_policy.as_ref().map(|policy| policy.word()),
        sandbox: params.sandbox,
        elicitation,
        asking: Asking::Frontend,
        storage: match params.ephemeral {
            Some(true) => Storage::Ephemeral,
            Some(false) | None => Storage::Stored,
        },
        thread_source: params.thread_source.clone(),
        stream_deltas: true,
        default_grace: DEFAULT_GRACE,
        ..StartOptions::default()
    }
}

fn refusal(error: StartError) -> Fault {
    let text = sentence(&error);
    let StartError::Thread(CoreStartError::Mcp(McpStartError::Required(failures))) = &error else {
        return Fault::internal(text);
    };
    let failed = failures
        .iter()
        .map(|failure| json!({"name": failure.server.as_str(), "error": failure.why}));
    let failed: Vec<Value> = failed.collect();
    Fault::internal(text).with(json!({"requiredMcpServers": failed}))
}

fn response(
    params: &ThreadStartParams,
    session: &Session,
    loaded: &Loaded,
    settings: &turns::Current,
) -> ThreadStartResponse {
    let now = loaded.clock.now().as_second();
    let id = session.thread.id.to_string();
    let summary = &session.summary;
    ThreadStartResponse {
        thread: Thread {
            session_id: id.clone(),
            id,
            preview: String::new(),
            ephemeral: params.ephemeral.unwrap_or(false),
            model_provider: summary.provider.clone(),
            model: summary.model.clone(),
            created_at: now,
            updated_at: now,
            status: ThreadStatus::Idle,
            path: None,
            cwd: summary.cwd.display().to_string(),
            cli_version: codex_runtime::VERSION.to_owned(),
            source: "appServer",
            name: None,
            forked_from_id: None,
            git_info: None,
            project_id: None,
            turns: Vec::new(),
        },
        model: summary.model.clone(),
        model_provider: summary.provider.clone(),
        cwd: summary.cwd.display().to_string(),
        approval_policy: summary.approval,
        approvals_reviewer: params.approvals_reviewer.unwrap_or_default(),
        sandbox: SandboxPolicy::from(settings.sandbox.clone()),
        reasoning_effort: summary.reasoning_effort.clone(),
        service_tier: settings.service_tier.clone(),
        instruction_sources: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_settings_are_taken_apart_and_trust_is_not_taken() {
        let config = json!({
            "model_verbosity": "low",
            "mcp_servers.a.enabled": false,
            "mcp_servers": {"b.c": {"command": "x", "args": [], "env": {}}},
            "projects": {"/": {"trust_level": "trusted"}},
            "projects.\"/\".trust_level": "trusted",
            "nothing": null,
        });
        let mut found = Vec::new();
        values(&mut Vec::new(), config.as_object().unwrap(), &mut found).unwrap();
        let found: Vec<String> = found
            .into_iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        assert_eq!(
            found,
            [
                "model_verbosity = \"low\"",
                "mcp_servers.a.enabled = false",
                "mcp_servers.\"b.c\".\"command\" = \"x\"",
                "mcp_servers.\"b.c\".\"args\" = []",
                "mcp_servers.\"b.c\".\"env\" = {}",
            ]
        );
    }
}
