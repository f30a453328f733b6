//! A call of the model as a typed request.
//!
//! All names under which models know the shell lead to one [`CommandRequest`]; they differ in what is
//! run, in what happens when it takes long, and in how the answer is laid out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::safety::shell_script;
use crate::script::Script;
use crate::specs::{APPLY_PATCH, EXEC_COMMAND, SHELL, VIEW_IMAGE, WRITE_STDIN};

/// How long a call waits for output.
const YIELD: Wait = Wait {
    least: 250,
    most: 30_000,
    usual: 10_000,
};
/// How long `write_stdin` waits after it has typed something.
const TYPED: Wait = Wait {
    least: 250,
    most: 30_000,
    usual: 250,
};
/// How long it waits when it only looks.
const POLL: Wait = Wait {
    least: 5_000,
    most: 300_000,
    usual: 5_000,
};
/// How long a command of the classic kind may take.
const CLASSIC: Wait = Wait {
    least: 1,
    most: 600_000,
    usual: 10_000,
};
/// Another name of the classic shell tool.
const CONTAINER: &str = "container.exec";
/// The classic shell tool that takes a script.
const SHELL_COMMAND: &str = "shell_command";

/// A call of a built-in tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Runs a command.
    Command(CommandRequest),
    /// Talks to a running command.
    Write(WriteRequest),
    /// Changes files.
    Patch(PatchRequest),
    /// Shows a picture.
    Image(PathBuf),
}

/// A command to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where it runs, as seen from the working directory.
    pub workdir: Option<PathBuf>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// What happens when it takes long.
    pub patience: Patience,
    /// How much of its output is told.
    pub max_output_tokens: Option<usize>,
    /// Whether it is to run outside of the sandbox.
    pub is_escalated: bool,
    /// Why, in the model's words.
    pub justification: Option<String>,
}

/// What happens when a command takes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It goes on as a session.
    Yield(Duration),
    /// It is ended; the answer has the classic layout.
    Kill(Duration),
}

/// Words for a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRequest {
    /// The session.
    pub session_id: u64,
    /// What is typed.
    pub chars: String,
    /// How long to wait for output.
    pub wait: Duration,
    /// How much of the output is told.
    pub max_output_tokens: Option<usize>,
}

/// A patch to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchRequest {
    /// The text.
    pub text: String,
    /// What its paths are relative to, as seen from the working directory.
    pub workdir: Option<PathBuf>,
}

/// Why a call cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The arguments are not what the tool takes.
    #[error("failed to parse function arguments: {0}")]
    Arguments(String),
    /// A patch in the middle of a script.
    #[error(
        "apply_patch is a tool and no program: call it by itself, or as the only command of a script"
    )]
    PatchInScript,
}

impl From<serde_json::Error> for RequestError {
    fn from(error: serde_json::Error) -> Self {
        Self::Arguments(error.to_string())
    }
}

#[derive(Deserialize)]
struct ExecArguments {
    cmd: String,
    workdir: Option<PathBuf>,
    shell: Option<String>,
    #[serde(default)]
    tty: bool,
    #[serde(default = "yes")]
    login: bool,
    yield_time_ms: Option<f64>,
    max_output_tokens: Option<f64>,
    #[serde(default)]
    sandbox_permissions: Permissions,
    justification: Option<String>,
}

#[derive(Deserialize)]
struct WriteArguments {
    session_id: f64,
    #[serde(default)]
    chars: String,
    yield_time_ms: Option<f64>,
    max_output_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct ShellArguments {
    #[serde(alias = "cmd")]
    command: Words,
    #[serde(alias = "working_directory")]
    workdir: Option<PathBuf>,
    #[serde(alias = "timeout")]
    timeout_ms: Option<f64>,
    #[serde(default = "yes")]
    login: bool,
    #[serde(default)]
    sandbox_permissions: Permissions,
    #[serde(default)]
    with_escalated_permissions: bool,
    justification: Option<String>,
}

/// Models give a script where words are wanted, and words where a script is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Argv(Vec<String>),
    Script(String),
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Permissions {
    #[default]
    UseDefault,
    RequireEscalated,
}

#[derive(Deserialize)]
struct PatchArguments {
    #[serde(alias = "patch")]
    input: String,
}

#[derive(Deserialize)]
struct ImageArguments {
    path: PathBuf,
}

fn yes() -> bool {
    true
}

/// Reads a function call; `None` when it is none of these tools. `shell` is the user's.
pub fn parse(name: &str, arguments: &str, shell: &Path) -> Option<Result<Request, RequestError>> {
    Some(match name {
        EXEC_COMMAND => exec(arguments, shell),
        WRITE_STDIN => write(arguments),
        APPLY_PATCH => patch_function(arguments),
        VIEW_IMAGE => image(arguments),
        SHELL | CONTAINER | SHELL_COMMAND => serde_json::from_str(arguments)
            .map_err(RequestError::from)
            .and_then(|typed| classic(typed, shell)),
        _ => return None,
    })
}

/// Reads the action of a `local_shell_call`.
pub fn parse_local_shell(action: &Value, shell: &Path) -> Result<Request, RequestError> {
    classic(ShellArguments::deserialize(action)?, shell)
}

/// Takes a patch as it is.
pub fn patch(text: String) -> Request {
    Request::Patch(PatchRequest {
        text,
        workdir: None,
    })
}

/// Whether a function of this name runs commands.
pub fn runs_commands(name: &str) -> bool {
    [EXEC_COMMAND, WRITE_STDIN, SHELL, CONTAINER, SHELL_COMMAND].contains(&name)
}

fn exec(arguments: &str, shell: &Path) -> Result<Request, RequestError> {
    let typed: ExecArguments = serde_json::from_str(arguments)?;
    let shell = match typed.shell.as_deref() {
        None | Some("") => shell.to_string_lossy().into_owned(),
        Some(shell) => shell.to_owned(),
    };
    let request = CommandRequest {
        argv: shell_argv(shell, typed.cmd, typed.login),
        workdir: given(typed.workdir),
        tty: typed.tty,
        patience: Patience::Yield(YIELD.read(typed.yield_time_ms)),
        max_output_tokens: tokens(typed.max_output_tokens),
        is_escalated: typed.sandbox_permissions == Permissions::RequireEscalated,
        justification: typed.justification,
    };
    or_patch(request)
}

fn classic(typed: ShellArguments, shell: &Path) -> Result<Request, RequestError> {
    let argv = match typed.command {
        Words::Argv(argv) => argv,
        Words::Script(script) => {
            shell_argv(shell.to_string_lossy().into_owned(), script, typed.login)
        }
    };
    if argv.first().is_none_or(String::is_empty) {
        return Err(RequestError::Arguments(
            "`command` names no program".to_owned(),
        ));
    }
    let escalated = typed.sandbox_permissions == Permissions::RequireEscalated;
    or_patch(CommandRequest {
        argv,
        workdir: given(typed.workdir),
        tty: false,
        patience: Patience::Kill(CLASSIC.read(typed.timeout_ms)),
        max_output_tokens: None,
        is_escalated: escalated || typed.with_escalated_permissions,
        justification: typed.justification,
    })
}

fn shell_argv(shell: String, script: String, login: bool) -> Vec<String> {
    let flag = if login { "-lc" } else { "-c" };
    vec![shell, flag.to_owned(), script]
}

/// A command that only applies a patch is one.
fn or_patch(request: CommandRequest) -> Result<Request, RequestError> {
    let words: Vec<&str> = request.argv.iter().map(String::as_str).collect();
    if let [APPLY_PATCH, text] = words[..] {
        return Ok(Request::Patch(PatchRequest {
            text: text.to_owned(),
            workdir: request.workdir,
        }));
    }
    let Some(text) = shell_script(&words).filter(|text| text.contains(APPLY_PATCH)) else {
        return Ok(Request::Command(request));
    };
    let script = Script::parse(text);
    let names_it = |command: &&crate::script::Command| {
        command.first().and_then(Option::as_deref) == Some(APPLY_PATCH)
    };
    if !script.commands.iter().any(|command| names_it(&command)) {
        return Ok(Request::Command(request));
    }
    let (folder, text) = typed_patch(&script).ok_or(RequestError::PatchInScript)?;
    let workdir = match (request.workdir, folder) {
        (Some(workdir), Some(folder)) => Some(workdir.join(folder)),
        (workdir, folder) => workdir.or(folder),
    };
    Ok(Request::Patch(PatchRequest { text, workdir }))
}

/// Reads `apply_patch <<'EOF' …` and `apply_patch '…'`, `cd DIR &&` before it or not.
fn typed_patch(script: &Script) -> Option<(Option<PathBuf>, String)> {
    // A patch that is only sometimes applied, or more than once, is the shell's affair.
    if !script.is_sequence {
        return None;
    }
    let (cd, patch) = match script.commands.as_slice() {
        [patch] => (None, patch),
        [cd, patch] => (Some(cd), patch),
        _ => return None,
    };
    let folder = match cd.map(Vec::as_slice) {
        None => None,
        Some([Some(cd), Some(folder)]) if cd == "cd" => Some(PathBuf::from(folder)),
        Some(_) => return None,
    };
    let text = match (patch.as_slice(), &script.here_document) {
        ([Some(_)], Some(text)) => text.clone(),
        ([Some(_), Some(text)], None) => text.clone(),
        _ => return None,
    };
    Some((folder, text))
}

fn write(arguments: &str) -> Result<Request, RequestError> {
    let typed: WriteArguments = serde_json::from_str(arguments)?;
    let wait = if typed.chars.is_empty() { POLL } else { TYPED };
    Ok(Request::Write(WriteRequest {
        session_id: whole(typed.session_id),
        wait: wait.read(typed.yield_time_ms),
        chars: typed.chars,
        max_output_tokens: tokens(typed.max_output_tokens),
    }))
}

fn patch_function(arguments: &str) -> Result<Request, RequestError> {
    let typed: PatchArguments = serde_json::from_str(arguments)?;
    Ok(patch(typed.input))
}

fn image(arguments: &str) -> Result<Request, RequestError> {
    let typed: ImageArguments = serde_json::from_str(arguments)?;
    Ok(Request::Image(typed.path))
}

/// Models write an empty text where they mean nothing.
fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn tokens(number: Option<f64>) -> Option<usize> {
    number.map(|number| usize::try_from(whole(number)).unwrap_or(usize::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast to an integer saturates, and models write 10000.0"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Limits of a time in milliseconds.
struct Wait {
    least: u64,
    most: u64,
    usual: u64,
}

impl Wait {
    fn read(&self, given: Option<f64>) -> Duration {
        let millis = given.map_or(self.usual, whole);
        Duration::from_millis(millis.clamp(self.least, self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL_PATH: &str = "/bin/bash";

    fn read(name: &str, arguments: &str) -> Request {
        parse(name, arguments, Path::new(SHELL_PATH))
            .unwrap()
            .unwrap()
    }

    fn command(name: &str, arguments: &str) -> CommandRequest {
        match read(name, arguments) {
            Request::Command(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_name_of_the_shell_leads_to_a_command() {
        let millis = Duration::from_millis;
        let rows = [
            (
                "exec_command",
                r#"{"cmd":"ls"}"#,
                vec!["/bin/bash", "-lc", "ls"],
                Patience::Yield(millis(10_000)),
            ),
            (
                "exec_command",
                r#"{"cmd":"ls","shell":"zsh","login":false,"yield_time_ms":1.0}"#,
                vec!["zsh", "-c", "ls"],
                Patience::Yield(millis(250)),
            ),
            (
                "shell",
                r#"{"command":["ls","-l"],"timeout_ms":500}"#,
                vec!["ls", "-l"],
                Patience::Kill(millis(500)),
            ),
            (
                "container.exec",
                r#"{"cmd":["ls"]}"#,
                vec!["ls"],
                Patience::Kill(millis(10_000)),
            ),
            (
                "shell_command",
                r#"{"command":"ls | wc"}"#,
                vec!["/bin/bash", "-lc", "ls | wc"],
                Patience::Kill(millis(10_000)),
            ),
        ];
        for (name, arguments, argv, patience) in rows {
            let request = command(name, arguments);
            assert_eq!(
                (request.argv, request.patience),
                (
                    argv.iter().map(|word| (*word).to_owned()).collect(),
                    patience
                ),
                "{name}"
            );
        }
        let action =
            serde_json::json!({"type": "exec", "command": ["ls"], "working_directory": "w"});
        let Request::Command(local) = parse_local_shell(&action, Path::new(SHELL_PATH)).unwrap()
        else {
            panic!("no command")
        };
        assert_eq!((local.argv.len(), local.workdir), (1, Some("w".into())));
    }

    #[test]
    fn a_patch_that_is_typed_as_a_command_is_a_patch() {
        let body = "*** Begin Patch\n*** Delete File: a\n*** End Patch";
        let heredoc = format!("apply_patch <<'EOF'\n{body}\nEOF\n");
        let exec = |cmd: &str| serde_json::json!({ "cmd": cmd }).to_string();
        let rows = [
            ("exec_command", exec(&heredoc), None),
            (
                "exec_command",
                exec(&format!("cd sub && {heredoc}")),
                Some("sub"),
            ),
            ("exec_command", exec(&format!("apply_patch '{body}'")), None),
            (
                "exec_command",
                exec(&format!("cd 'a b' && apply_patch \"{body}\"")),
                Some("a b"),
            ),
            ("exec_command", exec(&format!("# adds\n{heredoc}")), None),
            (
                "shell",
                serde_json::json!({"command": ["apply_patch", body]}).to_string(),
                None,
            ),
            (
                "shell",
                serde_json::json!({"command": ["bash", "-lc", heredoc]}).to_string(),
                None,
            ),
            (
                "apply_patch",
                serde_json::json!({"input": body}).to_string(),
                None,
            ),
            (
                "apply_patch",
                serde_json::json!({"patch": body}).to_string(),
                None,
            ),
        ];
        for (name, arguments, folder) in rows {
            let Request::Patch(patch) = read(name, &arguments) else {
                panic!("{arguments}")
            };
            assert_eq!(patch.text.trim_end(), body, "{arguments}");
            assert_eq!(patch.workdir, folder.map(PathBuf::from), "{arguments}");
        }
    }

    #[test]
    fn a_patch_amid_other_commands_is_refused_and_its_name_in_a_text_is_none() {
        let refused = |cmd: &str| {
            let arguments = serde_json::json!({ "cmd": cmd }).to_string();
            parse("exec_command", &arguments, Path::new(SHELL_PATH)).unwrap()
        };
        for cmd in [
            "apply_patch <<'EOF' && cargo test\nx\nEOF\n",
            "apply_patch <<EOF\n$x\nEOF\n",
            "ls; apply_patch < f",
            "[ ! -f x ] && apply_patch <<'EOF'\nx\nEOF\n",
            "cd d || apply_patch <<'EOF'\nx\nEOF\n",
            "cd d; apply_patch <<'EOF'\nx\nEOF\n",
            "cd d\napply_patch <<'EOF'\nx\nEOF\n",
            "cd d || apply_patch x",
            "cd ~/d && apply_patch <<'EOF'\nx\nEOF\n",
            "if false; then apply_patch <<'EOF'\nx\nEOF\nfi\n",
            "for i in 1 2; do apply_patch <<'EOF'\nx\nEOF\ndone\n",
            "p() { apply_patch <<'EOF'\nx\nEOF\n}\n",
            "! apply_patch <<'EOF'\nx\nEOF\n",
            "apply_patch <<'EOF' > f\nx\nEOF\n",
            "apply_patch <<'EOF' | cat\nx\nEOF\n",
            "(apply_patch <<'EOF'\nx\nEOF\n)",
            "apply_patch <<'EOF' &\nx\nEOF\n",
            "apply_patch <<-'EOF'\n\tx\nEOF\n",
            "apply_patch",
        ] {
            assert_eq!(refused(cmd), Err(RequestError::PatchInScript), "{cmd}");
        }
        assert!(matches!(
            refused("grep apply_patch f"),
            Ok(Request::Command(_))
        ));
    }

    #[test]
    fn what_is_typed_and_what_is_only_looked_at_wait_differently() {
        let wait = |arguments: &str| match read("write_stdin", arguments) {
            Request::Write(request) => request.wait.as_millis(),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(r#"{"session_id":1,"chars":"x"}"#), 250);
        assert_eq!(wait(r#"{"session_id":1}"#), 5_000);
        assert_eq!(
            wait(r#"{"session_id":1.0,"chars":"","yield_time_ms":1e9}"#),
            300_000
        );
    }

    #[test]
    fn bad_arguments_say_why() {
        let error = |name: &str, arguments: &str| {
            let read = parse(name, arguments, Path::new(SHELL_PATH)).unwrap();
            read.unwrap_err().to_string()
        };
        assert!(
            error("exec_command", "{}")
                .starts_with("failed to parse function arguments: missing field `cmd`")
        );
        assert_eq!(
            error("shell", r#"{"command":[]}"#),
            "failed to parse function arguments: `command` names no program"
        );
        assert!(parse("other", "{}", Path::new(SHELL_PATH)).is_none());
    }
}
