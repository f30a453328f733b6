//! The provider as a program; it ends with its stdin, so that no test can leave it behind.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use codex_test_support::RealParts;

pub(crate) struct Provider {
    child: Child,
    /// It prints now and then, and a closed pipe would end it.
    _stdout: BufReader<ChildStdout>,
    pub(crate) mcp_url: String,
}

impl Provider {
    /// Starts it, unless the parts are not installed.
    pub(crate) fn start() -> Option<Self> {
        let parts = RealParts::find()?;
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/parts/authorization-server.mjs"
        );
        let mut child = Command::new(parts.node())
            .arg(script)
            .arg(parts.npm_folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ready ") {
            line.clear();
            let n_read = stdout.read_line(&mut line).unwrap();
            assert!(n_read > 0, "the provider did not start");
        }
        let mcp_url = line.split_whitespace().nth(2).unwrap().to_owned();
        Some(Self {
            child,
            _stdout: stdout,
            mcp_url,
        })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
