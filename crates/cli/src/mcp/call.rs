//! `codex mcp call NAME TOOL [ARGS]`: one call of one tool, without any model.
//!
//! Typing the call is the approval; filters still hold. The arguments are judged by the tool's own
//! schema before anything is sent, so that a slip is named with its place.

mod arguments;
mod ask;
mod outcome;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use codex_mcp::{
    CallContext, CallError, ConnectionError, ElicitationPolicy, HiddenReason, Progress, ToolCatalog,
};
use codex_protocol::{McpOutcome, ServerName, ToolRef};
use codex_utils_json_schema::JsonSchema;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::error::CliError;
use crate::mask::printable;

use super::live::{
    EXIT_AUTH, EXIT_CATALOG, EXIT_CONNECT, EXIT_OK, EXIT_POLICY, EXIT_PROTOCOL, LiveContext,
    LiveServers, Terminal, find_server, interrupted, no_such_tool, print_notice,
};

/// The tool says that it failed.
const EXIT_TOOL_ERROR: u8 = 20;
/// The call was refused, here or by the server.
const EXIT_REFUSED: u8 = 21;
/// The time limit was reached.
const EXIT_TIME_LIMIT: u8 = 22;
/// Questions and progress reports that may wait.
const EVENTS_CAPACITY: usize = 32;

/// Arguments of `codex mcp call`.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// Server to call
    name: String,
    /// Tool to call
    tool: String,
    /// Arguments: a JSON object, `-` for stdin, or `@FILE`
    #[arg(conflicts_with = "argument", allow_hyphen_values = true)]
    args: Option<String>,
    /// One argument; the value is TOML, or text when it is not
    #[arg(short = 'a', long = "arg", value_name = "KEY=VALUE")]
    argument: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Limit of the call [default: tool_timeout_sec of the server]
    #[arg(long, value_name = "SECS", value_parser = parse_seconds)]
    timeout: Option<Duration>,
    /// Check neither the arguments nor the answer
    #[arg(long)]
    no_validate: bool,
}

/// Reads seconds as in the config: a number, 0 or more.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "a number of seconds is expected".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| "a number of seconds, 0 or more, is expected".to_owned())
}

/// Runs the verb; returns the exit code.
pub(crate) async fn run(args: CallArgs, mut context: LiveContext<'_>) -> Result<u8, CliError> {
    let config = find_server(context.config, context.layers, &args.name)?.clone();
    let typed = args.args.as_deref();
    let raw = arguments::read(typed, &args.argument, &context.cwd, &context.cancel).await?;
    let reads_stdin = typed == Some("-");
    let (sender, questions) = mpsc::channel(EVENTS_CAPACITY);
    let policy = match context.terminal {
        Terminal::Interactive if !reads_stdin => ElicitationPolicy::Ask(sender),
        Terminal::Interactive | Terminal::WatchOnly | Terminal::None => {
            ElicitationPolicy::Decline("there is no terminal to ask on")
        }
    };
    let tool = ToolRef {
        server: config.name.clone(),
        tool: args.tool.clone(),
    };
    let mut live = LiveServers::start(&context, [config], None, policy);
    let call = Call {
        args: &args,
        tool,
        raw,
        questions,
    };
    let result = call.run(&mut live, &mut context).await;
    live.stop().await;
    result
}

/// One call on its way.
struct Call<'a> {
    args: &'a CallArgs,
    tool: ToolRef,
    raw: arguments::RawArguments,
    questions: mpsc::Receiver<codex_mcp::ElicitationRequest>,
}

impl Call<'_> {
    async fn run(
        mut self,
        live: &mut LiveServers,
        context: &mut LiveContext<'_>,
    ) -> Result<u8, CliError> {
        live.settle(context).await?;
        if let Some(failure) = live.failures().pop() {
            return Err(failure);
        }
        let catalog = live.handle.catalog();
        let schema = input_schema(&catalog, &self.tool)?;
        let arguments = std::mem::take(&mut self.raw).against(&schema)?;
        if !self.args.no_validate {
            validate(&self.tool, &schema, &arguments, context.err)?;
        }
        let begin = Instant::now();
        let answer = self.send(live, arguments, context).await?;
        let duration = begin.elapsed();
        live.print_notices(context)?;
        let outcome = answer.map_err(|error| self.explain(&error))?;
        let definition = catalog.get(&self.tool).map(|tool| &tool.definition);
        if let Some(schema) = definition.and_then(|definition| definition.output_schema.as_ref())
            && !self.args.no_validate
            && let Some(fault) = outcome::fault(schema, &outcome)
        {
            // The answer is shown all the same: it is what the tool said.
            let fault = printable(&fault);
            writeln!(
                context.err,
                "note: the answer of {} does not fit its output schema: {fault}",
                self.tool
            )?;
        }
        let text = match self.args.json {
            true => outcome::json(&self.tool, &outcome, duration)?,
            false => outcome::text(&outcome)?,
        };
        context.out.write_all(text.as_bytes())?;
        context.out.flush()?;
        Ok(if outcome.is_error {
            EXIT_TOOL_ERROR
        } else {
            EXIT_OK
        })
    }

    /// Sends the call and serves the terminal until the answer is there.
    async fn send(
        &mut self,
        live: &mut LiveServers,
        arguments: Map<String, Value>,
        context: &mut LiveContext<'_>,
    ) -> Result<Result<McpOutcome, CallError>, CliError> {
        let (sender, mut progress) = mpsc::channel::<Progress>(EVENTS_CAPACITY);
        let mut how = CallContext::default();
        how.idle_timeout = self.args.timeout;
        if context.terminal != Terminal::None {
            // A report that finds no room is dropped: the next one says more.
            how.on_progress = Some(Arc::new(move |report| drop(sender.try_send(report))));
        }
        let handle = live.handle.clone();
        let (tool, cancel) = (self.tool.clone(), context.cancel.clone());
        let call = handle.call(&tool, arguments, how, &cancel);
        tokio::pin!(call);
        let mut line = ProgressLine::default();
        loop {
            tokio::select! {
                biased;
                answer = &mut call => {
                    line.clear(context.err)?;
                    return Ok(answer);
                }
                Some(report) = progress.recv() => line.show(context.err, &report)?,
                Some(notice) = live.notice() => {
                    line.clear(context.err)?;
                    print_notice(context.err, &notice)?;
                }
                Some(question) = self.questions.recv() => {
                    line.clear(context.err)?;
                    ask::answer(question, context).await?;
                }
            }
        }
    }

    fn explain(&self, error: &CallError) -> CliError {
        let ToolRef { server, tool } = &self.tool;
        let (exit, message) = match error {
            CallError::Cancelled => return interrupted(),
            CallError::Connection(ConnectionError::Timeout { .. }) => (
                EXIT_TIME_LIMIT,
                format!("the call of {server}/{tool} {error}"),
            ),
            CallError::Connection(ConnectionError::Rpc { .. }) => (
                EXIT_REFUSED,
                format!("MCP server '{server}' refused the call: {error}"),
            ),
            CallError::NotLoggedIn { .. }
            | CallError::Connection(ConnectionError::LoginRequired { .. }) => {
                (EXIT_AUTH, error.to_string())
            }
            CallError::Connection(
                ConnectionError::Protocol { .. } | ConnectionError::Unsupported { .. },
            ) => (EXIT_PROTOCOL, error.to_string()),
            CallError::Hidden { .. } | CallError::Off { .. } => (EXIT_POLICY, error.to_string()),
            CallError::UnknownServer(_) => return CliError::new(error.to_string()),
            _ => (EXIT_CONNECT, error.to_string()),
        };
        CliError::with_code(exit, message).hints(error.hints())
    }
}

/// Returns the tool's input schema, or why it cannot be called.
fn input_schema(catalog: &ToolCatalog, tool: &ToolRef) -> Result<Value, CliError> {
    if let Some(found) = catalog.get(tool) {
        return Ok(found.definition.input_schema.clone());
    }
    let (offered, hidden) = match catalog.server(&tool.server) {
        Some(server) => (server.tools.as_slice(), server.hidden.as_slice()),
        None => (&[][..], &[][..]),
    };
    let name = |server: &ServerName| format!("tool '{}' of MCP server '{server}'", tool.tool);
    match hidden
        .iter()
        .find(|hidden| hidden.name == tool.tool)
        .map(|hidden| &hidden.reason)
    {
        Some(HiddenReason::Filter(by)) => Err(CliError::with_code(
            EXIT_POLICY,
            format!("{} is off ({by})", name(&tool.server)),
        )),
        Some(HiddenReason::Held(why)) => Err(CliError::with_code(
            EXIT_POLICY,
            format!("{} is held back: {why}", name(&tool.server)),
        )
        .hint(format!(
            "`codex mcp pins {}` shows what differs, and with --approve accepts it",
            tool.server
        ))),
        Some(HiddenReason::Invalid(why)) => Err(CliError::with_code(
            EXIT_CATALOG,
            format!("{} cannot be used", name(&tool.server)),
        )
        .cause(why)),
        None => {
            let names = offered.iter().map(|tool| tool.tool.tool.as_str());
            Err(no_such_tool(&tool.server, &tool.tool, names))
        }
    }
}

fn validate(
    tool: &ToolRef,
    schema: &Value,
    arguments: &Map<String, Value>,
    err: &mut dyn Write,
) -> Result<(), CliError> {
    let schema = match JsonSchema::compile(schema) {
        Ok(schema) => schema,
        Err(error) => {
            // The server can still judge the arguments itself.
            writeln!(err, "note: the arguments were not checked: {error}")?;
            return Ok(());
        }
    };
    schema
        .validate(&Value::Object(arguments.clone()))
        .map_err(|mismatch| {
            CliError::with_code(
                EXIT_REFUSED,
                format!("the arguments do not fit the input schema of {tool}"),
            )
            .cause(mismatch.to_string())
            .hint(format!(
                "`codex mcp tools {} {}` shows the schema",
                tool.server, tool.tool
            ))
        })
}

/// The one line on which progress is shown, rewritten in place.
#[derive(Default)]
struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    fn show(&mut self, err: &mut dyn Write, report: &Progress) -> std::io::Result<()> {
        let amount = match report.total {
            Some(total) => format!("{}/{total}", report.progress),
            None => report.progress.to_string(),
        };
        let words = printable(report.message.as_deref().unwrap_or_default());
        self.is_shown = true;
        write!(
            err,
            "\r\x1b[K{amount} {}",
            words.chars().take(60).collect::<String>()
        )?;
        err.flush()
    }

    fn clear(&mut self, err: &mut dyn Write) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_shown) {
            write!(err, "\r\x1b[K")?;
            err.flush()?;
        }
        Ok(())
    }
}
