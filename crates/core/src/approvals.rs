//! Whether a tool call may run: one pure table.
//!
//! **Absent on purpose:** asking, waiting, and any knowledge of frontends. The engine turns
//! [`Gate::Ask`] into a question or, where nobody can answer, into a refusal.

use codex_protocol::{AskForApproval, SandboxMode, ToolApprovalMode, ToolRef};

/// What is known about a tool when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolFacts<'a> {
    /// The tool.
    pub tool: &'a ToolRef,
    /// The configured mode of the tool, or of its server.
    pub mode: ToolApprovalMode,
    /// The server claims that the tool only reads.
    pub read_only: bool,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It runs.
    Allow(AllowedBy),
    /// A person decides.
    Ask,
    /// It is refused; the sentence is for the model and the item.
    Deny(String),
}

/// Why a call runs without a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedBy {
    /// `approval_mode = "approve"`.
    Configured,
    /// The tool's annotation says that it only reads.
    ReadOnly,
    /// There is no sandbox and nobody is to be asked.
    FullAccess,
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
        Auto | Writes | Prompt => match approval {
            AskForApproval::Never => Gate::Deny(refusal(facts.tool)),
            AskForApproval::Untrusted | AskForApproval::OnFailure | AskForApproval::OnRequest => {
                Gate::Ask
            }
        },
    }
}

/// Says why a call was refused and what allows it.
fn refusal(tool: &ToolRef) -> String {
    format!(
        "MCP tool call requires approval, but approval policy is never; to allow it set {}",
        setting_that_allows(tool)
    )
}

/// Returns the line of the config that lets a tool run.
pub(crate) fn setting_that_allows(tool: &ToolRef) -> String {
    format!(
        "[mcp_servers.{}.tools.{}] approval_mode = \"approve\"",
        toml_key(tool.server.as_str()),
        toml_key(&tool.tool)
    )
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
            },
            approval,
            sandbox,
        )
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
                assert_eq!(gate(Auto, false), Gate::Ask);
                assert_eq!(gate(Writes, false), Gate::Ask);
                assert_eq!(gate(Prompt, true), Gate::Ask);
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
