//! The command line of `codex exec` as it is typed, and what it asks for.
//!
//! Flags may stand before or after a subcommand. clap keeps only the innermost values of its global
//! arguments, so the flags are flattened into each level instead and joined here, in argv order.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use codex_protocol::{ApprovalPreset, SandboxMode};
use codex_utils_cli::CliConfigOverrides;

use crate::prompt::PromptSource;

/// Arguments of `codex exec`, unjudged.
#[derive(Debug, Clone, Args)]
#[command(
    override_usage = "codex exec [OPTIONS] [PROMPT]\n       codex exec [OPTIONS] <COMMAND> [ARGS]",
    args_conflicts_with_subcommands = false
)]
pub struct ExecArgs {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<ExecCommand>,
    /// What the agent shall do; `-` or nothing reads it from stdin. What is piped in beside a prompt
    /// is added as a `<stdin>` block
    #[arg(value_name = "PROMPT")]
    prompt: Option<String>,
}

#[derive(Debug, Clone, Subcommand)]
enum ExecCommand {
    /// Continue a recorded session by id, or the newest one with --last
    Resume(ResumeArgs),
    /// Continue a copy of a recorded session under a new id
    Fork(ForkArgs),
    /// Review changes (not available yet)
    Review(ReviewArgs),
}

#[derive(Debug, Clone, Args)]
struct ResumeArgs {
    /// Session id (UUID)
    #[arg(value_name = "SESSION_ID")]
    id: Option<String>,
    /// What to do next; `-` or nothing reads it from stdin
    #[arg(value_name = "PROMPT")]
    prompt: Option<String>,
    /// Take the newest session of this working directory
    #[arg(long)]
    last: bool,
    /// With --last: of any working directory
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, Args)]
struct ForkArgs {
    /// Session id (UUID)
    #[arg(value_name = "SESSION_ID")]
    id: String,
    /// What to do next; `-` or nothing reads it from stdin
    #[arg(value_name = "PROMPT")]
    prompt: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, Args)]
struct ReviewArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
}

/// The flags of one level of the command line.
#[derive(Debug, Clone, Default, Args)]
struct Flags {
    #[command(flatten)]
    config: CliConfigOverrides,
    /// Attach an image; repeatable, a comma separates files
    #[arg(short = 'i', long = "image", value_name = "FILE", value_hint = ValueHint::FilePath)]
    images: Vec<String>,
    /// Model to use
    #[arg(short = 'm', long, value_name = "MODEL")]
    model: Option<String>,
    /// Use a local model server (not available yet)
    #[arg(long)]
    oss: bool,
    /// Which local model server (not available yet)
    #[arg(long, value_name = "OSS_PROVIDER")]
    local_provider: Option<LocalProvider>,
    /// What commands may touch
    #[arg(short = 's', long, value_name = "SANDBOX_MODE")]
    sandbox: Option<SandboxArg>,
    /// Run without sandbox and without approvals; only for machines that are a sandbox themselves
    #[arg(long)]
    dangerously_bypass_approvals_and_sandbox: bool,
    /// A further directory that may be written in workspace-write; repeatable
    #[arg(long = "add-dir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    add_dirs: Vec<PathBuf>,
    /// Run outside a git repository and outside a trusted project
    #[arg(long)]
    skip_git_repo_check: bool,
    /// Save trust for this project, then go on
    #[arg(long)]
    trust: bool,
    /// Keep no session file
    #[arg(long)]
    ephemeral: bool,
    /// Do not read $CODEX_HOME/config.toml
    #[arg(long)]
    ignore_user_config: bool,
    /// JSON Schema of the final message
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output_schema: Option<PathBuf>,
    /// Write the final message to a file
    #[arg(short = 'o', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output_last_message: Option<PathBuf>,
    /// Print events to stdout as JSON lines
    #[arg(long, alias = "experimental-json")]
    json: bool,
    /// Say by which rule each call was allowed
    #[arg(long)]
    explain: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN")]
    color: Option<Color>,
    /// Who starts this session, stored with a new one
    #[arg(long, value_name = "SOURCE")]
    thread_source: Option<String>,
    /// Record the model's side of this run
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    record: Option<PathBuf>,
    /// Replay a recording instead of asking a model
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    replay: Option<PathBuf>,
    /// Accepted, no effect
    #[arg(long)]
    ignore_rules: bool,
    /// Accepted, no effect
    #[arg(long)]
    dangerously_bypass_hook_trust: bool,
    /// Accepted, no effect
    #[arg(long, value_name = "PROGRAM")]
    cyber_access_program: Option<CyberAccessProgram>,
    /// Same as --sandbox workspace-write
    #[arg(long)]
    approve_for_me: bool,
    #[arg(long, hide = true)]
    full_auto: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "kebab-case")]
enum SandboxArg {
    ReadOnly,
    WorkspaceWrite,
    DangerFullAccess,
}

impl SandboxArg {
    fn mode(self) -> SandboxMode {
        match self {
            Self::ReadOnly => SandboxMode::ReadOnly,
            Self::WorkspaceWrite => SandboxMode::WorkspaceWrite,
            Self::DangerFullAccess => SandboxMode::DangerFullAccess,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
enum LocalProvider {
    LmStudio,
    Ollama,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum CyberAccessProgram {
    Standard,
    DaybreakBlue,
    DaybreakRed,
}

/// When human mode uses colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    Always,
    Never,
    #[default]
    Auto,
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) config: CliConfigOverrides,
    pub(crate) thread: ThreadArg,
    /// `None` = nothing was typed and a recording names the prompt.
    pub(crate) prompt: Option<PromptSource>,
    pub(crate) images: Vec<String>,
    pub(crate) model: Option<String>,
    pub(crate) model_side: ModelSide,
    pub(crate) sandbox: Option<SandboxMode>,
    pub(crate) bypass: bool,
    pub(crate) add_dirs: Vec<PathBuf>,
    pub(crate) skip_git_repo_check: bool,
    pub(crate) trust: bool,
    pub(crate) ephemeral: bool,
    pub(crate) ignore_user_config: bool,
    pub(crate) output_schema: Option<PathBuf>,
    pub(crate) last_message_file: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) explain: bool,
    pub(crate) color: Color,
    pub(crate) thread_source: Option<String>,
    /// What was asked for and is not there yet.
    pub(crate) unavailable: Option<&'static str>,
    /// One sentence about flags that did not do what their name says.
    pub(crate) flags_notice: Option<String>,
}

/// Which thread the turn belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ThreadArg {
    New,
    Resume(String),
    ResumeLast { any_directory: bool },
    Fork(String),
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModelSide {
    Live,
    Record(PathBuf),
    Replay(PathBuf),
}

/// A command line that clap accepts and that still makes no sense; exit code 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(&'static str);

impl ExecArgs {
    /// Judges the words together.
    pub(crate) fn resolve(self) -> Result<Request, UsageError> {
        let Self {
            flags,
            command,
            prompt,
        } = self;
        let mut unavailable = None;
        let (thread, flags, prompt) = match command {
            None => (ThreadArg::New, flags, prompt),
            Some(_) if prompt.is_some() => {
                return Err(UsageError(
                    "a prompt must follow the subcommand, not precede it",
                ));
            }
            Some(ExecCommand::Resume(resume)) => {
                let (thread, prompt) = resume.thread_and_prompt()?;
                (thread, flags.then(resume.flags), prompt)
            }
            Some(ExecCommand::Fork(fork)) => (
                ThreadArg::Fork(fork.id),
                flags.then(fork.flags),
                fork.prompt,
            ),
            Some(ExecCommand::Review(_)) => {
                unavailable = Some("codex exec review");
                (ThreadArg::New, flags, None)
            }
        };
        if flags.oss || flags.local_provider.is_some() {
            unavailable = Some("--oss");
        }
        let model_side = flags.model_side(&thread)?;
        let prompt = match (&model_side, prompt) {
            (ModelSide::Replay(_), None) => None,
            (_, prompt) => Some(PromptSource::from_argument(prompt)),
        };
        Ok(Request {
            thread,
            prompt,
            model_side,
            unavailable,
            ..flags.into_request()
        })
    }
}

impl ResumeArgs {
    fn thread_and_prompt(&self) -> Result<(ThreadArg, Option<String>), UsageError> {
        let (id, prompt) = (self.id.clone(), self.prompt.clone());
        match (self.last, id, prompt) {
            (true, Some(_), Some(_)) => {
                Err(UsageError("a session id cannot be combined with --last"))
            }
            // With --last the only word is the prompt.
            (true, prompt, None) => Ok((
                ThreadArg::ResumeLast {
                    any_directory: self.all,
                },
                prompt,
            )),
            (true, None, Some(prompt)) => Ok((
                ThreadArg::ResumeLast {
                    any_directory: self.all,
                },
                Some(prompt),
            )),
            (false, Some(id), prompt) => Ok((ThreadArg::Resume(id), prompt)),
            (false, None, _) => Err(UsageError("resume needs a session id, or --last")),
        }
    }
}

impl Flags {
    /// Joins the flags left of a subcommand with those right of it; the latter win.
    fn then(self, inner: Self) -> Self {
        let joined = |mut left: Vec<_>, right| {
            left.extend(right);
            left
        };
        let mut images = self.images;
        images.extend(inner.images);
        Self {
            config: self.config.then(inner.config),
            images,
            model: inner.model.or(self.model),
            oss: self.oss || inner.oss,
            local_provider: inner.local_provider.or(self.local_provider),
            sandbox: inner.sandbox.or(self.sandbox),
            dangerously_bypass_approvals_and_sandbox: self.dangerously_bypass_approvals_and_sandbox
                || inner.dangerously_bypass_approvals_and_sandbox,
            add_dirs: joined(self.add_dirs, inner.add_dirs),
            skip_git_repo_check: self.skip_git_repo_check || inner.skip_git_repo_check,
            trust: self.trust || inner.trust,
            ephemeral: self.ephemeral || inner.ephemeral,
            ignore_user_config: self.ignore_user_config || inner.ignore_user_config,
            output_schema: inner.output_schema.or(self.output_schema),
            output_last_message: inner.output_last_message.or(self.output_last_message),
            json: self.json || inner.json,
            explain: self.explain || inner.explain,
            color: inner.color.or(self.color),
            thread_source: inner.thread_source.or(self.thread_source),
            record: inner.record.or(self.record),
            replay: inner.replay.or(self.replay),
            ignore_rules: self.ignore_rules || inner.ignore_rules,
            dangerously_bypass_hook_trust: self.dangerously_bypass_hook_trust
                || inner.dangerously_bypass_hook_trust,
            cyber_access_program: inner.cyber_access_program.or(self.cyber_access_program),
            approve_for_me: self.approve_for_me || inner.approve_for_me,
            full_auto: self.full_auto || inner.full_auto,
        }
    }

    fn model_side(&self, thread: &ThreadArg) -> Result<ModelSide, UsageError> {
        let side = match (&self.record, &self.replay) {
            (None, None) => return Ok(ModelSide::Live),
            (Some(_), Some(_)) => {
                return Err(UsageError("--record cannot be combined with --replay"));
            }
            (Some(file), None) => ModelSide::Record(file.clone()),
            (None, Some(_)) if self.model.is_some() => {
                return Err(UsageError("--model cannot be combined with --replay"));
            }
            (None, Some(file)) => ModelSide::Replay(file.clone()),
        };
        if *thread != ThreadArg::New {
            return Err(UsageError(
                "--record and --replay cannot be combined with resume or fork",
            ));
        }
        Ok(side)
    }

    fn into_request(self) -> Request {
        let flags_notice = self.notice();
        let bypass = self.dangerously_bypass_approvals_and_sandbox;
        let sandbox = match self.sandbox {
            _ if bypass => Some(ApprovalPreset::FULL_ACCESS.sandbox),
            Some(typed) => Some(typed.mode()),
            None if self.approve_for_me || self.full_auto => Some(ApprovalPreset::AUTO.sandbox),
            None => None,
        };
        Request {
            config: self.config,
            thread: ThreadArg::New,
            prompt: None,
            images: self.images,
            model: self.model,
            model_side: ModelSide::Live,
            sandbox,
            bypass,
            add_dirs: self.add_dirs,
            skip_git_repo_check: self.skip_git_repo_check,
            trust: self.trust,
            ephemeral: self.ephemeral,
            ignore_user_config: self.ignore_user_config,
            output_schema: self.output_schema,
            last_message_file: self.output_last_message,
            json: self.json,
            explain: self.explain,
            color: self.color.unwrap_or_default(),
            thread_source: self.thread_source,
            unavailable: None,
            flags_notice,
        }
    }

    fn notice(&self) -> Option<String> {
        let named = |rows: &[(bool, &str)]| {
            let given: Vec<String> = rows
                .iter()
                .filter(|row| row.0)
                .map(|row| format!("`{}`", row.1))
                .collect();
            (!given.is_empty()).then(|| given.join(", "))
        };
        let without_effect = named(&[
            (self.ignore_rules, "--ignore-rules"),
            (
                self.dangerously_bypass_hook_trust,
                "--dangerously-bypass-hook-trust",
            ),
            (
                self.cyber_access_program.is_some(),
                "--cyber-access-program",
            ),
        ]);
        let bypass = self.dangerously_bypass_approvals_and_sandbox;
        let sandbox_flags = named(&[
            (bypass && self.sandbox.is_some(), "--sandbox"),
            (self.approve_for_me, "--approve-for-me"),
            (self.full_auto, "--full-auto"),
        ]);
        let fate = match self.sandbox {
            _ if bypass => {
                "Without effect beside `--dangerously-bypass-approvals-and-sandbox`".to_owned()
            }
            Some(typed) => format!(
                "Without effect beside `--sandbox {}`",
                typed.mode().as_str()
            ),
            None => "Taken as `--sandbox workspace-write`".to_owned(),
        };
        let sentences: Vec<String> = [
            without_effect.map(|flags| format!("Accepted without effect: {flags}.")),
            sandbox_flags.map(|flags| format!("{fate}: {flags}.")),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

#[cfg(test)]
mod tests;
