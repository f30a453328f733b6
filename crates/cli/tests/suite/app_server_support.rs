//! A client of `codex app-server` on plain JSON lines.

use std::time::{Duration, Instant};

use codex_test_support::{CodexCommand, CommandOutput, RunningCodex, TestHome};
use serde_json::{Value, json};

/// No wait of these tests is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A server and what it said so far.
pub(crate) struct Client {
    codex: RunningCodex,
    last_id: i64,
    n_seen: usize,
}

impl Client {
    /// Starts a server and shakes hands.
    pub(crate) fn start(home: &TestHome) -> Self {
        Self::start_as(home.codex(["app-server"]))
    }

    /// The same with a command of one's own.
    pub(crate) fn start_as(command: CodexCommand) -> Self {
        let mut client = Self::without_handshake(command);
        let params = json!({"clientInfo": {"name": "probe", "version": "0.1"}});
        let id = client.send("initialize", params);
        let answer = client.next("the handshake", |line| line["id"] == id);
        assert!(answer["result"].is_object(), "{answer}");
        client.type_line(&json!({"method": "initialized"}).to_string());
        client
    }

    pub(crate) fn without_handshake(command: CodexCommand) -> Self {
        Self {
            codex: command.stdin_stays_open().limit(LIMIT).spawn(),
            // Not those that a test writes by hand.
            last_id: 1000,
            n_seen: 0,
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        self.codex.type_line(line);
    }

    /// Sends a request and returns the whole line of its answer.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Sends a request that goes well and returns its result.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.request(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Sends a request that is refused and returns the error.
    #[track_caller]
    pub(crate) fn refused(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.request(method, params);
        assert!(answer.get("result").is_none(), "{method}: {answer}");
        answer["error"].take()
    }

    /// Sends a request and returns its id.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> i64 {
        self.last_id += 1;
        let request = json!({"id": self.last_id, "method": method, "params": params});
        self.type_line(&request.to_string());
        self.last_id
    }

    pub(crate) fn answer(&self, id: i64) -> Value {
        self.find(&format!("an answer to {id}"), |line| {
            line["id"] == id && line.get("method").is_none()
        })
    }

    /// Returns the next line for which this holds, of those that were not returned before.
    pub(crate) fn next(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let n_seen = self.n_seen;
        let (at, line) = self.wait(what, |lines| {
            let mut fresh = lines.iter().enumerate().skip(n_seen);
            let found = fresh.find(|(_, line)| holds(line));
            found.map(|(at, line)| (at, line.clone()))
        });
        self.n_seen = at + 1;
        line
    }

    /// Returns the params of the next notification of a method.
    pub(crate) fn notification(&mut self, method: &str) -> Value {
        let mut line = self.next(method, |line| line["method"] == method);
        line["params"].take()
    }

    /// Returns every line so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = self.codex.wait_for_stdout("");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        whole.lines().map(parse).collect()
    }

    /// Closes stdin and waits for the end.
    pub(crate) fn end(self) -> CommandOutput {
        self.codex.close_stdin().wait()
    }

    /// Gives up the client's part.
    pub(crate) fn into_codex(self) -> RunningCodex {
        self.codex
    }

    fn find(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, |lines| lines.iter().find(|line| holds(line)).cloned())
    }

    fn wait<T>(&self, what: &str, look: impl Fn(&[Value]) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            let lines = self.lines();
            if let Some(found) = look(&lines) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} came: {lines:#?}");
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}
