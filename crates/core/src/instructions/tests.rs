//! The first words of a thread, as bytes: providers cache them.

use insta::assert_snapshot;

use super::*;

fn settings() -> ThreadSettings {
    let mut settings = ThreadSettings::new("/srv/app".into(), "gpt-5.5");
    settings.approval = AskForApproval::Never;
    settings
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn texts(items: &[ResponseItem]) -> String {
    let mut lines = Vec::new();
    for item in items {
        let ResponseItem::Message(message) = item else {
            panic!("only messages open a thread: {item:?}");
        };
        for part in &message.content {
            lines.push(format!("[{}]\n{}", message.role, part.as_text().unwrap()));
        }
    }
    lines.join("\n")
}

#[test]
fn a_thread_opens_with_permissions_then_environment() {
    assert_snapshot!(texts(&opening(&settings(), None, noon())), @"
    [developer]
    <permissions instructions>
    Sandbox mode is `read-only`: files may be read, nothing may be written. The network is off.
    Approval policy is `never`: nobody can be asked. A call that would need approval is refused; do not try it again, find another way or say what is missing.
    </permissions instructions>
    [user]
    <environment_context>
      <cwd>/srv/app</cwd>
      <shell>bash</shell>
      <current_date>2026-11-20</current_date>
      <timezone>UTC</timezone>
    </environment_context>
    ");
}

#[test]
fn configured_words_and_agents_md_are_parts_of_their_own() {
    let mut settings = settings();
    settings.developer_instructions = Some("Be kind.".to_owned());
    settings.sandbox = SandboxMode::WorkspaceWrite;
    settings.workspace.writable_roots = vec!["/tmp/extra".into()];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("AGENTS.md");
    #[expect(clippy::disallowed_methods, reason = "tests prepare files directly")]
    std::fs::write(file, "Use tabs.\n").unwrap();
    let agents_md = AgentsMd::read("/nowhere".as_ref(), folder.path(), 100);
    assert_snapshot!(texts(&opening(&settings, agents_md.as_ref(), noon())), @"
    [developer]
    <permissions instructions>
    Sandbox mode is `workspace-write`: files may be read; only below `/srv/app`, `/tmp/extra`, `/tmp`, `$TMPDIR` may they be written. The network is off.
    Approval policy is `never`: nobody can be asked. A call that would need approval is refused; do not try it again, find another way or say what is missing.
    </permissions instructions>
    [developer]
    Be kind.
    [user]
    # AGENTS.md instructions for /srv/app

    <INSTRUCTIONS>
    Use tabs.
    </INSTRUCTIONS>
    [user]
    <environment_context>
      <cwd>/srv/app</cwd>
      <shell>bash</shell>
      <current_date>2026-11-20</current_date>
      <timezone>UTC</timezone>
    </environment_context>
    ");
}

#[test]
fn each_policy_says_what_happens_and_no_more() {
    let said = |approval| {
        let mut settings = settings();
        settings.approval = approval;
        let text = permissions(&settings);
        let line = text.lines().find(|line| line.starts_with("Approval"));
        line.unwrap().to_owned()
    };
    let policies = [
        AskForApproval::OnRequest,
        AskForApproval::OnFailure,
        AskForApproval::Untrusted,
    ];
    assert_snapshot!(policies.map(said).join("\n"), @"
    Approval policy is `on-request`: a call that needs approval is put before the user.
    Approval policy is `on-failure`: a call that needs approval is put before the user. A command that fails in the sandbox is not put before anybody by itself: ask with require_escalated.
    Approval policy is `untrusted`: every call that is not known to read only is put before the user.
    ");
}

#[test]
fn only_what_changed_is_said_again() {
    let before = settings();
    let recorded = context_of(&before);
    assert_eq!(changes(&recorded, &before, noon()), []);

    let mut moved = settings();
    moved.cwd = "/srv/other".into();
    let roles = |items: Vec<ResponseItem>| texts(&items).lines().next().unwrap().to_owned();
    assert_eq!(changes(&recorded, &moved, noon()).len(), 1);
    assert_eq!(roles(changes(&recorded, &moved, noon())), "[user]");

    let mut freed = settings();
    freed.sandbox = SandboxMode::DangerFullAccess;
    assert_eq!(changes(&recorded, &freed, noon()).len(), 1);
    assert_eq!(roles(changes(&recorded, &freed, noon())), "[developer]");
}

#[test]
fn the_date_is_that_of_the_users_clock() {
    let mut settings = settings();
    settings.timezone = jiff::tz::TimeZone::fixed(jiff::tz::offset(14));
    assert!(environment(&settings, noon()).contains("<current_date>2026-11-21</current_date>"));
}
