//! Turns what a thread tells into text for people: stderr is talk, stdout is the final message.
//!
//! Which message is the final one is known only at the end, so each message waits until something
//! follows it. When both streams are the same terminal the final one is shown once, on stdout.
//! Whatever a model, a server or a command wrote is shown without control characters: it must not be
//! able to move the cursor of the person who reads it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Instant;

use codex_protocol::{
    CommandExecution, EventKind, FileChange, ItemDetails, ItemId, ItemStatus, McpToolCall,
    PatchChangeKind, ThreadId, ThreadItem, TodoItem, TokenUsage, TurnError,
};
use codex_runtime::Summary;

/// Lines of a command's output that are shown.
const MAX_OUTPUT_LINES: usize = 20;

/// Renders events as text.
#[derive(Debug)]
pub(crate) struct Human {
    paint: Paint,
    /// Shown behind commands.
    cwd: String,
    /// A message that may be the final one.
    waiting: Option<String>,
    begun: HashMap<ItemId, Instant>,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Colours,
}

/// Where the final message goes besides stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalMessage {
    /// stderr tells it too.
    Everywhere,
    /// Both streams are one terminal.
    StdoutOnly,
}

#[derive(Clone, Copy)]
enum Tint {
    Bold,
    Dim,
    Red,
    Yellow,
    Cyan,
    Magenta,
}

impl Human {
    pub(crate) fn new(paint: Paint) -> Self {
        Self {
            paint,
            cwd: String::new(),
            waiting: None,
            begun: HashMap::new(),
        }
    }

    /// Returns the lines that open a run.
    pub(crate) fn banner(&mut self, summary: &Summary, thread: ThreadId, prompt: &str) -> String {
        self.cwd = summary.cwd.display().to_string();
        let none = |value: &Option<String>| value.as_deref().unwrap_or("none").to_owned();
        let rows = [
            ("workdir", self.cwd.clone()),
            ("model", summary.model.clone()),
            ("provider", summary.provider.clone()),
            ("approval", summary.approval.as_str().to_owned()),
            ("sandbox", summary.sandbox.to_string()),
            ("reasoning effort", none(&summary.reasoning_effort)),
            ("reasoning summaries", none(&summary.reasoning_summary)),
            ("session id", thread.to_string()),
        ];
        let mut text = format!("Codex v{}\n--------\n", env!("CARGO_PKG_VERSION"));
        for (name, value) in rows {
            let name = self.tinted(Tint::Bold, &format!("{name}:"));
            let _ = writeln!(text, "{name} {}", printable(&value));
        }
        let user = self.tinted(Tint::Cyan, "user");
        let _ = writeln!(text, "--------\n{user}\n{}", printable(prompt));
        text
    }

    /// Returns what stderr tells of one event.
    pub(crate) fn event(&mut self, kind: &EventKind) -> String {
        match kind {
            EventKind::Notice(text) => self.notice(text),
            EventKind::Retrying { message, why } => self.notice(&format!("{message} ({why})")),
            EventKind::ItemStarted(item) => self.started(item),
            EventKind::ItemUpdated(item) => self.updated(item),
            EventKind::ItemCompleted(item) => self.completed(item),
            EventKind::CallAllowed { why, .. } => {
                let line = self.tinted(Tint::Dim, &format!("allowed: {}", printable(why)));
                format!("{}{line}\n", self.flush())
            }
            EventKind::TurnFailed(error) => self.failed(error),
            EventKind::TurnInterrupted => self.fatal("interrupted", &[], &[]),
            // The end of the turn is told by `finish`, which knows the terminal.
            EventKind::TurnCompleted { .. }
            | EventKind::TurnStarted
            | EventKind::AgentMessageDelta { .. }
            | EventKind::ReasoningDelta { .. }
            | EventKind::McpProgress { .. }
            | EventKind::ApprovalRequested(_)
            | EventKind::ApprovalResolved(_)
            | EventKind::ResponseCompleted { .. }
            | EventKind::Closed => String::new(),
        }
    }

    /// Returns what stderr tells of something that the run survives.
    pub(crate) fn notice(&mut self, text: &str) -> String {
        let mut lines = self.flush();
        // A text that brings its own word keeps it: `deprecated: …`.
        let has_lead = text.starts_with("deprecated: ") || text.starts_with("note: ");
        let lead = if has_lead { "" } else { "warning: " };
        let line = self.tinted(Tint::Yellow, &format!("{lead}{}", printable(text)));
        let _ = writeln!(lines, "{line}");
        lines
    }

    /// Returns what stderr tells at the end of a turn that went well.
    pub(crate) fn finish(&mut self, usage: TokenUsage, final_message: FinalMessage) -> String {
        let mut lines = match final_message {
            FinalMessage::Everywhere => self.flush(),
            FinalMessage::StdoutOnly => {
                self.waiting = None;
                String::new()
            }
        };
        // What came from the provider's cache is not counted, as readers of the reference expect.
        let used =
            usage.input_tokens.saturating_sub(usage.cached_input_tokens) + usage.output_tokens;
        let head = self.tinted(Tint::Dim, "tokens used");
        let _ = writeln!(lines, "{head}\n{}", thousands(used));
        lines
    }

    /// Returns what stderr tells of a failure, in the layout of every command.
    pub(crate) fn fatal(&mut self, message: &str, causes: &[String], hints: &[String]) -> String {
        let mut lines = self.flush();
        let head = self.tinted(Tint::Red, "Error:");
        let _ = writeln!(lines, "{head} {}", printable(message));
        if !causes.is_empty() {
            lines.push_str("\nCaused by:\n");
        }
        for (n, cause) in causes.iter().enumerate() {
            let number = if causes.len() > 1 {
                format!("{n}: ")
            } else {
                String::new()
            };
            let cause = printable(cause).replace('\n', "\n    ");
            let _ = writeln!(lines, "    {number}{cause}");
        }
        for hint in hints {
            let _ = writeln!(lines, "hint: {}", printable(hint));
        }
        lines
    }

    fn failed(&mut self, error: &TurnError) -> String {
        self.fatal(&error.message, &[], &error.hints)
    }

    fn started(&mut self, item: &ThreadItem) -> String {
        self.begun.insert(item.id, Instant::now());
        let text = match &item.details {
            ItemDetails::CommandExecution(run) => self.command_head(run),
            ItemDetails::McpToolCall(call) => self.call_line(call, "started"),
            ItemDetails::TodoList { items } => plan(items),
            ItemDetails::AgentMessage { .. }
            | ItemDetails::Reasoning { .. }
            | ItemDetails::FileChange(_)
            | ItemDetails::WebSearch(_)
            | ItemDetails::Error { .. } => return String::new(),
        };
        self.flush() + &text
    }

    fn updated(&mut self, item: &ThreadItem) -> String {
        match &item.details {
            ItemDetails::TodoList { items } => self.flush() + &plan(items),
            ItemDetails::AgentMessage { .. }
            | ItemDetails::Reasoning { .. }
            | ItemDetails::CommandExecution(_)
            | ItemDetails::FileChange(_)
            | ItemDetails::McpToolCall(_)
            | ItemDetails::WebSearch(_)
            | ItemDetails::Error { .. } => String::new(),
        }
    }

    fn completed(&mut self, item: &ThreadItem) -> String {
        let begun = self.begun.remove(&item.id);
        let text = match &item.details {
            ItemDetails::AgentMessage { text } => {
                let earlier = self.flush();
                self.waiting = Some(text.clone());
                return earlier;
            }
            ItemDetails::Reasoning { text } => {
                let head = self.tinted(Tint::Dim, "thinking");
                format!("{head}\n{}\n", self.tinted(Tint::Dim, &printable(text)))
            }
            ItemDetails::CommandExecution(run) => self.command_end(run, begun),
            ItemDetails::FileChange(patch) => patch_lines(patch),
            ItemDetails::McpToolCall(call) => self.call_end(call, begun),
            ItemDetails::WebSearch(search) => format!("web search: {}\n", printable(&search.query)),
            // Every state of a plan was shown when it changed.
            ItemDetails::TodoList { .. } => return String::new(),
            ItemDetails::Error { message } => return self.notice(message),
        };
        self.flush() + &text
    }

    fn command_head(&self, run: &CommandExecution) -> String {
        let exec = self.tinted(Tint::Magenta, "exec");
        format!(
            "{exec}\n{} in {}\n",
            printable(&run.command),
            printable(&self.cwd)
        )
    }

    fn command_end(&self, run: &CommandExecution, begun: Option<Instant>) -> String {
        // A command that was refused before it ran has no beginning.
        let mut text = if begun.is_none() {
            self.command_head(run)
        } else {
            String::new()
        };
        let milliseconds = begun.map_or(0, |begun| begun.elapsed().as_millis());
        let _ = match (run.status, run.exit_code) {
            (ItemStatus::Completed, _) => writeln!(text, " succeeded in {milliseconds}ms:"),
            (_, Some(code)) => writeln!(text, " exited {code} in {milliseconds}ms:"),
            (_, None) => writeln!(text, " failed:"),
        };
        let output = printable(run.aggregated_output.trim_end_matches('\n'));
        let mut lines = output.lines();
        for line in lines.by_ref().take(MAX_OUTPUT_LINES) {
            let _ = writeln!(text, "{line}");
        }
        let n_more = lines.count();
        if n_more > 0 {
            let _ = writeln!(text, "... {n_more} more lines");
        }
        text
    }

    fn call_end(&self, call: &McpToolCall, begun: Option<Instant>) -> String {
        let mut text = String::new();
        if begun.is_none() {
            text = self.call_line(call, "started");
        }
        let end = match (call.status, why(call)) {
            (ItemStatus::Completed | ItemStatus::InProgress, _) => "(completed)".to_owned(),
            (ItemStatus::Failed | ItemStatus::Declined, None) => "(failed)".to_owned(),
            (ItemStatus::Failed | ItemStatus::Declined, Some(why)) => {
                format!("(failed): {}", printable(why))
            }
        };
        text + &self.call_line(call, &end)
    }

    fn call_line(&self, call: &McpToolCall, end: &str) -> String {
        let mcp = self.tinted(Tint::Magenta, "mcp:");
        format!(
            "{mcp} {}/{} {end}\n",
            printable(&call.server),
            printable(&call.tool)
        )
    }

    /// Returns the message that turned out not to be the last thing said.
    fn flush(&mut self) -> String {
        match self.waiting.take() {
            Some(message) => {
                let codex = self.tinted(Tint::Cyan, "codex");
                format!("{codex}\n{}\n", printable(&message))
            }
            None => String::new(),
        }
    }

    fn tinted(&self, tint: Tint, text: &str) -> String {
        if self.paint == Paint::Plain {
            return text.to_owned();
        }
        let code = match tint {
            Tint::Bold => 1,
            Tint::Dim => 2,
            Tint::Red => 31,
            Tint::Yellow => 33,
            Tint::Cyan => 36,
            Tint::Magenta => 35,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Why a call failed: our reason, else the first words of the tool.
fn why(call: &McpToolCall) -> Option<&str> {
    let told = || {
        let blocks = &call.result.as_ref()?.content;
        blocks.iter().find_map(|block| block.get("text")?.as_str())
    };
    call.error.as_deref().or_else(told)
}

fn patch_lines(patch: &FileChange) -> String {
    let mut text = match (patch.status, &patch.error) {
        (ItemStatus::Failed | ItemStatus::Declined, Some(error)) => {
            format!("apply_patch: failed: {}\n", printable(error))
        }
        (ItemStatus::Failed | ItemStatus::Declined, None) => "apply_patch: failed\n".to_owned(),
        (ItemStatus::Completed | ItemStatus::InProgress, _) => {
            "apply_patch: completed\n".to_owned()
        }
    };
    for change in &patch.changes {
        let letter = match change.kind {
            PatchChangeKind::Add => 'A',
            PatchChangeKind::Update => 'M',
            PatchChangeKind::Delete => 'D',
        };
        let path = printable(&change.path.to_string_lossy());
        let _ = match &change.moved_to {
            Some(target) => {
                let target = printable(&target.to_string_lossy());
                writeln!(text, "{letter} {path} -> {target}")
            }
            None => writeln!(text, "{letter} {path}"),
        };
    }
    text
}

fn plan(items: &[TodoItem]) -> String {
    let mut text = "plan\n".to_owned();
    for item in items {
        let mark = if item.completed { 'x' } else { ' ' };
        let _ = writeln!(text, "[{mark}] {}", printable(&item.text));
    }
    text
}

/// Makes control characters visible; newlines and tabs stay.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' => {}
            c if c.is_control() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
