//! A real server as a program: it prints `ready …` when it serves and ends with its stdin, so that no
//! test can leave it behind. What it issues it may tell in lines `secret …`, for the search of outputs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::secrets;

/// Node and Python start slowly on a busy machine.
const LINE_LIMIT: Duration = Duration::from_secs(60);
/// Between the end of its stdin and its own.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A server that runs; dropping it ends it.
#[derive(Debug)]
pub struct PartServer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    ready: Vec<String>,
}

impl PartServer {
    /// Starts it and waits for its line `ready …`.
    pub fn start<I>(program: &Path, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start {}: {why}", program.display()));
        let stdin = child.stdin.take();
        let lines = lines_of(child.stdout.take().expect("stdout is piped"));
        let mut server = Self {
            child,
            stdin,
            lines,
            ready: Vec::new(),
        };
        let words = server.wait_for("ready ");
        server.ready = words.split_whitespace().map(str::to_owned).collect();
        server
    }

    /// Returns a word of its line `ready`: addresses, mostly.
    pub fn word(&self, index: usize) -> &str {
        &self.ready[index]
    }

    /// Waits for a line that begins like this, and returns its rest.
    pub fn wait_for(&mut self, prefix: &str) -> String {
        let deadline = Instant::now() + LINE_LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|why| panic!("no line `{prefix}…`: {why}"));
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.trim_end().to_owned();
            }
        }
    }

    /// Tells it something.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        writeln!(stdin, "{line}").expect("the server reads");
    }
}

impl Drop for PartServer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + END_LIMIT;
        let outcome = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(why) = self.lines.recv_timeout(left) {
                break why;
            }
        };
        if outcome == RecvTimeoutError::Timeout {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Reads on while the server lives, so that its secrets are known before a test looks at an output.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            match line.strip_prefix("secret ") {
                Some(secret) => secrets::learn(secret),
                // Nobody waits for it after the end of the test.
                None => drop(sender.send(line)),
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_order_without_the_secrets_and_nothing_is_left_behind() {
        let script = "echo ready a b; echo secret the-token-of-nobody; echo step one; cat";
        let mut server = PartServer::start(Path::new("/bin/sh"), ["-c", script]);
        assert_eq!((server.word(0), server.word(1)), ("a", "b"));
        assert_eq!(server.wait_for("step "), "one");
        server.tell("step two");
        assert_eq!(server.lines.recv_timeout(END_LIMIT).unwrap(), "step two");
        let pid = server.child.id();
        drop(server);
        assert!(!crate::process_lives(pid));
    }
}
