//! What a thread tells the model before the user's first words.
//!
//! Two items begin every thread: a developer message with the permissions and the configured
//! `developer_instructions`, and a user message with the AGENTS.md files and the environment. Both
//! are recorded once and never rewritten; when settings change between turns, the changed part is
//! sent again behind everything that was said before.

mod agents_md;

use codex_api_types::{ContentItem, ResponseItem};
use codex_protocol::{AskForApproval, SandboxMode};
use codex_rollout::TurnContext;
use jiff::Timestamp;

use crate::settings::ThreadSettings;

pub(crate) use agents_md::AgentsMd;

/// The base instructions, sent as `instructions` unless the config replaces them.
pub(crate) const BASE: &str = include_str!("instructions/base.md");

/// Returns the items that begin a thread.
pub(crate) fn opening(
    settings: &ThreadSettings,
    agents_md: Option<&AgentsMd>,
    now: Timestamp,
) -> Vec<ResponseItem> {
    let mut developer = vec![ContentItem::input_text(permissions(settings))];
    developer.extend(
        settings
            .developer_instructions
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(ContentItem::input_text),
    );
    let mut user = Vec::new();
    user.extend(agents_md.map(|found| ContentItem::input_text(found.part(&settings.cwd))));
    user.push(ContentItem::input_text(environment(settings, now)));
    vec![
        ResponseItem::input_message("developer", developer),
        ResponseItem::input_message("user", user),
    ]
}

/// Returns the parts that changed since the recorded context, as new items.
pub(crate) fn changes(
    recorded: &TurnContext,
    settings: &ThreadSettings,
    now: Timestamp,
) -> Vec<ResponseItem> {
    let mut items = Vec::new();
    // What the permissions say, and nothing else: the model and the directory are told elsewhere.
    let now_permitted = TurnContext {
        model: recorded.model.clone(),
        cwd: recorded.cwd.clone(),
        ..context_of(settings)
    };
    if now_permitted != *recorded {
        items.push(ResponseItem::input_message(
            "developer",
            vec![ContentItem::input_text(permissions(settings))],
        ));
    }
    if recorded.cwd != settings.cwd {
        items.push(ResponseItem::input_message(
            "user",
            vec![ContentItem::input_text(environment(settings, now))],
        ));
    }
    items
}

/// Returns what is compared between turns.
pub(crate) fn context_of(settings: &ThreadSettings) -> TurnContext {
    TurnContext {
        cwd: settings.cwd.clone(),
        model: settings.model.clone(),
        approval: settings.approval,
        sandbox: settings.sandbox,
        writable_roots: settings.workspace.writable_roots.clone(),
        network_access: settings.workspace.network_access,
    }
}

fn permissions(settings: &ThreadSettings) -> String {
    let sandbox = match settings.sandbox {
        SandboxMode::ReadOnly => {
            "`read-only`: files may be read, nothing may be written. The network is off.".to_owned()
        }
        SandboxMode::WorkspaceWrite => {
            let workspace = &settings.workspace;
            let mut roots = vec![format!("`{}`", settings.cwd.display())];
            let configured = workspace.writable_roots.iter();
            roots.extend(configured.map(|root| format!("`{}`", root.display())));
            if !workspace.exclude_slash_tmp && cfg!(unix) {
                roots.push("`/tmp`".to_owned());
            }
            if !workspace.exclude_tmpdir_env_var {
                roots.push("`$TMPDIR`".to_owned());
            }
            format!(
                "`workspace-write`: files may be read; only below {} may they be written. The \
                 network is {}.",
                roots.join(", "),
                if workspace.network_access {
                    "on"
                } else {
                    "off"
                }
            )
        }
        SandboxMode::DangerFullAccess => {
            "`danger-full-access`: nothing is restricted. The network is on.".to_owned()
        }
    };
    let approval = match settings.approval {
        AskForApproval::Never => {
            "`never`: nobody can be asked. A call that would need approval is refused; do not try \
             it again, find another way or say what is missing."
        }
        AskForApproval::OnRequest => {
            "`on-request`: a call that needs approval is put before the user."
        }
        AskForApproval::OnFailure => {
            "`on-failure`: a call that needs approval is put before the user. A command that \
             fails in the sandbox is not put before anybody by itself: ask with require_escalated."
        }
        AskForApproval::Untrusted => {
            "`untrusted`: every call that is not known to read only is put before the user."
        }
    };
    format!(
        "<permissions instructions>\nSandbox mode is {sandbox}\nApproval policy is {approval}\n\
         </permissions instructions>"
    )
}

fn environment(settings: &ThreadSettings, now: Timestamp) -> String {
    let today = now.to_zoned(settings.timezone.clone()).date();
    let timezone = settings.timezone.iana_name().unwrap_or("UTC");
    let shell = settings
        .shell_path
        .file_name()
        .and_then(|name| name.to_str());
    format!(
        "<environment_context>\n  <cwd>{}</cwd>\n  <shell>{}</shell>\n  \
         <current_date>{today}</current_date>\n  <timezone>{timezone}</timezone>\n\
         </environment_context>",
        settings.cwd.display(),
        shell.unwrap_or("bash"),
    )
}

#[cfg(test)]
mod tests;
