//! Whether a tool call may run: one pure table.
//!
//! **Absent on purpose:** asking, waiting, and any knowledge of frontends. The engine turns
//! [`Gate::Ask`] into a question or, where nobody can answer, into a refusal.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use codex_protocol::{ApproveWhen, AskForApproval, SandboxMode, ToolApprovalMode, ToolRef};
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
    pub(crate) fn of(request: &CommandRequest, dir: &Path, approved: &Approved) -> Self {
        Self {
            safety: safety::judge(&request.argv),
            is_escalated: request.is_escalated,
            is_remembered: approved.holds(request, dir),
        }
    }
}

/// The commands that a person allowed for the rest of a thread.
#[derive(Debug, Clone, Default)]
pub struct Approved(HashSet<ApprovedCommand>);

/// What a person saw: the words, where they run, and whether the sandbox holds them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ApprovedCommand {
    argv: Vec<String>,
    dir: PathBuf,
    is_escalated: bool,
}

impl ApprovedCommand {
    fn of(request: &CommandRequest, dir: &Path) -> Self {
        Self {
            argv: request.argv.clone(),
            dir: dir.to_owned(),
            is_escalated: request.is_escalated,
        }
    }
}

impl Approved {
    /// Keeps a command in a directory.
    pub fn remember(&mut self, request: &CommandRequest, dir: &Path) {
        self.0.insert(ApprovedCommand::of(request, dir));
    }

    /// Whether this very command was kept.
    pub fn holds(&self, request: &CommandRequest, dir: &Path) -> bool {
        self.0.contains(&ApprovedCommand::of(request, dir))
    }
}

/// Decides whether a command runs, and by which rule.
pub fn decide_command(facts: CommandFacts, approval: AskForApproval, sandbox: SandboxMode) -> Gate {
    use AskForApproval::{Never, OnFailure, OnRequest, Untrusted};
    let is_confined = sandbox != SandboxMode::DangerFullAccess;
    if facts.is_remembered {
        return Gate::Allow(AllowedBy::Remembered);
    }
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
mod tests {
    use super::*;
    use codex_protocol::ServerName;

    fn gate(
        mode: ToolApprovalMode,
        read_only: bool,
        approval: AskForApproval,
        sandbox: SandboxMode,
    ) -> Gate {
        let tool = ToolRef {
            server: ServerName::from_config("s"),
            tool: "t".to_owned(),
        };
        decide(
            ToolFacts {
                tool: &tool,
                mode,
                read_only,
                approve_when: None,
                arguments: &Map::new(),
            },
            approval,
            sandbox,
        )
    }

    /// Rows 5.default_tools_approval_mode, 5.tools.approval_mode.
    #[test]
    fn arguments_that_fit_run_where_the_mode_would_ask() {
        use ToolApprovalMode::{Auto, Prompt, Writes};
        let tool = ToolRef {
            server: ServerName::from_config("s"),
            tool: "t".to_owned(),
        };
        let rule: ApproveWhen = serde_json::from_str(r#"{"path": {"within": "/srv"}}"#).unwrap();
        let by = |mode, path: &str, approval| {
            let arguments = Map::from_iter([("path".to_owned(), path.into())]);
            let facts = ToolFacts {
                tool: &tool,
                mode,
                read_only: false,
                approve_when: Some(&rule),
                arguments: &arguments,
            };
            decide(facts, approval, SandboxMode::ReadOnly)
        };
        for mode in [Auto, Writes, Prompt] {
            for approval in [AskForApproval::Never, AskForApproval::OnRequest] {
                let gate = by(mode, "/srv/a", approval);
                assert_eq!(gate, Gate::Allow(AllowedBy::Arguments));
            }
            let gate = by(mode, "/etc/a", AskForApproval::Untrusted);
            assert_eq!(gate, Gate::Ask(AskedBy::ToolMode));
            assert_eq!(
                by(mode, "/etc/a", AskForApproval::Never),
                Gate::Deny(
                    "MCP tool call requires approval, but approval policy is never; \
                     [mcp_servers.s.tools.t] approve_when does not fit: argument `path` is not \
                     within `/srv`"
                        .to_owned()
                )
            );
        }
    }

    #[test]
    fn every_row_of_the_table_under_never() {
        use SandboxMode::{DangerFullAccess, ReadOnly, WorkspaceWrite};
        use ToolApprovalMode::{Approve, Auto, Prompt, Writes};
        let refused = || {
            Gate::Deny(
                "MCP tool call requires approval, but approval policy is never; to allow it set \
                 [mcp_servers.s.tools.t] approval_mode = \"approve\""
                    .to_owned(),
            )
        };
        for sandbox in [ReadOnly, WorkspaceWrite] {
            for (mode, read_only, expected) in [
                (Approve, false, Gate::Allow(AllowedBy::Configured)),
                (Approve, true, Gate::Allow(AllowedBy::Configured)),
                (Auto, false, refused()),
                (Auto, true, Gate::Allow(AllowedBy::ReadOnly)),
                (Writes, false, refused()),
                (Writes, true, Gate::Allow(AllowedBy::ReadOnly)),
                (Prompt, false, refused()),
                (Prompt, true, refused()),
            ] {
                assert_eq!(
                    gate(mode, read_only, AskForApproval::Never, sandbox),
                    expected,
                    "{mode:?} read_only={read_only} {sandbox:?}"
                );
            }
        }
        for mode in [Approve, Auto, Writes, Prompt] {
            for read_only in [false, true] {
                assert_eq!(
                    gate(mode, read_only, AskForApproval::Never, DangerFullAccess),
                    Gate::Allow(AllowedBy::FullAccess)
                );
            }
        }
    }

    #[test]
    fn every_row_of_the_table_of_commands() {
        use AskForApproval::{Never, OnFailure, OnRequest, Untrusted};
        use Safety::{Dangerous, KnownSafe, Unknown};
        use SandboxMode::{DangerFullAccess, ReadOnly, WorkspaceWrite};
        let command = |safety, is_escalated| CommandFacts {
            safety,
            is_escalated,
            is_remembered: false,
        };
        let refused = || Gate::Deny(NO_ESCALATION.to_owned());
        for confined in [ReadOnly, WorkspaceWrite] {
            for safety in [KnownSafe, Unknown, Dangerous] {
                let by = |approval, is_escalated| {
                    decide_command(command(safety, is_escalated), approval, confined)
                };
                for approval in [Never, OnRequest, OnFailure] {
                    assert_eq!(by(approval, false), Gate::Allow(AllowedBy::Sandbox));
                }
                assert_eq!(by(Never, true), refused());
                for approval in [OnRequest, OnFailure, Untrusted] {
                    assert_eq!(by(approval, true), Gate::Ask(AskedBy::Escalation));
                }
            }
        }
        for sandbox in [ReadOnly, WorkspaceWrite, DangerFullAccess] {
            let by = |safety| decide_command(command(safety, false), Untrusted, sandbox);
            assert_eq!(by(KnownSafe), Gate::Allow(AllowedBy::KnownSafe));
            assert_eq!(by(Unknown), Gate::Ask(AskedBy::Untrusted));
            assert_eq!(by(Dangerous), Gate::Ask(AskedBy::Untrusted));
        }
        for is_escalated in [false, true] {
            let by = |safety, approval| {
                decide_command(command(safety, is_escalated), approval, DangerFullAccess)
            };
            for safety in [KnownSafe, Unknown, Dangerous] {
                assert_eq!(by(safety, Never), Gate::Allow(AllowedBy::FullAccess));
            }
            for approval in [OnRequest, OnFailure] {
                assert_eq!(by(Unknown, approval), Gate::Allow(AllowedBy::FullAccess));
                assert_eq!(by(Dangerous, approval), Gate::Ask(AskedBy::Dangerous));
            }
        }
    }

    #[test]
    fn what_a_person_allowed_stays_allowed_word_by_word_and_where_it_was_allowed() {
        let request = |words: &[&str], permissions: &str| {
            let arguments = serde_json::json!({
                "command": words, "sandbox_permissions": permissions,
            });
            let read = codex_tools::request::parse_local_shell(&arguments, Path::new("/bin/sh"));
            match read.unwrap() {
                codex_tools::request::Request::Command(request) => request,
                other => panic!("{other:?}"),
            }
        };
        let push = request(&["git", "push"], "use_default");
        let escalated = request(&["git", "push"], "require_escalated");
        let dir = Path::new("/w");
        let mut approved = Approved::default();
        approved.remember(&push, dir);
        assert!(approved.holds(&push, dir));
        assert!(!approved.holds(&push, Path::new("/w/sub")));
        assert!(!approved.holds(&request(&["git", "push", "--force"], "use_default"), dir));
        // What was allowed within the sandbox is not allowed outside of it.
        assert!(!CommandFacts::of(&escalated, dir, &approved).is_remembered);
        approved.remember(&escalated, dir);
        assert!(CommandFacts::of(&escalated, dir, &approved).is_remembered);
        let facts = CommandFacts {
            safety: Safety::Dangerous,
            is_escalated: true,
            is_remembered: true,
        };
        let gate = decide_command(facts, AskForApproval::Untrusted, SandboxMode::ReadOnly);
        assert_eq!(gate, Gate::Allow(AllowedBy::Remembered));
    }

    #[test]
    fn every_row_of_the_table_of_patches() {
        use AskForApproval::{Never, OnFailure, OnRequest, Untrusted};
        use SandboxMode::{DangerFullAccess, ReadOnly, WorkspaceWrite};
        for approval in [Never, OnFailure, OnRequest, Untrusted] {
            assert_eq!(
                decide_patch(approval, ReadOnly),
                Gate::Deny(NO_PATCH.to_owned())
            );
        }
        for approval in [Never, OnFailure, OnRequest] {
            let by = |sandbox| decide_patch(approval, sandbox);
            assert_eq!(by(WorkspaceWrite), Gate::Allow(AllowedBy::Sandbox));
            assert_eq!(by(DangerFullAccess), Gate::Allow(AllowedBy::FullAccess));
        }
        assert_eq!(
            decide_patch(Untrusted, WorkspaceWrite),
            Gate::Ask(AskedBy::Untrusted)
        );
    }

    #[test]
    fn policies_with_a_person_ask_where_never_refuses() {
        use ToolApprovalMode::{Approve, Auto, Prompt, Writes};
        for approval in [
            AskForApproval::Untrusted,
            AskForApproval::OnFailure,
            AskForApproval::OnRequest,
        ] {
            for sandbox in [SandboxMode::ReadOnly, SandboxMode::DangerFullAccess] {
                let gate = |mode, read_only| gate(mode, read_only, approval, sandbox);
                assert_eq!(gate(Approve, false), Gate::Allow(AllowedBy::Configured));
                assert_eq!(gate(Auto, true), Gate::Allow(AllowedBy::ReadOnly));
                assert_eq!(gate(Auto, false), Gate::Ask(AskedBy::ToolMode));
                assert_eq!(gate(Writes, false), Gate::Ask(AskedBy::ToolMode));
                assert_eq!(gate(Prompt, true), Gate::Ask(AskedBy::ToolMode));
            }
        }
    }

    #[test]
    fn the_hint_can_be_pasted_into_toml() {
        assert_eq!(toml_key("plain-1_x"), "plain-1_x");
        assert_eq!(toml_key("a.b"), "\"a.b\"");
        assert_eq!(toml_key("a\"\n"), "\"a\\\"\\u000A\"");
        assert_eq!(toml_key(""), "\"\"");
    }
}
