//! Whether a tool call may run: one pure table.
//!
//! **Absent on purpose:** asking, waiting, and any knowledge of frontends. The engine turns
//! [`Gate::Ask`] into a question or, where nobody can answer, into a refusal.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use codex_protocol::{
    ApproveWhen, AskForApproval, SandboxMode, SandboxPolicy, ToolApprovalMode, ToolRef,
};
use codex_tools::request::CommandRequest;
use codex_tools::safety::{self, Safety};
use serde_json::{Map, Value};

/// What is known about a tool when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolFacts<'a> {
    /// The tool.
    pub tool: &'a ToolRef,
    /// The configured mode of the tool, or of its server.
    pub mode: ToolApprovalMode,
    /// The server claims that the tool only reads.
    pub read_only: bool,
    /// The arguments with which it may run although the mode would ask.
    pub approve_when: Option<&'a ApproveWhen>,
    /// The arguments of this call.
    pub arguments: &'a Map<String, Value>,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It runs.
    Allow(AllowedBy),
    /// A person decides.
    Ask(AskedBy),
    /// It is refused; the sentence is for the model and the item.
    Deny(String),
}

/// Why a call runs without a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowedBy {
    /// `approval_mode = "approve"`.
    #[error("`approval_mode = \"approve\"`")]
    Configured,
    /// The tool's annotation says that it only reads.
    #[error("the tool says that it only reads")]
    ReadOnly,
    /// The arguments fit what is configured.
    #[error("its arguments fit `approve_when`")]
    Arguments,
    /// There is no sandbox and nobody is to be asked.
    #[error("sandbox mode `danger-full-access`")]
    FullAccess,
    /// The sandbox holds whatever it does.
    #[error("the sandbox confines it")]
    Sandbox,
    /// The command is known to read only.
    #[error("the command is known to read only")]
    KnownSafe,
    /// A person allowed it earlier in this thread.
    #[error("it was approved earlier in this session")]
    Remembered,
}

/// Why a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskedBy {
    /// The configured mode of an MCP tool.
    #[error("the approval mode of the tool asks first")]
    ToolMode,
    /// The policy trusts nothing but what is known to be safe.
    #[error("approval policy `untrusted` asks for all that is not known to read only")]
    Untrusted,
    /// The model wants it outside of the sandbox.
    #[error("it is to run outside of the sandbox")]
    Escalation,
    /// No sandbox holds it, and it destroys.
    #[error("it can destroy what cannot be brought back, and there is no sandbox")]
    Dangerous,
}

/// Decides whether a call runs.
pub fn decide(facts: ToolFacts<'_>, approval: AskForApproval, sandbox: SandboxMode) -> Gate {
    use ToolApprovalMode::{Approve, Auto, Prompt, Writes};
    if approval == AskForApproval::Never && sandbox == SandboxMode::DangerFullAccess {
        return Gate::Allow(AllowedBy::FullAccess);
    }
    match facts.mode {
        Approve => Gate::Allow(AllowedBy::Configured),
        Auto | Writes if facts.read_only => Gate::Allow(AllowedBy::ReadOnly),
        Auto | Writes | Prompt => match (facts.approve_when, approval) {
            (Some(rule), _) if rule.fits(facts.arguments).is_ok() => {
                Gate::Allow(AllowedBy::Arguments)
            }
            (
                _,
                AskForApproval::Untrusted | AskForApproval::OnFailure | AskForApproval::OnRequest,
            ) => Gate::Ask(AskedBy::ToolMode),
            (_, AskForApproval::Never) => Gate::Deny(refusal(facts)),
        },
    }
}

/// What is known about a command before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandFacts {
    /// What its words say.
    pub safety: Safety,
    /// The model wants it outside of the sandbox.
    pub is_escalated: bool,
    /// A person allowed the same command, in the same place and manner, earlier in this thread.
    pub is_remembered: bool,
}

impl CommandFacts {
    /// Reads a request for a command in a directory.
    pub(crate) fn of(
        request: &CommandRequest,
        dir: &Path,
        ground: Ground,
        approved: &Approved,
    ) -> Self {
        Self {
            safety: safety::judge(&request.argv),
            is_escalated: request.is_escalated,
            is_remembered: approved.holds(request, dir, ground),
        }
    }
}

/// What calls may touch: what was allowed on one ground is asked again on another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ground {
    /// What the sandbox leaves open.
    pub policy: SandboxPolicy,
    /// The working directory of the thread, from which the policy counts.
    pub cwd: PathBuf,
}

/// The commands that a person allowed for the rest of a thread.
#[derive(Debug, Clone, Default)]
pub struct Approved(HashSet<ApprovedCommand>);

/// What a person saw: the words, where they run, and what holds them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ApprovedCommand {
    argv: Vec<String>,
    dir: PathBuf,
    is_escalated: bool,
    ground: Ground,
}

impl ApprovedCommand {
    fn of(request: &CommandRequest, dir: &Path, ground: Ground) -> Self {
        Self {
            argv: request.argv.clone(),
            dir: dir.to_owned(),
            is_escalated: request.is_escalated,
            ground,
        }
    }
}

impl Approved {
    /// Keeps a command in a directory.
    pub fn remember(&mut self, request: &CommandRequest, dir: &Path, ground: Ground) {
        self.0.insert(ApprovedCommand::of(request, dir, ground));
    }

    /// Whether this very command was kept.
    pub fn holds(&self, request: &CommandRequest, dir: &Path, ground: Ground) -> bool {
        self.0.contains(&ApprovedCommand::of(request, dir, ground))
    }
}

/// Decides whether a command runs, and by which rule.
pub fn decide_command(facts: CommandFacts, approval: AskForApproval, sandbox: SandboxMode) -> Gate {
    match by_policy(facts, approval, sandbox) {
        // An earlier yes answers a question; it opens nothing that the policy keeps shut.
        Gate::Ask(_) if facts.is_remembered => Gate::Allow(AllowedBy::Remembered),
        gate => gate,
    }
}

fn by_policy(facts: CommandFacts, approval: AskForApproval, sandbox: SandboxMode) -> Gate {
    use AskForApproval::{Never, OnFailure, OnRequest, Untrusted};
    let is_confined = sandbox != SandboxMode::DangerFullAccess;
    match (approval, facts.safety) {
        (Never, _) if !is_confined => Gate::Allow(AllowedBy::FullAccess),
        (Never, _) if facts.is_escalated => Gate::Deny(NO_ESCALATION.to_owned()),
        (OnRequest | OnFailure | Untrusted, _) if is_confined && facts.is_escalated => {
            Gate::Ask(AskedBy::Escalation)
        }
        (Untrusted, Safety::KnownSafe) => Gate::Allow(AllowedBy::KnownSafe),
        (Untrusted, Safety::Unknown | Safety::Dangerous) => Gate::Ask(AskedBy::Untrusted),
        (Never | OnRequest | OnFailure, _) if is_confined => Gate::Allow(AllowedBy::Sandbox),
        (OnRequest | OnFailure, Safety::Dangerous) => Gate::Ask(AskedBy::Dangerous),
        (Never | OnRequest | OnFailure, _) => Gate::Allow(AllowedBy::FullAccess),
    }
}

/// Decides whether a patch may be applied; where it may write is the fence's affair.
pub fn decide_patch(approval: AskForApproval, sandbox: SandboxMode) -> Gate {
    match (approval, sandbox) {
        (_, SandboxMode::ReadOnly) => Gate::Deny(NO_PATCH.to_owned()),
        (AskForApproval::Untrusted, _) => Gate::Ask(AskedBy::Untrusted),
        (_, SandboxMode::WorkspaceWrite) => Gate::Allow(AllowedBy::Sandbox),
        (_, SandboxMode::DangerFullAccess) => Gate::Allow(AllowedBy::FullAccess),
    }
}

const NO_ESCALATION: &str = "running outside of the sandbox requires approval, but approval policy \
     is never; find a way within the sandbox or say what is missing";
const NO_PATCH: &str = "the patch was rejected, no file was changed: sandbox mode `read-only` \
     allows no writing; to allow it use `--sandbox workspace-write`";

/// What is said where a person would be asked and no frontend can do it yet.
pub(crate) fn cannot_ask(why: AskedBy) -> String {
    format!("this call requires approval ({why}), and this frontend cannot ask")
}

/// Says why a call was refused and what allows it.
fn refusal(facts: ToolFacts<'_>) -> String {
    format!(
        "MCP tool call requires approval, but approval policy is never; {}",
        what_allows(facts)
    )
}

/// Says which line of the config lets a tool run, or why the one that is there does not.
pub(crate) fn what_allows(facts: ToolFacts<'_>) -> String {
    let table = format!(
        "[mcp_servers.{}.tools.{}]",
        toml_key(facts.tool.server.as_str()),
        toml_key(&facts.tool.tool)
    );
    match facts.approve_when.map(|rule| rule.fits(facts.arguments)) {
        Some(Err(why)) => format!("{table} approve_when does not fit: {why}"),
        Some(Ok(())) | None => format!("to allow it set {table} approval_mode = \"approve\""),
    }
}

/// Quotes a key where TOML wants it quoted, so that the hint can be pasted.
fn toml_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    let mut quoted = String::with_capacity(key.len() + 2);
    quoted.push('"');
    for c in key.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
