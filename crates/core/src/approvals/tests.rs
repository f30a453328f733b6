//! Every row of the tables.

use super::*;
use codex_protocol::{ServerName, WorkspaceWrite};

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
    let here = || Ground {
        policy: SandboxPolicy::WorkspaceWrite(WorkspaceWrite::default()),
        cwd: dir.to_owned(),
    };
    let mut approved = Approved::default();
    approved.remember(&push, dir, here());
    assert!(approved.holds(&push, dir, here()));
    assert!(!approved.holds(&push, Path::new("/w/sub"), here()));
    let forced = request(&["git", "push", "--force"], "use_default");
    assert!(!approved.holds(&forced, dir, here()));
    // What was allowed within the sandbox is not allowed outside of it, nor in a wider one.
    assert!(!CommandFacts::of(&escalated, dir, here(), &approved).is_remembered);
    let networked = here().policy.with_network();
    for policy in [SandboxPolicy::DangerFullAccess, networked] {
        let ground = Ground { policy, ..here() };
        assert!(!approved.holds(&push, dir, ground));
    }
    let cwd = PathBuf::from("/");
    assert!(!approved.holds(&push, dir, Ground { cwd, ..here() }));
    approved.remember(&escalated, dir, here());
    assert!(CommandFacts::of(&escalated, dir, here(), &approved).is_remembered);
}

#[test]
fn an_earlier_yes_answers_a_question_and_opens_nothing_that_never_keeps_shut() {
    let facts = CommandFacts {
        safety: Safety::Dangerous,
        is_escalated: true,
        is_remembered: true,
    };
    let by = |approval| decide_command(facts, approval, SandboxMode::ReadOnly);
    let remembered = Gate::Allow(AllowedBy::Remembered);
    assert_eq!(by(AskForApproval::Untrusted), remembered);
    assert_eq!(by(AskForApproval::OnRequest), remembered);
    assert_eq!(
        by(AskForApproval::Never),
        Gate::Deny(NO_ESCALATION.to_owned())
    );
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
