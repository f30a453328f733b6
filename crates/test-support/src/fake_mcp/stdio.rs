//! The arguments of a stdio fake server, and its entry in `config.toml`.

use std::path::{Path, PathBuf};

use super::journal::Journal;
use super::script::Era;
use crate::programs::fake_mcp_server;

/// A stdio MCP server that a client starts; each method adds one way of behaving.
///
/// Without any it is a sound server of the handshake era (2025-11-25) with the tool `echo`.
/// The tools it can offer are listed in `fake_mcp/tools.rs`.
///
/// ```no_run
/// use codex_test_support::{FakeStdio, TestHome};
///
/// let home = TestHome::new();
/// let server = FakeStdio::new().tools(["echo", "slow"]).journal(home.path().join("seen.jsonl"));
/// home.write_config(&server.toml("test"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct FakeStdio {
    args: Vec<String>,
}

impl FakeStdio {
    /// A sound server with the tool `echo`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the program to start.
    pub fn program(&self) -> PathBuf {
        fake_mcp_server()
    }

    /// Returns its arguments.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Returns the table `[mcp_servers.NAME]`; more keys may follow it.
    pub fn toml(&self, name: &str) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let args: Vec<String> = self.args.iter().map(|arg| quoted(arg)).collect();
        let program = quoted(&self.program().to_string_lossy());
        format!(
            "[mcp_servers.{name}]\ncommand = {program}\nargs = [{}]\n",
            args.join(", ")
        )
    }

    /// Offers exactly these tools; `none` alone is an empty list.
    pub fn tools<I: IntoIterator<Item: AsRef<str>>>(self, names: I) -> Self {
        let names: Vec<String> = names
            .into_iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        self.with("--tools", &names.join(","))
    }

    /// Describes a tool in other words.
    pub fn describe(self, tool: &str, text: &str) -> Self {
        self.with("--describe", &format!("{tool}={text}"))
    }

    /// Offers this many tools `tool_0`, `tool_1`, … (and `echo` only when named).
    pub fn tool_count(self, count: usize) -> Self {
        self.with("--count", &count.to_string())
    }

    /// Lists tools in pages of this size.
    pub fn pages_of(self, size: usize) -> Self {
        self.with("--page-size", &size.to_string())
    }

    /// Offers a skill of two files; the second is not what the listing promises.
    pub fn skills(self) -> Self {
        self.flag("--skills")
    }

    /// Lists the same page for ever; give a page size too.
    pub fn endless_pages(self) -> Self {
        self.flag("--endless-pages")
    }

    /// Sets the name in `serverInfo`.
    pub fn name(self, name: &str) -> Self {
        self.with("--name", name)
    }

    /// Sets the instructions.
    pub fn instructions(self, text: &str) -> Self {
        self.with("--instructions", text)
    }

    /// Chooses the revisions.
    pub fn era(self, era: Era) -> Self {
        self.with(
            "--era",
            match era {
                Era::Legacy => "legacy",
                Era::Modern => "modern",
                Era::Both => "both",
            },
        )
    }

    /// Answers `initialize` with this version whatever was asked.
    pub fn protocol_version(self, version: &str) -> Self {
        self.with("--protocol-version", version)
    }

    /// Notes everything in this file, see [`Journal`].
    pub fn journal(self, path: impl AsRef<Path>) -> Self {
        self.with("--journal", &path.as_ref().to_string_lossy())
    }

    /// As [`journal`](Self::journal), for a journal at hand.
    pub fn noting_in(self, journal: &Journal) -> Self {
        self.journal(journal.path())
    }

    /// Prints this line on stderr at the start.
    pub fn stderr(self, line: &str) -> Self {
        self.with("--stderr", line)
    }

    /// Prints this many long lines on stderr at the start, more than a pipe holds.
    pub fn stderr_flood(self, n_lines: usize) -> Self {
        self.with("--stderr-flood", &n_lines.to_string())
    }

    /// Exits with this code before it reads anything (after its stderr line).
    pub fn exit_at_once(self, code: u8) -> Self {
        self.with("--exit-at-once", &code.to_string())
    }

    /// Exits with code 1 at the first start and works afterwards; the marker file remembers.
    pub fn fail_first_start(self, marker: impl AsRef<Path>) -> Self {
        self.with("--fail-first-start", &marker.as_ref().to_string_lossy())
    }

    /// Reads, and never answers the handshake or the probe.
    pub fn hang_in_initialize(self) -> Self {
        self.flag("--hang-in-initialize")
    }

    /// Begins to read only when this file exists.
    pub fn start_when(self, file: impl AsRef<Path>) -> Self {
        self.with("--wait-for", &file.as_ref().to_string_lossy())
    }

    /// Begins to read after this many milliseconds, to measure an overlap.
    pub fn start_after_ms(self, ms: u64) -> Self {
        self.with("--start-after-ms", &ms.to_string())
    }

    /// Prints lines that are not JSON on stdout, at the start and before each answer.
    pub fn stdout_noise(self) -> Self {
        self.flag("--noise")
    }

    /// Writes one line of this many bytes on stdout before the answer to `tools/list`.
    pub fn huge_line(self, n_bytes: usize) -> Self {
        self.with("--huge-line", &n_bytes.to_string())
    }

    /// Exits when this method arrives, as servers do that do not know `server/discover`.
    pub fn exit_on(self, method: &str) -> Self {
        self.with("--exit-on", method)
    }

    /// Never answers this method.
    pub fn silent_on(self, method: &str) -> Self {
        self.with("--silent-on", method)
    }

    /// Answers this method with a JSON-RPC error.
    pub fn error_on(self, method: &str) -> Self {
        self.with("--error-on", method)
    }

    /// Asks the user something before it answers this method.
    pub fn ask_on(self, method: &str) -> Self {
        self.with("--ask-on", method)
    }

    /// Survives SIGTERM (and notes it).
    pub fn ignore_sigterm(self) -> Self {
        self.flag("--ignore-sigterm")
    }

    /// Stays alive when its stdin closes.
    pub fn ignore_stdin_end(self) -> Self {
        self.flag("--ignore-eof")
    }

    /// Starts this many grandchildren that hold its pipes and outlive it unless they are killed.
    pub fn grandchildren(self, count: usize) -> Self {
        self.with("--grandchildren", &count.to_string())
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.args.extend([name.to_owned(), value.to_owned()]);
        self
    }

    fn flag(mut self, name: &str) -> Self {
        self.args.push(name.to_owned());
        self
    }
}
