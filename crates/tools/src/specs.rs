//! What the model is told about each tool.

use codex_api_types::ToolSpec;
use serde_json::{Value, json};

/// Runs a command.
pub const EXEC_COMMAND: &str = "exec_command";
/// Talks to a command that runs.
pub const WRITE_STDIN: &str = "write_stdin";
/// Runs a command, in the classic way.
pub const SHELL: &str = "shell";
/// Changes files.
pub const APPLY_PATCH: &str = "apply_patch";
/// Shows a picture to the model.
pub const VIEW_IMAGE: &str = "view_image";

/// How `apply_patch` is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchForm {
    /// Free text in a grammar.
    Freeform,
    /// A function with the text as its argument.
    Function,
}

const EXEC_DESCRIPTION: &str = "Runs a shell command and returns its output. When it has not ended \
     after yield_time_ms, it goes on and a session id is returned, to be polled or typed to by \
     write_stdin. Programs started with `&` end together with the command, so keep a server in the \
     foreground and use its session.";

const WRITE_DESCRIPTION: &str = "Types characters into a command that exec_command left running \
     and returns what it has written since. Empty chars only waits. Typing needs tty = true.";

const PATCH_DESCRIPTION: &str = "Changes files: all of them, or none when any part does not fit. \
     The text begins with `*** Begin Patch` and ends with `*** End Patch`; in between, for each \
     file, `*** Add File: PATH` (then lines that begin with `+`), `*** Delete File: PATH`, or \
     `*** Update File: PATH`, after it optionally `*** Move to: PATH`, then hunks from top to end. \
     A hunk begins with `@@`, optionally followed by a line that stands above the place, such as \
     the head of a function; its lines begin with a space (stays), `-` (goes) or `+` (comes). Give \
     about three lines that stay around each change. `*** End of File` after a hunk ties it to the \
     end of the file. Paths are relative to the working directory.";

/// Returns the tool that runs commands.
pub fn exec_command() -> ToolSpec {
    let properties = json!({
        "cmd": {"type": "string", "description": "The command line."},
        "workdir": {"type": "string", "description": "Where it runs; default: the working directory."},
        "shell": {"type": "string", "description": "The shell to use; default: the user's."},
        "tty": {"type": "boolean", "description": "Whether it gets a terminal; needed to type into it. Default false."},
        "login": {"type": "boolean", "description": "Whether the shell reads the user's profile. Default true."},
        "yield_time_ms": {"type": "number", "description": "How long to wait for output, 250 to 30000. Default 10000."},
        "max_output_tokens": {"type": "number", "description": "How much output is returned. Default 10000."},
        "sandbox_permissions": {
            "type": "string",
            "enum": ["use_default", "require_escalated"],
            "description": "require_escalated asks to run outside of the sandbox. Default use_default."
        },
        "justification": {"type": "string", "description": "With require_escalated: one sentence for the user, why."},
        "prefix_rule": {
            "type": "array",
            "items": {"type": "string"},
            "description": "With require_escalated: the first words of commands that could be allowed for good."
        }
    });
    ToolSpec::function(EXEC_COMMAND, EXEC_DESCRIPTION, object(properties, &["cmd"]))
}

/// Returns the classic tool that runs commands.
pub fn shell() -> ToolSpec {
    let properties = json!({
        "command": {"type": "array", "items": {"type": "string"}, "description": "The program and its arguments; for a command line: bash, -lc, the line."},
        "workdir": {"type": "string", "description": "Where it runs; default: the working directory."},
        "timeout_ms": {"type": "number", "description": "When it is ended. Default 10000."},
        "sandbox_permissions": {
            "type": "string",
            "enum": ["use_default", "require_escalated"],
            "description": "require_escalated asks to run outside of the sandbox. Default use_default."
        },
        "justification": {"type": "string", "description": "With require_escalated: one sentence for the user, why."}
    });
    let description = "Runs a command to its end and returns its output.";
    ToolSpec::function(SHELL, description, object(properties, &["command"]))
}

/// Returns the tool that talks to running commands.
pub fn write_stdin() -> ToolSpec {
    let properties = json!({
        "session_id": {"type": "number", "description": "The session."},
        "chars": {"type": "string", "description": "What is typed; default: nothing."},
        "yield_time_ms": {"type": "number", "description": "How long to wait for output. Default 250; when nothing is typed at least 5000."},
        "max_output_tokens": {"type": "number", "description": "How much output is returned. Default 10000."}
    });
    ToolSpec::function(
        WRITE_STDIN,
        WRITE_DESCRIPTION,
        object(properties, &["session_id"]),
    )
}

/// Returns the tool that changes files.
pub fn apply_patch(form: PatchForm) -> ToolSpec {
    match form {
        PatchForm::Freeform => ToolSpec::Custom {
            name: APPLY_PATCH.to_owned(),
            description: PATCH_DESCRIPTION.to_owned(),
            format: json!({
                "type": "grammar",
                "syntax": "lark",
                "definition": codex_apply_patch::GRAMMAR,
            }),
        },
        PatchForm::Function => {
            let properties = json!({"input": {"type": "string", "description": "The patch."}});
            ToolSpec::function(
                APPLY_PATCH,
                PATCH_DESCRIPTION,
                object(properties, &["input"]),
            )
        }
    }
}

/// Returns the tool that shows pictures.
pub fn view_image() -> ToolSpec {
    let properties =
        json!({"path": {"type": "string", "description": "A PNG, JPEG, GIF or WebP file."}});
    let description = "Shows you a picture from the disk.";
    ToolSpec::function(VIEW_IMAGE, description, object(properties, &["path"]))
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
