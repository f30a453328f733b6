//! A real server as a program: it prints `ready …` when it serves and ends with its stdin, so that no
//! test can leave it behind.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A server that runs; dropping it ends it.
#[derive(Debug)]
pub struct PartServer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
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
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut server = Self {
            child,
            stdin,
            stdout,
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
        let mut line = String::new();
        loop {
            line.clear();
            let n_read = self.stdout.read_line(&mut line).expect("it prints UTF-8");
            assert!(n_read > 0, "the server ended without `{prefix}`");
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
        let _ = self.child.wait();
    }
}
